//! [`Numbers`]: the names of this client's writes. A retry carries the number of the first try, so that it is never
//! executed twice; and each write says which of its predecessors are still unanswered, so that nodes need not remember the
//! others.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::Waker;

use isogrid_core::{PartitionId, SessionId};
use isogrid_proto::frame::WriteTag;
use parking_lot::Mutex;

/// How many writes of one session may be unanswered in one partition; nodes refuse more.
pub(crate) const UNANSWERED_MAX: u64 = 64;

/// The name of one write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Tag {
    pub(crate) session: SessionId,
    partition: PartitionId,
    wire: WriteTag,
}

impl Tag {
    /// What goes into the frame.
    #[inline]
    pub(crate) fn wire(self) -> WriteTag {
        self.wire
    }
}

/// What became of the wish for a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Begun {
    /// The write has a name.
    Tagged(Tag),
    /// There is no session at the moment: the write goes without a name, and is sent again only where that is safe.
    Nameless,
    /// Too many writes are unanswered in this partition.
    Full,
}

/// The numbers of one partition.
#[derive(Debug, Default)]
struct Tracker {
    session: u64,
    /// The last number given.
    last: u64,
    /// The smallest number that is still waited for, if any is.
    first: u64,
    /// Which of the numbers from `first` on have ended.
    ended: u64,
    /// Callers waiting for a number.
    waiting: VecDeque<Waker>,
}

impl Tracker {
    fn begin(&mut self, session: u64) -> Option<WriteTag> {
        if self.session != session {
            *self = Tracker {
                session,
                first: 1,
                waiting: std::mem::take(&mut self.waiting),
                ..Tracker::default()
            };
        }
        let ahead = self.last + 1 - self.first;
        if ahead >= UNANSWERED_MAX {
            return None;
        }
        self.last += 1;
        Some(WriteTag { number: self.last, ahead: ahead as u16 })
    }

    fn end(&mut self, tag: &Tag) {
        let number = tag.wire.number;
        if self.session != tag.session.0 || number < self.first || number > self.last {
            return;
        }
        self.ended |= 1 << (number - self.first);
        let done = self.ended.trailing_ones();
        self.ended = self.ended.checked_shr(done).unwrap_or(0);
        self.first += u64::from(done);
    }
}

/// The session and the numbers of its writes, partition by partition.
#[derive(Debug)]
pub(crate) struct Numbers {
    /// The session; zero for none.
    session: AtomicU64,
    trackers: Box<[Mutex<Tracker>]>,
}

impl Numbers {
    /// Numbers for a cluster with so many partitions; still without a session.
    pub(crate) fn new(partitions: usize) -> Self {
        let trackers = (0..partitions.max(1)).map(|_| Mutex::default()).collect();
        Self { session: AtomicU64::new(0), trackers }
    }

    /// The session, if there is one.
    #[inline]
    pub(crate) fn session(&self) -> Option<SessionId> {
        Some(SessionId(self.session.load(Ordering::Acquire))).filter(|session| session.0 != 0)
    }

    /// From now on writes are named within this session.
    pub(crate) fn set_session(&self, session: Option<SessionId>) {
        self.session.store(session.map_or(0, |session| session.0), Ordering::Release);
    }

    /// This session has ended. Another one may have taken its place already.
    pub(crate) fn forget(&self, session: SessionId) {
        let _ = self.session.compare_exchange(session.0, 0, Ordering::AcqRel, Ordering::Acquire);
    }

    /// Partitions beyond those that were there at the beginning share the numbers of others: they stay unique.
    #[inline]
    fn tracker(&self, partition: PartitionId) -> &Mutex<Tracker> {
        &self.trackers[usize::from(partition.0) % self.trackers.len()]
    }

    /// A name for a write to this partition.
    #[inline]
    pub(crate) fn begin(&self, partition: PartitionId) -> Begun {
        let Some(session) = self.session() else { return Begun::Nameless };
        match self.tracker(partition).lock().begin(session.0) {
            Some(wire) => Begun::Tagged(Tag { session, partition, wire }),
            None => Begun::Full,
        }
    }

    /// [`begin`](Self::begin), with somebody to be woken when it may be tried again.
    pub(crate) fn begin_or_wait(&self, partition: PartitionId, waker: &Waker) -> Begun {
        let Some(session) = self.session() else { return Begun::Nameless };
        let mut tracker = self.tracker(partition).lock();
        match tracker.begin(session.0) {
            Some(wire) => Begun::Tagged(Tag { session, partition, wire }),
            None => {
                tracker.waiting.push_back(waker.clone());
                Begun::Full
            }
        }
    }

    /// The same name for another try: by now earlier writes may have been answered. `None` when its session has ended.
    pub(crate) fn again(&self, tag: &Tag) -> Option<Tag> {
        if self.session() != Some(tag.session) {
            return None;
        }
        let tracker = self.tracker(tag.partition).lock();
        let ahead = tag.wire.number.saturating_sub(tracker.first.max(1)) as u16;
        Some(Tag { wire: WriteTag { number: tag.wire.number, ahead }, ..*tag })
    }

    /// Nobody waits for this write any more.
    #[inline]
    pub(crate) fn end(&self, tag: &Tag) {
        let waker = {
            let mut tracker = self.tracker(tag.partition).lock();
            tracker.end(tag);
            tracker.waiting.pop_front()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const P: PartitionId = PartitionId(3);

    fn numbers() -> Numbers {
        let numbers = Numbers::new(8);
        numbers.set_session(Some(SessionId(5)));
        numbers
    }

    fn begin(numbers: &Numbers) -> Tag {
        match numbers.begin(P) {
            Begun::Tagged(tag) => tag,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn numbers_count_per_partition_and_tell_what_is_unanswered() {
        let numbers = numbers();
        let tags: Vec<Tag> = (0..4).map(|_| begin(&numbers)).collect();
        let first = |tag: &Tag| (tag.wire().number, tag.wire().first_incomplete());
        assert_eq!(tags.iter().map(first).collect::<Vec<_>>(), [(1, 1), (2, 1), (3, 1), (4, 1)]);
        numbers.end(&tags[1]);
        assert_eq!(first(&begin(&numbers)), (5, 1), "the first still waits");
        numbers.end(&tags[0]);
        assert_eq!(first(&begin(&numbers)), (6, 3));
        let again = numbers.again(&tags[3]).expect("the session lives");
        assert_eq!(first(&again), (4, 3), "a retry knows what was answered meanwhile");
        let Begun::Tagged(other) = numbers.begin(PartitionId(4)) else { panic!("there is room") };
        assert_eq!(first(&other), (1, 1));
    }

    #[test]
    fn a_full_partition_makes_callers_wait() {
        let numbers = numbers();
        let tags: Vec<Tag> = (0..UNANSWERED_MAX).map(|_| begin(&numbers)).collect();
        assert_eq!(numbers.begin(P), Begun::Full);
        numbers.end(&tags[10]);
        assert_eq!(numbers.begin(P), Begun::Full, "the oldest holds up the others");
        numbers.end(&tags[0]);
        assert_eq!(begin(&numbers).wire().ahead, 63);
        assert_eq!(numbers.begin_or_wait(P, Waker::noop()), Begun::Full);
    }

    #[test]
    fn an_ended_session_gives_no_names_and_the_next_one_begins_anew() {
        let numbers = numbers();
        let old = begin(&numbers);
        numbers.forget(SessionId(4));
        assert!(numbers.again(&old).is_some(), "it was another one");
        numbers.forget(SessionId(5));
        assert_eq!(numbers.begin(P), Begun::Nameless);
        assert_eq!(numbers.again(&old), None);
        numbers.set_session(Some(SessionId(9)));
        let new = begin(&numbers);
        assert_eq!((new.session, new.wire().number), (SessionId(9), 1));
        numbers.end(&old);
        assert_eq!(begin(&numbers).wire().first_incomplete(), 1, "the old one ends nothing here");
    }

    proptest! {
        /// Against the obvious model: a set of unanswered numbers.
        #[test]
        fn the_window_is_what_a_set_says(ends in proptest::collection::vec(any::<prop::sample::Index>(), 1..300)) {
            let numbers = numbers();
            let mut open: Vec<Tag> = Vec::new();
            let mut last = 0;
            for end in ends {
                match numbers.begin(P) {
                    Begun::Tagged(tag) => {
                        last += 1;
                        let oldest = open.iter().map(|tag| tag.wire().number).min().unwrap_or(last);
                        prop_assert_eq!(tag.wire().number, last);
                        prop_assert_eq!(tag.wire().first_incomplete(), oldest);
                        open.push(tag);
                    }
                    full => {
                        prop_assert_eq!(full, Begun::Full);
                        let oldest = open.iter().map(|tag| tag.wire().number).min().unwrap_or(last);
                        prop_assert!(last + 1 - oldest >= UNANSWERED_MAX);
                    }
                }
                if !open.is_empty() && end.index(3) > 0 {
                    let tag = open.swap_remove(end.index(open.len()));
                    numbers.end(&tag);
                }
            }
        }
    }
}
