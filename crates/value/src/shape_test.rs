//! What fits the columns of a map.

use isogrid_core::{Expiry, MapColumn, NumberFormat};

use super::*;

fn orders() -> Shape {
    let column = |(name, holds): (&str, _)| MapColumn { name: name.into(), holds };
    let columns = [
        ("tenant", ColumnType::Text),
        ("total", ColumnType::Double),
        ("count", ColumnType::BigInt),
        ("paid", ColumnType::Boolean),
        ("at", ColumnType::Timestamp),
        ("items", ColumnType::Json),
        ("raw", ColumnType::Bytes),
    ];
    let columns = columns.into_iter().map(column).collect();
    Shape::new(MapSchema { columns, partition_by: Some("tenant".into()) })
}

fn refused(shape: &Shape, key: &str, value: &str) -> Option<String> {
    let error = shape.check(&Op::put(key.as_bytes(), value.as_bytes())).err()?;
    assert_eq!(error.code(), ErrorCode::ValueMisfit);
    Some(error.detail().to_owned())
}

#[test]
fn what_fits_is_taken() {
    let shape = orders();
    for value in [
        r#"{"tenant": "t1"}"#,
        r#"{"tenant": "t1", "total": 1, "count": -3, "paid": true, "at": 5, "items": [{}], "other": "x"}"#,
        r#"{"tenant": "t1", "total": null, "at": "2026-01-02T03:04:05Z", "items": null}"#,
    ] {
        assert_eq!(refused(&shape, "{t1}:7", value), None, "{value}");
        assert_eq!(refused(&shape, "t1", value), None, "without braces the whole key counts");
    }
    let packed = rmp_serde::to_vec_named(&serde_json::json!({"tenant": "t1", "total": 2.5}));
    let packed = packed.expect("it is written");
    assert_eq!(shape.check(&Op::put(b"a{t1}b", &packed)), Ok(()));
    assert_eq!(shape.check(&Op::delete(b"x")), Ok(()));
}

#[test]
fn what_does_not_fit_is_refused_with_why() {
    let shape = orders();
    for (key, value, why) in [
        ("{t1}:7", "text", "no object"),
        ("{t1}:7", "{", "cannot be read"),
        ("{t1}:7", r#"{"tenant": "t1", "total": "1"}"#, "total is TEXT, and the column DOUBLE"),
        ("{t1}:7", r#"{"tenant": "t1", "count": 1.5}"#, "count is DOUBLE, and the column BIGINT"),
        ("{t1}:7", r#"{"tenant": "t1", "at": "soon"}"#, "at is TEXT, and the column TIMESTAMP"),
        ("{t1}:7", r#"{"tenant": "t1", "paid": 1}"#, "paid is BIGINT"),
        ("{t1}:7", r#"{"tenant": "t1", "raw": [1]}"#, "raw is JSON"),
        ("{t1}:7", r#"{"tenant": "t1", "items": 1e999}"#, "cannot be read"),
        ("{t1}:7", r#"{"tenant": 1}"#, "tenant is BIGINT"),
        ("{t1}:7", r#"{"total": 1}"#, "partitioned by tenant, which the value lacks"),
        ("{t1}:7", r#"{"tenant": null}"#, "which the value lacks"),
        (
            "{t1}:7",
            r#"{"tenant": "t2"}"#,
            r#"is "t2" in the value, and the partition key of the key is "t1""#,
        ),
        ("{t1}:7", r#"{"tenant": "t1", "tenant": "t2"}"#, r#"is "t2""#),
        ("7", r#"{"tenant": "t1"}"#, r#"of the key is "7""#),
    ] {
        let said = refused(&shape, key, value).unwrap_or_default();
        assert!(said.contains(why), "{value}: {said}");
    }
    let long = "k".repeat(1_000);
    assert!(refused(&shape, &long, "1").expect("it is no object").len() < 200);
}

#[test]
fn operations_that_make_other_values_are_refused() {
    let shape = orders();
    let (key, expiry, format) = (&b"{t1}:7"[..], Expiry::Keep, NumberFormat::Text);
    for op in [
        Op::Increment { key, delta: 1, format, expiry },
        Op::IncrementFloat { key, delta: 1.0, format, expiry },
        Op::Append { key, value: b"x" },
        Op::CompareAndSet { key, expected: None, value: b"x", expiry },
        Op::Rename { from: key, to: b"{t2}:7", if_absent: false },
    ] {
        assert_eq!(shape.check(&op).map_err(|e| e.code()), Err(ErrorCode::ValueMisfit), "{op:?}");
    }
    let rename = Op::Rename { from: key, to: b"{t1}:8", if_absent: false };
    assert_eq!(shape.check(&rename), Ok(()));
}

#[test]
fn whole_numbers_can_spread_records() {
    let columns = vec![MapColumn { name: "n".into(), holds: ColumnType::BigInt }];
    let shape = Shape::new(MapSchema { columns, partition_by: Some("n".into()) });
    assert_eq!(refused(&shape, "{-42}:x", r#"{"n": -42}"#), None);
    assert!(refused(&shape, "{42}:x", r#"{"n": -42}"#).is_some());
}
