//! Many nodes: operations find the owners of their keys, whatever moves and whoever dies, and no write happens twice.

use std::time::{Duration, Instant};

use futures::StreamExt;
use futures::future::join_all;
use isogrid_client::{ErrorCode, Event, Grid, Outcome, ReadFrom, Result, Retry};
use isogrid_core::PartitionCount;

use crate::fake::Fake;

const PATIENCE: Duration = Duration::from_secs(20);

async fn grid(fake: &Fake) -> Result<Grid> {
    Grid::builder().seeds([fake.addresses().remove(0)]).request_timeout(PATIENCE).build().await
}

#[tokio::test]
async fn operations_go_straight_to_the_owners_of_their_keys() -> Result<()> {
    let fake = Fake::start(&["", "", ""]).await;
    let grid = grid(&fake).await?;
    let map = grid.map::<u64, i64>("m");
    for key in 0..50u64 {
        assert_eq!(map.incr(&key, 1).await?, 1);
    }
    let values = map.get_many(0..50u64).await?;
    assert!(values.into_iter().all(|(_, value)| value.is_ok_and(|value| value.is_some())));
    let stats = grid.stats();
    assert_eq!((stats.routing_misses, stats.connections, stats.has_session), (0, 3, true));
    Ok(())
}

#[tokio::test]
async fn a_moved_partition_costs_one_more_hop() -> Result<()> {
    let fake = Fake::start(&["", "", ""]).await;
    let grid = grid(&fake).await?;
    let map = grid.map::<u64, i64>("m");
    let keys: Vec<u64> = (0..50).collect();
    join_all(keys.iter().map(|key| map.incr(key, 1))).await;
    // Everything moves on by one node, and nobody tells the client.
    for partition in 0..8u16 {
        fake.move_partition(partition, usize::from(partition + 1) % 3, false);
    }
    for key in &keys {
        assert_eq!(map.incr(key, 1).await?, 2, "key {key}");
    }
    let misses = grid.stats().routing_misses;
    assert_eq!(misses, 1, "the first refusal brought the whole new table");
    assert_eq!(fake.executed(), 100);
    Ok(())
}

#[tokio::test]
async fn redirects_are_followed_even_without_retries() -> Result<()> {
    let fake = Fake::start(&["", ""]).await;
    let seeds = [fake.addresses().remove(0)];
    let grid = Grid::builder().seeds(seeds).retry(Retry::none()).build().await?;
    for partition in 0..8u16 {
        fake.move_partition(partition, usize::from(partition + 1) % 2, false);
    }
    assert_eq!(grid.map::<u64, i64>("m").incr(&1, 1).await?, 1);
    Ok(())
}

#[tokio::test]
async fn a_write_whose_reply_was_lost_is_not_executed_again() -> Result<()> {
    let fake = Fake::start(&["", ""]).await;
    let grid = grid(&fake).await?;
    let map = grid.map::<u64, i64>("m");
    for round in 1..=10i64 {
        fake.lose_replies(1);
        assert_eq!(map.incr(&7, 1).await?, round, "it was executed once");
    }
    fake.lose_replies(2);
    let report = join_all((0..200u64).map(|key| map.incr(Box::leak(Box::new(100 + key)), 1))).await;
    assert!(report.into_iter().all(|value| value.is_ok_and(|value| value == 1)));
    assert_eq!(fake.executed(), 210);
    Ok(())
}

#[tokio::test]
async fn what_a_dead_node_owned_is_done_by_its_successor() -> Result<()> {
    let fake = Fake::start(&["", "", ""]).await;
    let grid = grid(&fake).await?;
    let map = grid.map::<u64, i64>("m");
    let keys: Vec<u64> = (0..100).collect();
    join_all(keys.iter().map(|key| map.incr(key, 1))).await;
    // The node that dies is also the one that told of the cluster.
    let (done, ()) = futures::join!(
        async {
            let mut done = 0;
            for round in 2..20i64 {
                for value in join_all(keys.iter().map(|key| map.incr(key, 1))).await {
                    assert_eq!(value.expect("another node has it"), round);
                    done += 1;
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            done
        },
        fake.fail_over(0, 1)
    );
    assert_eq!((done, fake.executed()), (1_800, 1_900));
    Ok(())
}

#[tokio::test]
async fn an_ended_session_is_replaced_and_what_was_in_doubt_stays_in_doubt() -> Result<()> {
    let fake = Fake::start(&["", ""]).await;
    let grid = grid(&fake).await?;
    let map = grid.map::<u64, i64>("m");
    map.incr(&1, 1).await?;
    fake.end_sessions();
    assert_eq!(map.incr(&1, 1).await?, 2, "it was refused unexecuted, and went again");
    while !grid.stats().has_session {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    // Executed, its reply lost, and then the session ends: nobody can tell.
    fake.lose_replies(1);
    let write = async {
        let error = map.incr(&1, 1).await.expect_err("nobody can tell");
        assert_eq!((error.code(), error.outcome()), (ErrorCode::SessionEnded, Outcome::Unknown));
    };
    let end = async {
        while fake.executed() < 3 {
            tokio::task::yield_now().await;
        }
        fake.end_sessions();
    };
    futures::join!(write, end);
    Ok(())
}

#[tokio::test]
async fn many_writes_to_one_partition_wait_for_their_numbers() -> Result<()> {
    let fake = Fake::start(&["", ""]).await;
    let grid = grid(&fake).await?;
    let map = grid.map::<u64, i64>("m");
    let mut values: Vec<i64> =
        join_all((0..500).map(|_| map.incr(&1, 1))).await.into_iter().collect::<Result<_>>()?;
    values.sort_unstable();
    assert_eq!(values, (1..=500).collect::<Vec<_>>());
    let mut pipeline = grid.pipeline();
    let tickets: Vec<_> = (0..500).map(|_| pipeline.push(map.incr(&1, 1))).collect();
    let mut replies = pipeline.send().await?;
    let mut values: Vec<i64> =
        tickets.into_iter().map(|ticket| replies.take(ticket)).collect::<Result<_>>()?;
    values.sort_unstable();
    assert_eq!(values, (501..=1_000).collect::<Vec<_>>());
    Ok(())
}

#[tokio::test]
async fn reads_go_to_a_backup_nearby_and_receipts_to_their_partition() -> Result<()> {
    let fake = Fake::start(&["east", "west", "west"]).await;
    let seeds = [fake.addresses().remove(0)];
    let grid = Grid::builder().seeds(seeds).zone("east").build().await?;
    let map = grid.map::<u64, i64>("m");
    let written = map.incr(&1, 1).with_receipt().await?;
    let receipt = *written.receipt().expect("these nodes give receipts");
    while grid.stats().connections < 3 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let nearby = ReadFrom::NearestBackup { max_staleness: Duration::from_secs(1) };
    for key in 0..40u64 {
        map.get(&key).read_from(nearby).await?;
    }
    assert_eq!(fake.world.lock().reads, [40, 0, 0]);
    assert_eq!(map.get(&1).at_least(&receipt).await?, Some(7));
    let mut elsewhere = 0;
    for key in 2..20u64 {
        match map.get(&key).at_least(&receipt).await {
            Ok(_) => {}
            Err(error) => {
                assert_eq!(error.code(), ErrorCode::ArgumentInvalid);
                elsewhere += 1;
            }
        }
    }
    assert!(elsewhere > 5, "a receipt says nothing of other partitions");
    Ok(())
}

#[tokio::test]
async fn a_gateway_client_uses_only_the_addresses_it_was_given() -> Result<()> {
    let fake = Fake::start(&["", "", ""]).await;
    let url = format!("isogrid://{}?gateway=true", fake.addresses()[0]);
    let grid = Grid::connect(&url).await?;
    let map = grid.map::<u64, i64>("m");
    for key in 0..20u64 {
        assert_eq!(map.incr(&key, 1).await?, 1);
    }
    let stats = grid.stats();
    assert_eq!((stats.connections, stats.routing_misses, stats.has_session), (1, 0, true));
    assert_eq!(fake.world.lock().gateway_frames, 20);
    Ok(())
}

#[tokio::test]
async fn a_watch_goes_on_behind_its_last_event() -> Result<()> {
    let fake = Fake::start(&["", ""]).await;
    let grid = grid(&fake).await?;
    let map = grid.map_with::<String, String, _>("m", isogrid_client::Raw);
    let mut events = map.watch().with_snapshot().stream();
    let watched = async {
        while fake.world.lock().watches.len() < 2 {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    watched.await;
    fake.tell_put(3, 9, "first").await;
    let mut next = async || match events.next().await {
        Some(Ok(Event::Put(key, put))) => (key, put.value),
        other => panic!("{other:?}"),
    };
    assert_eq!(next().await, ("k".to_owned(), "first".to_owned()));
    next().await;
    fake.end_watches();
    while fake.world.lock().watches.len() < 4 {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    fake.tell_put(4, 2, "second").await;
    assert_eq!(next().await.1, "second");
    let tokens: Vec<usize> =
        fake.world.lock().watches.iter().map(|(_, token)| token.len()).collect();
    let resumed: usize = tokens[2..].iter().sum();
    assert_eq!((tokens[0] + tokens[1], resumed), (0, 16), "the owner of partition 3 was told");
    assert_eq!(events.token().to_bytes().len(), 32);
    Ok(())
}

/// Without news the client would find the node after a pause of up to a second, each time another.
#[tokio::test]
async fn a_node_that_is_back_is_found_when_it_is_heard_of() -> Result<()> {
    let fake = Fake::start(&["", ""]).await;
    let grid = grid(&fake).await?;
    let map = grid.map::<String, i64>("m");
    let partitions = PartitionCount::new(8).expect("a power of two");
    let partition_of = |key: &String| partitions.partition_of_key(key.as_bytes()).0;
    let keys = (0..100).map(|number| format!("key {number}"));
    let key = keys.into_iter().find(|key| partition_of(key) % 2 == 1).expect("one of the second");
    let partition = partition_of(&key);
    for round in 1..=4 {
        assert_eq!(map.incr(key.as_str(), 1).await?, 2 * round - 1);
        fake.fail_over(1, 0).await;
        // It is down for so long that the pauses between two tries are long ones. They cannot be counted from outside: whoever
        // takes the calls is connected to.
        tokio::time::sleep(Duration::from_secs(2)).await;
        fake.come_back(1, partition).await;
        let begun = Instant::now();
        assert_eq!(map.incr(key.as_str(), 1).await?, 2 * round);
        let took = begun.elapsed();
        assert!(took < Duration::from_millis(150), "round {round}: {took:?}");
    }
    Ok(())
}
