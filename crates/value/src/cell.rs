//! [`Cell`]: one field of one value.

use std::borrow::Cow;

use isogrid_core::ColumnType;

/// One value.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Cell<'a> {
    /// None.
    #[default]
    Null,
    /// True or false.
    Boolean(bool),
    /// A whole number.
    BigInt(i64),
    /// A number.
    Double(f64),
    /// Text.
    Text(Cow<'a, str>),
    /// Bytes.
    Bytes(Cow<'a, [u8]>),
    /// A list or an object.
    Nested(serde_json::Value),
}

impl Cell<'_> {
    /// What it is; nothing is nothing in particular.
    pub fn kind(&self) -> Option<ColumnType> {
        match self {
            Cell::Null => None,
            Cell::Boolean(_) => Some(ColumnType::Boolean),
            Cell::BigInt(_) => Some(ColumnType::BigInt),
            Cell::Double(_) => Some(ColumnType::Double),
            Cell::Text(_) => Some(ColumnType::Text),
            Cell::Bytes(_) => Some(ColumnType::Bytes),
            Cell::Nested(_) => Some(ColumnType::Json),
        }
    }

    /// A list or an object from its JSON; text that is no JSON is text.
    pub fn json(text: String) -> Cell<'static> {
        match serde_json::from_str(&text) {
            Ok(value) => Cell::Nested(value),
            Err(_) => Cell::Text(text.into()),
        }
    }

    /// The text of its JSON. Bytes, which JSON does not have, are text of hexadecimal digits there.
    pub fn to_json(&self) -> Option<String> {
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
pub fn hex(bytes: &[u8]) -> String {
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
    fn all_but_nothing_has_json() {
        let json = |cell: Cell<'_>| cell.to_json();
        assert_eq!(json(Cell::Null), None);
        assert_eq!(json(Cell::Text("a\"b".into())).as_deref(), Some("\"a\\\"b\""));
        assert_eq!(json(Cell::Double(1.5)).as_deref(), Some("1.5"));
        assert_eq!(json(Cell::Bytes(Cow::Borrowed(&[1, 255]))).as_deref(), Some("\"\\\\x01ff\""));
    }
}
