//! Control end to end, with everything else in memory.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use isogrid_cluster::council::{Intent, MapMode, MapRecord};
use isogrid_cluster::steward::{BlockedBy, CanStop};
use isogrid_cluster::{Command, Outcome};
use isogrid_core::{ErrorCode, MapId, MapSettings, MemberState, NodeId, SessionId};

use super::health::Word;
use super::twins::{Start, World, is_code, until};
use super::view::View;

/// Whether every partition has so many copies on nodes that are up.
fn is_whole(view: &View, copies: usize) -> bool {
    view.registered.is_some()
        && view.cluster.is_some()
        && view.table.iter().all(|(_, entry)| {
            let live = entry.in_sync.iter().filter(|member| view.is_live(member)).count();
            let is_led = entry.primary.as_ref().is_some_and(|primary| {
                entry.in_sync.iter().any(|member| member.node == *primary && view.is_live(member))
            });
            live == copies && entry.in_sync.len() == copies && is_led
        })
}

fn led_by(view: &View, name: &str) -> usize {
    view.table.owned_by(&NodeId::new(name)).count()
}

fn held_by(view: &View, name: &str) -> usize {
    let name = NodeId::new(name);
    view.table.iter().filter(|(_, e)| e.holders().any(|holder| holder.node == name)).count()
}

/// Three nodes that have formed a cluster, and the council has three voters.
async fn three() -> Arc<World> {
    let world = World::new();
    let start = Start { expect: 3, ..Start::default() };
    for name in ["a", "b", "c"] {
        world.start(name, &start);
    }
    until("three nodes form a cluster", || world.all(|view| is_whole(view, 2))).await;
    until("all three vote", || world.group.lock().voters.len() == 3).await;
    world
}

#[tokio::test]
async fn one_node_is_a_cluster() {
    let world = World::new();
    let station = world.start("a", &Start { backups: 0, ..Start::default() });
    until("it leads everything", || world.all(|view| led_by(view, "a") == 16)).await;
    until("it is healthy", || station.control.facts().health_with(&[]).word == Word::Healthy).await;
    assert!(!station.control.facts().health_with(&[]).is_safe, "there is no other copy");
    assert!(station.engine.answered.load(Ordering::Relaxed) > 0);
    // There is nobody to hand anything over to.
    let begin = Instant::now();
    station.control.prepare_stop().await;
    assert!(begin.elapsed() < Duration::from_secs(2));
}

#[tokio::test]
async fn three_nodes_form_one_cluster_and_know_the_same() {
    let world = three().await;
    let a = world.station("a").control.now_known();
    until("all know the same", || {
        let version = world.group.lock().council.table().version();
        world.all(|view| {
            view.table.version() == version
                && view.cluster.as_ref().unwrap().id == a.cluster.as_ref().unwrap().id
        })
    })
    .await;
    for station in world.stations() {
        until("it is healthy", || station.control.facts().health_with(&[]).word == Word::Healthy)
            .await;
        until("any of them may go", || station.control.facts().health_with(&[]).is_safe).await;
    }
}

#[tokio::test]
async fn a_node_with_seeds_waits_for_them_and_joins() {
    let world = World::new();
    let joining = Start { has_seeds: true, ..Start::default() };
    world.start("a", &joining);
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(world.group.lock().voters.is_empty(), "nobody is there yet");
    world.start("b", &Start::default());
    until("both are members", || world.all(|view| is_whole(view, 2))).await;
    world.start("c", &joining);
    until("the third takes its share", || world.all(|view| held_by(view, "c") > 5)).await;
}

#[tokio::test]
async fn a_dead_node_is_replaced_and_comes_back() {
    let world = three().await;
    let dead = if world.group.lock().leader == Some(NodeId::new("c")) { "b" } else { "c" };
    let begin = Instant::now();
    world.kill(dead);
    until("others lead what it led", || world.all(|view| led_by(view, dead) == 0)).await;
    assert!(begin.elapsed() < Duration::from_secs(2), "{:?}", begin.elapsed());
    let is_down = |view: &View| view.nodes[&NodeId::new(dead)].member.state == MemberState::Down;
    until("it is down for all", || world.all(is_down)).await;
    until("the word says so", || {
        let mut stations = world.stations().into_iter();
        stations.all(|station| station.control.facts().health_with(&[]).word == Word::Degraded)
    })
    .await;
    world.start(dead, &Start::default());
    until("all is whole again", || world.all(|view| is_whole(view, 2) && held_by(view, dead) > 0))
        .await;
    until("its new log votes", || {
        let voters = world.group.lock().voters.clone();
        voters.len() == 3
            && voters.keys().all(|voter| voter.0 != u64::from(dead.as_bytes()[0] - 96))
    })
    .await;
}

#[tokio::test]
async fn another_leader_of_the_council_goes_on() {
    let world = three().await;
    let leader = world.group.lock().leader.clone().unwrap();
    world.kill(leader.as_str());
    let is_down = |view: &View| view.nodes[&leader].member.state == MemberState::Down;
    until("the dead leader is down for all", || world.all(is_down)).await;
    let term = world.group.lock().term;
    until("all know the new one", || {
        world.all(|view| view.leader.as_ref().is_some_and(|leader| leader.term == term))
    })
    .await;
    for station in world.stations() {
        station.control.open_sessions(2).await.unwrap();
    }
    until("others lead what it led", || world.all(|view| led_by(view, leader.as_str()) == 0)).await;
}

#[tokio::test]
async fn a_node_that_was_fenced_by_mistake_registers_again() {
    let world = three().await;
    let b = world.station("b").control.now_known().nodes[&NodeId::new("b")].member.clone();
    let answered = || world.station("b").engine.answered.load(Ordering::Relaxed);
    let down = Command::NodeDown { node: b.id.clone(), incarnation: b.incarnation };
    assert!(matches!(world.apply(&down), Outcome::Fenced(_)));
    let serves = || world.group.lock().council.serving(&b.id).is_some();
    until("it serves again", serves).await;
    assert_eq!(world.group.lock().council.serving(&b.id).unwrap().incarnation, b.incarnation);
    let before = answered();
    until("it is answered again", || answered() > before).await;
}

#[tokio::test]
async fn an_older_life_than_the_registered_one_ends() {
    let world = World::new();
    world.start("a", &Start { backups: 0, ..Start::default() });
    world.start("b", &Start::default());
    until("both are members", || {
        world.all(|view| view.nodes.len() == 2 && view.registered.is_some())
    })
    .await;
    world.kill("b");
    let old = world.start("b", &Start { life: Some(5), ..Start::default() });
    let mut failed = old.control.failed();
    let waiting = tokio::time::timeout(Duration::from_secs(20), failed.wait_for(Option::is_some));
    let why = waiting.await.expect("in time").expect("it runs").clone().expect("it has failed");
    assert_eq!(why.code(), ErrorCode::NodeNameTaken, "{why}");
}

#[tokio::test]
async fn a_node_is_emptied_and_leaves() {
    let world = three().await;
    let leader = world.group.lock().leader.clone().unwrap();
    let station = world.station(leader.as_str());
    let gone = if leader.as_str() == "c" { "b" } else { "c" };
    let node = NodeId::new(gone);
    let answer = station.control.can_stop(&node).await.unwrap();
    assert!(matches!(answer, CanStop::No { .. }), "it leads partitions: {answer:?}");
    // Asked where the leader is not.
    let elsewhere = world.station(gone);
    assert!(elsewhere.control.set_intent(&node, Intent::Leave).await.unwrap());
    assert!(!elsewhere.control.set_intent(&node, Intent::Leave).await.unwrap());
    until("it holds nothing", || world.all(|view| held_by(view, gone) == 0)).await;
    until("it can stop but for its vote", || {
        let facts = elsewhere.control.facts();
        facts.health_with(&[]).under_replicated == 0
    })
    .await;
    let unknown = elsewhere.control.set_intent(&NodeId::new("x"), Intent::Drain).await;
    assert!(is_code(&unknown, ErrorCode::NodeUnknown), "{unknown:?}");
    world.kill(gone);
    until("it is forgotten", || world.all(|view| !view.nodes.contains_key(&node))).await;
    assert!(world.all(|view| is_whole(view, 2)));
}

#[tokio::test]
async fn a_stop_waits_until_others_lead() {
    let world = three().await;
    let leader = world.group.lock().leader.clone().unwrap();
    let stopping = if leader.as_str() == "c" { "b" } else { "c" };
    let station = world.station(stopping);
    until("it leads something", || led_by(&station.control.now_known(), stopping) > 0).await;
    station.control.prepare_stop().await;
    let view = station.control.now_known();
    assert_eq!(led_by(&view, stopping), 0);
    assert_eq!(view.nodes[&NodeId::new(stopping)].intent, Intent::Restart);
    assert_eq!(held_by(&view, stopping), 0, "nobody waits for it when it ends");
    let answer = station.control.can_stop(&NodeId::new(stopping)).await.unwrap();
    assert!(matches!(answer, CanStop::Yes { .. }), "{answer:?}");
    world.kill(stopping);
    world.start(stopping, &Start::default());
    until("it is back", || world.all(|view| is_whole(view, 2) && led_by(view, stopping) > 0)).await;
    let view = world.station("a").control.now_known();
    assert_eq!(view.nodes[&NodeId::new(stopping)].intent, Intent::Stay);
}

#[tokio::test]
async fn a_stop_waits_until_the_council_can_spare_the_vote() {
    let world = three().await;
    // A node that comes back without its log has another vote: until that counts, one more end is the end of the council.
    world.kill("c");
    world.start("c", &Start::default());
    world.station("b").control.prepare_stop().await;
    world.kill("b");
    until("a majority decides", || world.group.lock().leader.is_some()).await;
    world.station("a").control.open_sessions(1).await.unwrap();
}

#[tokio::test]
async fn the_only_voter_hands_on_its_vote_before_it_stops() {
    let world = World::new();
    let start = Start { expect: 2, ..Start::default() };
    let (a, b) = (world.start("a", &start), world.start("b", &start));
    until("both are members", || world.all(|view| is_whole(view, 2))).await;
    let blocked = b.control.can_stop(&NodeId::new("a")).await.unwrap();
    let CanStop::No { blockers } = blocked else { panic!("{blocked:?}") };
    let quorum = BlockedBy::Quorum { have: 0, need: 1 };
    assert!(blockers.iter().any(|blocker| blocker.why == quorum), "{blockers:?}");
    a.control.prepare_stop().await;
    world.kill("a");
    until("the other one leads all", || world.all(|view| led_by(view, "b") == 16)).await;
    b.control.open_sessions(1).await.unwrap();
}

fn map(settings: MapSettings, mode: MapMode) -> MapRecord {
    MapRecord { id: MapId(0), settings, mode, schema: None }
}

#[tokio::test]
async fn maps_and_sessions_are_known_where_they_were_asked_for() {
    let world = three().await;
    let [a, b, c] = ["a", "b", "c"].map(|name| world.station(name));
    assert_eq!(a.control.find_map("x").await.unwrap(), None);
    let made = b.control.ensure_map("x").await.unwrap();
    assert_eq!(b.control.now_known().map("x"), Some(&made));
    assert_eq!(c.control.find_map("x").await.unwrap().unwrap().id, made.id);
    assert_eq!(c.control.now_known().map("x"), Some(&made), "it is known once it was found");
    let settings = MapSettings { entries_max: 9, ..MapSettings::default() };
    let changed = c.control.put_map("x", map(settings, MapMode::default())).await.unwrap();
    assert_eq!(changed.id, made.id);
    assert_eq!(a.control.ensure_map("x").await.unwrap().id, made.id);
    let wrong = MapMode { min_in_sync: 9, ..MapMode::default() };
    let refused = a.control.put_map("x", map(MapSettings::default(), wrong)).await;
    assert!(is_code(&refused, ErrorCode::ChangeRefused), "{refused:?}");
    assert!(a.control.drop_map("x").await.unwrap());
    assert!(!b.control.drop_map("x").await.unwrap());
    let first = a.control.open_sessions(3).await.unwrap();
    assert_eq!(b.control.open_sessions(1).await.unwrap(), SessionId(first.0 + 3));
    world.apply(&Command::EndSessions { numbers: vec![first] });
    until("all know that it has ended", || world.all(|view| view.watermark.0 == first.0 + 1)).await;
}

#[tokio::test]
async fn a_map_that_wants_more_backups_gets_them() {
    let world = three().await;
    let control = &world.station("b").control;
    let mode = MapMode { backups: Some(2), ..MapMode::default() };
    control.put_map("x", map(MapSettings::default(), mode)).await.unwrap();
    until("every partition has three copies", || world.all(|view| is_whole(view, 3))).await;
    control.put_map("x", map(MapSettings::default(), MapMode::default())).await.unwrap();
    until("every partition has two again", || world.all(|view| is_whole(view, 2))).await;
}

#[tokio::test]
async fn without_a_majority_nothing_is_decided_and_the_word_says_so() {
    let world = three().await;
    let leader = world.group.lock().leader.clone().unwrap();
    let others: Vec<&str> = ["a", "b", "c"].into_iter().filter(|n| *n != leader.as_str()).collect();
    others.iter().for_each(|name| world.kill(name));
    let station = world.station(leader.as_str());
    let refused = station.control.open_sessions(1).await;
    assert!(is_code(&refused, ErrorCode::NoQuorum), "{refused:?}");
    until("it notices", || !station.control.facts().has_quorum).await;
    assert_ne!(station.control.facts().health_with(&[]).word, Word::Healthy);
}
