//! [`Histories`]: of each partition what was ever seen committed, entry by entry, in each loss generation. The invariant of
//! one history writes it; the oracle of the watchers reads it at the end.

use std::collections::BTreeMap;

use isogrid_cluster::council::LossRecord;
use isogrid_core::{LogPosition, PartitionId};

use crate::client::watch::{Committed, Offset};

/// What an entry says, and where it stands.
pub(crate) type Content = (LogPosition, u64);

/// What was ever seen committed.
#[derive(Debug, Default)]
pub(crate) struct Histories {
    entries: BTreeMap<(PartitionId, u32), BTreeMap<u64, Content>>,
}

impl Histories {
    /// An entry is committed somewhere. Returns what was committed at this place first.
    pub(crate) fn put(
        &mut self,
        (partition, generation): (PartitionId, u32),
        content: Content,
    ) -> Content {
        let history = self.entries.entry((partition, generation)).or_default();
        *history.entry(content.0.seq).or_insert(content)
    }

    /// The number of the newest entry that was ever committed in a generation.
    pub(crate) fn newest(&self, generation: (PartitionId, u32)) -> u64 {
        let history = self.entries.get(&generation);
        history.and_then(|history| history.keys().next_back()).copied().unwrap_or(0)
    }

    /// Up to which entry of a generation is kept what does not come after a position: an entry of a later epoch does, also
    /// where another one of an earlier epoch has its place.
    fn kept_up_to(&self, of: (PartitionId, u32), kept: LogPosition) -> u64 {
        let history = self.entries.get(&of).into_iter().flat_map(|of| of.range(..=kept.seq));
        let mut later = history.filter(|(_, (position, _))| position.epoch > kept.epoch);
        later.next().map_or(kept.seq, |(seq, _)| seq - 1)
    }

    /// The first entry that should have been kept and is another than in the generation before.
    pub(crate) fn first_difference(
        &self,
        (partition, generation): (PartitionId, u32),
        kept: LogPosition,
    ) -> Option<(LogPosition, LogPosition)> {
        let of_before = (partition, generation.checked_sub(1)?);
        let after = self.entries.get(&(partition, generation))?;
        let before = self.entries.get(&of_before)?;
        let up_to = self.kept_up_to(of_before, kept);
        let differs = |(seq, (position, content)): (&u64, &Content)| {
            let there = after.get(seq)?;
            (there != &(*position, *content)).then_some((*position, there.0))
        };
        before.range(..=up_to).find_map(differs)
    }

    /// The history of a partition as watchers must have seen it.
    pub(crate) fn committed(&self, partition: PartitionId, ledger: &[LossRecord]) -> Committed {
        let mut committed = Committed::new();
        let generations = (partition, 0)..=(partition, u32::MAX);
        for ((_, generation), history) in self.entries.range(generations) {
            for (seq, (_, content)) in history {
                committed.push(Offset::new(u64::from(*generation), *seq), *content);
            }
        }
        for record in ledger.iter().filter(|record| record.partition == partition) {
            for generation in 0..record.loss_generation {
                let kept_up_to = |kept| self.kept_up_to((partition, generation), kept);
                let from = record.kept.map_or(1, |kept| kept_up_to(kept) + 1);
                committed.declared_loss(u64::from(generation), from);
            }
        }
        committed
    }
}

#[cfg(test)]
mod tests {
    use isogrid_core::PartitionId;

    use super::*;

    const OF: PartitionId = PartitionId(6);

    fn histories(before: &[(u64, u64)], after: &[(u64, u64)]) -> Histories {
        let mut histories = Histories::default();
        for (generation, entries) in [(0, before), (1, after)] {
            for &(epoch, seq) in entries {
                histories.put((OF, generation), (LogPosition::new(epoch, seq), epoch * 100 + seq));
            }
        }
        histories
    }

    #[test]
    fn what_an_entry_of_a_later_epoch_replaced_is_not_kept() {
        // 1.2 was cut off and 2.2 written in its place; what is left ends with 1.3 all the same.
        let histories = histories(&[(1, 1), (2, 2), (2, 3)], &[(1, 1), (1, 2), (1, 3), (3, 4)]);
        let difference = |kept| histories.first_difference((OF, 1), kept);
        assert_eq!(difference(LogPosition::new(1, 3)), None);
        let (before, after) = (LogPosition::new(2, 2), LogPosition::new(1, 2));
        assert_eq!(difference(LogPosition::new(2, 3)), Some((before, after)), "2.2 was to be kept");
        assert_eq!(difference(LogPosition::new(1, 1)), None);
    }
}
