//! A read at the primary: pin the epoch, take a committed value, then check, then reply (section 5).
//!
//! Two reductions that hide nothing: a read begins right before its first step, the latest and so the worst moment; and a
//! read that can be neither stale nor show anything new is not followed.

use super::LeaseModel;
use super::mutant::Mutant;
use super::state::{Node, Read, State, Value};
use crate::log::Change;
use crate::nodes::{NodeId, PerNode};
use crate::replica::Replica;

impl LeaseModel {
    /// The first step: the value (or, in two mutants, the check).
    pub(super) fn begin_read(&self, state: &mut State, node: NodeId) -> Option<()> {
        let mut read = Read {
            node,
            epoch: state.nodes[node].replica.promised,
            needed: state.needed(),
            value: None,
            confirmed: PerNode::default(),
        };
        if self.checks_first() {
            if !self.may_reply(state, &read) {
                return None;
            }
        } else if !self.is(Mutant::RoundThenValue) {
            let value = self.value(&state.nodes[node])?;
            if is_boring(state, &read, value) {
                return None;
            }
            read.value = Some(value);
        }
        state.read = Some(read);
        Some(())
    }

    /// The last step: the check (or, in the mutants, the value), and the reply.
    pub(super) fn end_read(&self, state: &mut State) -> Option<()> {
        let mut read = state.read.take()?;
        let its = &state.nodes[read.node];
        let fenced = match self.mutant {
            Mutant::EpochNotPinned => its.replica.leadership.is_some(),
            Mutant::CheckThenRead => true,
            _ => its.replica.leads(read.epoch),
        };
        if !fenced {
            return None;
        }
        if !self.checks_first() && !self.may_reply(state, &read) {
            return None;
        }
        if self.is(Mutant::CheckReused) {
            read.needed = state.needed();
        }
        let value = match read.value {
            Some(value) => value,
            None => {
                let value = self.value(its)?;
                (!is_boring(state, &read, value)).then_some(value)?
            }
        };
        state.stale = value.1 < read.needed;
        if let (Some(number), length) = value {
            state.visible.insert((number, length - 1));
        }
        Some(())
    }

    fn may_reply(&self, state: &State, read: &Read) -> bool {
        self.may_serve(&state.nodes[read.node]) && self.is_covered(state, read)
    }

    fn checks_first(&self) -> bool {
        matches!(
            self.mutant,
            Mutant::CheckThenRead | Mutant::CheckReused | Mutant::CheckFirstInEpoch
        )
    }

    /// The key's newest write, once it is committed: otherwise the read waits.
    fn value(&self, node: &Node) -> Option<Value> {
        let value = newest_in(&node.replica, node.replica.log.length());
        let Some(leadership) = &node.replica.leadership else {
            // A demoted node that is asked all the same gives what it has.
            return self.is(Mutant::CheckThenRead).then_some(value);
        };
        let committed = newest_in(&node.replica, leadership.commit);
        match self.mutant {
            Mutant::NoBarrier | Mutant::ValueBeforeBarrier => Some(committed),
            Mutant::LastCommittedValue => leadership.is_past_barrier().then_some(committed),
            Mutant::DirtyRead => Some(value),
            _ => (value == committed).then_some(value),
        }
    }

    /// Whether a round sent now is one for the read in progress (confirmed reads).
    pub(super) fn is_fresh(&self, state: &State, node: NodeId) -> bool {
        let own = |read: &Read| {
            let epoch = state.nodes[node].replica.promised;
            let in_time = read.value.is_some() || self.is(Mutant::RoundThenValue);
            read.node == node && read.epoch == epoch && in_time
        };
        let joins = self.is(Mutant::JoinRound);
        self.bounds.confirmed_reads && (joins || state.read.as_ref().is_some_and(own))
    }

    /// Whether fresh messages are of use: while a read waits for its round, or may join one already sent.
    pub(super) fn awaits_round(&self, state: &State) -> bool {
        let waits = |read: &Read| read.value.is_some() || self.is(Mutant::RoundThenValue);
        let joins = self.is(Mutant::JoinRound);
        self.bounds.confirmed_reads && (joins || state.read.as_ref().is_some_and(waits))
    }
}

/// The newest write among the first entries of the log.
fn newest_in(replica: &Replica<Change>, length: u8) -> Value {
    let newest = (0..length).rev().find_map(|index| match replica.log.content(index) {
        Some(Change::Write(number)) => Some((Some(number), index + 1)),
        _ => None,
    });
    newest.unwrap_or((None, 0))
}

/// Neither stale nor new.
fn is_boring(state: &State, read: &Read, (number, length): Value) -> bool {
    let shows_nothing = number.is_none_or(|it| state.visible.contains(&(it, length - 1)));
    length >= read.needed && shows_nothing
}
