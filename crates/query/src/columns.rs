//! [`Columns`]: what a map's table has for columns, and [`Builder`]: from records to batches of them.

use std::sync::Arc;

use datafusion::arrow::array::{
    ArrayRef, BinaryBuilder, BooleanBuilder, Float64Builder, Int64Builder, StringBuilder,
    TimestampMillisecondBuilder,
};
use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use datafusion::arrow::error::ArrowError;
use datafusion::arrow::record_batch::{RecordBatch, RecordBatchOptions};
use isogrid_core::{ColumnType, PartitionId};
use isogrid_value::{Cell, Take, hex, millis};
use serde::{Deserialize, Serialize};

use crate::source::Row;

/// What a column shows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Shows {
    /// The key.
    Key,
    /// A field of the value.
    Field(ColumnType),
    /// The whole value.
    Value,
    /// The version of the record.
    Version,
    /// When it expires.
    ExpiresAt,
    /// The partition it is in.
    Partition,
    /// The bytes of the key, for what writes.
    KeyBytes,
    /// The bytes of the value, for what writes.
    ValueBytes,
}

/// A column.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Column {
    pub(crate) name: String,
    pub(crate) shows: Shows,
}

/// The name of the column with the key.
pub(crate) const KEY: &str = "_key";
/// The name of the column with the partition.
pub(crate) const PARTITION: &str = "_partition";
/// The name of the column with the whole value.
pub(crate) const VALUE: &str = "_value";
/// The name of the column with the version.
pub(crate) const VERSION: &str = "_version";
/// The name of the column with the moment of expiry.
pub(crate) const EXPIRES_AT: &str = "_expires_at";
/// The name of the column with the key's bytes. Fields that begin so are no columns.
pub(crate) const KEY_BYTES: &str = "__key";
/// The name of the column with the value's bytes.
pub(crate) const VALUE_BYTES: &str = "__value";

/// Columns in order, all of a table's or some of them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Columns(Vec<Column>);

impl Columns {
    /// Those of a map whose values have these fields.
    pub(crate) fn of_fields(fields: impl IntoIterator<Item = (String, ColumnType)>) -> Self {
        let column = |name: &str, shows| Column { name: name.to_owned(), shows };
        let fields =
            fields.into_iter().map(|(name, kind)| Column { name, shows: Shows::Field(kind) });
        let mut all = vec![column(KEY, Shows::Key)];
        all.extend(fields);
        all.push(column(VALUE, Shows::Value));
        all.push(column(VERSION, Shows::Version));
        all.push(column(EXPIRES_AT, Shows::ExpiresAt));
        all.push(column(PARTITION, Shows::Partition));
        Columns(all)
    }

    /// The same, and the bytes of key and value.
    pub(crate) fn with_bytes(mut self) -> Self {
        let column = |name: &str, shows| Column { name: name.to_owned(), shows };
        self.0.push(column(KEY_BYTES, Shows::KeyBytes));
        self.0.push(column(VALUE_BYTES, Shows::ValueBytes));
        self
    }

    /// What a field's column holds, if the field has one.
    pub(crate) fn holds(&self, name: &str) -> Option<ColumnType> {
        self.0.iter().find(|column| column.name == name).and_then(|column| match column.shows {
            Shows::Field(kind) => Some(kind),
            _ => None,
        })
    }

    /// The name and the type of each, and whether it is a field of the value.
    pub(crate) fn described(&self) -> impl Iterator<Item = (&str, &'static str, bool)> {
        self.0.iter().map(|column| {
            let (holds, is_field) = match column.shows {
                Shows::Field(kind) => (kind, true),
                Shows::Key | Shows::Value => (ColumnType::Text, false),
                Shows::KeyBytes | Shows::ValueBytes => (ColumnType::Bytes, false),
                Shows::Version | Shows::Partition => (ColumnType::BigInt, false),
                Shows::ExpiresAt => (ColumnType::Timestamp, false),
            };
            (column.name.as_str(), holds.name(), is_field)
        })
    }

    /// These of them, in this order.
    pub(crate) fn project(&self, projection: Option<&Vec<usize>>) -> Columns {
        match projection {
            None => self.clone(),
            Some(places) => Columns(places.iter().map(|place| self.0[*place].clone()).collect()),
        }
    }

    /// As Arrow describes them.
    pub(crate) fn schema(&self) -> SchemaRef {
        let field = |column: &Column| {
            let (data_type, is_nullable) = match column.shows {
                Shows::Key | Shows::Value => (DataType::Utf8, false),
                Shows::KeyBytes | Shows::ValueBytes => (DataType::Binary, false),
                Shows::Field(kind) => (data_type(kind), true),
                Shows::Version | Shows::Partition => (DataType::Int64, false),
                Shows::ExpiresAt => (time_type(), true),
            };
            Field::new(&column.name, data_type, is_nullable)
        };
        Arc::new(Schema::new(self.0.iter().map(field).collect::<Vec<_>>()))
    }
}

/// As Arrow calls it.
pub(crate) fn data_type(kind: ColumnType) -> DataType {
    match kind {
        ColumnType::Boolean => DataType::Boolean,
        ColumnType::BigInt => DataType::Int64,
        ColumnType::Double => DataType::Float64,
        ColumnType::Text | ColumnType::Json => DataType::Utf8,
        ColumnType::Bytes => DataType::Binary,
        ColumnType::Timestamp => time_type(),
    }
}

pub(crate) fn time_type() -> DataType {
    DataType::Timestamp(TimeUnit::Millisecond, Some("UTC".into()))
}

/// What a column is built of.
enum Values {
    Boolean(BooleanBuilder),
    BigInt(Int64Builder),
    Double(Float64Builder),
    Text(StringBuilder),
    Json(StringBuilder),
    Bytes(BinaryBuilder),
    Time(TimestampMillisecondBuilder),
}

impl Values {
    fn new(shows: &Shows) -> Self {
        match shows {
            Shows::Key | Shows::Value => Values::Text(StringBuilder::new()),
            Shows::KeyBytes | Shows::ValueBytes => Values::Bytes(BinaryBuilder::new()),
            Shows::Version | Shows::Partition => Values::BigInt(Int64Builder::new()),
            Shows::ExpiresAt => Values::time(),
            Shows::Field(kind) => match kind {
                ColumnType::Boolean => Values::Boolean(BooleanBuilder::new()),
                ColumnType::BigInt => Values::BigInt(Int64Builder::new()),
                ColumnType::Double => Values::Double(Float64Builder::new()),
                ColumnType::Text => Values::Text(StringBuilder::new()),
                ColumnType::Json => Values::Json(StringBuilder::new()),
                ColumnType::Bytes => Values::Bytes(BinaryBuilder::new()),
                ColumnType::Timestamp => Values::time(),
            },
        }
    }

    fn time() -> Self {
        Values::Time(TimestampMillisecondBuilder::new().with_data_type(time_type()))
    }

    /// Adds a cell; gives it back if it is of another kind.
    fn push<'c>(&mut self, cell: Cell<'c>) -> Result<(), Cell<'c>> {
        match (self, cell) {
            (Values::Boolean(values), Cell::Boolean(value)) => values.append_value(value),
            (Values::Boolean(values), Cell::Null) => values.append_null(),
            (Values::BigInt(values), Cell::BigInt(value)) => values.append_value(value),
            (Values::BigInt(values), Cell::Null) => values.append_null(),
            (Values::Double(values), Cell::Double(value)) => values.append_value(value),
            (Values::Double(values), Cell::BigInt(value)) => values.append_value(value as f64),
            (Values::Double(values), Cell::Null) => values.append_null(),
            (Values::Text(values), Cell::Text(value)) => values.append_value(value),
            (Values::Text(values) | Values::Json(values), Cell::Null) => values.append_null(),
            (Values::Json(values), cell) => values.append_option(cell.to_json()),
            (Values::Bytes(values), Cell::Bytes(value)) => values.append_value(value),
            (Values::Bytes(values), Cell::Null) => values.append_null(),
            (Values::Time(values), Cell::BigInt(value)) => values.append_value(value),
            (Values::Time(values), Cell::Text(text)) => match millis(&text) {
                Some(value) => values.append_value(value),
                None => return Err(Cell::Text(text)),
            },
            (Values::Time(values), Cell::Null) => values.append_null(),
            (_, cell) => return Err(cell),
        }
        Ok(())
    }

    fn finish(&mut self) -> ArrayRef {
        match self {
            Values::Boolean(values) => Arc::new(values.finish()),
            Values::BigInt(values) => Arc::new(values.finish()),
            Values::Double(values) => Arc::new(values.finish()),
            Values::Text(values) | Values::Json(values) => Arc::new(values.finish()),
            Values::Bytes(values) => Arc::new(values.finish()),
            Values::Time(values) => Arc::new(values.finish()),
        }
    }
}

/// Makes batches of records.
pub(crate) struct Builder {
    schema: SchemaRef,
    columns: Vec<(Column, Values)>,
    /// Whether any column is one of the value's fields.
    has_fields: bool,
    rows: usize,
    bytes: usize,
}

impl Builder {
    pub(crate) fn new(columns: &Columns) -> Self {
        Builder {
            schema: columns.schema(),
            columns: columns.0.iter().map(|one| (one.clone(), Values::new(&one.shows))).collect(),
            has_fields: columns.0.iter().any(|one| matches!(one.shows, Shows::Field(_))),
            rows: 0,
            bytes: 0,
        }
    }

    /// About how many bytes these have: those of the keys and values that they were made of.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// How many rows there are.
    pub(crate) fn rows(&self) -> usize {
        self.rows
    }

    /// Adds a record.
    ///
    /// # Errors
    /// In words: the value cannot be read, or does not fit a column.
    pub(crate) fn push(&mut self, partition: PartitionId, row: &Row) -> Result<(), String> {
        let mut cells: Vec<Cell<'_>> = vec![Cell::Null; self.columns.len()];
        if self.has_fields {
            let mut wanted = Wanted { columns: &self.columns, cells: &mut cells };
            isogrid_value::fields(&row.value, &mut wanted).map_err(|why| of_key(&row.key, &why))?;
        }
        for ((column, values), cell) in self.columns.iter_mut().zip(cells) {
            let cell = match column.shows {
                Shows::Field(_) => cell,
                Shows::Key => Cell::Text(key_text(&row.key).into()),
                Shows::Value => Cell::Text(isogrid_value::text(&row.value).into()),
                Shows::KeyBytes => Cell::Bytes(row.key[..].into()),
                Shows::ValueBytes => Cell::Bytes(row.value[..].into()),
                Shows::Version => Cell::BigInt(row.version as i64),
                Shows::ExpiresAt => {
                    row.expires_at_ms.map_or(Cell::Null, |at| Cell::BigInt(at as i64))
                }
                Shows::Partition => Cell::BigInt(i64::from(partition.0)),
            };
            values.push(cell).map_err(|cell| misfit(&row.key, column, &cell))?;
        }
        self.rows += 1;
        self.bytes += row.key.len() + row.value.len();
        Ok(())
    }

    /// The rows so far.
    pub(crate) fn finish(&mut self) -> Result<RecordBatch, ArrowError> {
        self.bytes = 0;
        let options =
            RecordBatchOptions::new().with_row_count(Some(std::mem::take(&mut self.rows)));
        let arrays = self.columns.iter_mut().map(|(_, values)| values.finish()).collect();
        RecordBatch::try_new_with_options(Arc::clone(&self.schema), arrays, &options)
    }
}

/// A key as the column shows it: its text, or its bytes if it is none.
pub(crate) fn key_text(key: &[u8]) -> String {
    std::str::from_utf8(key).map_or_else(|_| hex(key), str::to_owned)
}

fn of_key(key: &[u8], why: &str) -> String {
    format!("the value of key {:?} cannot be read: {why}", key_text(key))
}

fn misfit(key: &[u8], column: &Column, cell: &Cell<'_>) -> String {
    let is = cell.kind().map_or("NULL", ColumnType::name);
    let shown = match column.shows {
        Shows::Field(kind) => kind.name(),
        _ => "another type",
    };
    format!(
        "the field {} of key {:?} is {is}, and the column is {shown}: write values of one type, or ask for _value",
        column.name,
        key_text(key),
    )
}

struct Wanted<'w, 'v> {
    columns: &'w [(Column, Values)],
    cells: &'w mut [Cell<'v>],
}

impl<'v> Take<'v> for Wanted<'_, 'v> {
    fn place(&mut self, name: &str) -> Option<usize> {
        let is_one = |(column, _): &(Column, Values)| {
            matches!(column.shows, Shows::Field(_)) && column.name == name
        };
        self.columns.iter().position(is_one)
    }

    fn put(&mut self, place: usize, cell: Cell<'v>) {
        self.cells[place] = cell;
    }
}

#[cfg(test)]
#[path = "columns_test.rs"]
mod tests;
