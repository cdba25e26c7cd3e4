//! Asking for memory ahead. A node has hundreds of replicas and a write touches a dozen places of one, each behind a pointer in
//! another: asked for one after the other they cost more than the write itself. So whoever has many writes for many
//! replicas asks for one step of the way for all of them, then for the next.

use isogrid_core::{Effect, MapId};
use isogrid_store::{KeyHash, prefetch_all};

use super::{Replica, Role};
use crate::message::Message;
use crate::state::hash_of;

impl Replica {
    /// First step, when the replica itself is near: what it points to.
    #[inline]
    pub fn prefetch_parts(&self) {
        self.state.log.prefetch_segment();
        if let Role::Primary(primary) = &self.role {
            prefetch_all(&**primary);
        }
    }

    /// Second step: what these point to.
    #[inline]
    pub fn prefetch_ends(&self) {
        self.state.log.prefetch_end();
    }

    /// The records that a backup writes when it gets this message, after all entries up to `seen`. Says up to which entry that
    /// is.
    #[inline]
    pub fn upcoming(
        &self,
        message: &Message,
        seen: u64,
        mut each: impl FnMut(MapId, KeyHash),
    ) -> u64 {
        let (Role::Backup(_), Message::Append(append)) = (&self.role, message) else { return seen };
        let state = &self.state;
        let first = state.commit.max(seen) + 1;
        let last = append.commit.min(state.log.last().seq);
        for seq in first..=last {
            let effect = state.log.entry(seq).map(|entry| entry.effect);
            let Some(effect) = effect else { continue };
            if let Effect::Put { map, .. }
            | Effect::Remove { map, .. }
            | Effect::Rename { map, .. } = effect
            {
                each(map, hash_of(&effect, state.settings.hash_seed));
            }
        }
        last.max(seen)
    }
}
