//! [`Sample`]: the columns of a map that has no schema, from some of its values.

use std::collections::BTreeMap;

use isogrid_core::ColumnType;
use isogrid_value::{Cell, Take};

use crate::columns::Columns;
use crate::source::Row;

/// The most fields that become columns.
const FIELDS_MAX: usize = 512;

/// What the fields of some values hold.
#[derive(Debug, Default)]
pub(crate) struct Sample {
    /// Of each field its kind, if any value had something there.
    fields: BTreeMap<String, Option<ColumnType>>,
    /// The names in the order of the places that were given out for one value.
    names: Vec<String>,
}

impl Sample {
    /// Looks at a value. One that cannot be read says nothing here.
    pub(crate) fn look(&mut self, row: &Row) {
        let mut looked = Looked { names: &mut self.names, cells: Vec::new() };
        looked.names.clear();
        let is_read = isogrid_value::fields(&row.value, &mut looked).is_ok();
        let cells = looked.cells;
        if !is_read {
            return;
        }
        for (name, cell) in self.names.drain(..).zip(cells) {
            if self.fields.len() >= FIELDS_MAX && !self.fields.contains_key(&name) {
                continue;
            }
            let kind = self.fields.entry(name).or_default();
            *kind = match (*kind, cell.kind()) {
                (Some(before), Some(now)) => Some(holding(before, now)),
                (before, now) => before.or(now),
            };
        }
    }

    /// The columns. What begins with an underscore is the grid's.
    pub(crate) fn columns(self) -> Columns {
        let fields = self.fields.into_iter().filter(|(name, _)| !name.starts_with('_'));
        // Of a field that was null everywhere nothing is known.
        Columns::of_fields(fields.map(|(name, kind)| (name, kind.unwrap_or(ColumnType::Json))))
    }
}

/// What can hold both.
fn holding(one: ColumnType, other: ColumnType) -> ColumnType {
    use ColumnType::{BigInt, Double, Json};
    match (one, other) {
        (one, other) if one == other => one,
        (BigInt, Double) | (Double, BigInt) => Double,
        _ => Json,
    }
}

struct Looked<'n, 'v> {
    names: &'n mut Vec<String>,
    cells: Vec<Cell<'v>>,
}

impl<'v> Take<'v> for Looked<'_, 'v> {
    fn place(&mut self, name: &str) -> Option<usize> {
        self.names.push(name.to_owned());
        self.cells.push(Cell::Null);
        Some(self.cells.len() - 1)
    }

    fn put(&mut self, place: usize, cell: Cell<'v>) {
        self.cells[place] = cell;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn columns(values: &[&str]) -> Columns {
        let mut sample = Sample::default();
        for value in values {
            let (key, value) = (Default::default(), value.as_bytes().to_vec().into());
            sample.look(&Row { key, value, version: 1, expires_at_ms: None });
        }
        sample.columns()
    }

    #[test]
    fn fields_of_any_value_are_columns_of_what_holds_all_of_them() {
        let found = columns(&[
            r#"{"a": 1, "b": "x", "c": null, "d": true}"#,
            r#"{"a": 2.5, "b": 7, "e": [1]}"#,
            "no fields",
            r#"{"a": "#,
        ]);
        let expected = [
            ("a", ColumnType::Double),
            ("b", ColumnType::Json),
            ("c", ColumnType::Json),
            ("d", ColumnType::Boolean),
            ("e", ColumnType::Json),
        ];
        let expected = expected.map(|(name, kind)| (name.to_owned(), kind));
        assert_eq!(found, Columns::of_fields(expected));
    }

    #[test]
    fn the_grids_own_names_are_not_taken() {
        assert_eq!(columns(&[r#"{"_key": 1}"#]), Columns::of_fields([]));
    }

    #[test]
    fn there_are_only_so_many_columns() {
        let many: Vec<String> = (0..FIELDS_MAX + 100).map(|n| format!("\"f{n}\": 1")).collect();
        let found = columns(&[&format!("{{{}}}", many.join(","))]);
        assert_eq!(found.schema().fields().len(), FIELDS_MAX + 5);
    }
}
