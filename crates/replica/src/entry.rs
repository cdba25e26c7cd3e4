//! [`Entry`]: one step of a partition's history: where it stands, whose request it answers, what it answered, what it
//! changed. Encoded once, into the log; messages, snapshots and the disk carry those same bytes.
//!
//! ```text
//!  length format flags effect answer epoch seq hlc │ request? │ answer body │ effect body
//!  u32    u8     u8    u8     u8     u64   u64 u64 │ 3 × u64  │             │ to the end
//! ```
//!
//! | module | what it does |
//! |---|---|
//! | `encoding` | the bytes of an entry: the data dictionary |
//! | `answer` | [`Answer`]: the small result that a retry gets again |
//! | `input` | reads numbers and slices and never beyond the end |

mod answer;
mod encoding;
pub(crate) mod input;

use std::fmt;

use isogrid_core::{Effect, Hlc, LogPosition, RequestId};

pub use answer::{Answer, KEPT_BYTES_MAX, Kept};
pub(crate) use encoding::{hlc_at, position_at};

/// The format of the encoding, in every entry. A change of the layout takes the next number, and this one stays readable.
pub const ENTRY_FORMAT: u8 = 1;

/// The shortest entry: its fixed part alone.
pub const ENTRY_BYTES_MIN: usize = 32;

/// Which request an entry answers, and what its client has finished.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tag {
    /// The request.
    pub id: RequestId,
    /// The client waits for no request with a smaller number: their answers can be forgotten.
    pub first_incomplete: u64,
}

/// One entry of a partition's log.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Entry<'a> {
    /// Where it stands. Its number is also the version of what it writes.
    pub position: LogPosition,
    /// When the primary made it.
    pub hlc: Hlc,
    /// The request it answers. An entry has a request exactly if it has an answer.
    pub request: Option<Tag>,
    /// What the request was answered, for its retries.
    pub answer: Answer<'a>,
    /// What it changes.
    pub effect: Effect<'a>,
}

/// Why bytes are not what they should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DecodeError {
    /// The bytes end too early.
    Truncated,
    /// They are of a format that this version does not know.
    FormatUnknown(u8),
    /// They break a rule of the layout; the text says which.
    Malformed(&'static str),
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            DecodeError::Truncated => f.write_str("the bytes end too early"),
            DecodeError::FormatUnknown(format) => write!(f, "format {format} is not known"),
            DecodeError::Malformed(what) => f.write_str(what),
        }
    }
}

impl std::error::Error for DecodeError {}

/// An entry with the bytes it was decoded from.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Encoded<'a> {
    /// What the bytes say.
    pub entry: Entry<'a>,
    /// The bytes of this entry alone.
    pub bytes: &'a [u8],
}

/// The entries of concatenated encodings, in order. After an error there is nothing more.
#[derive(Clone, Debug)]
pub struct Entries<'a> {
    rest: &'a [u8],
}

impl<'a> Entries<'a> {
    /// The entries in these bytes.
    pub fn new(bytes: &'a [u8]) -> Self {
        Entries { rest: bytes }
    }
}

impl<'a> Iterator for Entries<'a> {
    type Item = Result<Encoded<'a>, DecodeError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        match Entry::decode(self.rest) {
            Ok(encoded) => {
                self.rest = &self.rest[encoded.bytes.len()..];
                Some(Ok(encoded))
            }
            Err(error) => {
                self.rest = &[];
                Some(Err(error))
            }
        }
    }
}

#[cfg(test)]
#[path = "entry_test.rs"]
mod tests;
