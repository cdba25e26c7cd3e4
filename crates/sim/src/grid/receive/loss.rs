//! Declared losses change what the oracles expect.

use std::time::Duration;

use isogrid_replica::RoleName;

use crate::grid::paths;
use crate::grid::world::World;
use crate::time::SimTime;

impl World {
    /// Losses that were declared change what the oracles expect.
    pub(crate) fn read_ledger(&mut self, at: SimTime) {
        let records = self.council.ledger_since(self.ledger_read).to_vec();
        for record in records {
            self.ledger_read = record.number;
            self.paths.reached(paths::DECLARED_LOSS);
            let from_seq = record.kept.map_or(1, |kept| kept.seq + 1);
            self.trace.note(at, None, "loss", &format!("{record:?}"));
            let id = self.history.declared_loss(record.partition, from_seq, at);
            self.losses.push((id, at, record.partition, record.epoch));
            self.lost_before.insert(record.partition, record.epoch);
            self.acked.remove(&record.partition);
            if let Some(synced) = self.acked_synced.remove(&record.partition) {
                let generation = (record.partition, record.loss_generation);
                self.synced_before.insert(generation, synced);
            }
        }
    }

    /// A loss is settled when no primary of an earlier epoch is left that could still acknowledge anything.
    pub(super) fn settle_losses(&mut self, at: SimTime) {
        for (id, since, partition, epoch) in std::mem::take(&mut self.losses) {
            let is_left = self.machines.values().any(|machine| {
                let held = machine.process.as_ref().and_then(|one| one.replicas.get(&partition));
                held.is_some_and(|held| {
                    held.replica.role() == RoleName::Primary && held.replica.promised() < epoch
                })
            });
            if is_left {
                self.losses.push((id, at, partition, epoch));
            } else if at.since(since) > Duration::from_secs(3) {
                self.history.settle_loss(id);
            } else {
                self.losses.push((id, since, partition, epoch));
            }
        }
    }
}
