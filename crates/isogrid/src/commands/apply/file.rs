//! The file of `isogrid apply`, in TOML or YAML. Whatever is not known in it is refused, with a hint.

use std::io::Read;
use std::path::Path;

use clap::ValueEnum;
use isogrid_client::MapChange;
use isogrid_core::{Error, ErrorCode};
use isogrid_node::config::kind::Raw;
use isogrid_node::config::suggest::nearest;
use toml::{Table, Value};

use crate::commands::map::change::{SETTINGS, set};
use crate::exit::{Failure, wrong_argument};

/// The largest file: far above what anybody writes.
const FILE_BYTES_MAX: u64 = 4 << 20;

/// How a file is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum FileFormat {
    /// TOML
    Toml,
    /// YAML, or JSON, which is YAML too
    Yaml,
}

/// A map as the file wants it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Wanted {
    /// Its name.
    pub(super) name: String,
    /// What the file says about it; the rest stays as it is.
    pub(super) change: MapChange,
}

/// Reads a file.
pub(super) fn read(path: &Path, format: Option<FileFormat>) -> Result<Vec<Wanted>, Failure> {
    let shown = path.display().to_string();
    let format = format.or_else(|| format_of(path)).ok_or_else(|| {
        wrong_argument(format!(
            "{shown}: neither .toml nor .yaml; say --format toml or --format yaml"
        ))
    })?;
    let mut text = String::new();
    let taken = if shown == "-" {
        std::io::stdin().take(FILE_BYTES_MAX + 1).read_to_string(&mut text)
    } else {
        std::fs::File::open(path)
            .and_then(|file| file.take(FILE_BYTES_MAX + 1).read_to_string(&mut text))
    };
    let unreadable =
        |why: String| Error::new(ErrorCode::ConfigUnreadable, format!("{shown}: {why}"));
    let bytes = taken.map_err(|error| unreadable(error.to_string()))?;
    if bytes as u64 > FILE_BYTES_MAX {
        return Err(unreadable(format!("longer than {FILE_BYTES_MAX} bytes")).into());
    }
    let table = parse(&text, format).map_err(unreadable)?;
    Ok(wanted(&shown, &table)?)
}

fn format_of(path: &Path) -> Option<FileFormat> {
    match path.extension()?.to_str()? {
        "toml" => Some(FileFormat::Toml),
        "yaml" | "yml" | "json" => Some(FileFormat::Yaml),
        _ => None,
    }
}

fn parse(text: &str, format: FileFormat) -> Result<Table, String> {
    match format {
        FileFormat::Toml => text.parse().map_err(|error: toml::de::Error| error.to_string()),
        FileFormat::Yaml => {
            // Through YAML's own values: they refuse a key that stands there twice.
            let value: serde_yaml_ng::Value =
                serde_yaml_ng::from_str(text).map_err(|error| error.to_string())?;
            if value.is_null() {
                return Ok(Table::new());
            }
            Table::try_from(value).map_err(|error| error.to_string())
        }
    }
}

/// What the file wants; `file` is how messages call it.
fn wanted(file: &str, table: &Table) -> Result<Vec<Wanted>, Error> {
    if let Some(unknown) = table.keys().find(|key| *key != "maps") {
        return Err(unknown_key(file, unknown, ["maps"]));
    }
    let Some(maps) = table.get("maps") else {
        let detail = format!("{file}: there is no `maps` in it");
        return Err(Error::new(ErrorCode::ConfigValueInvalid, detail));
    };
    let no_table = |name: &str| {
        let detail = format!("{file}: {name} is no table of settings");
        Error::new(ErrorCode::ConfigValueInvalid, detail)
    };
    let maps = maps.as_table().ok_or_else(|| no_table("maps"))?;
    let read = |(name, settings): (&String, &Value)| {
        let place = format!("maps.{name}");
        isogrid_core::limits::check_map_name(name)?;
        let settings = settings.as_table().ok_or_else(|| no_table(&place))?;
        Ok(Wanted { name: name.clone(), change: change(file, &place, settings)? })
    };
    maps.iter().map(read).collect()
}

fn change(file: &str, place: &str, settings: &Table) -> Result<MapChange, Error> {
    let mut change = MapChange::default();
    for (name, value) in settings {
        let Some((_, kind)) = SETTINGS.iter().find(|(known, _)| known == name) else {
            let known = SETTINGS.map(|(known, _)| known);
            return Err(unknown_key(file, &format!("{place}.{name}"), known));
        };
        let raw = Raw::Typed(value.clone());
        let Some(allowed) = kind.read(&raw) else {
            let detail =
                format!("{file}: {place}.{name} = {}; allowed: {}", raw.show(), kind.allowed());
            return Err(Error::new(ErrorCode::ConfigValueInvalid, detail));
        };
        set(&mut change, name, &allowed);
    }
    Ok(change)
}

fn unknown_key<const N: usize>(file: &str, key: &str, known: [&'static str; N]) -> Error {
    let last = key.rsplit('.').next().unwrap_or(key);
    let hint = match nearest(last, known) {
        Some(name) => format!("did you mean {name:?}?"),
        None => format!("known: {}", known.join(", ")),
    };
    Error::new(ErrorCode::ConfigKeyUnknown, format!("{file}: {key}: {hint}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOML: &str = "[maps.users]\nbackups = 2\nread = \"backup\"\nread_lag_ms_max = 500\n\n[maps.carts]\n\
                        eviction = \"lru\"\nbytes_max = \"2GiB\"\n";
    const YAML: &str = "maps:\n  users:\n    backups: 2\n    read: backup\n    read_lag_ms_max: 500\n  carts:\n    \
                        eviction: lru\n    bytes_max: 2GiB\n";

    fn read(text: &str, format: FileFormat) -> Result<Vec<Wanted>, String> {
        let table = parse(text, format)?;
        wanted("maps.file", &table).map_err(|error| error.to_string())
    }

    #[test]
    fn toml_and_yaml_say_the_same() {
        let from_toml = read(TOML, FileFormat::Toml).expect("a good file");
        let mut from_yaml = read(YAML, FileFormat::Yaml).expect("a good file");
        from_yaml.sort_by_key(|wanted| from_toml.iter().position(|w| w.name == wanted.name));
        assert_eq!(from_toml, from_yaml);
        let users = from_toml.iter().find(|wanted| wanted.name == "users").expect("it is there");
        assert_eq!((users.change.backups, users.change.durability.as_deref()), (Some(2), None));
        let carts = from_toml.iter().find(|wanted| wanted.name == "carts").expect("it is there");
        assert_eq!(carts.change.bytes_max, Some(2 << 30));
        assert_eq!(read("maps: {}", FileFormat::Yaml), Ok(vec![]));
    }

    #[test]
    fn what_is_not_known_is_refused_with_a_hint() {
        for (text, said) in [
            ("[maps.users]\nbackup = 1", "maps.users.backup: did you mean \"backups\"?"),
            ("[map.users]\nbackups = 1", "did you mean \"maps\"?"),
            (
                "[maps.users]\nbackups = 9",
                "maps.users.backups = 9; allowed: a whole number from 0 to 5",
            ),
            ("[maps.users]\nbackups = \"two\"", "allowed"),
            ("[maps.users]\nacknowledge = \"never\"", "allowed: sync or async"),
            ("[maps.users]\ncolour = \"red\"", "known: backups, acknowledge"),
            ("maps = 3", "maps is no table"),
            ("[maps]\nusers = 3", "maps.users is no table"),
            ("[maps.\"bad name\"]\n", "IG-0106"),
            ("", "there is no `maps` in it"),
        ] {
            let error = read(text, FileFormat::Toml).expect_err(text);
            assert!(error.contains(said), "{text}: {error}");
        }
        let twice = "maps:\n  users: {}\n  users: {}\n";
        assert!(read(twice, FileFormat::Yaml).is_err());
    }

    #[test]
    fn the_ending_says_how_a_file_is_written() {
        for (path, format) in [
            ("a.toml", Some(FileFormat::Toml)),
            ("a.yaml", Some(FileFormat::Yaml)),
            ("a.yml", Some(FileFormat::Yaml)),
            ("a.txt", None),
            ("-", None),
        ] {
            assert_eq!(format_of(Path::new(path)), format, "{path}");
        }
    }
}
