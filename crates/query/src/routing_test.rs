//! What EXPLAIN ROUTING says of maps in memory.

use super::*;
use crate::testing::{Maps, answered};
use crate::{Parameter, QueryLimits, Sql};

fn sql() -> Sql {
    let mut maps = Maps::new();
    maps.put("orders", "{t1}:1", br#"{"tenant": "t1", "total": 1}"#);
    maps.put("users", "u1", br#"{"name": "Ann"}"#);
    maps.define("orders", "tenant");
    Sql::new(Arc::new(maps), Arc::default(), QueryLimits::default())
}

#[tokio::test]
async fn it_says_which_partitions_are_asked_and_who_leads_them() {
    let (sql, none) = (sql(), Vec::new);
    let all = answered(&sql, "EXPLAIN ROUTING SELECT * FROM users", none()).await.unwrap();
    assert_eq!(all.len(), 16);
    assert_eq!(all[..2], ["users|0|n0|NULL|NULL", "users|1|n1|NULL|NULL"]);
    let two = "EXPLAIN ROUTING SELECT * FROM orders o, users u \
               WHERE o.tenant = 't1' AND u._partition IN (3, 5) AND o.total > 1";
    let asked = answered(&sql, two, none()).await.unwrap();
    let led = "SELECT DISTINCT concat('orders|', _partition, '|n', _partition % 3) FROM orders";
    let led = answered(&sql, led, none()).await.unwrap();
    let orders = format!("{}|NULL|NULL", led[0]);
    let expected = [&orders, "users|3|n0|NULL|NULL", "users|5|n2|NULL|NULL"];
    assert_eq!(asked, expected);
    let bound = "EXPLAIN ROUTING SELECT * FROM orders WHERE tenant = $1";
    let value = vec![Parameter::Text("t1".into())];
    assert_eq!(answered(&sql, bound, value).await.unwrap(), expected[..1]);
    let nothing = "EXPLAIN ROUTING SELECT * FROM users WHERE false";
    assert!(answered(&sql, nothing, none()).await.unwrap().is_empty());
    let error = answered(&sql, "EXPLAIN ROUTING SELECT * FROM nobody", none()).await.unwrap_err();
    assert!(error.detail().contains("nobody"), "{error}");
    assert!(answered(&sql, "EXPLAIN ROUTING DROP MAP users", none()).await.is_err());
}
