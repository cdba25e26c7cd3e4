//! [`Members`]: the keys of all records that a filter means.

use std::collections::BTreeMap;

use isogrid_core::{Error, ErrorCode, Result};

use super::{Change, Origin, Place};

/// The keys of all that is shown, by partition.
#[derive(Clone, Debug)]
pub struct Members {
    partitions: BTreeMap<u16, Part>,
    len: usize,
    keys_max: usize,
}

#[derive(Clone, Debug, Default)]
struct Part {
    keys: BTreeMap<Box<[u8]>, Held>,
    /// The number of the snapshot that came last.
    snapshot: u64,
}

#[derive(Clone, Copy, Debug)]
struct Held {
    version: u64,
    /// The last snapshot that had it.
    snapshot: u64,
}

impl Members {
    /// Nothing is shown; at most so many keys are kept.
    pub fn new(keys_max: usize) -> Self {
        Members { partitions: BTreeMap::new(), len: 0, keys_max }
    }

    /// A key that was shown before.
    ///
    /// # Errors
    /// `TooManyMatches` if there are too many.
    pub fn hold(&mut self, partition: u16, key: &[u8]) -> Result<()> {
        let place = Place { partition, key, version: 0 };
        self.put(place, (), Origin::Log).map(drop)
    }

    /// A record that is meant now.
    ///
    /// # Errors
    /// `TooManyMatches` if it is one too many.
    pub fn put<P>(
        &mut self,
        place: Place<'_>,
        shown: P,
        origin: Origin,
    ) -> Result<Option<Change<P>>> {
        let part = self.partitions.entry(place.partition).or_default();
        let now = Held { version: place.version, snapshot: part.snapshot };
        if let Some(held) = part.keys.get_mut(place.key) {
            // A snapshot may be of another history, whose versions do not compare.
            if origin == Origin::Log && held.version >= place.version {
                return Ok(None);
            }
            *held = now;
            return Ok(Some(Change::Update(place.key.into(), shown)));
        }
        if self.len >= self.keys_max {
            let why = format!("more than {} records match", self.keys_max);
            return Err(Error::new(ErrorCode::TooManyMatches, why));
        }
        part.keys.insert(place.key.into(), now);
        self.len += 1;
        Ok(Some(Change::Enter(place.key.into(), shown)))
    }

    /// A record that is gone, or not meant any more.
    pub fn gone<P>(&mut self, place: Place<'_>) -> Option<Change<P>> {
        let part = self.partitions.get_mut(&place.partition)?;
        if part.keys.get(place.key)?.version >= place.version {
            return None;
        }
        part.keys.remove(place.key);
        self.len -= 1;
        Some(Change::Leave(place.key.into()))
    }

    /// All records of a partition were removed at a version.
    pub fn cleared<P>(&mut self, partition: u16, version: u64) -> Vec<Change<P>> {
        self.drop_where(partition, |_, held| held.version < version)
    }

    /// A snapshot of a partition begins.
    pub fn begin(&mut self, partition: u16) {
        self.partitions.entry(partition).or_default().snapshot += 1;
    }

    /// The snapshot is complete.
    pub fn done<P>(&mut self, partition: u16) -> Vec<Change<P>> {
        self.drop_where(partition, |part, held| held.snapshot < part)
    }

    /// How many keys are shown.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether nothing is shown.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    fn drop_where<P>(
        &mut self,
        partition: u16,
        is_gone: impl Fn(u64, &Held) -> bool,
    ) -> Vec<Change<P>> {
        let Some(part) = self.partitions.get_mut(&partition) else { return Vec::new() };
        let snapshot = part.snapshot;
        let gone = part.keys.extract_if(.., |_, held| is_gone(snapshot, held));
        let left: Vec<_> = gone.map(|(key, _)| Change::Leave(key)).collect();
        self.len -= left.len();
        left
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(key: &'static str, version: u64) -> Place<'static> {
        Place { partition: 1, key: key.as_bytes(), version }
    }

    fn put(members: &mut Members, key: &'static str, version: u64, origin: Origin) -> &'static str {
        match members.put(place(key, version), (), origin).expect("there is room") {
            Some(Change::Enter(..)) => "enter",
            Some(Change::Update(..)) => "update",
            _ => "nothing",
        }
    }

    #[test]
    fn a_snapshot_tells_what_is_gone_and_what_came_before_it_is_old() {
        let mut members = Members::new(10);
        members.begin(1);
        assert_eq!(put(&mut members, "a", 5, Origin::Snapshot), "enter");
        assert_eq!(put(&mut members, "b", 9, Origin::Snapshot), "enter");
        assert_eq!(members.done::<()>(1), []);
        // The log is told from before the snapshot on.
        assert_eq!(put(&mut members, "b", 7, Origin::Log), "nothing");
        assert_eq!(members.gone::<()>(place("b", 8)), None);
        assert_eq!(put(&mut members, "b", 9, Origin::Log), "nothing");
        assert_eq!(put(&mut members, "b", 10, Origin::Log), "update");
        assert_eq!(members.gone::<()>(place("c", 11)), None, "it was not shown");
        // Another history, whose versions are lower.
        members.begin(1);
        assert_eq!(put(&mut members, "a", 2, Origin::Snapshot), "update");
        assert_eq!(members.done(1), [Change::<()>::Leave((*b"b").into())]);
        assert_eq!(members.gone(place("a", 3)), Some(Change::<()>::Leave((*b"a").into())));
        assert!(members.is_empty());
    }

    #[test]
    fn a_snapshot_that_broke_off_counts_for_nothing() {
        let mut members = Members::new(10);
        members.begin(1);
        assert_eq!(put(&mut members, "a", 5, Origin::Snapshot), "enter");
        members.begin(1);
        assert_eq!(put(&mut members, "b", 6, Origin::Snapshot), "enter");
        assert_eq!(members.done(1), [Change::<()>::Leave((*b"a").into())]);
    }

    #[test]
    fn keys_are_counted_and_bounded() {
        let mut members = Members::new(2);
        members.hold(7, b"x").expect("one");
        assert_eq!(put(&mut members, "a", 5, Origin::Log), "enter");
        let error = members.put(place("b", 6), (), Origin::Log).expect_err("one too many");
        assert_eq!(error.code(), ErrorCode::TooManyMatches);
        assert_eq!(members.cleared(1, 9), [Change::<()>::Leave((*b"a").into())]);
        assert_eq!(members.len(), 1, "that of another partition stays");
    }
}
