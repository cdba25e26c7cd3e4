//! What a row looks like, that it comes back byte for byte, and what is wrong with bad ones.

use std::io::Cursor;

use isogrid_core::Timestamp;

use super::*;

const HEAD: &str = "key,key_base64,value,value_base64,expires_at,version\n";

fn row(key: &[u8], value: &[u8]) -> Row {
    let (key, value) = (Bytes::copy_from_slice(key), Bytes::copy_from_slice(value));
    Row { key, value, expires_at: None, version: None }
}

fn line(row: &Row) -> String {
    let mut out = Vec::new();
    CsvEncoder.row(row, &mut out).expect("memory can be written");
    String::from_utf8(out).expect("always text")
}

fn reader(text: &str) -> CsvReader {
    CsvReader::new(Box::new(Cursor::new(text.to_owned())), None, Position::default())
}

fn bad(text: &str) -> String {
    match reader(text).next() {
        Err(ReadFault::Bad(bad)) => bad.what,
        Err(ReadFault::Io(error)) => error.to_string(),
        Ok(row) => panic!("{text} is not bad: {row:?}"),
    }
}

#[test]
fn a_row_reads_as_what_it_is() {
    let mut head = Vec::new();
    CsvEncoder.head(&mut head);
    assert_eq!(head, HEAD.as_bytes());
    let mut full = row(b"u1", b"Ann");
    (full.expires_at, full.version) = (Some(Timestamp(1_795_207_834_769)), Some(3));
    assert_eq!(line(&full), "u1,,Ann,,2026-11-20T20:50:34.769Z,3\n");
    assert_eq!(line(&row(b"a,b", b"say \"hi\"\n")), "\"a,b\",,\"say \"\"hi\"\"\n\",,,\n");
    assert_eq!(line(&row(b" a", b"b ")), "\" a\",,\"b \",,,\n");
    assert_eq!(line(&row(b"\xff", b"a\0")), ",/w==,,YQA=,,\n");
}

#[test]
fn every_value_comes_back_byte_for_byte() {
    let every: Vec<u8> = (0..=255).collect();
    for value in [
        b"" as &[u8],
        &every,
        b"42",
        b"a\r\nb\rc\n",
        b"\"",
        b"\"\"",
        b",",
        b" x\t",
        "ä€".as_bytes(),
    ] {
        for key in [b"k" as &[u8], b"", &every[128..], b"\n", b"\xef\xbb\xbfk"] {
            let mut before = row(key, value);
            (before.version, before.expires_at) = (Some(u64::MAX), Some(Timestamp(u64::MAX)));
            let text = [HEAD, &line(&before), &line(&before)].concat();
            let mut rows = reader(&text);
            for _ in 0..2 {
                let after = rows.next().expect("it is good").map(|(_, row)| row);
                assert_eq!(after.as_ref(), Some(&before), "{text}");
            }
            assert_eq!(rows.next().expect("the end"), None);
        }
    }
}

#[test]
fn what_others_write_is_read() {
    let text = "\u{feff}value,key\r\nAnn,u1\r\n\r\n\"two\nlines\",u2\r\nBo,u3";
    let mut rows = reader(text);
    assert_eq!(rows.next().expect("good"), Some((2, row(b"u1", b"Ann"))));
    let behind = rows.position();
    assert_eq!(rows.next().expect("good"), Some((4, row(b"u2", b"two\nlines"))));
    assert_eq!(rows.next().expect("good"), Some((6, row(b"u3", b"Bo"))));
    assert_eq!(rows.next().expect("the end"), None);
    let columns = rows.columns().expect("there is a head");
    let rest = text.as_bytes()[behind.at as usize..].to_vec();
    let mut rows = CsvReader::new(Box::new(Cursor::new(rest)), columns, behind);
    assert_eq!(rows.next().expect("good"), Some((4, row(b"u2", b"two\nlines"))));
    assert_eq!(rows.next().expect("good"), Some((6, row(b"u3", b"Bo"))));
    assert_eq!(rows.position().at, text.len() as u64);
    assert_eq!(reader("").next().expect("nothing is there"), None);
}

#[test]
fn a_bad_row_says_what_is_wrong_and_the_next_is_read() {
    assert!(bad("id,name\n1,Ann\n").contains("column \"id\""));
    assert_eq!(bad("key\n1\n"), "the head line has no column \"value\"");
    assert_eq!(bad("key,key,value\n1,1,1\n"), "the head line has two columns \"key\"");
    assert_eq!(bad("key,value\n1\n"), "it has 1 fields, and the head line has 2");
    assert!(bad("key,key_base64,value\na,YQ==,1\n").contains("twice"));
    assert!(bad("key,value_base64\na,?\n").starts_with("value_base64: not base64"));
    assert!(bad("key,value,expires_at\na,b,soon\n").contains("\"soon\""));
    assert_eq!(bad("key,value,version\na,b,c\n"), "version is not a number");
    let mut rows = reader("key,value\n1\na,b\n");
    assert!(matches!(rows.next(), Err(ReadFault::Bad(BadRow { line: 2, .. }))));
    assert_eq!(rows.next().expect("good"), Some((3, row(b"a", b"b"))));
    let latin = Cursor::new(b"key,value\nk,K\xe4se\n".to_vec());
    match CsvReader::new(Box::new(latin), None, Position::default()).next() {
        Err(ReadFault::Bad(bad)) => {
            assert_eq!(bad.what, "value is not UTF-8: put it into value_base64");
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_quote_that_is_never_closed_takes_no_more_memory_than_the_longest_row() {
    let input = Cursor::new(b"key,value\na,\"".to_vec()).chain(std::io::repeat(b'x'));
    match CsvReader::new(Box::new(input), None, Position::default()).next() {
        Err(ReadFault::Io(error)) => assert!(error.to_string().contains("quote"), "{error}"),
        other => panic!("{other:?}"),
    }
}
