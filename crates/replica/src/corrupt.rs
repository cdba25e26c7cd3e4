//! A replica whose data go wrong, for tests: what the comparison of digests must find and a repair must mend.

use isogrid_core::MapId;

use crate::replica::{Replica, RoleName};

impl Replica {
    /// Loses a record of a backup without a word in the log. Says whether there was one to lose.
    #[doc(hidden)]
    pub fn corrupt(&mut self, map: MapId, key: &[u8]) -> bool {
        if self.role() != RoleName::Backup || !self.is_complete() {
            return false;
        }
        let state = self.state_mut();
        let hash = state.hash(key);
        state.store.remove_copied(map, hash, key)
    }
}
