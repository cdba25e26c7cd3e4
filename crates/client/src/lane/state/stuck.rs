//! When something does not move: frames whose replies are late, and operations whose partition has gone elsewhere.

use isogrid_core::Error;

use super::{State, Wakers};
use crate::lane::pending::Frame;
use crate::lane::reply::OwnedReply;
use crate::lane::slots::Stage;

/// After so long without its replies a frame holds up no others: some partition of it waits for its replicas or for a new
/// primary, and the others must not wait with it.
const FRAME_SLOW_MS: u64 = 20;

impl State {
    /// Frames that have waited long for some reply hold up the others no more.
    pub(super) fn mark_slow(&mut self, now_ms: u64, wakers: &mut Wakers) {
        let late = |frame: &&mut Frame| !frame.is_slow && frame.sent_ms + FRAME_SLOW_MS <= now_ms;
        for frame in self.in_flight.iter_mut().filter(late) {
            frame.is_slow = true;
            self.window -= 1;
        }
        if self.may_send() && !self.pending.is_empty() {
            wakers.extend(self.sender.take());
        }
    }

    /// Gives back what was not sent, since its partitions have moved: its callers find the way anew.
    pub(in crate::lane) fn take_back(&mut self, moved: &Error, now_ms: u64, wakers: &mut Wakers) {
        for part in self.pending.retain(now_ms, |_| false) {
            self.ops -= part.count as usize;
            for index in part.first..part.first + part.count {
                let reply = OwnedReply::Failed(moved.clone());
                wakers.extend(self.slots.answer(part.slot, index, reply));
            }
        }
        for key in self.slots.waiting() {
            if let Some(Stage::Queued(_) | Stage::Admitted(_)) = self.slots.stage(key) {
                self.fail(key, moved, moved, wakers);
            }
        }
        self.queue.clear();
    }
}
