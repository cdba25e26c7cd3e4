//! The steward and a council with replicas that obey: from nothing to five nodes, one dies, one joins, one drains.

use std::collections::{BTreeMap, BTreeSet};

use isogrid_core::{NodeId, PartitionId, Replica};

use super::world::World;
use crate::council::{Change, ChangeKind, Command, Council, Intent, LossPolicy};
use crate::testing::node;

type Holders = BTreeMap<PartitionId, BTreeSet<NodeId>>;

fn holders(council: &Council) -> Holders {
    let of = |entry: &isogrid_core::PartitionEntry| {
        entry.in_sync.iter().map(|member| member.node.clone()).collect()
    };
    council.table().iter().map(|(partition, entry)| (partition, of(entry))).collect()
}

/// How many copies are where none was.
fn difference(before: &Holders, after: &Holders) -> usize {
    let new = |(partition, nodes): (&PartitionId, &BTreeSet<NodeId>)| {
        nodes.difference(&before[partition]).count()
    };
    after.iter().map(new).sum()
}

fn leads(council: &Council, name: &str) -> usize {
    council.table().owned_by(&node(name)).count()
}

fn five(partitions: u16, copies: u8) -> World {
    let mut world = World::new(partitions, copies, LossPolicy::Block, "a1 b1 c1 d1 e1");
    world.run(200);
    world.settle(1_000);
    assert_eq!(world.moves, 0, "the first assignment copies nothing");
    world
}

#[test]
fn a_new_cluster_is_assigned_at_once_and_evenly() {
    let world = five(128, 2);
    assert_eq!(world.council.table().version().0, 1, "in one step");
    for name in ["a", "b", "c", "d", "e"] {
        assert!((20..=26).contains(&leads(&world.council, name)), "{name}");
    }
    assert_eq!(world.handovers, 0);
}

#[test]
fn a_dead_node_is_replaced_and_the_table_is_whole_again() {
    let mut world = five(128, 2);
    let before = holders(&world.council);
    let lost = before.values().filter(|nodes| nodes.contains(&node("b"))).count();
    world.kill("b");
    world.run(1_000);
    assert_eq!(leads(&world.council, "b"), 0, "promoted at once");
    assert_eq!(world.moves, 0, "its place is kept for a while");
    world.settle(60_000);
    let needed = difference(&before, &holders(&world.council));
    assert!(world.moves <= needed && needed * 10 <= lost * 12, "{} {needed} {lost}", world.moves);
    assert!(world.streams <= 2, "{}", world.streams);
    assert!(world.fewest >= 1);
}

#[test]
fn a_node_that_joins_gets_its_share_and_no_copy_is_missing_meanwhile() {
    let mut world = five(128, 2);
    let before = holders(&world.council);
    world.fewest = usize::MAX;
    world.join("f1");
    world.run(2_000);
    world.settle(120_000);
    let after = holders(&world.council);
    let share = after.values().filter(|nodes| nodes.contains(&node("f"))).count();
    let needed = difference(&before, &after);
    assert!((40..=44).contains(&share), "a sixth of 256: {share}");
    assert_eq!(world.moves, needed, "no copy was made for nothing");
    assert!(needed * 10 <= share * 12, "{needed} for {share}");
    assert_eq!(world.fewest, 2, "never under-replicated");
    assert!(world.streams <= 2, "{}", world.streams);
    assert!((18..=25).contains(&leads(&world.council, "f")));
}

#[test]
fn a_drained_node_is_emptied_and_no_copy_is_missing_meanwhile() {
    for intent in [Intent::Drain, Intent::Leave] {
        let mut world = five(128, 2);
        let before = holders(&world.council);
        let held = before.values().filter(|nodes| nodes.contains(&node("c"))).count();
        world.fewest = usize::MAX;
        world.intend("c", intent);
        world.settle(120_000);
        assert!(world.moves * 10 <= held * 12, "{} for {held}", world.moves);
        assert_eq!(world.fewest, 2, "never under-replicated");
        assert!(world.streams <= 2, "{}", world.streams);
        let holds = holders(&world.council).values().any(|nodes| nodes.contains(&node("c")));
        assert!(!holds);
        world.kill("c");
        world.run(2_000);
        let forgotten = world.council.node(&node("c")).is_none();
        assert_eq!(forgotten, intent == Intent::Leave);
    }
}

#[test]
fn one_after_the_other_from_nothing() {
    let mut world = five(64, 3);
    world.kill("e");
    world.settle(60_000);
    world.join("f1");
    world.run(2_000);
    world.settle(120_000);
    world.intend("a", Intent::Drain);
    world.settle(120_000);
    world.join("e2");
    world.run(10_000);
    world.settle(120_000);
    assert!(world.streams <= 2, "{}", world.streams);
    assert!(world.fewest >= 2);
    assert!(world.council.ledger_since(0).is_empty());
}

#[test]
fn a_short_absence_moves_nothing_away() {
    let mut world = five(64, 2);
    let before = holders(&world.council);
    world.kill("d");
    world.run(5_000);
    world.join("d2");
    world.run(5_000);
    assert_eq!(world.moves, 0, "not before it has been stable");
    world.run(2_000);
    world.settle(120_000);
    assert_eq!(holders(&world.council), before, "all is where it was");
    let held = before.values().filter(|nodes| nodes.contains(&node("d"))).count();
    assert_eq!(world.moves, held);
}

#[test]
fn a_rolling_restart_hands_over_first_and_copies_nothing() {
    let mut world = five(64, 2);
    let led = leads(&world.council, "a");
    world.intend("a", Intent::Restart);
    world.run(1_000);
    assert_eq!((leads(&world.council, "a"), world.handovers), (0, led));
    world.join("a2");
    world.run(3_000);
    assert_eq!(leads(&world.council, "a"), led, "it leads again");
    assert_eq!(world.moves, 0);
    assert!(!world.commands.iter().any(|command| matches!(command, Command::NodeDown { .. })));
}

#[test]
fn a_node_that_restarted_as_planned_catches_up_at_once() {
    let mut world = five(64, 2);
    let before = holders(&world.council);
    world.intend("a", Intent::Restart);
    world.run(1_000);
    world.kill("a");
    // Longer than a node that died would be waited for.
    world.run(30_000);
    assert_eq!((world.moves, leads(&world.council, "a")), (0, 0));
    world.join("a2");
    world.run(300);
    assert!(world.moves > 0);
    world.settle(60_000);
    assert_eq!(holders(&world.council), before);
}

#[test]
fn a_node_that_is_about_to_restart_is_given_no_copies() {
    let mut world = five(64, 2);
    world.intend("a", Intent::Restart);
    world.run(1_000);
    // It leads nothing by now, and asks the others to wait for it no more.
    let own = |replica: &&Replica| replica.node == node("a");
    let changes = world.council.table().iter().filter_map(|(partition, entry)| {
        let member = entry.in_sync.iter().find(own)?.clone();
        let kind = ChangeKind::RemoveMember(member);
        Some(Change { partition, epoch: entry.epoch, ver: entry.ver, kind })
    });
    let changes: Vec<Change> = changes.collect();
    assert!(!changes.is_empty());
    world.council.apply(&Command::Changes(changes));
    world.run(5_000);
    let held =
        || holders(&world.council).values().filter(|nodes| nodes.contains(&node("a"))).count();
    assert_eq!(held(), 0, "what it took now would end with it");
    world.join("a2");
    world.settle(60_000);
    assert!(holders(&world.council).values().any(|nodes| nodes.contains(&node("a"))));
}

#[test]
fn a_whole_stop_moves_and_fences_nothing() {
    let mut world = five(64, 2);
    let before = world.council.clone();
    for name in ["a", "b", "c", "d", "e"] {
        world.intend(name, Intent::Stop);
    }
    for name in ["a", "b", "c"] {
        world.kill(name);
        world.run(20_000);
    }
    assert_eq!(world.council.table(), before.table());
    assert_eq!(world.moves + world.handovers, 0);
}

#[test]
fn a_new_leader_finishes_what_the_old_one_began() {
    let mut world = five(64, 2);
    world.intend("c", Intent::Leave);
    for _ in 0..20 {
        world.run(300);
        world.take_over();
    }
    world.settle(120_000);
    assert!(world.streams <= 2 && world.fewest >= 2);
}

#[test]
fn a_map_that_wants_more_copies_gets_them_and_gives_them_back() {
    let mut world = five(128, 2);
    let put = |backups| Command::PutMap {
        name: "x".into(),
        settings: isogrid_core::MapSettings::default(),
        mode: crate::council::MapMode { backups, ..crate::council::MapMode::default() },
        schema: None,
    };
    world.council.apply(&put(Some(2)));
    world.fewest = usize::MAX;
    world.settle(60_000);
    assert_eq!((world.moves, world.fewest), (128, 2), "one copy more of each, and never fewer");
    world.council.apply(&put(None));
    world.settle(60_000);
    assert!(holders(&world.council).values().all(|nodes| nodes.len() == 2));
    assert_eq!(world.moves, 128, "nothing is copied to have less");
}
