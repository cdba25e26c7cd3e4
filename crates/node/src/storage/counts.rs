//! [`Counts`]: what a node's disk was given to do since the node started.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::metrics::Histogram;
use crate::report::DiskReport;

/// What was done, counted.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    log_bytes: AtomicU64,
    snapshots: AtomicU64,
    snapshot_bytes: AtomicU64,
    errors: AtomicU64,
    /// How long syncs of the log took.
    pub(crate) syncs: Histogram,
}

/// A node's disk in figures.
pub(crate) struct DiskFigures<'a> {
    pub(crate) report: DiskReport,
    pub(crate) counts: &'a Counts,
    /// `None` where the disk does not say.
    pub(crate) free_bytes: Option<u64>,
    /// How long the data took to come back.
    pub(crate) recovered_ms: u64,
}

impl Counts {
    /// So many bytes went to the log.
    pub(super) fn wrote_log(&self, bytes: u64) {
        self.log_bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    /// A snapshot of so many bytes was written.
    pub(super) fn wrote_snapshot(&self, bytes: u64) {
        self.snapshots.fetch_add(1, Ordering::Relaxed);
        self.snapshot_bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    /// The disk refused something.
    pub(super) fn failed(&self) {
        self.errors.fetch_add(1, Ordering::Relaxed);
    }

    /// Bytes that went to the log.
    pub(crate) fn log_bytes(&self) -> u64 {
        self.log_bytes.load(Ordering::Relaxed)
    }

    /// How many snapshots were written.
    pub(crate) fn snapshots(&self) -> u64 {
        self.snapshots.load(Ordering::Relaxed)
    }

    /// The bytes of these.
    pub(crate) fn snapshot_bytes(&self) -> u64 {
        self.snapshot_bytes.load(Ordering::Relaxed)
    }

    /// How often the disk refused something.
    pub(crate) fn errors(&self) -> u64 {
        self.errors.load(Ordering::Relaxed)
    }
}
