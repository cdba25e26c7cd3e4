//! Frozen bytes of every kind of record, of the segment's header, and what must not decode.

use isogrid_core::{LogPosition, PartitionId};

use crate::place::Place;
use crate::record::{RECORD_HEADER_BYTES, Record, RecordHeader, segment_seed};
use crate::segment::SegmentHeader;

const STORAGE: u128 = 0x0011_2233_4455_6677_8899_aabb_ccdd_eeff;
const SEGMENT: u64 = 7;
const OFFSET: u64 = 48;

pub(crate) fn from_hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.bytes().filter(u8::is_ascii_hexdigit).collect();
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
    digits.chunks(2).map(byte).collect()
}

pub(crate) fn to_hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn fixtures() -> [(Record<'static>, &'static str); 4] {
    let entries = Record::Entries {
        partition: PartitionId(258),
        first: LogPosition::new(3, 10),
        last: LogPosition::new(4, 12),
        entries: b"three entries",
    };
    let position = LogPosition::new(3, 99);
    let begun = Record::ImageBegun { partition: PartitionId(258), position };
    [
        (entries, include_str!("golden/entries-1.hex")),
        (Record::Reset { partition: PartitionId(255) }, include_str!("golden/reset-1.hex")),
        (Record::Durable { place: Place::new(6, 4096) }, include_str!("golden/durable-1.hex")),
        (begun, include_str!("golden/image-begun-1.hex")),
    ]
}

fn decode(bytes: &[u8], offset: u64) -> Option<Record<'_>> {
    let seed = segment_seed(STORAGE, SEGMENT);
    let header = RecordHeader::decode(seed, offset, &bytes[..RECORD_HEADER_BYTES])?;
    let body = &bytes[RECORD_HEADER_BYTES..];
    assert_eq!(header.body_bytes as usize, body.len());
    (header.body_crc == crc32c::crc32c(body)).then(|| Record::decode(&header, body))?
}

#[test]
fn the_bytes_of_records_are_frozen() {
    for (record, golden) in fixtures() {
        let mut bytes = Vec::new();
        record.encode(segment_seed(STORAGE, SEGMENT), OFFSET, &mut bytes);
        assert_eq!(to_hex(&bytes), golden.trim(), "{record:?}");
        assert_eq!(bytes.len(), record.encoded_bytes());
        assert_eq!(decode(&from_hex(golden), OFFSET), Some(record));
    }
}

#[test]
fn the_bytes_of_a_segment_header_are_frozen() {
    let golden = include_str!("golden/segment-1.hex");
    let header = SegmentHeader::new(STORAGE, SEGMENT, 4_711);
    assert_eq!(to_hex(&header.encode()), golden.trim());
    assert_eq!(SegmentHeader::decode(&from_hex(golden)), Some(header));
}

#[test]
fn no_flipped_bit_passes() {
    for (_, golden) in fixtures() {
        let bytes = from_hex(golden);
        for bit in 0..bytes.len() * 8 {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            let seed = segment_seed(STORAGE, SEGMENT);
            let header = RecordHeader::decode(seed, OFFSET, &flipped[..RECORD_HEADER_BYTES]);
            assert_eq!(header.is_some(), bit / 8 >= RECORD_HEADER_BYTES, "bit {bit}");
            assert_eq!(header.and_then(|_| decode(&flipped, OFFSET)), None, "bit {bit}");
        }
    }
}

#[test]
fn a_record_elsewhere_is_none() {
    for (_, golden) in fixtures() {
        let bytes = from_hex(golden);
        assert_eq!(decode(&bytes, OFFSET + 1), None, "another offset");
        let header =
            |storage, segment| RecordHeader::decode(segment_seed(storage, segment), OFFSET, &bytes);
        assert!(header(STORAGE, SEGMENT).is_some());
        assert_eq!(header(STORAGE, SEGMENT + 1), None, "another segment");
        assert_eq!(header(STORAGE + 1, SEGMENT), None, "another storage");
    }
}

#[test]
fn a_body_that_breaks_a_rule_is_no_record() {
    let run =
        |first, last, entries| Record::Entries { partition: PartitionId(1), first, last, entries };
    let position = LogPosition::new;
    for bad in [
        run(position(1, 0), position(1, 1), b"x"),
        run(position(1, 3), position(1, 2), b"x"),
        run(position(2, 3), position(1, 4), b"x"),
        run(position(1, 3), position(1, 4), b""),
    ] {
        let mut bytes = Vec::new();
        bad.encode(segment_seed(STORAGE, SEGMENT), OFFSET, &mut bytes);
        assert_eq!(decode(&bytes, OFFSET), None, "{bad:?}");
    }
}
