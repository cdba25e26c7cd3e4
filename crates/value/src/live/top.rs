//! [`Top`]: the first few records in an order, and a reserve behind them.
//!
//! What is kept is exactly what stands before a border; of what is behind it nothing is known but that. A record that goes is replaced from
//! the reserve. When that is used up, all records have to be looked at again.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};

use super::{Change, Origin, Place};
use crate::cell::Cell;
use crate::ranking::{Order, compare};

/// The least reserve.
const RESERVE_MIN: usize = 100;

/// The first few records.
#[derive(Clone, Debug)]
pub struct Top<P> {
    order: Order,
    shown_max: usize,
    reserve: usize,
    kept: BTreeMap<Position, Kept<P>>,
    positions: BTreeMap<Box<[u8]>, Position>,
    /// Nothing that is not kept stands before it; `None` when all is kept.
    border: Option<Position>,
    /// What was said to be there, with its version.
    shown: BTreeMap<Box<[u8]>, (u64, P)>,
    /// The number of the snapshot of each partition that came last.
    snapshots: BTreeMap<u16, u64>,
    /// Partitions that were not told of yet.
    awaited: BTreeSet<u16>,
    partitions: u16,
    is_changed: bool,
}

#[derive(Clone, Debug)]
struct Kept<P> {
    partition: u16,
    version: u64,
    snapshot: u64,
    shown: P,
}

/// Where a record stands.
#[derive(Clone, Debug)]
struct Position {
    order: Order,
    cell: Cell<'static>,
    key: Box<[u8]>,
}

impl Ord for Position {
    fn cmp(&self, other: &Self) -> Ordering {
        compare(&self.cell, &other.cell, self.order).then_with(|| self.key.cmp(&other.key))
    }
}

impl PartialOrd for Position {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Position {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Position {}

impl<P: Clone + PartialEq> Top<P> {
    /// Nothing is known of so many partitions; the first so many records are shown.
    pub fn new(shown_max: usize, order: Order, partitions: u16) -> Self {
        let shown_max = shown_max.max(1);
        let awaited = (0..partitions).collect();
        Top {
            order,
            shown_max,
            reserve: shown_max.max(RESERVE_MIN),
            kept: BTreeMap::new(),
            positions: BTreeMap::new(),
            border: None,
            shown: BTreeMap::new(),
            snapshots: BTreeMap::new(),
            awaited,
            partitions,
            is_changed: false,
        }
    }

    /// Whether the reserve is used up: then call [`restart`](Top::restart), and tell a snapshot of every partition.
    pub fn is_short(&self) -> bool {
        self.is_whole() && self.border.is_some() && self.kept.len() < self.shown_max
    }

    /// Whether every partition was told of.
    pub fn is_whole(&self) -> bool {
        self.awaited.is_empty()
    }

    /// Forgets all but what is shown.
    pub fn restart(&mut self) {
        self.kept.clear();
        self.positions.clear();
        self.border = None;
        self.awaited = (0..self.partitions).collect();
        self.is_changed = true;
    }

    /// A record that is meant now, and the field that it is ordered by.
    pub fn put(&mut self, place: Place<'_>, cell: Cell<'static>, shown: P, origin: Origin) {
        if self.is_old(place) && origin == Origin::Log {
            return;
        }
        self.forget(place.key);
        let position = Position { order: self.order, cell, key: place.key.into() };
        if self.border.as_ref().is_some_and(|border| position >= *border) {
            return;
        }
        let snapshot = self.snapshots.get(&place.partition).copied().unwrap_or_default();
        let (partition, version) = (place.partition, place.version);
        self.positions.insert(place.key.into(), position.clone());
        self.is_changed |= self.is_before_end(&position);
        self.kept.insert(position, Kept { partition, version, snapshot, shown });
        if self.kept.len() > self.kept_max()
            && let Some((position, _)) = self.kept.pop_last()
        {
            self.positions.remove(&position.key);
            self.border = Some(position);
        }
    }

    /// A record that is gone, or not meant any more.
    pub fn gone(&mut self, place: Place<'_>) {
        if !self.is_old(place) {
            self.forget(place.key);
        }
    }

    /// All records of a partition were removed at a version.
    pub fn cleared(&mut self, partition: u16, version: u64) {
        self.forget_where(|kept| kept.partition == partition && kept.version < version);
    }

    /// A snapshot of a partition begins.
    pub fn begin(&mut self, partition: u16) {
        *self.snapshots.entry(partition).or_default() += 1;
    }

    /// The snapshot is complete.
    pub fn done(&mut self, partition: u16) {
        let snapshot = self.snapshots.get(&partition).copied().unwrap_or_default();
        self.forget_where(|kept| kept.partition == partition && kept.snapshot < snapshot);
        self.is_changed |= self.awaited.remove(&partition) && self.awaited.is_empty();
    }

    /// What has changed of what is shown since this was asked last: what leaves first, then the others as they stand.
    pub fn changes(&mut self) -> Vec<Change<P>> {
        if !self.is_whole() || !std::mem::take(&mut self.is_changed) {
            return Vec::new();
        }
        let first: Vec<_> = self.kept.iter().take(self.shown_max).collect();
        let keys: BTreeSet<&[u8]> = first.iter().map(|(position, _)| &*position.key).collect();
        let left = self.shown.extract_if(.., |key, _| !keys.contains(&**key));
        let mut changes: Vec<Change<P>> = left.map(|(key, _)| Change::Leave(key)).collect();
        for (position, kept) in first {
            let (key, now) = (position.key.clone(), (kept.version, kept.shown.clone()));
            match self.shown.insert(key.clone(), now) {
                None => changes.push(Change::Enter(key, kept.shown.clone())),
                Some((version, shown)) if version != kept.version || shown != kept.shown => {
                    changes.push(Change::Update(key, kept.shown.clone()));
                }
                Some(_) => {}
            }
        }
        changes
    }

    fn kept_max(&self) -> usize {
        self.shown_max + self.reserve
    }

    /// Whether something newer than this is kept of a record.
    fn is_old(&self, place: Place<'_>) -> bool {
        let kept = self.positions.get(place.key).and_then(|position| self.kept.get(position));
        kept.is_some_and(|kept| kept.version >= place.version)
    }

    /// Whether a position is among those that are shown.
    fn is_before_end(&self, position: &Position) -> bool {
        self.kept.len() < self.shown_max
            || self.kept.keys().nth(self.shown_max - 1).is_none_or(|last| position <= last)
    }

    fn forget(&mut self, key: &[u8]) {
        if let Some(position) = self.positions.remove(key) {
            self.is_changed |= self.is_before_end(&position);
            self.kept.remove(&position);
        }
    }

    fn forget_where(&mut self, is_gone: impl Fn(&Kept<P>) -> bool) {
        for (position, _) in self.kept.extract_if(.., |_, kept| is_gone(kept)) {
            self.positions.remove(&position.key);
            self.is_changed = true;
        }
    }
}

#[cfg(test)]
#[path = "top_test.rs"]
mod tests;
