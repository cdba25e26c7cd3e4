//! [`QueryCounts`]: what statements did, in figures.

use std::sync::atomic::{AtomicU64, Ordering};

/// What statements did since the node started.
#[derive(Debug, Default)]
pub struct QueryCounts {
    statements: AtomicU64,
    failed: AtomicU64,
    partitions_scanned: AtomicU64,
    partitions_pruned: AtomicU64,
    index_seeks: AtomicU64,
    rows_scanned: AtomicU64,
    rows_returned: AtomicU64,
}

impl QueryCounts {
    pub(crate) fn begins(&self) {
        self.statements.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn fails(&self) {
        self.failed.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn prunes(&self, partitions: u64) {
        self.partitions_pruned.fetch_add(partitions, Ordering::Relaxed);
    }

    pub(crate) fn scans_partition(&self) {
        self.partitions_scanned.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn seeks(&self) {
        self.index_seeks.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn scans_rows(&self, rows: usize) {
        self.rows_scanned.fetch_add(rows as u64, Ordering::Relaxed);
    }

    pub(crate) fn returns_rows(&self, rows: usize) {
        self.rows_returned.fetch_add(rows as u64, Ordering::Relaxed);
    }

    /// Statements that were begun.
    pub fn statements(&self) -> u64 {
        self.statements.load(Ordering::Relaxed)
    }

    /// Those that ended with an error.
    pub fn failed(&self) -> u64 {
        self.failed.load(Ordering::Relaxed)
    }

    /// Partitions that were walked over.
    pub fn partitions_scanned(&self) -> u64 {
        self.partitions_scanned.load(Ordering::Relaxed)
    }

    /// Partitions that did not need to be.
    pub fn partitions_pruned(&self) -> u64 {
        self.partitions_pruned.load(Ordering::Relaxed)
    }

    /// Pages that indexes gave.
    pub fn index_seeks(&self) -> u64 {
        self.index_seeks.load(Ordering::Relaxed)
    }

    /// Records that were looked at.
    pub fn rows_scanned(&self) -> u64 {
        self.rows_scanned.load(Ordering::Relaxed)
    }

    /// Rows of answers.
    pub fn rows_returned(&self) -> u64 {
        self.rows_returned.load(Ordering::Relaxed)
    }
}
