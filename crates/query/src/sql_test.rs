//! Statements over maps in memory.

use std::sync::atomic::Ordering;

use datafusion::arrow::util::display::{ArrayFormatter, FormatOptions};
use futures::TryStreamExt;

use super::*;
use crate::testing::{Endless, Maps};

/// 100 orders of ten tenants as MessagePack, and five tenants as JSON.
fn maps() -> Maps {
    let maps = Maps::new();
    for n in 0..100_u32 {
        let order = serde_json::json!({
            "tenant": format!("t{}", n % 10),
            "total": f64::from(n) + 0.5,
            "items": [n, n + 1],
            "paid": n % 3 == 0,
        });
        maps.put(
            "orders",
            &format!("{{t{}}}:{n}", n % 10),
            &rmp_serde::to_vec_named(&order).unwrap(),
        );
    }
    for n in 0..5 {
        let tenant = format!("{{\"tenant\": \"t{n}\", \"city\": \"c{}\"}}", n % 2);
        maps.put("tenants", &format!("t{n}"), tenant.as_bytes());
    }
    maps
}

fn sql(maps: Maps) -> (Arc<Maps>, Sql) {
    let maps = Arc::new(maps);
    (Arc::clone(&maps), Sql::new(maps, Arc::default(), QueryLimits::default()))
}

/// The rows of an answer, their cells joined by `|`.
async fn rows(sql: &Sql, statement: &str) -> Result<Vec<String>> {
    rows_with(sql, statement, Vec::new()).await
}

async fn rows_with(sql: &Sql, statement: &str, values: Vec<Parameter>) -> Result<Vec<String>> {
    let answer = sql.run(statement, values).await?;
    let batches: Vec<RecordBatch> = answer.batches.try_collect().await?;
    let mut rows = Vec::new();
    for batch in batches {
        let options = FormatOptions::default().with_null("NULL");
        let columns: Vec<_> = batch.columns().iter().collect();
        let columns =
            columns.iter().map(|column| ArrayFormatter::try_new(column, &options).unwrap());
        let columns: Vec<_> = columns.collect();
        for row in 0..batch.num_rows() {
            let cells: Vec<String> =
                columns.iter().map(|column| column.value(row).to_string()).collect();
            rows.push(cells.join("|"));
        }
    }
    Ok(rows)
}

#[tokio::test]
async fn rows_are_filtered_grouped_joined_and_sorted() {
    let (_, sql) = sql(maps());
    for (statement, expected) in [
        ("SELECT count(*) FROM orders", &["100"][..]),
        (
            "SELECT total FROM orders WHERE total > 97 ORDER BY total DESC",
            &["99.5", "98.5", "97.5"],
        ),
        (
            "SELECT tenant, sum(total) FROM orders GROUP BY tenant ORDER BY tenant LIMIT 2",
            &["t0|455.0", "t1|465.0"],
        ),
        (
            "SELECT t.city, count(*) FROM orders o JOIN tenants t ON o.tenant = t.tenant GROUP BY 1 ORDER BY 1",
            &["c0|30", "c1|20"],
        ),
        ("SELECT items FROM orders WHERE _key = '{t3}:13'", &["[13,14]"]),
        (
            "SELECT _key, _version, _expires_at FROM tenants WHERE city = 'c1' ORDER BY 1",
            &["t1|1|NULL", "t3|1|NULL"],
        ),
        (
            "WITH big AS (SELECT * FROM orders WHERE total > 95) SELECT count(*) FROM big WHERE paid",
            &["2"],
        ),
        ("SELECT tenant FROM orders UNION SELECT tenant FROM tenants ORDER BY 1 LIMIT 1", &["t0"]),
        (
            "SELECT table_name FROM information_schema.tables WHERE table_schema = 'public' ORDER BY 1",
            &["orders", "tenants"],
        ),
    ] {
        assert_eq!(rows(&sql, statement).await.unwrap(), expected, "{statement}");
    }
}

#[tokio::test]
async fn only_the_partitions_that_can_have_rows_are_asked() {
    let (_, sql) = sql(maps());
    let pruned = "SELECT count(*) FROM orders WHERE _key = '{t3}:13'";
    let plan = rows(&sql, &format!("EXPLAIN {pruned}")).await.unwrap().concat();
    assert!(plan.contains("GridScan: map=orders, partitions: 1/16, nodes: 1/3"), "{plan}");
    let plan = rows(&sql, "EXPLAIN SELECT count(*) FROM orders").await.unwrap().concat();
    assert!(plan.contains("partitions: 16/16, nodes: 3/3"), "{plan}");
    let before = (sql.grid.counts.partitions_scanned(), sql.grid.counts.partitions_pruned());
    assert_eq!(rows(&sql, pruned).await.unwrap(), ["1"]);
    let counts = &sql.grid.counts;
    let scanned = counts.partitions_scanned() - before.0;
    assert_eq!((scanned, counts.partitions_pruned() - before.1), (1, 15));
    // Each row of a partition is looked at, and none of another.
    let before = counts.rows_scanned();
    let found = rows(&sql, "SELECT count(*) FROM orders WHERE _partition IN (3, 5)").await.unwrap();
    assert_eq!((counts.rows_scanned() - before).to_string(), found[0]);
    assert_eq!((counts.statements(), counts.failed()), (4, 0));
}

#[tokio::test]
async fn values_are_bound_and_prune() {
    let (_, sql) = sql(maps());
    let text = |text: &str| Parameter::Text(text.to_owned());
    let statement = "SELECT total FROM orders WHERE _key = $1 AND total > $2";
    let values = vec![text("{t3}:13"), Parameter::BigInt(5)];
    let before = sql.grid.counts.partitions_scanned();
    assert_eq!(rows_with(&sql, statement, values).await.unwrap(), ["13.5"]);
    assert_eq!(sql.grid.counts.partitions_scanned() - before, 1);
    let all = "SELECT $1, $2, $3, $4, $5";
    let (yes, half) = (Parameter::Boolean(true), Parameter::Double(0.5));
    let values = vec![yes, half, text("a'; --"), Parameter::Bytes(vec![1].into()), Parameter::Null];
    assert_eq!(rows_with(&sql, all, values).await.unwrap(), ["true|0.5|a'; --|01|NULL"]);
    let error = rows_with(&sql, all, vec![text("too few")]).await.unwrap_err();
    assert_eq!(error.code(), ErrorCode::QueryInvalid, "{error}");
    let error = rows(&sql, "SELECT $1 + 1").await.unwrap_err();
    assert_eq!(error.code(), ErrorCode::QueryInvalid, "{error}");
}

#[tokio::test]
async fn a_limit_ends_the_walk() {
    let (_, sql) = sql(maps());
    assert_eq!(rows(&sql, "SELECT tenant FROM orders LIMIT 7").await.unwrap().len(), 7);
    // Eight parts have seven rows and a page at the most.
    let scanned = sql.grid.counts.rows_scanned();
    assert!(scanned <= 8 * 10, "{scanned} of 100");
    assert_eq!(rows(&sql, "SELECT * FROM orders LIMIT 0").await.unwrap().len(), 0);
}

#[tokio::test]
async fn what_is_true_or_unknown_makes_groups() {
    let (_, sql) = sql(maps());
    let statement = "SELECT DISTINCT tenant, paid IS NOT TRUE AS unpaid FROM orders WHERE NOT paid AND tenant = 't1'";
    assert_eq!(rows(&sql, statement).await.unwrap(), ["t1|true"]);
}

#[tokio::test]
async fn what_cannot_be_answered_is_told_with_its_code() {
    let (maps, sql) = sql(maps());
    for (statement, code, word) in [
        ("SELEC 1", ErrorCode::QueryInvalid, "SELEC"),
        ("SELECT * FROM nothing", ErrorCode::QueryInvalid, "nothing"),
        ("SELECT nothing FROM orders", ErrorCode::QueryInvalid, "nothing"),
        ("DROP MAP nothing", ErrorCode::QueryInvalid, "nothing"),
        ("CREATE VIEW v AS SELECT 1", ErrorCode::QueryInvalid, "DDL"),
        ("INSERT INTO orders VALUES (1)", ErrorCode::QueryInvalid, ""),
        ("SET a = 1", ErrorCode::QueryInvalid, ""),
        ("SELECT 1; SELECT 2", ErrorCode::QueryInvalid, ""),
        ("SELECT repeat('x', 2147483647)", ErrorCode::QueryInvalid, "repeat"),
        ("SELECT lpad('x', 2147483647)", ErrorCode::QueryInvalid, "lpad"),
        ("SELECT range(0, 1000000000)", ErrorCode::QueryInvalid, "range"),
        ("SELECT array_repeat(1, 1000000000)", ErrorCode::QueryInvalid, "array_repeat"),
        ("SELECT CAST(tenant AS INT) FROM orders", ErrorCode::QueryFailed, "t"),
    ] {
        let error = rows(&sql, statement).await.unwrap_err();
        assert_eq!(error.code(), code, "{statement}: {error}");
        assert!(error.to_string().contains(word), "{statement}: {error}");
    }
    maps.left.store(40, Ordering::Relaxed);
    let error = rows(&sql, "SELECT sum(total) FROM orders").await.unwrap_err();
    assert_eq!(error.code(), ErrorCode::NoPrimary, "the grid's own error: {error}");
}

#[tokio::test]
async fn a_statement_that_wants_too_much_fails_alone() {
    let maps = Arc::new(maps());
    let limits = QueryLimits { memory_bytes: 10_000, ..QueryLimits::default() };
    let small = Sql::new(Arc::clone(&maps) as Arc<dyn Source>, Arc::default(), limits);
    let heavy = "SELECT a._key || b._key || c._key AS k, count(*) FROM orders a, orders b, orders c GROUP BY k";
    let error = rows(&small, heavy).await.map(|rows| rows.len()).unwrap_err();
    assert_eq!(error.code(), ErrorCode::QueryTooLarge, "{error}");
    let limits = QueryLimits { timeout: Duration::from_millis(20), ..QueryLimits::default() };
    let short = Sql::new(maps, Arc::default(), limits);
    let error = rows(&short, heavy).await.map(|rows| rows.len()).unwrap_err();
    assert_eq!(error.code(), ErrorCode::QueryTooLong, "{error}");
    assert_eq!(rows(&short, "SELECT 1").await.unwrap(), ["1"]);
}

#[test]
fn the_deepest_statement_that_is_taken_fits_its_stack() {
    let answered = std::thread::Builder::new().stack_size(crate::STACK_BYTES).spawn(|| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let (_, sql) = sql(maps());
            let limits = QueryLimits { timeout: Duration::from_secs(60), ..QueryLimits::default() };
            let sql = Sql { limits, ..sql };
            let sum = format!("SELECT total{} FROM orders LIMIT 1", " + total".repeat(490));
            let any = format!("SELECT count(*) FROM orders WHERE paid{}", " OR n = 1".repeat(240));
            for deep in [&sum, &any.replace("n =", "total =")] {
                assert_eq!(rows(&sql, deep).await.unwrap().len(), 1, "{}", &deep[..40]);
            }
            let error =
                rows(&sql, &format!("SELECT 1{}", " + 1".repeat(100_000))).await.unwrap_err();
            assert_eq!(error.code(), ErrorCode::QueryInvalid, "{error}");
            let nested = format!("SELECT {}1{}", "(".repeat(10_000), ")".repeat(10_000));
            let error = rows(&sql, &nested).await.unwrap_err();
            assert_eq!(error.code(), ErrorCode::QueryInvalid, "{error}");
        });
    });
    answered.unwrap().join().unwrap();
}

#[tokio::test]
async fn time_runs_out_for_a_walk_that_never_waits_too() {
    let limits = QueryLimits { timeout: Duration::from_millis(200), ..QueryLimits::default() };
    let sql = Sql::new(Arc::new(Endless), Arc::default(), limits);
    for statement in ["SELECT count(*) FROM endless", "SELECT n FROM endless WHERE n > 1"] {
        let error = rows(&sql, statement).await.unwrap_err();
        assert_eq!(error.code(), ErrorCode::QueryTooLong, "{statement}: {error}");
    }
    let error = rows(&sql, "DROP MAP endless").await.unwrap_err();
    assert_eq!(error.code(), ErrorCode::QueryTooLong, "{error}");
    assert_eq!(error.outcome(), Outcome::Unknown, "the cluster may still do it");
}

#[tokio::test]
async fn maps_are_defined_and_shown() {
    let (maps, sql) = sql(maps());
    let say = async |statement: &str| rows(&sql, statement).await.unwrap();
    let create = "CREATE MAP bills (tenant TEXT, \"Sum\" DOUBLE, placed TIMESTAMP) PARTITION BY tenant WITH (backups = 2)";
    assert_eq!(say(create).await, ["created"]);
    let error = rows(&sql, create).await.unwrap_err();
    assert_eq!(error.code(), ErrorCode::QueryInvalid, "{error}");
    let again = create.replace("MAP bills", "MAP IF NOT EXISTS bills");
    assert_eq!(say(&again).await, ["was there"]);
    assert_eq!(say("ALTER MAP bills ADD COLUMN note JSON").await, ["changed"]);
    assert_eq!(say("ALTER MAP bills DROP COLUMN \"Sum\"").await, ["changed"]);
    let shown = "bills|CREATE MAP bills (tenant TEXT, placed TIMESTAMP, note JSON) PARTITION BY tenant WITH (backups = 2)";
    assert_eq!(say("SHOW CREATE MAP bills").await, [shown]);
    assert_eq!(say("SHOW MAPS").await[0], "bills|3|tenant|backups = 2");
    let described = say("DESCRIBE bills").await;
    assert_eq!(described[1], "tenant|TEXT|the map is partitioned by it");
    assert_eq!(described[2..4], ["placed|TIMESTAMP|", "note|JSON|"]);
    assert!(
        say("DESCRIBE orders")
            .await
            .contains(&"total|DOUBLE|seen in a sample of the values".into())
    );
    for statement in [
        "ALTER MAP bills DROP COLUMN tenant",
        "ALTER MAP bills ADD COLUMN placed TEXT",
        "ALTER MAP bills DROP COLUMN nothing",
        "ALTER MAP nothing SET (backups = 1)",
        "SHOW CREATE MAP nothing",
        "DESCRIBE nothing",
    ] {
        let error = rows(&sql, statement).await.unwrap_err();
        assert_eq!(error.code(), ErrorCode::QueryInvalid, "{statement}: {error}");
    }
    assert_eq!(say("DROP MAP bills").await, ["dropped"]);
    assert_eq!(say("DROP MAP IF EXISTS bills").await, ["was not there"]);
    assert_eq!(maps.map("bills"), None);
}

#[tokio::test]
async fn a_map_with_columns_has_these_and_is_pruned_by_one_of_them() {
    let (_, sql) = sql(maps());
    let columns = "ALTER MAP orders ADD COLUMN total DOUBLE";
    assert_eq!(rows(&sql, columns).await.unwrap(), ["changed"]);
    let error = rows(&sql, "SELECT tenant FROM orders").await.unwrap_err();
    assert_eq!(error.code(), ErrorCode::QueryInvalid, "only what was given: {error}");
    assert_eq!(rows(&sql, "SELECT sum(total) FROM orders").await.unwrap(), ["5000.0"]);
    let mut spread = maps();
    spread.define("orders", "tenant");
    let (_, sql) = self::sql(spread);
    for (statement, partitions, expected) in [
        ("SELECT count(*) FROM orders WHERE tenant = 't3'", 1, "10"),
        ("SELECT count(*) FROM orders WHERE tenant IN ('t3', 't4')", 2, "20"),
        (
            "SELECT count(*) FROM orders WHERE tenant = 't3' OR tenant = 't4' AND tenant < 'z'",
            2,
            "20",
        ),
        ("SELECT count(*) FROM orders WHERE tenant = 't3' AND tenant = 't4'", 0, "0"),
        ("SELECT count(*) FROM orders WHERE tenant > 't3'", 16, "60"),
        // What the join makes equal prunes both sides: one partition each.
        (
            "SELECT count(*) FROM orders a JOIN orders b ON a.tenant = b.tenant WHERE a.tenant = 't3'",
            2,
            "100",
        ),
    ] {
        let before = sql.grid.counts.partitions_scanned();
        assert_eq!(rows(&sql, statement).await.unwrap(), [expected], "{statement}");
        let scanned = sql.grid.counts.partitions_scanned() - before;
        assert_eq!(scanned, partitions, "{statement}");
    }
    let before = sql.grid.counts.partitions_scanned();
    let statement = "SELECT count(*) FROM orders WHERE tenant = $1";
    let values = vec![Parameter::Text("t3".into())];
    assert_eq!(rows_with(&sql, statement, values).await.unwrap(), ["10"]);
    assert_eq!(sql.grid.counts.partitions_scanned() - before, 1, "a parameter prunes too");
}
