//! The dedupe table, derived from the log, and what a primary does with a request (section 7).

use super::OnceModel;
use super::mutant::Mutant;
use super::state::{Fault, Node, REQUESTS, Record, RequestCopy, State};
use crate::log::Entry;
use crate::nodes::NodeId;
use crate::replica::Leadership;

/// What the table says of a request.
enum Lookup {
    /// Below the watermark, or of an ended session: the outcome is Unknown, and it is never executed.
    Stale,
    /// Executed; the entry's place in the log, and its result.
    Executed(u8, u8),
    /// Never seen.
    New,
}

impl OnceModel {
    /// A request reaches a primary. `None` if it neither answers nor executes.
    pub(super) fn request(&self, state: &mut State, node: NodeId, copy: RequestCopy) -> Option<()> {
        let leadership = state.nodes[node].replica.leadership.as_ref()?;
        let eager = self.is(Mutant::ExecuteBeforeBarrier) || self.is(Mutant::DoneBeforeBarrier);
        if !leadership.is_past_barrier() && !eager {
            return None;
        }
        match self.look_up(&state.nodes[node], copy.request) {
            Lookup::Stale => None,
            Lookup::Executed(index, result) => {
                if !self.may_answer(leadership, index) {
                    return None;
                }
                if index >= leadership.commit {
                    state.acknowledged.insert((copy.request, index));
                }
                answer(state, copy.request, result);
                Some(())
            }
            Lookup::New => {
                execute(&mut state.nodes[node], copy);
                commit_held(state, node);
                Some(())
            }
        }
    }

    fn look_up(&self, node: &Node, request: u8) -> Lookup {
        let entries = node.replica.log.entries();
        let watermark = self.watermark(entries);
        if request < watermark && !self.is(Mutant::NoWatermark) {
            return Lookup::Stale;
        }
        for (index, entry) in (0..).zip(entries) {
            if let Record::Executed { request: executed, result, .. } = entry.content
                && executed == request
                && !self.is_forgotten(node, index, executed < watermark)
            {
                return Lookup::Executed(index, result);
            }
        }
        Lookup::New
    }

    /// Below it, the client has every answer. An ended session has it at its top: an unknown session is never a new one.
    fn watermark(&self, entries: &[Entry<Record>]) -> u8 {
        let ended = entries.iter().any(|entry| entry.content == Record::SessionEnd);
        if ended {
            let top = u8::try_from(REQUESTS).expect("there are two requests");
            return if self.is(Mutant::ForgetAtEnd) { 0 } else { top };
        }
        let first_incomplete = |entry: &Entry<Record>| match entry.content {
            Record::Executed { first_incomplete, .. } => first_incomplete,
            _ => 0,
        };
        entries.iter().map(first_incomplete).max().unwrap_or(0)
    }

    /// Which records the mutants lose. The intact model keeps each until it is below the watermark, where none is asked for.
    fn is_forgotten(&self, node: &Node, index: u8, below_watermark: bool) -> bool {
        let commit = node.replica.leadership.as_ref().map_or(0, |it| it.commit);
        let mut later = node.replica.log.entries().iter().skip(usize::from(index));
        match self.mutant {
            Mutant::VolatileTable => index < node.forgotten,
            Mutant::CommittedOnly => index >= commit,
            Mutant::NoWatermark => below_watermark,
            Mutant::PruneEarly => index < commit,
            Mutant::ForgetAtEnd => later.any(|entry| entry.content == Record::SessionEnd),
            _ => false,
        }
    }

    /// Only committed entries are answered from, and none before the barrier is committed too (R9).
    fn may_answer(&self, leadership: &Leadership, index: u8) -> bool {
        let of_earlier_epoch = index < leadership.barrier;
        index < leadership.commit
            || self.is(Mutant::ReplyUncommitted)
            || self.is(Mutant::DoneBeforeBarrier) && of_earlier_epoch
    }
}

/// Increments the count of the latest state, committed or not, and logs the result.
fn execute(node: &mut Node, copy: RequestCopy) {
    let is_execution = |entry: &&Entry<Record>| matches!(entry.content, Record::Executed { .. });
    let before = node.replica.log.entries().iter().filter(is_execution).count();
    let result = u8::try_from(before + 1).expect("the bounds of a model keep logs short");
    let RequestCopy { request, first_incomplete } = copy;
    node.replica.append(Record::Executed { request, result, first_incomplete });
}

/// The client gets an answer, which must be the one it got before.
fn answer(state: &mut State, request: u8, result: u8) {
    let given = &mut state.answers[usize::from(request)];
    if given.is_some_and(|it| it != result) {
        state.fault = Some(Fault::TwoAnswers);
    }
    *given = Some(result);
}

/// Commits what all required members hold, answers it, and looks at the history that results.
pub(super) fn commit_held(state: &mut State, node: NodeId) {
    let replica = &mut state.nodes[node].replica;
    let Some(leadership) = &mut replica.leadership else { return };
    let held = leadership.held_by_all(&leadership.required(node), replica.log.length());
    if held < leadership.barrier || held <= leadership.commit {
        return;
    }
    let from = std::mem::replace(&mut leadership.commit, held);
    let committed = replica.log.prefix(held).to_vec();
    let mut executed = Vec::new();
    for (index, entry) in (0..).zip(committed) {
        let Record::Executed { request, result, .. } = entry.content else { continue };
        if executed.contains(&request) {
            state.fault = Some(Fault::ExecutedTwice);
        }
        executed.push(request);
        if usize::from(result) != executed.len() {
            state.fault = Some(Fault::WrongResult);
        }
        if index >= from {
            state.acknowledged.insert((request, index));
            answer(state, request, result);
        }
    }
}
