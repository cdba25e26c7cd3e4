//! Client sessions: numbered in the order of opening, and a number is never given twice.

use std::collections::BTreeSet;

use isogrid_core::SessionId;
use serde::{Deserialize, Serialize};

/// Which sessions were opened and which have ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sessions {
    /// The number of the next session.
    next: SessionId,
    /// Those that have not ended.
    open: BTreeSet<SessionId>,
    /// Grows whenever sessions end.
    version: u64,
}

impl Default for Sessions {
    fn default() -> Self {
        Sessions { next: SessionId(1), open: BTreeSet::new(), version: 0 }
    }
}

impl Sessions {
    /// Opens this many sessions; returns the first number.
    pub(crate) fn open(&mut self, count: u32) -> SessionId {
        let first = self.next;
        self.next = SessionId(first.0 + u64::from(count));
        self.open.extend((first.0..self.next.0).map(SessionId));
        first
    }

    /// Ends sessions; returns how many were open.
    pub(crate) fn end(&mut self, numbers: &[SessionId]) -> usize {
        let ended = numbers.iter().filter(|number| self.open.remove(number)).count();
        self.version += u64::from(ended > 0);
        ended
    }

    /// How many sessions are open.
    pub(crate) fn len(&self) -> usize {
        self.open.len()
    }

    /// The number that the next session will have.
    pub fn next(&self) -> SessionId {
        self.next
    }

    /// Every session with a smaller number has ended.
    pub fn watermark(&self) -> SessionId {
        self.open.first().copied().unwrap_or(self.next)
    }

    /// Grows whenever sessions end.
    pub fn version(&self) -> u64 {
        self.version
    }

    /// Whether a session is open.
    pub fn is_open(&self, session: SessionId) -> bool {
        self.open.contains(&session)
    }

    /// The open sessions, in order.
    pub fn open_sessions(&self) -> impl Iterator<Item = SessionId> {
        self.open.iter().copied()
    }

    /// The ended sessions above the watermark, in order.
    pub fn ended_above(&self) -> impl Iterator<Item = SessionId> {
        (self.watermark().0..self.next.0).map(SessionId).filter(|number| !self.is_open(*number))
    }
}
