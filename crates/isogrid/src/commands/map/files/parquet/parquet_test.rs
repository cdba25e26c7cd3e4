//! That rows come back byte for byte, over row groups and over an interruption, and that others' files are read.

use std::fs::File;
use std::io::Write;
use std::path::Path;

use bytes::Bytes;
use isogrid_core::Timestamp;
use parquet::data_type::{ByteArray, ByteArrayType, Int64Type};
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;

use super::super::{Encoder, ReadFault, Row, RowReader};
use super::read::ParquetReader;
use super::write::ParquetEncoder;
use super::*;

fn rows(range: std::ops::Range<u64>) -> Vec<Row> {
    let row = |n: u64| Row {
        key: if n.is_multiple_of(3) {
            Bytes::from(vec![0xff, n as u8])
        } else {
            Bytes::from(format!("key {n}"))
        },
        value: match n % 4 {
            0 => Bytes::new(),
            1 => Bytes::from((0..=255).collect::<Vec<u8>>()),
            _ => Bytes::from(n.to_string()),
        },
        expires_at: n.is_multiple_of(2).then_some(Timestamp(1_795_215_034_769 + n)),
        version: (n != 7).then_some(u64::MAX - n),
    };
    range.map(row).collect()
}

/// Writes a row group behind what is in the file.
fn put(encoder: &mut ParquetEncoder, rows: &[Row], file: &mut Vec<u8>) {
    let mut out = Vec::new();
    for row in rows {
        encoder.row(row, &mut out).expect("taken");
    }
    assert!(out.is_empty() && encoder.pending_bytes() > 0);
    encoder.flush(file.len() as u64, file).expect("written");
    assert_eq!(encoder.pending_bytes(), 0);
}

fn save(path: &Path, bytes: &[u8]) -> File {
    std::fs::write(path, bytes).expect("written");
    File::open(path).expect("it is there")
}

fn read_all(mut reader: ParquetReader) -> Vec<Row> {
    std::iter::from_fn(|| reader.next().expect("good").map(|(_, row)| row)).collect()
}

#[test]
fn rows_come_back_over_row_groups_and_over_an_interruption() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("a.parquet");
    let mut file = Vec::new();
    let mut first = ParquetEncoder::new(&[]).expect("a new file");
    first.head(&mut file);
    put(&mut first, &rows(0..300), &mut file);
    put(&mut first, &rows(300..301), &mut file);
    let state = first.state().expect("an index");
    drop(first);
    let mut second = ParquetEncoder::new(&state).expect("the index is readable");
    put(&mut second, &rows(301..1000), &mut file);
    let length = file.len() as u64;
    second.flush(length, &mut file).expect("nothing waits");
    assert_eq!(file.len() as u64, length);
    second.tail(&mut file).expect("an index");

    let whole = ParquetReader::open(save(&path, &file), 0).expect("readable");
    assert_eq!(whole.rows_len(), 1000);
    assert_eq!(read_all(whole), rows(0..1000));
    for from in [1, 299, 300, 301, 302, 700, 999, 1000, 2000] {
        let rest = ParquetReader::open(save(&path, &file), from).expect("readable");
        assert_eq!(read_all(rest), rows(from.min(1000)..1000), "from {from}");
    }
}

#[test]
fn a_file_without_rows_is_readable() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut file = Vec::new();
    let mut encoder = ParquetEncoder::new(&[]).expect("a new file");
    encoder.head(&mut file);
    let mut encoder = ParquetEncoder::new(&encoder.state().expect("an index")).expect("readable");
    encoder.flush(4, &mut file).expect("nothing waits");
    encoder.tail(&mut file).expect("an index");
    let file = save(&folder.path().join("a.parquet"), &file);
    assert_eq!(read_all(ParquetReader::open(file, 0).expect("readable")), []);
}

/// A file as another tool would write it: columns that are never null, dictionaries, Snappy, microseconds.
fn foreign(path: &Path, schema: &str, expires_at: Option<i64>) -> File {
    let schema = Arc::new(parse_message_type(schema).expect("a schema"));
    let properties =
        WriterProperties::builder().set_compression(parquet::basic::Compression::SNAPPY).build();
    let file = File::create(path).expect("created");
    let mut writer = SerializedFileWriter::new(file, schema, Arc::new(properties)).expect("a file");
    let mut group = writer.next_row_group().expect("a group");
    while let Some(mut column) = group.next_column().expect("a column") {
        let written = match column.untyped() {
            parquet::column::writer::ColumnWriter::Int64ColumnWriter(_) => {
                column.typed::<Int64Type>().write_batch(&[expires_at.unwrap_or(5); 2], None, None)
            }
            _ => column.typed::<ByteArrayType>().write_batch(
                &[ByteArray::from("a"), ByteArray::from("b")],
                None,
                None,
            ),
        };
        written.expect("written");
        column.close().expect("closed");
    }
    group.close().expect("closed");
    writer.close().expect("closed");
    File::open(path).expect("it is there")
}

#[test]
fn what_others_write_is_read() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("a.parquet");
    for (time, number, ms) in [
        ("(TIMESTAMP(MICROS,true))", 1_795_215_034_769_123, 1_795_215_034_769),
        ("(TIMESTAMP(NANOS,true))", 1_795_215_034_769_123_456, 1_795_215_034_769),
        ("(TIMESTAMP_MICROS)", 1_795_215_034_769_123, 1_795_215_034_769),
        ("", 1_795_215_034_769, 1_795_215_034_769),
        ("", -1, 0),
    ] {
        let schema = format!(
            "message x {{ REQUIRED BYTE_ARRAY value; REQUIRED INT64 expires_at {time}; \
             REQUIRED BYTE_ARRAY key (STRING); }}"
        );
        let reader = ParquetReader::open(foreign(&path, &schema, Some(number)), 0);
        let rows = read_all(reader.expect("readable"));
        let expires_at = Some(Timestamp(ms));
        let row = |text: &'static str| Row {
            key: text.into(),
            value: text.into(),
            expires_at,
            version: None,
        };
        assert_eq!(rows, [row("a"), row("b")], "{time}");
    }
}

#[test]
fn what_is_wrong_is_said() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("a.parquet");
    let fault = |schema: &str| {
        let opened = ParquetReader::open(foreign(&path, schema, None), 0);
        opened.err().expect("it is refused").to_string()
    };
    let of = |columns: &str| fault(&format!("message x {{ {columns} }}"));
    assert_eq!(of("REQUIRED BYTE_ARRAY key;"), "it has no column \"value\"");
    assert!(of("REQUIRED BYTE_ARRAY id;").starts_with("it has a column \"id\"; known are key,"));
    assert_eq!(of("REQUIRED INT64 key;"), "its column key is INT64, not BYTE_ARRAY");

    let disabled = format!("{COMPRESSION_MISSING}: flate2");
    assert!(super::fault(ParquetError::General(disabled)).to_string().contains("Snappy"));
    let mut cut = save(&path, b"PAR1 and no index");
    cut.flush().expect("written");
    let error = ParquetReader::open(cut, 0).err().expect("it is refused").to_string();
    assert!(error.contains("Parquet"), "{error}");
}

#[test]
fn a_row_without_a_key_is_bad_and_the_next_is_read() {
    let folder = tempfile::tempdir().expect("a folder");
    let schema = "message x { OPTIONAL BYTE_ARRAY key; REQUIRED BYTE_ARRAY value; }";
    let path = folder.path().join("a.parquet");
    let schema = Arc::new(parse_message_type(schema).expect("a schema"));
    let file = File::create(&path).expect("created");
    let mut writer = SerializedFileWriter::new(file, schema, Arc::default()).expect("a file");
    let mut group = writer.next_row_group().expect("a group");
    for levels in [Some([0, 1]), None] {
        let mut column = group.next_column().expect("a column").expect("there are two");
        let values = vec![ByteArray::from("x"); levels.map_or(2, |_| 1)];
        let levels = levels.as_ref().map(<[i16; 2]>::as_slice);
        column.typed::<ByteArrayType>().write_batch(&values, levels, None).expect("written");
        column.close().expect("closed");
    }
    group.close().expect("closed");
    writer.close().expect("closed");
    let mut reader = ParquetReader::open(File::open(&path).expect("there"), 0).expect("readable");
    match reader.next() {
        Err(ReadFault::Bad(bad)) => assert_eq!((bad.line, &*bad.what), (1, "there is no key")),
        other => panic!("{other:?}"),
    }
    assert_eq!(
        reader.next().expect("good").map(|(line, row)| (line, row.key)),
        Some((2, "x".into()))
    );
    assert_eq!(reader.next().expect("the end"), None);
}
