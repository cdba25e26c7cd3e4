//! [`Wanted`]: the fields of a value that somebody asks for, read in one pass, also those within others.

use std::borrow::Cow;
use std::cmp::Ordering;

use crate::cell::{Cell, hex};
use crate::fields::{Take, fields};
use crate::filter::Field;

/// What stands in a field.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Seen<'a> {
    /// Nothing.
    Null,
    /// True or false.
    Boolean(bool),
    /// A whole number.
    BigInt(i64),
    /// A number.
    Double(f64),
    /// Text.
    Text(&'a str),
    /// Bytes.
    Bytes(&'a [u8]),
    /// A list or an object.
    Nested(&'a serde_json::Value),
}

impl<'a> Seen<'a> {
    /// What a cell holds.
    pub fn of_cell(cell: &'a Cell<'_>) -> Self {
        match cell {
            Cell::Null => Seen::Null,
            Cell::Boolean(value) => Seen::Boolean(*value),
            Cell::BigInt(value) => Seen::BigInt(*value),
            Cell::Double(value) => Seen::Double(*value),
            Cell::Text(value) => Seen::Text(value),
            Cell::Bytes(value) => Seen::Bytes(value),
            Cell::Nested(value) => Seen::of_json(value),
        }
    }

    /// What a value of JSON holds.
    pub fn of_json(json: &'a serde_json::Value) -> Self {
        use serde_json::Value;
        match json {
            Value::Null => Seen::Null,
            Value::Bool(value) => Seen::Boolean(*value),
            Value::Number(number) => match number.as_i64() {
                Some(whole) => Seen::BigInt(whole),
                None => number.as_f64().map_or(Seen::Null, Seen::Double),
            },
            Value::String(text) => Seen::Text(text),
            Value::Array(_) | Value::Object(_) => Seen::Nested(json),
        }
    }

    /// The same, kept.
    pub fn to_cell(self) -> Cell<'static> {
        match self {
            Seen::Null => Cell::Null,
            Seen::Boolean(value) => Cell::Boolean(value),
            Seen::BigInt(value) => Cell::BigInt(value),
            Seen::Double(value) => Cell::Double(value),
            Seen::Text(value) => Cell::Text(Cow::Owned(value.to_owned())),
            Seen::Bytes(value) => Cell::Bytes(Cow::Owned(value.to_owned())),
            Seen::Nested(value) => Cell::Nested(value.clone()),
        }
    }

    /// How two compare; `None` where either is nothing, they are of different types, or of one that has no order. Whole numbers
    /// and others are one type.
    pub fn compare(self, other: Seen<'_>) -> Option<Ordering> {
        match (self, other) {
            (Seen::Boolean(one), Seen::Boolean(other)) => Some(one.cmp(&other)),
            (Seen::BigInt(one), Seen::BigInt(other)) => Some(one.cmp(&other)),
            (Seen::Double(one), Seen::Double(other)) => one.partial_cmp(&other),
            (Seen::BigInt(one), Seen::Double(other)) => whole_with(one, other),
            (Seen::Double(one), Seen::BigInt(other)) => {
                whole_with(other, one).map(Ordering::reverse)
            }
            (Seen::Text(one), Seen::Text(other)) => Some(one.cmp(other)),
            (Seen::Bytes(one), Seen::Bytes(other)) => Some(one.cmp(other)),
            _ => None,
        }
    }
}

/// Two to the power of 63: all whole numbers are below.
const WHOLE_END: f64 = 9_223_372_036_854_775_808.0;

/// How a whole number compares with another one, to the last digit.
fn whole_with(whole: i64, number: f64) -> Option<Ordering> {
    if number.is_nan() {
        return None;
    }
    if number >= WHOLE_END {
        return Some(Ordering::Less);
    }
    if number < -WHOLE_END {
        return Some(Ordering::Greater);
    }
    // It fits: what is behind the point decides between equals.
    let below = number.floor();
    let fraction = if number > below { Ordering::Less } else { Ordering::Equal };
    Some(whole.cmp(&(below as i64)).then(fraction))
}

/// Fields that are asked for.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Wanted {
    /// The names of the outermost ones, in order.
    names: Vec<String>,
    with_key: bool,
}

impl Wanted {
    /// These.
    pub fn new<'f>(fields: impl IntoIterator<Item = &'f Field>) -> Self {
        let mut wanted = Wanted::default();
        for field in fields {
            match field {
                Field::Key => wanted.with_key = true,
                Field::Path(path) => wanted.names.extend(path.first().cloned()),
            }
        }
        wanted.names.sort_unstable();
        wanted.names.dedup();
        wanted
    }

    /// Whether no field of the value is among them.
    pub(crate) fn is_empty(&self) -> bool {
        self.names.is_empty()
    }

    /// Reads them. A value without fields has none of them; nor is a value looked at of which no field is wanted.
    ///
    /// # Errors
    /// The value is not what its beginning says.
    pub fn read<'w, 'v>(&'w self, key: &'v [u8], value: &'v [u8]) -> Result<Found<'w, 'v>, String> {
        let key = if self.with_key { key_text(key) } else { Cow::Borrowed("") };
        let mut found =
            Found { names: &self.names, key, cells: vec![Cell::Null; self.names.len()] };
        if !self.names.is_empty() {
            fields(value, &mut found)?;
        }
        Ok(found)
    }
}

/// A key as `_key` shows it: text, or `\x` and hexadecimal digits.
pub fn key_text(key: &[u8]) -> Cow<'_, str> {
    match std::str::from_utf8(key) {
        Ok(text) => Cow::Borrowed(text),
        Err(_) => Cow::Owned(hex(key)),
    }
}

/// The fields of one value.
#[derive(Debug)]
pub struct Found<'w, 'v> {
    names: &'w [String],
    key: Cow<'v, str>,
    cells: Vec<Cell<'v>>,
}

impl Found<'_, '_> {
    /// What stands in a field that was asked for; nothing in all others.
    pub fn get(&self, field: &Field) -> Seen<'_> {
        let path = match field {
            Field::Key => return Seen::Text(&self.key),
            Field::Path(path) => path,
        };
        let Some((name, within)) = path.split_first() else { return Seen::Null };
        let Ok(place) = self.names.binary_search(name) else { return Seen::Null };
        let cell = &self.cells[place];
        match (within, cell) {
            ([], cell) => Seen::of_cell(cell),
            (within, Cell::Nested(json)) => {
                let inner = within.iter().try_fold(json, |json, name| json.get(name));
                inner.map_or(Seen::Null, Seen::of_json)
            }
            _ => Seen::Null,
        }
    }
}

impl<'v> Take<'v> for Found<'_, 'v> {
    fn place(&mut self, name: &str) -> Option<usize> {
        self.names.binary_search_by(|wanted| wanted.as_str().cmp(name)).ok()
    }

    fn put(&mut self, place: usize, cell: Cell<'v>) {
        self.cells[place] = cell;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::filter::col;

    fn field(name: &str) -> Field {
        col(name)
    }

    #[test]
    fn fields_are_found_however_deep_they_are() {
        let (age, city, key) = (field("age"), field("home.city"), Field::Key);
        let wanted = Wanted::new([&age, &city, &key]);
        let value = br#"{"other": [1], "home": {"city": "Wien", "zip": 1}, "age": 4}"#;
        let found = wanted.read(b"k", value).expect("JSON");
        assert_eq!(found.get(&age), Seen::BigInt(4));
        assert_eq!(found.get(&city), Seen::Text("Wien"));
        assert_eq!(found.get(&key), Seen::Text("k"));
        assert_eq!(found.get(&field("other")), Seen::Null, "it was not asked for");
        assert_eq!(wanted.read(b"\xff", b"text").expect("no fields").get(&age), Seen::Null);
        assert_eq!(wanted.read(b"\xff", b"text").expect("none").get(&key), Seen::Text("\\xff"));
        assert!(wanted.read(b"k", b"{broken").is_err());
        assert!(Wanted::new([&key]).read(b"k", b"{broken").is_ok(), "it is not looked at");
    }

    #[test]
    fn whole_numbers_and_others_compare_to_the_last_digit() {
        let large = i64::MAX;
        let cases = [
            (2, 2.0, Some(Ordering::Equal)),
            (2, 2.5, Some(Ordering::Less)),
            (-2, -2.5, Some(Ordering::Greater)),
            (-3, -2.5, Some(Ordering::Less)),
            (large, WHOLE_END, Some(Ordering::Less)),
            (large, 9_223_372_036_854_774_784.0, Some(Ordering::Greater)),
            (i64::MIN, -WHOLE_END, Some(Ordering::Equal)),
            (0, f64::NEG_INFINITY, Some(Ordering::Greater)),
            (0, f64::NAN, None),
        ];
        for (whole, number, expected) in cases {
            let (whole, number) = (Seen::BigInt(whole), Seen::Double(number));
            assert_eq!(whole.compare(number), expected, "{whole:?} {number:?}");
            assert_eq!(number.compare(whole), expected.map(Ordering::reverse));
        }
        assert_eq!(Seen::BigInt(1).compare(Seen::Text("1")), None);
        assert_eq!(Seen::Null.compare(Seen::Null), None);
    }
}
