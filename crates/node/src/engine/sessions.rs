//! Which clients' sessions were heard of: the council ends those that nobody hears of any more.

use std::collections::BTreeSet;

use isogrid_core::SessionId;
use parking_lot::Mutex;

/// The sessions that were heard of since they were last asked for, by core.
pub(super) struct KeptAlive(Box<[Core]>);

#[repr(align(128))]
#[derive(Default)]
struct Core(Mutex<Heard>);

#[derive(Default)]
struct Heard {
    /// Most frames in a row are of few sessions: the last one needs no search.
    last: Option<SessionId>,
    all: BTreeSet<SessionId>,
}

impl KeptAlive {
    pub(super) fn new(cores: usize) -> Self {
        KeptAlive((0..cores).map(|_| Core::default()).collect())
    }

    /// A session was heard of.
    #[inline]
    pub(super) fn note(&self, core: usize, session: SessionId) {
        let mut heard = self.0[core].0.lock();
        if heard.last != Some(session) {
            heard.last = Some(session);
            heard.all.insert(session);
        }
    }

    /// All that were heard of since the last call.
    pub(super) fn take(&self) -> Vec<SessionId> {
        let mut all = BTreeSet::new();
        for core in &self.0 {
            let mut heard = core.0.lock();
            heard.last = None;
            all.append(&mut heard.all);
        }
        all.into_iter().collect()
    }
}
