//! The maps of this node: names, numbers, settings and sizes.

use std::collections::BTreeMap;
use std::sync::Arc;

use dashmap::DashMap;
use isogrid_core::{Error, ErrorCode, Eviction, MapId, MapSettings, Result, limits};
use isogrid_store::MapUsage;
use parking_lot::Mutex;

use crate::config::{Config, MAP_DEFAULT};

/// What is known of a map.
#[derive(Debug)]
pub(crate) struct MapInfo {
    /// Its number on this node.
    pub id: MapId,
    /// Its name.
    pub name: Arc<str>,
    /// Its settings.
    pub settings: MapSettings,
    /// What it uses on this node.
    pub usage: Arc<MapUsage>,
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
}

/// All maps of this node.
#[derive(Debug)]
pub(crate) struct Maps {
    /// Read by every batch on every core, written when a map is made.
    by_name: DashMap<Box<str>, Arc<MapInfo>>,
    /// The next number; locked while a map is made, so that each name gets one number.
    next: Mutex<u32>,
    settings: BTreeMap<String, MapSettings>,
}

impl Maps {
    /// No maps yet, but the settings they will have.
    pub(crate) fn new(config: &Config) -> Self {
        Self { by_name: DashMap::new(), next: Mutex::new(0), settings: config.maps.clone() }
    }

    /// The map of this name.
    pub(crate) fn find(&self, name: &str) -> Option<Arc<MapInfo>> {
        self.by_name.get(name).map(|map| Arc::clone(&map))
    }

    /// Makes the map of this name unless it exists. `prepare` is called before anyone can find it.
    pub(crate) fn make(
        &self,
        name: &str,
        maps_max: usize,
        prepare: impl FnOnce(&MapInfo),
    ) -> Result<MapId> {
        limits::check_map_name(name)?;
        let mut next = self.next.lock();
        if let Some(map) = self.find(name) {
            return Ok(map.id);
        }
        if *next as usize >= maps_max {
            return Err(Error::new(ErrorCode::TooManyMaps, format!("at most {maps_max}")));
        }
        let settings = self.settings.get(name).or_else(|| self.settings.get(MAP_DEFAULT));
        let map = MapInfo {
            id: MapId(*next),
            name: Arc::from(name),
            settings: settings.cloned().unwrap_or_default(),
            usage: Arc::default(),
        };
        prepare(&map);
        *next += 1;
        let id = map.id;
        self.by_name.insert(name.into(), Arc::new(map));
        Ok(id)
    }

    /// All maps, in the order of their names.
    pub(crate) fn all(&self) -> Vec<Arc<MapInfo>> {
        let mut maps: Vec<_> = self.by_name.iter().map(|map| Arc::clone(&map)).collect();
        maps.sort_by(|left, right| left.name.cmp(&right.name));
        maps
    }
}
