//! What must always be true of the lease model, and what must be reachable for that to mean something.

use stateright::Property;

use super::LeaseModel;
use super::state::State;
use crate::log::Change;
use crate::nodes::NodeId;

pub(super) fn all() -> Vec<Property<LeaseModel>> {
    vec![
        Property::always("no read is stale", |_, state: &State| !state.stale),
        Property::always(
            "every live in-sync replica has each acknowledged or read write in its place",
            |_, state: &State| {
                let in_sync = state.council.current().in_sync;
                let live = |(node, incarnation): &(NodeId, u8)| {
                    state.nodes[*node].replica.incarnation == *incarnation
                };
                state.lost || in_sync.iter().filter(live).all(|(node, _)| holds_all(state, node))
            },
        ),
        Property::sometimes("can: a read is served after a failover", |model, state: &State| {
            state.read.as_ref().is_some_and(|read| {
                read.epoch > 1
                    && model.may_serve(&state.nodes[read.node])
                    && model.is_covered(state, read)
            })
        }),
        Property::sometimes("can: the old primary is removed", |_, state: &State| {
            let current = state.council.current();
            current.epoch > 1 && !current.in_sync.contains(NodeId::FIRST)
        }),
        Property::sometimes("can: a lease is held by a deposed primary", |_, state: &State| {
            let deposed = &state.nodes[NodeId::FIRST];
            state.council.current().epoch > 1
                && deposed.replica.leads(1)
                && deposed.leases.iter().any(|(_, ticks)| *ticks > 0)
        }),
    ]
}

fn holds_all(state: &State, node: NodeId) -> bool {
    let log = &state.nodes[node].replica.log;
    state.visible.iter().all(|(number, index)| log.content(*index) == Some(Change::Write(*number)))
}
