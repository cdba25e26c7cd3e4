//! Which index is taken, and whether any, by what one partition has.

use std::sync::Arc;

use crate::counts::QueryCounts;
use crate::testing::{Maps, answered};
use crate::{QueryLimits, Sql};

/// A map of many records, of which each has another `id`, one in ten a `kind`, and half are `open`.
async fn sql() -> Sql {
    let maps = Maps::new();
    for id in 0..12_000 {
        let (kind, open) = (id % 10, id % 2 == 0);
        let value = format!("{{\"id\":{id},\"kind\":{kind},\"open\":{open}}}");
        maps.put("m", &format!("k{id}"), value.as_bytes());
    }
    let maps = Arc::new(maps);
    let sql = Sql::new(maps, Arc::new(QueryCounts::default()), QueryLimits::default());
    for statement in [
        "ALTER MAP m ADD COLUMN id BIGINT",
        "ALTER MAP m ADD COLUMN kind BIGINT",
        "ALTER MAP m ADD COLUMN open BOOLEAN",
        "CREATE INDEX by_open ON m USING hash (open)",
        "CREATE INDEX by_kind ON m USING hash (kind)",
        "CREATE INDEX by_id ON m (id)",
    ] {
        answered(&sql, statement, Vec::new()).await.expect(statement);
    }
    sql
}

#[tokio::test]
async fn the_index_that_gives_fewest_is_taken_and_none_that_gives_too_many() {
    let sql = sql().await;
    for (predicate, index) in [
        ("kind = 3", Some("by_kind")),
        ("open", None),
        ("open AND kind = 4", Some("by_kind")),
        ("kind = 4 AND id < 100", Some("by_id")),
        ("kind = 4 AND id < 11000", Some("by_kind")),
        ("id >= 1000", None),
        ("id IN (1, 2, 3, 4, 5, 6, 7, 8)", Some("by_id")),
        ("kind IN (0, 1, 2, 3, 4, 5, 6, 7, 8)", None),
    ] {
        let statement = format!("EXPLAIN SELECT id FROM m WHERE {predicate}");
        let plan = answered(&sql, &statement, Vec::new()).await.expect("it is explained").join("");
        match index {
            Some(index) => {
                assert!(plan.contains(&format!("index: {index}")), "{predicate}: {plan}")
            }
            None => assert!(!plan.contains("index:"), "{predicate}: {plan}"),
        }
    }
}
