//! [`Shape`]: what the values of a map with columns must be, looked at before one is written.

use isogrid_core::slot::partition_key;
use isogrid_core::{ColumnType, Error, ErrorCode, MapSchema, Op, Result};

use crate::cell::Cell;
use crate::fields::{Take, fields, has_fields};
use crate::time::millis;

/// How much of a key is shown to who is refused.
const SHOWN_CHARS: usize = 64;

/// The columns of a map, made ready to be found by name.
#[derive(Debug, PartialEq, Eq)]
pub struct Shape {
    schema: MapSchema,
    /// The places of the columns in the order of their names.
    by_name: Vec<usize>,
    spread_by: Option<usize>,
}

impl Shape {
    /// The shape of a map with these columns.
    pub fn new(schema: MapSchema) -> Self {
        let columns = &schema.columns;
        let mut by_name: Vec<usize> = (0..columns.len()).collect();
        by_name.sort_unstable_by(|one, other| columns[*one].name.cmp(&columns[*other].name));
        let is_spread_by = |name: &String| columns.iter().position(|column| column.name == *name);
        let spread_by = schema.partition_by.as_ref().and_then(is_spread_by);
        Shape { schema, by_name, spread_by }
    }

    /// The columns.
    pub fn schema(&self) -> &MapSchema {
        &self.schema
    }

    /// The place of a column.
    pub fn place(&self, name: &str) -> Option<usize> {
        let column = |place: &usize| self.schema.columns[*place].name.as_str();
        let found = self.by_name.binary_search_by(|place| column(place).cmp(name));
        found.ok().map(|index| self.by_name[index])
    }

    /// Refuses a write that would make a record which does not fit.
    ///
    /// # Errors
    /// `ValueMisfit`, which names the field.
    pub fn check(&self, op: &Op<'_>) -> Result<()> {
        match *op {
            Op::Put { key, value, .. } | Op::CompareAndSet { key, value, .. } => {
                self.check_value(key, value)
            }
            Op::Increment { key, .. } | Op::IncrementFloat { key, .. } | Op::Append { key, .. } => {
                misfit(key, "the values of its map have columns, so they are objects: put one")
            }
            Op::Rename { from, to, .. } if self.spread_by.is_some() => {
                let (before, after) = (partition_key(from), partition_key(to));
                if before == after {
                    return Ok(());
                }
                let (before, after) = (shown(before), shown(after));
                misfit(
                    to,
                    &format!("its partition key is {after}, and that of the record {before}"),
                )
            }
            _ => Ok(()),
        }
    }

    fn check_value(&self, key: &[u8], value: &[u8]) -> Result<()> {
        if !has_fields(value) {
            return misfit(
                key,
                "its map has columns, and the value is no object of JSON or MessagePack",
            );
        }
        let mut look = Look { shape: self, wrong: None, spread_by: None };
        if let Err(why) = fields(value, &mut look) {
            return misfit(key, &format!("the value cannot be read: {why}"));
        }
        if let Some((place, found)) = look.wrong {
            let column = &self.schema.columns[place];
            let (name, holds) = (&column.name, column.holds.name());
            return misfit(key, &format!("the field {name} is {found}, and the column {holds}"));
        }
        let Some(place) = self.spread_by else { return Ok(()) };
        let said = match look.spread_by {
            Some(Cell::Text(text)) => text,
            Some(Cell::BigInt(number)) => number.to_string().into(),
            _ => {
                let name = &self.schema.columns[place].name;
                return misfit(
                    key,
                    &format!("its map is partitioned by {name}, which the value lacks"),
                );
            }
        };
        let tag = partition_key(key);
        if tag == said.as_bytes() {
            return Ok(());
        }
        let (name, tag, said) =
            (&self.schema.columns[place].name, shown(tag), shown(said.as_bytes()));
        misfit(
            key,
            &format!(
                "its map is partitioned by {name}, which is {said} in the value, and the partition key of the key is {tag}: put that in braces, as in {{…}}:1"
            ),
        )
    }
}

/// What is seen of a value.
struct Look<'s, 'v> {
    shape: &'s Shape,
    /// A column whose field holds something else.
    wrong: Option<(usize, &'static str)>,
    spread_by: Option<Cell<'v>>,
}

impl<'v> Take<'v> for Look<'_, 'v> {
    fn place(&mut self, name: &str) -> Option<usize> {
        self.shape.place(name)
    }

    fn put(&mut self, place: usize, cell: Cell<'v>) {
        if !fits(self.shape.schema.columns[place].holds, &cell) {
            self.wrong = Some((place, cell.kind().map_or("NULL", ColumnType::name)));
        } else if self.shape.spread_by == Some(place) {
            self.spread_by = Some(cell);
        }
    }
}

/// Whether a column of this type can show a cell.
fn fits(column: ColumnType, cell: &Cell<'_>) -> bool {
    match (column, cell) {
        (_, Cell::Null)
        | (ColumnType::Json, _)
        | (ColumnType::Boolean, Cell::Boolean(_))
        | (ColumnType::BigInt | ColumnType::Double | ColumnType::Timestamp, Cell::BigInt(_))
        | (ColumnType::Double, Cell::Double(_))
        | (ColumnType::Text, Cell::Text(_))
        | (ColumnType::Bytes, Cell::Bytes(_)) => true,
        (ColumnType::Timestamp, Cell::Text(text)) => millis(text).is_some(),
        _ => false,
    }
}

fn misfit(key: &[u8], why: &str) -> Result<()> {
    Err(Error::new(ErrorCode::ValueMisfit, format!("key {}: {why}", shown(key))))
}

/// The beginning of some bytes, in quotes.
fn shown(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    match text.char_indices().nth(SHOWN_CHARS) {
        Some((end, _)) => format!("{:?}…", &text[..end]),
        None => format!("{text:?}"),
    }
}

#[cfg(test)]
#[path = "shape_test.rs"]
mod tests;
