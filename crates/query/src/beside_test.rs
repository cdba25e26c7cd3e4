//! Which joins and groups stay where the data is, and that they answer as others do.

use datafusion::arrow::array::{Array, StringArray};
use datafusion::arrow::record_batch::RecordBatch;
use futures::TryStreamExt;

use crate::limits::QueryLimits;
use crate::sql::Sql;
use crate::testing::Maps;
use std::sync::Arc;

/// Orders and notes of 30 tenants; `loose` has the same orders and is partitioned by nothing.
fn sql() -> Sql {
    let mut maps = Maps::new();
    for n in 0..300 {
        let tenant = format!("t{}", n % 30);
        let order =
            serde_json::json!({"tenant": tenant, "total": f64::from(n), "paid": n % 2 == 0});
        for map in ["orders", "loose"] {
            maps.put(map, &format!("{{{tenant}}}:{n}"), order.to_string().as_bytes());
        }
        if n % 7 == 0 {
            let note = serde_json::json!({"tenant": tenant, "total": n % 5, "paid": true});
            maps.put("notes", &format!("{{{tenant}}}:{n}"), note.to_string().as_bytes());
        }
    }
    maps.define("orders", "tenant");
    maps.define("notes", "tenant");
    Sql::new(Arc::new(maps), Arc::default(), QueryLimits::default())
}

async fn batches(sql: &Sql, statement: &str) -> Vec<RecordBatch> {
    sql.run(statement, Vec::new()).await.unwrap().batches.try_collect().await.unwrap()
}

async fn rows(sql: &Sql, statement: &str) -> Vec<String> {
    let mut rows = Vec::new();
    for batch in batches(sql, statement).await {
        let text = datafusion::arrow::util::pretty::pretty_format_batches(&[batch]).unwrap();
        rows.extend(text.to_string().lines().skip(3).map(str::to_owned));
    }
    rows.retain(|row| row.starts_with("| "));
    let cells = |row: &String| row.split('|').map(str::trim).collect::<Vec<_>>().join("|");
    let mut rows: Vec<String> = rows.iter().map(cells).collect();
    rows.sort();
    rows
}

/// How often a plan moves rows to where their hashes say.
async fn moves(sql: &Sql, statement: &str) -> usize {
    let batches = batches(sql, &format!("EXPLAIN {statement}")).await;
    let column = |batch: &RecordBatch| {
        let plans = batch.column(1).as_any().downcast_ref::<StringArray>().unwrap();
        plans.value(plans.len() - 1).to_owned()
    };
    let plan = batches.iter().map(column).next_back().unwrap();
    plan.matches("partitioning=Hash").count()
}

#[tokio::test]
async fn joins_and_groups_by_the_partition_key_stay_where_the_data_is() {
    let sql = sql();
    for (statement, moved, of_loose) in [
        ("SELECT o.tenant, count(*), sum(o.total) FROM orders o GROUP BY o.tenant", 0, 1),
        (
            "SELECT o.total, n.total FROM orders o JOIN notes n ON o.tenant = n.tenant AND o.total > 250",
            0,
            2,
        ),
        (
            "SELECT o.tenant, n.total, count(*) FROM orders o LEFT JOIN notes n ON n.tenant = o.tenant AND n.total = o.total GROUP BY 1, 2",
            0,
            3,
        ),
        (
            "SELECT o.total FROM orders o WHERE o.tenant NOT IN (SELECT tenant FROM notes n WHERE total = 3 AND n.total < o.total)",
            0,
            0,
        ),
        (
            "SELECT o.total, n.total FROM notes n FULL JOIN orders o ON n.tenant = o.tenant AND n.total = o.total",
            0,
            2,
        ),
        (
            "SELECT a.tenant, max(b.total), count(*) FROM orders a JOIN orders b ON a.tenant = b.tenant JOIN notes n ON n.tenant = b.tenant GROUP BY a.tenant",
            0,
            4,
        ),
        (
            "SELECT t, s FROM (SELECT tenant AS t, sum(total) AS s FROM orders o GROUP BY tenant) x JOIN notes n ON x.t = n.tenant",
            0,
            2,
        ),
        // These need rows of other tenants.
        ("SELECT o.paid, count(*) FROM orders o GROUP BY o.paid", 1, 1),
        ("SELECT o.total FROM orders o JOIN notes n ON o.total = n.total", 2, 2),
        ("SELECT upper(o.tenant), count(*) FROM orders o GROUP BY 1", 1, 1),
        // A group that a join by other columns follows is where its hash says.
        (
            "SELECT x.t, x.s FROM (SELECT tenant AS t, sum(total) AS s FROM orders o GROUP BY tenant) x JOIN loose l ON x.t = l.tenant AND l.total = x.s",
            2,
            2,
        ),
    ] {
        let loose = statement.replace("orders", "loose");
        assert_eq!(moves(&sql, statement).await, moved, "{statement}");
        assert!(moves(&sql, &loose).await >= of_loose.min(2), "{loose}");
        assert_eq!(rows(&sql, statement).await, rows(&sql, &loose).await, "{statement}");
    }
}

#[tokio::test]
async fn walks_over_some_partitions_meet_those_over_all() {
    let sql = sql();
    for tenants in ["'t3'", "'t3', 't4'", "'t1', 't2', 't3', 't4', 't5', 't6', 't7'"] {
        let statement = format!(
            "SELECT o.total, n.total FROM (SELECT * FROM orders WHERE tenant IN ({tenants}) OR _partition < 5) o LEFT JOIN notes n ON o.tenant = n.tenant"
        );
        let loose = statement.replace("orders", "loose");
        assert_eq!(rows(&sql, &statement).await, rows(&sql, &loose).await, "{statement}");
    }
}
