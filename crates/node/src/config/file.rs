//! The file layer: TOML to settings, each with its line.

use isogrid_core::{Error, ErrorCode, Result};
use serde::Deserialize;
use toml::Spanned;
use toml::de::{DeTable, DeValue, ValueDeserializer};

use super::keys::{KEYS, is_section};
use super::kind::Raw;
use super::source::{FileSource, Found, Origin};

/// The settings in a file, in the order of its lines.
pub fn settings(file: &FileSource) -> Result<Vec<Found>> {
    let document = DeTable::parse(&file.text).map_err(|error| not_toml(file, &error))?;
    let mut walk = Walk { file, found: Vec::new() };
    walk.table("", document.into_inner());
    walk.found.sort_by_key(|(offset, _)| *offset);
    Ok(walk.found.into_iter().map(|(_, found)| found).collect())
}

fn not_toml(file: &FileSource, error: &toml::de::Error) -> Error {
    let line = error.span().map_or(1, |span| line_of(&file.text, span.start));
    // The parser's message can have several lines; ours have one.
    let message = error.message().replace('\n', ", ");
    let detail = format!("{}:{line}: not TOML: {message}", file.path.display());
    Error::new(ErrorCode::ConfigUnreadable, detail)
}

/// The line of an offset, from 1.
fn line_of(text: &str, offset: usize) -> usize {
    text.as_bytes()[..offset.min(text.len())].iter().filter(|byte| **byte == b'\n').count() + 1
}

struct Walk<'a> {
    file: &'a FileSource,
    found: Vec<(usize, Found)>,
}

impl Walk<'_> {
    fn table(&mut self, section: &str, table: DeTable<'_>) {
        for (name, value) in table {
            let offset = name.span().start;
            let key = match section {
                "" => name.get_ref().to_string(),
                _ => format!("{section}.{}", name.get_ref()),
            };
            let span = value.span();
            match value.into_inner() {
                DeValue::Table(inner) if inner.is_empty() => self.empty(offset, key),
                DeValue::Table(inner) => self.table(&key, inner),
                other => {
                    let value = toml::Value::deserialize(ValueDeserializer::from(Spanned::new(
                        span, other,
                    )));
                    // A value that cannot be read, such as a number beyond 64 bits, keeps its text: it is refused
                    // with what is allowed, like any wrong value.
                    let value =
                        value.unwrap_or_else(|error| toml::Value::String(error.to_string()));
                    self.push(offset, key, value);
                }
            }
        }
    }

    /// An empty table: fine for a section, and for a map it means "as built in, whatever maps.default says". Any other
    /// is reported as the unknown key that it is.
    fn empty(&mut self, offset: usize, key: String) {
        let first_of_map = KEYS.iter().find(|known| known.is_of_map());
        let map = key.strip_prefix("maps.").map(str::to_owned);
        match (map, first_of_map) {
            (Some(map), Some(first)) => {
                let setting = first.split().1;
                let value = toml::Value::String("none".into());
                self.push(offset, format!("maps.{map}.{setting}"), value);
            }
            _ if is_section(&key) => {}
            _ => self.push(offset, key, toml::Value::Table(toml::Table::new())),
        }
    }

    fn push(&mut self, offset: usize, key: String, value: toml::Value) {
        let line = line_of(&self.file.text, offset);
        let origin = Origin::File { path: self.file.path.clone(), line };
        self.found.push((offset, Found { key, raw: Raw::Typed(value), origin }));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str) -> Result<Vec<(String, usize)>> {
        let file = FileSource { path: "a.toml".into(), text: text.into() };
        let line = |origin: &Origin| match origin {
            Origin::File { line, .. } => *line,
            _ => 0,
        };
        Ok(settings(&file)?.iter().map(|found| (found.key.clone(), line(&found.origin))).collect())
    }

    #[test]
    fn every_setting_knows_its_line() {
        let text = "[node]\nname = \"a\"\n\n[log]\n# hush\nlevel = \"warn\"\n[maps.\"a.b\"]\nbytes_max = 1\n";
        let expected = [
            ("node.name".to_owned(), 2),
            ("log.level".to_owned(), 6),
            ("maps.a.b.bytes_max".to_owned(), 8),
        ];
        assert_eq!(found(text).as_deref(), Ok(expected.as_slice()));
    }

    #[test]
    fn inline_tables_and_dotted_keys_are_the_same_to_us() {
        assert_eq!(found("node = { cores = 1 }"), found("node.cores = 1"));
    }

    #[test]
    fn empty_tables_are_not_lost() {
        assert_eq!(found("[node]"), Ok(vec![]));
        assert_eq!(found("\n[colour]"), Ok(vec![("colour".into(), 2)]));
        assert_eq!(found("[maps.orders]"), Ok(vec![("maps.orders.eviction".into(), 1)]));
    }

    #[test]
    fn a_slip_in_the_syntax_names_its_line() {
        let error = found("[node]\nname = \n").expect_err("not TOML");
        assert_eq!(error.code(), ErrorCode::ConfigUnreadable);
        assert!(error.detail().starts_with("a.toml:2: not TOML"), "{error}");
        assert!(!error.detail().contains('\n'), "{error}");
    }
}
