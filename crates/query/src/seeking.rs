//! [`Seeking`]: what an index has in some partitions, as rows.
//!
//! Many partitions are asked at once, each for what it has in a range of keys, until none has more. One whose index is still being
//! built is walked over instead. All pages of a range are of one state. Those of two ranges need not be, and a record may be in both,
//! so where a partition is asked twice its keys are remembered.

use std::collections::{BTreeMap, HashSet, VecDeque};
use std::time::Duration;

use bytes::Bytes;
use isogrid_core::{Error, ErrorCode, PartitionId, Result, View};

use crate::index::IndexWalk;
use crate::source::{Row, SeekPlace};
use crate::table::Grid;

/// So many ranges are asked for at once, and of each about so many records.
const PLACES_AT_ONCE: usize = 256;
const PLACE_ROWS: u32 = 256;

/// How often a partition is asked again whose index has gone while it was read.
const TRIES: u32 = 40;
const PAUSE: Duration = Duration::from_millis(50);

/// Rows of one partition.
pub(crate) type Found = (PartitionId, Vec<Row>);

/// A search under way.
pub(crate) struct Seeking {
    /// The name of the index.
    index: String,
    left: VecDeque<SeekPlace>,
    open: BTreeMap<PartitionId, Open>,
    tries: u32,
}

/// A partition that has not given everything yet.
#[derive(Default)]
struct Open {
    /// How many ranges have not come to their end.
    places: usize,
    /// Whether it has given anything.
    has_begun: bool,
    /// The keys that it has given, where they can come again.
    seen: Option<HashSet<Bytes>>,
}

/// What a search found, and where there is no index to search in.
#[derive(Default)]
pub(crate) struct Sought {
    pub(crate) rows: Vec<Found>,
    pub(crate) without: Vec<PartitionId>,
}

impl Seeking {
    /// A search in these partitions.
    pub(crate) fn new(walk: &IndexWalk, partitions: &[PartitionId]) -> Self {
        let place = |partition: PartitionId| {
            walk.ranges.iter().map(move |(from, to)| SeekPlace {
                partition,
                from: from.clone().into(),
                to: to.clone().into(),
                view: View::Begin,
            })
        };
        let left = partitions.iter().copied().flat_map(place).collect();
        let places = walk.ranges.len();
        let can_come_again = places > 1;
        let open = |partition: &PartitionId| {
            let seen = can_come_again.then(HashSet::new);
            (*partition, Open { places, has_begun: false, seen })
        };
        let open = partitions.iter().map(open).collect();
        Seeking { index: walk.index.clone(), left, open, tries: 0 }
    }

    /// Whether nothing is left to ask.
    pub(crate) fn is_done(&self) -> bool {
        self.left.is_empty()
    }

    /// Asks on.
    ///
    /// # Errors
    /// The grid's.
    pub(crate) async fn next(&mut self, grid: &Grid, map: &str) -> Result<Sought> {
        let count = self.left.len().min(PLACES_AT_ONCE);
        let places: Vec<SeekPlace> = self.left.drain(..count).collect();
        let answers = grid.source.seek(map, &self.index, &places, PLACE_ROWS).await?;
        let mut found = Sought::default();
        let mut again = Vec::new();
        for (place, answer) in places.into_iter().zip(answers) {
            let partition = place.partition;
            // A partition that is walked over instead is not asked for its other ranges.
            let Some(open) = self.open.get_mut(&partition) else { continue };
            match answer {
                Some(page) => {
                    open.has_begun = true;
                    if page.next.is_some() {
                        open.seen.get_or_insert_default();
                    }
                    let rows = page.rows.into_iter().filter(|row| open.is_new(row)).collect();
                    found.rows.push((partition, rows));
                    match page.next {
                        Some(from) => {
                            let view = page.at.map_or(View::Latest, View::At);
                            again.push(SeekPlace { from, view, ..place });
                        }
                        None => open.places -= 1,
                    }
                    if open.places == 0 {
                        self.open.remove(&partition);
                    }
                }
                None if open.has_begun => again.push(place),
                None => {
                    self.open.remove(&partition);
                    found.without.push(partition);
                }
            }
        }
        let waits = found.rows.is_empty() && !again.is_empty();
        again.into_iter().rev().for_each(|place| self.left.push_front(place));
        let open = &self.open;
        self.left.retain(|place| open.contains_key(&place.partition));
        self.rest(waits).await?;
        Ok(found)
    }

    /// An index that was there comes back soon, or it was dropped.
    async fn rest(&mut self, waits: bool) -> Result<()> {
        self.tries = if waits { self.tries + 1 } else { 0 };
        if self.tries > TRIES {
            let detail = format!("{:?} went while it was read", self.index);
            return Err(Error::new(ErrorCode::IndexNotReady, detail));
        }
        if waits {
            tokio::time::sleep(PAUSE).await;
        } else {
            // What is of this node comes at once.
            tokio::task::yield_now().await;
        }
        Ok(())
    }
}

impl Open {
    fn is_new(&mut self, row: &Row) -> bool {
        self.seen.as_mut().is_none_or(|seen| seen.insert(row.key.clone()))
    }
}
