//! What becomes of walks whose states are lost, and of states whose walks end early.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use futures::StreamExt;
use isogrid_core::ErrorCode;

use crate::limits::QueryLimits;
use crate::source::Source;
use crate::sql::Sql;
use crate::testing::{Maps, answered};

/// Rows in all partitions, and many in one.
fn sql() -> (Arc<Maps>, Sql) {
    let maps = Maps::new();
    for n in 0..200 {
        maps.put("m", &format!("k{n}"), format!("{{\"n\": {n}}}").as_bytes());
    }
    for n in 0..9_000 {
        maps.put("large", &format!("{{t}}:{n}"), b"{\"n\": 1}");
    }
    let maps = Arc::new(maps);
    let source: Arc<dyn Source> = Arc::<Maps>::clone(&maps);
    (maps, Sql::new(source, Arc::default(), QueryLimits::default()))
}

#[tokio::test]
async fn a_partition_whose_state_is_lost_is_read_again() {
    let (maps, sql) = sql();
    let statement = "SELECT count(*), sum(n) FROM m WHERE n >= 0";
    assert_eq!(answered(&sql, statement, Vec::new()).await.unwrap(), ["200|19900"]);
    let begun = maps.states.begun();
    assert!(begun > 0, "no partition has two pages");
    maps.states.losing.store(4, Ordering::Relaxed);
    assert_eq!(answered(&sql, statement, Vec::new()).await.unwrap(), ["200|19900"]);
    assert_eq!(maps.states.begun(), 2 * begun + 4);
    assert_eq!(maps.states.kept(), 0);
}

#[tokio::test]
async fn one_whose_state_is_always_lost_is_an_error() {
    let (maps, sql) = sql();
    maps.states.losing.store(usize::MAX, Ordering::Relaxed);
    let lost = answered(&sql, "SELECT sum(n) FROM m", Vec::new()).await.unwrap_err();
    assert_eq!(lost.code(), ErrorCode::ViewLost);
    assert_eq!(maps.states.kept(), 0);
}

#[tokio::test]
async fn rows_that_were_given_are_not_read_again() {
    let (maps, sql) = sql();
    let answer = sql.run("SELECT n FROM large", Vec::new()).await.unwrap();
    let mut batches = answer.batches;
    let first = batches.next().await.expect("a batch").unwrap();
    assert!(first.num_rows() < 9_000, "all came at once");
    maps.states.losing.store(1, Ordering::Relaxed);
    let lost = batches.next().await.expect("an error").unwrap_err();
    assert_eq!(lost.code(), ErrorCode::ViewLost);
}

#[tokio::test]
async fn who_wants_no_more_lets_the_state_go() {
    let (maps, sql) = sql();
    let rows = answered(&sql, "SELECT n FROM large LIMIT 5", Vec::new()).await.unwrap();
    assert_eq!(rows.len(), 5);
    assert!(maps.states.begun() > 0);
    // Its part of the plan ends on its own.
    let gone = async {
        while maps.states.kept() > 0 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(10), gone).await.expect("it is let go");
}
