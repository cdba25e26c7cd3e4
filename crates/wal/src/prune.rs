//! [`PruneJob`]: old segments are removed on another thread while the log goes on.

use std::io;

use crate::disk::Disk;
use crate::place::{LOG_FOLDER, segment_path};

/// Segments to be removed.
#[derive(Debug)]
pub struct PruneJob<D> {
    pub(crate) disk: D,
    /// The oldest first.
    pub(crate) gone: Vec<u64>,
}

/// What became of that.
#[derive(Debug)]
#[must_use = "the log must learn what was removed"]
pub struct PruneDone {
    pub(crate) removed: Vec<u64>,
    pub(crate) outcome: io::Result<()>,
}

impl<D: Disk> PruneJob<D> {
    /// Removes them. The outcome is for `NodeLog::finish_prune`.
    pub fn run(self) -> PruneDone {
        let mut removed = Vec::new();
        for number in self.gone {
            if let Err(error) = self.disk.remove(&segment_path(number)) {
                return PruneDone { removed, outcome: Err(error) };
            }
            removed.push(number);
        }
        PruneDone { outcome: self.disk.sync_folder(LOG_FOLDER), removed }
    }
}
