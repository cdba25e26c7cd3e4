//! What happens next. Events of the same time happen in the order in which they were put in.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use crate::time::SimTime;

/// An event in the queue, to take it out again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EventId {
    sequence: u64,
    slot: usize,
}

/// Events ordered by time, then by the order of arrival. It also keeps the time: that of the last event taken.
#[derive(Clone, Debug)]
pub struct EventQueue<E> {
    now: SimTime,
    sequence: u64,
    heap: BinaryHeap<Reverse<(SimTime, u64, usize)>>,
    /// The events, which may be large, stand still while the heap moves their times.
    slots: Vec<Option<(u64, E)>>,
    free: Vec<usize>,
}

impl<E> Default for EventQueue<E> {
    fn default() -> Self {
        Self::new()
    }
}

impl<E> EventQueue<E> {
    /// An empty queue at the beginning of time.
    pub fn new() -> Self {
        EventQueue {
            now: SimTime::ZERO,
            sequence: 0,
            heap: BinaryHeap::new(),
            slots: Vec::new(),
            free: Vec::new(),
        }
    }

    /// The time of the last event taken.
    pub fn now(&self) -> SimTime {
        self.now
    }

    /// The number of events to come.
    pub fn len(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    /// Whether nothing is left to happen.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Puts in an event; `at` is not in the past.
    pub fn push(&mut self, at: SimTime, event: E) -> EventId {
        assert!(at >= self.now, "an event at {at} when it is {}", self.now);
        self.sequence += 1;
        let entry = Some((self.sequence, event));
        let slot = match self.free.pop() {
            Some(slot) => {
                self.slots[slot] = entry;
                slot
            }
            None => {
                self.slots.push(entry);
                self.slots.len() - 1
            }
        };
        self.heap.push(Reverse((at, self.sequence, slot)));
        EventId { sequence: self.sequence, slot }
    }

    /// Takes an event out before it happens. `None` when it has happened or was taken out.
    pub fn cancel(&mut self, id: EventId) -> Option<E> {
        self.take(id)
    }

    /// When the next event happens.
    pub fn next_time(&mut self) -> Option<SimTime> {
        while let Some(Reverse((at, sequence, slot))) = self.heap.peek() {
            if matches!(&self.slots[*slot], Some((living, _)) if living == sequence) {
                return Some(*at);
            }
            self.heap.pop();
        }
        None
    }

    /// The next event; it is now its time.
    pub fn pop(&mut self) -> Option<(SimTime, E)> {
        while let Some(Reverse((at, sequence, slot))) = self.heap.pop() {
            if let Some(event) = self.take(EventId { sequence, slot }) {
                assert!(at >= self.now, "time never goes back");
                self.now = at;
                return Some((at, event));
            }
        }
        None
    }

    /// The next event not later than `end`. Without one it is then `end`.
    pub fn pop_until(&mut self, end: SimTime) -> Option<(SimTime, E)> {
        if self.next_time().is_some_and(|next| next <= end) {
            return self.pop();
        }
        self.now = self.now.max(end);
        None
    }

    fn take(&mut self, id: EventId) -> Option<E> {
        let slot = &mut self.slots[id.slot];
        if !matches!(slot, Some((sequence, _)) if *sequence == id.sequence) {
            return None;
        }
        self.free.push(id.slot);
        slot.take().map(|(_, event)| event)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_happen_by_time_and_then_in_order_of_arrival() {
        let mut queue = EventQueue::new();
        queue.push(SimTime(20), "c");
        queue.push(SimTime(10), "a");
        queue.push(SimTime(20), "d");
        queue.push(SimTime(10), "b");
        let order: Vec<_> = std::iter::from_fn(|| queue.pop()).collect();
        let expected = [(10, "a"), (10, "b"), (20, "c"), (20, "d")];
        assert_eq!(order, expected.map(|(at, event)| (SimTime(at), event)));
        assert_eq!(queue.now(), SimTime(20));
    }

    #[test]
    fn a_cancelled_event_does_not_happen_and_its_slot_is_used_again() {
        let mut queue = EventQueue::new();
        let first = queue.push(SimTime(1), 'a');
        queue.push(SimTime(2), 'b');
        assert_eq!(queue.cancel(first), Some('a'));
        assert_eq!(queue.cancel(first), None);
        let third = queue.push(SimTime(1), 'c');
        assert_eq!(queue.cancel(first), None, "its slot belongs to another now");
        assert_eq!((queue.len(), queue.slots.len()), (2, 2));
        assert_eq!(queue.next_time(), Some(SimTime(1)));
        assert_eq!(queue.pop(), Some((SimTime(1), 'c')));
        assert_eq!(queue.cancel(third), None, "it has happened");
        assert_eq!(queue.pop(), Some((SimTime(2), 'b')));
        assert!(queue.is_empty());
        assert_eq!(queue.next_time(), None);
    }

    #[test]
    fn time_passes_also_without_events() {
        let mut queue = EventQueue::new();
        queue.push(SimTime(50), ());
        assert_eq!(queue.pop_until(SimTime(49)), None);
        assert_eq!(queue.now(), SimTime(49));
        assert_eq!(queue.pop_until(SimTime(50)), Some((SimTime(50), ())));
    }

    #[test]
    #[should_panic(expected = "an event at 0.000s when it is 0.001s")]
    fn the_past_is_closed() {
        let mut queue = EventQueue::<()>::new();
        queue.pop_until(SimTime::from_millis(1));
        queue.push(SimTime::ZERO, ());
    }
}
