//! [`SyncJob`]: a sync that runs on another thread while the log goes on.

use std::io;

use crate::disk::DiskFile;
use crate::place::Place;

/// A sync to be run.
#[derive(Debug)]
pub struct SyncJob<F> {
    pub(crate) files: Vec<F>,
    pub(crate) end: Place,
}

/// What became of a sync.
#[derive(Debug)]
#[must_use = "the log must learn what became of the sync"]
pub struct SyncDone {
    pub(crate) end: Place,
    pub(crate) outcome: io::Result<()>,
}

impl<F: DiskFile> SyncJob<F> {
    /// Syncs. The outcome is for `NodeLog::finish_sync`.
    pub fn run(self) -> SyncDone {
        let outcome = self.files.into_iter().try_for_each(|mut file| file.sync());
        SyncDone { end: self.end, outcome }
    }
}
