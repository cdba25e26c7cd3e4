//! [`Backup`]: an in-sync replica that is not the primary. It holds every entry it acknowledged, applies what is
//! committed, and may become primary at any moment.

use isogrid_core::Replica;

use crate::effects::Effects;
use crate::follower::{Accepted, Follower, refuse_mismatch};
use crate::message::{Append, Message};
use crate::notice::Notice;
use crate::state::State;
use crate::time::Now;

/// An in-sync replica that follows.
#[derive(Debug, Default)]
pub(crate) struct Backup {
    pub(crate) follower: Follower,
}

impl Backup {
    /// The primary speaks.
    pub(crate) fn append(
        &mut self,
        state: &mut State,
        from: &Replica,
        append: &Append,
        now: Now,
        effects: &mut dyn Effects,
    ) {
        self.follower.hear(from, append, state.commit);
        if self.follower.accept(state, append, effects) == Accepted::Mismatch {
            return refuse_mismatch(state, from, append, now, effects);
        }
        self.advance(state, self.follower.committed(state, append), effects);
        state.hear_commit(append);
        self.follower.answer(state, append, is_whole(state), now, effects);
    }

    /// Applies what is committed by now.
    fn advance(&mut self, state: &mut State, commit: u64, effects: &mut dyn Effects) {
        self.check(state, effects);
        while state.commit < commit {
            state.apply(state.commit + 1);
            state.commit += 1;
            state.sessions.settle(state.commit);
            self.check(state, effects);
        }
        self.follower.refresh(state.commit);
    }

    /// Compares the own data with the primary's, if this is where the primary took a digest.
    fn check(&mut self, state: &mut State, effects: &mut dyn Effects) {
        match self.follower.compare(state, state.commit) {
            None => {}
            Some(true) => effects.notice(Notice::DigestAgrees),
            Some(false) => {
                effects.notice(Notice::DigestMismatch);
                if let Some(primary) = &self.follower.primary {
                    let at = state.commit_position();
                    let differs = Message::Differs { epoch: state.promised, at };
                    effects.send(primary, differs);
                }
            }
        }
    }
}

/// Whether data and disk are what those of a member must be. Whoever found its disk damaged writes an image first: until then
/// nobody vouches for it, and it does not lead, because what it would write there has nothing to follow.
pub(crate) fn is_whole(state: &State) -> bool {
    !state.needs_repair && state.is_kept()
}
