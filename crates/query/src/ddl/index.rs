//! Statements that make, drop and show indexes.

use isogrid_core::{IndexColumn, MapIndex, Result};

use super::parse::quoted;
use super::{done, refused, table, unknown};
use crate::source::{IndexStanding, Source};
use crate::sql::Answer;

/// The columns of what is shown of indexes.
pub(super) const SHOWN_COLUMNS: &[&str] =
    &["map", "index", "kind", "unique", "columns", "entries", "bytes", "built"];

/// Gives a map one index more.
pub(super) async fn add(
    source: &dyn Source,
    map: &str,
    if_absent: bool,
    index: MapIndex,
) -> Result<Answer> {
    let mut indexes = source.map(map).ok_or_else(|| unknown(map))?.indexes;
    if indexes.iter().any(|known| known.name == index.name) {
        if if_absent {
            return Ok(done("was there"));
        }
        return Err(refused(format!("{map:?} has an index {:?} already", index.name)));
    }
    indexes.push(index);
    source.set_indexes(map, indexes).await?;
    Ok(done("created"))
}

pub(super) async fn drop(
    source: &dyn Source,
    map: &str,
    if_there: bool,
    index: &str,
) -> Result<Answer> {
    let mut indexes = source.map(map).ok_or_else(|| unknown(map))?.indexes;
    let before = indexes.len();
    indexes.retain(|known| known.name != index);
    if indexes.len() == before {
        if if_there {
            return Ok(done("was not there"));
        }
        return Err(refused(format!("{map:?} has no index {index:?}")));
    }
    source.set_indexes(map, indexes).await?;
    Ok(done("dropped"))
}

/// The indexes of a map, or of all, and how far each is.
pub(super) async fn show(source: &dyn Source, map: Option<String>) -> Result<Answer> {
    let maps = match map {
        Some(map) => vec![map],
        None => source.maps(),
    };
    let mut rows = Vec::new();
    for map in maps {
        let indexes = source.map(&map).ok_or_else(|| unknown(&map))?.indexes;
        if indexes.is_empty() {
            continue;
        }
        let standings = source.index_standings(&map).await?;
        for index in indexes {
            let standing = standings.iter().find(|one| one.name == index.name);
            let IndexStanding { entries, bytes, built, .. } = standing.cloned().unwrap_or_default();
            rows.push(vec![
                map.clone(),
                index.name.clone(),
                index.kind.name().to_owned(),
                index.unique.to_string(),
                columns(&index),
                entries.to_string(),
                bytes.to_string(),
                format!("{} of {}", built.0, built.1),
            ]);
        }
    }
    Ok(table(SHOWN_COLUMNS, &rows))
}

fn columns(index: &MapIndex) -> String {
    let path = |column: &IndexColumn| {
        column.path.iter().map(|name| quoted(name)).collect::<Vec<_>>().join(".")
    };
    index.columns.iter().map(path).collect::<Vec<_>>().join(", ")
}

/// The statement that makes such an index.
pub(crate) fn create(map: &str, index: &MapIndex) -> String {
    let unique = if index.unique { "UNIQUE " } else { "" };
    let (name, map) = (quoted(&index.name), quoted(map));
    let (kind, columns) = (index.kind.name(), columns(index));
    format!("CREATE {unique}INDEX {name} ON {map} USING {kind} ({columns})")
}
