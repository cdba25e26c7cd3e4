//! Why a backup cannot be written or read.

use std::fmt;

/// A result with this crate's error.
pub type Result<T> = std::result::Result<T, Error>;

/// What is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Error {
    /// The place could not be read or written.
    Place {
        /// What was to be read or written.
        path: String,
        /// What the store says.
        why: String,
    },
    /// An object or a backup is not there.
    Missing {
        /// Which.
        path: String,
    },
    /// Bytes are not what was written.
    Damaged {
        /// Which object.
        path: String,
        /// What is wrong with it.
        what: String,
    },
    /// What a node sent does not follow what it sent before.
    Disorder {
        /// Of which partition.
        partition: u32,
        /// What does not fit.
        what: &'static str,
    },
}

impl Error {
    pub(crate) fn damaged(path: &str, what: impl Into<String>) -> Self {
        Error::Damaged { path: path.to_owned(), what: what.into() }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Place { path, why } => write!(f, "{path}: {why}"),
            Error::Missing { path } => write!(f, "{path} is missing"),
            Error::Damaged { path, what } => write!(f, "{path} is damaged: {what}"),
            Error::Disorder { partition, what } => write!(f, "partition {partition}: {what}"),
        }
    }
}

impl std::error::Error for Error {}
