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

fn word(view: &View) -> (Word, bool) {
    let health = assess(view, &[], true);
    (health.word, health.is_safe)
}

#[test]
fn all_copies_make_it_healthy_and_two_make_it_safe() {
    assert_eq!(word(&view(2, "a b")), (Word::Healthy, true));
    assert_eq!(word(&view(1, "a")), (Word::Healthy, false));
    assert_eq!(word(&view(3, "a b")), (Word::Degraded, true), "one copy is missing");
    assert_eq!(assess(&view(3, "a b"), &[], true).under_replicated, 2);
    assert_eq!(assess(&view(2, "a b"), &[], false).word, Word::Degraded, "no council");
}

#[test]
fn nobody_leads_while_the_primary_is_down() {
    let down = with(view(2, "a b"), "a", MemberState::Down, Intent::Stay);
    let health = assess(&down, &[], true);
    assert_eq!((health.word, health.without_primary, health.down), (Word::Unavailable, 2, 1));
    assert!(!health.is_safe);
    assert_eq!(word(&View::empty()), (Word::Unavailable, false), "there is no cluster");
    let unassigned =
        View { table: Table::unassigned(view(2, "a").table.partitions()), ..view(2, "a") };
    assert_eq!(assess(&unassigned, &[], true).unassigned, 2);
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
    let health = assess(&view(2, "a b"), &[lead], true);
    assert_eq!((health.word, health.is_safe), (Word::Degraded, false));
    assert_eq!(health.under_replicated, 1);
}
