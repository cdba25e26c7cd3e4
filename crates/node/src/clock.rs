//! The one place that reads clocks.

use std::time::{SystemTime, UNIX_EPOCH};

use isogrid_core::Timestamp;
use isogrid_replica::{Now, Ticks};
use rustix::time::{ClockId, clock_gettime};

/// The present time. A clock set before 1970 reads as zero.
pub(crate) fn now() -> Timestamp {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp(since_epoch.as_millis() as u64)
}

/// The present time in nanoseconds since 1970, as steps of traces have it.
pub(crate) fn unix_ns() -> u64 {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since_epoch.as_nanos()).unwrap_or(u64::MAX)
}

/// The monotonic clock. It counts the time that the machine was suspended: leases depend on it.
pub(crate) fn ticks() -> Ticks {
    let time = clock_gettime(ClockId::Boottime);
    Ticks(time.tv_sec.cast_unsigned() * 1_000_000 + time.tv_nsec.cast_unsigned() / 1_000)
}

/// Both clocks.
pub(crate) fn both() -> Now {
    Now { ticks: ticks(), wall: now() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_monotonic_clock_goes_on_in_microseconds() {
        let (before, begin) = (ticks(), std::time::Instant::now());
        std::thread::sleep(std::time::Duration::from_millis(20));
        let (ms, real) = (ticks().ms_since(before), begin.elapsed().as_millis() as u64);
        assert!(ms.abs_diff(real) <= 2, "{ms} ms against {real} ms");
    }
}
