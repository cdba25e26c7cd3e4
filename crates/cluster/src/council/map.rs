//! The maps of the cluster: a name, a number, settings, and how writes and reads are done.

pub use isogrid_core::Durability;
use isogrid_core::{MapId, MapSchema, MapSettings};
use serde::{Deserialize, Serialize};

/// A map as the council knows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MapRecord {
    /// Its number, the same on every node, dense, and never given to another map.
    pub id: MapId,
    /// Its settings.
    pub settings: MapSettings,
    /// How its writes and reads are done.
    pub mode: MapMode,
    /// What its values are, if that was said.
    #[serde(default)]
    pub schema: Option<MapSchema>,
}

/// How the writes and reads of a map are done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MapMode {
    /// When a write is acknowledged.
    pub acknowledge: Acknowledge,
    /// Writes are refused while fewer replicas than this are in sync.
    pub min_in_sync: u8,
    /// How a read that does not say otherwise is done.
    pub read: ReadMode,
    /// What an acknowledged write survives.
    pub durability: Durability,
    /// How many backups it wants; `None`: as many as the cluster. All maps share their partitions, so each partition has as
    /// many copies as the most demanding map wants.
    #[serde(default)]
    pub backups: Option<u8>,
    /// Whether statements of SQL that walk over all of it are refused.
    #[serde(default)]
    pub require_pruned: bool,
}

impl MapMode {
    /// The most backups that can be wanted.
    pub const BACKUPS_MAX: u8 = 5;

    /// How many copies it wants in a cluster of so many.
    pub fn copies(&self, of_cluster: usize) -> usize {
        self.backups.map_or(of_cluster, |backups| of_cluster.max(usize::from(backups) + 1))
    }
}

impl Default for MapMode {
    fn default() -> Self {
        MapMode {
            acknowledge: Acknowledge::Sync,
            min_in_sync: 1,
            read: ReadMode::Lease,
            durability: Durability::Os,
            backups: None,
            require_pruned: false,
        }
    }
}

/// When a write is acknowledged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Acknowledge {
    /// When every in-sync replica holds it.
    #[default]
    Sync,
    /// When the primary holds it.
    Async,
}

/// How a read is done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ReadMode {
    /// At the primary, under its lease: never stale.
    #[default]
    Lease,
    /// At the primary, after a round to the in-sync set: never stale, and no clock is trusted.
    Confirmed,
    /// At a backup that is not further behind than this.
    Backup {
        /// The most milliseconds behind.
        lag_ms_max: u64,
    },
    /// Anywhere, stale as it may be.
    Any,
}

#[cfg(test)]
mod tests {
    use isogrid_core::{ColumnType, MapColumn};

    use super::*;
    use crate::council::{Command, Council, LossPolicy, Outcome, Refusal};
    use crate::testing::create;

    fn council() -> Council {
        let mut council = Council::new();
        council.apply(&create(4, 2, LossPolicy::Block));
        council
    }

    fn put(name: &str, backups: Option<u8>, min_in_sync: u8) -> Command {
        let mode = MapMode { backups, min_in_sync, ..MapMode::default() };
        let settings = MapSettings::default();
        Command::PutMap { name: name.into(), settings, mode, schema: None }
    }

    #[test]
    fn there_are_as_many_copies_as_the_most_demanding_map_wants() {
        let mut council = council();
        assert_eq!(council.copies(), 2, "the cluster's own wish");
        for (name, backups, copies) in [
            ("x", Some(3), 4),
            ("y", Some(0), 4),
            ("z", None, 4),
            ("x", Some(2), 3),
            ("x", None, 2),
        ] {
            assert!(matches!(council.apply(&put(name, backups, 1)), Outcome::Map(_)), "{name}");
            assert_eq!(council.copies(), copies, "{name} {backups:?}");
        }
    }

    #[test]
    fn a_map_relies_on_its_own_copies_only() {
        let mut council = council();
        council.apply(&put("x", Some(4), 5));
        let refused = Outcome::Refused { why: Refusal::OutOfBounds };
        assert_eq!(council.apply(&put("y", None, 3)), refused, "x may be dropped");
        assert_eq!(council.apply(&put("y", Some(1), 3)), refused);
        assert_eq!(council.apply(&put("y", Some(MapMode::BACKUPS_MAX + 1), 1)), refused);
        assert!(matches!(council.apply(&put("y", Some(2), 3)), Outcome::Map(_)));
    }

    #[test]
    fn columns_come_and_go_and_what_spreads_the_records_stays() {
        let mut council = council();
        let column = |name: &str| MapColumn { name: name.into(), holds: ColumnType::Text };
        let mut put = |columns: &[&str], partition_by: Option<&str>| {
            let columns = columns.iter().copied().map(column).collect();
            let schema = Some(MapSchema { columns, partition_by: partition_by.map(str::to_owned) });
            let (name, settings) = ("x".to_owned(), MapSettings::default());
            council.apply(&Command::PutMap { name, settings, mode: MapMode::default(), schema })
        };
        let refused = Outcome::Refused { why: Refusal::OutOfBounds };
        assert_eq!(put(&["a"], Some("b")), refused, "no such column");
        assert_eq!(put(&["a"], Some("a")), Outcome::Map(MapId(0)));
        assert_eq!(put(&["a", "b"], Some("a")), Outcome::Map(MapId(0)));
        assert_eq!(put(&["a", "b"], Some("b")), refused);
        assert_eq!(put(&["a", "b"], None), refused);
    }

    #[test]
    fn ensuring_a_map_changes_nothing_of_one_that_is_there() {
        let mut council = council();
        let ensure = |backups| Command::EnsureMap {
            name: "x".into(),
            settings: MapSettings::default(),
            mode: MapMode { backups, ..MapMode::default() },
        };
        assert_eq!(council.apply(&ensure(Some(2))), Outcome::Map(MapId(0)));
        assert_eq!(council.apply(&ensure(Some(5))), Outcome::Map(MapId(0)));
        assert_eq!((council.copies(), council.maps_version()), (3, 1));
    }
}
