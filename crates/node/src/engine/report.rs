//! What the council's leader and operators want to know of the replicas here.

use std::collections::BTreeMap;

use isogrid_core::{LogPosition, MapId, PartitionId, Replica as Name, SessionId};
use isogrid_replica::{FollowerLag, RoleName};

use super::Engine;
use super::slot::SlotCell;
use crate::clock;
use crate::history::Load;
use crate::report::DiskReport;
use crate::storage::DiskFigures;

/// What this node tells of a partition that it leads.
#[derive(Clone, Debug)]
pub(crate) struct Led {
    /// The partition.
    pub(crate) partition: PartitionId,
    /// How many entries and bytes it has.
    pub(crate) entries: u64,
    pub(crate) bytes: u64,
    /// How many requests came since the node has it.
    pub(crate) requests: u64,
    /// How far its log is committed.
    pub(crate) commit: LogPosition,
    /// How far each follower is.
    pub(crate) followers: Vec<FollowerLag>,
}

/// A copy that a learner here is making.
#[derive(Clone, Debug)]
pub(crate) struct Copying {
    /// The partition.
    pub(crate) partition: PartitionId,
    /// What has come and what there is in all, in entries and bytes.
    pub(crate) progress: isogrid_replica::Progress,
    /// For how long it has been going on.
    pub(crate) elapsed_ms: u64,
}

/// How many replicas this node has, by what they are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Roles {
    pub(crate) primaries: u32,
    pub(crate) open_primaries: u32,
    pub(crate) backups: u32,
    pub(crate) learners: u32,
}

impl Engine {
    /// The partitions that this node leads and serves.
    pub(crate) fn led(&self) -> Vec<Led> {
        let now = clock::both();
        self.each(|partition, cell| {
            let slot = cell.0.lock();
            let replica = &slot.held.as_ref().filter(|held| held.replica.is_open())?.replica;
            Some(Led {
                requests: slot.requests,
                partition,
                entries: replica.store().total_entries() as u64,
                bytes: replica.store().total_bytes() as u64,
                commit: replica.log().position_of(replica.commit()).unwrap_or_default(),
                followers: replica.follower_lags(now),
            })
        })
    }

    /// What each partition that this node leads has and has done.
    pub(crate) fn loads(&self) -> BTreeMap<PartitionId, Load> {
        let load = |led: Led| {
            let Led { partition, requests, entries, bytes, .. } = led;
            (partition, Load { requests, entries, bytes })
        };
        self.led().into_iter().map(load).collect()
    }

    /// The entries and bytes of all maps in the partitions that this node leads.
    pub(crate) fn led_sizes(&self) -> BTreeMap<MapId, (u64, u64)> {
        let mut sums: BTreeMap<MapId, (u64, u64)> = BTreeMap::new();
        self.each(|_, cell| {
            let slot = cell.0.lock();
            let held = slot.held.as_ref().filter(|held| held.replica.is_open())?;
            for (map, entries, bytes) in held.replica.store().sizes() {
                let sum = sums.entry(map).or_default();
                *sum = (sum.0 + entries as u64, sum.1 + bytes as u64);
            }
            Some(())
        });
        sums
    }

    /// How many operations wait for an acknowledgement, and how many for a partition that cannot serve them yet.
    pub(crate) fn queued(&self) -> (usize, usize) {
        let queued = self.each(|_, cell| Some(cell.0.lock().held.as_ref()?.queued()));
        let (all, deferred) = queued.iter().fold((0, 0), |sum, one| (sum.0 + one.0, sum.1 + one.1));
        (all.saturating_sub(deferred), deferred)
    }

    /// The copies under way to this node.
    pub(crate) fn copying(&self) -> Vec<Copying> {
        self.each(|partition, cell| {
            let slot = cell.0.lock();
            let (_, progress) = slot.held.as_ref()?.replica.copying()?;
            let elapsed_ms = self.notices.copied_for_ms(partition);
            Some(Copying { partition, progress, elapsed_ms })
        })
    }

    /// How far the logs here reach, for the council, which does not know after a power loss.
    pub(crate) fn positions(&self) -> Vec<(PartitionId, LogPosition)> {
        self.each(|partition, cell| {
            let slot = cell.0.lock();
            Some((partition, slot.held.as_ref()?.replica.log().last()))
        })
    }

    /// What is on disk; `None` for data in memory alone.
    pub(crate) fn disk_report(&self) -> Option<DiskReport> {
        self.storage.as_ref().map(|storage| storage.report())
    }

    /// The disk in figures; `None` for data in memory alone.
    pub(crate) fn disk_figures(&self) -> Option<DiskFigures<'_>> {
        self.storage.as_ref().map(|storage| storage.figures())
    }

    /// How many replicas this node has.
    pub(crate) fn roles(&self) -> Roles {
        let mut roles = Roles::default();
        self.each(|_, cell| {
            let slot = cell.0.lock();
            let held = slot.held.as_ref().filter(|held| held.closed_since.is_none())?;
            match held.replica.role() {
                RoleName::Primary => {
                    roles.primaries += 1;
                    roles.open_primaries += u32::from(held.replica.is_open());
                }
                RoleName::Backup => roles.backups += 1,
                RoleName::Learner => roles.learners += 1,
            }
            Some(())
        });
        roles
    }

    /// How many entries all copies here have.
    pub(crate) fn entries_held(&self) -> u64 {
        let entries = self.each(|_, cell| {
            let slot = cell.0.lock();
            Some(slot.held.as_ref()?.replica.store().total_entries() as u64)
        });
        entries.into_iter().sum()
    }

    /// The sessions that clients kept alive through this node since the last call.
    pub(crate) fn kept_alive(&self) -> Vec<SessionId> {
        self.sessions.take()
    }

    /// A session was heard of beside its frames.
    pub(crate) fn keep_alive(&self, core: usize, session: SessionId) {
        self.sessions.note(core, session);
    }

    /// Who this node is.
    pub(crate) fn own(&self) -> &Name {
        &self.own
    }

    /// What replicas noticed, counted.
    pub(crate) fn noticed(&self) -> BTreeMap<&'static str, u64> {
        self.notices.all()
    }

    pub(super) fn each<T>(
        &self,
        mut look: impl FnMut(PartitionId, &SlotCell) -> Option<T>,
    ) -> Vec<T> {
        let Some(partitions) = self.partitions.get() else { return Vec::new() };
        partitions.iter().filter_map(|(partition, cell)| look(partition, cell)).collect()
    }
}
