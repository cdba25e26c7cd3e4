//! Every operation and reply survives the wire, the bytes of version 1 are frozen, and garbage never panics.

use std::sync::Arc;

use isogrid_core::{
    Condition, Entry, Error, ErrorCode, Expiry, NumberFormat, Op, Outcome, Page, PageEntry,
    PartitionId, Reply, Scan, TableVersion, Timestamp, Version,
};
use proptest::prelude::*;

use super::*;

/// An operation that owns its bytes, so that proptest can make one.
#[derive(Clone, Debug)]
struct Owned {
    kind: u8,
    key: Vec<u8>,
    value: Vec<u8>,
    extra: Vec<u8>,
    number: u64,
    condition: Condition,
    expiry: Expiry,
    flag: bool,
}

impl Owned {
    fn op(&self) -> Op<'_> {
        let (key, value) = (self.key.as_slice(), self.value.as_slice());
        let (condition, expiry, return_old) = (self.condition, self.expiry, self.flag);
        let format = if self.flag { NumberFormat::MessagePack } else { NumberFormat::Text };
        let partition = PartitionId(self.number as u16);
        match self.kind {
            0 => Op::Get { key },
            1 => Op::Exists { key },
            2 => Op::Touch { key },
            3 => Op::Put { key, value, condition, expiry, return_old },
            4 => Op::Delete { key, condition, return_old },
            5 => {
                let expected = self.flag.then_some(self.extra.as_slice());
                Op::CompareAndSet { key, expected, value, expiry }
            }
            6 => Op::Expire { key, expiry },
            7 => Op::Increment { key, delta: self.number as i64, format, expiry },
            8 => Op::IncrementFloat { key, delta: self.number as f64 / 3.0, format, expiry },
            9 => Op::Append { key, value },
            10 => Op::Scan(Scan {
                partition,
                cursor: self.number,
                entries_max: 7,
                prefix: key,
                glob: &self.extra,
                with_values: self.flag,
            }),
            11 => Op::Len { partition },
            _ => Op::Clear { partition },
        }
    }

    fn reply(&self) -> Reply<'_> {
        let version = Version(self.number);
        let expires_at = match self.expiry {
            Expiry::At(at) => Some(at),
            _ => None,
        };
        let entry = Entry { value: &self.value, version, expires_at };
        let old = self.flag.then_some(entry);
        match self.kind {
            0 => Reply::Missing,
            1 => Reply::Found(entry),
            2 => Reply::Flag(self.flag),
            3 => Reply::Written { version, old },
            4 => Reply::Conflict { current: old },
            5 => Reply::Deleted { version, old },
            6 => Reply::Integer { value: self.number as i64, version },
            7 => Reply::Float { value: self.number as f64, version },
            8 => Reply::Count(self.number),
            9 => Reply::Page(Page {
                next: self.flag.then_some(self.number),
                entries: vec![PageEntry { key: &self.key, entry }; self.extra.len() % 4],
            }),
            _ => Reply::Failed(
                Error::new(ErrorCode::MemoryFull, String::from_utf8_lossy(&self.key))
                    .with_outcome(if self.flag { Outcome::Unknown } else { Outcome::NotApplied }),
            ),
        }
    }
}

fn owned() -> impl Strategy<Value = Owned> {
    let bytes = || proptest::collection::vec(any::<u8>(), 0..40);
    let condition = prop_oneof![
        Just(Condition::Always),
        Just(Condition::IfAbsent),
        Just(Condition::IfPresent),
        any::<u64>().prop_map(|v| Condition::IfVersion(Version(v))),
    ];
    let expiry = prop_oneof![
        Just(Expiry::Never),
        Just(Expiry::Keep),
        any::<u64>().prop_map(Expiry::AfterMs),
        any::<u64>().prop_map(|at| Expiry::At(Timestamp(at))),
    ];
    (0u8..13, bytes(), bytes(), bytes(), any::<u64>(), condition, expiry, any::<bool>()).prop_map(
        |(kind, key, value, extra, number, condition, expiry, flag)| Owned {
            kind,
            key,
            value,
            extra,
            number,
            condition,
            expiry,
            flag,
        },
    )
}

/// Reads a frame to its end, as a node does.
fn read_all(bytes: &[u8]) -> isogrid_core::Result<usize> {
    let mut frame = RequestFrame::parse(bytes)?;
    for _ in 0..frame.ops {
        frame.next_op()?;
    }
    frame.finish().map(|()| frame.ops)
}

fn read_all_replies(bytes: &[u8]) -> isogrid_core::Result<usize> {
    let mut frame = ReplyFrame::parse(bytes)?;
    for _ in 0..frame.replies {
        frame.next_reply()?;
    }
    frame.finish().map(|()| frame.replies)
}

fn sample_request() -> Vec<u8> {
    let map: Arc<str> = Arc::from("users");
    let mut writer = RequestWriter::new();
    writer.push(&map, &Op::Get { key: b"u1" });
    writer.push(
        &map,
        &Op::Put {
            key: b"u2",
            value: b"Ann",
            condition: Condition::IfVersion(Version(7)),
            expiry: Expiry::AfterMs(1_000),
            return_old: true,
        },
    );
    writer.finish(9, 250, TableVersion(3)).to_vec()
}

#[test]
fn the_bytes_of_version_1_are_frozen() {
    let mut expected = vec![0x49, 1, 32, 0, 9, 0, 0, 0, 2, 0, 0, 0, 250, 0, 0, 0];
    expected.extend([69, 0, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0]);
    expected.extend([1, 0, 0, 2, 0, b'u', b'1']);
    expected.extend([4, 0b11011, 0, 2, 0, 3, 0, 0, 0, 7, 0, 0, 0, 0, 0, 0, 0]);
    expected.extend([0xe8, 3, 0, 0, 0, 0, 0, 0, b'u', b'2', b'A', b'n', b'n']);
    expected.extend([1, 5, b'u', b's', b'e', b'r', b's']);
    assert_eq!(sample_request(), expected);

    let mut writer = ReplyWriter::new();
    writer.push(&Reply::Missing);
    writer.push(&Reply::Found(Entry { value: b"Ann", version: Version(8), expires_at: None }));
    let mut expected = vec![0x69, 1, 32, 0, 9, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0];
    expected.extend([0, 0, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0]);
    expected.extend([0, 0, 1, 1, 8, 0, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, b'A', b'n', b'n']);
    assert_eq!(writer.finish(9, TableVersion(3)).to_vec(), expected);
}

#[test]
fn a_frame_from_another_version_is_named_as_such() {
    let mut bytes = sample_request();
    bytes[1] = 9;
    assert_eq!(read_all(&bytes).map_err(|e| e.code()), Err(ErrorCode::ProtocolUnknown));
}

#[test]
fn a_longer_header_is_skipped() {
    let mut bytes = sample_request();
    bytes.splice(32..32, [0xaa; 8]);
    bytes[2] = 40;
    bytes[16] += 8;
    assert_eq!(read_all(&bytes), Ok(2));
}

#[test]
fn a_writer_refuses_more_maps_than_a_frame_can_name() {
    let mut writer = RequestWriter::new();
    for number in 0..MAPS_PER_FRAME_MAX {
        assert!(writer.push(&Arc::from(format!("m{number}")), &Op::Get { key: b"k" }));
    }
    assert!(!writer.push(&Arc::from("one-more"), &Op::Get { key: b"k" }));
    let bytes = writer.finish(1, 0, TableVersion(0));
    assert_eq!(read_all(&bytes), Ok(MAPS_PER_FRAME_MAX));
    assert!(writer.push(&Arc::from("one-more"), &Op::Get { key: b"k" }), "empty again");
}

proptest! {
    #[test]
    fn operations_survive_the_wire(ops in proptest::collection::vec((0usize..3, owned()), 0..20)) {
        let maps: Vec<Arc<str>> = ["a", "b", "c"].map(Arc::from).to_vec();
        let mut writer = RequestWriter::new();
        for (map, op) in &ops {
            prop_assert!(writer.push(&maps[*map], &op.op()));
        }
        let bytes = writer.finish(1, 2, TableVersion(3));
        let mut frame = RequestFrame::parse(&bytes).expect("own frames parse");
        prop_assert_eq!((frame.frame_id, frame.deadline_ms, frame.ops), (1, 2, ops.len()));
        for (map, op) in &ops {
            let (index, read) = frame.next_op().expect("own operations parse");
            prop_assert_eq!(frame.maps[index], &*maps[*map]);
            prop_assert_eq!(read, op.op());
        }
        prop_assert!(frame.finish().is_ok());
    }

    #[test]
    fn replies_survive_the_wire(replies in proptest::collection::vec(owned(), 0..20)) {
        let mut writer = ReplyWriter::new();
        for reply in &replies {
            writer.push(&reply.reply());
        }
        let bytes = writer.finish(5, TableVersion(6));
        let mut frame = ReplyFrame::parse(&bytes).expect("own frames parse");
        prop_assert_eq!((frame.frame_id, frame.replies), (5, replies.len()));
        for reply in &replies {
            prop_assert_eq!(frame.next_reply().expect("own replies parse"), reply.reply());
        }
        prop_assert!(frame.finish().is_ok());
    }

    #[test]
    fn replies_may_come_in_any_order(
        replies in proptest::collection::vec(owned(), 0..20).prop_shuffle(),
        order in Just((0..20usize).collect::<Vec<_>>()).prop_shuffle(),
    ) {
        let (mut straight, mut mixed) = (ReplyWriter::new(), ReplyWriter::new());
        for reply in &replies {
            straight.push(&reply.reply());
        }
        for index in order.into_iter().filter(|index| *index < replies.len()) {
            mixed.put(index, &replies[index].reply());
        }
        let version = TableVersion(1);
        prop_assert_eq!(mixed.finish(1, version), straight.finish(1, version));
        mixed.push(&Reply::Missing);
        straight.push(&Reply::Missing);
        prop_assert_eq!(mixed.finish(2, version), straight.finish(2, version), "empty again");
    }

    #[test]
    fn garbage_is_an_error_and_never_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = read_all(&bytes);
        let _ = read_all_replies(&bytes);
    }

    #[test]
    fn a_damaged_frame_is_an_error_or_another_frame(
        ops in proptest::collection::vec(owned(), 1..8),
        damage in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        cut in any::<prop::sample::Index>(),
    ) {
        let map: Arc<str> = Arc::from("m");
        let mut requests = RequestWriter::new();
        let mut replies = ReplyWriter::new();
        for op in &ops {
            requests.push(&map, &op.op());
            replies.push(&op.reply());
        }
        let mut request = requests.finish(1, 0, TableVersion(0)).to_vec();
        let mut reply = replies.finish(1, TableVersion(0)).to_vec();
        for (at, byte) in damage {
            let position = at.index(request.len());
            request[position] = byte;
            let position = at.index(reply.len());
            reply[position] = byte;
        }
        let _ = read_all(&request);
        let _ = read_all(&request[..cut.index(request.len())]);
        let _ = read_all_replies(&reply);
        let _ = read_all_replies(&reply[..cut.index(reply.len())]);
    }
}
