//! Sessions whose clients are gone: they end after a minute without a heartbeat.

use std::collections::VecDeque;

use isogrid_core::SessionId;

use super::Steward;
use super::evidence::Evidence;
use super::orders::Orders;
use crate::council::{Command, Council};
use crate::id::Millis;

/// How often sessions are looked through.
const LOOK_MS: u64 = 1_000;

/// The most sessions that one command ends.
const ENDED_AT_ONCE_MAX: usize = 1_024;

/// Which numbers were open when: a session is as old as the first look that found its number given.
#[derive(Clone, Debug, Default)]
pub(super) struct SessionWatch {
    looks: VecDeque<(Millis, SessionId)>,
}

impl Steward {
    /// Ends sessions that are old enough and were not heard of for as long.
    pub(super) fn end_sessions(
        &mut self,
        now: Millis,
        council: &Council,
        evidence: &Evidence,
        orders: &mut Orders,
    ) {
        let looks = &mut self.sessions.looks;
        if looks.back().is_some_and(|(at, _)| now.since(*at) < LOOK_MS) {
            return;
        }
        let sessions = council.sessions();
        looks.push_back((now, sessions.next()));
        let session_ms = self.settings.session_ms;
        // Of the looks that are long enough ago only the latest counts.
        while looks.get(1).is_some_and(|(at, _)| now.since(*at) >= session_ms) {
            looks.pop_front();
        }
        let Some(&(_, old_below)) = looks.front().filter(|(at, _)| now.since(*at) >= session_ms)
        else {
            return;
        };
        let is_silent = |session: &SessionId| {
            let heard = evidence.sessions.get(session);
            heard.is_none_or(|at| now.since(*at) >= session_ms)
        };
        let old = sessions.open_sessions().take_while(|session| *session < old_below);
        let numbers: Vec<SessionId> = old.filter(is_silent).take(ENDED_AT_ONCE_MAX).collect();
        if !numbers.is_empty() {
            orders.commands.push(Command::EndSessions { numbers });
        }
    }
}
