//! How evenly the partitions that a node leads are used and filled.

use std::collections::BTreeMap;

use isogrid_core::PartitionId;

/// With fewer operations for each partition chance decides which is the busiest.
const OPERATIONS_PER_PARTITION_MIN: f64 = 10.0;

/// What a partition has and has done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Load {
    /// Requests since the node has it.
    pub(crate) requests: u64,
    pub(crate) entries: u64,
    pub(crate) bytes: u64,
}

/// The most by the mean: 1 where all are alike. 0 where there is nothing to compare.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Balance {
    pub(crate) bytes: f64,
    pub(crate) entries: f64,
    /// Of what was asked since the look before.
    pub(crate) operations: f64,
    /// The steps that the cluster has before it, where that is known.
    pub(crate) moves_pending: Option<u64>,
}

impl Balance {
    pub(super) fn of(
        loads: &BTreeMap<PartitionId, Load>,
        before: &BTreeMap<PartitionId, Load>,
    ) -> Self {
        let asked: Vec<u64> = asked(loads, before).map(|(_, requests)| requests).collect();
        let enough = OPERATIONS_PER_PARTITION_MIN * asked.len() as f64;
        let is_enough = asked.iter().sum::<u64>() as f64 >= enough;
        Balance {
            bytes: most_by_mean(loads.values().map(|load| load.bytes)),
            entries: most_by_mean(loads.values().map(|load| load.entries)),
            operations: if is_enough { most_by_mean(asked.into_iter()) } else { 0.0 },
            moves_pending: None,
        }
    }
}

/// How often each partition was asked since the look before; one that was not there then says nothing yet.
fn asked(
    loads: &BTreeMap<PartitionId, Load>,
    before: &BTreeMap<PartitionId, Load>,
) -> impl Iterator<Item = (PartitionId, u64)> {
    loads.iter().filter_map(|(partition, load)| {
        let before = before.get(partition)?;
        // A partition that left and came back began anew.
        Some((*partition, load.requests.checked_sub(before.requests).unwrap_or(load.requests)))
    })
}

/// How often each partition was asked in a second, between two looks.
pub(super) fn rates(
    loads: &BTreeMap<PartitionId, Load>,
    before: &BTreeMap<PartitionId, Load>,
    seconds: f64,
) -> Vec<(PartitionId, u64)> {
    asked(loads, before)
        .map(|(partition, requests)| (partition, (requests as f64 / seconds).round() as u64))
        .collect()
}

fn most_by_mean(values: impl Iterator<Item = u64>) -> f64 {
    let (mut most, mut sum, mut count) = (0, 0, 0_u64);
    for value in values {
        (most, sum, count) = (value.max(most), sum + value, count + 1);
    }
    if sum == 0 { 0.0 } else { most as f64 * count as f64 / sum as f64 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn loads(requests: &[u64]) -> BTreeMap<PartitionId, Load> {
        let load = |(partition, requests): (usize, &u64)| {
            let load =
                Load { requests: *requests, entries: 10, bytes: 100 * (partition as u64 + 1) };
            (PartitionId(partition as u16), load)
        };
        requests.iter().enumerate().map(load).collect()
    }

    #[test]
    fn the_busiest_is_held_against_the_mean_of_what_was_asked_since() {
        let balance = Balance::of(&loads(&[1_100, 200, 400]), &loads(&[1_000, 100, 0]));
        assert!((balance.operations - 2.0).abs() < 1e-9, "{balance:?}");
        assert!((balance.entries - 1.0).abs() < 1e-9 && (balance.bytes - 1.5).abs() < 1e-9);
    }

    #[test]
    fn each_partition_has_its_rate() {
        let rates = rates(&loads(&[1_100, 200, 40]), &loads(&[1_000, 500]), 10.0);
        assert_eq!(rates, [(PartitionId(0), 10), (PartitionId(1), 20)]);
    }

    #[test]
    fn few_operations_say_nothing() {
        assert_eq!(Balance::of(&loads(&[9, 0, 0]), &loads(&[0, 0, 0])).operations, 0.0);
        assert_eq!(Balance::of(&BTreeMap::new(), &BTreeMap::new()), Balance::default());
    }

    #[test]
    fn a_partition_that_was_not_there_before_says_nothing_yet() {
        let balance = Balance::of(&loads(&[100, 5_000]), &loads(&[0]));
        assert!((balance.operations - 1.0).abs() < 1e-9, "{balance:?}");
    }
}
