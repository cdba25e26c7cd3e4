//! What the shell knows of a line that is typed: whether it is complete, and what a word may become.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use isogrid_client::Grid;
use parking_lot::Mutex;
use rustyline::completion::Completer;
use rustyline::highlight::Highlighter;
use rustyline::hint::Hinter;
use rustyline::validate::{ValidationContext, ValidationResult, Validator};
use rustyline::{Context, Helper};
use serde::Deserialize;
use tokio::runtime::Handle;

use super::split::split;

/// For how long names are good, and how long the one who types waits for them.
const NAMES_AGE_MAX: Duration = Duration::from_secs(10);
const NAMES_WAIT_MAX: Duration = Duration::from_millis(500);

/// The most maps of one line whose columns are asked for.
const MAPS_MAX: usize = 4;

const KEYWORDS: &[&str] = &[
    "ALTER",
    "AND",
    "AS",
    "ASC",
    "AVG",
    "BETWEEN",
    "BY",
    "CASE",
    "CAST",
    "COLUMN",
    "COUNT",
    "CREATE",
    "DELETE",
    "DESC",
    "DESCRIBE",
    "DISTINCT",
    "DROP",
    "ELSE",
    "END",
    "EXCEPT",
    "EXISTS",
    "EXPLAIN",
    "FALSE",
    "FROM",
    "FULL",
    "GROUP",
    "HAVING",
    "ILIKE",
    "IN",
    "INNER",
    "INSERT",
    "INTERSECT",
    "INTO",
    "IS",
    "JOIN",
    "LEFT",
    "LIKE",
    "LIMIT",
    "MAP",
    "MAPS",
    "MAX",
    "MIN",
    "NOT",
    "NULL",
    "OFFSET",
    "ON",
    "OR",
    "ORDER",
    "OVER",
    "PARTITION",
    "RIGHT",
    "ROUTING",
    "SELECT",
    "SET",
    "SHOW",
    "SUM",
    "TABLES",
    "THEN",
    "TRUE",
    "UNION",
    "UPDATE",
    "VALUES",
    "WHEN",
    "WHERE",
    "WITH",
];

/// What may be said of the shell itself.
pub(super) const COMMANDS: &[&str] = &["\\?", "\\d", "\\format", "\\q", "\\timing", "\\watch"];

#[derive(Deserialize)]
struct OfMap {
    map: String,
}

#[derive(Deserialize)]
struct OfColumn {
    column_name: String,
}

/// The names of maps and of the columns of some, and when each was asked for.
#[derive(Default)]
struct Names {
    maps: Option<(Instant, Vec<String>)>,
    columns: BTreeMap<String, (Instant, Vec<String>)>,
}

/// Looks at what is typed.
pub(super) struct Typist {
    grid: Grid,
    runtime: Handle,
    names: Mutex<Names>,
}

impl Typist {
    pub(super) fn new(grid: Grid, runtime: Handle) -> Self {
        Typist { grid, runtime, names: Mutex::default() }
    }

    /// Asks the cluster; nothing where it does not answer soon.
    fn ask<T: serde::de::DeserializeOwned>(&self, statement: &str) -> Vec<T> {
        let asked =
            async { tokio::time::timeout(NAMES_WAIT_MAX, self.grid.sql(statement).fetch()).await };
        self.runtime.block_on(asked).ok().and_then(Result::ok).unwrap_or_default()
    }

    fn maps(&self) -> Vec<String> {
        if let Some((asked, maps)) = &self.names.lock().maps
            && asked.elapsed() < NAMES_AGE_MAX
        {
            return maps.clone();
        }
        let maps: Vec<String> =
            self.ask("SHOW MAPS").into_iter().map(|one: OfMap| one.map).collect();
        self.names.lock().maps = Some((Instant::now(), maps.clone()));
        maps
    }

    fn columns(&self, map: &str) -> Vec<String> {
        if let Some((asked, columns)) = self.names.lock().columns.get(map)
            && asked.elapsed() < NAMES_AGE_MAX
        {
            return columns.clone();
        }
        let found = self.ask(&format!("DESCRIBE {}", quoted(map)));
        let columns: Vec<String> = found.into_iter().map(|one: OfColumn| one.column_name).collect();
        self.names.lock().columns.insert(map.to_owned(), (Instant::now(), columns.clone()));
        columns
    }

    /// All that a word may become.
    fn candidates(&self, line: &str, word: &str) -> Vec<String> {
        if word.starts_with('\\') {
            return beginning_with(word, COMMANDS.iter().map(|one| (*one).to_owned()));
        }
        let maps = self.maps();
        let said = |map: &&String| {
            let is_said = |word: &str| word == map.as_str() || word == quoted(map);
            line.split(|c: char| c.is_whitespace() || ",;()".contains(c)).any(is_said)
        };
        let columns: Vec<String> =
            maps.iter().filter(said).take(MAPS_MAX).flat_map(|map| self.columns(map)).collect();
        let mut names: Vec<String> = columns.iter().chain(&maps).map(|name| quoted(name)).collect();
        names.sort();
        names.dedup();
        let mut found = beginning_with(word, names.into_iter());
        if !word.is_empty() {
            let is_small = word.starts_with(|c: char| c.is_ascii_lowercase());
            let keyword =
                |one: &&str| if is_small { one.to_lowercase() } else { (*one).to_owned() };
            found.extend(beginning_with(word, KEYWORDS.iter().map(keyword)));
        }
        found
    }
}

fn beginning_with(word: &str, names: impl Iterator<Item = String>) -> Vec<String> {
    names.filter(|name| name.starts_with(word)).collect()
}

/// A name as it is written: in quotes unless it has small letters, digits and underscores only.
pub(super) fn quoted(name: &str) -> String {
    let is_plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    if name.chars().all(is_plain) && !name.starts_with(|c: char| c.is_ascii_digit()) {
        return name.to_owned();
    }
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// Where the word begins that ends here.
fn begin_of_word(line: &str) -> usize {
    let ends_word = |c: char| c.is_whitespace() || ",;().=<>+*/|".contains(c);
    line.rfind(ends_word).map_or(0, |at| at + line[at..].chars().next().map_or(1, char::len_utf8))
}

impl Completer for Typist {
    type Candidate = String;

    fn complete(
        &self,
        line: &str,
        pos: usize,
        _: &Context<'_>,
    ) -> rustyline::Result<(usize, Vec<String>)> {
        let begin = begin_of_word(&line[..pos]);
        Ok((begin, self.candidates(line, &line[begin..pos])))
    }
}

impl Validator for Typist {
    /// A line ends with a semicolon, or is about the shell itself.
    fn validate(&self, context: &mut ValidationContext<'_>) -> rustyline::Result<ValidationResult> {
        let line = context.input();
        let is_complete = line.trim_start().starts_with('\\') || split(line).rest.is_none();
        Ok(if is_complete { ValidationResult::Valid(None) } else { ValidationResult::Incomplete })
    }
}

impl Hinter for Typist {
    type Hint = String;
}

impl Highlighter for Typist {}
impl Helper for Typist {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_quoted_where_they_must_be() {
        for (name, written) in [
            ("orders", "orders"),
            ("Orders", "\"Orders\""),
            ("a b", "\"a b\""),
            ("1a", "\"1a\""),
            ("x\"", "\"x\"\"\""),
        ] {
            assert_eq!(quoted(name), written);
        }
    }

    #[test]
    fn a_word_begins_behind_what_separates_words() {
        for (line, word) in [
            ("SELECT na", "na"),
            ("SELECT o.na", "na"),
            ("WHERE (a=b", "b"),
            ("\\d or", "or"),
            ("\\fo", "\\fo"),
            ("", ""),
            ("ü ö", "ö"),
        ] {
            assert_eq!(&line[begin_of_word(line)..], word, "{line}");
        }
    }
}
