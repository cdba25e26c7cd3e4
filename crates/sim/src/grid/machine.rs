//! [`Machine`]: a node of the simulation, with or without a process: its clocks, its disk, and what is wrong with it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use isogrid_cluster::council::StorageProof;
use isogrid_cluster::{BootId, StorageId};
use isogrid_core::{Incarnation, Member, NodeId, Replica as Name};
use isogrid_replica::{Now, Settings, Ticks};

use super::disk::Disk;
use super::options::Storage;
use super::packet::Packet;
use super::process::{Process, wall};
use crate::faults::DiskFate;
use crate::network::NodeIndex;
use crate::random::Random;
use crate::time::{NodeClock, SimTime};

/// What a node tells the council's leader of another, though it is not so.
#[derive(Clone, Debug)]
pub(crate) struct Lie {
    pub(crate) about: NodeId,
    /// Whether that one is said to have just been heard, or not for long.
    pub(crate) is_alive: bool,
    pub(crate) until: SimTime,
}

/// A node, running or not.
pub(crate) struct Machine {
    pub(crate) index: NodeIndex,
    pub(crate) name: NodeId,
    pub(crate) clock: NodeClock,
    pub(crate) process: Option<Process>,
    /// Which life the present or last process is.
    pub(crate) life: u64,
    disk: Option<Disk>,
    storage: Storage,
    storages: u128,
    boots: u128,
    /// How many pauses hold it at this moment.
    pub(crate) pauses: u32,
    /// What arrived meanwhile.
    pub(crate) inbox: Vec<(NodeIndex, Packet)>,
    /// How many times longer everything takes.
    pub(crate) slow: u32,
    pub(crate) slow_disk: u32,
    /// When the last write is done.
    pub(crate) disk_busy_until: SimTime,
    pub(crate) lie: Option<Lie>,
    /// It has left for good.
    pub(crate) has_left: bool,
    pub(crate) random: Random,
}

impl Machine {
    pub(crate) fn new(index: NodeIndex, storage: Storage, random: &Random, now: SimTime) -> Self {
        // A Monday in 2026, as good as any.
        let epoch = Duration::from_secs(1_780_000_000) + Duration::from_nanos(now.0);
        Machine {
            index,
            name: NodeId::new(index.to_string()),
            clock: NodeClock::new(now, epoch),
            process: None,
            life: 0,
            disk: None,
            storage,
            storages: 0,
            boots: 1,
            pauses: 0,
            inbox: Vec::new(),
            slow: 1,
            slow_disk: 1,
            disk_busy_until: now,
            lie: None,
            has_left: false,
            random: random.fork_numbered("machine", u64::from(index.0)),
        }
    }

    /// What its clocks say.
    pub(crate) fn now(&self, at: SimTime) -> Now {
        let ticks = Ticks(self.clock.monotonic(at).as_micros() as u64);
        Now { ticks, wall: wall(self.clock.wall(at)) }
    }

    /// Whether its process runs and is not stopped.
    pub(crate) fn is_running(&self) -> bool {
        self.process.is_some() && self.pauses == 0
    }

    /// Starts a process: a new life, with what the disk kept.
    pub(crate) fn start(&mut self, settings: Arc<Settings>, leader: (u64, NodeIndex), at: SimTime) {
        if self.process.is_some() || self.has_left {
            return;
        }
        self.life += 1;
        let incarnation = Incarnation(self.life);
        if self.storage != Storage::Memory && self.disk.is_none() {
            let id = self.next_storage();
            self.disk = Some(Disk::new(id, self.storage == Storage::Synced));
        }
        let me = Name { node: self.name.clone(), incarnation };
        let mut process = Process::new(me, settings, leader);
        let now = self.now(at);
        if let Some(disk) = &mut self.disk {
            disk.incarnations.push(incarnation);
            process.recover(disk, now);
        }
        self.process = Some(process);
    }

    fn next_storage(&mut self) -> StorageId {
        self.storages += 1;
        StorageId(u128::from(self.index.0) << 64 | self.storages)
    }

    /// The process ends.
    pub(crate) fn crash(&mut self, fate: DiskFate) {
        self.process = None;
        self.pauses = 0;
        self.inbox.clear();
        match fate {
            DiskFate::Kept => {}
            DiskFate::UnsyncedLost => {
                self.boots += 1;
                let random = &mut self.random;
                if let Some(disk) = &mut self.disk {
                    disk.lose_unsynced(|unsynced| random.below(unsynced as u64 + 1) as usize);
                }
            }
            DiskFate::Lost => self.disk = None,
        }
    }

    /// Whether its power has ever failed.
    pub(crate) fn has_lost_power(&self) -> bool {
        self.boots > 1
    }

    /// Its disk, while a process uses it.
    pub(crate) fn disk_mut(&mut self) -> Option<&mut Disk> {
        self.disk.as_mut()
    }

    /// What it registers with.
    pub(crate) fn proof(&mut self) -> (Member, StorageProof) {
        let mut member = Member::new(self.name.as_str());
        member.incarnation = Incarnation(self.life);
        let boot_id = BootId(u128::from(self.index.0) << 64 | self.boots);
        let survives_power_loss = self.storage == Storage::Synced;
        let proof = match &self.disk {
            Some(disk) => StorageProof {
                storage_id: disk.id,
                incarnations: disk.incarnations.clone(),
                boot_id,
                survives_power_loss,
                is_intact: true,
                is_volatile: false,
            },
            None => StorageProof {
                // Without a folder the storage is the process.
                storage_id: StorageId(
                    u128::from(self.index.0) << 64 | 1 << 32 | u128::from(self.life),
                ),
                incarnations: vec![Incarnation(self.life)],
                boot_id,
                survives_power_loss: false,
                is_intact: true,
                is_volatile: true,
            },
        };
        (member, proof)
    }
}

/// All machines by their index.
pub(crate) type Machines = BTreeMap<NodeIndex, Machine>;
