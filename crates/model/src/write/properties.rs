//! What must always be true of the write model, and what must be reachable for that to mean something.

use stateright::Property;

use super::WriteModel;
use super::state::State;

pub(super) fn all() -> Vec<Property<WriteModel>> {
    vec![
        Property::always(
            "every live in-sync replica has each acknowledged write in its place",
            |_, state| acknowledged_writes_survive(state),
        ),
        Property::sometimes("can: a write is acknowledged after a failover", |_, state: &State| {
            state.nodes.iter().any(|(node, replica)| {
                let leadership = replica.leadership.as_ref();
                replica.promised > 1
                    && leadership.is_some_and(|it| it.commit > it.barrier)
                    && state.council.current().primary == node
            })
        }),
        Property::sometimes("can: both sides of a failover acknowledge", |_, state: &State| {
            state.council.current().epoch > 1 && state.acknowledged.len() > 1
        }),
        Property::sometimes("can: a learner joins", |model: &WriteModel, state: &State| {
            let members = state.council.current().in_sync.iter().count();
            members > usize::from(model.bounds.in_sync) && !state.acknowledged.is_empty()
        }),
        Property::sometimes("can: an acknowledged write survives a restart", |_, state: &State| {
            state.crashes > 0
                && !state.acknowledged.is_empty()
                && !state.lost
                && state.council.registered.iter().any(|(_, incarnation)| *incarnation > 1)
        }),
    ]
}

fn acknowledged_writes_survive(state: &State) -> bool {
    let in_sync = state.council.current().in_sync;
    let holds_all = |(node, incarnation)| {
        let replica = &state.nodes[node];
        replica.incarnation != incarnation
            || state.acknowledged.iter().all(|(number, index)| {
                replica.log.content(*index) == Some(crate::log::Change::Write(*number))
            })
    };
    state.lost || in_sync.iter().all(holds_all)
}
