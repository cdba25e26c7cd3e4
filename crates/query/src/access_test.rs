//! What is asked for by keys, and what is left out beside the data.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use isogrid_core::ErrorCode;

use crate::counts::QueryCounts;
use crate::testing::{Maps, answered};
use crate::{Parameter, QueryLimits, Sql};

/// Ten tenants with ten orders each.
fn orders() -> Arc<Maps> {
    let mut maps = Maps::new();
    for order in 0..100 {
        let (tenant, total) = (order % 10, order);
        let value = format!("{{\"tenant\":\"t{tenant}\",\"total\":{total},\"paid\":true}}");
        maps.put("orders", &format!("{{t{tenant}}}:{order}"), value.as_bytes());
    }
    maps.define("orders", "tenant");
    Arc::new(maps)
}

fn sql(maps: &Arc<Maps>) -> Sql {
    Sql::new(Arc::clone(maps) as Arc<_>, Arc::new(QueryCounts::default()), QueryLimits::default())
}

async fn explained(sql: &Sql, statement: &str) -> String {
    let rows = answered(sql, &format!("EXPLAIN {statement}"), Vec::new()).await;
    rows.expect("it is explained").join("\n")
}

#[tokio::test]
async fn keys_are_asked_for_and_partitions_are_not_walked_over() {
    let maps = orders();
    let sql = sql(&maps);
    for (condition, found, gets) in [
        ("_key = '{t7}:17'", vec!["17.0"], 1),
        ("_key IN ('{t7}:17', '{t1}:21', 'none', '{t7}:17')", vec!["17.0", "21.0"], 3),
        ("(_key = '{t7}:17' OR '{t1}:21' = _key) AND total > 20", vec!["21.0"], 2),
        ("_key = '{t7}:17' AND _key = '{t1}:21'", vec![], 0),
        ("_key = '{t7}:17' AND tenant = 't8'", vec![], 0),
    ] {
        maps.gets.store(0, Ordering::Relaxed);
        let statement = format!("SELECT total FROM orders WHERE {condition} ORDER BY total");
        maps.left.store(0, Ordering::Relaxed);
        let rows = answered(&sql, &statement, Vec::new()).await.expect("no page is asked for");
        assert_eq!(
            (rows, maps.gets.load(Ordering::Relaxed)),
            (vec_of(&found), gets),
            "{condition}"
        );
    }
    let statement = "SELECT total FROM orders WHERE _key = $1";
    for key in ["{t3}:3", "{t4}:94"] {
        let total = key.split_once(':').expect("it has one").1;
        let rows = answered(&sql, statement, vec![Parameter::Text(key.into())]).await;
        assert_eq!(rows.expect("it is found"), [format!("{total}.0")]);
    }
    let plan =
        explained(&sql, "SELECT total FROM orders WHERE _key IN ('{t7}:17', '{t7}:27')").await;
    assert!(plan.contains("partitions: 1/16") && plan.contains("keys: 2"), "{plan}");
}

fn vec_of(found: &[&str]) -> Vec<String> {
    found.iter().map(|one| (*one).to_owned()).collect()
}

#[tokio::test]
async fn a_key_that_is_no_text_is_found_by_its_digits_and_so_is_text_that_looks_like_it() {
    let maps = orders();
    maps.put_bytes("orders", &[0xff, 0x01], b"{\"tenant\":\"x\",\"total\":1}");
    maps.put_bytes("orders", b"\\xff01", b"{\"tenant\":\"x\",\"total\":2}");
    let statement = "SELECT total FROM orders WHERE _key = '\\xff01' ORDER BY total";
    let rows = answered(&sql(&maps), statement, Vec::new()).await.expect("both are found");
    assert_eq!(rows, ["1.0", "2.0"]);
}

#[tokio::test]
async fn records_of_other_tenants_are_left_out_where_they_are() {
    let maps = orders();
    let counts = Arc::new(QueryCounts::default());
    let sql = Sql::new(Arc::clone(&maps) as Arc<_>, Arc::clone(&counts), QueryLimits::default());
    for (condition, rows) in [
        ("tenant = 't7'", 10),
        ("tenant IN ('t7', 't8', 'none')", 20),
        ("tenant = 't7' AND total < 50", 5),
        ("tenant = 't7' OR tenant = 't8' AND total < 50", 15),
    ] {
        let before = counts.rows_scanned();
        let statement = format!("SELECT count(*) FROM orders WHERE {condition}");
        let count = answered(&sql, &statement, Vec::new()).await.expect("they are counted");
        assert_eq!(count, [rows.to_string()], "{condition}");
        let looked_at = counts.rows_scanned() - before;
        assert!(looked_at <= 20, "{looked_at} records came for {condition}");
    }
    let plan = explained(&sql, "SELECT total FROM orders WHERE tenant = 't7'").await;
    assert!(plan.contains("pushed: tenant = \"t7\""), "{plan}");
    let plan = explained(&sql, "SELECT total FROM orders WHERE tenant = 't7' OR total = 1").await;
    assert!(!plan.contains("pushed"), "{plan}");
}

#[tokio::test]
async fn a_node_that_nobody_leads_is_told_of() {
    let maps = orders();
    maps.left.store(0, Ordering::Relaxed);
    let rows = answered(&sql(&maps), "SELECT 1 FROM orders WHERE tenant = 't7'", Vec::new()).await;
    assert_eq!(rows.expect_err("its page is refused").code(), ErrorCode::NoPrimary);
}
