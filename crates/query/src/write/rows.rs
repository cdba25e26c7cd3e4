//! [`Rows`]: the rows of a batch as writes.

use bytes::Bytes;
use datafusion::arrow::array::{ArrayRef, RecordBatch};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::DataType;
use datafusion::arrow::error::ArrowError;
use isogrid_core::{Condition, Error, ErrorCode, Expiry, Timestamp, Version};
use isogrid_value::{Cell, object, with_fields};

use super::cells::Cells;
use super::plan::Use;
use super::{Present, What};
use crate::source::{Change, Write};

/// Rows that are to be written.
pub(super) struct Rows {
    columns: Vec<(Use, Cells)>,
    rows: usize,
    next: usize,
}

/// A row that cannot be written, with its key if it has one.
pub(super) type Unwritable = (Bytes, Error);

impl Rows {
    pub(super) fn new(batch: &RecordBatch, uses: &[Use]) -> Result<Self, ArrowError> {
        let column = |(one, array): (&Use, &ArrayRef)| {
            let cells = match one {
                Use::Nothing => Cells::Null,
                Use::ExpiresAt => Cells::new(&cast(array, &DataType::Int64)?, None)?,
                Use::Field(_, holds) => Cells::new(array, *holds)?,
                Use::Key | Use::Value | Use::OldValue | Use::Version => Cells::new(array, None)?,
            };
            Ok((one.clone(), cells))
        };
        let columns =
            uses.iter().zip(batch.columns()).map(column).collect::<Result<_, ArrowError>>()?;
        Ok(Rows { columns, rows: batch.num_rows(), next: 0 })
    }

    /// The next row as a write.
    pub(super) fn next(&mut self, what: &What) -> Option<Result<Write, Unwritable>> {
        let row = self.next;
        if row == self.rows {
            return None;
        }
        self.next += 1;
        let Some(key) = self.of(&Use::Key).and_then(|cells| cells.bytes(row)) else {
            let error = Error::new(ErrorCode::QueryFailed, "a row without _key: NULL is no key");
            return Some(Err((Bytes::new(), error)));
        };
        let key = Bytes::copy_from_slice(key);
        Some(match self.write(what, &key, row) {
            Ok(write) => Ok(write),
            Err(error) => Err((key, error)),
        })
    }

    fn write(&self, what: &What, key: &Bytes, row: usize) -> Result<Write, Error> {
        let version = || {
            let version = self.of(&Use::Version).and_then(|cells| cells.whole(row));
            Condition::IfVersion(Version(version.unwrap_or_default() as u64))
        };
        let (condition, old) = match what {
            What::Insert { present: Present::Replaced, .. } => (Condition::Always, None),
            What::Insert { .. } => (Condition::IfAbsent, None),
            What::Update { .. } => {
                (version(), self.of(&Use::OldValue).and_then(|cells| cells.bytes(row)))
            }
            What::Delete => {
                return Ok(Write {
                    key: key.clone(),
                    change: Change::Delete,
                    condition: version(),
                });
            }
        };
        let value = self.value(old, row)?.into();
        let expiry = match (self.of(&Use::ExpiresAt), what) {
            (Some(cells), _) => match cells.whole(row) {
                Some(at) => Expiry::At(Timestamp(at.max(0) as u64)),
                None => Expiry::Never,
            },
            (None, What::Update { .. }) => Expiry::Keep,
            (None, _) => Expiry::Never,
        };
        Ok(Write { key: key.clone(), change: Change::Put { value, expiry }, condition })
    }

    /// The value that a row is to have: what is said of it as a whole, else the old one or an object with these fields.
    fn value(&self, old: Option<&[u8]>, row: usize) -> Result<Vec<u8>, Error> {
        if let Some(cells) = self.of(&Use::Value) {
            let value = cells.bytes(row).map(<[u8]>::to_vec);
            return value.ok_or_else(|| {
                Error::new(
                    ErrorCode::QueryFailed,
                    "_value is NULL, which is no value: DELETE the record",
                )
            });
        }
        let mut fields: Vec<(&str, Cell<'_>)> = Vec::with_capacity(self.columns.len());
        for (one, cells) in &self.columns {
            let Use::Field(name, _) = one else { continue };
            let cell = cells.cell(row).map_err(|why| {
                Error::new(ErrorCode::ValueMisfit, format!("the field {name} {why}"))
            })?;
            fields.push((name, cell));
        }
        let written = match old {
            Some(old) if fields.is_empty() => Ok(old.to_vec()),
            Some(old) => with_fields(old, &fields),
            None => object(&fields),
        };
        written.map_err(|why| Error::new(ErrorCode::QueryFailed, why))
    }

    fn of(&self, one: &Use) -> Option<&Cells> {
        self.columns.iter().find(|(use_of, _)| use_of == one).map(|(_, cells)| cells)
    }
}
