//! Keys sort as cells do, and are equal where cells are.

use super::*;

fn key(cell: &Cell<'_>) -> Vec<u8> {
    let mut key = Vec::new();
    push_cell(cell, false, &mut key);
    key
}

fn text(text: &str) -> Cell<'_> {
    Cell::Text(text.into())
}

#[test]
fn keys_sort_as_the_cells_do() {
    let cells = [
        Cell::Null,
        Cell::Boolean(false),
        Cell::Boolean(true),
        Cell::Double(f64::NEG_INFINITY),
        Cell::Double(-1e300),
        Cell::BigInt(i64::MIN),
        Cell::BigInt(i64::MIN + 1),
        Cell::BigInt(-(1 << 53) - 1),
        Cell::BigInt(-(1 << 53)),
        Cell::Double(-1.5),
        Cell::BigInt(-1),
        Cell::Double(-f64::MIN_POSITIVE),
        Cell::BigInt(0),
        Cell::Double(f64::MIN_POSITIVE),
        Cell::BigInt(1),
        Cell::Double(1.5),
        Cell::BigInt(1 << 53),
        Cell::BigInt((1 << 53) + 1),
        Cell::BigInt((1 << 53) + 2),
        Cell::BigInt(i64::MAX - 1),
        Cell::BigInt(i64::MAX),
        Cell::Double(9_223_372_036_854_775_808.0),
        Cell::Double(f64::INFINITY),
        Cell::Double(f64::NAN),
        text(""),
        text("\0"),
        text("\0\0"),
        text("\0\u{1}"),
        text("\u{1}"),
        text("a"),
        text("a\0"),
        text("a\0b"),
        text("a\u{1}"),
        text("ab"),
        text("b"),
        text("ä"),
        Cell::Bytes((&[][..]).into()),
        Cell::Bytes((&[0xff, 0xff][..]).into()),
        Cell::Nested(serde_json::json!([1])),
    ];
    for pair in cells.windows(2) {
        assert!(key(&pair[0]) < key(&pair[1]), "{:?} before {:?}", pair[0], pair[1]);
    }
    // None begins another: what stands behind decides only where the cells are equal.
    for one in &cells {
        for other in cells.iter().filter(|other| key(other) != key(one)) {
            assert!(!key(other).starts_with(&key(one)), "{one:?} begins {other:?}");
        }
    }
}

#[test]
fn numbers_are_equal_however_they_are_written() {
    for number in [0, 1, -1, 1 << 53, i64::MIN, 1_700_000_000_000] {
        assert_eq!(key(&Cell::BigInt(number)), key(&Cell::Double(number as f64)), "{number}");
    }
    assert_eq!(key(&Cell::Double(-0.0)), key(&Cell::BigInt(0)));
    assert_ne!(key(&Cell::BigInt(i64::MAX)), key(&Cell::Double(i64::MAX as f64)));
    let json = Cell::Nested(serde_json::json!(2.0));
    assert_eq!(key(&json), key(&Cell::BigInt(2)));
}

#[test]
fn times_are_equal_however_they_are_written() {
    let time = |cell: &Cell<'_>| {
        let mut key = Vec::new();
        push_cell(cell, true, &mut key);
        key
    };
    assert_eq!(time(&text("1970-01-01T01:00:01+01:00")), time(&Cell::BigInt(1_000)));
    assert_eq!(time(&text("yesterday")), key(&text("yesterday")));
}

#[test]
fn long_keys_are_cut_and_those_of_equality_are_hashed() {
    let long = "x".repeat(1_000);
    let mut cut = key(&text(&long));
    finish_key(IndexKind::Ordered, &mut cut);
    assert_eq!(cut.len(), INDEX_KEY_BYTES_MAX);
    assert!(key(&text(&long)).starts_with(&cut));
    let mut hashed = key(&text(&long));
    finish_key(IndexKind::Hash, &mut hashed);
    // The same on every node, for ever.
    let mut empty = Vec::new();
    finish_key(IndexKind::Hash, &mut empty);
    assert_eq!((hashed.len(), empty), (8, vec![0x2d, 0x06, 0x80, 0x05, 0x38, 0xd3, 0x94, 0xc2]));
}

#[test]
fn what_is_behind_a_beginning_is_found() {
    assert_eq!(key_behind(&[1, 2]), [1, 3]);
    assert_eq!(key_behind(&[1, 0xff, 0xff]), [2]);
    assert!(key_behind(&[0xff]).is_empty() && key_behind(&[]).is_empty());
}
