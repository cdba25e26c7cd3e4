//! [`Answer`]: what a request was answered, small enough to be kept for its retries. The version of a write is the number
//! of its entry, so an answer does not repeat it.

use isogrid_core::{Entry as Record, Error, ErrorCode, Outcome, Reply, Timestamp, Version};

use crate::entry::DecodeError;
use crate::entry::input::Input;

/// The longest value that is kept in an answer. Of a longer one the retry hears only that the write happened.
pub const KEPT_BYTES_MAX: usize = 256;

/// What is kept of the record that an answer shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kept<'a> {
    /// There was none, or it was not asked for.
    Nothing,
    /// The whole record.
    Entry {
        /// The value.
        value: &'a [u8],
        /// The version of the record.
        version: Version,
        /// When the record expires, if it does.
        expires_at: Option<Timestamp>,
    },
    /// There was one, and its value is too long to keep.
    TooLarge,
}

/// The answer to a write, as its entry keeps it.
///
/// | kind | answer | body |
/// |---|---|---|
/// | 0 | `None` | |
/// | 1 | `Missing` | |
/// | 2 | `Written` | kept |
/// | 3 | `Deleted` | kept |
/// | 4 | `Conflict` | kept |
/// | 5 | `Integer` | i64 |
/// | 6 | `Float` | f64 |
/// | 7 | `Flag` | u8: 0 or 1 |
/// | 8 | `Count` | u64 |
/// | 9 | `Failed` | u16 |
///
/// | kept | what | body |
/// |---|---|---|
/// | 0 | nothing | |
/// | 1 | an entry | version u64, length u16, value |
/// | 2 | an entry that expires | version u64, expires_at u64, length u16, value |
/// | 3 | too large | |
///
/// These numbers are frozen.
#[derive(Clone, Copy, Debug, PartialEq)]
// Moved as whole words: a payload that began right behind a one-byte tag would be read back before it is written.
#[repr(C)]
pub enum Answer<'a> {
    /// Nobody asked.
    None,
    /// There was no such key.
    Missing,
    /// The write happened.
    Written {
        /// What was there before, if it was asked for.
        old: Kept<'a>,
    },
    /// The key was removed.
    Deleted {
        /// What was there before, if it was asked for.
        old: Kept<'a>,
    },
    /// The condition did not hold; nothing was written.
    Conflict {
        /// What stood there.
        current: Kept<'a>,
    },
    /// The integer after the write.
    Integer(i64),
    /// The number after the write.
    Float(f64),
    /// Yes or no.
    Flag(bool),
    /// A count.
    Count(u64),
    /// The write failed, with an error that lies in the data: the number of its code.
    Failed(u16),
}

impl<'a> Kept<'a> {
    fn of(record: Option<Record<'a>>) -> Self {
        match record {
            None => Kept::Nothing,
            Some(record) if record.value.len() > KEPT_BYTES_MAX => Kept::TooLarge,
            Some(Record { value, version, expires_at }) => {
                Kept::Entry { value, version, expires_at }
            }
        }
    }

    /// The record again; an error with this outcome when it was too large to keep.
    fn record(self, outcome: Outcome) -> Result<Option<Record<'a>>, Error> {
        match self {
            Kept::Nothing => Ok(None),
            Kept::Entry { value, version, expires_at } => {
                Ok(Some(Record { value, version, expires_at }))
            }
            Kept::TooLarge => Err(not_kept(outcome)),
        }
    }

    #[inline]
    fn encoded_len(self) -> usize {
        match self {
            Kept::Nothing | Kept::TooLarge => 1,
            Kept::Entry { value, expires_at: None, .. } => 11 + value.len(),
            Kept::Entry { value, expires_at: Some(_), .. } => 19 + value.len(),
        }
    }

    #[inline]
    fn encode(self, out: &mut Vec<u8>) {
        match self {
            Kept::Nothing => out.push(0),
            Kept::Entry { value, version, expires_at } => {
                out.push(1 + u8::from(expires_at.is_some()));
                out.extend_from_slice(&version.0.to_le_bytes());
                if let Some(at) = expires_at {
                    out.extend_from_slice(&at.0.to_le_bytes());
                }
                let length = u16::try_from(value.len()).expect("a kept value is short");
                out.extend_from_slice(&length.to_le_bytes());
                out.extend_from_slice(value);
            }
            Kept::TooLarge => out.push(3),
        }
    }

    #[inline]
    fn decode(input: &mut Input<'a>) -> Result<Self, DecodeError> {
        let kind = input.u8()?;
        match kind {
            0 => return Ok(Kept::Nothing),
            1 | 2 => {}
            3 => return Ok(Kept::TooLarge),
            _ => return Err(DecodeError::Malformed("a kept record of an unknown kind")),
        }
        let version = Version(input.u64()?);
        let expires_at = if kind == 2 { Some(Timestamp(input.u64()?)) } else { None };
        let length = usize::from(input.u16()?);
        if length > KEPT_BYTES_MAX {
            return Err(DecodeError::Malformed("a kept value is longer than the limit"));
        }
        Ok(Kept::Entry { value: input.take(length)?, version, expires_at })
    }
}

impl<'a> Answer<'a> {
    /// What is kept of the reply to a write. Replies of reads are not kept: they are made anew.
    pub fn of(reply: &Reply<'a>) -> Self {
        match *reply {
            Reply::Missing => Answer::Missing,
            Reply::Written { old, .. } => Answer::Written { old: Kept::of(old) },
            Reply::Deleted { old, .. } => Answer::Deleted { old: Kept::of(old) },
            Reply::Conflict { current } => Answer::Conflict { current: Kept::of(current) },
            Reply::Integer { value, .. } => Answer::Integer(value),
            Reply::Float { value, .. } => Answer::Float(value),
            Reply::Flag(flag) => Answer::Flag(flag),
            Reply::Count(count) => Answer::Count(count),
            Reply::Failed(ref error) => Answer::Failed(error.code() as u16),
            Reply::Found(_) | Reply::Page(_) | Reply::Sought(_) => {
                debug_assert!(false, "the reply of a read is not kept");
                Answer::Failed(ErrorCode::Internal as u16)
            }
        }
    }

    /// The reply again. `version` is the one of the answer's entry.
    ///
    /// # Errors
    /// The record that the reply should show was too large to keep. The outcome of the error says what became of the write.
    pub fn to_reply(self, version: Version) -> Result<Reply<'a>, Error> {
        Ok(match self {
            Answer::None => {
                return Err(Error::new(ErrorCode::Internal, "a request without an answer"));
            }
            Answer::Missing => Reply::Missing,
            Answer::Written { old } => {
                Reply::Written { version, old: old.record(Outcome::Applied)? }
            }
            Answer::Deleted { old } => {
                Reply::Deleted { version, old: old.record(Outcome::Applied)? }
            }
            Answer::Conflict { current } => {
                Reply::Conflict { current: current.record(Outcome::NotApplied)? }
            }
            Answer::Integer(value) => Reply::Integer { value, version },
            Answer::Float(value) => Reply::Float { value, version },
            Answer::Flag(flag) => Reply::Flag(flag),
            Answer::Count(count) => Reply::Count(count),
            Answer::Failed(number) => {
                let code = ErrorCode::from_number(number).unwrap_or(ErrorCode::Internal);
                Reply::Failed(Error::new(code, "as the first try was answered"))
            }
        })
    }

    /// The number of the kind.
    #[inline]
    pub(crate) fn kind(self) -> u8 {
        match self {
            Answer::None => 0,
            Answer::Missing => 1,
            Answer::Written { .. } => 2,
            Answer::Deleted { .. } => 3,
            Answer::Conflict { .. } => 4,
            Answer::Integer(_) => 5,
            Answer::Float(_) => 6,
            Answer::Flag(_) => 7,
            Answer::Count(_) => 8,
            Answer::Failed(_) => 9,
        }
    }

    /// How long the body is.
    #[inline]
    pub(crate) fn body_len(self) -> usize {
        match self {
            Answer::None | Answer::Missing => 0,
            Answer::Written { old: kept }
            | Answer::Deleted { old: kept }
            | Answer::Conflict { current: kept } => kept.encoded_len(),
            Answer::Integer(_) | Answer::Float(_) | Answer::Count(_) => 8,
            Answer::Flag(_) => 1,
            Answer::Failed(_) => 2,
        }
    }

    /// Appends the body: all but the kind.
    #[inline]
    pub(crate) fn encode_body(self, out: &mut Vec<u8>) {
        match self {
            Answer::None | Answer::Missing => {}
            Answer::Written { old: kept }
            | Answer::Deleted { old: kept }
            | Answer::Conflict { current: kept } => kept.encode(out),
            Answer::Integer(value) => out.extend_from_slice(&value.to_le_bytes()),
            Answer::Float(value) => out.extend_from_slice(&value.to_bits().to_le_bytes()),
            Answer::Flag(flag) => out.push(u8::from(flag)),
            Answer::Count(count) => out.extend_from_slice(&count.to_le_bytes()),
            Answer::Failed(number) => out.extend_from_slice(&number.to_le_bytes()),
        }
    }

    /// Reads the body of an answer of this kind.
    #[inline]
    pub(crate) fn decode_body(kind: u8, input: &mut Input<'a>) -> Result<Self, DecodeError> {
        Ok(match kind {
            0 => Answer::None,
            1 => Answer::Missing,
            2 => Answer::Written { old: Kept::decode(input)? },
            3 => Answer::Deleted { old: Kept::decode(input)? },
            4 => Answer::Conflict { current: Kept::decode(input)? },
            5 => Answer::Integer(input.u64()?.cast_signed()),
            6 => Answer::Float(f64::from_bits(input.u64()?)),
            7 => match input.u8()? {
                0 => Answer::Flag(false),
                1 => Answer::Flag(true),
                _ => return Err(DecodeError::Malformed("a flag that is neither yes nor no")),
            },
            8 => Answer::Count(input.u64()?),
            9 => Answer::Failed(input.u16()?),
            _ => return Err(DecodeError::Malformed("an answer of an unknown kind")),
        })
    }
}

/// The error of a retry whose answer was too large to keep.
#[cold]
fn not_kept(outcome: Outcome) -> Error {
    let detail = format!(
        "this is a retry, and its first answer held a value of more than {KEPT_BYTES_MAX} bytes, which is not kept"
    );
    Error::new(ErrorCode::ReplyTooLarge, detail).with_outcome(outcome)
}
