//! [`Filter`]: which records are meant, as a tree that is closed and bounded: there is nothing in it that could be executed, call
//! something or run for ever.
//!
//! Logic is that of SQL, with a third answer beside yes and no: a comparison with nothing, or with what is of another type, is
//! unknown, and so is its opposite. Only records of which the whole tree says yes are meant.

mod encoding;
mod evaluate;

use isogrid_core::{Error, ErrorCode, Result};

pub use evaluate::Predicate;

/// How deep a filter may be.
pub(crate) const DEPTH_MAX: usize = 32;

/// How many comparisons, constants and connectives a filter may have.
pub(crate) const NODES_MAX: usize = 1_000;

/// How many bytes a filter may take.
pub(crate) const BYTES_MAX: usize = 64 << 10;

/// How many names a path may have.
pub(crate) const PATH_LEN_MAX: usize = 16;

/// What is looked at of a record.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Field {
    /// Its key as text.
    Key,
    /// A field of its value, or of an object within it.
    Path(Vec<String>),
}

/// What a field is compared with.
#[derive(Clone, Debug, PartialEq)]
pub enum Constant {
    /// True or false.
    Boolean(bool),
    /// A whole number.
    BigInt(i64),
    /// A number.
    Double(f64),
    /// Text.
    Text(String),
    /// Bytes.
    Bytes(Vec<u8>),
}

/// How a field is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Comparison {
    /// Equal.
    Equal,
    /// Not equal.
    NotEqual,
    /// Below.
    Less,
    /// Not above.
    LessOrEqual,
    /// Above.
    Greater,
    /// Not below.
    GreaterOrEqual,
}

/// Which records are meant. Made by [`col`].
#[derive(Clone, Debug, PartialEq)]
pub enum Filter {
    /// A comparison with a constant.
    Compare(Field, Comparison, Constant),
    /// Equality with one of these.
    In(Field, Vec<Constant>),
    /// Whether nothing is there.
    IsNull(Field),
    /// Whether text begins with this.
    StartsWith(Field, String),
    /// Whether text has this in it, or a list has it as an item.
    Contains(Field, Constant),
    /// Whether what decides in which partition the record is, of its key what is in braces or else all of it, is one of these.
    OfPartitionKeys(Vec<String>),
    /// All of these; of none: yes.
    All(Vec<Filter>),
    /// One of these; of none: no.
    Any(Vec<Filter>),
    /// The opposite.
    Not(Box<Filter>),
}

/// A field of the value; `a.b` is the field `b` of the object in `a`. `_key` is the key as text, or as `\x` and
/// hexadecimal digits if it is none.
///
/// ```
/// use isogrid_value::{col, Predicate};
///
/// let adults = col("age").ge(18).and(col("home.city").is_in(["Wien", "Graz"]));
/// let predicate = Predicate::new(adults)?;
/// assert!(predicate.accepts(b"u1", br#"{"age": 41, "home": {"city": "Graz"}}"#));
/// assert!(!predicate.accepts(b"u2", br#"{"age": 12, "home": {"city": "Graz"}}"#));
/// # Ok::<(), isogrid_core::Error>(())
/// ```
pub fn col(path: &str) -> Field {
    match path {
        "_key" => Field::Key,
        path => Field::Path(path.split('.').map(str::to_owned).collect()),
    }
}

impl Field {
    fn compare(self, comparison: Comparison, constant: impl Into<Constant>) -> Filter {
        Filter::Compare(self, comparison, constant.into())
    }

    /// Equal to this.
    pub fn eq(self, constant: impl Into<Constant>) -> Filter {
        self.compare(Comparison::Equal, constant)
    }

    /// There, and not equal to this.
    pub fn ne(self, constant: impl Into<Constant>) -> Filter {
        self.compare(Comparison::NotEqual, constant)
    }

    /// Below this.
    pub fn lt(self, constant: impl Into<Constant>) -> Filter {
        self.compare(Comparison::Less, constant)
    }

    /// At most this.
    pub fn le(self, constant: impl Into<Constant>) -> Filter {
        self.compare(Comparison::LessOrEqual, constant)
    }

    /// Above this.
    pub fn gt(self, constant: impl Into<Constant>) -> Filter {
        self.compare(Comparison::Greater, constant)
    }

    /// At least this.
    pub fn ge(self, constant: impl Into<Constant>) -> Filter {
        self.compare(Comparison::GreaterOrEqual, constant)
    }

    /// At least the one and at most the other.
    pub fn between(self, low: impl Into<Constant>, high: impl Into<Constant>) -> Filter {
        self.clone().ge(low).and(self.le(high))
    }

    /// Equal to one of these.
    pub fn is_in<C: Into<Constant>>(self, constants: impl IntoIterator<Item = C>) -> Filter {
        Filter::In(self, constants.into_iter().map(Into::into).collect())
    }

    /// Not there, or there as NULL.
    pub fn is_null(self) -> Filter {
        Filter::IsNull(self)
    }

    /// There.
    pub fn is_not_null(self) -> Filter {
        !Filter::IsNull(self)
    }

    /// Text that begins with this.
    pub fn starts_with(self, prefix: impl Into<String>) -> Filter {
        Filter::StartsWith(self, prefix.into())
    }

    /// Text that has this in it, or a list that has it as an item.
    pub fn contains(self, constant: impl Into<Constant>) -> Filter {
        Filter::Contains(self, constant.into())
    }
}

impl Filter {
    /// Both.
    pub fn and(self, other: Filter) -> Filter {
        match self {
            Filter::All(mut all) => {
                all.push(other);
                Filter::All(all)
            }
            one => Filter::All(vec![one, other]),
        }
    }

    /// One of them, or both.
    pub fn or(self, other: Filter) -> Filter {
        match self {
            Filter::Any(mut any) => {
                any.push(other);
                Filter::Any(any)
            }
            one => Filter::Any(vec![one, other]),
        }
    }

    /// Refuses a filter that is larger than the bounds.
    ///
    /// # Errors
    /// `FilterInvalid`, which names the bound.
    pub fn check(&self) -> Result<()> {
        let mut nodes = 0;
        self.count(1, &mut nodes)
    }

    /// How many comparisons, constants and connectives it has.
    pub fn nodes(&self) -> usize {
        let mut nodes = 0;
        let _ = self.count(1, &mut nodes);
        nodes
    }

    fn count(&self, depth: usize, nodes: &mut usize) -> Result<()> {
        if depth > DEPTH_MAX {
            return Err(invalid(format!("it is deeper than {DEPTH_MAX}")));
        }
        *nodes += 1;
        match self {
            Filter::All(filters) | Filter::Any(filters) => {
                for filter in filters {
                    filter.count(depth + 1, nodes)?;
                }
            }
            Filter::Not(filter) => filter.count(depth + 1, nodes)?,
            Filter::In(_, constants) => *nodes += constants.len(),
            Filter::OfPartitionKeys(keys) => *nodes += keys.len(),
            Filter::Compare(..)
            | Filter::IsNull(_)
            | Filter::StartsWith(..)
            | Filter::Contains(..) => {}
        }
        if let Some(field) = self.field() {
            field.check()?;
        }
        if *nodes > NODES_MAX {
            return Err(invalid(format!(
                "it has more than {NODES_MAX} comparisons, constants and connectives"
            )));
        }
        Ok(())
    }

    /// The field of a comparison.
    fn field(&self) -> Option<&Field> {
        match self {
            Filter::Compare(field, ..)
            | Filter::In(field, _)
            | Filter::IsNull(field)
            | Filter::StartsWith(field, _)
            | Filter::Contains(field, _) => Some(field),
            Filter::OfPartitionKeys(_) | Filter::All(_) | Filter::Any(_) | Filter::Not(_) => None,
        }
    }

    /// The keys that it names, if it can mean no other records. A key that looks like hexadecimal digits may be one that is no text.
    pub fn keys(&self) -> Option<Vec<&str>> {
        fn text(constant: &Constant) -> Option<&str> {
            constant.as_str().filter(|text| !text.starts_with("\\x"))
        }
        match self {
            Filter::Compare(Field::Key, Comparison::Equal, constant) => {
                text(constant).map(|key| vec![key])
            }
            Filter::In(Field::Key, constants) => constants.iter().map(text).collect(),
            Filter::All(filters) => filters.iter().find_map(Filter::keys),
            _ => None,
        }
    }

    /// All fields that it looks at, some more than once.
    pub fn fields(&self) -> Vec<&Field> {
        match self {
            Filter::All(filters) | Filter::Any(filters) => {
                filters.iter().flat_map(Filter::fields).collect()
            }
            Filter::Not(filter) => filter.fields(),
            comparison => comparison.field().into_iter().collect(),
        }
    }
}

impl Field {
    /// Refuses a path that is too long or has no names.
    pub(crate) fn check(&self) -> Result<()> {
        match self {
            Field::Path(path) if path.is_empty() || path.len() > PATH_LEN_MAX => {
                Err(invalid(format!("a path has 1 to {PATH_LEN_MAX} names")))
            }
            _ => Ok(()),
        }
    }
}

impl std::ops::Not for Filter {
    type Output = Filter;

    fn not(self) -> Filter {
        Filter::Not(Box::new(self))
    }
}

pub(crate) fn invalid(why: impl Into<String>) -> Error {
    Error::new(ErrorCode::FilterInvalid, why)
}

impl Constant {
    /// The whole number that it is.
    pub fn as_i64(&self) -> Option<i64> {
        match self {
            Constant::BigInt(value) => Some(*value),
            _ => None,
        }
    }

    /// The number that it is.
    pub fn as_f64(&self) -> Option<f64> {
        match self {
            Constant::BigInt(value) => Some(*value as f64),
            Constant::Double(value) => Some(*value),
            _ => None,
        }
    }

    /// The text that it is.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Constant::Text(value) => Some(value),
            _ => None,
        }
    }
}

impl From<bool> for Constant {
    fn from(value: bool) -> Self {
        Constant::Boolean(value)
    }
}

impl From<i64> for Constant {
    fn from(value: i64) -> Self {
        Constant::BigInt(value)
    }
}

impl From<i32> for Constant {
    fn from(value: i32) -> Self {
        Constant::BigInt(value.into())
    }
}

impl From<u32> for Constant {
    fn from(value: u32) -> Self {
        Constant::BigInt(value.into())
    }
}

impl From<f64> for Constant {
    fn from(value: f64) -> Self {
        Constant::Double(value)
    }
}

impl From<&str> for Constant {
    fn from(value: &str) -> Self {
        Constant::Text(value.to_owned())
    }
}

impl From<String> for Constant {
    fn from(value: String) -> Self {
        Constant::Text(value)
    }
}

impl From<Vec<u8>> for Constant {
    fn from(value: Vec<u8>) -> Self {
        Constant::Bytes(value)
    }
}

#[cfg(test)]
#[path = "filter_test.rs"]
mod tests;
