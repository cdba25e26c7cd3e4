//! [`Access`]: how a walk finds the records that it needs: by their keys, by an index, or by looking at all of its partitions.
//!
//! It gives at least the records that meet the predicates it was made for; whether each meets them is looked at later.

use std::collections::BTreeSet;
use std::fmt;

use datafusion::logical_expr::Expr;
use isogrid_core::{MapColumn, PartitionCount, PartitionId};
use isogrid_value::Filter;
use serde::{Deserialize, Serialize};

use crate::advice::Advice;
use crate::columns::KEY;
use crate::guess::Guess;
use crate::index::{self, IndexWalk};
use crate::prune;
use crate::table::{Grid, GridTable};

/// So many keys are asked for one by one at the most, and so many partition keys are looked for while a partition is walked over.
const KEYS_MAX: usize = 4_096;
const PARTITION_KEYS_MAX: usize = 64;

/// How a walk finds its records.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Access {
    /// Their keys, where these are known.
    pub(crate) keys: Option<Vec<Vec<u8>>>,
    /// The index that is asked.
    pub(crate) index: Option<IndexWalk>,
    /// What is looked at where the records are, before they are copied.
    pub(crate) pushed: Option<Pushed>,
    /// An index that should be there.
    pub(crate) advice: Option<Advice>,
    /// Whether the records seem so few that they are sooner fetched than a plan is sent to where they are.
    pub(crate) is_few: bool,
}

/// A filter that leaves out records where they are.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Pushed {
    /// As it is encoded.
    pub(crate) filter: Vec<u8>,
    /// For who asks how the statement is run.
    shown: String,
}

impl Access {
    /// The best way to the records in some partitions of a map that all of these predicates leave.
    pub(crate) async fn of(
        predicates: &[Expr],
        (grid, table): (&Grid, &GridTable),
        partitions: &BTreeSet<PartitionId>,
    ) -> Self {
        let keys = prune::named(predicates, &|column, value| {
            if column == KEY { prune::keys_of(value) } else { None }
        });
        if let Some(keys) = keys.filter(|keys| keys.len() <= KEYS_MAX) {
            let keys = Some(keys.into_iter().collect());
            return Access { keys, is_few: true, ..Access::default() };
        }
        let columns = table.columns();
        let candidates = index::candidates(predicates, &table.definition.indexes, columns);
        let pushed = table.partition_by().and_then(|by| Pushed::of(predicates, by));
        if candidates.is_empty() {
            let advice = Advice::of(predicates, columns);
            return Access { pushed, advice, ..Access::default() };
        }
        let Guess { index, is_few } = Guess::of(grid, &table.map, candidates, partitions).await;
        Access { index, is_few, pushed, ..Access::default() }
    }

    /// Whether records are asked for, and partitions are not walked over.
    pub(crate) fn is_sought(&self) -> bool {
        self.keys.is_some() || self.index.is_some()
    }

    /// Those of its keys that are in these partitions.
    pub(crate) fn keys_in(
        &self,
        partitions: &[PartitionId],
        count: PartitionCount,
    ) -> Vec<(PartitionId, Vec<u8>)> {
        let keys = self.keys.iter().flatten();
        let placed = keys.map(|key| (count.partition_of_key(key), key.clone()));
        placed.filter(|(partition, _)| partitions.contains(partition)).collect()
    }
}

impl fmt::Display for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(keys) = &self.keys {
            write!(f, ", keys: {}", keys.len())?;
        }
        if let Some(index) = &self.index {
            write!(f, ", index: {}", index.shown)?;
        }
        self.pushed.as_ref().map_or(Ok(()), |pushed| write!(f, ", pushed: {}", pushed.shown))
    }
}

impl Pushed {
    /// What the column by which a map is partitioned must be is in the key as well: no value is read to see it.
    fn of(predicates: &[Expr], by: &MapColumn) -> Option<Self> {
        let wanted = prune::named(predicates, &|column, value| {
            let key = (column == by.name).then(|| prune::partition_key_of(value, by.holds))??;
            Some(key.into_iter().collect())
        });
        let wanted: Vec<String> = wanted?.into_iter().collect();
        let shown = match wanted.as_slice() {
            [one] => format!("{} = {}", by.name, index::shortened(&format!("{one:?}"))),
            several => format!("{} in {} values", by.name, several.len()),
        };
        if wanted.len() > PARTITION_KEYS_MAX {
            return None;
        }
        let filter = Filter::OfPartitionKeys(wanted).encode().ok()?;
        Some(Pushed { filter, shown })
    }
}

#[cfg(test)]
#[path = "access_test.rs"]
mod tests;
