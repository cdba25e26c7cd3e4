//! Which keys are asked for most, from a sample of the operations; and which records are the largest, by a walk.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::atomic::Ordering;

use isogrid_core::{MapId, PartitionId, Target};
use isogrid_store::{HotKey, WalkCursor};

use super::execute::index_of;
use super::{Batch, Engine, PerCore};
use crate::report::{BigKeyReport, BigKeysReport, BigQuestion, HotKeyReport, HotMapReport};

/// One operation of so many is looked at, on average.
pub(crate) const SAMPLED_ONE_OF: u64 = 64;

/// How many bytes of records are walked over under a partition's lock.
const WALK_BYTES: usize = 256 << 10;

/// How much of a key is told.
const KEY_BYTES_MAX: usize = 128;

impl PerCore {
    /// So many operations were executed. Says which of them is to be looked at first, if one is.
    #[inline]
    pub(super) fn count(&self, operations: u64) -> Option<u64> {
        let before = self.executed.fetch_add(operations, Ordering::Relaxed);
        let next = self.next_sample.load(Ordering::Relaxed);
        (next < before + operations).then(|| next.saturating_sub(before))
    }
}

/// How far it is from a sample to the next. Not always as far: a client that goes round its keys would be seen with the same one
/// again and again.
fn gap_after(sample: u64) -> u64 {
    let mut mixed = sample.wrapping_add(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ mixed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    1 + (mixed ^ mixed >> 31) % (2 * SAMPLED_ONE_OF - 1)
}

impl Engine {
    /// Looks at some operations of a batch, from this one on.
    #[cold]
    pub(super) fn sample(&self, core: usize, batch: &Batch<'_>, order: &[u32], first: u64) {
        let counter = &self.operations[core];
        let mut next = counter.next_sample.load(Ordering::Relaxed);
        let mut place = first;
        while let Some(&key) = order.get(place as usize) {
            let routed = &batch.ops[index_of(key)];
            let map = batch.maps.iter().filter_map(|map| map.info.as_ref());
            let map = map.into_iter().find(|map| map.id == routed.map);
            if let (Target::Key(key), Some(map)) = (routed.op.target(), map) {
                // Another core is at it: one sample more or less does not matter, waiting would.
                if let Some(mut hot) = map.hot.try_lock() {
                    hot.note(routed.hash, key);
                }
            }
            let gap = gap_after(next);
            (next, place) = (next + gap, place + gap);
        }
        counter.next_sample.store(next, Ordering::Relaxed);
    }

    /// The keys that are asked for most of this map, or of all, so many of each.
    pub(crate) fn hot_keys(&self, map: Option<MapId>, keys_max: usize) -> Vec<HotMapReport> {
        let told = |key: &HotKey| HotKeyReport {
            key: key.key.to_vec(),
            key_bytes: key.key_bytes as u32,
            samples: key.samples(),
        };
        let maps = self.maps().into_iter().filter(|known| map.is_none_or(|id| known.id == id));
        let maps = maps.map(|map| {
            let hot = map.hot.lock();
            let keys = hot.top().into_iter().take(keys_max).map(told).collect();
            HotMapReport { map: map.id, samples: hot.samples(), keys }
        });
        maps.filter(|map| map.samples > 0).collect()
    }

    /// The largest records of a map in what this node leads. A partition's lock is held for a page at a time; of more records than
    /// may be looked at, as many of each partition.
    pub(crate) fn big_keys(&self, question: &BigQuestion) -> BigKeysReport {
        let mut report = BigKeysReport::default();
        let mut largest = BinaryHeap::new();
        let led: Vec<(PartitionId, u64)> = self.each(|partition, cell| {
            let slot = cell.0.lock();
            let held = slot.held.as_ref().filter(|held| held.replica.is_open())?;
            Some((partition, held.replica.store().entries(question.map) as u64))
        });
        report.entries = led.iter().map(|(_, entries)| entries).sum();
        for (partition, entries) in led {
            let share = u128::from(question.entries_max) * u128::from(entries);
            let share = share.div_ceil(u128::from(report.entries.max(1))) as u64;
            let mut left = share.min(entries);
            let mut cursor = WalkCursor { map: question.map.0, hash: 0 };
            while left > 0 {
                let Some(next) =
                    self.big_page(partition, (question, &mut largest), cursor, &mut left)
                else {
                    break;
                };
                cursor = next;
            }
            report.looked_at += share.min(entries) - left;
        }
        let largest = largest.into_sorted_vec();
        report.keys = largest.into_iter().map(|Reverse((_, record))| record).collect();
        report
    }

    /// Looks at a page of records; says where the next begins.
    fn big_page(
        &self,
        partition: PartitionId,
        (question, largest): (&BigQuestion, &mut BinaryHeap<Reverse<(u64, BigKeyReport)>>),
        cursor: WalkCursor,
        left: &mut u64,
    ) -> Option<WalkCursor> {
        let partitions = self.partitions.get()?;
        let slot = partitions.cells[usize::from(partition.0)].0.lock();
        let held = slot.held.as_ref().filter(|held| held.replica.is_open())?;
        let page = held.replica.store().walk(cursor, WALK_BYTES);
        for record in page.records.iter().take_while(|record| record.map == question.map) {
            if *left == 0 {
                return None;
            }
            *left -= 1;
            let bytes = (record.key.len() + record.entry.value.len()) as u64;
            let is_full = largest.len() >= question.keys_max as usize;
            if is_full && largest.peek().is_none_or(|Reverse((smallest, _))| bytes <= *smallest) {
                continue;
            }
            if is_full {
                largest.pop();
            }
            let told = BigKeyReport {
                key: record.key[..record.key.len().min(KEY_BYTES_MAX)].to_vec(),
                key_bytes: record.key.len() as u32,
                value_bytes: record.entry.value.len() as u64,
                partition: partition.0,
            };
            largest.push(Reverse((bytes, told)));
        }
        page.next.filter(|next| next.map == question.map.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_operation_of_so_many_is_a_sample_and_no_pace_is_kept() {
        let counter = PerCore::default();
        let (mut samples, mut of_each_place) = (0_u64, [0_u64; 8]);
        for operation in 0..640_000_u64 {
            if counter.count(1).is_some() {
                samples += 1;
                of_each_place[operation as usize % 8] += 1;
                let next = operation + gap_after(operation);
                counter.next_sample.store(next, Ordering::Relaxed);
            }
        }
        assert!((9_500..10_500).contains(&samples), "{samples}");
        assert!(
            of_each_place.iter().all(|count| (1_000..1_500).contains(count)),
            "{of_each_place:?}"
        );
    }

    #[test]
    fn a_sample_is_named_by_its_place_in_the_batch() {
        let counter = PerCore::default();
        assert_eq!(counter.count(10), Some(0));
        counter.next_sample.store(13, Ordering::Relaxed);
        assert_eq!(counter.count(3), None, "operations 10 to 12");
        assert_eq!(counter.count(5), Some(0), "operation 13 is its first");
        counter.next_sample.store(20, Ordering::Relaxed);
        assert_eq!(counter.count(5), Some(2), "operations 18 to 22");
        assert_eq!(counter.executed.load(Ordering::Relaxed), 23);
    }
}
