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

    /// The first entry up to this one that is another than in the generation before.
    pub(crate) fn first_difference(
        &self,
        (partition, generation): (PartitionId, u32),
        up_to: u64,
    ) -> Option<(LogPosition, LogPosition)> {
        let after = self.entries.get(&(partition, generation))?;
        let before = self.entries.get(&(partition, generation.checked_sub(1)?))?;
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
            let from = record.kept.map_or(1, |kept| kept.seq + 1);
            for generation in 0..record.loss_generation {
                committed.declared_loss(u64::from(generation), from);
            }
        }
        committed
    }
}
