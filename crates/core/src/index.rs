//! [`MapIndex`]: what is kept beside a map's records so that some of them are found by their fields.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::error::{Error, ErrorCode, Result};

/// The most indexes of a map, columns of one, and names in the path of a column: each write pays for them.
pub const INDEXES_MAX: usize = 16;
/// The most columns of one index.
pub const INDEX_COLUMNS_MAX: usize = 8;
/// How deep a column may lie in the value.
pub const INDEX_PATH_MAX: usize = 16;
/// The longest name of an index, and of a field on the way to a column.
const NAME_BYTES_MAX: usize = 128;

/// What an index can answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum IndexKind {
    /// Equality of all columns; the smallest.
    Hash,
    /// Equality of the first columns, and a range of the next.
    #[default]
    Ordered,
    /// What a list holds.
    Inverted,
}

impl IndexKind {
    /// All of them.
    pub const ALL: [IndexKind; 3] = [IndexKind::Hash, IndexKind::Ordered, IndexKind::Inverted];

    /// As SQL and operators call it.
    pub fn name(self) -> &'static str {
        match self {
            IndexKind::Hash => "hash",
            IndexKind::Ordered => "ordered",
            IndexKind::Inverted => "inverted",
        }
    }

    /// The kind of this name.
    pub fn named(name: &str) -> Option<Self> {
        IndexKind::ALL.into_iter().find(|one| one.name() == name)
    }
}

/// A column of an index.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct IndexColumn {
    /// The field of the value, the field within that, and so on.
    pub path: Vec<String>,
    /// Whether its texts are points in time.
    #[serde(default)]
    pub is_time: bool,
}

impl IndexColumn {
    /// The column that this names: `a.b` is the field `b` within `a`.
    pub fn of_text(text: &str) -> Self {
        IndexColumn { path: text.split('.').map(str::to_owned).collect(), is_time: false }
    }
}

impl fmt::Display for IndexColumn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.path.join("."))
    }
}

/// An index of a map.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MapIndex {
    /// Its name, the only one of the map.
    pub name: String,
    /// What it can answer.
    #[serde(default)]
    pub kind: IndexKind,
    /// What it is made of, in order.
    pub columns: Vec<IndexColumn>,
    /// Whether no two records with the same partition key may have the same columns.
    #[serde(default)]
    pub unique: bool,
}

impl MapIndex {
    /// Refuses indexes of one map that cannot be.
    ///
    /// # Errors
    /// `ArgumentInvalid`, with what is wrong.
    pub fn check_all(indexes: &[MapIndex]) -> Result<()> {
        if indexes.len() > INDEXES_MAX {
            return wrong(format!("{} indexes; at most {INDEXES_MAX}", indexes.len()));
        }
        let mut names: Vec<&str> = indexes.iter().map(|index| &*index.name).collect();
        names.sort_unstable();
        if let Some(twice) = names.windows(2).find(|pair| pair[0] == pair[1]) {
            return wrong(format!("two indexes {:?}", twice[0]));
        }
        indexes.iter().try_for_each(MapIndex::check)
    }

    fn check(&self) -> Result<()> {
        let name = &self.name;
        let is_plain = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
        if name.is_empty() || name.len() > NAME_BYTES_MAX || !name.chars().all(is_plain) {
            let shown: String = name.chars().take(40).collect();
            return wrong(format!(
                "an index {shown:?}: names have 1 to {NAME_BYTES_MAX} letters, digits, dots, dashes and underscores"
            ));
        }
        let count = self.columns.len();
        if count == 0 || count > INDEX_COLUMNS_MAX {
            return wrong(format!(
                "index {name}: {count} columns; 1 to {INDEX_COLUMNS_MAX} are possible"
            ));
        }
        for (place, column) in self.columns.iter().enumerate() {
            if column.path.is_empty() || column.path.len() > INDEX_PATH_MAX {
                return wrong(format!(
                    "index {name}: a path of {} fields; 1 to {INDEX_PATH_MAX} are possible",
                    column.path.len()
                ));
            }
            let is_bad = |part: &String| part.is_empty() || part.len() > NAME_BYTES_MAX;
            if column.path.iter().any(is_bad) {
                return wrong(format!(
                    "index {name}: a field's name has 1 to {NAME_BYTES_MAX} bytes"
                ));
            }
            if column.path[0].starts_with('_') {
                return wrong(format!(
                    "index {name}: {column} is no field of the values; names that begin with _ are the grid's"
                ));
            }
            if self.columns[..place].iter().any(|other| other.path == column.path) {
                return wrong(format!("index {name}: {column} twice"));
            }
        }
        if self.kind == IndexKind::Inverted && (count > 1 || self.unique) {
            return wrong(format!(
                "index {name}: an inverted index has one column, and is not unique"
            ));
        }
        Ok(())
    }
}

impl fmt::Display for MapIndex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let columns: Vec<String> = self.columns.iter().map(ToString::to_string).collect();
        write!(f, "{} ({})", self.name, columns.join(", "))
    }
}

fn wrong<T>(why: String) -> Result<T> {
    Err(Error::new(ErrorCode::ArgumentInvalid, why))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn index(name: &str, columns: &[&str]) -> MapIndex {
        let columns = columns.iter().map(|text| IndexColumn::of_text(text)).collect();
        MapIndex { name: name.to_owned(), kind: IndexKind::Ordered, columns, unique: false }
    }

    #[test]
    fn indexes_that_cannot_be_are_refused_with_why() {
        assert_eq!(MapIndex::check_all(&[index("a", &["x", "y.z"]), index("b", &["x"])]), Ok(()));
        let deep = ["x"; INDEX_PATH_MAX + 1].join(".");
        let inverted = |columns: &[&str], unique| MapIndex {
            kind: IndexKind::Inverted,
            unique,
            ..index("i", columns)
        };
        for (indexes, why) in [
            (vec![index("a", &["x"]), index("a", &["y"])], "two indexes \"a\""),
            ((0..17).map(|n| index(&format!("i{n}"), &["x"])).collect(), "17 indexes"),
            (vec![index("", &["x"])], "an index \"\""),
            (vec![index("a b", &["x"])], "an index \"a b\""),
            (vec![index("a", &[])], "0 columns"),
            (vec![index("a", &["a", "b", "c", "d", "e", "f", "g", "h", "i"])], "9 columns"),
            (vec![index("a", &["x..y"])], "a field's name"),
            (vec![index("a", &[&deep])], "a path of 17 fields"),
            (vec![index("a", &["_key"])], "_key is no field"),
            (vec![index("a", &["x", "x"])], "x twice"),
            (vec![inverted(&["x", "y"], false)], "one column"),
            (vec![inverted(&["x"], true)], "not unique"),
        ] {
            let error = MapIndex::check_all(&indexes).expect_err(why);
            assert_eq!(error.code(), ErrorCode::ArgumentInvalid);
            assert!(error.detail().contains(why), "{why}: {error}");
        }
    }
}
