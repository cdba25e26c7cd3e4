//! [`Cell`]: one value of a row in one column, and [`Kind`]: what a column holds.

use std::borrow::Cow;

use datafusion::arrow::datatypes::DataType;

/// What a column holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
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
    /// Anything, as the text of its JSON.
    Json,
}

impl Kind {
    /// As Arrow calls it.
    pub(crate) fn data_type(self) -> DataType {
        match self {
            Kind::Boolean => DataType::Boolean,
            Kind::BigInt => DataType::Int64,
            Kind::Double => DataType::Float64,
            Kind::Text | Kind::Json => DataType::Utf8,
            Kind::Bytes => DataType::Binary,
        }
    }

    /// As SQL calls it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Kind::Boolean => "BOOLEAN",
            Kind::BigInt => "BIGINT",
            Kind::Double => "DOUBLE",
            Kind::Text => "TEXT",
            Kind::Bytes => "BYTEA",
            Kind::Json => "JSON",
        }
    }

    /// What can hold both.
    pub(crate) fn or(self, other: Kind) -> Kind {
        match (self, other) {
            (one, other) if one == other => one,
            (Kind::BigInt, Kind::Double) | (Kind::Double, Kind::BigInt) => Kind::Double,
            _ => Kind::Json,
        }
    }
}

/// One value.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) enum Cell<'a> {
    /// None.
    #[default]
    Null,
    Boolean(bool),
    BigInt(i64),
    Double(f64),
    Text(Cow<'a, str>),
    Bytes(Cow<'a, [u8]>),
    /// A list or an object.
    Nested(serde_json::Value),
}

impl Cell<'_> {
    /// What it is; nothing is nothing in particular.
    pub(crate) fn kind(&self) -> Option<Kind> {
        match self {
            Cell::Null => None,
            Cell::Boolean(_) => Some(Kind::Boolean),
            Cell::BigInt(_) => Some(Kind::BigInt),
            Cell::Double(_) => Some(Kind::Double),
            Cell::Text(_) => Some(Kind::Text),
            Cell::Bytes(_) => Some(Kind::Bytes),
            Cell::Nested(_) => Some(Kind::Json),
        }
    }

    /// The text of its JSON. Bytes, which JSON does not have, are text of hexadecimal digits there.
    pub(crate) fn to_json(&self) -> Option<String> {
        Some(match self {
            Cell::Null => return None,
            Cell::Boolean(value) => value.to_string(),
            Cell::BigInt(value) => value.to_string(),
            Cell::Double(value) => serde_json::Value::from(*value).to_string(),
            Cell::Text(value) => serde_json::Value::from(value.as_ref()).to_string(),
            Cell::Bytes(value) => serde_json::Value::from(hex(value)).to_string(),
            Cell::Nested(value) => value.to_string(),
        })
    }
}

/// Bytes as SQL writes them: `\x` and hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold("\\x".to_owned(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kind_that_holds_both_is_found() {
        assert_eq!(Kind::BigInt.or(Kind::BigInt), Kind::BigInt);
        assert_eq!(Kind::BigInt.or(Kind::Double), Kind::Double);
        assert_eq!(Kind::Double.or(Kind::BigInt), Kind::Double);
        assert_eq!(Kind::Text.or(Kind::BigInt), Kind::Json);
        assert_eq!(Kind::Json.or(Kind::Text), Kind::Json);
    }

    #[test]
    fn all_but_nothing_has_json() {
        let json = |cell: Cell<'_>| cell.to_json();
        assert_eq!(json(Cell::Null), None);
        assert_eq!(json(Cell::Text("a\"b".into())).as_deref(), Some("\"a\\\"b\""));
        assert_eq!(json(Cell::Double(1.5)).as_deref(), Some("1.5"));
        assert_eq!(json(Cell::Bytes(Cow::Borrowed(&[1, 255]))).as_deref(), Some("\"\\\\x01ff\""));
    }
}
