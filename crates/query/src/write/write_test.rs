//! Statements that write to maps in memory.

use std::sync::atomic::Ordering;

use datafusion::arrow::util::display::{ArrayFormatter, FormatOptions};
use futures::TryStreamExt;
use isogrid_core::{ColumnType, MapColumn, MapSchema, Outcome};

use super::*;
use crate::limits::QueryLimits;
use crate::parameter::Parameter;
use crate::source::Source;
use crate::testing::{Endless, Maps};

fn sql(maps: Maps) -> (Arc<Maps>, Sql) {
    let maps = Arc::new(maps);
    (Arc::clone(&maps), Sql::new(maps, Arc::default(), QueryLimits::default()))
}

async fn run(sql: &Sql, statement: &str) -> Result<Vec<String>> {
    run_with(sql, statement, Vec::new()).await
}

/// The rows of an answer, their cells joined by `|`.
async fn run_with(sql: &Sql, statement: &str, values: Vec<Parameter>) -> Result<Vec<String>> {
    let answer = sql.run(statement, values).await?;
    let mut batches = answer.batches;
    let mut rows = Vec::new();
    while let Some(batch) = batches.try_next().await? {
        assert_eq!(batch.schema(), answer.schema);
        let options = FormatOptions::default().with_null("NULL");
        let columns: Vec<_> = batch
            .columns()
            .iter()
            .map(|column| ArrayFormatter::try_new(column, &options).unwrap())
            .collect();
        for row in 0..batch.num_rows() {
            let cells: Vec<String> =
                columns.iter().map(|column| column.value(row).to_string()).collect();
            rows.push(cells.join("|"));
        }
    }
    Ok(rows)
}

async fn why_not(sql: &Sql, statement: &str) -> Error {
    match run(sql, statement).await {
        Ok(rows) => panic!("{statement}: {rows:?}"),
        Err(error) => error,
    }
}

/// A map without columns and records.
fn empty() -> Maps {
    let maps = Maps::new();
    maps.make("m", None);
    maps
}

/// A map with columns of all types, partitioned by tenant.
fn shaped() -> Maps {
    let column = |(name, holds): (&str, ColumnType)| MapColumn { name: name.to_owned(), holds };
    let columns = [
        ("tenant", ColumnType::Text),
        ("n", ColumnType::BigInt),
        ("total", ColumnType::Double),
        ("ok", ColumnType::Boolean),
        ("placed", ColumnType::Timestamp),
        ("items", ColumnType::Json),
        ("raw", ColumnType::Bytes),
    ];
    let columns = columns.into_iter().map(column).collect();
    let maps = Maps::new();
    maps.make("orders", Some(MapSchema { columns, partition_by: Some("tenant".to_owned()) }));
    maps
}

#[tokio::test]
async fn rows_become_records_of_json() {
    let (maps, sql) = sql(empty());
    let insert = "INSERT INTO m (_key, n, d, t, b, l, \"Nothing\") VALUES ('a', 1, 1.5, 'x\"y', true, [1, 2], NULL), ('b', -2, 2.0, '', false, [3], NULL)";
    assert_eq!(run(&sql, insert).await.unwrap(), ["2"]);
    let a = r#"{"n":1,"d":1.5,"t":"x\"y","b":true,"l":[1,2],"Nothing":null}"#;
    assert_eq!(maps.text("m", "a").as_deref(), Some(a));
    assert_eq!(run(&sql, "SELECT n, t FROM m WHERE _key = 'b'").await.unwrap(), ["-2|"]);
    let copy =
        "INSERT INTO m SELECT _key || '2' AS _key, n, named_struct('d', d) AS o FROM m WHERE n > 0";
    assert_eq!(run(&sql, copy).await.unwrap(), ["1"]);
    assert_eq!(maps.text("m", "a2").as_deref(), Some(r#"{"n":1,"o":{"d":1.5}}"#));
    let raw =
        "UPSERT INTO m (_key, _value, _expires_at) VALUES ('a', 'plain', '2100-01-01T00:00:00Z')";
    assert_eq!(run(&sql, raw).await.unwrap(), ["1"]);
    let row = maps.get("m", b"a").unwrap();
    assert_eq!((&row.value[..], row.expires_at_ms), (&b"plain"[..], Some(4_102_444_800_000)));
    run(&sql, "INSERT INTO m (_key, raw) VALUES ('bytes', X'01ff')").await.unwrap();
    let bytes = maps.get("m", b"bytes").unwrap().value;
    assert_eq!(bytes[..], [0x81, 0xa3, b'r', b'a', b'w', 0xc4, 2, 1, 255], "JSON has no bytes");
}

#[tokio::test]
async fn columns_decide_how_values_are_written() {
    let (maps, sql) = sql(shaped());
    let insert = "INSERT INTO orders (_key, tenant, n, total, ok, placed, items) VALUES ('{t1}:1', 't1', '7', 5, true, '2026-01-02T03:04:05Z', '[\"tea\", {\"a\": 1}]')";
    assert_eq!(run(&sql, insert).await.unwrap(), ["1"]);
    let value = r#"{"tenant":"t1","n":7,"total":5.0,"ok":true,"placed":"2026-01-02T03:04:05Z","items":["tea",{"a":1}]}"#;
    assert_eq!(maps.text("orders", "{t1}:1").as_deref(), Some(value));
    let plain = "INSERT INTO orders VALUES ('{t1}:2', 't1', 1, 1, false, NULL, '{}', X'00')";
    assert_eq!(run(&sql, plain).await.unwrap(), ["1"], "all columns, in their order");
    let shown = run(&sql, "SELECT n, raw, items FROM orders WHERE _key = '{t1}:2'").await;
    assert_eq!(shown.unwrap(), ["1|00|{}"]);
    let error =
        why_not(&sql, "INSERT INTO orders (_key, tenant, items) VALUES ('{t1}:3', 't1', 'tea')")
            .await;
    assert_eq!((error.code(), error.outcome()), (ErrorCode::ValueMisfit, Outcome::NotApplied));
    assert!(error.detail().contains("the field items is no JSON"), "{error}");
    for (statement, why) in [
        ("INSERT INTO orders (_key, other) VALUES ('a', 1)", "has no column \"other\""),
        ("INSERT INTO orders (_key, n, n) VALUES ('a', 1, 1)", "named twice"),
        ("INSERT INTO orders (n) VALUES (1)", "_key is not among"),
        ("INSERT INTO orders (_key, _version) VALUES ('a', 1)", "cannot be written"),
        ("INSERT INTO orders (_key, _value, n) VALUES ('a', '{}', 1)", "together with fields"),
        ("INSERT INTO orders (_key, n) VALUES ('a', 1, 2)", "2 columns are named"),
        ("INSERT INTO orders VALUES ('a', 1)", "8 columns are named"),
        ("INSERT INTO nowhere (_key) VALUES ('a')", "'nowhere' not found"),
        ("UPDATE nowhere SET a = 1", "'nowhere' not found"),
        ("DELETE FROM nowhere", "'nowhere' not found"),
        ("UPDATE orders SET other = 1", "has no column \"other\""),
        ("UPDATE orders SET tenant = 't2'", "partitioned by it"),
        ("UPDATE orders SET _key = 'x'", "_key cannot be set"),
        ("UPDATE orders SET _version = 1", "cannot be written"),
        ("UPDATE orders SET n = 1, n = 2", "named twice"),
        ("UPDATE orders SET n = nothing", "nothing"),
        ("WITH x AS (SELECT 1) INSERT INTO orders (_key) SELECT '1'", "not implemented"),
    ] {
        let error = why_not(&sql, statement).await;
        assert_eq!(error.code(), ErrorCode::QueryInvalid, "{statement}: {error}");
        assert!(error.detail().contains(why), "{statement}: {error}");
    }
    assert_eq!(run(&sql, "SELECT count(*) FROM orders").await.unwrap(), ["2"]);
}

#[tokio::test]
async fn a_key_that_is_there_is_refused_passed_over_or_replaced() {
    let (maps, sql) = sql(empty());
    maps.put("m", "a", b"{\"n\":0}");
    let error = why_not(&sql, "INSERT INTO m (_key, n) VALUES ('a', 1)").await;
    assert_eq!((error.code(), error.outcome()), (ErrorCode::KeyPresent, Outcome::NotApplied));
    assert!(error.detail().contains("key \"a\""), "{error}");
    let error = why_not(&sql, "INSERT INTO m (_key, n) VALUES ('a', 1), ('b', 1), ('b', 2)").await;
    assert_eq!((error.code(), error.outcome()), (ErrorCode::KeyPresent, Outcome::Unknown));
    assert!(error.detail().starts_with("2 of 3 rows were not written, 1 were"), "{error}");
    let skip = "INSERT INTO m (_key, n) VALUES ('a', 1), ('c', 1) ON CONFLICT DO NOTHING";
    assert_eq!(run(&sql, skip).await.unwrap(), ["1"]);
    assert_eq!(maps.text("m", "a").as_deref(), Some("{\"n\":0}"));
    let upsert = "UPSERT INTO m (_key, n) VALUES ('a', 5), ('a', 6), ('d', 7)";
    assert_eq!(run(&sql, upsert).await.unwrap(), ["3"], "one behind the other");
    assert_eq!(
        run(&sql, "SELECT _key, n FROM m ORDER BY 1").await.unwrap(),
        ["a|6", "b|1", "c|1", "d|7"]
    );
}

#[tokio::test]
async fn updates_change_fields_and_keep_all_else() {
    let (maps, sql) = sql(empty());
    maps.put("m", "a", br#"{"n": 1, "big": 123456789012345678901234567890, "city": "Oslo"}"#);
    let packed = rmp_serde::to_vec_named(&serde_json::json!({"n": 2, "city": "Bern"})).unwrap();
    maps.put("m", "b", &packed);
    maps.put("m", "c", br#"{"n": null, "city": "Rome"}"#);
    maps.put_bytes("m", &[0xff], br#"{"n": 4}"#);
    run(&sql, "UPDATE m SET _expires_at = '2100-01-01T00:00:00Z' WHERE _key = 'a'").await.unwrap();
    assert_eq!(
        run(&sql, "UPDATE m SET n = n * 10 + 1, note = upper(city) WHERE n > 0").await.unwrap(),
        ["3"]
    );
    let a = r#"{"n":11,"big":123456789012345678901234567890,"city":"Oslo","note":"OSLO"}"#;
    assert_eq!(maps.text("m", "a").as_deref(), Some(a));
    assert_eq!(maps.get("m", b"a").unwrap().expires_at_ms, Some(4_102_444_800_000), "it is kept");
    let b = maps.get("m", b"b").unwrap().value;
    assert_eq!(b[0], 0x83, "MessagePack stays that");
    assert_eq!(isogrid_value::text(&b), r#"{"city":"Bern","n":21,"note":"BERN"}"#);
    assert_eq!(
        maps.text("m", "c").as_deref(),
        Some(r#"{"n": null, "city": "Rome"}"#),
        "NULL > 0 is not true"
    );
    assert!(maps.get("m", &[0xff]).is_some_and(|row| row.value.starts_with(b"{\"n\":41")));
    assert_eq!(
        run(&sql, "UPDATE m SET n = NULL, _expires_at = NULL WHERE _key = 'a'").await.unwrap(),
        ["1"]
    );
    assert!(maps.text("m", "a").unwrap().starts_with("{\"n\":null"));
    assert_eq!(maps.get("m", b"a").unwrap().expires_at_ms, None);
    assert_eq!(
        run(&sql, "UPDATE m SET _value = '{\"x\": 1}' WHERE city = 'Rome'").await.unwrap(),
        ["1"]
    );
    assert_eq!(maps.text("m", "c").as_deref(), Some("{\"x\": 1}"));
    assert_eq!(run(&sql, "UPDATE m SET n = 1 WHERE city = 'Paris'").await.unwrap(), ["0"]);
}

#[tokio::test]
async fn predicates_are_those_of_queries() {
    let (maps, sql) = sql(empty());
    for n in 0..20 {
        maps.put(
            "m",
            &format!("k{n:02}"),
            format!("{{\"n\": {n}, \"Odd Name\": \"x{}\"}}", n % 2).as_bytes(),
        );
    }
    maps.put("others", "o", b"{\"n\": 3}");
    maps.put("others", "p", b"{\"n\": 5}");
    for (statement, changed) in [
        ("DELETE FROM m WHERE n IN (SELECT n FROM others)", "2"),
        ("DELETE FROM m AS x WHERE EXISTS (SELECT 1 FROM others o WHERE o.n + 1 = x.n)", "2"),
        ("DELETE FROM m WHERE n > (SELECT avg(n) + 8 FROM m)", "1"),
        (
            "UPDATE public.m SET \"Odd Name\" = 'y' WHERE m.\"Odd Name\" = 'x1' AND public.m.n < 10",
            "3",
        ),
        ("DELETE FROM m WHERE n NOT IN (SELECT NULL::bigint)", "0"),
        ("DELETE FROM m WHERE NULL", "0"),
    ] {
        assert_eq!(run(&sql, statement).await.expect(statement), [changed], "{statement}");
    }
    let values = || {
        vec![Parameter::Text("it's; DELETE".into()), Parameter::BigInt(-7), Parameter::Double(2.0)]
    };
    let update = "UPDATE m SET note = $1, low = $2 WHERE n = $3 AND $1 LIKE '%DELETE'";
    assert_eq!(run_with(&sql, update, values()).await.unwrap(), ["1"]);
    assert_eq!(
        maps.text("m", "k02").as_deref(),
        Some("{\"n\":2,\"Odd Name\":\"x0\",\"note\":\"it's; DELETE\",\"low\":-7}")
    );
    let insert = "INSERT INTO m (_key, a, b, c, d) VALUES ($1, $2, $3, $4, $5)";
    let values = vec![
        Parameter::Text("new".into()),
        Parameter::BigInt(i64::MIN),
        Parameter::Double(-1e300),
        Parameter::Null,
        Parameter::Bytes(vec![0, 255].into()),
    ];
    assert_eq!(run_with(&sql, insert, values).await.unwrap(), ["1"]);
    let value = isogrid_value::text(&maps.get("m", b"new").unwrap().value);
    assert_eq!(value, r#"{"a":-9223372036854775808,"b":-1e+300,"c":null,"d":"\\x00ff"}"#);
    assert_eq!(run(&sql, "DELETE FROM m").await.unwrap().len(), 1);
    assert_eq!(run(&sql, "SELECT count(*) FROM m").await.unwrap(), ["0"]);
}

#[tokio::test]
async fn what_others_change_meanwhile_is_read_again() {
    let (maps, sql) = sql(empty());
    let other = |key: &str, value: &str| {
        maps.others.lock().unwrap().push_back(("m".into(), key.into(), value.into()));
    };
    maps.put("m", "a", b"{\"n\": 1}");
    other("a", "{\"n\": 10}");
    other("a", "{\"n\": 20}");
    assert_eq!(run(&sql, "UPDATE m SET n = n + 1").await.unwrap(), ["1"]);
    assert_eq!(maps.text("m", "a").as_deref(), Some("{\"n\":21}"));
    other("a", "{\"n\": 0}");
    assert_eq!(run(&sql, "DELETE FROM m WHERE n = 21").await.unwrap(), ["0"], "it is that no more");
    assert!(maps.get("m", b"a").is_some());
    for n in 0..40 {
        other("a", &format!("{{\"n\": {n}}}"));
    }
    let error = why_not(&sql, "UPDATE m SET n = n + 1").await;
    assert_eq!((error.code(), error.outcome()), (ErrorCode::RecordChanged, Outcome::NotApplied));
    let told = run(&sql, "UPDATE m SET n = n + 1 RETURNING _key, _outcome").await.unwrap();
    assert_eq!(told, ["a|conflicted"]);
}

#[tokio::test]
async fn what_is_written_is_not_read_by_the_same_statement() {
    let (maps, sql) = sql(empty());
    for n in 0..10 {
        maps.put("m", &format!("k{n}"), format!("{{\"n\": {n}}}").as_bytes());
    }
    let double = "INSERT INTO m (_key, n) SELECT _key || '-' || n, n FROM m";
    assert_eq!(run(&sql, double).await.unwrap(), ["10"]);
    let above = "UPDATE m SET n = n + 100 WHERE n >= (SELECT avg(n) FROM m)";
    assert_eq!(run(&sql, above).await.unwrap(), ["10"]);
    let maps = empty();
    maps.put("m", "k", &[b"{\"t\": \"".as_slice(), &[b'x'; 5_000], b"\"}"].concat());
    let limits = QueryLimits { memory_bytes: 1 << 20, ..QueryLimits::default() };
    let sql = Sql::new(Arc::new(maps), Arc::default(), limits);
    for n in 0..10 {
        let copy = format!("INSERT INTO m (_key, t) SELECT _key || '-{n}', t FROM m");
        if let Err(error) = run(&sql, &copy).await {
            assert_eq!(
                (error.code(), error.outcome()),
                (ErrorCode::QueryTooLarge, Outcome::NotApplied)
            );
            return;
        }
    }
    panic!("it holds more than it may");
}

#[tokio::test]
async fn an_update_along_an_index_meets_every_record_once() {
    let (maps, sql) = sql(shaped());
    for n in 0..60 {
        let order = format!("{{\"tenant\": \"t{}\", \"n\": {n}}}", n % 7);
        maps.put("orders", &format!("{{t{}}}:{n}", n % 7), order.as_bytes());
    }
    run(&sql, "CREATE INDEX by_n ON orders USING ordered (n)").await.unwrap();
    let before = maps.seeks.load(Ordering::Relaxed);
    let raise = "UPDATE orders SET n = n + 5 WHERE n >= 20 AND n < 1000";
    assert_eq!(run(&sql, raise).await.unwrap(), ["40"]);
    assert!(maps.seeks.load(Ordering::Relaxed) > before, "the index was asked");
    let sum = (0..60).map(|n| if n >= 20 { n + 5 } else { n }).sum::<i64>();
    assert_eq!(run(&sql, "SELECT sum(n) FROM orders").await.unwrap(), [sum.to_string()]);
}

#[tokio::test]
async fn the_fate_of_every_row_is_told() {
    let (maps, sql) = sql(empty());
    maps.put("m", "b", b"{\"n\": 1}");
    let long = "x".repeat(101);
    let insert = format!(
        "INSERT INTO m (_key, n) VALUES ('a', 1), ('b', 2), ('{long}', 3), (NULL, 4) RETURNING *"
    );
    let mut rows = run(&sql, &insert).await.expect("failures are rows");
    rows.sort();
    let shown: Vec<Vec<&str>> = rows.iter().map(|row| row.split('|').collect()).collect();
    assert_eq!((shown[0][0], shown[0][1], shown[0][3]), ("a", "inserted", "NULL"));
    assert!(shown[0][2].parse::<u64>().is_ok(), "{rows:?}");
    assert_eq!(shown[1][..2], ["b", "failed"]);
    assert!(shown[1][3].starts_with("IG-0130"), "{rows:?}");
    assert!(shown[2][3].starts_with("IG-0101"), "{rows:?}");
    assert_eq!(shown[3][..3], ["", "failed", "NULL"]);
    assert!(shown[3][3].contains("NULL is no key"), "{rows:?}");
    let error =
        why_not(&sql, "INSERT INTO m (_key, n) VALUES ('b', 2), ('c', 1) RETURNING _key").await;
    assert_eq!(error.code(), ErrorCode::KeyPresent, "nothing else would tell");
    let skipped =
        "INSERT INTO m (_key) VALUES ('b') ON CONFLICT DO NOTHING RETURNING _outcome AS o";
    assert_eq!(run(&sql, skipped).await.unwrap(), ["skipped"]);
    maps.lost.store(1, Ordering::Relaxed);
    let lost = "UPDATE m SET n = n + 1 WHERE _key = 'b' RETURNING _key, _outcome, _error";
    let rows = run(&sql, lost).await.unwrap();
    assert!(rows[0].starts_with("b|unknown|IG-0403"), "{rows:?}");
    maps.lost.store(1, Ordering::Relaxed);
    let error = why_not(&sql, "DELETE FROM m WHERE _key = 'b'").await;
    assert_eq!((error.code(), error.outcome()), (ErrorCode::ConnectionLost, Outcome::Unknown));
    let plain = "UPDATE m SET n = 1 WHERE _value = 'text' RETURNING _error";
    maps.put("m", "p", b"text");
    let rows = run(&sql, plain).await.unwrap();
    assert!(rows[0].starts_with("IG-0118") && rows[0].contains("has no fields"), "{rows:?}");
}

#[tokio::test]
async fn batches_are_bounded_and_rows_come_as_they_are_written() {
    let (maps, sql) = sql(empty());
    let rows: Vec<String> = (0..3_000).map(|n| format!("('k{n}', -{n})")).collect();
    let insert = format!("INSERT INTO m (_key, n) VALUES {}", rows.join(", "));
    assert_eq!(run(&sql, &insert).await.unwrap(), ["3000"]);
    let sizes = std::mem::take(&mut *maps.batches.lock().unwrap());
    assert!(sizes.iter().all(|size| *size <= 512) && sizes.len() < 60, "{sizes:?}");
    let one: Vec<String> = (0..200).map(|n| format!("('{{t}}:{n}', {n})")).collect();
    run(&sql, &format!("INSERT INTO m (_key, n) VALUES {}", one.join(", "))).await.unwrap();
    let sizes = std::mem::take(&mut *maps.batches.lock().unwrap());
    assert_eq!(sizes, [64, 64, 64, 8], "a partition takes so many at once");
    let mut answer = sql.run("UPDATE m SET n = 0 RETURNING _key", Vec::new()).await.unwrap();
    let first = answer.batches.try_next().await.unwrap().expect("rows");
    let progress = answer.progress.clone().expect("it writes");
    assert_eq!(progress.written(), first.num_rows() as u64, "nothing runs ahead");
    drop(answer);
    let zero = run(&sql, "SELECT count(*) FROM m WHERE n = 0").await.unwrap();
    assert_eq!(zero[0].parse::<u64>().unwrap(), progress.written() + 2, "two were that before");
    assert!(progress.told().unwrap().contains("rows were written"));
}

#[tokio::test]
async fn a_failure_in_the_middle_tells_what_was_written() {
    let (maps, sql) = sql(empty());
    for n in 0..200 {
        maps.put("from", &format!("{{t}}:{n}"), format!("{{\"n\": {n}}}").as_bytes());
    }
    maps.put("from", "last", b"{\"n\": 1}");
    let limits =
        QueryLimits { timeout: std::time::Duration::from_millis(300), ..QueryLimits::default() };
    // The sample takes pages too.
    maps.left.store(16 + 40, Ordering::Relaxed);
    let error = why_not(&sql, "INSERT INTO m (_key, n) SELECT _key, n FROM from").await;
    assert_eq!(error.code(), ErrorCode::NoPrimary, "{error}");
    let written = run(&sql, "SELECT count(*) FROM m").await.unwrap();
    let outcome = if written == ["0"] { Outcome::NotApplied } else { Outcome::Unknown };
    assert_eq!(error.outcome(), outcome, "{error}");
    let endless = Sql::new(Arc::new(Endless), Arc::default(), limits);
    for statement in
        ["DELETE FROM endless WHERE n = 2", "INSERT INTO endless SELECT _key, n FROM endless"]
    {
        let error = why_not(&endless, statement).await;
        assert!(
            matches!(error.code(), ErrorCode::QueryTooLong | ErrorCode::QueryTooLarge),
            "{error}"
        );
        assert_eq!(error.outcome(), Outcome::NotApplied, "{error}");
    }
}

#[tokio::test]
async fn explain_says_what_would_be_read_and_writes_nothing() {
    let (maps, sql) = sql(shaped());
    let explain = "EXPLAIN UPDATE orders SET n = 1 WHERE tenant = 't1'";
    let told = run(&sql, explain).await.unwrap().join("\n");
    assert!(
        told.starts_with("write_plan|GridWrite: map=orders, update: n, if the record"),
        "{told}"
    );
    assert!(told.contains("partitions: 1/16"), "{told}");
    let told =
        run(&sql, "EXPLAIN DELETE FROM orders WHERE _key = '{t1}:1'").await.unwrap().join("\n");
    assert!(told.contains("partitions: 1/16") && told.contains("delete:"), "{told}");
    run(&sql, "EXPLAIN UPSERT INTO orders (_key, tenant) VALUES ('{t1}:1', 't1')").await.unwrap();
    assert!(maps.get("orders", b"{t1}:1").is_none() && maps.batches.lock().unwrap().is_empty());
    let error = why_not(&sql, "EXPLAIN ANALYZE DELETE FROM orders").await;
    assert!(
        error.code() == ErrorCode::QueryInvalid && error.detail().contains("would write"),
        "{error}"
    );
}

#[tokio::test]
async fn a_map_that_goes_meanwhile_is_not_made_again() {
    let (maps, sql) = sql(empty());
    let answer = sql.run("INSERT INTO m (_key) VALUES ('a')", Vec::new()).await.unwrap();
    assert!(maps.drop_map("m").await.unwrap());
    let error = answer.batches.try_collect::<Vec<_>>().await.unwrap_err();
    assert_eq!((error.code(), error.outcome()), (ErrorCode::MapUnknown, Outcome::NotApplied));
}
