//! The encoding of entries: golden bytes per kind, a round trip of whatever there is, and no panic on whatever there is not.

use isogrid_core::limits::{KEY_BYTES_HARD_MAX, VALUE_BYTES_HARD_MAX};
use isogrid_core::{
    Cause, EndedSessions, Entry as Record, Error, ErrorCode, MapId, Outcome, Reply, SessionId,
    Timestamp, Version,
};
use proptest::prelude::{Strategy, any, prop, prop_assert, prop_assert_eq, prop_oneof, proptest};

use super::*;

/// An entry that owns its bytes, for generated cases.
#[derive(Clone, Debug)]
struct Case {
    numbers: (u64, u64, u64),
    request: Option<(u64, u64, u64)>,
    answer: u8,
    kept: u8,
    effect: u8,
    map: u32,
    number: u64,
    expires_at: Option<u64>,
    key: Vec<u8>,
    value: Vec<u8>,
    ended: Vec<u8>,
}

impl Case {
    fn entry(&self) -> Entry<'_> {
        let expires_at = self.expires_at.map(Timestamp);
        let value = &self.value[..self.value.len().min(KEPT_BYTES_MAX)];
        let kept = match self.kept {
            0 => Kept::Nothing,
            1 => Kept::Entry { value, version: Version(self.number), expires_at },
            _ => Kept::TooLarge,
        };
        let answer = match self.answer {
            _ if self.request.is_none() => Answer::None,
            0 => Answer::Missing,
            1 => Answer::Written { old: kept },
            2 => Answer::Deleted { old: kept },
            3 => Answer::Conflict { current: kept },
            4 => Answer::Integer(self.number.cast_signed()),
            5 => Answer::Float(self.number as f64 / 8.0),
            6 => Answer::Flag(self.number.is_multiple_of(2)),
            7 => Answer::Count(self.number),
            _ => Answer::Failed(self.number as u16),
        };
        let (map, key) = (MapId(self.map), self.key.as_slice());
        let effect = match self.effect {
            0 => Effect::Nothing,
            1 => Effect::Put { map, key, value: &self.value, expires_at },
            2 => Effect::Remove { map, key, cause: Cause::Deleted },
            3 => Effect::Remove { map, key, cause: Cause::Expired },
            4 => Effect::Remove { map, key, cause: Cause::Evicted },
            5 => Effect::Clear { map },
            6 if self.key != self.value => {
                Effect::Rename { map, from: key, to: &self.value, value: &self.ended, expires_at }
            }
            _ => {
                Effect::EndSessions(EndedSessions { watermark: SessionId(10), above: &self.ended })
            }
        };
        Entry {
            position: LogPosition::new(self.numbers.0, self.numbers.1 & Version::MAX.0),
            hlc: Hlc(self.numbers.2),
            request: self.request.map(|(session, number, first_incomplete)| Tag {
                id: RequestId { session: SessionId(session), number },
                first_incomplete,
            }),
            answer,
            effect,
        }
    }
}

fn cases() -> impl Strategy<Value = Case> {
    let ended = prop::collection::btree_set(10..u64::MAX, 0..5)
        .prop_map(|numbers| numbers.into_iter().flat_map(u64::to_le_bytes).collect::<Vec<u8>>());
    let value = prop_oneof![
        prop::collection::vec(any::<u8>(), 0..40),
        prop::collection::vec(any::<u8>(), 250..260)
    ];
    let head = (any::<(u64, u64, u64)>(), any::<Option<(u64, u64, u64)>>());
    let kinds = (0..9u8, 0..3u8, 0..8u8);
    let fields = (any::<u32>(), any::<u64>(), any::<Option<u64>>());
    let bytes = (prop::collection::vec(any::<u8>(), 0..20), value, ended);
    (head, kinds, fields, bytes).prop_map(|(head, kinds, fields, bytes)| Case {
        numbers: head.0,
        request: head.1,
        answer: kinds.0,
        kept: kinds.1,
        effect: kinds.2,
        map: fields.0,
        number: fields.1,
        expires_at: fields.2,
        key: bytes.0,
        value: bytes.1,
        ended: bytes.2,
    })
}

fn encoded(entry: &Entry<'_>) -> Vec<u8> {
    let mut bytes = Vec::new();
    entry.encode(&mut bytes);
    bytes
}

proptest! {
    #[test]
    fn what_is_encoded_decodes_to_the_same(cases in prop::collection::vec(cases(), 1..6)) {
        let mut bytes = Vec::new();
        for case in &cases {
            let before = bytes.len();
            case.entry().encode(&mut bytes);
            prop_assert_eq!(bytes.len() - before, case.entry().encoded_len());
        }
        let mut entries = Entries::new(&bytes);
        for case in &cases {
            let read = entries.next().expect("one per case").expect("valid");
            prop_assert_eq!(read.entry, case.entry());
            prop_assert_eq!(read.bytes, encoded(&case.entry()));
            prop_assert_eq!(position_at(read.bytes), case.entry().position);
            prop_assert_eq!(hlc_at(read.bytes), case.entry().hlc);
        }
        prop_assert!(entries.next().is_none());
    }

    #[test]
    fn a_part_of_an_entry_is_an_error(case in cases(), cut in any::<prop::sample::Index>()) {
        let bytes = encoded(&case.entry());
        let cut = cut.index(bytes.len());
        prop_assert_eq!(Entry::decode(&bytes[..cut]), Err(DecodeError::Truncated));
    }

    #[test]
    fn damaged_bytes_are_an_error_or_another_entry(
        case in cases(),
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
    ) {
        let mut bytes = encoded(&case.entry());
        for (index, byte) in damage {
            // Mostly the structure: the fixed part and the beginning of what follows.
            let index = index.index(bytes.len().min(80));
            bytes[index] = byte;
        }
        if let Ok(read) = Entry::decode(&bytes) {
            prop_assert_eq!(encoded(&read.entry), read.bytes, "one encoding for one entry");
        }
    }

    #[test]
    fn garbage_never_panics(mut bytes in prop::collection::vec(any::<u8>(), 0..120), sane in any::<bool>()) {
        if sane && bytes.len() >= ENTRY_BYTES_MIN {
            let length = bytes.len() as u32;
            bytes[..4].copy_from_slice(&length.to_le_bytes());
            let kinds = [ENTRY_FORMAT, bytes[5] % 4, bytes[6] % 7, bytes[7] % 11];
            bytes[4..8].copy_from_slice(&kinds);
        }
        for read in Entries::new(&bytes).flatten() {
            prop_assert_eq!(encoded(&read.entry), read.bytes);
        }
    }

    #[test]
    fn an_answer_gives_the_reply_again(case in cases(), version in any::<u64>()) {
        let answer = case.entry().answer;
        match answer.to_reply(Version(version)) {
            Ok(Reply::Failed(_)) => prop_assert!(matches!(answer, Answer::Failed(_))),
            Ok(reply) => prop_assert_eq!(Answer::of(&reply), answer),
            Err(error) if answer == Answer::None => {
                prop_assert_eq!(error.code(), ErrorCode::Internal);
            }
            Err(error) => {
                let applied = !matches!(answer, Answer::Conflict { .. });
                let outcome = if applied { Outcome::Applied } else { Outcome::NotApplied };
                prop_assert_eq!(error.outcome(), outcome);
            }
        }
    }
}

/// A kind of entry, and its bytes, which must never change: logs on disk hold them.
type Golden = (&'static str, Entry<'static>, &'static str);

const PUT: Effect<'_> =
    Effect::Put { map: MapId(7), key: b"key", value: b"value", expires_at: None };

fn plain(effect: Effect<'_>) -> Entry<'_> {
    Entry {
        position: LogPosition::new(3, 258),
        hlc: Hlc(0x0102_0304_0506_0708),
        request: None,
        answer: Answer::None,
        effect,
    }
}

fn asked<'a>(answer: Answer<'a>, effect: Effect<'a>) -> Entry<'a> {
    let id = RequestId { session: SessionId(9), number: 5 };
    Entry { request: Some(Tag { id, first_incomplete: 4 }), answer, ..plain(effect) }
}

fn golden_effects() -> Vec<Golden> {
    let (map, key, value) = (MapId(7), b"key".as_slice(), b"value".as_slice());
    let put_expiring = Effect::Put { map, key, value, expires_at: Some(Timestamp(1000)) };
    let remove = |cause| Effect::Remove { map, key, cause };
    let ended = EndedSessions { watermark: SessionId(2), above: &[4, 0, 0, 0, 0, 0, 0, 0] };
    let rename = |expires_at| Effect::Rename { map, from: b"old", to: key, value, expires_at };
    vec![
        ("nothing", plain(Effect::Nothing), "2000000001000000"),
        ("put", plain(PUT), "3000000001000100 07000000030000006b657976616c7565"),
        (
            "put, expiring",
            plain(put_expiring),
            "3800000001020100 07000000e803000000000000030000006b657976616c7565",
        ),
        ("remove, deleted", plain(remove(Cause::Deleted)), "2800000001000200 07000000006b6579"),
        ("remove, expired", plain(remove(Cause::Expired)), "2800000001000200 07000000016b6579"),
        ("remove, evicted", plain(remove(Cause::Evicted)), "2800000001000200 07000000026b6579"),
        ("clear", plain(Effect::Clear { map }), "2400000001000300 07000000"),
        (
            "end sessions",
            plain(Effect::EndSessions(ended)),
            "3000000001000400 02000000000000000400000000000000",
        ),
        (
            "rename",
            plain(rename(None)),
            "3700000001000500 0700000003000000030000006f6c646b657976616c7565",
        ),
        (
            "rename, expiring",
            plain(rename(Some(Timestamp(1000)))),
            "3f00000001020500 07000000e80300000000000003000000030000006f6c646b657976616c7565",
        ),
    ]
}

fn golden_answers() -> Vec<Golden> {
    let (map, key) = (MapId(7), b"key".as_slice());
    let kept = |expires_at| Kept::Entry { value: b"old", version: Version(11), expires_at };
    let deleted = Effect::Remove { map, key, cause: Cause::Deleted };
    vec![
        (
            "missing",
            asked(Answer::Missing, Effect::Nothing),
            "3800000001010001 090000000000000005000000000000000400000000000000",
        ),
        (
            "written",
            asked(Answer::Written { old: Kept::Nothing }, PUT),
            "4900000001010102 0900000000000000050000000000000004000000000000000007000000030000006b657976616c7565",
        ),
        (
            "written, old kept",
            asked(Answer::Written { old: kept(None) }, PUT),
            "5600000001010102 090000000000000005000000000000000400000000000000010b0000000000000003006f6c6407000000030000006b657976616c7565",
        ),
        (
            "deleted",
            asked(Answer::Deleted { old: Kept::TooLarge }, deleted),
            "4100000001010203 0900000000000000050000000000000004000000000000000307000000006b6579",
        ),
        (
            "conflict",
            asked(Answer::Conflict { current: kept(Some(Timestamp(12))) }, Effect::Nothing),
            "4e00000001010004 090000000000000005000000000000000400000000000000020b000000000000000c0000000000000003006f6c64",
        ),
        (
            "integer",
            asked(Answer::Integer(-2), PUT),
            "5000000001010105 090000000000000005000000000000000400000000000000feffffffffffffff07000000030000006b657976616c7565",
        ),
        (
            "float",
            asked(Answer::Float(1.5), PUT),
            "5000000001010106 090000000000000005000000000000000400000000000000000000000000f83f07000000030000006b657976616c7565",
        ),
        (
            "flag",
            asked(Answer::Flag(true), Effect::Nothing),
            "3900000001010007 09000000000000000500000000000000040000000000000001",
        ),
        (
            "count",
            asked(Answer::Count(6), Effect::Clear { map }),
            "4400000001010308 090000000000000005000000000000000400000000000000060000000000000007000000",
        ),
        (
            "failed",
            asked(Answer::Failed(108), Effect::Nothing),
            "3a00000001010009 0900000000000000050000000000000004000000000000006c00",
        ),
    ]
}

#[test]
fn the_bytes_of_every_kind_are_frozen() {
    for (name, entry, expected) in golden_effects().into_iter().chain(golden_answers()) {
        let hex: String = encoded(&entry).iter().map(|byte| format!("{byte:02x}")).collect();
        // The fixed part without position and clock, and what follows it.
        let (fixed, rest) = hex.split_at(2 * ENTRY_BYTES_MIN);
        let (kinds, place) = fixed.split_at(16);
        assert_eq!(place, "030000000000000002010000000000000807060504030201", "{name}");
        assert_eq!(format!("{kinds} {rest}").trim_end(), expected, "{name}");
        let bytes = encoded(&entry);
        assert_eq!(Entry::decode(&bytes).expect("valid").entry, entry, "{name}");
    }
}

#[test]
fn other_formats_and_flags_are_refused() {
    let entry = plain(PUT);
    let good = encoded(&entry);
    let with = |at: usize, byte: u8| {
        let mut bytes = good.clone();
        bytes[at] = byte;
        bytes
    };
    assert_eq!(Entry::decode(&with(4, 2)), Err(DecodeError::FormatUnknown(2)));
    for (at, byte) in [(0, 31), (5, 4), (6, 6), (7, 10), (7, 1)] {
        let bytes = with(at, byte);
        let decoded = Entry::decode(&bytes);
        assert!(matches!(decoded, Err(DecodeError::Malformed(_))), "{at}: {decoded:?}");
    }
}

#[test]
fn what_no_record_can_hold_is_refused() {
    let put = |key, value| plain(Effect::Put { map: MapId(7), key, value, expires_at: None });
    let decode = |entry: &Entry<'_>| Entry::decode(&encoded(entry)).map(|_| ());
    let (key, value) = (vec![1; KEY_BYTES_HARD_MAX + 1], vec![1; VALUE_BYTES_HARD_MAX + 1]);
    assert_eq!(decode(&put(&key[1..], &value[1..])), Ok(()));
    for entry in [put(&key, b""), put(b"", &value)] {
        assert!(matches!(decode(&entry), Err(DecodeError::Malformed(_))));
    }
    let numbered = |seq| Entry { position: LogPosition::new(3, seq), ..plain(PUT) };
    assert_eq!(decode(&numbered(Version::MAX.0)), Ok(()));
    assert!(matches!(decode(&numbered(Version::MAX.0 + 1)), Err(DecodeError::Malformed(_))));
}

#[test]
fn a_rename_that_no_record_can_follow_is_refused() {
    let decode = |from, to, value| {
        let rename = Effect::Rename { map: MapId(7), from, to, value, expires_at: None };
        Entry::decode(&encoded(&plain(rename))).map(|_| ())
    };
    let (key, value) = (vec![1; KEY_BYTES_HARD_MAX + 1], vec![1; VALUE_BYTES_HARD_MAX + 1]);
    assert_eq!(decode(&key[1..], b"to", &value[1..]), Ok(()));
    assert_eq!(decode(b"from", &key[1..], b""), Ok(()));
    for (from, to, value) in
        [(&key[..], &b""[..], &b""[..]), (b"", &key, b""), (b"a", b"b", &value)]
    {
        assert!(matches!(decode(from, to, value), Err(DecodeError::Malformed(_))));
    }
    let rename = Effect::Rename {
        map: MapId(7),
        from: b"a",
        to: b"b",
        value: b"v",
        expires_at: Some(Timestamp(1)),
    };
    let mut bytes = encoded(&plain(rename));
    let at = bytes.len() - 2;
    bytes[at] = b'a';
    let same = Err(DecodeError::Malformed("a rename to the same key"));
    assert_eq!(Entry::decode(&bytes).map(|_| ()), same);
}

#[test]
fn ended_sessions_out_of_order_are_refused() {
    let ended = EndedSessions { watermark: SessionId(2), above: &[0; 16] };
    for above in [[5u64, 5], [6, 5], [1, 5]] {
        let sound: Vec<u8> = [5u64, 6].into_iter().flat_map(u64::to_le_bytes).collect();
        let mut bytes =
            encoded(&plain(Effect::EndSessions(EndedSessions { above: &sound, ..ended })));
        let at = bytes.len() - 16;
        bytes[at..at + 8].copy_from_slice(&above[0].to_le_bytes());
        bytes[at + 8..].copy_from_slice(&above[1].to_le_bytes());
        assert!(matches!(Entry::decode(&bytes), Err(DecodeError::Malformed(_))), "{above:?}");
    }
}

#[test]
fn a_long_value_is_not_kept_and_the_retry_hears_that_the_write_happened() {
    let long = vec![1; KEPT_BYTES_MAX + 1];
    let record = |value| Record { value, version: Version(4), expires_at: None };
    let reply = |value| Reply::Written { version: Version(5), old: Some(record(value)) };
    let kept = Answer::of(&reply(&long[1..]));
    assert_eq!(kept.to_reply(Version(5)), Ok(reply(&long[1..])));
    let too_large = Answer::of(&reply(&long));
    assert_eq!(too_large, Answer::Written { old: Kept::TooLarge });
    let error = too_large.to_reply(Version(5)).expect_err("nothing to show");
    assert_eq!(error.outcome(), Outcome::Applied);
}

#[test]
fn an_entry_that_keeps_too_much_is_refused() {
    let value = &[1; KEPT_BYTES_MAX + 1];
    let current = Kept::Entry { value, version: Version(1), expires_at: None };
    let bytes = encoded(&asked(Answer::Conflict { current }, Effect::Nothing));
    assert!(matches!(Entry::decode(&bytes), Err(DecodeError::Malformed(_))));
}

#[test]
fn a_failure_keeps_its_code() {
    let failed = Reply::Failed(Error::new(ErrorCode::NotANumber, "\"abc\""));
    let answer = Answer::of(&failed);
    assert_eq!(answer, Answer::Failed(108));
    let Ok(Reply::Failed(error)) = answer.to_reply(Version(1)) else { panic!("a failure") };
    assert_eq!((error.code(), error.outcome()), (ErrorCode::NotANumber, Outcome::NotApplied));
}
