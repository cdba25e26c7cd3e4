//! [`Glob`]: the patterns of a scan, as Redis has them: `*`, `?`, `[a-z]`, `[^x]` or `[!x]`, and `\` before a character
//! that shall mean itself.

use isogrid_core::limits::KEY_BYTES_HARD_MAX;
use isogrid_core::{Error, ErrorCode, Result};

/// A pattern, read once and matched many times.
#[derive(Debug)]
pub(crate) struct Glob {
    tokens: Vec<Token>,
}

#[derive(Debug, PartialEq)]
enum Token {
    /// `*`: any number of bytes.
    Any,
    /// `?`: one byte.
    One,
    /// A byte that stands for itself.
    Byte(u8),
    /// `[...]`: one of these bytes.
    Set(ByteSet),
}

#[derive(Debug, Default, PartialEq)]
struct ByteSet([u64; 4]);

impl ByteSet {
    fn add_range(&mut self, one: u8, other: u8) {
        for byte in one.min(other)..=one.max(other) {
            self.0[usize::from(byte >> 6)] |= 1 << (byte & 63);
        }
    }

    fn contains(&self, byte: u8) -> bool {
        self.0[usize::from(byte >> 6)] >> (byte & 63) & 1 == 1
    }

    fn inverted(self) -> Self {
        ByteSet(self.0.map(|bits| !bits))
    }
}

impl Glob {
    /// Reads a pattern.
    pub(crate) fn new(pattern: &[u8]) -> Result<Self> {
        if pattern.len() > KEY_BYTES_HARD_MAX {
            let detail = format!("{} bytes, at most {KEY_BYTES_HARD_MAX}", pattern.len());
            return Err(Error::new(ErrorCode::PatternInvalid, detail));
        }
        let mut tokens = Vec::new();
        let mut rest = pattern.iter().copied();
        while let Some(byte) = rest.next() {
            tokens.push(match byte {
                // Several stars mean what one means.
                b'*' if tokens.last() == Some(&Token::Any) => continue,
                b'*' => Token::Any,
                b'?' => Token::One,
                b'[' => Token::Set(read_set(&mut rest)?),
                b'\\' => Token::Byte(rest.next().ok_or_else(ends_in_escape)?),
                _ => Token::Byte(byte),
            });
        }
        Ok(Glob { tokens })
    }

    /// Whether a key matches; adds the steps it took, which are at most the product of both lengths.
    ///
    /// On a mismatch only the last star takes one byte more: what an earlier star could take, the last one can too.
    pub(crate) fn matches(&self, key: &[u8], steps: &mut u64) -> bool {
        let (mut token, mut byte) = (0, 0);
        let mut retry = None;
        loop {
            *steps += 1;
            match self.tokens.get(token) {
                Some(Token::Any) => {
                    token += 1;
                    retry = Some((token, byte));
                    continue;
                }
                Some(one) if key.get(byte).is_some_and(|&byte| one.accepts(byte)) => {
                    token += 1;
                    byte += 1;
                    continue;
                }
                None if byte == key.len() => return true,
                _ => {}
            }
            match &mut retry {
                Some((after_star, taken)) if *taken < key.len() => {
                    *taken += 1;
                    (token, byte) = (*after_star, *taken);
                }
                _ => return false,
            }
        }
    }
}

impl Token {
    fn accepts(&self, byte: u8) -> bool {
        match self {
            Token::Any => false,
            Token::One => true,
            Token::Byte(own) => *own == byte,
            Token::Set(set) => set.contains(byte),
        }
    }
}

/// Reads a set after its opening bracket. The first closing bracket ends it; a hyphen at either end means itself.
fn read_set(rest: &mut impl Iterator<Item = u8>) -> Result<ByteSet> {
    let mut rest = rest.peekable();
    let is_negated = rest.next_if(|&byte| byte == b'^' || byte == b'!').is_some();
    let mut set = ByteSet::default();
    // The start of a range that may follow, and whether its hyphen was read.
    let (mut start, mut in_range) = (None, false);
    loop {
        let byte = match rest.next().ok_or_else(ends_in_set)? {
            b']' => break,
            b'-' if start.is_some() && !in_range => {
                in_range = true;
                continue;
            }
            b'\\' => rest.next().ok_or_else(ends_in_escape)?,
            byte => byte,
        };
        match start {
            Some(first) if in_range => {
                set.add_range(first, byte);
                (start, in_range) = (None, false);
            }
            _ => {
                set.add_range(byte, byte);
                start = Some(byte);
            }
        }
    }
    if in_range {
        set.add_range(b'-', b'-');
    }
    Ok(if is_negated { set.inverted() } else { set })
}

fn ends_in_escape() -> Error {
    Error::new(ErrorCode::PatternInvalid, "it ends inside an escape")
}

fn ends_in_set() -> Error {
    Error::new(ErrorCode::PatternInvalid, "it ends inside a bracket")
}

#[cfg(test)]
#[path = "glob_test.rs"]
mod tests;
