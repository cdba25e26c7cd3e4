//! Every operation and reply survives the wire, the bytes of version 2 are frozen, and garbage never panics.

use std::sync::Arc;

use isogrid_core::{
    Condition, Durability, Entry, Error, ErrorCode, Expiry, Hlc, LogPosition, Moment, NumberFormat,
    Op, Outcome, Page, PageEntry, PartitionId, Receipt, Reply, Scan, Seek, SessionId, Sought,
    TableVersion, Timestamp, Version, View,
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
    fn moment(&self) -> Option<Moment> {
        let moment = Moment { version: Version(self.number), records: self.extra.len() as u64 };
        self.extra.first().map(|_| moment)
    }

    fn view(&self) -> View {
        match self.moment() {
            None if self.flag => View::Begin,
            None => View::Latest,
            Some(moment) if self.flag => View::At(moment),
            Some(moment) => View::Done(moment),
        }
    }

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
                filter: value,
                with_values: self.flag,
                view: self.view(),
            }),
            11 => Op::Len { partition },
            13 => Op::Seek(Seek {
                partition,
                index: if self.flag { "by_a" } else { "" },
                from: key,
                to: value,
                entries_max: self.number as u32,
                view: self.view(),
            }),
            12 => Op::Rename { from: key, to: value, if_absent: self.flag },
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
                at: self.moment(),
                entries: vec![PageEntry { key: &self.key, entry }; self.extra.len() % 4],
            }),
            10 => Reply::Sought(Sought {
                next: self.flag.then_some(&self.value),
                at: self.moment(),
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
    (0u8..14, bytes(), bytes(), bytes(), any::<u64>(), condition, expiry, any::<bool>()).prop_map(
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

fn options() -> impl Strategy<Value = OpOptions> {
    let tag = prop_oneof![
        Just(None),
        (any::<u16>(), any::<u64>()).prop_map(|(ahead, number)| {
            let number = number.max(u64::from(ahead) + 1);
            Some(WriteTag { number, ahead })
        }),
    ];
    let mode = prop_oneof![
        Just(None),
        Just(Some(ReadMode::Lease)),
        Just(Some(ReadMode::Confirmed)),
        any::<u32>().prop_map(|staleness_ms| Some(ReadMode::Backup { staleness_ms })),
        Just(Some(ReadMode::Any)),
    ];
    let at_least = proptest::option::of((any::<u64>(), any::<u64>(), any::<u32>()).prop_map(
        |(epoch, seq, loss_generation)| AtLeast {
            position: LogPosition::new(epoch, seq),
            loss_generation,
        },
    ));
    (tag, mode, at_least).prop_map(|(tag, mode, at_least)| OpOptions { tag, mode, at_least })
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

fn head(frame_id: u32) -> FrameHead {
    FrameHead {
        frame_id,
        deadline_ms: 250,
        table_version: TableVersion(3),
        session: Some(SessionId(77)),
        is_gateway: true,
        clock: Hlc(0),
    }
}

fn receipt() -> Receipt {
    Receipt {
        partition: PartitionId(0),
        position: LogPosition::new(4, 8),
        loss_generation: 1,
        replicas: 3,
        durability: Durability::Os,
        lag_ops: 5,
    }
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
    let options = OpOptions {
        tag: Some(WriteTag { number: 12, ahead: 2 }),
        mode: Some(ReadMode::Backup { staleness_ms: 50 }),
        at_least: Some(AtLeast { position: LogPosition::new(4, 30), loss_generation: 1 }),
    };
    writer.push_with(&map, &Op::Len { partition: PartitionId(6) }, &options);
    writer.finish(&head(9)).to_vec()
}

#[test]
fn the_bytes_of_version_2_are_frozen() {
    let mut expected = vec![0x49, 2, 48, 0, 9, 0, 0, 0, 3, 0, 0, 0, 250, 0, 0, 0];
    expected.extend([125, 0, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0]);
    expected.extend([77, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0]);
    expected.extend([1, 0, 0, 2, 0, b'u', b'1']);
    expected.extend([4, 0b11011, 0, 2, 0, 3, 0, 0, 0, 7, 0, 0, 0, 0, 0, 0, 0]);
    expected.extend([0xe8, 3, 0, 0, 0, 0, 0, 0, b'u', b'2', b'A', b'n', b'n']);
    expected.extend([12, 0x80, 0b1_1111, 12, 0, 0, 0, 0, 0, 0, 0, 2, 0, 50, 0, 0, 0]);
    expected.extend([4, 0, 0, 0, 0, 0, 0, 0, 30, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 6, 0]);
    expected.extend([1, 5, b'u', b's', b'e', b'r', b's']);
    assert_eq!(sample_request(), expected);

    let mut writer = ReplyWriter::new();
    writer.put(2, &Reply::Missing);
    let found = Entry { value: b"Ann", version: Version(8), expires_at: None };
    writer.put(0, &Reply::Found(found));
    let written = Reply::Written { version: Version(8), old: None };
    writer.put_with_receipt(1, &written, &receipt());
    let mut expected = vec![0x69, 2, 48, 0, 9, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0];
    expected.extend([0, 0, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0]);
    expected.extend([0; 16]);
    expected.extend([2, 0, 0, 0]);
    expected.extend([0, 0, 1, 1, 8, 0, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, b'A', b'n', b'n']);
    expected.extend([1, 0, 3, 0x80, 4, 0, 0, 0, 0, 0, 0, 0, 8, 0, 0, 0, 0, 0, 0, 0]);
    expected.extend([1, 0, 0, 0, 3, 1, 5, 0, 0, 0, 8, 0, 0, 0, 0, 0, 0, 0]);
    assert_eq!(writer.finish(9, TableVersion(3), Hlc(0)).to_vec(), expected);
}

#[test]
fn a_frame_carries_a_clock_rounded_up_in_its_last_seven_bytes() {
    let reading = Hlc((0x0102_0304_0506 << 16) + 17);
    let mut writer = RequestWriter::new();
    let request = writer.finish(&FrameHead { clock: reading, ..head(1) });
    assert_eq!(request[41..48], [2, 0x60, 0x50, 0x40, 0x30, 0x20, 0x10]);
    let read = RequestFrame::parse(&request).expect("a frame").head.clock;
    assert_eq!(read, reading.coarse());
    let reply = ReplyWriter::new().finish(1, TableVersion(0), reading);
    assert_eq!(reply[41..48], request[41..48]);
    assert_eq!(ReplyFrame::parse(&reply).expect("a frame").clock, reading.coarse());
}

#[test]
fn the_bytes_of_a_rename_are_frozen_and_it_has_one_condition() {
    let map: Arc<str> = Arc::from("m");
    let bytes = |if_absent| {
        let mut writer = RequestWriter::new();
        writer.push(&map, &Op::Rename { from: b"ab", to: b"xyz", if_absent });
        writer.finish(&head(1)).to_vec()
    };
    let operation =
        |flags| [&[14, flags, 0, 2, 0, 3, 0, 0, 0][..], b"abxyz", &[1, 1, b'm']].concat();
    assert_eq!(bytes(false)[48..], operation(0));
    assert_eq!(bytes(true)[48..], operation(1));
    let mut other = bytes(true);
    other[49] = 2;
    assert_eq!(read_all(&other).map_err(|e| e.code()), Err(ErrorCode::FrameMalformed));
    other[48] = 99;
    let unknown = read_all(&other).expect_err("no such operation");
    assert_eq!(unknown.code(), ErrorCode::ProtocolUnknown);
    assert!(unknown.to_string().contains("operation code 99"), "{unknown}");
}

#[test]
fn the_bytes_of_a_seek_are_frozen() {
    let mut writer = RequestWriter::new();
    let partition = PartitionId(0x0102);
    let seek =
        Seek { partition, index: "by", from: b"abc", to: b"d", entries_max: 7, view: View::Latest };
    writer.push(&Arc::from("m"), &Op::Seek(seek));
    let expected = [&[15, 0, 0, 2, 1, 7, 0, 0, 0, 2, 0, 3, 0, 1, 0][..], b"byabcd", &[1, 1, b'm']];
    assert_eq!(writer.finish(&head(1))[48..], expected.concat());
}

#[test]
fn pages_of_one_state_look_like_this() {
    let moment = Moment { version: Version(5), records: 6 };
    let mut writer = RequestWriter::new();
    let view = View::At(moment);
    let seek =
        Seek { partition: PartitionId(2), index: "by", from: b"a", to: b"", entries_max: 7, view };
    writer.push(&Arc::from("m"), &Op::Seek(seek));
    let state = [&[1, 5, 0, 0, 0, 0, 0, 0, 0, 6, 0, 0, 0, 0, 0, 0, 0][..]];
    let seek = [&[18, 0, 0, 2, 0, 7, 0, 0, 0, 2, 0, 1, 0, 0, 0][..], b"bya"];
    let expected = [&seek[..], &state, &[&[1, 1, b'm']]].concat();
    assert_eq!(writer.finish(&head(1))[48..], expected.concat());
    let scan = Scan {
        partition: PartitionId(2),
        cursor: 3,
        entries_max: 7,
        prefix: b"p",
        glob: b"",
        filter: b"",
        with_values: true,
        view: View::Begin,
    };
    let mut writer = RequestWriter::new();
    writer.push(&Arc::from("m"), &Op::Scan(scan));
    let scan = [17, 16, 0, 2, 0, 3, 0, 0, 0, 0, 0, 0, 0, 7, 0, 0, 0, 1, 0, 0, 0];
    let expected = [&scan[..], b"p", &[0; 4], &[0; 17], &[1, 1, b'm']];
    assert_eq!(writer.finish(&head(1))[48..], expected.concat());
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
    bytes.splice(48..48, [0xaa; 8]);
    bytes[2] = 56;
    bytes[16] += 8;
    assert_eq!(read_all(&bytes), Ok(3));
}

#[test]
fn what_a_node_does_not_know_is_named_and_not_guessed() {
    let code = |at: usize, byte: u8| {
        let mut bytes = sample_request();
        bytes[at] = byte;
        read_all(&bytes).map_err(|error| error.code())
    };
    assert_eq!(code(40, 0b10), Err(ErrorCode::ProtocolUnknown), "an option of the frame");
    let extension = 48 + 7 + 30 + 2;
    assert_eq!(code(extension, 1 << 5), Err(ErrorCode::ProtocolUnknown), "an extension");
    assert_eq!(code(extension, 0b1_1011), Err(ErrorCode::FrameMalformed), "a bound for no read");
    assert_eq!(code(extension + 1, 2), Err(ErrorCode::FrameMalformed), "more ahead than there are");
    assert_eq!(code(32, 0), Err(ErrorCode::FrameMalformed), "a number without a session");
}

#[test]
fn a_request_frame_may_be_answered_by_several() {
    let mut writer = ReplyWriter::new();
    writer.put(4, &Reply::Flag(true));
    let first = writer.finish(7, TableVersion(1), Hlc(0));
    assert!(writer.is_empty());
    writer.put_with_receipt(0, &Reply::Count(3), &receipt());
    writer.put(2, &Reply::Missing);
    assert_eq!(writer.replies(), 2);
    let second = writer.finish(7, TableVersion(2), Hlc(0));
    let mut answered = Vec::new();
    for bytes in [&first, &second] {
        let mut frame = ReplyFrame::parse(bytes).expect("own frames parse");
        assert_eq!(frame.frame_id, 7);
        for _ in 0..frame.replies {
            answered.push(frame.next_reply().expect("own replies parse"));
        }
        assert!(frame.finish().is_ok());
    }
    let indexes: Vec<usize> = answered.iter().map(|answered| answered.index).collect();
    assert_eq!(indexes, [4, 0, 2]);
    assert_eq!(answered[1].receipt, Some(receipt()));
    assert_eq!(answered[0].receipt, None);
}

#[test]
fn a_writer_refuses_more_maps_than_a_frame_can_name() {
    let mut writer = RequestWriter::new();
    for number in 0..MAPS_PER_FRAME_MAX {
        assert!(writer.push(&Arc::from(format!("m{number}")), &Op::Get { key: b"k" }));
    }
    assert!(!writer.push(&Arc::from("one-more"), &Op::Get { key: b"k" }));
    let bytes = writer.finish(&head(1));
    assert_eq!(read_all(&bytes), Ok(MAPS_PER_FRAME_MAX));
    assert!(writer.push(&Arc::from("one-more"), &Op::Get { key: b"k" }), "empty again");
}

proptest! {
    #[test]
    fn operations_survive_the_wire(
        ops in proptest::collection::vec((0usize..3, owned(), options()), 0..20),
    ) {
        let maps: Vec<Arc<str>> = ["a", "b", "c"].map(Arc::from).to_vec();
        let mut writer = RequestWriter::new();
        for (map, op, options) in &ops {
            prop_assert!(writer.push_with(&maps[*map], &op.op(), options));
        }
        let bytes = writer.finish(&head(1));
        let mut frame = RequestFrame::parse(&bytes).expect("own frames parse");
        prop_assert_eq!((frame.head, frame.ops), (head(1), ops.len()));
        for (map, op, options) in &ops {
            let (index, read, read_options) = frame.next_op().expect("own operations parse");
            prop_assert_eq!(frame.maps[index], &*maps[*map]);
            prop_assert_eq!(read, op.op());
            prop_assert_eq!(&read_options, options);
        }
        prop_assert!(frame.finish().is_ok());
    }

    #[test]
    fn replies_survive_the_wire(
        replies in proptest::collection::vec((0usize..OPS_PER_FRAME_MAX, owned()), 0..20),
    ) {
        let mut writer = ReplyWriter::new();
        for (index, reply) in &replies {
            if reply.number % 2 == 0 {
                writer.put(*index, &reply.reply());
            } else {
                writer.put_with_receipt(*index, &reply.reply(), &receipt());
            }
        }
        let bytes = writer.finish(5, TableVersion(6), Hlc(0));
        let mut frame = ReplyFrame::parse(&bytes).expect("own frames parse");
        prop_assert_eq!((frame.frame_id, frame.replies), (5, replies.len()));
        prop_assert_eq!(frame.table_version, TableVersion(6));
        for (index, reply) in &replies {
            let receipt = (reply.number % 2 != 0).then(receipt);
            let expected = Answered { index: *index, reply: reply.reply(), receipt };
            prop_assert_eq!(frame.next_reply().expect("own replies parse"), expected);
        }
        prop_assert!(frame.finish().is_ok());
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
            requests.push_with(&map, &op.op(), &OpOptions::tagged(op.number.max(1), 0));
            replies.put_with_receipt(0, &op.reply(), &receipt());
        }
        let mut request = requests.finish(&head(1)).to_vec();
        let mut reply = replies.finish(1, TableVersion(0), Hlc(0)).to_vec();
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
