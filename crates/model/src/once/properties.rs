//! What must always be true of the exactly-once model, and what must be reachable for that to mean something.

use stateright::Property;

use super::OnceModel;
use super::state::{Record, State};
use crate::nodes::NodeId;

pub(super) fn all() -> Vec<Property<OnceModel>> {
    vec![
        Property::always(
            "each request is executed at most once, has one answer, and the right one",
            |_, state: &State| state.fault.is_none(),
        ),
        Property::always(
            "every live in-sync replica has each answered request in its place",
            |_, state: &State| {
                let in_sync = state.council.current().in_sync;
                let live = |(node, incarnation): &(NodeId, u8)| {
                    state.nodes[*node].replica.incarnation == *incarnation
                };
                state.lost || in_sync.iter().filter(live).all(|(node, _)| holds_all(state, node))
            },
        ),
        Property::sometimes(
            "can: a request of an earlier epoch is answered",
            |_, state: &State| {
                state.complete[0] && NodeId::ALL.into_iter().any(|node| inherits_first(state, node))
            },
        ),
        Property::sometimes("can: both requests are complete", |_, state: &State| {
            state.complete == [true, true]
        }),
        Property::sometimes("can: the session ends", |_, state: &State| state.ended),
    ]
}

fn holds_all(state: &State, node: NodeId) -> bool {
    let log = &state.nodes[node].replica.log;
    state.acknowledged.iter().all(|(answered, index)| {
        matches!(log.content(*index), Some(Record::Executed { request, .. }) if request == *answered)
    })
}

/// Whether a later primary has committed the first request's entry, made in the first epoch.
fn inherits_first(state: &State, node: NodeId) -> bool {
    let replica = &state.nodes[node].replica;
    let is_first = |content| matches!(content, Record::Executed { request: 0, .. });
    replica.promised > 1
        && replica.leadership.as_ref().is_some_and(|leadership| {
            let committed = replica.log.prefix(leadership.commit);
            committed.iter().any(|entry| entry.epoch == 1 && is_first(entry.content))
        })
}
