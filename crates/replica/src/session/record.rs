//! [`Record`]: a request that was executed, and its answer, in forty-eight bytes. Only an answer that shows a record needs memory
//! of its own.

use isogrid_core::{Epoch, LogPosition};

use crate::entry::input::Input;
use crate::entry::{Answer, Kept};

/// An executed request.
#[derive(Clone, Debug)]
pub(super) struct Record {
    /// The number of the request in its session.
    pub(super) number: u64,
    /// The entry that executed it.
    pub(super) seq: u64,
    /// The epoch of that entry, for receipts: the entry itself may have left the window.
    pub(super) epoch: Epoch,
    answer: Stored,
}

/// An answer that borrows from nobody.
#[derive(Clone, Debug)]
enum Stored {
    /// The kind, and the number that says all the rest. The kind is a whole word because records are moved as words:
    /// reading one back just after its one byte was written would stall the processor.
    Small { kind: u64, number: u64 },
    /// The kind and the body, as they are encoded.
    Large(Box<[u8]>),
}

/// The number of a small answer whose record was too large to keep; zero says there was none.
const TOO_LARGE: u64 = 1;

impl Record {
    /// A record of the request with this number.
    #[inline]
    pub(super) fn new(number: u64, position: LogPosition, answer: Answer<'_>) -> Self {
        let LogPosition { epoch, seq } = position;
        Record { number, seq, epoch, answer: Stored::new(answer) }
    }

    /// The entry that executed it.
    pub(super) fn position(&self) -> LogPosition {
        LogPosition { epoch: self.epoch, seq: self.seq }
    }

    /// What was answered.
    pub(super) fn answer(&self) -> Answer<'_> {
        match &self.answer {
            Stored::Small { kind, number } => expand(*kind as u8, *number),
            Stored::Large(bytes) => {
                let mut input = Input(&bytes[1..]);
                Answer::decode_body(bytes[0], &mut input).expect("it was encoded here")
            }
        }
    }

    /// The memory it takes.
    #[inline]
    pub(super) fn bytes(&self) -> usize {
        let large = match &self.answer {
            Stored::Small { .. } => 0,
            Stored::Large(bytes) => bytes.len(),
        };
        size_of::<Record>() + large
    }
}

impl Stored {
    #[inline]
    fn new(answer: Answer<'_>) -> Self {
        let number = match answer {
            Answer::None | Answer::Missing => 0,
            Answer::Written { old: kept }
            | Answer::Deleted { old: kept }
            | Answer::Conflict { current: kept } => match kept {
                Kept::Nothing => 0,
                Kept::TooLarge => TOO_LARGE,
                Kept::Entry { .. } => return Stored::large(answer),
            },
            Answer::Integer(value) => value.cast_unsigned(),
            Answer::Float(value) => value.to_bits(),
            Answer::Flag(flag) => u64::from(flag),
            Answer::Count(count) => count,
            Answer::Failed(number) => u64::from(number),
        };
        Stored::Small { kind: u64::from(answer.kind()), number }
    }

    #[cold]
    fn large(answer: Answer<'_>) -> Self {
        let mut bytes = Vec::with_capacity(1 + answer.body_len());
        bytes.push(answer.kind());
        answer.encode_body(&mut bytes);
        Stored::Large(bytes.into_boxed_slice())
    }
}

/// The answer of this kind that the number stands for.
fn expand(kind: u8, number: u64) -> Answer<'static> {
    let kept = if number == TOO_LARGE { Kept::TooLarge } else { Kept::Nothing };
    match kind {
        0 => Answer::None,
        1 => Answer::Missing,
        2 => Answer::Written { old: kept },
        3 => Answer::Deleted { old: kept },
        4 => Answer::Conflict { current: kept },
        5 => Answer::Integer(number.cast_signed()),
        6 => Answer::Float(f64::from_bits(number)),
        7 => Answer::Flag(number != 0),
        8 => Answer::Count(number),
        _ => Answer::Failed(u16::try_from(number).expect("the number of an error code")),
    }
}
