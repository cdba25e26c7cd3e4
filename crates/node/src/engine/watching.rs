//! Watchers of partitions here: each has a reader of the log and is woken when something is committed.

use std::collections::BTreeSet;
use std::sync::{Arc, Weak};

use isogrid_core::PartitionId;
use isogrid_replica::readers::{ReaderId, Refused, WatchOffset};
use parking_lot::Mutex;
use tokio::sync::Notify;

use super::Engine;
use super::slot::Slot;
use crate::clock;

/// Wakes one watcher, and says which of its partitions have news.
#[derive(Default)]
pub(crate) struct Signal {
    news: Mutex<BTreeSet<PartitionId>>,
    woken: Notify,
}

impl Signal {
    /// Something may have happened in a partition.
    pub(crate) fn raise(&self, partition: PartitionId) {
        if self.news.lock().insert(partition) {
            self.woken.notify_one();
        }
    }

    /// A partition with news, if there is one now.
    pub(crate) fn take(&self) -> Option<PartitionId> {
        self.news.lock().pop_first()
    }

    /// A partition with news, as soon as there is one.
    pub(crate) async fn next(&self) -> PartitionId {
        loop {
            if let Some(partition) = self.take() {
                return partition;
            }
            self.woken.notified().await;
        }
    }
}

/// The watchers of one partition.
#[derive(Default)]
pub(super) struct Signals {
    all: Vec<Weak<Signal>>,
    /// The commit index when they were last woken.
    told: u64,
}

impl Signals {
    /// Wakes them if something was committed, or the replica is another one.
    #[inline]
    pub(super) fn look(&mut self, partition: PartitionId, commit: u64) {
        if self.all.is_empty() || commit == self.told {
            return;
        }
        self.told = commit;
        self.raise(partition);
    }

    #[cold]
    fn raise(&mut self, partition: PartitionId) {
        self.all.retain(|signal| {
            let signal = signal.upgrade();
            signal.inspect(|signal| signal.raise(partition)).is_some()
        });
    }
}

impl Engine {
    /// Begins to watch a partition behind an offset, or behind what is committed now. `signal` is raised at every news.
    pub(crate) fn watch(
        &self,
        partition: PartitionId,
        from: Option<WatchOffset>,
        signal: &Arc<Signal>,
    ) -> Result<(ReaderId, WatchOffset), Refused> {
        self.watched(partition, |slot| {
            let held = slot.held.as_mut().filter(|held| held.closed_since.is_none());
            let replica = &mut held.ok_or(Refused::NotReady)?.replica;
            let from = match from {
                Some(from) => from,
                None => replica.watch_offset()?,
            };
            let reader = replica.watch(from, clock::both())?;
            slot.signals.all.push(Arc::downgrade(signal));
            Ok((reader, from))
        })
    }

    /// The next committed entries for a watcher; they count as delivered.
    pub(crate) fn read_watch(
        &self,
        partition: PartitionId,
        reader: ReaderId,
        bytes_max: usize,
        out: &mut Vec<u8>,
    ) -> Result<WatchOffset, Refused> {
        self.watched(partition, |slot| {
            let held = slot.held.as_mut().filter(|held| held.closed_since.is_none());
            let replica = &mut held.ok_or(Refused::Closed)?.replica;
            let last = replica.read_watch(reader, bytes_max, out)?;
            replica.advance_watch(reader, last.seq, clock::both());
            Ok(last)
        })
    }

    /// A watcher has gone.
    pub(crate) fn close_watch(&self, partition: PartitionId, reader: ReaderId) {
        let closed = self.watched(partition, |slot| {
            if let Some(held) = &mut slot.held {
                held.replica.close_watch(reader);
            }
            Ok(())
        });
        debug_assert!(closed.is_ok(), "closing is never refused");
    }

    pub(super) fn watched<T>(
        &self,
        partition: PartitionId,
        look: impl FnOnce(&mut Slot) -> Result<T, Refused>,
    ) -> Result<T, Refused> {
        let partitions = self.partitions.get().ok_or(Refused::NotReady)?;
        let cell = partitions.cells.get(usize::from(partition.0)).ok_or(Refused::NotReady)?;
        look(&mut cell.0.lock())
    }
}
