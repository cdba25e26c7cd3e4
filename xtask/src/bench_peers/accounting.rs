//! What the operating system knows about a running process: its processor time and its resident memory.

use std::time::Duration;

use anyhow::{Context, Result};

use super::os;

/// The processor time a process has used so far, all threads together, in user and in kernel mode. The system counts in
/// ticks of about 10 ms.
pub(super) fn processor_time(pid: u32) -> Result<Duration> {
    let path = format!("/proc/{pid}/stat");
    let text = std::fs::read_to_string(&path).with_context(|| path.clone())?;
    let ticks = ticks_of(&text).with_context(|| format!("{path} is not understood: {text}"))?;
    Ok(Duration::from_secs_f64(ticks as f64 / os::ticks_per_second()?))
}

/// `utime` and `stime`, the 14th and 15th field. The second is the name in parentheses, which may hold anything, so fields
/// are counted behind its last parenthesis.
fn ticks_of(stat: &str) -> Option<u64> {
    let (_, behind_name) = stat.rsplit_once(')')?;
    let mut fields = behind_name.split_ascii_whitespace().skip(11);
    let user: u64 = fields.next()?.parse().ok()?;
    let kernel: u64 = fields.next()?.parse().ok()?;
    Some(user + kernel)
}

/// The resident memory of a process, in bytes.
pub(super) fn resident_bytes(pid: u32) -> Result<u64> {
    let path = format!("/proc/{pid}/status");
    let text = std::fs::read_to_string(&path).with_context(|| path.clone())?;
    vm_rss_of(&text).with_context(|| format!("{path} has no VmRSS"))
}

fn vm_rss_of(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes * 1_024)
}

#[cfg(test)]
mod tests {
    use super::*;

    const STAT: &str = "1234 (redis-server (a) x) S 1 1234 1234 0 -1 4194560 1801 0 3 0 412 88 0 0 20 0 5 0 \
                        98765 66000000 3172 18446744073709551615 1 1 0 0 0 0 0 4097 17642 0 0 0 17 1 0 0";

    #[test]
    fn user_and_kernel_ticks_are_added() {
        assert_eq!(ticks_of(STAT), Some(500));
        assert_eq!(ticks_of("1234 (redis-server) S 1 2"), None);
        assert_eq!(ticks_of(""), None);
    }

    #[test]
    fn resident_memory_is_in_kibibytes() {
        let status = "Name:\tredis-server\nVmPeak:\t  70000 kB\nVmRSS:\t   12688 kB\nThreads:\t5\n";
        assert_eq!(vm_rss_of(status), Some(12_688 * 1_024));
        assert_eq!(vm_rss_of("Name:\tkthread\n"), None);
    }

    #[test]
    fn this_process_is_known() {
        let own = std::process::id();
        assert!(resident_bytes(own).expect("known") > 100_000);
        assert!(processor_time(own).expect("known") < Duration::from_secs(3_600));
    }
}
