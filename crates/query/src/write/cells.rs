//! [`Cells`]: a column of Arrow as fields of values.

use std::borrow::Cow;

use datafusion::arrow::array::{
    Array, ArrayRef, AsArray, BinaryArray, BooleanArray, Float64Array, Int64Array, StringArray,
    StructArray, UInt64Array,
};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{DataType, Float64Type, Int64Type, UInt64Type};
use datafusion::arrow::error::ArrowError;
use isogrid_core::ColumnType;
use isogrid_value::{Cell, hex};
use serde_json::Value;

/// A column, row by row.
pub(super) enum Cells {
    Null,
    Boolean(BooleanArray),
    Whole(Int64Array),
    /// Some of these are too large for SQL's whole numbers.
    Unsigned(UInt64Array),
    Double(Float64Array),
    Text(StringArray),
    /// Text that is JSON.
    Json(StringArray),
    Bytes(BinaryArray),
    List(ArrayRef),
    Object(StructArray),
}

impl Cells {
    /// A column of a query, for a field of which it is known what it holds or not.
    pub(super) fn new(array: &ArrayRef, holds: Option<ColumnType>) -> Result<Self, ArrowError> {
        let to = |data_type: DataType| cast(array, &data_type);
        Ok(match array.data_type() {
            DataType::Null => Cells::Null,
            DataType::Boolean => Cells::Boolean(array.as_boolean().clone()),
            DataType::UInt64 => Cells::Unsigned(array.as_primitive::<UInt64Type>().clone()),
            whole if whole.is_integer() => {
                Cells::Whole(to(DataType::Int64)?.as_primitive::<Int64Type>().clone())
            }
            DataType::Float16
            | DataType::Float32
            | DataType::Float64
            | DataType::Decimal32(..)
            | DataType::Decimal64(..)
            | DataType::Decimal128(..)
            | DataType::Decimal256(..) => {
                Cells::Double(to(DataType::Float64)?.as_primitive::<Float64Type>().clone())
            }
            DataType::Binary
            | DataType::LargeBinary
            | DataType::BinaryView
            | DataType::FixedSizeBinary(_) => {
                Cells::Bytes(to(DataType::Binary)?.as_binary::<i32>().clone())
            }
            DataType::List(_) | DataType::LargeList(_) | DataType::FixedSizeList(..) => {
                Cells::List(ArrayRef::clone(array))
            }
            DataType::Struct(_) => Cells::Object(array.as_struct().clone()),
            // Points in time are said with their zone, which is UTC where nothing is said.
            DataType::Timestamp(unit, None) => {
                let zoned = to(DataType::Timestamp(*unit, Some("UTC".into())))?;
                Cells::Text(cast(&zoned, &DataType::Utf8)?.as_string::<i32>().clone())
            }
            _ => {
                let texts = to(DataType::Utf8)?.as_string::<i32>().clone();
                match holds {
                    Some(ColumnType::Json) => Cells::Json(texts),
                    _ => Cells::Text(texts),
                }
            }
        })
    }

    fn is_null(&self, row: usize) -> bool {
        match self {
            Cells::Null => true,
            Cells::Boolean(array) => array.is_null(row),
            Cells::Whole(array) => array.is_null(row),
            Cells::Unsigned(array) => array.is_null(row),
            Cells::Double(array) => array.is_null(row),
            Cells::Text(array) | Cells::Json(array) => array.is_null(row),
            Cells::Bytes(array) => array.is_null(row),
            Cells::List(array) => array.is_null(row),
            Cells::Object(array) => array.is_null(row),
        }
    }

    /// The field of a row.
    ///
    /// # Errors
    /// In words: it is to be JSON and is none, or no value can hold it.
    pub(super) fn cell(&self, row: usize) -> Result<Cell<'_>, String> {
        if self.is_null(row) {
            return Ok(Cell::Null);
        }
        Ok(match self {
            Cells::Null => Cell::Null,
            Cells::Boolean(array) => Cell::Boolean(array.value(row)),
            Cells::Whole(array) => Cell::BigInt(array.value(row)),
            Cells::Unsigned(array) => {
                let value = array.value(row);
                i64::try_from(value).map_or_else(|_| Cell::Nested(value.into()), Cell::BigInt)
            }
            Cells::Double(array) => Cell::Double(array.value(row)),
            Cells::Text(array) => Cell::Text(Cow::Borrowed(array.value(row))),
            Cells::Json(array) => {
                let text = array.value(row);
                Cell::Nested(serde_json::from_str(text).map_err(|error| {
                    format!("is no JSON: {error} (text in JSON stands in double quotes)")
                })?)
            }
            Cells::Bytes(array) => Cell::Bytes(Cow::Borrowed(array.value(row))),
            Cells::List(array) => Cell::Nested(items(&item(array, row)?)?),
            Cells::Object(array) => Cell::Nested(object(array, row)?),
        })
    }

    /// The bytes of a key or of a value.
    pub(super) fn bytes(&self, row: usize) -> Option<&[u8]> {
        match self {
            _ if self.is_null(row) => None,
            Cells::Text(array) => Some(array.value(row).as_bytes()),
            Cells::Bytes(array) => Some(array.value(row)),
            _ => None,
        }
    }

    /// The number of a version, or of a point in time.
    pub(super) fn whole(&self, row: usize) -> Option<i64> {
        match self {
            Cells::Whole(array) if array.is_valid(row) => Some(array.value(row)),
            _ => None,
        }
    }
}

/// The list that stands in a row.
fn item(array: &ArrayRef, row: usize) -> Result<ArrayRef, String> {
    match array.data_type() {
        DataType::List(_) => Ok(array.as_list::<i32>().value(row)),
        DataType::LargeList(_) => Ok(array.as_list::<i64>().value(row)),
        DataType::FixedSizeList(..) => Ok(array.as_fixed_size_list().value(row)),
        other => Err(format!("is {other}, which no value can hold")),
    }
}

fn items(list: &ArrayRef) -> Result<Value, String> {
    let cells = Cells::new(list, None).map_err(|error| error.to_string())?;
    (0..list.len()).map(|row| value(cells.cell(row)?)).collect::<Result<_, _>>().map(Value::Array)
}

fn object(array: &StructArray, row: usize) -> Result<Value, String> {
    let mut fields = serde_json::Map::new();
    for (field, column) in array.fields().iter().zip(array.columns()) {
        let cells = Cells::new(&column.slice(row, 1), None).map_err(|error| error.to_string())?;
        fields.insert(field.name().clone(), value(cells.cell(0)?)?);
    }
    Ok(Value::Object(fields))
}

/// A field within a list or an object.
fn value(cell: Cell<'_>) -> Result<Value, String> {
    Ok(match cell {
        Cell::Null => Value::Null,
        Cell::Boolean(value) => value.into(),
        Cell::BigInt(value) => value.into(),
        Cell::Double(value) => serde_json::Number::from_f64(value)
            .map(Value::Number)
            .ok_or_else(|| format!("has {value}, which JSON does not have"))?,
        Cell::Text(value) => value.into(),
        Cell::Bytes(value) => hex(&value).into(),
        Cell::Nested(value) => value,
    })
}
