//! [`Parameter`]: a value for `$1` in a statement.

use bytes::Bytes;
use datafusion::common::ScalarValue;

/// A value that a statement is given.
#[derive(Clone, Debug, PartialEq)]
pub enum Parameter {
    /// NULL.
    Null,
    /// True or false.
    Boolean(bool),
    /// A whole number.
    BigInt(i64),
    /// A number.
    Double(f64),
    /// Text.
    Text(String),
    /// Bytes.
    Bytes(Bytes),
}

impl Parameter {
    /// How many bytes of text it has, or others.
    pub(crate) fn bytes(&self) -> usize {
        match self {
            Parameter::Text(text) => text.len(),
            Parameter::Bytes(bytes) => bytes.len(),
            _ => 0,
        }
    }
}

impl From<Parameter> for ScalarValue {
    fn from(parameter: Parameter) -> Self {
        match parameter {
            Parameter::Null => ScalarValue::Null,
            Parameter::Boolean(value) => ScalarValue::Boolean(Some(value)),
            Parameter::BigInt(value) => ScalarValue::Int64(Some(value)),
            Parameter::Double(value) => ScalarValue::Float64(Some(value)),
            Parameter::Text(value) => ScalarValue::Utf8(Some(value)),
            Parameter::Bytes(value) => ScalarValue::Binary(Some(value.into())),
        }
    }
}
