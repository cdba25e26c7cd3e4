//! What is changed is changed, and all else keeps its bytes.

use std::borrow::Cow;

use serde_json::{Value, json};

use super::*;
use crate::text;

fn changed(value: &str, changes: &[NamedCell<'_>]) -> String {
    String::from_utf8(with_fields(value.as_bytes(), changes).expect("it has fields")).expect("text")
}

#[test]
fn objects_are_of_json_and_of_message_pack_where_they_hold_bytes() {
    let fields = [
        ("a", Cell::BigInt(-1)),
        ("b\"", Cell::Text("x\ny".into())),
        ("c", Cell::Double(5.0)),
        ("d", Cell::Null),
        ("e", Cell::Nested(json!(["tea", {"n": 1}]))),
        ("f", Cell::Boolean(true)),
    ];
    let expected = r#"{"a":-1,"b\"":"x\ny","c":5.0,"d":null,"e":["tea",{"n":1}],"f":true}"#;
    assert_eq!(object(&fields).expect("it can be written"), expected.as_bytes());
    let bytes = object(&[("n", Cell::BigInt(7)), ("b", Cell::Bytes(Cow::Borrowed(&[1, 255])))]);
    let bytes = bytes.expect("it can be written");
    assert_eq!(bytes, [0x82, 0xa1, b'n', 7, 0xa1, b'b', 0xc4, 2, 1, 255]);
    assert!(object(&[("a", Cell::Double(f64::NAN))]).is_err(), "JSON has no such number");
    assert_eq!(object(&[]).expect("it can be"), b"{}");
}

#[test]
fn what_is_not_changed_keeps_its_bytes_in_json() {
    let value =
        r#" {"n" : 1, "big": 123456789012345678901234567890.10, "o": { "x":[ 1 ] }, "m":1e2 }"#;
    let value = value.trim_start();
    assert_eq!(
        changed(value, &[("n", Cell::BigInt(2)), ("new", Cell::Text("t".into()))]),
        r#"{"n":2,"big":123456789012345678901234567890.10,"o":{ "x":[ 1 ] },"m":1e2,"new":"t"}"#
    );
    assert_eq!(changed("{}", &[("a", Cell::Null)]), r#"{"a":null}"#);
    assert_eq!(changed(r#"{"a":1,"a":2,"b":3}"#, &[("a", Cell::BigInt(4))]), r#"{"a":4,"b":3}"#);
    assert_eq!(changed(r#"{"\u0061":1}"#, &[("a", Cell::BigInt(4))]), r#"{"a":4}"#);
}

#[test]
fn what_is_not_changed_keeps_its_bytes_in_message_pack() {
    // An extension, a float of 32 bits, bytes and an object within.
    let mut value =
        vec![0x85, 0xa1, b'e', 0xd6, 0xff, 0, 0, 0, 1, 0xa1, b'f', 0xca, 0x3f, 0x80, 0, 0];
    value.extend([0xa1, b'b', 0xc4, 1, 9, 0xa1, b'o', 0x81, 0xa1, b'x', 0x91, 1, 0xa1, b'n', 1]);
    let got = with_fields(&value, &[("n", Cell::BigInt(300)), ("t", Cell::Text("é".into()))]);
    let got = got.expect("it has fields");
    assert_eq!(got[0], 0x86);
    assert_eq!(got[1..value.len() - 1], value[1..value.len() - 1]);
    assert_eq!(got[value.len() - 1..], [0xcd, 1, 44, 0xa1, b't', 0xa2, 0xc3, 0xa9]);
}

#[test]
fn a_message_pack_of_many_fields_gets_a_longer_head() {
    let many: serde_json::Map<String, Value> =
        (0..15).map(|n| (format!("f{n}"), n.into())).collect();
    let value = rmp_serde::to_vec_named(&many).expect("it can be written");
    assert_eq!(value[0], 0x8f);
    let got = with_fields(&value, &[("g", Cell::BigInt(1))]).expect("it has fields");
    assert_eq!(got[..3], [0xde, 0, 16]);
    let mut expected = many;
    expected.insert("g".to_owned(), 1.into());
    let read: Value = serde_json::from_str(&text(&got)).expect("JSON");
    assert_eq!(read, Value::Object(expected));
}

#[test]
fn what_has_no_fields_or_cannot_be_read_is_refused() {
    let change = [("n", Cell::BigInt(1))];
    for broken in [
        &b"text"[..],
        b"",
        b"{\"n\": 1",
        b"{\"n\": 1} 2",
        b"{\"n\" 1}",
        b"{\"n\": \xff}",
        &[0x82, 0xa1, b'n', 1],
        &[0x81, 0xa1, b'n', 1, 0],
        &[0x81, 1, 1],
        &[0x81, 0xa1, b'n', 0xc1],
        &[0x81, 0xa1, b'n', 0xdf, 0xff, 0xff, 0xff, 0xff],
        &[0xdf, 0xff, 0xff, 0xff, 0xff],
    ] {
        assert!(with_fields(broken, &change).is_err(), "{broken:?}");
    }
    assert!(with_fields(b"{}", &[("b", Cell::Bytes(Cow::Borrowed(b"x")))]).is_err());
}

#[test]
fn depth_costs_nothing() {
    let deep = [&[0x81, 0xa1, b'd'][..], &[0x91; 100_000], &[1]].concat();
    let got = with_fields(&deep, &[("n", Cell::BigInt(1))]).expect("it has fields");
    assert_eq!(got.len(), deep.len() + 3);
}
