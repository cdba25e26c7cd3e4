//! Batches of records.

use datafusion::arrow::util::pretty::pretty_format_batches;

use super::*;

fn row(key: &[u8], value: &str) -> Row {
    let (key, value) = (key.to_vec().into(), value.as_bytes().to_vec().into());
    Row { key, value, version: 7, expires_at_ms: None }
}

fn fields(fields: &[(&str, ColumnType)]) -> Columns {
    Columns::of_fields(fields.iter().map(|(name, kind)| ((*name).to_owned(), *kind)))
}

#[test]
fn records_become_rows() {
    let columns =
        fields(&[("n", ColumnType::Double), ("t", ColumnType::Text), ("j", ColumnType::Json)]);
    let mut builder = Builder::new(&columns);
    builder
        .push(PartitionId(3), &row(b"a", r#"{"n": 1, "t": "x", "j": [1, "y"], "z": 5}"#))
        .unwrap();
    let expiring = Row { expires_at_ms: Some(1_500), ..row(&[0xff], "{}") };
    builder.push(PartitionId(4), &expiring).unwrap();
    assert_eq!(builder.rows(), 2);
    let batch = builder.finish().unwrap();
    assert_eq!(batch.schema(), columns.schema());
    let shown = pretty_format_batches(&[batch]).unwrap().to_string();
    let rows: Vec<&str> = shown.lines().filter(|line| line.starts_with("| ")).collect();
    assert_eq!(rows.len(), 3, "{shown}");
    let cells = |line: &str| -> Vec<String> {
        line.trim_matches('|').split('|').map(|cell| cell.trim().to_owned()).collect()
    };
    let value = r#"{"n": 1, "t": "x", "j": [1, "y"], "z": 5}"#;
    assert_eq!(cells(rows[1]), ["a", "1.0", "x", r#"[1,"y"]"#, value, "7", "", "3"]);
    assert_eq!(cells(rows[2]), ["\\xff", "", "", "", "{}", "7", "1970-01-01T00:00:01.500Z", "4"]);
    assert_eq!(builder.rows(), 0, "it begins anew");
}

#[test]
fn a_count_needs_no_columns() {
    let mut builder = Builder::new(&fields(&[]).project(Some(&vec![])));
    for _ in 0..3 {
        builder.push(PartitionId(0), &row(b"k", "{broken")).unwrap();
    }
    assert_eq!(builder.finish().unwrap().num_rows(), 3, "no value was looked at");
}

#[test]
fn what_does_not_fit_is_told_with_its_key() {
    let mut builder = Builder::new(&fields(&[("n", ColumnType::BigInt)]));
    let why = builder.push(PartitionId(0), &row(b"k1", r#"{"n": "x"}"#)).unwrap_err();
    assert!(why.contains("field n of key \"k1\" is TEXT") && why.contains("BIGINT"), "{why}");
    let mut builder = Builder::new(&fields(&[("n", ColumnType::BigInt)]));
    let why = builder.push(PartitionId(0), &row(b"k2", r#"{"n": "#)).unwrap_err();
    assert!(why.contains("key \"k2\" cannot be read"), "{why}");
}
