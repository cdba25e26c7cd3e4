//! How much memory there is, and when to refuse more: a node over its mark answers `MemoryFull`, it never dies of it.

use std::fs;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};

/// How far the resident memory may pass the mark before it counts as over the mark too. The allocator holds some pages
/// that no record fills, so the two differ a little all the time.
const RESIDENT_SLACK_PERCENT: u64 = 5;

/// Below this share of the mark the data alone decides: whatever else is resident then are pages that the allocator keeps
/// for reuse, and refusing writes would not bring them back.
const DATA_SHARE_PERCENT_MIN: u64 = 50;

/// The memory of a node: what its data takes, what the process takes, and the mark.
#[derive(Debug)]
pub(crate) struct MemoryGauge {
    /// Bytes of records, tables and indexes. Signed, because cores add their differences in any order.
    data_bytes: AtomicI64,
    resident_bytes: AtomicU64,
    limit_bytes: u64,
    over: AtomicBool,
}

impl MemoryGauge {
    /// A gauge with a mark.
    pub(crate) fn new(limit_bytes: u64) -> Self {
        Self {
            data_bytes: AtomicI64::new(0),
            resident_bytes: AtomicU64::new(resident_bytes()),
            limit_bytes,
            over: AtomicBool::new(false),
        }
    }

    /// Adds a difference in data bytes.
    pub(crate) fn add_data(&self, difference: i64) {
        let data = self.data_bytes.fetch_add(difference, Ordering::Relaxed) + difference;
        self.judge(data);
    }

    /// Reads the resident memory of the process anew.
    pub(crate) fn refresh_resident(&self) {
        self.resident_bytes.store(resident_bytes(), Ordering::Relaxed);
        self.judge(self.data_bytes.load(Ordering::Relaxed));
    }

    fn judge(&self, data_bytes: i64) {
        let percent = self.limit_bytes / 100;
        let data_bytes = data_bytes.max(0).cast_unsigned();
        let resident_max = self.limit_bytes + percent * RESIDENT_SLACK_PERCENT;
        let over = data_bytes >= self.limit_bytes
            || (data_bytes >= percent * DATA_SHARE_PERCENT_MIN
                && self.resident_bytes.load(Ordering::Relaxed) >= resident_max);
        // Written only when it changes: every core reads this line for every frame.
        if over != self.over.load(Ordering::Relaxed) {
            self.over.store(over, Ordering::Relaxed);
        }
    }

    /// Whether writes that need memory are to be refused or to make room.
    pub(crate) fn is_over(&self) -> bool {
        self.over.load(Ordering::Relaxed)
    }

    /// Bytes of records, tables and indexes.
    pub(crate) fn data_bytes(&self) -> u64 {
        self.data_bytes.load(Ordering::Relaxed).max(0).cast_unsigned()
    }

    /// Resident bytes of the process, as last read.
    pub(crate) fn resident_bytes(&self) -> u64 {
        self.resident_bytes.load(Ordering::Relaxed)
    }

    /// The mark.
    pub(crate) fn limit_bytes(&self) -> u64 {
        self.limit_bytes
    }
}

/// The resident memory of this process, or zero where the system does not tell.
fn resident_bytes() -> u64 {
    let pages = fs::read_to_string("/proc/self/statm")
        .ok()
        .and_then(|statm| statm.split_whitespace().nth(1)?.parse::<u64>().ok());
    pages.unwrap_or(0) * PAGE_BYTES
}

/// The page size of every platform this runs on in production.
const PAGE_BYTES: u64 = 4_096;

/// The memory this process may use: the cgroup's limit where there is one, else the machine's memory.
pub(crate) fn available_bytes() -> u64 {
    let cgroup = ["/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"]
        .iter()
        .find_map(|path| fs::read_to_string(path).ok()?.trim().parse::<u64>().ok());
    let machine = fs::read_to_string("/proc/meminfo").ok().and_then(|text| {
        let line = text.lines().find(|line| line.starts_with("MemTotal:"))?;
        Some(line.split_whitespace().nth(1)?.parse::<u64>().ok()? * 1_024)
    });
    match (cgroup, machine) {
        (Some(cgroup), Some(machine)) => cgroup.min(machine),
        (Some(only), None) | (None, Some(only)) => only,
        (None, None) => 1 << 30,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_gauge_is_over_from_the_mark_on() {
        let gauge = MemoryGauge::new(1 << 50);
        gauge.add_data((1 << 50) - 1);
        assert!(!gauge.is_over());
        gauge.add_data(1);
        assert!(gauge.is_over());
        gauge.add_data(-1);
        assert!(!gauge.is_over());
    }

    #[test]
    fn resident_memory_counts_once_there_is_data() {
        let gauge = MemoryGauge::new(1_000);
        gauge.refresh_resident();
        assert!(gauge.resident_bytes() > 1_000 && !gauge.is_over(), "pages kept for reuse");
        gauge.add_data(500);
        assert!(gauge.is_over());
    }

    #[test]
    fn the_machine_has_some_memory() {
        assert!(available_bytes() > 1 << 20);
    }
}
