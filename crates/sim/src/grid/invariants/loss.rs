//! Every loss stands in the ledger, and nothing else is lost: a replica's loss generation has a record, a record has a
//! reason, and the history before what a record keeps goes on unchanged.

use std::collections::BTreeMap;

use isogrid_cluster::council::{LossCause, LossPolicy, LossRecord};
use isogrid_core::{Epoch, PartitionId};

use crate::grid::history::Histories;
use crate::grid::options::Storage;
use crate::grid::world::World;
use crate::invariant::{Invariant, Violation};
use crate::network::NodeIndex;

const RULE: &str = "every loss is in the ledger, and nothing else is lost";

#[derive(Default)]
pub(super) struct LossIsTold {
    read: u64,
    /// The last loss of each partition.
    last: BTreeMap<PartitionId, (u32, Epoch)>,
    /// Of each replica its life and loss generation.
    seen: BTreeMap<(NodeIndex, PartitionId), (u64, u32)>,
}

impl Invariant<World> for LossIsTold {
    fn name(&self) -> &'static str {
        RULE
    }

    fn check(&mut self, world: &World) -> Result<(), Violation> {
        let wrong = |what: String| Violation::new(RULE, what).at(world.now());
        for record in world.council.ledger_since(self.read) {
            self.check_record(world, record).map_err(wrong)?;
        }
        for (node, partition) in &world.touched {
            let Some(replica) = world.replica(*node, *partition) else { continue };
            let (life, generation) = (replica.me().incarnation.0, replica.loss_generation());
            let before = self.seen.insert((*node, *partition), (life, generation));
            if let Some((_, before)) = before.filter(|(before, _)| *before == life)
                && before > generation
            {
                let what = format!("partition {}: {generation} after {before}", partition.0);
                return Err(wrong(what).on(*node));
            }
            let told = self.last.get(partition).map_or(0, |(told, _)| *told);
            if generation > told {
                let what = format!("partition {}: no record of {generation}", partition.0);
                return Err(wrong(what).on(*node));
            }
        }
        Ok(())
    }
}

impl LossIsTold {
    /// A record follows the one before, and has a reason.
    fn check_record(&mut self, world: &World, record: &LossRecord) -> Result<(), String> {
        let before = self.last.insert(record.partition, (record.loss_generation, record.epoch));
        let (generation, epoch) = before.unwrap_or_default();
        let follows = record.number == self.read + 1
            && record.loss_generation == generation + 1
            && record.epoch > epoch;
        self.read = record.number;
        let has_reason = match record.cause {
            // Somewhere the power has failed before everything was synced, or a disk is not what it was.
            LossCause::SuspectPromoted => {
                let has_lost_power = world.machines.values().any(|one| one.has_lost_power());
                world.damages > 0 || (has_lost_power && world.drawn.storage != Storage::Synced)
            }
            LossCause::Policy => world.drawn.loss_policy != LossPolicy::Block,
            LossCause::Operator => false,
        };
        // Whatever a loss of power takes, what was acknowledged as synced is not part of it.
        let synced = world.synced_before.get(&(record.partition, record.loss_generation)).copied();
        let lost = synced.filter(|synced| {
            let kept = record.kept.unwrap_or_default();
            kept.seq < synced.seq || kept.epoch < synced.epoch
        });
        let may_lose_synced = world.flips > 0 || record.cause != LossCause::SuspectPromoted;
        match (follows, has_reason) {
            (true, true) if lost.is_none() || may_lose_synced => Ok(()),
            (true, true) => Err(format!("{record:?} loses {lost:?}, which was synced")),
            (false, _) => Err(format!("{record:?} does not follow generation {generation}")),
            (true, false) => Err(format!("{record:?} has no reason")),
        }
    }
}

/// At the end: what the records keep was kept, and all that was ever committed in the present generation is there.
pub(super) fn end(world: &World, histories: &Histories, blocked: &[PartitionId]) -> Vec<Violation> {
    let mut found = Vec::new();
    for record in world.council.ledger_since(0) {
        let Some(kept) = record.kept else { continue };
        let at = (record.partition, record.loss_generation);
        if let Some((before, after)) = histories.first_difference(at, kept) {
            let what = format!("{before} became {after}, and {record:?} keeps it");
            found.push(Violation::new(RULE, what));
        }
    }
    let table = world.council.council.table();
    for (partition, entry) in table.iter().filter(|(partition, _)| !blocked.contains(partition)) {
        let index = entry.primary.as_ref().and_then(|primary| world.names.get(primary));
        let replica = index.and_then(|index| world.replica(*index, partition));
        let there = replica.map_or(0, isogrid_replica::Replica::commit);
        let newest = histories.newest((partition, entry.loss_generation));
        if newest > there {
            let what = format!("partition {} ends at {there}, and had {newest}", partition.0);
            found.push(Violation::new(RULE, what));
        }
    }
    found
}
