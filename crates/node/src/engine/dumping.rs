//! What a backup of the cluster takes from the partitions that this node leads. A partition's lock is held for one page or
//! one run of entries at a time.

use std::sync::Arc;

use isogrid_core::{Epoch, Error, ErrorCode, Hlc, LogPosition, PartitionId, Result};
use isogrid_replica::Event;
use isogrid_replica::dump::{DumpMode, DumpPage, Held};
use isogrid_replica::readers::{ReaderId, Refused, WatchOffset};
use isogrid_store::WalkCursor;

use super::causal::CLOCK_AHEAD_MS_MAX;
use super::watching::Signal;
use super::{Engine, slot};
use crate::clock;

/// A partition of which a backup is under way.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Dumped {
    pub(crate) partition: PartitionId,
    /// It counts as long as this node leads in this epoch: pages may show what another primary never had.
    epoch: Epoch,
    reader: ReaderId,
    pub(crate) mode: DumpMode,
    /// Its entries follow this one.
    pub(crate) from: LogPosition,
    pub(crate) loss_generation: u32,
}

impl Engine {
    /// Begins with a partition: from here on its committed entries are kept for the backup, within the window of its log.
    pub(crate) fn begin_dump(
        &self,
        partition: PartitionId,
        held: Option<Held>,
        signal: &Arc<Signal>,
    ) -> Result<Dumped, Refused> {
        let (mode, epoch, position, loss_generation) =
            self.while_leading(partition, None, |led| {
                let replica = &led.replica;
                let mode = replica.dump_mode(held);
                let from = match (mode, held) {
                    (DumpMode::Entries, Some(held)) => held.position,
                    _ => replica.log().position_of(replica.commit()).unwrap_or_default(),
                };
                Ok((mode, replica.promised(), from, replica.loss_generation()))
            })?;
        let from = WatchOffset { loss_generation, seq: position.seq };
        let (reader, _) = self.watch(partition, Some(from), signal)?;
        signal.raise(partition);
        Ok(Dumped { partition, epoch, reader, mode, from: position, loss_generation })
    }

    /// The next page of its records.
    pub(crate) fn dump_page(
        &self,
        dumped: &Dumped,
        from: WalkCursor,
        bytes_max: usize,
    ) -> Result<DumpPage, Refused> {
        self.while_leading(dumped.partition, Some(dumped.epoch), |led| {
            Ok(led.replica.dump_page(from, bytes_max, dumped.mode))
        })
    }

    /// The next committed entries. Returns the number of the last one.
    pub(crate) fn dump_entries(
        &self,
        dumped: &Dumped,
        bytes_max: usize,
        out: &mut Vec<u8>,
    ) -> Result<u64, Refused> {
        self.check_dump(dumped)?;
        let last = self.read_watch(dumped.partition, dumped.reader, bytes_max, out)?;
        // What was read belongs to this epoch's history only if it still leads: it cannot have led again meanwhile.
        self.check_dump(dumped)?;
        Ok(last.seq)
    }

    /// Whether it still counts.
    pub(crate) fn check_dump(&self, dumped: &Dumped) -> Result<(), Refused> {
        self.while_leading(dumped.partition, Some(dumped.epoch), |_| Ok(()))
    }

    /// The backup is done with it, or begins it anew.
    pub(crate) fn end_dump(&self, dumped: &Dumped) {
        self.close_watch(dumped.partition, dumped.reader);
    }

    /// Not behind any entry of the partitions led here, nor behind the wall clock.
    pub(crate) fn clock_of_cut(&self) -> Hlc {
        let wall = Hlc(clock::now().0 << 16);
        let partitions = self.partitions.get().into_iter().flat_map(super::Partitions::iter);
        let newest = partitions.filter_map(|(_, cell)| {
            let slot = cell.0.lock();
            slot.held.as_ref().map(|held| held.replica.hlc())
        });
        newest.fold(wall.max(self.clock()), Hlc::max)
    }

    /// Puts an entry behind a clock into the logs of these partitions, if this node leads them.
    ///
    /// # Errors
    /// The clock is too far ahead of this node's own.
    pub(crate) fn fence(&self, core: usize, clock: Hlc, partitions: &[PartitionId]) -> Result<()> {
        let now = clock::now();
        let ahead_ms = clock.timestamp().0.saturating_sub(now.0);
        if ahead_ms > CLOCK_AHEAD_MS_MAX {
            let detail = format!(
                "another node's clock is {ahead_ms} ms ahead of that of {}, at most {CLOCK_AHEAD_MS_MAX}",
                self.own().node
            );
            return Err(Error::new(ErrorCode::ClocksApart, detail));
        }
        for partition in partitions {
            self.step(core, *partition, Event::Fence { clock });
            self.step(core, *partition, Event::Flush);
        }
        self.wire.flush(core);
        Ok(())
    }

    /// Looks at a partition that this node leads, in this epoch if one is named.
    fn while_leading<T>(
        &self,
        partition: PartitionId,
        epoch: Option<Epoch>,
        look: impl FnOnce(&slot::Held) -> Result<T, Refused>,
    ) -> Result<T, Refused> {
        self.watched(partition, |slot| {
            let held = slot.held.as_ref().filter(|held| held.closed_since.is_none());
            let leads = |held: &&slot::Held| {
                let replica = &held.replica;
                replica.is_open() && epoch.is_none_or(|epoch| replica.promised() == epoch)
            };
            look(held.filter(leads).ok_or(Refused::NotReady)?)
        })
    }
}
