//! What can be set for a map: the flags of `map create` and `map alter`, and the keys of `isogrid apply`.

use clap::Args;
use isogrid_client::{MapChange, MapInfo};
use isogrid_node::config::kind::{Kind, Raw};
use serde_json::{Map, Value, json};

use crate::text::{size, thousands};

const EVICTION: &[&str] = &["none", "lru", "lfu"];
const ACKNOWLEDGE: &[&str] = &["sync", "async"];
const READ: &[&str] = &["lease", "confirmed", "backup", "any"];
const DURABILITY: &[&str] = &["memory", "os", "fsync"];

/// The most copies beside the primary's.
const BACKUPS_MAX: u64 = 5;

/// As in the configuration: what TOML can hold.
const UNLIMITED: u64 = i64::MAX as u64;

/// Every setting of a map with what it may hold, in the order in which it is shown.
pub(crate) const SETTINGS: [(&str, Kind); 10] = [
    ("backups", Kind::Integer { min: 0, max: BACKUPS_MAX }),
    ("acknowledge", Kind::OneOf(ACKNOWLEDGE)),
    ("min_in_sync", Kind::Integer { min: 1, max: BACKUPS_MAX + 1 }),
    ("read", Kind::OneOf(READ)),
    ("read_lag_ms_max", Kind::Integer { min: 0, max: UNLIMITED }),
    ("durability", Kind::OneOf(DURABILITY)),
    ("eviction", Kind::OneOf(EVICTION)),
    ("entries_max", Kind::Integer { min: 0, max: UNLIMITED }),
    ("bytes_max", Kind::Bytes { min: 0, max: UNLIMITED }),
    ("require_pruned", Kind::Flag),
];

/// What is set for a map. What is not given stays as it is, or takes its default in a new map.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct ChangeArgs {
    /// How many copies beside the primary's, 0 to 5
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(0..=BACKUPS_MAX as i64))]
    backups: Option<u32>,

    /// When a write is acknowledged: when every in-sync replica holds it, or when the primary does
    #[arg(long, value_name = "WHEN", value_parser = ACKNOWLEDGE.to_vec())]
    acknowledge: Option<String>,

    /// Refuse writes while fewer replicas are in sync, the primary included
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=BACKUPS_MAX as i64 + 1))]
    min_in_sync: Option<u32>,

    /// How a read is done that does not say otherwise
    #[arg(long, value_name = "MODE", value_parser = READ.to_vec())]
    read: Option<String>,

    /// With --read backup: how many milliseconds a backup may be behind
    #[arg(long, value_name = "MS")]
    read_lag_ms_max: Option<u64>,

    /// What an acknowledged write survives: all nodes but one, all processes, or a power loss everywhere
    #[arg(long, value_name = "LEVEL", value_parser = DURABILITY.to_vec())]
    durability: Option<String>,

    /// Which records make room at a limit
    #[arg(long, value_name = "POLICY", value_parser = EVICTION.to_vec())]
    eviction: Option<String>,

    /// The most entries; 0 for no limit
    #[arg(long, value_name = "N")]
    entries_max: Option<u64>,

    /// The most bytes, overhead included, as in 2GiB; 0 for no limit
    #[arg(long, value_name = "BYTES", value_parser = bytes)]
    bytes_max: Option<u64>,

    /// Whether statements of SQL that walk over all of the map are refused
    #[arg(long, value_name = "ON|OFF", value_parser = flag)]
    require_pruned: Option<bool>,
}

fn flag(text: &str) -> Result<bool, String> {
    let value = Kind::Flag.read(&Raw::Text(text.into())).and_then(|value| value.as_bool());
    value.ok_or_else(|| Kind::Flag.allowed())
}

fn bytes(text: &str) -> Result<u64, String> {
    let kind = Kind::Bytes { min: 0, max: UNLIMITED };
    let number = kind.read(&Raw::Text(text.into())).and_then(|value| value.as_integer());
    number.and_then(|number| u64::try_from(number).ok()).ok_or_else(|| kind.allowed())
}

impl ChangeArgs {
    /// What is to change.
    pub(crate) fn change(&self) -> MapChange {
        let given = self.clone();
        MapChange {
            backups: given.backups,
            acknowledge: given.acknowledge,
            min_in_sync: given.min_in_sync,
            read: given.read,
            read_lag_ms_max: given.read_lag_ms_max,
            durability: given.durability,
            eviction: given.eviction,
            entries_max: given.entries_max,
            bytes_max: given.bytes_max,
            require_pruned: given.require_pruned,
            ..MapChange::default()
        }
    }
}

/// Sets one of [`SETTINGS`] by its name.
pub(crate) fn set(change: &mut MapChange, name: &str, value: &toml::Value) {
    let text = || value.as_str().map(str::to_owned);
    let number = || value.as_integer().and_then(|number| u64::try_from(number).ok());
    let small = || number().and_then(|number| u32::try_from(number).ok());
    match name {
        "backups" => change.backups = small(),
        "acknowledge" => change.acknowledge = text(),
        "min_in_sync" => change.min_in_sync = small(),
        "read" => change.read = text(),
        "read_lag_ms_max" => change.read_lag_ms_max = number(),
        "durability" => change.durability = text(),
        "eviction" => change.eviction = text(),
        "entries_max" => change.entries_max = number(),
        "bytes_max" => change.bytes_max = number(),
        "require_pruned" => change.require_pruned = value.as_bool(),
        _ => unreachable!("the name is one of the settings"),
    }
}

/// All settings of a map as JSON, in the order of [`SETTINGS`].
pub(crate) fn settings_of(map: &MapInfo) -> [(&'static str, Value); 10] {
    [
        ("backups", json!(map.backups)),
        ("acknowledge", json!(map.acknowledge)),
        ("min_in_sync", json!(map.min_in_sync)),
        ("read", json!(map.read)),
        ("read_lag_ms_max", json!(map.read_lag_ms_max)),
        ("durability", json!(map.durability)),
        ("eviction", json!(map.eviction)),
        ("entries_max", json!(map.entries_max)),
        ("bytes_max", json!(map.bytes_max)),
        ("require_pruned", json!(map.require_pruned)),
    ]
}

/// A setting for people.
pub(crate) fn shown(name: &str, value: &Value) -> String {
    match (name, value.as_u64()) {
        ("entries_max" | "bytes_max" | "read_lag_ms_max", Some(0)) => "-".into(),
        ("bytes_max", Some(bytes)) => size(bytes),
        ("entries_max", Some(entries)) => thousands(entries),
        (_, Some(number)) => number.to_string(),
        ("require_pruned", _) => value.to_string(),
        _ => value.as_str().unwrap_or_default().to_owned(),
    }
}

/// What differs between a map as it was and as it is: the name of the setting, the old value, the new one.
pub(crate) fn difference(before: &MapInfo, after: &MapInfo) -> Vec<(&'static str, Value, Value)> {
    let pairs = settings_of(before).into_iter().zip(settings_of(after));
    pairs
        .filter(|((_, old), (_, new))| old != new)
        .map(|((name, old), (_, new))| (name, old, new))
        .collect()
}

/// A difference as JSON.
pub(crate) fn difference_object(before: Option<&MapInfo>, after: &MapInfo) -> Value {
    let changes: Map<String, Value> = match before {
        Some(before) => difference(before, after)
            .into_iter()
            .map(|(name, old, new)| (name.to_owned(), json!({ "from": old, "to": new })))
            .collect(),
        None => settings_of(after)
            .into_iter()
            .map(|(name, new)| (name.to_owned(), json!({ "from": null, "to": new })))
            .collect(),
    };
    Value::Object(changes)
}

/// A difference in lines, each with a sign in front: `+` new, `~` changed, `=` as it was.
pub(crate) fn difference_text(before: Option<&MapInfo>, after: &MapInfo) -> String {
    let (sign, lines) = match before {
        None => {
            let line =
                |(name, value): (&str, Value)| format!("    {name:<15}  {}\n", shown(name, &value));
            ('+', settings_of(after).into_iter().map(line).collect::<String>())
        }
        Some(before) => {
            let line = |(name, old, new): (&str, Value, Value)| {
                format!("    {name:<15}  {} -> {}\n", shown(name, &old), shown(name, &new))
            };
            let lines: String = difference(before, after).into_iter().map(line).collect();
            (if lines.is_empty() { '=' } else { '~' }, lines)
        }
    };
    format!("{sign} map {}\n{lines}", after.name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map() -> MapInfo {
        let mut map = MapInfo::default();
        (map.name, map.acknowledge, map.backups) = ("users".into(), "sync".into(), 1);
        map
    }

    #[test]
    fn every_setting_can_be_set_and_is_shown() {
        let mut change = MapChange::default();
        for (name, kind) in SETTINGS {
            let text = match kind {
                Kind::OneOf(words) => words[0].to_owned(),
                Kind::Flag => "true".to_owned(),
                _ => "2".to_owned(),
            };
            set(&mut change, name, &kind.read(&Raw::Text(text)).expect("allowed"));
        }
        // Columns and indexes are no settings: statements of SQL say them.
        let debug = format!("{change:?}").replace("schema: None", "").replace("indexes: None", "");
        assert!(!debug.contains("None"), "{debug}");
        let names: Vec<&str> = settings_of(&map()).iter().map(|(name, _)| *name).collect();
        assert_eq!(names, SETTINGS.map(|(name, _)| name));
    }

    #[test]
    fn a_difference_shows_only_what_changes() {
        let before = map();
        assert_eq!(difference_text(Some(&before), &before), "= map users\n");
        let mut after = before.clone();
        (after.backups, after.bytes_max) = (2, 2 << 30);
        let text = difference_text(Some(&before), &after);
        assert_eq!(
            text,
            "~ map users\n    backups          1 -> 2\n    bytes_max        - -> 2.0 GiB\n"
        );
        let object = difference_object(Some(&before), &after);
        assert_eq!(object["backups"], json!({ "from": 1, "to": 2 }));
        assert!(difference_text(None, &after).starts_with("+ map users\n    backups          2\n"));
    }
}
