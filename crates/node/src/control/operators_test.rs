//! Tests of what a node makes of its end.

use std::sync::Arc;

use isogrid_cluster::ClusterId;
use isogrid_cluster::council::{Cluster, LossPolicy};
use isogrid_core::{Member, MemberState, PartitionEntry, PartitionId, TableDelta, TableVersion};

use super::*;
use crate::control::news::NodeNews;

fn view(nodes: &[(&str, MemberState, Intent)]) -> View {
    let mut view = View::empty();
    let news = |(name, state, intent): &(&str, MemberState, Intent)| {
        let member = Member { state: *state, ..Member::new(name) };
        (NodeId::new(name), NodeNews { member, intent: *intent })
    };
    view.nodes = Arc::new(nodes.iter().map(news).collect());
    view
}

#[test]
fn a_node_ends_as_its_operator_wants_or_restarts() {
    use Intent::{Leave, Restart, Stay, Stop};
    use MemberState::{Active, Down};
    for (own, others, ends) in [
        (Stay, vec![("b", Active, Stay)], Restart),
        (Stay, vec![], Restart),
        (Leave, vec![("b", Active, Stay)], Leave),
        (Stay, vec![("b", Active, Stop), ("c", Active, Stop)], Stop),
        (Stay, vec![("b", Active, Stop), ("c", Active, Stay)], Restart),
        (Stay, vec![("b", Down, Stop)], Restart),
    ] {
        let mut nodes = vec![("a", Active, own)];
        nodes.extend(others.iter().copied());
        let view = view(&nodes);
        assert_eq!(intent_to_end(&view, &NodeId::new("a"), AtEnd::Restart), ends, "{nodes:?}");
    }
}

#[test]
fn a_node_leaves_by_itself_where_that_is_configured_and_somebody_stays() {
    use Intent::{Drain, Leave, Restart, Stay, Stop};
    use MemberState::{Active, Down};
    for (own, other, ends) in [
        (Stay, ("b", Active, Stay), Leave),
        (Stay, ("b", Active, Leave), Restart),
        (Stay, ("b", Down, Stay), Restart),
        (Stay, ("b", Active, Stop), Stop),
        (Drain, ("b", Active, Stay), Drain),
        (Restart, ("b", Active, Stay), Restart),
    ] {
        let view = view(&[("a", Active, own), other]);
        assert_eq!(
            intent_to_end(&view, &NodeId::new("a"), AtEnd::Leave),
            ends,
            "{own:?} {other:?}"
        );
    }
}

#[test]
fn errors_name_what_was_refused() {
    let error = of_node(refused(Refusal::Unknown), &NodeId::new("x"));
    assert_eq!(error.code(), ErrorCode::NodeUnknown);
    assert!(error.to_string().contains('x'), "{error}");
    let error = of_node(refused(Refusal::StillHolds), &NodeId::new("x"));
    assert_eq!(
        (error.code(), error.detail()),
        (ErrorCode::ChangeRefused, "x: the node still holds copies")
    );
    assert_eq!(refused(Refusal::NoCluster).code(), ErrorCode::StillJoining);
}

/// A view of a cluster with two copies of its only partition: `a` leads it, and these have it whole.
fn led_by_a(nodes: &[(&str, MemberState, Intent)], in_sync: &[&str]) -> View {
    let mut view = view(nodes);
    let copy = |node: &&str| isogrid_core::Replica {
        node: NodeId::new(node),
        incarnation: Member::new("x").incarnation,
    };
    let entry = PartitionEntry {
        primary: Some(NodeId::new("a")),
        in_sync: in_sync.iter().map(copy).collect(),
        epoch: isogrid_core::Epoch(1),
        ver: 1,
        ..PartitionEntry::default()
    };
    let delta = TableDelta {
        since: view.table.version(),
        version: TableVersion(1),
        partitions: 1,
        entries: vec![(PartitionId(0), entry)],
    };
    view.table = view.table.apply(&delta).unwrap();
    view.cluster = Some(Cluster {
        id: ClusterId(1),
        format: 1,
        feature_level: 1,
        copies: 2,
        loss_policy: LossPolicy::Reset,
    });
    view
}

#[test]
fn what_nobody_else_has_whole_is_waited_for_while_somebody_stays() {
    use Intent::{Restart, Stay};
    use MemberState::{Active, Down};
    for (other, in_sync, left) in [
        (("b", Active, Stay), vec!["a", "b"], 1),
        (("b", Active, Stay), vec!["a"], 1),
        (("b", Active, Restart), vec!["a", "b"], 0),
        (("b", Active, Restart), vec!["a"], 0),
        (("b", Down, Stay), vec!["a"], 0),
        (("b", Down, Stay), vec!["a", "b"], 0),
    ] {
        let view = led_by_a(&[("a", Active, Restart), other], &in_sync);
        assert_eq!(to_hand_over(&view, &NodeId::new("a")), left, "{other:?} {in_sync:?}");
    }
    let mut single = led_by_a(&[("a", Active, Restart), ("b", Active, Stay)], &["a"]);
    single.cluster.as_mut().unwrap().copies = 1;
    assert_eq!(to_hand_over(&single, &NodeId::new("a")), 0, "no backups are wanted");
}
