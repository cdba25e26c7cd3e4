//! Signals to a node's process. Only its keeper sends them, and only while the process is its child and not yet waited
//! for: so the number cannot be another process's.

use std::io;

/// What is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Signal {
    /// It stands still, and holds all it has.
    Pause,
    /// It goes on.
    Continue,
}

/// Sends a signal to a child.
#[allow(unsafe_code, reason = "the standard library can only kill")]
pub(super) fn send(pid: u32, signal: Signal) -> io::Result<()> {
    let number = match signal {
        Signal::Pause => libc::SIGSTOP,
        Signal::Continue => libc::SIGCONT,
    };
    let pid = libc::pid_t::try_from(pid).map_err(io::Error::other)?;
    // SAFETY: two numbers go to the system; no memory is shared.
    match unsafe { libc::kill(pid, number) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}
