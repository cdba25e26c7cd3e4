//! Statements that pick rows give what a planned one gives.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::counts::QueryCounts;
use crate::testing::{Maps, answered};
use crate::{Parameter, QueryLimits, Sql};

fn sql() -> (Arc<Maps>, Sql) {
    let mut maps = Maps::new();
    for order in 0..200 {
        let (tenant, paid) = (order % 10, order % 3 == 0);
        let total = if order % 7 == 0 { "null".to_owned() } else { order.to_string() };
        let value = format!("{{\"tenant\":\"t{tenant}\",\"total\":{total},\"paid\":{paid}}}");
        maps.put("orders", &format!("{{t{tenant}}}:{order}"), value.as_bytes());
    }
    maps.define("orders", "tenant");
    let maps = Arc::new(maps);
    let sql = Sql::new(Arc::clone(&maps) as Arc<_>, Arc::default(), QueryLimits::default());
    (maps, sql)
}

fn is_picked(sql: &Sql, statement: &str) -> bool {
    sql.plans.kept(statement).is_some_and(|plan| plan.pick.is_some())
}

#[tokio::test]
async fn rows_are_those_that_a_planned_statement_gives() {
    let (_, sql) = sql();
    for (statement, is_pick) in [
        ("SELECT * FROM orders WHERE tenant = $1", true),
        ("SELECT total FROM orders WHERE tenant = $1", true),
        (
            "SELECT _key, total * 2 AS twice, paid FROM orders WHERE tenant = $1 AND total > 40",
            true,
        ),
        ("SELECT 1 FROM orders WHERE tenant = $1", true),
        ("SELECT total FROM orders WHERE tenant = $1 AND (paid OR total < 90)", true),
        ("SELECT total FROM orders WHERE tenant = $1 AND total IS NULL", true),
        ("SELECT total FROM orders WHERE tenant = $1 LIMIT 3", true),
        ("SELECT _key FROM orders WHERE tenant = $1 AND paid LIMIT 2", true),
        ("SELECT total FROM orders WHERE tenant = $1 LIMIT 0", false),
        ("SELECT total FROM orders WHERE tenant = $1 LIMIT 3 OFFSET 1", false),
        ("SELECT total FROM orders WHERE tenant = $1 ORDER BY total", false),
        ("SELECT count(*) FROM orders WHERE tenant = $1", false),
        ("SELECT DISTINCT paid FROM orders WHERE tenant = $1", false),
    ] {
        for tenant in ["t3", "t7", "none"] {
            let values = || vec![Parameter::Text(tenant.to_owned())];
            let mut expected = if statement.contains("LIMIT") || statement.contains("ORDER") {
                answered(&sql, statement, values()).await.expect(statement)
            } else {
                // What is in order is planned.
                let ordered = format!("{statement} ORDER BY 1");
                answered(&sql, &ordered, values()).await.expect(statement)
            };
            expected.sort();
            for _ in 0..2 {
                let mut found = answered(&sql, statement, values()).await.expect(statement);
                found.sort();
                assert_eq!(found, expected, "{statement} {tenant}");
            }
        }
        assert_eq!(is_picked(&sql, statement), is_pick, "{statement}");
    }
}

#[tokio::test]
async fn no_more_is_read_than_is_wanted() {
    let (maps, sql) = sql();
    for order in 0..1_000 {
        let value = b"{\"tenant\":\"t3\",\"total\":1,\"paid\":true}";
        maps.put("orders", &format!("{{t3}}:more{order}"), value);
    }
    let statement = "SELECT total FROM orders WHERE tenant = $1 AND paid LIMIT 2";
    let values = || vec![Parameter::Text("t3".to_owned())];
    answered(&sql, statement, values()).await.expect("it is planned");
    // A page has three records, and there are more than three hundred pages.
    maps.left.store(60, Ordering::Relaxed);
    let rows = answered(&sql, statement, values()).await.expect("pages enough");
    assert_eq!(rows.len(), 2);
    assert!(is_picked(&sql, statement));
}

#[tokio::test]
async fn what_is_looked_at_counts_and_has_its_limit() {
    let (maps, _) = sql();
    let limits = QueryLimits { scanned_max: Some(12), ..QueryLimits::default() };
    let sql = Sql::new(maps, Arc::new(QueryCounts::default()), limits);
    let statement = "SELECT total FROM orders WHERE tenant = $1";
    for _ in 0..2 {
        let values = vec![Parameter::Text("t3".to_owned())];
        let refused = answered(&sql, statement, values).await.expect_err("there are twenty");
        assert_eq!(refused.code(), isogrid_core::ErrorCode::QueryTooManyScanned);
    }
    assert!(is_picked(&sql, statement));
    assert_eq!(sql.grid.counts.failed(), 2);
}
