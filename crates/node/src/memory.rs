//! How much memory there is, and when to refuse more: a node over its mark answers `MemoryFull`, it never dies of it.

use std::fs;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};

/// From this share of the mark on the resident memory holds the data where it is: what the process takes counts, and the
/// allocator keeps some pages that no record fills.
const RESIDENT_HOLD_PERCENT: u64 = 100;

/// Below this share of the mark the resident memory lets the data grow again.
const RESIDENT_RELEASE_PERCENT: u64 = 95;

/// From this share of the mark on the resident memory makes the data shrink, slowly: freed records give back a page only
/// when the whole of it is free.
const RESIDENT_SHRINK_PERCENT: u64 = 110;

/// The lowest share of the mark that the data is brought down to. What is resident beyond that are not records, and
/// evicting more of them would not help.
const CEILING_PERCENT_MIN: u64 = 50;

/// In how many steps the ceiling goes from nothing to the mark, one for each reading of the resident memory.
const CEILING_STEPS: u64 = 500;

/// The memory of a node: what its data takes, what the process takes, and the mark.
#[derive(Debug)]
pub(crate) struct MemoryGauge {
    /// Bytes of records, tables and indexes. Signed, because cores add their differences in any order.
    data_bytes: AtomicI64,
    /// Bytes of the windows of logs, signed likewise. They count against the mark as data do.
    log_bytes: AtomicI64,
    resident_bytes: AtomicU64,
    limit_bytes: u64,
    /// What the data may take: the mark, or less when the process takes more than its data explains.
    ceiling_bytes: AtomicU64,
    over: AtomicBool,
}

impl MemoryGauge {
    /// A gauge with a mark.
    pub(crate) fn new(limit_bytes: u64) -> Self {
        Self {
            data_bytes: AtomicI64::new(0),
            log_bytes: AtomicI64::new(0),
            resident_bytes: AtomicU64::new(resident_bytes()),
            limit_bytes,
            ceiling_bytes: AtomicU64::new(limit_bytes),
            over: AtomicBool::new(false),
        }
    }

    /// Adds a difference in data bytes.
    pub(crate) fn add_data(&self, difference: i64) {
        self.data_bytes.fetch_add(difference, Ordering::Relaxed);
        self.judge();
    }

    /// Adds a difference in bytes of logs.
    pub(crate) fn add_log(&self, difference: i64) {
        self.log_bytes.fetch_add(difference, Ordering::Relaxed);
        self.judge();
    }

    /// Reads the resident memory of the process anew.
    pub(crate) fn refresh_resident(&self) {
        self.adapt(resident_bytes());
    }

    /// Moves the ceiling of the data by what is resident.
    fn adapt(&self, resident_bytes: u64) {
        self.resident_bytes.store(resident_bytes, Ordering::Relaxed);
        let percent = self.limit_bytes / 100;
        let step = self.limit_bytes / CEILING_STEPS;
        let ceiling = self.ceiling_bytes.load(Ordering::Relaxed);
        let is_held = ceiling < self.limit_bytes;
        let ceiling = if resident_bytes >= percent * RESIDENT_SHRINK_PERCENT && is_held {
            ceiling.saturating_sub(step)
        } else if resident_bytes >= percent * RESIDENT_HOLD_PERCENT && !is_held {
            // Once, not at every reading: data that dips because records expire may come back.
            self.data_bytes().min(self.limit_bytes - 1)
        } else if resident_bytes < percent * RESIDENT_RELEASE_PERCENT {
            ceiling + step
        } else {
            ceiling
        };
        let ceiling = ceiling.clamp(percent * CEILING_PERCENT_MIN, self.limit_bytes);
        self.ceiling_bytes.store(ceiling, Ordering::Relaxed);
        self.judge();
    }

    fn judge(&self) {
        let counted = self.data_bytes() + self.log_bytes();
        let over = counted >= self.ceiling_bytes.load(Ordering::Relaxed);
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

    /// Bytes of the windows of logs.
    pub(crate) fn log_bytes(&self) -> u64 {
        self.log_bytes.load(Ordering::Relaxed).max(0).cast_unsigned()
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
pub(crate) fn resident_bytes() -> u64 {
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
    fn more_resident_memory_than_data_lowers_the_ceiling() {
        let gauge = MemoryGauge::new(1_000_000);
        gauge.add_data(900_000);
        gauge.adapt(999_000);
        assert!(!gauge.is_over());
        gauge.adapt(1_000_000);
        assert!(gauge.is_over(), "held where it is");
        gauge.add_data(-100_000);
        gauge.adapt(1_000_000);
        gauge.add_data(99_999);
        assert!(!gauge.is_over(), "and not below, also after a dip");
        for _ in 0..1_000 {
            gauge.adapt(1_200_000);
        }
        gauge.add_data(-399_999);
        assert!(gauge.is_over(), "the ceiling is at half the mark");
        gauge.add_data(-1);
        assert!(!gauge.is_over(), "and no lower");
        for _ in 0..500 {
            gauge.adapt(900_000);
        }
        gauge.add_data(500_000);
        assert!(!gauge.is_over(), "memory that came back may be used again");
    }

    #[test]
    fn pages_without_data_refuse_nothing() {
        let gauge = MemoryGauge::new(1_000_000);
        gauge.adapt(5_000_000);
        assert!(!gauge.is_over());
    }

    #[test]
    fn the_machine_has_some_memory() {
        assert!(available_bytes() > 1 << 20);
    }
}
