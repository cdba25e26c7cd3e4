//! [`Guess`]: how many records an index would give. That is not known, so one partition of this node is asked how many it has: keys
//! are spread over partitions by their hashes, and one is much like the other.

use std::collections::BTreeSet;

use bytes::Bytes;
use isogrid_core::{PartitionId, View};

use crate::index::IndexWalk;
use crate::source::SeekPlace;
use crate::table::Grid;

/// In fewer partitions it costs as much to guess as to look.
const PARTITIONS_MIN: usize = 8;

/// So many indexes are compared, by so many of their ranges each, and so many records are counted of each range.
const CANDIDATES_MAX: usize = 3;
const RANGES_MAX: usize = 4;
const COUNTED_MAX: u32 = 1_024;

/// An index is of no use that gives more than one record in so many: by an index each costs more than to be walked over.
const WORTH: u64 = 4;

/// Below so many records in the partition that is asked nothing can be said about which way is better.
const RECORDS_MIN: u64 = 256;

/// So many records are few.
const FEW: u64 = 4_096;

/// What is guessed of a walk.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Guess {
    /// The index that is asked, if one is better than to look at all records.
    pub(crate) index: Option<IndexWalk>,
    /// Whether it gives few records, as far as is known.
    pub(crate) is_few: bool,
}

impl Guess {
    /// What is guessed of some indexes of a map, the best one by its definition first.
    pub(crate) async fn of(
        grid: &Grid,
        map: &str,
        mut candidates: Vec<IndexWalk>,
        partitions: &BTreeSet<PartitionId>,
    ) -> Self {
        candidates.truncate(CANDIDATES_MAX);
        let here = partitions.iter().copied().find(|one| grid.source.is_here(*one));
        let here = here.filter(|_| partitions.len() >= PARTITIONS_MIN);
        let asked = match here {
            Some(here) => sizes(grid, map, &candidates, here).await,
            None => None,
        };
        let Some((records, sizes)) = asked.filter(|(records, _)| *records > 0) else {
            return Guess { index: candidates.into_iter().next(), is_few: false };
        };
        let sized = candidates.into_iter().zip(sizes);
        let known = sized.filter_map(|(walk, size)| Some((walk, size?)));
        // Of several as good the first.
        let Some((index, size)) = known.min_by_key(|(_, size)| *size) else {
            return Guess::default();
        };
        if records >= RECORDS_MIN && size.saturating_mul(WORTH) > records {
            return Guess::default();
        }
        let all = size.saturating_mul(partitions.len() as u64);
        Guess { index: Some(index), is_few: all <= FEW }
    }
}

/// How many records a partition has, and how many about each index would give of it.
async fn sizes(
    grid: &Grid,
    map: &str,
    candidates: &[IndexWalk],
    partition: PartitionId,
) -> Option<(u64, Vec<Option<u64>>)> {
    let mut places = Vec::new();
    for walk in candidates {
        for (from, to) in walk.ranges.iter().take(RANGES_MAX) {
            let (from, to) = (Bytes::copy_from_slice(from), Bytes::copy_from_slice(to));
            places
                .push((walk.index.as_str(), SeekPlace { partition, from, to, view: View::Latest }));
        }
    }
    let (records, counted) = grid.source.sizes(map, partition, &places, COUNTED_MAX).await.ok()?;
    let mut counted = counted.into_iter();
    let size = |walk: &IndexWalk| {
        let asked = walk.ranges.len().min(RANGES_MAX);
        let found: Option<u64> = counted.by_ref().take(asked).collect::<Vec<_>>().into_iter().sum();
        Some(found? * walk.ranges.len() as u64 / asked.max(1) as u64)
    };
    Some((records, candidates.iter().map(size).collect()))
}

#[cfg(test)]
#[path = "guess_test.rs"]
mod tests;
