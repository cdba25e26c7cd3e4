//! What clients say. Every body is read with its bounds checked: what is too short is an error, never more.

use bytes::{Buf, Bytes};

use crate::fault::{Fault, broken};
use crate::limits::PARAMETERS_MAX;

/// A message.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Message {
    Query(String),
    Parse {
        name: String,
        text: String,
        types: Vec<u32>,
    },
    Bind(Bind),
    Describe(Target, String),
    Execute {
        portal: String,
        rows_max: usize,
    },
    Close(Target, String),
    Flush,
    Sync,
    /// A call of a function by its number.
    Call,
    Terminate,
    /// Something that nobody asked for, such as data to copy.
    Other,
}

/// Values for a statement.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Bind {
    pub(crate) portal: String,
    pub(crate) statement: String,
    pub(crate) formats: Formats,
    pub(crate) values: Vec<Option<Bytes>>,
    pub(crate) results: Formats,
    /// How long the message is.
    pub(crate) bytes: usize,
}

/// What is described or closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    Statement,
    Portal,
}

/// Which columns or parameters are in binary: none said is none, one said is all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Formats(Vec<bool>);

impl Formats {
    /// Whether the one at this place is.
    pub(crate) fn is_binary(&self, place: usize) -> bool {
        match self.0.as_slice() {
            [one] => *one,
            several => several.get(place).copied().unwrap_or(false),
        }
    }
}

impl Message {
    pub(crate) fn read(letter: u8, body: Bytes) -> Result<Message, Fault> {
        let mut body = Body(body);
        let message = body.message(letter);
        message.ok_or_else(|| broken(format!("a message of type {:?} is cut off", letter as char)))
    }
}

/// A body that is read from its beginning.
struct Body(Bytes);

impl Body {
    fn message(&mut self, letter: u8) -> Option<Message> {
        Some(match letter {
            b'Q' => Message::Query(self.text()?),
            b'P' => {
                let (name, text) = (self.text()?, self.text()?);
                let types = self.list(4, |body| body.number())?;
                Message::Parse { name, text, types }
            }
            b'B' => {
                let bytes = self.0.len();
                let (portal, statement) = (self.text()?, self.text()?);
                let formats = Formats(self.list(2, |body| Some(body.short()? == 1))?);
                let values = self.list(4, Body::value)?;
                let results = Formats(self.list(2, |body| Some(body.short()? == 1))?);
                Message::Bind(Bind { portal, statement, formats, values, results, bytes })
            }
            b'D' => Message::Describe(self.target()?, self.text()?),
            b'C' => Message::Close(self.target()?, self.text()?),
            b'E' => {
                let portal = self.text()?;
                // None and less than none are as many as there are.
                let rows_max = i32::from_be_bytes(self.number()?.to_be_bytes());
                Message::Execute { portal, rows_max: usize::try_from(rows_max).unwrap_or(0) }
            }
            b'H' => Message::Flush,
            b'S' => Message::Sync,
            b'F' => Message::Call,
            b'X' => Message::Terminate,
            _ => Message::Other,
        })
    }

    /// Text that ends with a zero.
    fn text(&mut self) -> Option<String> {
        let end = self.0.iter().position(|byte| *byte == 0)?;
        let text = self.0.split_to(end);
        self.0.advance(1);
        String::from_utf8(text.to_vec()).ok()
    }

    fn short(&mut self) -> Option<u16> {
        (self.0.len() >= 2).then(|| self.0.get_u16())
    }

    fn number(&mut self) -> Option<u32> {
        (self.0.len() >= 4).then(|| self.0.get_u32())
    }

    fn value(&mut self) -> Option<Option<Bytes>> {
        match self.number()? {
            u32::MAX => Some(None),
            length => {
                let length = length as usize;
                (self.0.len() >= length).then(|| Some(self.0.split_to(length)))
            }
        }
    }

    fn list<T>(
        &mut self,
        least_bytes: usize,
        item: impl Fn(&mut Body) -> Option<T>,
    ) -> Option<Vec<T>> {
        let count = usize::from(self.short()?);
        // Room is made for what can be there, not for what is said to be.
        if count * least_bytes > self.0.len() {
            return None;
        }
        (0..count).map(|_| item(self)).collect()
    }

    fn target(&mut self) -> Option<Target> {
        if self.0.is_empty() {
            return None;
        }
        match self.0.get_u8() {
            b'S' => Some(Target::Statement),
            b'P' => Some(Target::Portal),
            _ => None,
        }
    }
}

/// Whether there are too many values for any statement.
pub(crate) fn is_too_many(values: usize) -> bool {
    values > PARAMETERS_MAX
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{any, proptest};

    use super::*;

    fn read(letter: u8, body: &[u8]) -> Option<Message> {
        Message::read(letter, Bytes::copy_from_slice(body)).ok()
    }

    #[test]
    fn messages_are_read() {
        assert_eq!(read(b'Q', b"SELECT 1\0"), Some(Message::Query("SELECT 1".to_owned())));
        let parse = read(b'P', b"s\0SELECT $1\0\0\x01\0\0\0\x14");
        let (name, text) = ("s".to_owned(), "SELECT $1".to_owned());
        assert_eq!(parse, Some(Message::Parse { name, text, types: vec![20] }));
        let bind = read(b'B', b"\0s\0\0\x01\0\x01\0\x02\0\0\0\x01x\xff\xff\xff\xff\0\0")
            .expect("it is one");
        let Message::Bind(bind) = bind else { panic!("{bind:?}") };
        assert_eq!(bind.values, [Some(Bytes::from_static(b"x")), None]);
        assert!(bind.formats.is_binary(0) && bind.formats.is_binary(7));
        assert!(!bind.results.is_binary(0));
        let all = Message::Execute { portal: String::new(), rows_max: 0 };
        assert_eq!(read(b'E', b"\0\xff\xff\xff\xff"), Some(all));
    }

    #[test]
    fn what_is_cut_off_is_an_error() {
        for (letter, body) in [
            (b'Q', &b"SELECT 1"[..]),
            (b'P', b"s\0SELECT $1\0"),
            (b'P', b"s\0SELECT $1\0\xff\xff\0\0\0\x14"),
            (b'B', b"\0s\0\0\x01\0\x01\0\x01\0\0\0\x09x\0\0"),
            (b'D', b""),
            (b'D', b"Zs\0"),
            (b'E', b"p\0\0\0"),
        ] {
            assert_eq!(read(letter, body), None, "{:?} {body:?}", letter as char);
        }
    }

    proptest! {
        #[test]
        fn no_bytes_are_a_panic(letter in any::<u8>(), body in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = read(letter, &body);
        }
    }
}
