//! What a line looks like, that it comes back byte for byte, and what is wrong with bad ones.

use std::io::Cursor;

use isogrid_core::Timestamp;

use super::*;

fn row(key: &[u8], value: &[u8]) -> Row {
    let (key, value) = (Bytes::copy_from_slice(key), Bytes::copy_from_slice(value));
    Row { key, value, expires_at: None, version: None }
}

fn line(row: &Row) -> String {
    let mut out = Vec::new();
    JsonlEncoder.row(row, &mut out).expect("memory can be written");
    String::from_utf8(out).expect("always text")
}

fn reader(text: impl Into<Vec<u8>>) -> JsonlReader {
    JsonlReader::new(Box::new(Cursor::new(text.into())), Position::default())
}

fn bad(line: &str) -> String {
    match reader(line).next() {
        Err(ReadFault::Bad(bad)) => bad.what,
        other => panic!("{line} is not bad: {other:?}"),
    }
}

#[test]
fn a_line_reads_as_what_it_is() {
    let mut full = row(b"u1", b"Ann");
    (full.expires_at, full.version) = (Some(Timestamp(1_795_207_834_769)), Some(3));
    let expected = "{\"key\":\"u1\",\"value\":\"Ann\",\"expires_at\":\"2026-11-20T20:50:34.769Z\",\"version\":3}\n";
    assert_eq!(line(&full), expected);
    full.expires_at = Some(Timestamp(u64::MAX));
    assert!(line(&full).contains("\"expires_at\":18446744073709551615,"));
    let json = line(&row(b"a", b"{\"n\": 1.50}"));
    assert_eq!(json, "{\"key\":\"a\",\"value\":{\"n\": 1.50}}\n");
    let binary = line(&row(b"\xff", b"\x80\n"));
    assert_eq!(binary, "{\"key_base64\":\"/w==\",\"value_base64\":\"gAo=\"}\n");
}

#[test]
fn every_value_comes_back_byte_for_byte() {
    let every: Vec<u8> = (0..=255).collect();
    for value in [
        b"" as &[u8],
        &every,
        b"42",
        b"\"quoted\"",
        b"null",
        b"true",
        b"{\"a\":  [1, 2.00, 1e400], \"a\":\"\\ud800\"}",
        b" {\"a\":1}",
        b"{\"a\":1} ",
        b"{\"a\":\n1}",
        b"{\"a\":\r1}",
        b"{broken}",
        b"[1,2",
        b"[]",
        "Käse\u{2028}\u{0}".as_bytes(),
    ] {
        for key in [b"k" as &[u8], b"", &every[128..]] {
            let mut before = row(key, value);
            (before.version, before.expires_at) = (Some(u64::MAX), Some(Timestamp(u64::MAX)));
            let text = line(&before);
            assert_eq!(text.lines().count(), 1, "{text}");
            let after = reader(text.clone()).next().expect("it is good");
            assert_eq!(after, Some((1, before)), "{text}");
        }
    }
}

#[test]
fn what_others_write_is_read() {
    let text = "\u{feff}{\"value\": 5 , \"key\": \"n\", \"expires_at\": null}\r\n\n  \n\
                {\"key\":\"b\",\"value\":[1, 2],\"expires_at\":7}";
    let mut lines = reader(text);
    assert_eq!(lines.next().expect("good"), Some((1, row(b"n", b"5"))));
    let mut second = row(b"b", b"[1, 2]");
    second.expires_at = Some(Timestamp(7));
    assert_eq!(lines.next().expect("good"), Some((4, second)));
    assert_eq!(lines.position(), Position { at: text.len() as u64, lines: 4 });
    assert_eq!(lines.next().expect("the end"), None);
}

#[test]
fn a_bad_line_says_what_is_wrong_and_the_next_is_read() {
    assert_eq!(bad("{\"key\":\"a\"}"), "there is no value");
    assert_eq!(bad("{\"key\":\"a\",\"value\":null}"), "there is no value");
    assert_eq!(bad("{\"value\":1}"), "there is no key");
    assert!(bad("{\"key\":\"a\",\"value\":1").contains("EOF"));
    assert!(bad("{\"key\":\"a\",\"value\":1,\"expires\":5}").contains("unknown field `expires`"));
    assert!(bad("{\"key\":\"a\",\"value\":1,\"key\":\"b\"}").contains("duplicate field"));
    assert!(bad("{\"key\":\"a\",\"key_base64\":\"\",\"value\":1}").contains("twice"));
    assert!(bad("{\"key\":\"a\",\"value_base64\":\"?\"}").starts_with("value_base64: not base64"));
    assert!(bad("{\"key\":\"a\",\"value\":1,\"expires_at\":\"soon\"}").contains("\"soon\""));
    assert!(bad("nonsense").ends_with("at column 2"), "{}", bad("nonsense"));
    let mut lines = reader("nonsense\n{\"key\":\"a\",\"value\":\"b\"}\n");
    assert!(matches!(lines.next(), Err(ReadFault::Bad(BadRow { line: 1, .. }))));
    assert_eq!(lines.next().expect("good"), Some((2, row(b"a", b"b"))));
}

#[test]
fn a_line_that_never_ends_takes_no_more_memory_than_the_longest_row() {
    let long = std::io::repeat(b'x').take(ROW_BYTES_MAX as u64 + 10);
    let rest = Cursor::new(b"\n{\"key\":\"a\",\"value\":\"b\"}\n".to_vec());
    let input = io::BufReader::new(long.chain(rest));
    let mut lines = JsonlReader::new(Box::new(input), Position::default());
    match lines.next() {
        Err(ReadFault::Bad(bad)) => assert!(bad.what.contains("longer than"), "{}", bad.what),
        other => panic!("{other:?}"),
    }
    assert!(lines.line.capacity() <= 2 * ROW_BYTES_MAX);
    assert_eq!(lines.next().expect("good"), Some((2, row(b"a", b"b"))));
}
