//! Whether a node can be stopped, in all the ways it can be asked.

use isogrid_core::{LogPosition, MapSettings};

use super::can_stop::{BlockedBy, CanStop, can_stop};
use super::evidence::{Evidence, PartitionReport};
use super::world::World;
use crate::council::{ChangeKind, Command, Council, Intent, LossPolicy, MapMode};
use crate::testing::{P, change, council, down, life, node, rebooted, register};

fn why(name: &str, council: &Council) -> Option<BlockedBy> {
    match can_stop(&node(name), council, &Evidence::default()) {
        CanStop::Yes { .. } => None,
        CanStop::No { blockers } => {
            assert!(blockers.iter().all(|blocker| blocker.estimate_ms > 0));
            Some(blockers[0].why)
        }
    }
}

fn intend(council: &mut Council, name: &str, intent: Intent) {
    council.apply(&Command::SetIntent { node: node(name), intent });
}

#[test]
fn a_primary_hands_over_first() {
    let mut council = council("a1 b1", "");
    intend(&mut council, "a", Intent::Restart);
    assert_eq!(why("a", &council), Some(BlockedBy::Leads));
    change(&mut council, ChangeKind::Handover { to: node("b") }).unwrap();
    assert_eq!(why("a", &council), None);
}

#[test]
fn the_proof_names_who_has_everything_and_up_to_where() {
    let council = council("a1 b1 c1", "d1");
    let mut evidence = Evidence::default();
    let committed = LogPosition::new(1, 33);
    evidence.partitions.insert(P, PartitionReport { committed, ..PartitionReport::default() });
    let CanStop::Yes { proof } = can_stop(&node("b"), &council, &evidence) else { panic!() };
    assert_eq!(proof[0].held_by, [node("a"), node("c")]);
    assert_eq!((proof[0].partition, proof[0].up_to), (P, Some(committed)));
    let nothing = can_stop(&node("d"), &council, &evidence);
    assert_eq!(nothing, CanStop::Yes { proof: Vec::new() });
}

#[test]
fn who_is_down_suspect_or_empty_does_not_count() {
    let too_few = Some(BlockedBy::TooFewCopies { have: 0, need: 1 });
    assert_eq!(why("a", &council("a1", "")), too_few);
    let mut council_with_one_down = council("a1 b1", "");
    down(&mut council_with_one_down, "b1");
    assert_eq!(why("a", &council_with_one_down), too_few);
    let mut council_with_suspect = council("a1 b1", "");
    register(&mut council_with_suspect, "b2", rebooted("b2")).unwrap();
    assert_eq!(why("a", &council_with_suspect), too_few);
}

#[test]
fn the_strictest_map_says_how_many_must_stay() {
    let mut council = council("a1 b1", "");
    let mode = MapMode { min_in_sync: 2, ..MapMode::default() };
    let settings = MapSettings::default();
    council.apply(&Command::PutMap { name: "orders".into(), settings, mode, schema: None });
    assert_eq!(why("b", &council), Some(BlockedBy::TooFewCopies { have: 1, need: 2 }));
}

#[test]
fn a_node_that_leaves_must_be_a_member_of_nothing() {
    let mut council = council("a1 b1 c1", "");
    intend(&mut council, "c", Intent::Leave);
    assert_eq!(why("c", &council), Some(BlockedBy::StillMember));
    change(&mut council, ChangeKind::RemoveMember(life("c1"))).unwrap();
    assert_eq!(why("c", &council), None);
}

#[test]
fn nodes_that_restart_go_one_after_the_other() {
    let mut world = World::new(16, 2, LossPolicy::Block, "a1 b1");
    world.run(500);
    world.intend("a", Intent::Restart);
    world.intend("b", Intent::Restart);
    world.run(2_000);
    let ready = |world: &World, name| why(name, &world.council).is_none();
    assert!(ready(&world, "a") && !ready(&world, "b"));
    world.join("a2");
    world.run(2_000);
    assert!(ready(&world, "b"));
}

#[test]
fn in_a_whole_stop_each_node_must_have_synced() {
    let mut council = council("a1 b1", "");
    intend(&mut council, "a", Intent::Stop);
    assert_eq!(why("a", &council), Some(BlockedBy::Leads), "the other one stays");
    intend(&mut council, "b", Intent::Stop);
    assert_eq!(why("a", &council), Some(BlockedBy::NotFlushed));
    let flushed = Evidence { flushed: [node("a")].into(), ..Evidence::default() };
    assert!(matches!(can_stop(&node("a"), &council, &flushed), CanStop::Yes { .. }));
}
