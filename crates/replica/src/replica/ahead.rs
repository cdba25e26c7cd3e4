//! Asking for memory ahead. A node has hundreds of replicas and a write touches a dozen places of one, each behind a pointer in
//! another: asked for one after the other they cost more than the write itself. So whoever has many writes for many
//! replicas asks for one step of the way for all of them, then for the next.

use isogrid_core::MapId;
use isogrid_store::prefetch_all;

use super::{Replica, Role};

impl Replica {
    /// First step, when the replica itself is near: what it points to.
    #[inline]
    pub fn prefetch_parts(&self, map: MapId) {
        self.state.store.prefetch_place(map);
        self.state.log.prefetch_segment();
        if let Role::Primary(primary) = &self.role {
            prefetch_all(&**primary);
        }
    }

    /// Second step: what these point to.
    #[inline]
    pub fn prefetch_ends(&self, map: MapId) {
        self.state.store.prefetch_map(map);
        self.state.log.prefetch_end();
    }
}
