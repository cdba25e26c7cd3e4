//! Objects are made of blocks: each compressed, and with a checksum of its own, so that a reader knows where a damage is.

use std::borrow::Cow;

/// The first bytes of every object: the name of the format and its version.
pub const MAGIC: [u8; 8] = *b"IGBK\x01\0\0\0";

/// What a block holds. Numbers are frozen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Kind {
    /// Records as encoded log entries; the number of an entry is the record's version.
    Records = 1,
    /// Versions of records that are there as an earlier backup has them: differences of ascending numbers, seven bits a byte.
    Kept = 2,
    /// Log entries, each following the one before.
    Entries = 3,
}

/// The bytes before the contents of a block.
///
/// | bytes | field |
/// |---|---|
/// | 1 | [`Kind`] |
/// | 3 | zero |
/// | 4 | length of the contents |
/// | 4 | length as it is stored |
/// | 4 | CRC32C of these twelve bytes and of what is stored |
/// | | the contents, as one LZ4 block |
pub const HEAD_BYTES: usize = 16;

/// The largest contents of a block that a reader accepts: a page of a node, which may have one record of the largest size.
pub const CONTENTS_BYTES_MAX: usize = 1 << 30;

/// A block as it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Block {
    /// What it holds.
    pub kind: Kind,
    /// Its contents.
    pub contents: Vec<u8>,
}

/// Appends a block to an object.
pub fn put(kind: Kind, contents: &[u8], object: &mut Vec<u8>) {
    if object.is_empty() {
        object.extend(MAGIC);
    }
    let stored = lz4_flex::block::compress(contents);
    let head = head(kind, contents.len(), stored.len());
    let sum = crc32c::crc32c_append(crc32c::crc32c(&head), &stored);
    object.extend(head);
    object.extend(sum.to_le_bytes());
    object.extend(stored);
}

fn head(kind: Kind, contents: usize, stored: usize) -> [u8; 12] {
    let mut head = [0; 12];
    head[0] = kind as u8;
    head[4..8].copy_from_slice(&(contents as u32).to_le_bytes());
    head[8..].copy_from_slice(&(stored as u32).to_le_bytes());
    head
}

/// The blocks of an object, in order. After an error there is nothing more.
pub struct Blocks<'a> {
    rest: &'a [u8],
    at: usize,
}

impl<'a> Blocks<'a> {
    /// The blocks of an object.
    ///
    /// # Errors
    /// It does not begin as an object does.
    pub fn of(object: &'a [u8]) -> Result<Self, String> {
        match object.strip_prefix(&MAGIC) {
            Some(rest) => Ok(Blocks { rest, at: MAGIC.len() }),
            None => Err("it does not begin as an object of format 1".to_owned()),
        }
    }

    fn read(&mut self) -> Result<Block, Cow<'static, str>> {
        let (head, rest) =
            self.rest.split_at_checked(HEAD_BYTES).ok_or("it ends within a block")?;
        let number =
            |at: usize| head[at..at + 4].iter().rev().fold(0, |n, b| n << 8 | u32::from(*b));
        let (length, stored, sum) = (number(4) as usize, number(8) as usize, number(12));
        let (stored, after) = rest.split_at_checked(stored).ok_or("it ends within a block")?;
        if crc32c::crc32c_append(crc32c::crc32c(&head[..12]), stored) != sum {
            return Err("the checksum is wrong".into());
        }
        let kind = match head[0] {
            1 => Kind::Records,
            2 => Kind::Kept,
            3 => Kind::Entries,
            other => return Err(format!("block kind {other} is not known").into()),
        };
        if length > CONTENTS_BYTES_MAX {
            return Err(format!("a block of {length} bytes").into());
        }
        let contents = lz4_flex::block::decompress(stored, length)
            .map_err(|error| format!("it cannot be decompressed: {error}"))?;
        if contents.len() != length {
            return Err("a block is shorter than it says".into());
        }
        self.at += HEAD_BYTES + stored.len();
        self.rest = after;
        Ok(Block { kind, contents })
    }
}

impl Iterator for Blocks<'_> {
    type Item = Result<Block, String>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        Some(self.read().map_err(|what| {
            self.rest = &[];
            format!("at byte {}: {what}", self.at)
        }))
    }
}

/// Appends ascending versions as differences.
pub fn put_versions(versions: &[u64], out: &mut Vec<u8>) {
    let mut before = 0;
    for version in versions {
        let mut difference = version - before;
        before = *version;
        while difference >= 0x80 {
            out.push(difference as u8 | 0x80);
            difference >>= 7;
        }
        out.push(difference as u8);
    }
}

/// The versions of a block.
///
/// # Errors
/// The bytes are no versions.
pub fn versions(mut bytes: &[u8]) -> Result<Vec<u64>, String> {
    let (mut versions, mut before) = (Vec::new(), 0u64);
    while !bytes.is_empty() {
        let mut difference = 0u64;
        for shift in (0..64).step_by(7) {
            let Some((byte, rest)) = bytes.split_first() else {
                return Err("the versions end within a number".to_owned());
            };
            bytes = rest;
            difference |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                break;
            }
        }
        before = before.checked_add(difference).ok_or("a version beyond all numbers")?;
        versions.push(before);
    }
    Ok(versions)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_bytes_of_format_1_are_frozen() {
        let mut object = Vec::new();
        put(Kind::Records, b"Ann", &mut object);
        let mut expected = b"IGBK\x01\0\0\0".to_vec();
        expected.extend([1, 0, 0, 0, 3, 0, 0, 0, 4, 0, 0, 0]);
        expected.extend(0x276f_45f1u32.to_le_bytes());
        expected.extend([0x30, b'A', b'n', b'n']);
        assert_eq!(object, expected);
        let mut versions = Vec::new();
        put_versions(&[3, 3 + 127, 130 + 300], &mut versions);
        assert_eq!(versions, [3, 127, 0xac, 2]);
    }

    #[test]
    fn every_flipped_bit_and_every_cut_is_found() {
        let mut object = Vec::new();
        put(Kind::Entries, b"some entries, some entries, some entries", &mut object);
        put(Kind::Kept, &[1, 2, 3], &mut object);
        let read = |object: &[u8]| -> Result<Vec<Block>, String> { Blocks::of(object)?.collect() };
        let whole = read(&object).expect("it is whole");
        assert_eq!((whole.len(), whole[1].kind), (2, Kind::Kept));
        for bit in 0..object.len() * 8 {
            let mut flipped = object.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(read(&flipped).is_err(), "bit {bit}");
        }
        let second = object.len() - HEAD_BYTES - 4;
        for length in (0..object.len()).filter(|length| ![8, second].contains(length)) {
            assert!(read(&object[..length]).is_err(), "{length} bytes");
        }
    }

    proptest! {
        #[test]
        fn versions_are_read_as_they_are_written(mut numbers in proptest::collection::vec(any::<u64>(), 0..50)) {
            numbers.sort_unstable();
            let mut bytes = Vec::new();
            put_versions(&numbers, &mut bytes);
            prop_assert_eq!(versions(&bytes), Ok(numbers));
        }

        #[test]
        fn contents_are_read_as_they_are_written(contents in proptest::collection::vec(any::<u8>(), 0..2_000)) {
            let mut object = Vec::new();
            put(Kind::Records, &contents, &mut object);
            let block = Blocks::of(&object).expect("an object").next().expect("a block");
            prop_assert_eq!(block.expect("whole").contents, contents);
        }
    }
}
