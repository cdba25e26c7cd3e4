//! The processor time of this process.

use std::time::Duration;

/// Processor time used so far by all threads of this process, user and system.
#[allow(unsafe_code, reason = "the standard library cannot ask the system for this")]
pub(super) fn used() -> Duration {
    // SAFETY: an all-zero rusage is a valid one, it only has numbers.
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    // SAFETY: the pointer is to a live rusage that nobody else uses.
    let failed = unsafe { libc::getrusage(libc::RUSAGE_SELF, &raw mut usage) } != 0;
    if failed {
        return Duration::ZERO;
    }
    duration(usage.ru_utime) + duration(usage.ru_stime)
}

fn duration(time: libc::timeval) -> Duration {
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    let micros = u64::try_from(time.tv_usec).unwrap_or(0);
    Duration::from_secs(seconds) + Duration::from_micros(micros)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_uses_time() {
        let before = used();
        let mut sum = 0u64;
        while used() == before {
            sum = std::hint::black_box(sum.wrapping_add(1));
        }
        assert!(used() > before);
    }
}
