//! [`NextJob`]: the file of the next segment is made on another thread while the log goes on.

use std::io;

use crate::disk::{Disk, DiskFile};
use crate::place::{LOG_FOLDER, segment_path};

/// A file to be made.
#[derive(Debug)]
#[must_use = "until its outcome is told, no segment ends"]
pub struct NextJob<D> {
    pub(crate) disk: D,
    pub(crate) number: u64,
}

/// What became of it.
#[derive(Debug)]
#[must_use = "the log must learn what became of its next segment"]
pub struct NextDone<F> {
    pub(crate) file: io::Result<F>,
}

impl<D: Disk> NextJob<D> {
    /// Makes the file, empty, so that its name will survive a loss of power. The outcome is for `NodeLog::finish_next`.
    pub fn run(self) -> NextDone<D::File> {
        let path = segment_path(self.number);
        let made = self.disk.create(&path).and_then(|mut file| {
            file.sync()?;
            self.disk.sync_folder(LOG_FOLDER)?;
            Ok(file)
        });
        if made.is_err() {
            // Left there it does no harm: it is made again when it is needed.
            let _ = self.disk.remove(&path);
        }
        NextDone { file: made }
    }
}
