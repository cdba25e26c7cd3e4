//! [`MapSchema`]: the columns of a map, and by which of them its records are spread over the partitions.

use serde::{Deserialize, Serialize};

use crate::error::{Error, ErrorCode, Result};

/// The most columns of a map, and the most bytes of all their names: every node keeps them for every map.
pub const COLUMNS_MAX: usize = 512;
const NAMES_BYTES_MAX: usize = 16 << 10;

/// What a column holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ColumnType {
    /// True or false.
    Boolean,
    /// Whole numbers.
    BigInt,
    /// Numbers.
    Double,
    /// Text.
    Text,
    /// Bytes.
    Bytes,
    /// Points in time: text as RFC 3339 has it, or milliseconds since 1970.
    Timestamp,
    /// Anything, as the text of its JSON.
    Json,
}

impl ColumnType {
    /// All of them.
    pub const ALL: [ColumnType; 7] = [
        ColumnType::Boolean,
        ColumnType::BigInt,
        ColumnType::Double,
        ColumnType::Text,
        ColumnType::Bytes,
        ColumnType::Timestamp,
        ColumnType::Json,
    ];

    /// As SQL calls it.
    pub fn name(self) -> &'static str {
        match self {
            ColumnType::Boolean => "BOOLEAN",
            ColumnType::BigInt => "BIGINT",
            ColumnType::Double => "DOUBLE",
            ColumnType::Text => "TEXT",
            ColumnType::Bytes => "BYTEA",
            ColumnType::Timestamp => "TIMESTAMP",
            ColumnType::Json => "JSON",
        }
    }

    /// The type of this name.
    pub fn named(name: &str) -> Option<Self> {
        ColumnType::ALL.into_iter().find(|one| one.name() == name)
    }
}

/// A column of a map: a field of its values.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MapColumn {
    /// The name of the field.
    pub name: String,
    /// What it holds.
    pub holds: ColumnType,
}

/// What the values of a map are: objects with these fields, and others that are no columns.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MapSchema {
    /// The columns, in the order in which they are shown.
    pub columns: Vec<MapColumn>,
    /// The column whose text is the partition key of each record's key.
    #[serde(default)]
    pub partition_by: Option<String>,
}

impl MapSchema {
    /// The column of this name.
    pub fn column(&self, name: &str) -> Option<&MapColumn> {
        self.columns.iter().find(|column| column.name == name)
    }

    /// Refuses columns that cannot be.
    ///
    /// # Errors
    /// `ArgumentInvalid`, with what is wrong.
    pub fn check(&self) -> Result<()> {
        let wrong = |why: String| Err(Error::new(ErrorCode::ArgumentInvalid, why));
        if self.columns.is_empty() || self.columns.len() > COLUMNS_MAX {
            return wrong(format!(
                "{} columns; 1 to {COLUMNS_MAX} are possible",
                self.columns.len()
            ));
        }
        let bytes: usize = self.columns.iter().map(|column| column.name.len()).sum();
        if bytes > NAMES_BYTES_MAX {
            return wrong(format!("names of {bytes} bytes; at most {NAMES_BYTES_MAX} in all"));
        }
        let mut names: Vec<&str> = self.columns.iter().map(|column| &*column.name).collect();
        names.sort_unstable();
        if let Some(twice) = names.windows(2).find(|pair| pair[0] == pair[1]) {
            return wrong(format!("two columns {:?}", twice[0]));
        }
        if let Some(name) = names.iter().find(|name| name.is_empty() || name.starts_with('_')) {
            return wrong(format!("a column {name:?}: names that begin with _ are the grid's"));
        }
        let Some(spread_by) = &self.partition_by else { return Ok(()) };
        match self.column(spread_by).map(|column| column.holds) {
            Some(ColumnType::Text | ColumnType::BigInt) => Ok(()),
            Some(_) => wrong(format!("PARTITION BY {spread_by}: only TEXT and BIGINT can be that")),
            None => wrong(format!("PARTITION BY {spread_by}, which is no column")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn schema(columns: &[(&str, ColumnType)], partition_by: Option<&str>) -> MapSchema {
        let column =
            |(name, holds): &(&str, ColumnType)| MapColumn { name: (*name).into(), holds: *holds };
        let partition_by = partition_by.map(str::to_owned);
        MapSchema { columns: columns.iter().map(column).collect(), partition_by }
    }

    #[test]
    fn columns_that_cannot_be_are_refused_with_why() {
        let (text, double) = (ColumnType::Text, ColumnType::Double);
        assert_eq!(schema(&[("a", text), ("b", double)], Some("a")).check(), Ok(()));
        let many: Vec<String> = (0..=COLUMNS_MAX).map(|n| format!("c{n}")).collect();
        let many: Vec<(&str, ColumnType)> = many.iter().map(|name| (&**name, text)).collect();
        let long = "x".repeat(NAMES_BYTES_MAX + 1);
        for (columns, spread_by, why) in [
            (&[][..], None, "0 columns"),
            (&many, None, "513 columns"),
            (&[(&*long, text)], None, "16385 bytes"),
            (&[("a", text), ("a", double)], None, "two columns \"a\""),
            (&[("_key", text)], None, "_key"),
            (&[("", text)], None, "a column \"\""),
            (&[("a", text)], Some("b"), "no column"),
            (&[("a", double)], Some("a"), "only TEXT and BIGINT"),
        ] {
            let error = schema(columns, spread_by).check().expect_err(why);
            assert_eq!(error.code(), ErrorCode::ArgumentInvalid);
            assert!(error.detail().contains(why), "{why}: {error}");
        }
    }

    #[test]
    fn types_are_found_by_their_names() {
        for one in ColumnType::ALL {
            assert_eq!(ColumnType::named(one.name()), Some(one));
        }
        assert_eq!(ColumnType::named("MONEY"), None);
    }
}
