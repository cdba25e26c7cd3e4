//! Partitions that nobody leads, and what the steward does about them.

use isogrid_core::{LogPosition, PartitionId, SessionId};

use super::evidence::{Follower, PartitionReport};
use super::world::World;
use crate::council::{ChangeKind, Command, LossCause, LossPolicy, StorageProof};
use crate::id::Millis;
use crate::testing::{
    P, change, create, entry, life, node, present, proof, rebooted, register, report, short, wiped,
};

fn world(policy: LossPolicy, nodes: &str) -> World {
    let mut world = World::new(1, 2, policy, nodes);
    world.run(500);
    world
}

#[test]
fn nobody_is_assigned_before_the_expected_have_registered_or_were_waited_for() {
    let expecting = || {
        let Command::CreateCluster(mut command) = create(4, 2, LossPolicy::Block) else { panic!() };
        command.members = vec![crate::testing::member("a1"), crate::testing::member("b1")];
        let mut world = World::new(4, 2, LossPolicy::Block, "");
        world.council = crate::council::Council::new();
        world.council.apply(&Command::CreateCluster(command));
        world.join("a1");
        world.run(2_000);
        assert_eq!(world.council.table().version().0, 0);
        world
    };
    let members = |world: &World| -> Vec<usize> {
        world.council.table().iter().map(|(_, entry)| entry.in_sync.len()).collect()
    };
    let mut both = expecting();
    both.join("b1");
    both.run(100);
    assert_eq!(members(&both), [2; 4]);
    let mut one = expecting();
    one.run(2_900);
    assert_eq!(members(&one), [0; 4]);
    one.run(100);
    assert_eq!(members(&one), [1; 4], "the other one was waited for");
}

#[test]
fn a_member_that_comes_back_leads_when_the_primary_does_not() {
    let mut world = world(LossPolicy::Block, "a1 b1");
    let primary = world.council.table().owner(P).unwrap().clone();
    let backup = if primary == node("a") { "b" } else { "a" };
    // Both go, the backup first; only the backup returns.
    world
        .council
        .apply(&Command::NodeDown { node: node(backup), incarnation: life("a1").incarnation });
    world.council.apply(&Command::NodeDown { node: primary, incarnation: life("a1").incarnation });
    world.join(&format!("{backup}2"));
    let steward_only = world.steward.step(world.now.plus(100), &world.council, &world.evidence);
    let [Command::Changes(changes)] = &steward_only.commands[..] else {
        panic!("{steward_only:?}")
    };
    assert_eq!(changes[0].kind, ChangeKind::Promote { to: node(backup) });
}

#[test]
fn after_a_power_loss_of_all_the_furthest_leads_once_all_have_reported() {
    let mut world = world(LossPolicy::Block, "a1 b1");
    for text in ["a2", "b2"] {
        register(&mut world.council, text, rebooted(text)).unwrap();
    }
    world.run(1_000);
    assert_eq!(world.council.table().owner(P), None);
    report(&mut world.council, "a2", (1, 5));
    world.run(1_000);
    assert_eq!(world.council.table().owner(P), None, "one is missing");
    report(&mut world.council, "b2", (1, 8));
    world.run(200);
    assert_eq!(world.council.table().owner(P), Some(&node("b")));
    assert_eq!(world.council.ledger_since(0)[0].kept, Some(LogPosition::new(1, 8)));
    world.settle(30_000);
}

#[test]
fn a_suspect_is_vouched_for_by_the_primary() {
    let mut world = world(LossPolicy::Block, "a1 b1");
    let backup = if world.council.table().owner(P) == Some(&node("a")) { "b2" } else { "a2" };
    register(&mut world.council, backup, rebooted(backup)).unwrap();
    assert!(world.council.facts(P).is_some());
    world.run(200);
    assert_eq!(world.council.facts(P), None);
}

#[test]
fn with_block_a_lost_partition_waits_for_ever() {
    let mut world = world(LossPolicy::Block, "a1 b1");
    for text in ["a2", "b2"] {
        register(&mut world.council, text, wiped(text)).unwrap();
    }
    world.run(200_000);
    assert_eq!(world.council.table().owner(P), None);
    assert!(world.council.ledger_since(0).is_empty());
}

#[test]
fn with_reset_it_starts_anew_after_the_recovery_wait_and_the_leases() {
    let mut world = world(LossPolicy::Reset, "a1 b1 c1");
    let reported = PartitionReport { committed: LogPosition::new(1, 70), ..Default::default() };
    world.evidence.partitions.insert(P, reported);
    let mut holders = world.council.entry(P).unwrap().in_sync.clone();
    holders.iter_mut().for_each(|holder| holder.incarnation.0 += 1);
    for holder in &holders {
        let text = format!("{}2", holder.node);
        register(&mut world.council, &text, wiped(&text)).unwrap();
    }
    world.run(59_000);
    assert!(world.council.ledger_since(0).is_empty(), "{}", entry(&world.council));
    world.run(4_000);
    let [loss] = world.council.ledger_since(0) else { panic!("one loss") };
    assert_eq!((loss.cause, loss.known), (LossCause::Policy, Some(LogPosition::new(1, 70))));
    world.settle(30_000);
}

#[test]
fn with_reset_nobody_waits_for_memory_whose_process_has_ended() {
    let volatile = |proof| StorageProof { is_volatile: true, ..proof };
    let in_memory = || {
        let mut world = world(LossPolicy::Reset, "a1 b1 c1");
        let holders = world.council.entry(P).unwrap().in_sync.clone();
        for holder in &holders {
            let text = format!("{}2", holder.node);
            register(&mut world.council, &text, volatile(proof(&text))).unwrap();
        }
        let text = format!("{}3", holders[0].node);
        register(&mut world.council, &text, volatile(wiped(&text))).unwrap();
        (world, holders[1].node.clone())
    };
    let (mut world, last) = in_memory();
    let incarnation = world.council.node(&last).unwrap().incarnation();
    world.council.apply(&Command::NodeDown { node: last, incarnation });
    world.run(5_000);
    assert!(world.council.ledger_since(0).is_empty(), "its process may still run");
    let (mut world, last) = in_memory();
    let text = format!("{last}3");
    register(&mut world.council, &text, volatile(wiped(&text))).unwrap();
    world.run(3_000);
    assert_eq!(world.council.ledger_since(0).len(), 1, "{}", entry(&world.council));
    world.settle(30_000);
}

#[test]
fn with_available_it_goes_on_with_the_best_learner_once_the_lease_has_lapsed() {
    let mut world = world(LossPolicy::Available, "a1 b1 c1 d1");
    let holders = world.council.entry(P).unwrap().in_sync.clone();
    let free: Vec<String> = ["a1", "b1", "c1", "d1"]
        .iter()
        .filter(|text| !holders.contains(&life(text)))
        .map(|text| text.to_string())
        .collect();
    for text in &free {
        change(&mut world.council, ChangeKind::AddLearner(life(text))).unwrap();
    }
    let mut reported = PartitionReport::default();
    for (at, text) in free.iter().enumerate() {
        let matched = LogPosition::new(1, 10 + at as u64);
        let follower = Follower { matched, is_complete: true, ..Follower::default() };
        reported.followers.insert(life(text).node, follower);
    }
    for holder in &holders {
        world.evidence.answered.insert(holder.node.clone(), world.now);
        let down = Command::NodeDown { node: holder.node.clone(), incarnation: holder.incarnation };
        world.council.apply(&down);
    }
    world.evidence.partitions.insert(P, reported);
    let mut step = |ms: u64| {
        let now = world.now.plus(ms);
        world.steward.step(now, &world.council, &world.evidence).commands
    };
    assert!(step(100).is_empty());
    assert!(step(1_100).is_empty(), "the old primary may still read");
    let commands = step(1_200);
    let [Command::Reset { to, operator: false, .. }] = &commands[..] else {
        panic!("{commands:?}")
    };
    assert_eq!(*to, life(&free[1]).node, "the one that has the most");
}

#[test]
fn a_new_leader_counts_its_takeover_as_an_answer() {
    let mut world = world(LossPolicy::Available, "a1 b1 c1");
    for holder in world.council.entry(P).unwrap().in_sync.clone() {
        let down = Command::NodeDown { node: holder.node, incarnation: holder.incarnation };
        world.council.apply(&down);
    }
    world.evidence.answered.clear();
    world.take_over();
    let mut step = |ms: u64| {
        let now = world.now.plus(ms);
        world.steward.step(now, &world.council, &world.evidence).commands
    };
    assert!(step(100).is_empty());
    assert!(step(1_100).is_empty());
    assert!(matches!(step(1_200)[..], [Command::Reset { .. }]));
}

#[test]
fn a_node_with_a_wrong_clock_leads_nothing() {
    let mut world = World::new(32, 2, LossPolicy::Block, "a1 b1 c1");
    world.run(500);
    assert!(world.council.table().owned_by(&node("b")).count() > 5);
    for (name, offset) in [("a", 0), ("b", 700), ("c", -20)] {
        world.evidence.clock_offsets.insert(node(name), offset);
    }
    world.run(1_000);
    assert_eq!(world.council.table().owned_by(&node("b")).count(), 0);
    assert_eq!(world.moves, 0, "its copies stay");
    world.evidence.clock_offsets.insert(node("b"), 30);
    world.run(1_000);
    assert!(world.council.table().owned_by(&node("b")).count() > 5);
}

#[test]
fn a_copy_that_stands_still_is_given_up_and_tried_again() {
    let mut world = World::new(1, 2, LossPolicy::Block, "a1 b1 c1");
    world.run(500);
    let holders = world.council.entry(P).unwrap().in_sync.clone();
    let other = ["a1", "b1", "c1"].into_iter().find(|text| !holders.contains(&life(text))).unwrap();
    let backup = holders[1].clone();
    world.intend(backup.node.as_str(), crate::council::Intent::Leave);
    let mut given = Vec::new();
    for second in 0..200u64 {
        let mut reported = PartitionReport::default();
        reported
            .followers
            .insert(life(other).node, Follower { bytes_left: 7, ..Follower::default() });
        world.evidence.partitions.insert(P, reported);
        let now = world.now.plus(second * 1_000);
        for command in world.steward.step(now, &world.council, &world.evidence).commands {
            world.council.apply(&command);
            given.push((second, short(world.council.entry(P).unwrap())));
        }
    }
    let [began, given_up, again, ..] = &given[..] else { panic!("{given:?}") };
    assert!(began.0 < 2 && began.1.contains('|'), "{given:?}");
    assert!((60..64).contains(&given_up.0) && !given_up.1.contains('|'), "{given:?}");
    assert!((120..126).contains(&again.0) && again.1.contains('|'), "{given:?}");
}

#[test]
fn silent_sessions_end_after_a_minute_and_others_do_not() {
    let mut world = world(LossPolicy::Block, "a1");
    world.council.apply(&Command::OpenSessions { count: 2 });
    world.run(40_000);
    world.council.apply(&Command::OpenSessions { count: 1 });
    let open = |world: &World| -> Vec<u64> {
        world.council.sessions().open_sessions().map(|session| session.0).collect()
    };
    world.run(15_000);
    world.evidence.sessions.insert(SessionId(2), world.now);
    world.run(10_000);
    assert_eq!(open(&world), [2, 3], "the first was never heard of");
    world.run(70_000);
    assert_eq!(open(&world), [] as [u64; 0]);
    assert_eq!(world.council.sessions().watermark(), SessionId(4));
}

#[test]
fn an_inherited_session_gets_a_minute_from_the_takeover() {
    let mut world = world(LossPolicy::Block, "a1");
    world.council.apply(&Command::OpenSessions { count: 1 });
    world.run(50_000);
    world.take_over();
    world.run(50_000);
    assert!(world.council.sessions().is_open(SessionId(1)));
    world.run(15_000);
    assert!(!world.council.sessions().is_open(SessionId(1)));
}

#[test]
fn a_large_copy_uses_up_the_budget() {
    let mut world = World::new(8, 1, LossPolicy::Block, "a1");
    world.run(300);
    world.join("b1");
    let begun = |bytes: u64| {
        let mut steward = super::Steward::new(world.now);
        let mut evidence = super::Evidence::default();
        for partition in 0..8 {
            let report = PartitionReport { bytes, ..PartitionReport::default() };
            evidence.partitions.insert(PartitionId(partition), report);
        }
        [100, 2_000].map(|ms| {
            let orders = steward.step(world.now.plus(ms), &world.council, &evidence);
            match &orders.commands[..] {
                [Command::Changes(changes)] => changes.len(),
                commands => commands.len(),
            }
        })
    };
    assert_eq!(begun(1), [2, 2], "two streams, asked for once more because nothing came of it");
    assert_eq!(begun(10 << 30), [1, 0], "ten gigabytes take forty seconds");
}

#[test]
fn a_learner_that_has_everything_is_not_given_up_and_one_that_stands_still_is() {
    let committed = LogPosition::new(1, 9);
    let given_up = |follower: Follower| {
        let mut council = crate::testing::council("a1", "b1");
        change(&mut council, ChangeKind::AddLearner(life("b1"))).unwrap();
        let mut evidence = super::evidence::Evidence::default();
        let followers = [(node("b"), follower)].into();
        let report = PartitionReport { committed, followers, ..PartitionReport::default() };
        evidence.partitions.insert(P, report);
        let mut steward = super::Steward::new(Millis(1_000));
        let dropped =
            Command::Changes(vec![present(&council, ChangeKind::DropLearner(life("b1")))]);
        // Its primary lets it wait for as long as it may after removals.
        (0..1_200).any(|step| {
            let now = Millis(1_000 + step * 100);
            steward.step(now, &council, &evidence).commands.contains(&dropped)
        })
    };
    let whole = Follower { matched: committed, is_complete: true, ..Follower::default() };
    assert!(!given_up(whole));
    assert!(given_up(Follower { is_complete: false, ..whole }));
    assert!(given_up(Follower { matched: LogPosition::new(1, 8), ..whole }));
}
