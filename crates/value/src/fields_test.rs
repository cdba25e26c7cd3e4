//! Values in their forms.

use serde::Serialize;

use super::*;

/// All fields, by name.
#[derive(Default)]
struct All<'v>(Vec<(String, Cell<'v>)>);

impl<'v> Take<'v> for All<'v> {
    fn place(&mut self, name: &str) -> Option<usize> {
        if name == "unwanted" {
            return None;
        }
        self.0.push((name.to_owned(), Cell::Null));
        Some(self.0.len() - 1)
    }

    fn put(&mut self, place: usize, cell: Cell<'v>) {
        self.0[place].1 = cell;
    }
}

fn all(value: &[u8]) -> Result<Vec<(String, Cell<'_>)>, String> {
    let mut all = All::default();
    fields(value, &mut all).map(|()| all.0)
}

#[derive(Serialize)]
struct Order<'a> {
    id: u64,
    total: f64,
    name: &'a str,
    unwanted: [u8; 3],
    paid: Option<bool>,
    items: Vec<i32>,
}

const ORDER: Order<'_> =
    Order { id: 7, total: 1.5, name: "a\"ü", unwanted: [1; 3], paid: None, items: vec![] };

fn expected<'v>() -> Vec<(String, Cell<'v>)> {
    let cells = [
        ("id", Cell::BigInt(7)),
        ("total", Cell::Double(1.5)),
        ("name", Cell::Text("a\"ü".into())),
        ("paid", Cell::Null),
        ("items", Cell::Nested(serde_json::json!([]))),
    ];
    cells.map(|(name, cell)| (name.to_owned(), cell)).into()
}

#[test]
fn both_forms_have_the_same_fields() {
    assert_eq!(all(&serde_json::to_vec(&ORDER).unwrap()).unwrap(), expected());
    assert_eq!(all(&rmp_serde::to_vec_named(&ORDER).unwrap()).unwrap(), expected());
}

#[test]
fn text_is_borrowed_where_it_can_be() {
    let value = rmp_serde::to_vec_named(&ORDER).unwrap();
    let cells = all(&value).unwrap();
    assert!(matches!(&cells[2].1, Cell::Text(Cow::Borrowed(_))));
}

#[test]
fn values_that_are_not_what_they_begin_as_are_told() {
    for broken in [&b"{\"a\": 1"[..], b"{\"a\": 1} x", b"{1: 2}", b"\x82\xa1a", b"\x81\x01\x02"] {
        assert!(all(broken).is_err(), "{broken:?}");
    }
    for plain in [&b""[..], b"text", b"\x01", b"[1]"] {
        assert_eq!(all(plain).unwrap(), [], "{plain:?}");
    }
}

#[test]
fn large_and_small_numbers_are_kept() {
    let cells =
        all(b"{\"a\":-9223372036854775808,\"b\":18446744073709551615,\"c\":1e300}").unwrap();
    let cells: Vec<_> = cells.into_iter().map(|(_, cell)| cell).collect();
    let expected = [Cell::BigInt(i64::MIN), Cell::Double(u64::MAX as f64), Cell::Double(1e300)];
    assert_eq!(cells, expected);
}

#[test]
fn the_text_of_a_value_is_what_people_expect() {
    let pack = |value: &serde_json::Value| rmp_serde::to_vec_named(value).unwrap();
    for (value, expected) in [
        (b"hello".to_vec(), "hello"),
        (b"{\"a\" : 1}".to_vec(), "{\"a\" : 1}"),
        (pack(&serde_json::json!({"a": [1, null]})), "{\"a\":[1,null]}"),
        (pack(&serde_json::json!("hello")), "hello"),
        (pack(&serde_json::json!(70_000)), "70000"),
        (vec![0xff, 0x00], "\\xff00"),
        ("ދިވެހި".as_bytes().to_vec(), "ދިވެހި"),
        (b"\x81\xa1a\xc4\x02\x01\xff".to_vec(), "{\"a\":\"\\\\x01ff\"}"),
        (b"\x81\x07\xd6\xff\x00\x00\x00\x01".to_vec(), "{\"7\":[-1,\"\\\\x00000001\"]}"),
        (vec![0x80, 1, 2], "\\x800102"),
        (vec![], ""),
    ] {
        assert_eq!(text(&value), expected, "{value:?}");
    }
}

#[test]
fn values_that_are_too_deep_are_told_and_harm_nobody() {
    let levels = 100_000;
    let json = format!("{{\"a\": {}1{}}}", "[".repeat(levels), "]".repeat(levels));
    let pack = [&b"\x81\xa1a"[..], &vec![0x91; levels], b"\x01"].concat();
    let unwanted_json = json.replacen("\"a\"", "\"unwanted\"", 1);
    let unwanted_pack = [&b"\x81\xa8unwanted"[..], &vec![0x91; levels], b"\x01"].concat();
    for value in [json.as_bytes(), &pack, &unwanted_pack] {
        assert!(all(value).is_err());
    }
    assert_eq!(all(unwanted_json.as_bytes()).unwrap(), [], "what is skipped takes no stack");
    assert_eq!(text(&pack), hex(&pack));
    assert_eq!(text(&[0x91; 1_000]), hex(&[0x91; 1_000]), "no value, so its bytes");
    let huge = b"\x81\xa1a\xdd\xff\xff\xff\xff\x01";
    assert!(all(huge).is_err(), "a list that says it is long");
}

#[test]
fn bytes_and_extensions_in_lists_are_shown_too() {
    let list = b"\x81\xa1a\x92\xc4\x01\x07\xd4\x05\x09";
    let cells = all(list).unwrap();
    let expected = serde_json::json!(["\\x07", [5, "\\x09"]]);
    assert_eq!(cells, [("a".to_owned(), Cell::Nested(expected))]);
    assert_eq!(all("ދިވެހި".as_bytes()).unwrap(), [], "text that begins as a map might");
}
