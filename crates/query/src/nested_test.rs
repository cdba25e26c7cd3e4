//! Values within values, in statements over maps in memory.

use super::*;
use crate::testing::{Maps, answered};
use crate::{Parameter, QueryLimits, Sql};

const BASKET: &str = r#"{"id": 7, "items": {"list": [{"name": "tea \"x\"", "price": 1.50}, null, "ü😀"], "Count": 3, "paid": true}}"#;

/// The same value as JSON and as MessagePack.
fn sql() -> Sql {
    let maps = Maps::new();
    maps.put("baskets", "json", BASKET.as_bytes());
    let value: serde_json::Value = serde_json::from_str(BASKET).unwrap();
    maps.put("baskets", "packed", &rmp_serde::to_vec_named(&value).unwrap());
    maps.put("plain", "1", b"no json");
    Sql::new(Arc::new(maps), Arc::default(), QueryLimits::default())
}

async fn rows(statement: &str) -> Vec<String> {
    match answered(&sql(), statement, Vec::new()).await {
        Ok(rows) => rows,
        Err(error) => panic!("{statement}: {error}"),
    }
}

#[tokio::test]
async fn members_and_items_are_columns_of_text() {
    for (asked, found) in [
        ("items.paid", "true"),
        ("baskets.items.paid", "true"),
        ("b.items.list", r#"[{"name":"tea \"x\"","price":1.5},null,"ü😀"]"#),
        ("items->'list'->0->>'name'", r#"tea "x""#),
        ("items->'list'->0->'name'", r#""tea \"x\"""#),
        ("items->'list'->-1", r#""ü😀""#),
        ("items->'list'->>2", "ü😀"),
        ("items->'list'->1", "null"),
        ("items->'list'->>1", "NULL"),
        ("items->>'Count'", "3"),
        ("items.\"Count\"", "3"),
        ("items.count", "NULL"),
        ("items->'list'->'name'", "NULL"),
        ("items->0", "NULL"),
        ("items->'nobody'->'there'", "NULL"),
        ("_value->'items'->'list'->0->>'price' > '1'", "true"),
        ("id->'a'", "NULL"),
        ("CAST(items.\"Count\" AS DOUBLE) + 0.5", "3.5"),
        ("items.\"Count\"::bigint * 2", "6"),
        ("items->'list'->(items.\"Count\"::bigint - 1)", r#""ü😀""#),
        ("items.list.name", "NULL"),
        ("json_get_text(items, 'paid')", "true"),
    ] {
        let from = if asked.starts_with("b.") { "baskets b" } else { "baskets" };
        let statement = format!("SELECT {asked} FROM {from}");
        assert_eq!(rows(&statement).await, [found, found], "{asked}");
    }
    assert_eq!(rows("SELECT _value->'a', _value->>0 FROM plain").await, ["NULL|NULL"]);
}

#[tokio::test]
async fn they_are_filtered_grouped_and_sorted_by() {
    for statement in [
        "SELECT count(*) FROM baskets WHERE items->>'paid' = 'true' AND items.\"Count\"::int > 2",
        "SELECT count(*) FROM baskets GROUP BY items->'list'->0->>'name'",
        "SELECT DISTINCT 2 FROM baskets b JOIN baskets c ON b.items.paid = c.items.paid",
        "SELECT 2 FROM baskets ORDER BY items->'list'->>2 LIMIT 1",
    ] {
        assert_eq!(rows(statement).await, ["2"], "{statement}");
    }
}

#[tokio::test]
async fn names_can_be_values_that_are_given() {
    let statement = "SELECT items->>$1, items->'list'->>$2 FROM baskets WHERE _key = 'json'";
    let values = vec![Parameter::Text("paid".into()), Parameter::BigInt(2)];
    assert_eq!(answered(&sql(), statement, values).await.unwrap(), ["true|ü😀"]);
}

#[tokio::test]
async fn what_is_asked_is_called_as_it_is_written() {
    let answer = sql().run("SELECT items->'list'->>0, items.paid FROM baskets", Vec::new()).await;
    let schema = answer.unwrap().schema;
    let names: Vec<&str> = schema.fields().iter().map(|field| field.name().as_str()).collect();
    assert_eq!(names, ["baskets.items -> 'list' ->> 0", "baskets.items ->> 'paid'"]);
}

#[tokio::test]
async fn steps_are_bounded() {
    for (step, word) in [("->'a'", "at most 64"), ("->>'a'", "at most 64"), (".a", "steps")] {
        let long = format!("SELECT items{} FROM baskets", step.repeat(65));
        let error = answered(&sql(), &long, Vec::new()).await.unwrap_err();
        assert!(step == ".a" || error.detail().contains(word), "{error}");
        // Of names within names the parser takes fewer.
        let most = if step == ".a" { 40 } else { 64 };
        let most = format!("SELECT items{} FROM baskets", step.repeat(most));
        assert_eq!(rows(&most).await, ["NULL", "NULL"]);
    }
    let many = format!("SELECT items{} FROM baskets", "->'a'".repeat(501));
    let error = answered(&sql(), &many, Vec::new()).await.unwrap_err();
    assert!(error.detail().contains("operators"), "{error}");
}
