//! [`Machine`]: a node of the simulation, with or without a process: its clocks, its folder, and what is wrong with it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use isogrid_cluster::council::StorageProof;
use isogrid_cluster::{BootId, StorageId};
use isogrid_core::{Incarnation, Limits, Member, NodeId, Replica as Name};
use isogrid_persist::Maker;
use isogrid_replica::{Now, Settings, Ticks};

use super::disk::Folder;
use super::options::Storage;
use super::packet::Packet;
use super::process::{Process, wall};
use super::storage::DataOnDisk;
use super::storage::recover::{Found, recover};
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
    /// What it keeps; nothing when its data are in memory alone.
    pub(crate) folder: Option<Folder>,
    storage: Storage,
    storages: u128,
    boots: u128,
    /// Whether the present process found everything that its folder should have.
    is_intact: bool,
    /// The process ends in the middle of what the disk does next, and this is what it leaves.
    pub(crate) ends_soon: Option<DiskFate>,
    /// How often a start was made void: a restart that was planned before does not happen.
    pub(crate) restarts: u64,
    /// How many pauses hold it at this moment.
    pub(crate) pauses: u32,
    /// What arrived meanwhile.
    pub(crate) inbox: Vec<(NodeIndex, Packet)>,
    /// How many times longer everything takes.
    pub(crate) slow: u32,
    pub(crate) slow_disk: u32,
    pub(crate) lie: Option<Lie>,
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
            folder: None,
            storage,
            storages: 0,
            boots: 1,
            is_intact: true,
            ends_soon: None,
            restarts: 0,
            pauses: 0,
            inbox: Vec::new(),
            slow: 1,
            slow_disk: 1,
            lie: None,
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

    /// Starts a process: a new life, with what the disk kept. Says what was found, or why it cannot start.
    pub(crate) fn start(
        &mut self,
        settings: Arc<Settings>,
        leader: (u64, NodeIndex),
        at: SimTime,
    ) -> Result<Found, String> {
        self.life += 1;
        let incarnation = Incarnation(self.life);
        if self.storage != Storage::Memory && self.folder.is_none() {
            let id = self.next_storage();
            let random = self.random.fork_numbered("disk", self.life);
            self.folder = Some(Folder::new(id, random));
        }
        let me = Name { node: self.name.clone(), incarnation };
        let now = self.now(at);
        let limits = Limits::default();
        let maker = Maker { own: me.clone(), settings: settings.clone(), limits };
        let mut process = Process::new(me, (settings, self.storage.synced_maps()), leader);
        let mut found = Found::default();
        if let Some(folder) = &mut self.folder {
            folder.lives.push(incarnation);
            let (data, recovery) = DataOnDisk::open(folder).map_err(|why| why.to_string())?;
            found = recover(&recovery, &maker, now);
            if folder.is_known && recovery.segments() == 0 {
                found.damages.push("the data are gone".to_owned());
            }
            process.restore(data, std::mem::take(&mut found.replicas), now);
        }
        self.is_intact = found.damages.is_empty();
        self.process = Some(process);
        Ok(found)
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
        self.ends_soon = None;
        self.restarts += 1;
        let power_fails = fate == DiskFate::UnsyncedLost;
        self.boots += u128::from(power_fails);
        if fate == DiskFate::Lost {
            self.folder = None;
        }
        if let Some(folder) = &mut self.folder {
            folder.end_process(power_fails, &mut self.random);
        }
    }

    /// How long something of the disk takes that usually takes so many microseconds, up to three times as many.
    pub(crate) fn disk_time(&mut self, micros: u64) -> Duration {
        let factor = u64::from(self.slow_disk);
        Duration::from_micros(self.random.within(micros..=3 * micros) * factor)
    }

    /// Whether its power has ever failed.
    pub(crate) fn has_lost_power(&self) -> bool {
        self.boots > 1
    }

    /// What it registers with.
    pub(crate) fn proof(&mut self) -> (Member, StorageProof) {
        let mut member = Member::new(self.name.as_str());
        member.incarnation = Incarnation(self.life);
        let boot_id = BootId(u128::from(self.index.0) << 64 | self.boots);
        let survives_power_loss = self.storage == Storage::Synced;
        let proof = match &self.folder {
            Some(folder) => StorageProof {
                storage_id: folder.id,
                incarnations: folder.lives.clone(),
                boot_id,
                survives_power_loss,
                is_intact: self.is_intact,
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
