//! [`Ages`]: for how long each partition's log has had entries that its snapshot has not. Whoever starts reads them all, so
//! that they are not to stand there for ever, however short the log is.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use isogrid_core::{LogPosition, PartitionId};

/// Since when entries stand behind snapshots, as far as this life of the node has seen.
#[derive(Debug)]
pub(super) struct Ages {
    most: Duration,
    behind: BTreeMap<PartitionId, Behind>,
}

/// A partition whose log has more than its snapshot.
#[derive(Clone, Copy, Debug)]
struct Behind {
    /// Where the snapshot is; `None` without one.
    snapshot: Option<LogPosition>,
    since: Instant,
}

impl Ages {
    /// Entries may stand behind a snapshot for so long.
    pub(super) fn new(most: Duration) -> Self {
        Ages { most, behind: BTreeMap::new() }
    }

    /// Of these partitions, each with where its log ends and where its snapshot is, those that want a new snapshot, the one
    /// that has waited longest first.
    pub(super) fn due(
        &mut self,
        partitions: impl IntoIterator<Item = (PartitionId, LogPosition, Option<LogPosition>)>,
        now: Instant,
    ) -> Vec<PartitionId> {
        let mut before = std::mem::take(&mut self.behind);
        for (partition, last, snapshot) in partitions {
            if snapshot.unwrap_or(LogPosition::START).seq >= last.seq {
                continue;
            }
            let known = before.remove(&partition).filter(|known| known.snapshot == snapshot);
            self.behind.insert(partition, known.unwrap_or(Behind { snapshot, since: now }));
        }
        let is_old = |behind: &Behind| now.saturating_duration_since(behind.since) >= self.most;
        let mut due: Vec<_> = self.behind.iter().filter(|(_, behind)| is_old(behind)).collect();
        due.sort_by_key(|(partition, behind)| (behind.since, **partition));
        due.into_iter().map(|(partition, _)| *partition).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3_600);

    fn at(seq: u64) -> LogPosition {
        LogPosition::new(1, seq)
    }

    #[test]
    fn entries_behind_a_snapshot_want_a_new_one_when_they_are_old() {
        let (mut ages, begun) = (Ages::new(HOUR), Instant::now());
        let (one, two, three) = (PartitionId(1), PartitionId(2), PartitionId(3));
        let all = [(one, at(5), Some(at(4))), (two, at(5), None), (three, at(5), Some(at(5)))];
        assert!(ages.due(all, begun).is_empty());
        let nearly = begun + HOUR - Duration::from_millis(1);
        assert!(ages.due(all, nearly).is_empty());
        assert_eq!(ages.due(all, begun + HOUR), [one, two], "the third has all in its snapshot");
        assert_eq!(ages.due(all, begun + HOUR), [one, two], "until they have one");
    }

    #[test]
    fn a_new_snapshot_begins_the_time_anew() {
        let (mut ages, begun) = (Ages::new(HOUR), Instant::now());
        let one = PartitionId(1);
        assert!(ages.due([(one, at(5), None)], begun).is_empty());
        let imaged = Some(at(7));
        assert!(
            ages.due([(one, at(9), imaged)], begun + HOUR).is_empty(),
            "only the newest is not in it"
        );
        assert_eq!(ages.due([(one, at(9), imaged)], begun + HOUR * 2), [one]);
        assert!(ages.due([(one, at(9), Some(at(9)))], begun + HOUR * 2).is_empty());
        assert!(
            ages.due([(one, at(10), Some(at(9)))], begun + HOUR * 3).is_empty(),
            "it was whole"
        );
        assert!(ages.due([], begun + HOUR * 4).is_empty(), "one that is not here any more");
        assert!(
            ages.due([(one, at(10), Some(at(9)))], begun + HOUR * 5).is_empty(),
            "it came anew"
        );
    }

    #[test]
    fn the_one_that_has_waited_longest_is_the_first() {
        let (mut ages, begun) = (Ages::new(HOUR), Instant::now());
        let (one, two) = (PartitionId(1), PartitionId(2));
        assert!(ages.due([(two, at(5), None)], begun).is_empty());
        let both = [(one, at(5), None), (two, at(5), None)];
        assert!(ages.due(both, begun + HOUR / 2).is_empty());
        assert_eq!(ages.due(both, begun + HOUR * 2), [two, one]);
    }
}
