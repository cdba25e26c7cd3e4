//! The maps as this node uses them: names, numbers, settings and sizes. What they are is the council's to say.

use std::collections::BTreeMap;
use std::sync::Arc;

use dashmap::DashMap;
use isogrid_cluster::council::{self, MapRecord};
use isogrid_core::{Eviction, MapId, MapSettings};
use isogrid_replica::ReadMode;
use isogrid_replica::settings::{Acknowledge, MapMode};
use isogrid_store::{HotKeys, MapUsage};
use isogrid_value::Shape;
use parking_lot::Mutex;

use super::figures::MapCounts;

/// What is known of a map.
#[derive(Debug)]
pub(crate) struct MapInfo {
    /// Its number, the same on every node.
    pub id: MapId,
    /// Its name.
    pub name: Arc<str>,
    /// Its settings.
    pub settings: MapSettings,
    /// How a read is done that does not say.
    pub read: ReadMode,
    /// How its writes are replicated.
    pub mode: MapMode,
    /// What its values must be, if it has columns.
    pub shape: Option<Shape>,
    /// What it uses on this node.
    pub usage: Arc<MapUsage>,
    /// Which of its keys are asked for most. A mutex: it is taken for one operation of many.
    pub hot: Arc<Mutex<HotKeys>>,
    /// What was asked of it here.
    pub counts: Arc<MapCounts>,
}

impl MapInfo {
    /// Whether records must go for the map to keep its limits.
    pub(crate) fn is_over_limits(&self) -> bool {
        let over = |used: u64, max: u64| max != 0 && used > max;
        self.settings.eviction != Eviction::None
            && (over(self.usage.entries(), self.settings.entries_max)
                || over(self.usage.bytes(), self.settings.bytes_max))
    }

    /// Whether the map has limits that eviction keeps.
    pub(crate) fn is_limited(&self) -> bool {
        self.settings.eviction != Eviction::None
            && (self.settings.entries_max != 0 || self.settings.bytes_max != 0)
    }

    fn new(name: &str, record: &MapRecord, known: Option<&MapInfo>, cores: usize) -> Self {
        let acknowledge = match record.mode.acknowledge {
            council::Acknowledge::Sync => Acknowledge::InSync,
            council::Acknowledge::Async => Acknowledge::Primary,
        };
        let read = match record.mode.read {
            council::ReadMode::Lease => ReadMode::Lease,
            council::ReadMode::Confirmed => ReadMode::Confirmed,
            council::ReadMode::Backup { lag_ms_max } => {
                ReadMode::Backup { staleness_ms_max: lag_ms_max }
            }
            council::ReadMode::Any => ReadMode::Any,
        };
        MapInfo {
            id: record.id,
            name: Arc::from(name),
            settings: record.settings.clone(),
            read,
            mode: MapMode {
                acknowledge,
                min_in_sync: record.mode.min_in_sync,
                durability: record.mode.durability,
            },
            shape: record.schema.clone().map(Shape::new),
            usage: known.map_or_else(Arc::default, |known| Arc::clone(&known.usage)),
            hot: known.map_or_else(Arc::default, |known| Arc::clone(&known.hot)),
            counts: known
                .map_or_else(|| Arc::new(MapCounts::new(cores)), |known| Arc::clone(&known.counts)),
        }
    }
}

/// All maps of this node.
#[derive(Debug)]
pub(crate) struct Maps {
    /// How many count what is asked of a map.
    cores: usize,
    /// Read by every batch on every core, written when a map is made or changed.
    by_name: DashMap<Box<str>, Arc<MapInfo>>,
}

impl Maps {
    /// No maps, on so many cores.
    pub(super) fn new(cores: usize) -> Self {
        Maps { cores, by_name: DashMap::new() }
    }

    /// The map of this name.
    pub(crate) fn find(&self, name: &str) -> Option<Arc<MapInfo>> {
        self.by_name.get(name).map(|map| Arc::clone(&map))
    }

    /// Takes in what the council says. The new ones can be found only after [`Maps::publish`].
    pub(super) fn prepare(&self, records: &BTreeMap<String, MapRecord>) -> Vec<Arc<MapInfo>> {
        let info = |(name, record): (&String, &MapRecord)| {
            let known = self.find(name).filter(|known| known.id == record.id);
            Arc::new(MapInfo::new(name, record, known.as_deref(), self.cores))
        };
        records.iter().map(info).collect()
    }

    /// Lets everybody find these maps, and no others.
    pub(super) fn publish(&self, maps: &[Arc<MapInfo>]) {
        for map in maps {
            self.by_name.insert((*map.name).into(), Arc::clone(map));
        }
        self.by_name
            .retain(|name, known| maps.iter().any(|map| *map.name == **name && map.id == known.id));
    }

    /// All maps, in the order of their names.
    pub(crate) fn all(&self) -> Vec<Arc<MapInfo>> {
        let mut maps: Vec<_> = self.by_name.iter().map(|map| Arc::clone(&map)).collect();
        maps.sort_by(|left, right| left.name.cmp(&right.name));
        maps
    }
}
