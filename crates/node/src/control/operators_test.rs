//! Tests of what a node makes of its end.

use std::sync::Arc;

use isogrid_core::{Member, MemberState};

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
        assert_eq!(intent_to_end(&view(&nodes), &NodeId::new("a")), ends, "{nodes:?}");
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
