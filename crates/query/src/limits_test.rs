//! Statements that meet a limit.

use std::sync::Arc;

use isogrid_core::Result;

use super::*;
use crate::Sql;
use crate::testing::{Endless, Maps, answered};

fn maps() -> Maps {
    let mut maps = Maps::new();
    for n in 0..100_u32 {
        let order = format!("{{\"tenant\": \"t{}\", \"total\": {n}.5}}", n % 10);
        maps.put("orders", &format!("{{t{}}}:{n}", n % 10), order.as_bytes());
    }
    maps.define("orders", "tenant");
    maps.put("users", "u1", b"{}");
    maps
}

fn sql(limits: QueryLimits) -> Sql {
    Sql::new(Arc::new(maps()), Arc::default(), limits)
}

async fn count(sql: &Sql, statement: &str) -> Result<usize> {
    answered(sql, statement, Vec::new()).await.map(|rows| rows.len())
}

async fn refused(sql: &Sql, statement: &str) -> Error {
    match count(sql, statement).await {
        Ok(rows) => panic!("{statement}: {rows} rows"),
        Err(error) => error,
    }
}

#[tokio::test]
async fn an_answer_has_as_many_rows_as_it_may_and_no_more() {
    let limits = QueryLimits { rows_max: Some(100), ..QueryLimits::default() };
    assert_eq!(count(&sql(limits), "SELECT _key FROM orders").await.unwrap(), 100);
    let limits = QueryLimits { rows_max: Some(99), ..limits };
    let error = refused(&sql(limits), "SELECT _key FROM orders").await;
    assert_eq!(error.code(), ErrorCode::QueryTooManyRows, "{error}");
    assert!(error.detail().contains("at most 99"), "{error}");
    assert_eq!(count(&sql(limits), "SELECT count(*) FROM orders").await.unwrap(), 1);
    assert_eq!(count(&sql(limits), "SELECT _key FROM orders LIMIT 99").await.unwrap(), 99);
}

#[tokio::test]
async fn all_walks_of_a_statement_are_counted_together() {
    let limits = QueryLimits { scanned_max: Some(100), ..QueryLimits::default() };
    assert_eq!(count(&sql(limits), "SELECT count(*) FROM orders").await.unwrap(), 1);
    let twice =
        "SELECT (SELECT count(*) FROM orders) AS a, count(*) AS b FROM orders WHERE total > 0";
    let error = refused(&sql(limits), twice).await;
    assert_eq!(error.code(), ErrorCode::QueryTooManyScanned, "{error}");
    let sql = sql(QueryLimits { scanned_max: Some(99), ..limits });
    let error = refused(&sql, "SELECT count(*) FROM orders").await;
    assert_eq!(error.code(), ErrorCode::QueryTooManyScanned, "{error}");
    let one = "SELECT count(*) FROM orders WHERE tenant = 't1'";
    for _ in 0..20 {
        assert_eq!(count(&sql, one).await.unwrap(), 1, "each statement begins anew");
    }
}

#[tokio::test]
async fn a_caller_can_want_less_and_gets_no_more() {
    let sql = Sql::new(Arc::new(Endless), Arc::default(), QueryLimits::default());
    let hasty = Wishes { timeout: Some(Duration::from_millis(50)), ..Wishes::default() };
    let error = refused(&sql.with(hasty), "SELECT count(*) FROM endless").await;
    assert!(error.detail().contains("50 ms"), "{error}");
    let hungry = Wishes { memory_bytes: Some(usize::MAX), ..Wishes::default() };
    assert_eq!(sql.with(hungry).limits, sql.limits);
}

#[tokio::test]
async fn statements_that_leave_no_partition_out_can_be_refused() {
    let wishes = Wishes { require_pruned: true, ..Wishes::default() };
    let sql = sql(QueryLimits::default()).with(wishes);
    for statement in [
        "SELECT * FROM orders",
        "SELECT * FROM orders LIMIT 1",
        "SELECT * FROM orders WHERE total = 1 AND paid",
        "SELECT * FROM orders WHERE tenant = 't1' OR total = 1",
        "SELECT * FROM orders o, orders p WHERE o.tenant = 't1' AND o.total = p.total",
        "SELECT * FROM orders WHERE tenant = 't1' UNION ALL SELECT * FROM orders",
        "EXPLAIN ANALYZE SELECT * FROM orders",
    ] {
        let error = refused(&sql, statement).await;
        assert_eq!(error.code(), ErrorCode::QueryNotPruned, "{statement}: {error}");
        for word in ["\"orders\"", "\"tenant\"", "\"_key\"", "\"_partition\""] {
            assert!(error.detail().contains(word), "{word}: {error}");
        }
    }
    let error = refused(&sql, "SELECT * FROM users").await;
    assert!(!error.detail().contains("tenant"), "{error}");
    for statement in [
        "SELECT * FROM orders WHERE tenant = 't1'",
        "SELECT * FROM orders WHERE _key IN ('{t1}:1', '{t2}:2')",
        "SELECT * FROM orders WHERE _partition = 3 AND total > 1",
        "SELECT * FROM orders o JOIN orders p ON o.tenant = p.tenant WHERE o.tenant = 't1'",
        "EXPLAIN SELECT * FROM orders",
        "EXPLAIN ROUTING SELECT * FROM orders",
        "SELECT 1",
        "SHOW TABLES",
    ] {
        count(&sql, statement).await.unwrap();
    }
}

#[tokio::test]
async fn a_map_can_refuse_what_sessions_do_not() {
    let sql = sql(QueryLimits::default());
    count(&sql, "ALTER MAP orders SET (require_pruned = true)").await.unwrap();
    let error = refused(&sql, "SELECT * FROM users, orders").await;
    assert_eq!(error.code(), ErrorCode::QueryNotPruned, "{error}");
    assert_eq!(count(&sql, "SELECT * FROM orders WHERE tenant = 't1'").await.unwrap(), 10);
    assert_eq!(count(&sql, "SELECT * FROM users").await.unwrap(), 1);
}
