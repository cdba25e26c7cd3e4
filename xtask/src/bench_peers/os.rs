//! The only unsafe code of the chores: what the operating system tells and does about processes, and the standard
//! library has no words for.

#![allow(unsafe_code, reason = "three calls into the C library, none of which touches our memory")]

use std::os::unix::process::ExitStatusExt;
use std::process::{Command, ExitStatus};
use std::time::Duration;

use anyhow::{Result, ensure};

/// How many ticks of /proc/PID/stat make a second.
pub(super) fn ticks_per_second() -> Result<f64> {
    // SAFETY: it takes a number and returns one.
    let ticks = unsafe { libc::sysconf(libc::_SC_CLK_TCK) };
    ensure!(ticks > 0, "the length of a clock tick is unknown");
    Ok(ticks as f64)
}

/// Whether a child has ended: how, and the processor time it used. Once it has, its id must not be used again.
pub(super) fn ended(child: u32) -> Result<Option<(ExitStatus, Duration)>> {
    let mut status = 0;
    // SAFETY: `rusage` is a C structure of plain numbers, for which zeros are valid.
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    // SAFETY: both pointers are to locals that outlive the call.
    let pid = unsafe { libc::wait4(child.cast_signed(), &mut status, libc::WNOHANG, &mut usage) };
    if pid == 0 {
        return Ok(None);
    }
    ensure!(pid > 0, "wait for {child}: {}", std::io::Error::last_os_error());
    let processor_time = duration(usage.ru_utime) + duration(usage.ru_stime);
    Ok(Some((ExitStatus::from_raw(status), processor_time)))
}

fn duration(time: libc::timeval) -> Duration {
    // Neither is ever negative, and there are less than a million microseconds.
    Duration::from_secs(time.tv_sec.unsigned_abs())
        + Duration::from_micros(u64::from((time.tv_usec as i32).unsigned_abs()))
}

/// Lets the child end when this process does, however that comes about: no server is left behind.
#[cfg(target_os = "linux")]
pub(super) fn end_with_parent(command: &mut Command) {
    use std::os::unix::process::CommandExt;
    let ask = || {
        // SAFETY: it takes numbers, and is one of the calls allowed between fork and exec.
        let result = unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) };
        if result == 0 { Ok(()) } else { Err(std::io::Error::last_os_error()) }
    };
    // SAFETY: the closure makes one system call and allocates nothing.
    unsafe { command.pre_exec(ask) };
}

/// Other systems have no such call; there a killed chore leaves its servers behind.
#[cfg(not(target_os = "linux"))]
pub(super) fn end_with_parent(_command: &mut Command) {}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Instant;

    #[test]
    #[expect(clippy::zombie_processes, reason = "it is waited for by `ended`")]
    fn a_child_is_waited_for_with_its_processor_time() {
        let mut shell = Command::new("sh");
        shell.args(["-c", "i=0; while [ $i -lt 50000 ]; do i=$((i+1)); done; exit 7"]);
        end_with_parent(&mut shell);
        let child = shell.spawn().expect("sh runs");
        let began = Instant::now();
        while began.elapsed() < Duration::from_secs(30) {
            if let Some((status, processor_time)) = ended(child.id()).expect("our child") {
                assert_eq!(status.code(), Some(7));
                assert!(!processor_time.is_zero() && processor_time <= began.elapsed() * 2);
                return;
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        panic!("sh did not end");
    }

    #[test]
    fn ticks_are_known() {
        assert!(ticks_per_second().expect("known") >= 10.0);
    }
}
