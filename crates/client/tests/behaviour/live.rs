//! Live watches of three nodes: what is folded from their events is what is there, whatever is written and whoever dies.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use futures::{StreamExt, TryStreamExt};
use isogrid_client::testing::{Cluster, ClusterOptions};
use isogrid_client::{ErrorCode, Filter, Grid, Json, LiveEvent, LiveStream, Result, col};
use serde_json::{Value, json};

use crate::predicates::People;

const PATIENCE: Duration = Duration::from_secs(30);

/// What is shown, by the events so far.
struct Folded {
    events: LiveStream<String, Value>,
    shown: BTreeMap<String, Value>,
}

impl Folded {
    fn new(events: LiveStream<String, Value>) -> Self {
        Folded { events, shown: BTreeMap::new() }
    }

    /// Takes an event; says whether it was the end of the beginning.
    async fn take(&mut self) -> Result<bool> {
        let event = self.events.try_next().await?.expect("the client is not closed");
        match event {
            LiveEvent::Enter(key, entry) => {
                let before = self.shown.insert(key.clone(), entry.value);
                assert_eq!(before, None, "{key} enters twice");
            }
            LiveEvent::Update(key, entry) => {
                let before = self.shown.insert(key.clone(), entry.value);
                assert!(before.is_some(), "{key} changes and was not shown");
            }
            LiveEvent::Leave(key) => {
                assert!(self.shown.remove(&key).is_some(), "{key} leaves and was not shown");
            }
            LiveEvent::Ready => return Ok(true),
            _ => {}
        }
        Ok(false)
    }

    /// Takes events until what is shown is this.
    async fn until(&mut self, expected: &BTreeMap<String, Value>, what: &str) -> Result<()> {
        let begun = Instant::now();
        while self.shown != *expected {
            let left = PATIENCE.saturating_sub(begun.elapsed());
            match tokio::time::timeout(left, self.take()).await {
                Ok(taken) => drop(taken?),
                Err(_) => {
                    let lacks: Vec<_> =
                        expected.iter().filter(|(key, _)| !self.shown.contains_key(*key)).collect();
                    let wrong: Vec<_> = self
                        .shown
                        .iter()
                        .filter(|(key, value)| expected.get(*key) != Some(*value))
                        .collect();
                    panic!("{what}: lacks {lacks:?}, wrong {wrong:?}");
                }
            }
        }
        Ok(())
    }
}

/// Chance that is the same every time.
struct Chance(u64);

impl Chance {
    fn below(&mut self, end: u64) -> u64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % end
    }
}

async fn patient(cluster: &Cluster) -> Result<Grid> {
    Grid::builder().seeds(cluster.endpoints()).request_timeout(PATIENCE).build().await
}

/// Writes and removes by chance.
async fn write(people: &People, chance: &mut Chance, writes: usize) -> Result<()> {
    for _ in 0..writes {
        let key = format!("p{}", chance.below(300));
        if chance.below(4) == 0 {
            people.delete(&key).await?;
        } else {
            people
                .put(&key, &json!({"score": chance.below(1_000), "age": chance.below(36)}))
                .await?;
        }
    }
    Ok(())
}

async fn all(people: &People) -> Result<BTreeMap<String, Value>> {
    people.scan().stream().try_collect().await
}

fn adults() -> Filter {
    col("age").ge(18)
}

async fn all_adults(people: &People) -> Result<BTreeMap<String, Value>> {
    let mut all = all(people).await?;
    all.retain(|_, value| value["age"].as_u64() >= Some(18));
    Ok(all)
}

/// The ten with the highest scores.
async fn best(people: &People) -> Result<BTreeMap<String, Value>> {
    let mut adults: Vec<_> = all_adults(people).await?.into_iter().collect();
    adults.sort_by_key(|(key, value)| (std::cmp::Reverse(value["score"].as_u64()), key.clone()));
    Ok(adults.into_iter().take(10).collect())
}

#[tokio::test]
async fn what_is_folded_is_what_matches_also_when_a_node_dies() -> Result<()> {
    let cluster = Cluster::start(3).await?;
    let grid = patient(&cluster).await?;
    let people = grid.map_with::<String, Value, _>("people", Json);
    let mut chance = Chance(7);
    write(&people, &mut chance, 400).await?;
    let mut members = Folded::new(people.watch().filter(adults()).stream());
    let top = people.watch().filter(adults()).order_by("score").descending().limit(10);
    let mut first = Folded::new(top.stream());
    while !members.take().await? {}
    while !first.take().await? {}
    assert_eq!(members.shown, all_adults(&people).await?, "all has entered");
    assert_eq!(first.shown, best(&people).await?, "the first have entered");
    for round in 0..5 {
        write(&people, &mut chance, 200).await?;
        members.until(&all_adults(&people).await?, &format!("round {round}")).await?;
        first.until(&best(&people).await?, &format!("first, round {round}")).await?;
    }
    let (killed, written) = futures::join!(cluster.kill(2), write(&people, &mut chance, 300));
    killed.and(written)?;
    members.until(&all_adults(&people).await?, "a node died").await?;
    first.until(&best(&people).await?, "first, a node died").await?;
    cluster.restart(2).await?;
    write(&people, &mut chance, 300).await?;
    members.until(&all_adults(&people).await?, "it came back").await?;
    first.until(&best(&people).await?, "first, it came back").await?;
    people.clear().await?;
    members.until(&BTreeMap::new(), "cleared").await?;
    first.until(&BTreeMap::new(), "first, cleared").await
}

#[tokio::test]
async fn a_top_whose_reserve_is_used_up_looks_at_all_again() -> Result<()> {
    let cluster = Cluster::start(1).await?;
    let grid = patient(&cluster).await?;
    let people = grid.map_with::<String, Value, _>("people", Json);
    let everybody = (0..400u64).map(|n| (format!("p{n:03}"), json!({"age": 40, "score": n})));
    people.put_many(everybody).await?.all()?;
    let top = people.watch().filter(adults()).order_by("score").descending().limit(10);
    let mut first = Folded::new(top.stream());
    while !first.take().await? {}
    // The best go until few are left, three times as many as there are in reserve.
    for n in (5..400u64).rev() {
        people.delete(&format!("p{n:03}")).await?;
        if n % 50 == 5 {
            first.until(&best(&people).await?, &format!("{n} are left")).await?;
        }
    }
    first.until(&best(&people).await?, "five are left").await?;
    assert_eq!(first.shown.len(), 5);
    Ok(())
}

#[tokio::test]
async fn a_watch_goes_on_where_another_one_stood() -> Result<()> {
    let cluster = Cluster::start(3).await?;
    let grid = patient(&cluster).await?;
    let people = grid.map_with::<String, Value, _>("people", Json);
    let mut chance = Chance(3);
    write(&people, &mut chance, 400).await?;
    let mut members = Folded::new(people.watch().filter(adults()).stream());
    while !members.take().await? {}
    for round in 0..5 {
        // Wherever it stood.
        write(&people, &mut chance, 50).await?;
        for _ in 0..chance.below(30) {
            let taken = tokio::time::timeout(Duration::from_millis(200), members.take()).await;
            taken.ok().transpose()?;
        }
        let Folded { events, shown } = members;
        let token = events.token();
        drop(events);
        write(&people, &mut chance, 100).await?;
        let keys: Vec<String> = shown.keys().cloned().collect();
        let again = people.watch().resume(token).filter(adults()).holding(keys).stream();
        members = Folded { events: again, shown };
        members.until(&all_adults(&people).await?, &format!("round {round}")).await?;
    }
    Ok(())
}

/// A reader that is much too slow falls out of what is kept of the log. It gets a snapshot, and all that is gone leaves.
#[tokio::test]
async fn a_reader_that_is_too_slow_is_right_in_the_end() -> Result<()> {
    let options = ClusterOptions { cores: 1, ..ClusterOptions::default() };
    let cluster = Cluster::start_with(1, options).await?;
    let grid = patient(&cluster).await?;
    let people = grid.map_with::<String, Value, _>("people", Json);
    let mut chance = Chance(5);
    write(&people, &mut chance, 300).await?;
    let mut members = Folded::new(people.watch().filter(adults()).stream());
    while !members.take().await? {}
    let padding = "x".repeat(100_000);
    for round in 0..20u64 {
        let many = (0..100u64).map(|n| {
            let age = (n + round) % 36;
            (format!("p{n}"), json!({"age": age, "score": n, "padding": padding}))
        });
        people.put_many(many).await?.all()?;
    }
    for n in 0..90u64 {
        people.delete(&format!("p{n}")).await?;
    }
    members.until(&all_adults(&people).await?, "far behind").await
}

#[tokio::test]
async fn too_many_matches_end_the_stream_with_an_error() -> Result<()> {
    let cluster = Cluster::start(1).await?;
    let grid = patient(&cluster).await?;
    let people = grid.map_with::<String, Value, _>("people", Json);
    people.put_many((0..50u64).map(|n| (format!("p{n}"), json!({"age": 40})))).await?.all()?;
    let mut events = people.watch().filter(adults()).keys_max(20).stream();
    let error = loop {
        match events.next().await.expect("an error comes before the end") {
            Ok(event) => assert!(matches!(event, LiveEvent::Enter(..)), "{event:?}"),
            Err(error) => break error,
        }
    };
    assert_eq!(error.code(), ErrorCode::TooManyMatches, "{error}");
    assert!(events.next().await.is_none());
    let unlimited = people.watch().live().order_by("age").limit(0).stream().try_next().await;
    assert_eq!(unlimited.expect_err("no records").code(), ErrorCode::ArgumentInvalid);
    Ok(())
}
