//! How a command ends: stable exit codes, and what a failure looks like on standard error.

use std::io::{self, ErrorKind as IoErrorKind};
use std::process::ExitCode;

use isogrid_core::{Error, ErrorCode, ErrorKind, Outcome};

/// The exit codes. Scripts depend on them: they never change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Exit {
    /// Done.
    Ok = 0,
    /// It failed, or there is no such key, map or entry.
    Failed = 1,
    /// The command line or the configuration is wrong: nothing was tried.
    Usage = 2,
    /// No node answers, or it is not ready.
    NotReady = 3,
    /// Some of it was done, some failed.
    Partial = 4,
    /// It may or may not have been done.
    Unknown = 5,
    /// A simulation found something that must never happen.
    Violation = 6,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        ExitCode::from(exit as u8)
    }
}

/// Why a command ends early.
#[derive(Debug)]
pub(crate) enum Failure {
    /// An error of the grid, to be shown.
    Error(Error),
    /// Standard output cannot be written, or a file or standard input not read.
    Io(io::Error),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Failure::Error(error)
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Failure::Io(error)
    }
}

impl From<serde_json::Error> for Failure {
    fn from(error: serde_json::Error) -> Self {
        Failure::Io(error.into())
    }
}

/// What every command returns.
pub(crate) type CommandResult = Result<Exit, Failure>;

/// A wrong argument that clap cannot see.
pub(crate) fn wrong_argument(detail: impl Into<String>) -> Failure {
    Failure::Error(Error::new(ErrorCode::ArgumentInvalid, detail))
}

impl Failure {
    /// The exit code this failure ends with.
    pub(crate) fn exit(&self) -> Exit {
        match self {
            Failure::Error(error) => exit_of(error),
            // Whoever reads our output has seen enough (`… | head`).
            Failure::Io(error) if error.kind() == IoErrorKind::BrokenPipe => Exit::Ok,
            Failure::Io(_) => Exit::Failed,
        }
    }

    /// What is written to standard error: what happened, why, and what to do.
    pub(crate) fn text(&self) -> Option<String> {
        match self {
            Failure::Error(error) => Some(text_of(error)),
            Failure::Io(error) if error.kind() == IoErrorKind::BrokenPipe => None,
            Failure::Io(error) => Some(format!("error: {error}")),
        }
    }
}

fn exit_of(error: &Error) -> Exit {
    match (error.code(), error.kind(), error.outcome()) {
        (
            ErrorCode::AddressUnavailable
            | ErrorCode::AdvertiseUnknown
            | ErrorCode::DataDirUnusable
            | ErrorCode::BackupUnusable
            | ErrorCode::BackupPlaceFails,
            _,
            _,
        ) => Exit::Failed,
        (_, ErrorKind::Configuration, _) => Exit::Usage,
        (ErrorCode::TooManyConnections, _, _) | (_, ErrorKind::Unavailable, _) => Exit::NotReady,
        (_, _, Outcome::Unknown) => Exit::Unknown,
        // The cluster lacks somebody: later it can be done.
        (
            ErrorCode::NotEnoughReplicas
            | ErrorCode::NoQuorum
            | ErrorCode::StillJoining
            | ErrorCode::NoPrimary
            | ErrorCode::OwnerUnreachable
            | ErrorCode::NotSafeToStop,
            _,
            _,
        ) => Exit::NotReady,
        _ => Exit::Failed,
    }
}

/// An error in three lines: what, why, next.
pub(crate) fn text_of(error: &Error) -> String {
    let explanation = error.code().explanation();
    let detail = match error.detail() {
        "" => String::new(),
        detail => format!(": {detail}"),
    };
    format!(
        "error: {} {}{detail}\n  why:  {}\n  next: {}",
        error.code(),
        explanation.what,
        explanation.why,
        explanation.next
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_family_has_its_exit_code() {
        for (code, exit) in [
            (ErrorCode::KeyTooLong, Exit::Failed),
            (ErrorCode::MemoryFull, Exit::Failed),
            (ErrorCode::CannotConnect, Exit::NotReady),
            (ErrorCode::ShuttingDown, Exit::NotReady),
            (ErrorCode::ConnectionLost, Exit::Unknown),
            (ErrorCode::DeadlineBeforeStart, Exit::Failed),
            (ErrorCode::DeadlineInFlight, Exit::Unknown),
            (ErrorCode::ConfigKeyUnknown, Exit::Usage),
            (ErrorCode::EndpointInvalid, Exit::Usage),
            (ErrorCode::AddressUnavailable, Exit::Failed),
            (ErrorCode::TooManyConnections, Exit::NotReady),
            (ErrorCode::NoQuorum, Exit::NotReady),
            (ErrorCode::NotEnoughReplicas, Exit::NotReady),
            (ErrorCode::Deposed, Exit::Unknown),
            (ErrorCode::ChangeRefused, Exit::Failed),
        ] {
            assert_eq!(Failure::Error(Error::new(code, "")).exit(), exit, "{code}");
        }
    }

    #[test]
    fn an_error_says_what_why_and_next() {
        let text = text_of(&Error::new(ErrorCode::CannotConnect, "127.0.0.1:1"));
        assert_eq!(
            text,
            "error: IG-0307 cannot connect: 127.0.0.1:1\n  why:  No node answered at the given addresses.\n  next: \
             check that a node runs there (isogrid status --endpoint HOST:PORT)"
        );
    }

    #[test]
    fn a_reader_that_has_seen_enough_is_no_failure() {
        let failure = Failure::Io(io::Error::from(IoErrorKind::BrokenPipe));
        assert_eq!((failure.exit(), failure.text()), (Exit::Ok, None));
    }
}
