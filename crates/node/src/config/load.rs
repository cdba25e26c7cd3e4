//! The layers on top of each other: every setting is looked up in [`KEYS`], read as its kind, and laid over the ones
//! below. What comes out is the configuration, and for every key which layers set it.

use std::collections::BTreeMap;

use isogrid_core::limits::check_map_name;
use isogrid_core::{Error, ErrorCode, Result};
use serde::Deserialize;
use toml::{Table, Value};

use super::keys::{KEYS, Key, find, is_section, map_and_setting, suggestion};
use super::kind::Raw;
use super::source::{Found, Origin, Setting, Sources};
use super::{Config, environment, file, rules};

/// A configuration and where each of its values came from.
#[derive(Clone, Debug, PartialEq)]
pub struct Loaded {
    /// The values that apply.
    pub config: Config,
    /// For every key, what each layer that sets it says, lowest layer first. The last one applies.
    pub origins: BTreeMap<String, Vec<Setting>>,
}

impl Loaded {
    /// The setting that applies for a key. Keys of maps without a section of their own have none.
    pub fn setting(&self, key: &str) -> Option<&Setting> {
        self.origins.get(key)?.last()
    }
}

/// Loads the configuration, or says the first thing that is wrong with it and how much more there is.
pub fn load(sources: &Sources) -> Result<Loaded> {
    check(sources).map_err(|mut errors| {
        let more = errors.len() - 1;
        let first = errors.swap_remove(0);
        if more == 0 {
            return first;
        }
        let all = "`isogrid config validate` lists all";
        Error::new(first.code(), format!("{} (and {more} more; {all})", first.detail()))
    })
}

/// Loads the configuration, or says everything that is wrong with it: never an empty list.
pub fn check(sources: &Sources) -> std::result::Result<Loaded, Vec<Error>> {
    let mut errors = Vec::new();
    let mut origins = defaults();
    for found in layers(sources, &mut errors) {
        match read(&found) {
            Ok(value) => lay(&mut origins, found, value),
            Err(error) => errors.push(error),
        }
    }
    if !errors.is_empty() {
        return Err(errors);
    }
    let config = assemble(&origins).map_err(|error| vec![error])?;
    let loaded = Loaded { config, origins };
    let broken = rules::broken(&loaded);
    if broken.is_empty() { Ok(loaded) } else { Err(broken) }
}

/// Everything that the layers say, lowest layer first.
fn layers(sources: &Sources, errors: &mut Vec<Error>) -> Vec<Found> {
    let mut found = Vec::new();
    match sources.file.as_ref().map(file::settings) {
        Some(Ok(settings)) => found.extend(settings),
        Some(Err(error)) => errors.push(error),
        None => {}
    }
    found.extend(environment::settings(&sources.environment));
    found.extend(sources.flags.iter().map(|flag| Found {
        key: flag.key.clone(),
        raw: Raw::Text(flag.value.clone()),
        origin: Origin::Flag { flag: flag.flag.clone() },
    }));
    found
}

/// The lowest layer.
fn defaults() -> BTreeMap<String, Vec<Setting>> {
    let fixed = KEYS.iter().filter(|key| !key.is_of_map());
    fixed.map(|key| (key.name.to_owned(), vec![default_setting(key)])).collect()
}

fn default_setting(key: &Key) -> Setting {
    Setting { value: key.default_value(), origin: Origin::Default }
}

/// Checks one setting by itself.
fn read(found: &Found) -> Result<Value> {
    let Some(key) = find(&found.key) else { return Err(unknown(found)) };
    if let Some((map, _)) = map_and_setting(&found.key)
        && check_map_name(map).is_err()
    {
        return Err(invalid(
            found,
            "map names of 1 to 128 of a-z, A-Z, 0-9, '.', '_', '-' and ':'",
        ));
    }
    key.kind.read(&found.raw).ok_or_else(|| invalid(found, &key.kind.allowed()))
}

/// Lays a setting over the lower ones of its key. The first of a map brings all settings of that map with it.
fn lay(origins: &mut BTreeMap<String, Vec<Setting>>, found: Found, value: Value) {
    if let Some((map, _)) = map_and_setting(&found.key) {
        for key in KEYS.iter().filter(|key| key.is_of_map()) {
            let name = format!("maps.{map}.{}", key.split().1);
            origins.entry(name).or_insert_with(|| vec![default_setting(key)]);
        }
    }
    let setting = Setting { value: Some(value), origin: found.origin };
    origins.entry(found.key).or_default().push(setting);
}

/// The configuration that the settings make.
fn assemble(origins: &BTreeMap<String, Vec<Setting>>) -> Result<Config> {
    let mut root = Table::new();
    for (key, settings) in origins {
        let Some(value) = settings.last().and_then(|setting| setting.value.clone()) else {
            continue;
        };
        let path: Vec<&str> = match map_and_setting(key) {
            Some((map, setting)) => vec!["maps", map, setting],
            None => key.split('.').collect(),
        };
        insert(&mut root, &path, value);
    }
    Config::deserialize(root)
        .map_err(|error| Error::new(ErrorCode::ConfigValueInvalid, error.message().to_owned()))
}

fn insert(table: &mut Table, path: &[&str], value: Value) {
    match path {
        [] => {}
        [name] => {
            table.insert((*name).to_owned(), value);
        }
        [section, rest @ ..] => {
            let inner = table.entry(*section).or_insert_with(|| Value::Table(Table::new()));
            if let Value::Table(inner) = inner {
                insert(inner, rest, value);
            }
        }
    }
}

/// How a layer writes a key.
fn spelling(key: &str, origin: &Origin) -> String {
    match origin {
        Origin::Environment { .. } => environment::variable_of(key),
        _ => key.to_owned(),
    }
}

fn unknown(found: &Found) -> Error {
    if is_section(&found.key) {
        let detail = format!("`{}` at {} is a section, not a key", found.key, found.origin);
        return Error::new(ErrorCode::ConfigKeyUnknown, detail);
    }
    let written = spelling(&found.key, &found.origin);
    let place = match &found.origin {
        Origin::Environment { .. } => "in the environment".to_owned(),
        origin => format!("at {origin}"),
    };
    let hint = suggestion(&found.key)
        .map(|meant| format!("; did you mean `{}`?", spelling(&meant, &found.origin)))
        .unwrap_or_default();
    Error::new(ErrorCode::ConfigKeyUnknown, format!("`{written}` {place}{hint}"))
}

fn invalid(found: &Found, allowed: &str) -> Error {
    let Found { key, raw, origin } = found;
    let detail = format!("`{key}` = {} from {origin}; allowed: {allowed}", raw.show());
    Error::new(ErrorCode::ConfigValueInvalid, detail)
}

#[cfg(test)]
#[path = "load_test.rs"]
mod load_test;
