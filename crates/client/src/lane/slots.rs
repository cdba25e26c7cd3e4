//! Slots: where callers wait. A slot is found by its index and guarded by a generation, so that a reply that comes after
//! its caller has gone finds nobody.

use std::task::{Poll, Waker};

use isogrid_core::Error;

use super::reply::OwnedReply;

/// Names a slot for one use of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SlotKey {
    index: u32,
    generation: u32,
}

/// What a lane gives back: one reply, or one for each of many operations.
#[derive(Debug)]
pub(crate) enum Answer {
    One(OwnedReply),
    Many(Vec<OwnedReply>),
}

/// How much room an operation, or many, takes on a lane.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Room {
    pub(crate) ops: u32,
    pub(crate) bytes: usize,
}

/// Where a caller stands.
#[derive(Debug)]
pub(super) enum Stage {
    /// Nobody waits here; the next free slot.
    Free { next: Option<u32> },
    /// Waiting until the lane has room.
    Queued(Room),
    /// Room is kept, and the caller has been woken to take it.
    Admitted(Room),
    /// Waiting for the reply to one operation.
    One,
    /// Waiting for the rest of many replies.
    Many { replies: Vec<OwnedReply>, awaited: u32 },
    /// The reply to one operation.
    Answered(OwnedReply),
}

#[derive(Debug)]
struct Slot {
    generation: u32,
    deadline_ms: u64,
    waker: Option<Waker>,
    stage: Stage,
}

/// All slots of a lane.
#[derive(Debug, Default)]
pub(super) struct Slots {
    slots: Vec<Slot>,
    free: Option<u32>,
    taken: usize,
    /// No slot's deadline lies before this.
    deadline_min_ms: u64,
}

impl Slots {
    /// How many callers hold a slot.
    pub(super) fn taken(&self) -> usize {
        self.taken
    }

    /// Gives a caller a slot.
    #[inline]
    pub(super) fn take(&mut self, stage: Stage, deadline_ms: u64, waker: &Waker) -> SlotKey {
        if self.taken == 0 || deadline_ms < self.deadline_min_ms {
            self.deadline_min_ms = deadline_ms;
        }
        self.taken += 1;
        let waker = Some(waker.clone());
        let Some(index) = self.free else {
            self.slots.push(Slot { generation: 0, deadline_ms, waker, stage });
            return SlotKey { index: (self.slots.len() - 1) as u32, generation: 0 };
        };
        let slot = &mut self.slots[index as usize];
        let Stage::Free { next } = slot.stage else { unreachable!("the free list has free slots") };
        self.free = next;
        slot.stage = stage;
        slot.deadline_ms = deadline_ms;
        slot.waker = waker;
        SlotKey { index, generation: slot.generation }
    }

    /// Takes a slot back; later replies for it find nobody. Returns where its caller stood.
    #[inline]
    pub(super) fn release(&mut self, key: SlotKey) -> Option<Stage> {
        let free = self.free;
        let slot = self.live(key)?;
        slot.generation = slot.generation.wrapping_add(1);
        slot.waker = None;
        let stage = std::mem::replace(&mut slot.stage, Stage::Free { next: free });
        self.free = Some(key.index);
        self.taken -= 1;
        Some(stage)
    }

    #[inline]
    fn live(&mut self, key: SlotKey) -> Option<&mut Slot> {
        let slot = self.slots.get_mut(key.index as usize)?;
        (slot.generation == key.generation).then_some(slot)
    }

    pub(super) fn stage(&mut self, key: SlotKey) -> Option<&mut Stage> {
        self.live(key).map(|slot| &mut slot.stage)
    }

    /// When the caller of this slot gives up.
    pub(super) fn deadline_ms(&mut self, key: SlotKey) -> Option<u64> {
        self.live(key).map(|slot| slot.deadline_ms)
    }

    /// The caller's waker, to be woken once the lock is gone.
    pub(super) fn waker(&mut self, key: SlotKey) -> Option<Waker> {
        self.live(key)?.waker.take()
    }

    /// Takes the answer out and frees the slot; or remembers whom to wake.
    #[inline]
    pub(super) fn poll(&mut self, key: SlotKey, waker: &Waker) -> Poll<Answer> {
        let Some(slot) = self.live(key) else {
            unreachable!("a caller releases its slot once");
        };
        match &slot.stage {
            Stage::Answered(_) | Stage::Many { awaited: 0, .. } => {}
            _ => {
                if !slot.waker.as_ref().is_some_and(|known| known.will_wake(waker)) {
                    slot.waker = Some(waker.clone());
                }
                return Poll::Pending;
            }
        }
        match self.release(key) {
            Some(Stage::Answered(reply)) => Poll::Ready(Answer::One(reply)),
            Some(Stage::Many { replies, .. }) => Poll::Ready(Answer::Many(replies)),
            _ => unreachable!("checked above"),
        }
    }

    /// Hands a reply to whoever waits for it. Returns the waker of a caller that now has all it waits for.
    #[inline]
    pub(super) fn answer(&mut self, key: SlotKey, index: u32, reply: OwnedReply) -> Option<Waker> {
        let slot = self.live(key)?;
        match &mut slot.stage {
            Stage::One => slot.stage = Stage::Answered(reply),
            Stage::Many { replies, awaited } => {
                let place = &mut replies[index as usize];
                if !matches!(place, OwnedReply::Awaited) {
                    return None;
                }
                *place = reply;
                *awaited -= 1;
                if *awaited > 0 {
                    return None;
                }
            }
            Stage::Queued(_) | Stage::Admitted(_) => {
                slot.stage = Stage::Answered(reply);
            }
            Stage::Answered(_) | Stage::Free { .. } => return None,
        }
        slot.waker.take()
    }

    /// Answers everything a caller still waits for with one error.
    pub(super) fn fail(&mut self, key: SlotKey, error: &Error) -> Option<Waker> {
        let Some(Stage::Many { replies, .. }) = self.stage(key) else {
            return self.answer(key, 0, OwnedReply::Failed(error.clone()));
        };
        let places = replies.len() as u32;
        (0..places)
            .filter_map(|index| self.answer(key, index, OwnedReply::Failed(error.clone())))
            .last()
    }

    /// The callers who have waited long enough.
    pub(super) fn expired(&mut self, now_ms: u64) -> Vec<SlotKey> {
        if self.taken == 0 || now_ms < self.deadline_min_ms {
            return Vec::new();
        }
        let mut expired = Vec::new();
        let mut next_ms = u64::MAX;
        for (index, slot) in self.slots.iter().enumerate() {
            match slot.stage {
                Stage::Free { .. } | Stage::Answered(_) | Stage::Many { awaited: 0, .. } => {}
                _ if slot.deadline_ms <= now_ms => {
                    expired.push(SlotKey { index: index as u32, generation: slot.generation })
                }
                _ => next_ms = next_ms.min(slot.deadline_ms),
            }
        }
        self.deadline_min_ms = next_ms;
        expired
    }

    /// Everybody who waits.
    pub(super) fn waiting(&self) -> Vec<SlotKey> {
        let waits = |stage: &Stage| !matches!(stage, Stage::Free { .. } | Stage::Answered(_));
        let slots = self.slots.iter().enumerate();
        slots
            .filter(|(_, slot)| waits(&slot.stage))
            .map(|(index, slot)| SlotKey { index: index as u32, generation: slot.generation })
            .collect()
    }
}
