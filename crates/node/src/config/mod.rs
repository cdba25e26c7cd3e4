//! The configuration of a node: what can be set, and how a value is found.
//!
//! A value comes from the highest of four layers that sets it: **default < TOML file < environment `ISOGRID__A__B` <
//! flag**. Unknown keys are errors in every layer. Each value remembers which layer it came from.
//!
//! | module | what lives there |
//! |---|---|
//! | [`node`], [`cluster`], [`memory`], [`disk`], [`log`], [`slow_log`], [`tracing`] | the sections as types |
//! | [`keys`] | every key with its kind and explanation: the one list that all layers are checked against |
//! | [`kind`] | what a key may hold, and reading it from TOML or text |
//! | [`source`] | the layers as plain data, read by the caller |
//! | [`mod@file`], [`environment`] | from a layer's text to settings |
//! | [`mod@load`] | the layers on top of each other, checked, with origins |
//! | [`rules`] | what must hold between keys |
//! | [`suggest`] | "did you mean" |
//! | [`mod@print`] | the defaults as commented TOML |
//! | [`mod@reference`] | every key as Markdown |

pub mod cluster;
pub mod disk;
pub mod environment;
pub mod file;
pub mod keys;
pub mod kind;
pub mod load;
pub mod log;
pub mod memory;
pub mod node;
pub mod print;
pub mod reference;
pub mod rules;
pub mod slow_log;
pub mod source;
pub mod suggest;
pub mod tracing;

use std::collections::BTreeMap;

use isogrid_core::{Limits, MapSettings};
use serde::{Deserialize, Serialize};

pub use self::tracing::TracingConfig;
pub use cluster::ClusterConfig;
pub use disk::DiskConfig;
pub use keys::{KEYS, Key};
pub use load::{Loaded, check, load};
pub use log::{LogConfig, LogFormat};
pub use memory::{MemoryConfig, MemoryLimit};
pub use node::NodeConfig;
pub use print::default_toml;
pub use reference::reference_markdown;
pub use slow_log::SlowLogConfig;
pub use source::{FileSource, FlagSource, Origin, Setting, Sources};

/// The name under `[maps]` whose settings apply to every map that has no section of its own.
pub const MAP_DEFAULT: &str = "default";

/// Everything that can be set for a node.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Who the node is and where it listens.
    pub node: NodeConfig,
    /// How it meets the other nodes.
    pub cluster: ClusterConfig,
    /// How much memory it may use.
    pub memory: MemoryConfig,
    /// How much it may keep on disk.
    pub disk: DiskConfig,
    /// What it writes to its log.
    pub log: LogConfig,
    /// Which operations it calls slow.
    pub slow_log: SlowLogConfig,
    /// To whom it tells the steps of distributed traces.
    pub tracing: TracingConfig,
    /// The limits it enforces.
    pub limits: Limits,
    /// The settings of maps, by name.
    pub maps: BTreeMap<String, MapSettings>,
}

impl Config {
    /// The settings of a map: its own section, else `[maps.default]`, else the built-in ones. Sections are not mixed: a
    /// map with a section of its own takes nothing from `[maps.default]`.
    pub fn map_settings(&self, map: &str) -> MapSettings {
        self.maps.get(map).or_else(|| self.maps.get(MAP_DEFAULT)).cloned().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use isogrid_core::Eviction;

    #[test]
    fn a_map_without_a_section_takes_the_default_one() {
        let lru = MapSettings { eviction: Eviction::Lru, ..MapSettings::default() };
        let own = MapSettings { entries_max: 7, ..MapSettings::default() };
        let mut config = Config::default();
        assert_eq!(config.map_settings("orders"), MapSettings::default());
        config.maps.insert(MAP_DEFAULT.into(), lru.clone());
        config.maps.insert("orders".into(), own.clone());
        assert_eq!(config.map_settings("users"), lru);
        assert_eq!(config.map_settings("orders"), own);
    }
}
