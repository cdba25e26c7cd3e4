//! Tests of the health word.

use std::collections::BTreeMap;
use std::sync::Arc;

use isogrid_cluster::ClusterId;
use isogrid_cluster::council::{Cluster, LossPolicy};
use isogrid_cluster::steward::Follower;
use isogrid_core::{
    Epoch, Incarnation, LogPosition, Member, PartitionCount, PartitionId, Replica, Table,
};

use super::*;
use crate::control::news::NodeNews;

fn node(name: &str, state: MemberState, intent: Intent) -> (NodeId, NodeNews) {
    let member = Member { state, ..Member::new(name) };
    (NodeId::new(name), NodeNews { member, intent })
}

/// Two partitions led by `a`, each with these in-sync members; all nodes are up.
fn view(copies: u8, in_sync: &str) -> View {
    let mut view = View::empty();
    let loss_policy = LossPolicy::Block;
    view.cluster =
        Some(Cluster { id: ClusterId(1), format: 1, feature_level: 1, copies, loss_policy });
    let up = |name| node(name, MemberState::Active, Intent::Stay);
    view.nodes = Arc::new(["a", "b", "c"].map(up).into_iter().collect());
    let partitions = PartitionCount::new(2).unwrap();
    view.table = Table::unassigned(partitions);
    let life = |name: &str| Replica { node: NodeId::new(name), incarnation: Incarnation(1) };
    let entry = PartitionEntry {
        epoch: Epoch(1),
        ver: 1,
        loss_generation: 0,
        primary: Some(NodeId::new("a")),
        in_sync: in_sync.split_whitespace().map(life).collect(),
        learners: Vec::new(),
    };
    let entries = (0..2).map(|number| (PartitionId(number), entry.clone())).collect();
    view.table = view.table.apply(&view.table.change(entries)).unwrap();
    view
}

fn with(mut view: View, name: &str, state: MemberState, intent: Intent) -> View {
    let mut nodes: BTreeMap<NodeId, NodeNews> = (*view.nodes).clone();
    nodes.extend([node(name, state, intent)]);
    view.nodes = Arc::new(nodes);
    view
}

/// A council of three, all of them up.
const COUNCIL: CouncilHealth =
    CouncilHealth { has_quorum: true, voters: 3, voters_up: 3, nodes_up: 3 };

fn word(view: &View) -> (Word, bool) {
    let health = assess(view, &[], COUNCIL);
    (health.word, health.is_safe)
}

#[test]
fn all_copies_make_it_healthy_and_two_make_it_safe() {
    assert_eq!(word(&view(2, "a b")), (Word::Healthy, true));
    assert_eq!(word(&view(1, "a")), (Word::Healthy, false));
    assert_eq!(word(&view(3, "a b")), (Word::Degraded, true), "one copy is missing");
    assert_eq!(assess(&view(3, "a b"), &[], COUNCIL).under_replicated, 2);
    let silent = CouncilHealth { has_quorum: false, ..COUNCIL };
    assert_eq!(assess(&view(2, "a b"), &[], silent).word, Word::Degraded, "no council");
}

#[test]
fn nobody_leads_while_the_primary_is_down() {
    let down = with(view(2, "a b"), "a", MemberState::Down, Intent::Stay);
    let health = assess(&down, &[], COUNCIL);
    assert_eq!((health.word, health.without_primary, health.down), (Word::Unavailable, 2, 1));
    assert!(!health.is_safe);
    assert_eq!(word(&View::empty()), (Word::Unavailable, false), "there is no cluster");
    let unassigned =
        View { table: Table::unassigned(view(2, "a").table.partitions()), ..view(2, "a") };
    assert_eq!(assess(&unassigned, &[], COUNCIL).unassigned, 2);
}

#[test]
fn a_node_that_is_down_without_copies_degrades_unless_it_was_asked_to_go() {
    let down = |intent| with(view(2, "a b"), "c", MemberState::Down, intent);
    assert_eq!(word(&down(Intent::Stay)), (Word::Degraded, true));
    assert_eq!(word(&down(Intent::Leave)), (Word::Healthy, true));
}

#[test]
fn a_backup_whose_copy_is_mended_does_not_count() {
    let lead = Lead {
        partition: PartitionId(1),
        bytes: 1,
        commit: LogPosition::START,
        followers: vec![(NodeId::new("b"), Follower::default())],
    };
    let health = assess(&view(2, "a b"), &[lead], COUNCIL);
    assert_eq!((health.word, health.is_safe), (Word::Degraded, false));
    assert_eq!(health.under_replicated, 1);
}

#[test]
fn a_council_that_could_not_lose_a_voter_is_not_safe() {
    let council = |voters, voters_up, nodes_up| CouncilHealth {
        has_quorum: true,
        voters,
        voters_up,
        nodes_up,
    };
    // What is safe, what is whole: then nothing is missing that there could be.
    for (figures, is_safe, is_whole) in [
        (council(1, 1, 1), false, true),
        (council(1, 1, 2), false, true),
        (council(1, 1, 3), false, false),
        (council(3, 3, 3), true, true),
        (council(3, 2, 2), false, false),
        (council(3, 2, 3), false, false),
        (council(5, 5, 5), true, true),
        (council(5, 4, 4), true, false),
        (council(5, 3, 4), false, false),
        (council(0, 0, 1), false, false),
    ] {
        assert_eq!((figures.is_safe(), figures.is_whole()), (is_safe, is_whole), "{figures:?}");
        let health = assess(&view(2, "a b"), &[], figures);
        assert_eq!((health.word, health.is_safe), (Word::Healthy, is_safe), "{figures:?}");
        assert_eq!(health.is_settled(), is_safe || is_whole, "{figures:?}");
        assert_eq!(health.missing().is_empty(), health.is_settled(), "{figures:?}");
    }
}

#[test]
fn what_is_missing_is_said() {
    let silent = CouncilHealth { has_quorum: false, ..COUNCIL };
    let health = assess(&view(3, "a b"), &[], silent);
    assert!(!health.is_settled() || health.is_safe);
    let down = with(view(3, "a b"), "b", MemberState::Down, Intent::Stay);
    let lost = CouncilHealth { voters_up: 2, nodes_up: 2, ..COUNCIL };
    let missing = assess(&down, &[], lost).missing().join(", ");
    assert_eq!(
        missing,
        "2 partitions with too few copies, 1 node is down, 2 of the council's 3 voters are up"
    );
}
