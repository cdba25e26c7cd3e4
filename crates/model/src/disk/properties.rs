//! What must always be true of the disk model, and what must be reachable for that to mean something.

use stateright::Property;

use super::DiskModel;
use super::state::State;
use crate::log::Change;
use crate::nodes::NodeId;

pub(super) fn all() -> Vec<Property<DiskModel>> {
    vec![
        Property::always(
            "every live and sound in-sync replica has each acknowledged write in its place",
            |_, state: &State| {
                let current = state.council.current();
                let sound = |(node, incarnation): &(NodeId, u8)| {
                    !current.suspects[*node]
                        && state.nodes[*node].replica.incarnation == *incarnation
                };
                state.lost
                    || current.in_sync.iter().filter(sound).all(|(node, _)| state.holds_all(node))
            },
        ),
        Property::always("one entry for each (epoch, seq)", |_, state| {
            NodeId::ALL.iter().all(|node| node.others().all(|other| agree(state, *node, other)))
        }),
        // A removed replica that holds everything is no help: with removals, this says nothing.
        Property::always(
            "nothing is lost while a replica holds everything",
            |model: &DiskModel, state: &State| model.bounds.changes > 0 || !state.avoidable,
        ),
        Property::sometimes(
            "can: the whole in-sync set restarts, then a write is acknowledged",
            |model: &DiskModel, state: &State| {
                let mut members = NodeId::ALL.into_iter().take(usize::from(model.bounds.in_sync));
                members.all(|node| state.nodes[node].replica.incarnation > 1)
                    && NodeId::ALL.into_iter().any(|node| commits_write(state, node))
            },
        ),
        Property::sometimes("can: a write is acknowledged after a failover", |_, state: &State| {
            NodeId::ALL
                .into_iter()
                .any(|node| state.nodes[node].replica.promised > 1 && commits_write(state, node))
        }),
        Property::sometimes("can: a suspect is promoted", |_, state: &State| state.loss_epoch > 0),
        Property::sometimes("can: everything is lost", |_, state: &State| state.lost),
    ]
}

/// Where two logs have entries of one epoch at one place, they are the same.
fn agree(state: &State, one: NodeId, other: NodeId) -> bool {
    let [one, other] = [one, other].map(|node| state.nodes[node].replica.log.entries());
    one.iter().zip(other).all(|(a, b)| a.epoch != b.epoch || a.content == b.content)
}

/// Whether the node, as primary, has a client's write in its committed prefix.
fn commits_write(state: &State, node: NodeId) -> bool {
    let replica = &state.nodes[node].replica;
    replica.leadership.as_ref().is_some_and(|leadership| {
        let committed = replica.log.prefix(leadership.commit);
        committed.iter().any(|entry| entry.content != Change::Barrier)
    })
}
