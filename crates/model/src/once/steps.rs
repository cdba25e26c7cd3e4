//! What each action of the exactly-once model does. `None` means that nothing happens.

use super::OnceModel;
use super::dedupe::commit_held;
use super::state::{Action, Message, Record, State};
use crate::council::Configuration;
use crate::message::{Acknowledgement, Append};
use crate::nodes::NodeId;

impl OnceModel {
    pub(super) fn step(&self, state: &mut State, action: Action) -> Option<()> {
        match action {
            Action::Issue(request) => {
                let first_incomplete = state.first_incomplete();
                state.copies.insert(super::state::RequestCopy { request, first_incomplete });
            }
            Action::Request(node, copy) => return self.request(state, node, copy),
            Action::Complete(request) => state.complete[usize::from(request)] = true,
            Action::EndSession(node) => {
                state.ended = true;
                state.nodes[node].replica.append(Record::SessionEnd);
                commit_held(state, node);
            }
            Action::Send(from, to) => return send(state, from, to),
            Action::Deliver(message) => {
                state.network.remove(&message);
                // A message that is refused is gone all the same.
                match message {
                    Message::Append(append) => receive_entries(state, &append),
                    Message::Acknowledgement(answer) => receive_answer(state, &answer),
                    Message::Proposal(proposal) => {
                        let next = state.council.amended(&proposal);
                        next.map(|next| state.council.commit(next))
                    }
                };
            }
            Action::Promote(node) => state.council.promote(node),
            Action::Learn(node, configuration) => learn(state, node, &configuration),
            Action::Propose(node, amendment) => {
                state.changes += 1;
                let proposal = state.nodes[node].replica.propose(amendment)?;
                state.network.insert(Message::Proposal(proposal));
            }
            Action::Crash(node) => {
                state.crashes += 1;
                state.nodes[node].replica.restart_empty();
                state.nodes[node].forgotten = 0;
            }
            Action::Register(node) => register(state, node),
        }
        Some(())
    }
}

fn send(state: &mut State, from: NodeId, to: NodeId) -> Option<()> {
    let replica = &state.nodes[from].replica;
    let whole = (0, replica.log.length());
    let append = replica.message_to((from, to), state.council.registered[to], whole)?;
    state.network.insert(Message::Append(append)).then_some(())
}

fn receive_entries(state: &mut State, append: &Append<Record>) -> Option<()> {
    let replica = &mut state.nodes[append.to].replica;
    if !replica.admits(append) {
        return None;
    }
    replica.promise(append.epoch);
    let accepted = replica.log.accept(&append.chunk)?;
    let answer = replica.acknowledgement(append, accepted.matched);
    state.network.insert(Message::Acknowledgement(answer));
    Some(())
}

fn receive_answer(state: &mut State, answer: &Acknowledgement) -> Option<()> {
    let taken = state.nodes[answer.to].replica.take_acknowledgement(answer);
    commit_held(state, answer.to);
    taken.then_some(())
}

fn learn(state: &mut State, node: NodeId, configuration: &Configuration) {
    let it = &mut state.nodes[node];
    if it.replica.learn(node, configuration) {
        it.forgotten = it.replica.log.length();
        it.replica.append_barrier();
    }
    commit_held(state, node);
}

/// Registration without storage to show: a member's entry goes (R4), but the last one's stays (R10), and all is lost.
fn register(state: &mut State, node: NodeId) {
    state.council.registered[node] = state.nodes[node].replica.incarnation;
    if state.council.current().in_sync.contains(node) {
        match state.council.expelled(node) {
            Some(next) => state.council.commit(next),
            None => state.lost = true,
        }
    }
}
