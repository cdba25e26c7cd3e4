//! Plans that are kept, and those that are not.

use futures::TryStreamExt;

use super::*;
use crate::limits::QueryLimits;
use crate::parameter::Parameter;
use crate::sql::Sql;
use crate::testing::Maps;

/// 40 orders of ten tenants in a map with columns, and the same in one without.
fn sql() -> (Arc<Maps>, Sql) {
    let mut maps = Maps::new();
    for n in 0..40 {
        let (key, tenant) = (format!("{{t{}}}:{n}", n % 10), format!("t{}", n % 10));
        let order =
            serde_json::json!({"tenant": tenant, "total": f64::from(n), "paid": n % 2 == 0});
        for map in ["orders", "plain"] {
            maps.put(map, &key, order.to_string().as_bytes());
        }
    }
    maps.define("orders", "tenant");
    let maps = Arc::new(maps);
    (Arc::clone(&maps), Sql::new(maps, Arc::default(), QueryLimits::default()))
}

fn text(value: &str) -> Vec<Parameter> {
    vec![Parameter::Text(value.to_owned())]
}

async fn rows(sql: &Sql, statement: &str, values: Vec<Parameter>) -> usize {
    let answer = sql.run(statement, values).await.unwrap();
    let batches: Vec<_> = answer.batches.try_collect().await.unwrap();
    batches.iter().map(datafusion::arrow::array::RecordBatch::num_rows).sum()
}

/// Whether a plan is kept after this statement was asked.
async fn is_kept(sql: &Sql, statement: &str, values: Vec<Parameter>) -> bool {
    sql.run(statement, values).await.unwrap();
    sql.plans.0.lock().plans.contains_key(statement)
}

#[tokio::test]
async fn a_statement_asked_again_answers_with_its_new_values() {
    let (_, sql) = sql();
    let statement = "SELECT total FROM orders WHERE tenant = $1 AND total >= $2";
    for (tenant, total, expected) in
        [("t3", 0.0, 4), ("t3", 14.0, 2), ("t9", 39.0, 1), ("x", 0.0, 0)]
    {
        let values = vec![Parameter::Text(tenant.into()), Parameter::Double(total)];
        assert_eq!(rows(&sql, statement, values).await, expected, "{tenant} {total}");
        let kept = sql.plans.0.lock();
        assert_eq!(kept.plans.len(), 1);
        assert_eq!(Arc::strong_count(&kept.plans[statement].0), 1, "the same plan all the time");
    }
    let counts = &sql.grid.counts;
    assert_eq!((counts.partitions_scanned(), counts.partitions_pruned()), (4, 60));
    // Values of other types are read as ever, by a plan of their own.
    let values = vec![Parameter::Text("t3".into()), Parameter::BigInt(14)];
    assert_eq!(rows(&sql, statement, values).await, 2);
    let values = vec![Parameter::Null, Parameter::Double(0.0)];
    assert_eq!(rows(&sql, statement, values).await, 0);
    assert!(sql.run(statement, text("t3")).await.is_err(), "a value is missing");
}

#[tokio::test]
async fn plans_that_values_or_time_change_are_not_kept() {
    let (_, sql) = sql();
    for statement in [
        "SELECT 1",
        "SELECT count(*) FROM orders WHERE tenant IN ('t1', 't2')",
        "SELECT o.total FROM orders o JOIN orders p ON o.tenant = p.tenant WHERE p.tenant = 't1'",
    ] {
        assert!(is_kept(&sql, statement, Vec::new()).await, "{statement}");
    }
    for statement in [
        "SELECT count(*) FROM plain",
        "SELECT now()",
        "SELECT count(*) FROM orders WHERE random() < 2",
        "EXPLAIN SELECT count(*) FROM orders",
        "SELECT * FROM information_schema.tables",
        "SELECT count(*) FROM orders WHERE total > (SELECT sum(total) FROM plain)",
    ] {
        assert!(!is_kept(&sql, statement, Vec::new()).await, "{statement}");
    }
    for statement in [
        "SELECT count(*) FROM orders WHERE tenant = $1 OR $1 IS NULL",
        "SELECT count(*) FROM orders WHERE tenant = $1 || 'x'",
        "SELECT $1 FROM orders",
    ] {
        assert!(!is_kept(&sql, statement, text("t1")).await, "{statement}");
    }
    let statement = "SELECT * FROM orders ORDER BY total LIMIT $1";
    assert!(!is_kept(&sql, statement, vec![Parameter::BigInt(3)]).await);
    let long = format!("SELECT 1 AS \"{}\"", "x".repeat(STATEMENT_BYTES_MAX));
    assert!(!is_kept(&sql, &long, Vec::new()).await);
}

#[tokio::test]
async fn a_map_that_was_changed_is_planned_anew() {
    let (_, sql) = sql();
    let statement = "SELECT * FROM orders WHERE tenant = $1";
    let columns = async || sql.run(statement, text("t1")).await.unwrap().schema.fields().len();
    assert_eq!(columns().await, 8);
    sql.run("ALTER MAP orders ADD note TEXT", Vec::new()).await.unwrap();
    assert_eq!(columns().await, 9);
    sql.run("DROP MAP orders", Vec::new()).await.unwrap();
    let gone = sql.run(statement, text("t1")).await.unwrap_err();
    assert!(gone.detail().contains("orders"), "{gone}");
}

#[tokio::test]
async fn the_plan_that_was_not_used_for_longest_makes_room() {
    let (_, sql) = sql();
    assert!(is_kept(&sql, "SELECT 0", Vec::new()).await);
    for n in 1..=PLANS_MAX {
        assert!(is_kept(&sql, &format!("SELECT {n}"), Vec::new()).await);
        assert!(is_kept(&sql, "SELECT 0", Vec::new()).await);
    }
    let kept = sql.plans.0.lock();
    assert_eq!(kept.plans.len(), PLANS_MAX);
    assert!(!kept.plans.contains_key("SELECT 1") && kept.plans.contains_key("SELECT 2"));
}

#[tokio::test]
async fn an_answer_says_what_names_its_one_partition() {
    let (maps, sql) = sql();
    let t1 = maps.partitions().partition_of_key(b"t1");
    for (statement, route) in [
        ("SELECT * FROM orders WHERE tenant = $1", Some(Route::PartitionKey(1))),
        ("SELECT * FROM orders WHERE total > 3 AND $1 = tenant", Some(Route::PartitionKey(1))),
        ("SELECT * FROM orders WHERE _key = $1", Some(Route::Key(1))),
        ("SELECT * FROM orders WHERE _value <> $1 AND tenant = 't1'", Some(Route::Partition(t1))),
        (
            "SELECT * FROM orders a JOIN orders b ON a.tenant = b.tenant WHERE a.tenant = $1",
            Some(Route::PartitionKey(1)),
        ),
        ("SELECT * FROM orders a, orders b WHERE a.tenant = $1", None),
        ("SELECT * FROM orders WHERE tenant = $1 OR total = 3", None),
        ("SELECT * FROM orders WHERE tenant > $1", None),
        ("SELECT 1 WHERE 'a' < $1", None),
    ] {
        let values = if statement.contains("$1") { text("t1") } else { Vec::new() };
        assert_eq!(sql.run(statement, values).await.unwrap().route, route, "{statement}");
    }
}
