//! From the committed table to the replicas of this node: opens, updates, closes and deletes them, and keeps maps as the
//! council says.

use std::collections::BTreeMap;
use std::sync::Arc;

use isogrid_cluster::council::{Durability, LossPolicy, MapRecord};
use isogrid_cluster::reconcile::{Action, LocalReplica, Own, reconcile};
use isogrid_cluster::{ClusterId, Millis};
use isogrid_core::slot::PartitionCount;
use isogrid_core::{Error, ErrorCode, PartitionEntry, PartitionId};
use isogrid_persist::{OnDisk, Restored};
use isogrid_replica::log::WindowLimits;
use isogrid_replica::{Event, Now, Replica, Settings};
use isogrid_store::Partition;

use super::slot::{Held, Place};
use super::{Engine, MapInfo, Partitions};
use crate::clock;
use crate::control::view::View;

/// The logs take at most one in so many bytes of the memory mark.
const LOGS_SHARE: u64 = 8;

/// Below that a log is of no use: a replica that restarts would have to copy everything.
const LOG_BYTES_MIN: usize = 16 << 10;

/// The core whose lanes carry what replicas say when they read a table.
const CORE: usize = 0;

impl Engine {
    /// There is a newer view: the replicas of this node become what it says.
    pub(crate) fn learn(&self, view: &Arc<View>) {
        let Some(cluster) = &view.cluster else { return };
        if view.table.version().0 == 0 && view.maps_version == 0 {
            return;
        }
        let count = view.table.partitions();
        if let Some(storage) = &self.storage
            && self.configured_partitions != count.get()
        {
            // What is on disk would be read with the other number after a restart.
            let configured = self.configured_partitions;
            return storage.fail(format!(
                "node.partitions is {configured}, and the cluster has {count}: set it to {count}, and give the node an empty folder",
                count = count.get()
            ));
        }
        let partitions =
            self.partitions.get_or_init(|| Partitions::new(count, hash_seed(cluster.id)));
        let known = std::mem::replace(&mut *self.view.lock(), Arc::clone(view));
        let is_first = known.cluster.is_none();
        if is_first || known.maps_version != view.maps_version {
            self.learn_maps(view, partitions, cluster.loss_policy);
        }
        self.reconcile(view, partitions);
        self.wire.flush(CORE);
    }

    /// Takes in what the disk had, before anything is learned. Nothing of it takes part until a table says so.
    pub(crate) fn restore(
        &self,
        (cluster, count): (ClusterId, PartitionCount),
        replicas: Vec<Restored>,
    ) {
        let partitions = self.partitions.get_or_init(|| Partitions::new(count, hash_seed(cluster)));
        let now = clock::both();
        for Restored { partition, replica, is_damaged } in replicas {
            let mut slot = partitions.cells[usize::from(partition.0)].0.lock();
            let mut held = Held::new(replica);
            held.closed_since = Some(millis(now));
            held.on_disk = OnDisk::of_recovered(&held.replica);
            if is_damaged {
                // What the disk has stays until an image takes its place.
                held.step(Place { engine: self, core: CORE, partition, now }, Event::Damaged, None);
                held.on_disk.keep_void(&held.replica);
            }
            slot.held = Some(held);
            self.count(partition, &mut slot);
        }
    }

    /// The settings of replicas before a table was read.
    pub(crate) fn settings_at_start(&self, cluster: ClusterId) -> Arc<Settings> {
        let (hash_seed, durable) = (hash_seed(cluster), self.storage.is_some());
        Arc::new(Settings { hash_seed, durable, ..Settings::default() })
    }

    fn learn_maps(&self, view: &View, partitions: &Partitions, policy: LossPolicy) {
        let maps = self.maps.prepare(&view.maps);
        let last = maps.iter().map(|map| map.id.0 as usize + 1).max().unwrap_or(0);
        let mut modes = vec![isogrid_replica::settings::MapMode::default(); last];
        for map in &maps {
            modes[map.id.0 as usize] = map.mode;
        }
        let settings = Arc::new(Settings {
            window: self.log_window(partitions),
            hash_seed: partitions.hash_seed,
            alone_is_safe: policy == LossPolicy::Block,
            durable: self.storage.is_some(),
            maps: modes,
            ..Settings::default()
        });
        *self.settings.lock() = Arc::clone(&settings);
        self.synced_maps.set(synced_maps(&view.maps));
        for (partition, cell) in partitions.iter() {
            let mut slot = cell.0.lock();
            if let Some(held) = &mut slot.held {
                held.replica.configure(Arc::clone(&settings));
                configure_maps(&mut held.replica, &maps);
            }
            self.count(partition, &mut slot);
        }
        self.maps.publish(&maps);
    }

    /// The logs of all partitions together take no more than their share of the memory mark.
    fn log_window(&self, partitions: &Partitions) -> WindowLimits {
        let usual = WindowLimits::default();
        let share = self.memory.limit_bytes() / LOGS_SHARE / u64::from(partitions.count.get());
        let bytes_max = (share as usize).clamp(LOG_BYTES_MIN, usual.bytes_max as usize);
        WindowLimits { bytes_max: bytes_max as _, ..usual }
    }

    /// Does what the newest table says about the replicas here. Called again it does nothing, or what has become due.
    fn reconcile(&self, view: &View, partitions: &Partitions) {
        let own = Own {
            node: self.own.node.clone(),
            incarnation: self.own.incarnation,
            registered: view.registered,
        };
        let now = clock::both();
        let mut local = BTreeMap::new();
        for (partition, cell) in partitions.iter() {
            if let Some(held) = &cell.0.lock().held {
                let replica = match held.closed_since {
                    Some(since) => LocalReplica::Closed { since },
                    None => LocalReplica::Open(held.replica.view().clone()),
                };
                local.insert(partition, replica);
            }
        }
        for action in reconcile(&view.table, &own, &local, millis(now)) {
            self.act(partitions, action, now);
        }
    }

    fn act(&self, partitions: &Partitions, action: Action, now: Now) {
        match action {
            Action::Open { partition, entry, .. } => self.open(partitions, partition, &entry, now),
            Action::Update { partition, entry, .. } => {
                self.step(CORE, partition, Event::Table(&entry));
            }
            Action::Close { partition } => {
                if let Some(entry) = self.view().table.entry(partition) {
                    self.step(CORE, partition, Event::Table(entry));
                }
                let mut slot = partitions.cells[usize::from(partition.0)].0.lock();
                if let Some(held) = &mut slot.held {
                    held.closed_since = Some(millis(now));
                    let nobody = |_: &_| Error::new(ErrorCode::NotOwner, "");
                    held.waiters.end(now.ticks, |_| true, nobody);
                }
            }
            Action::Delete { partition } => {
                let mut slot = partitions.cells[usize::from(partition.0)].0.lock();
                slot.held = None;
                if let Some(storage) = &self.storage {
                    storage.forget(partition);
                }
                self.count(partition, &mut slot);
            }
        }
    }

    fn open(
        &self,
        partitions: &Partitions,
        partition: PartitionId,
        entry: &PartitionEntry,
        now: Now,
    ) {
        let mut slot = partitions.cells[usize::from(partition.0)].0.lock();
        let held = slot.held.get_or_insert_with(|| {
            let store = Partition::new(partition, partitions.hash_seed, &self.limits);
            let settings = Arc::clone(&self.settings.lock());
            let mut replica = Replica::new(self.own.clone(), store, settings, now);
            configure_maps(&mut replica, &self.maps.all());
            Held::new(replica)
        });
        held.closed_since = None;
        let place = Place { engine: self, core: CORE, partition, now };
        held.step(place, Event::Table(entry), None);
        self.persist_one(CORE, partition, &mut slot);
        self.count(partition, &mut slot);
    }

    /// What has become due by time alone: data of partitions that left long ago are deleted.
    pub(super) fn tidy(&self) {
        if let Some(partitions) = self.partitions.get() {
            self.reconcile(&self.view(), partitions);
        }
    }
}

fn configure_maps(replica: &mut Replica, maps: &[Arc<MapInfo>]) {
    for map in maps {
        replica.configure_map(map.id, &map.settings, Arc::clone(&map.usage));
    }
}

/// What the keys of a cluster are hashed with.
fn hash_seed(cluster: ClusterId) -> u64 {
    cluster.0 as u64 ^ (cluster.0 >> 64) as u64
}

/// Of which maps writes count only when they are synced.
fn synced_maps(maps: &BTreeMap<String, MapRecord>) -> Vec<Option<bool>> {
    let mut list = Vec::new();
    for map in maps.values() {
        let index = map.id.0 as usize;
        list.resize(list.len().max(index + 1), None);
        list[index] = Some(map.mode.durability == Durability::Fsync);
    }
    list
}

/// The monotonic clock as the cluster's decisions want it.
pub(super) fn millis(now: Now) -> Millis {
    Millis(now.ticks.0 / 1_000)
}
