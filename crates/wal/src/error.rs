//! [`WalError`]: what went wrong on the disk, why, and what to do.

use std::fmt;
use std::io;

use crate::place::Place;

/// The crate's results.
pub type Result<T> = std::result::Result<T, WalError>;

/// What went wrong, grouped by what the caller does next.
#[derive(Debug)]
pub enum WalError {
    /// The disk is full. What was to be written is not in the log; try again when there is space.
    NoSpace {
        /// What was being done.
        what: String,
    },
    /// The disk reported an error. What was to be written is not in the log; trying again is safe.
    Io {
        /// What was being done.
        what: String,
        /// What the disk said.
        source: io::Error,
    },
    /// A sync failed: what was written after the last good one may not be there. The log refuses everything until it is
    /// opened again.
    Failed {
        /// Up to here all is synced.
        synced: Place,
        /// What the disk said.
        why: String,
    },
    /// The folder belongs to another storage.
    Foreign {
        /// Which file.
        file: String,
        /// Whose it is.
        found: u128,
        /// Whose it should be.
        expected: u128,
    },
    /// A newer version wrote this.
    FormatNewer {
        /// Which file.
        file: String,
        /// What was found.
        found: String,
        /// What this version knows.
        known: String,
    },
    /// The folder holds something that the log did not put there.
    Unexpected {
        /// The path.
        path: String,
        /// What should be there.
        why: String,
    },
    /// Bytes are not what was written.
    Damaged(Damage),
    /// The caller asked for what is not allowed.
    Refused {
        /// What, and why not.
        why: String,
    },
}

/// Bytes that are not what was written: where, and whom they concern.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damage {
    /// The file, from the storage's folder.
    pub file: String,
    /// Where in the file.
    pub offset: u64,
    /// What is wrong.
    pub why: String,
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at byte {}: {}", self.file, self.offset, self.why)
    }
}

impl WalError {
    /// An error of the disk, with what was being done.
    pub(crate) fn io(what: impl Into<String>, source: io::Error) -> Self {
        let what = what.into();
        match source.kind() {
            io::ErrorKind::StorageFull
            | io::ErrorKind::QuotaExceeded
            | io::ErrorKind::FileTooLarge => WalError::NoSpace { what },
            _ => WalError::Io { what, source },
        }
    }

    pub(crate) fn refused(why: impl Into<String>) -> Self {
        WalError::Refused { why: why.into() }
    }
}

impl fmt::Display for WalError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            WalError::NoSpace { what } => write!(
                f,
                "{what}: the disk is full; nothing of it counts as written: free space, writing goes on by itself"
            ),
            WalError::Io { what, source } => write!(
                f,
                "{what}: {source}; nothing of it counts as written: check the disk, then try again"
            ),
            WalError::Failed { synced, why } => write!(
                f,
                "a sync failed ({why}): what was written after {synced} may be lost, and syncing again would not tell; \
                 check the disk, then open the log again"
            ),
            WalError::Foreign { file, found, expected } => write!(
                f,
                "{file} belongs to storage {found:032x}, not to {expected:032x}: the folder is another node's; \
                 give this node its own folder, or an empty one"
            ),
            WalError::FormatNewer { file, found, known } => write!(
                f,
                "{file} was written by a newer version ({found}; this one knows {known}): start the newer version again"
            ),
            WalError::Unexpected { path, why } => write!(
                f,
                "{path} does not belong there ({why}): move it away, or choose another folder"
            ),
            WalError::Damaged(damage) => {
                write!(f, "{damage}: restore it from a backup, or let the node copy it again")
            }
            WalError::Refused { why } => f.write_str(why),
        }
    }
}

impl std::error::Error for WalError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            WalError::Io { source, .. } => Some(source),
            _ => None,
        }
    }
}
