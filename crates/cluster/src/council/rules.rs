//! The switches with which tests prove that each rule is needed.

/// One switch per rule of the protocol that the council keeps. A rule that is off must make the simulator find a
/// violation. Nothing but tests turns one off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rules {
    /// R2: only a member of the committed in-sync set becomes primary. Off: any holder, or any serving node.
    pub promote_only_in_sync: bool,
    /// R2: only the present life of a node becomes primary. Off: whatever life is recorded in the set.
    pub promote_only_current: bool,
    /// R2: the old primary stays in the set. Off: a promotion removes it.
    pub keep_old_primary: bool,
    /// R3: a change names the epoch and ver it was made for. Off: it applies to whatever there is.
    pub compare_and_set: bool,
    /// R4: an entry follows a node to its new life only with the same storage. Off: always.
    pub rebind_requires_proof: bool,
    /// R4, R8: a primary that restarts gets a new epoch. Off: it goes on in the old one.
    pub new_epoch_on_primary_restart: bool,
    /// R5: an addition is for the life it names. Off: for whatever life the node has.
    pub addition_checks_incarnation: bool,
    /// R10: the last members stay recorded. Off: the last one's empty new life takes its place.
    pub never_empty: bool,
    /// Section 12: a suspect is not promoted while a sound member is recorded. Off: suspects count as sound.
    pub suspects_wait: bool,
    /// Section 12: a suspect stays required for acknowledgements. Off: it is removed.
    pub suspects_stay_required: bool,
    /// Section 12: among suspects the furthest log wins, once all have reported. Off: the first to register.
    pub furthest_suspect: bool,
    /// Section 12: every declared loss is in the ledger and a new loss generation. Off: it is silent.
    pub losses_are_told: bool,
}

impl Default for Rules {
    fn default() -> Self {
        Rules {
            promote_only_in_sync: true,
            promote_only_current: true,
            keep_old_primary: true,
            compare_and_set: true,
            rebind_requires_proof: true,
            new_epoch_on_primary_restart: true,
            addition_checks_incarnation: true,
            never_empty: true,
            suspects_wait: true,
            suspects_stay_required: true,
            furthest_suspect: true,
            losses_are_told: true,
        }
    }
}
