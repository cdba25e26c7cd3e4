//! Filters beside the data: what three nodes give is what a full fetch has, filtered by hand.

use std::collections::BTreeMap;

use futures::TryStreamExt;
use isogrid_client::testing::Cluster;
use isogrid_client::{ErrorCode, Filter, Grid, Json, Map, Result, col};
use serde_json::{Value, json};

pub(crate) type People = Map<String, Value, Json>;

/// Somebody: the fields of some lack, or are of another type.
pub(crate) fn person(n: u64) -> Value {
    let city = ["Wien", "Graz", "Linz", "Oslo"][(n % 4) as usize];
    let tags: Vec<&str> = ["red", "tall"].into_iter().take((n % 3) as usize).collect();
    let mut value =
        json!({"n": n, "home": {"city": city}, "tags": tags, "score": (n as f64) / 4.0});
    match n % 10 {
        0 => value["age"] = Value::Null,
        1 => value["age"] = json!("old"),
        2 => {}
        _ => value["age"] = json!(n % 90),
    }
    value
}

async fn filled(grid: &Grid, count: u64) -> Result<People> {
    let people = grid.map_with::<String, Value, _>("people", Json);
    let all = (0..count).map(|n| (format!("p{n}"), person(n)));
    people.put_many(all).await?.all()?;
    Ok(people)
}

async fn found(people: &People, filter: Filter) -> Result<BTreeMap<String, Value>> {
    people.scan().filter(filter).page_size(50).stream().try_collect().await
}

#[tokio::test]
async fn a_scan_gives_what_a_full_fetch_has_filtered_by_hand() -> Result<()> {
    let cluster = Cluster::start(3).await?;
    let grid = cluster.grid().await?;
    let people = filled(&grid, 2_000).await?;
    let all: BTreeMap<String, Value> = people.scan().stream().try_collect().await?;
    let age = |value: &Value| value["age"].as_u64();
    type Hand = Box<dyn Fn(&str, &Value) -> bool>;
    let cases: Vec<(Filter, Hand)> = vec![
        (col("age").ge(18), Box::new(move |_, v| age(v).is_some_and(|age| age >= 18))),
        (!col("age").ge(18), Box::new(move |_, v| age(v).is_some_and(|age| age < 18))),
        (col("age").is_null(), Box::new(|_, v| v["age"].is_null())),
        (
            col("home.city").is_in(["Wien", "Linz"]).and(col("score").lt(99.5)),
            Box::new(|_, v| {
                v["n"].as_u64() < Some(398) && v["n"].as_u64().map(|n| n % 2) == Some(0)
            }),
        ),
        (col("_key").starts_with("p19"), Box::new(|key, _| key.starts_with("p19"))),
        (col("tags").contains("tall"), Box::new(|_, v| v["tags"][1] == "tall")),
        (
            col("nothing").eq(1).or(col("n").between(5, 9)),
            Box::new(|_, v| (5..10).contains(&v["n"].as_u64().unwrap_or(0))),
        ),
        (col("n").lt(0), Box::new(|_, _| false)),
    ];
    for (filter, by_hand) in cases {
        let expected = all.iter().filter(|(key, value)| by_hand(key, value));
        let expected: BTreeMap<_, _> = expected.map(|(k, v)| (k.clone(), v.clone())).collect();
        assert_eq!(found(&people, filter.clone()).await?, expected, "{filter:?}");
        let keys: Vec<String> =
            people.scan().filter(filter).keys_only().stream().try_collect().await?;
        assert_eq!(keys.len(), expected.len());
    }
    Ok(())
}

#[tokio::test]
async fn a_filter_that_is_too_large_is_refused() -> Result<()> {
    let cluster = Cluster::start(1).await?;
    let people = filled(&cluster.grid().await?, 1).await?;
    let wide = col("age").is_in(0..5_000i64);
    let error = found(&people, wide.clone()).await.expect_err("too many constants");
    assert_eq!(error.code(), ErrorCode::FilterInvalid, "{error}");
    let error = people.watch().filter(wide).stream().try_next().await.expect_err("the same");
    assert_eq!(error.code(), ErrorCode::FilterInvalid, "{error}");
    Ok(())
}

#[tokio::test]
async fn figures_are_those_of_a_full_fetch_also_when_a_node_dies() -> Result<()> {
    let cluster = Cluster::start(3).await?;
    let grid = cluster.grid().await?;
    let people = filled(&grid, 2_000).await?;
    let all: BTreeMap<String, Value> = people.scan().stream().try_collect().await?;
    let adults = || people.aggregate().filter(col("age").ge(18));
    let ages: Vec<i64> =
        all.values().filter_map(|v| v["age"].as_i64()).filter(|age| *age >= 18).collect();
    let check = async || -> Result<()> {
        assert_eq!(people.aggregate().count().await?, 2_000);
        assert_eq!(adults().count().await?, ages.len() as u64);
        assert_eq!(adults().sum("age").await?, Some(ages.iter().sum::<i64>().into()));
        assert_eq!(adults().min("age").await?, ages.iter().min().map(|age| (*age).into()));
        assert_eq!(adults().max("age").await?, ages.iter().max().map(|age| (*age).into()));
        let mean = ages.iter().sum::<i64>() as f64 / ages.len() as f64;
        assert_eq!(adults().avg("age").await?, Some(mean));
        let cities = people.aggregate().group_by("home.city").of("score").groups().await?;
        let names: Vec<_> = cities.iter().filter_map(|c| c.key()[0].as_ref()?.as_str()).collect();
        assert_eq!(names, ["Graz", "Linz", "Oslo", "Wien"]);
        for city in &cities {
            let of = |v: &&Value| {
                v["home"]["city"].as_str() == city.key()[0].as_ref().and_then(|c| c.as_str())
            };
            let scores: Vec<f64> =
                all.values().filter(of).filter_map(|v| v["score"].as_f64()).collect();
            assert_eq!((city.count(), scores.len()), (500, 500));
            // Quarters add up without loss.
            let sum = city.sum("score").and_then(|sum| sum.as_f64());
            assert_eq!(sum, Some(scores.iter().sum::<f64>()));
        }
        Ok(())
    };
    check().await?;
    let nothing = people.aggregate().filter(col("age").gt(1_000));
    assert_eq!(nothing.max("age").await?, None);
    let two = people.aggregate().group_by("home.city").group_by("tags").groups().await?;
    assert_eq!((two.len(), two.iter().map(|group| group.count()).sum::<u64>()), (12, 2_000));
    cluster.kill(1).await?;
    check().await
}

#[tokio::test]
async fn a_partition_key_and_named_keys_ask_only_their_partitions() -> Result<()> {
    let cluster = Cluster::start(1).await?;
    let grid = cluster.grid().await?;
    let orders = grid.map_with::<String, Value, _>("orders", Json);
    let all = (0..100u64).map(|n| (format!("{{t{}}}:{n}", n % 10), json!({"n": n})));
    orders.put_many(all).await?.all()?;
    let of_t3 = col("_key").starts_with("{t3}");
    let one = orders.aggregate().partition_key("t3").filter(of_t3.clone());
    assert_eq!(one.sum("n").await?, Some((0..10i64).map(|n| n * 10 + 3).sum::<i64>().into()));
    let other = orders.aggregate().partition_key("elsewhere").filter(of_t3);
    assert_eq!(other.count().await?, 0, "nobody else was asked");
    let named = col("_key").is_in(["{t3}:3", "{t4}:4", "{t4}:missing"]);
    let keys: Vec<String> =
        orders.scan().filter(named.clone()).keys_only().stream().try_collect().await?;
    assert_eq!(keys.len(), 2);
    assert_eq!(orders.aggregate().filter(named).count().await?, 2);
    let elsewhere = orders.scan().partition_key("t3").filter(col("_key").eq("{t4}:4"));
    let none: Vec<String> = elsewhere.keys_only().stream().try_collect().await?;
    assert!(none.is_empty(), "{none:?}");
    Ok(())
}
