//! [`IndexReader`]: from a value to its keys in the indexes of its map.

use isogrid_core::{IndexColumn, IndexKind, MapIndex};
use serde_json::Value;

use crate::cell::{Cell, hex};
use crate::fields::{Take, fields};
use crate::order::{push_cell, push_json};

/// Reads the keys of all indexes of a map in one go.
#[derive(Debug, Default)]
pub struct IndexReader {
    /// The fields of the value that are looked at.
    names: Vec<String>,
    indexes: Vec<IndexPlan>,
}

/// What one index is made of: columns, and the place of each one's field among the names.
#[derive(Debug)]
struct IndexPlan {
    is_list: bool,
    columns: Vec<(usize, IndexColumn)>,
}

/// The keys of one value, index by index. To be used again, so that nothing is allocated for each value.
#[derive(Debug, Default)]
pub struct IndexKeys {
    lists: Vec<KeyList>,
}

/// The keys of one value in one index: one, or as many as a list has elements. Whole, however long they are.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct KeyList {
    bytes: Vec<u8>,
    ends: Vec<usize>,
    /// Whether a column has nothing.
    has_null: bool,
}

/// A buffer that has become larger than this is not kept.
const KEPT_BYTES_MAX: usize = 64 << 10;

impl KeyList {
    /// The keys.
    pub fn iter(&self) -> impl Iterator<Item = &[u8]> {
        let mut begin = 0;
        self.ends.iter().map(move |end| &self.bytes[std::mem::replace(&mut begin, *end)..*end])
    }

    /// Whether a column has nothing.
    pub fn has_null(&self) -> bool {
        self.has_null
    }

    fn clear(&mut self) {
        if self.bytes.capacity() > KEPT_BYTES_MAX {
            *self = KeyList::default();
        }
        self.bytes.clear();
        self.ends.clear();
        self.has_null = false;
    }

    fn end_key(&mut self) {
        self.ends.push(self.bytes.len());
    }
}

impl IndexKeys {
    /// Those of the index with this number.
    pub fn of(&self, index: usize) -> &KeyList {
        &self.lists[index]
    }
}

impl IndexReader {
    /// What reads the keys of these indexes.
    pub fn new(indexes: &[MapIndex]) -> Self {
        let mut reader = IndexReader::default();
        for index in indexes {
            let columns = index.columns.iter().map(|column| reader.place(column)).collect();
            let is_list = index.kind == IndexKind::Inverted;
            reader.indexes.push(IndexPlan { is_list, columns });
        }
        reader
    }

    fn place(&mut self, column: &IndexColumn) -> (usize, IndexColumn) {
        let name = &column.path[0];
        let place = self.names.iter().position(|known| known == name).unwrap_or_else(|| {
            self.names.push(name.clone());
            self.names.len() - 1
        });
        (place, column.clone())
    }

    /// The keys of a value. One without fields has nothing in each of them; one that cannot be read has no keys.
    pub fn read(&self, value: &[u8], keys: &mut IndexKeys) {
        keys.lists.resize_with(self.indexes.len(), KeyList::default);
        keys.lists.iter_mut().for_each(KeyList::clear);
        let mut seen = Seen { names: &self.names, cells: vec![Cell::Null; self.names.len()] };
        if fields(value, &mut seen).is_err() {
            return;
        }
        for (index, list) in self.indexes.iter().zip(&mut keys.lists) {
            if index.is_list {
                let (place, column) = &index.columns[0];
                elements(&seen.cells[*place], column, list);
                continue;
            }
            for (place, column) in &index.columns {
                list.has_null |= !push(&seen.cells[*place], column, &mut list.bytes);
            }
            list.end_key();
        }
    }
}

/// Adds what a column has. Says whether it has anything.
fn push(cell: &Cell<'_>, column: &IndexColumn, key: &mut Vec<u8>) -> bool {
    match (within(cell, column), cell) {
        (Within::Itself, cell) => {
            push_cell(cell, column.is_time, key);
            !matches!(cell, Cell::Null)
        }
        (Within::Part(part), _) => {
            push_json(part, column.is_time, key);
            !part.is_null()
        }
        (Within::Nothing, _) => {
            push_cell(&Cell::Null, false, key);
            false
        }
    }
}

/// Adds a key for each element of a list, or one for what is no list.
fn elements(cell: &Cell<'_>, column: &IndexColumn, list: &mut KeyList) {
    let part = match (within(cell, column), cell) {
        (Within::Part(part), _) | (Within::Itself, Cell::Nested(part)) => part,
        (Within::Nothing, _) | (Within::Itself, Cell::Null) => return,
        (Within::Itself, Cell::Bytes(bytes)) => {
            // As within a list, where JSON has to do.
            push_cell(&Cell::Text(hex(bytes).into()), false, &mut list.bytes);
            return list.end_key();
        }
        (Within::Itself, cell) => {
            push_cell(cell, column.is_time, &mut list.bytes);
            return list.end_key();
        }
    };
    let one = std::slice::from_ref(part);
    for element in part.as_array().map_or(one, Vec::as_slice) {
        if !element.is_null() {
            push_json(element, column.is_time, &mut list.bytes);
            list.end_key();
        }
    }
}

/// Where a path leads from its first field.
enum Within<'c> {
    Itself,
    Part(&'c Value),
    Nothing,
}

fn within<'c>(cell: &'c Cell<'_>, column: &IndexColumn) -> Within<'c> {
    let rest = &column.path[1..];
    if rest.is_empty() {
        return Within::Itself;
    }
    let Cell::Nested(value) = cell else { return Within::Nothing };
    let part = rest.iter().try_fold(value, |value, name| value.get(name.as_str()));
    part.map_or(Within::Nothing, Within::Part)
}

/// What is seen of a value.
struct Seen<'r, 'v> {
    names: &'r [String],
    cells: Vec<Cell<'v>>,
}

impl<'v> Take<'v> for Seen<'_, 'v> {
    fn place(&mut self, name: &str) -> Option<usize> {
        self.names.iter().position(|known| known == name)
    }

    fn put(&mut self, place: usize, cell: Cell<'v>) {
        self.cells[place] = cell;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn index(kind: IndexKind, columns: &[&str]) -> MapIndex {
        let columns = columns.iter().map(|text| IndexColumn::of_text(text)).collect();
        MapIndex { name: "i".to_owned(), kind, columns, unique: false }
    }

    fn keys_of(cells: &[Cell<'_>]) -> Vec<u8> {
        let mut key = Vec::new();
        cells.iter().for_each(|cell| push_cell(cell, false, &mut key));
        key
    }

    fn read(indexes: &[MapIndex], value: &[u8]) -> Vec<Vec<Vec<u8>>> {
        let mut keys = IndexKeys::default();
        let reader = IndexReader::new(indexes);
        // What is left of another value does not matter.
        reader.read(br#"{"a": "left over", "tags": [1, 2, 3]}"#, &mut keys);
        reader.read(value, &mut keys);
        let list = |index| keys.of(index).iter().map(<[u8]>::to_vec).collect();
        (0..indexes.len()).map(list).collect()
    }

    #[test]
    fn columns_stand_one_behind_the_other_and_what_is_absent_is_nothing() {
        let indexes = [
            index(IndexKind::Ordered, &["a", "b.c"]),
            index(IndexKind::Hash, &["b.c"]),
            index(IndexKind::Ordered, &["x.y"]),
        ];
        let (seven, text) = (Cell::BigInt(7), Cell::Text("x".into()));
        let expected = vec![
            vec![keys_of(&[text, seven.clone()])],
            vec![keys_of(&[seven])],
            vec![keys_of(&[Cell::Null])],
        ];
        assert_eq!(read(&indexes, br#"{"b": {"d": 1, "c": 7}, "a": "x", "x": 3}"#), expected);
        let packed = rmp_serde::to_vec_named(&serde_json::json!({"a": "x", "b": {"c": 7}}));
        assert_eq!(read(&indexes, &packed.unwrap())[..2], expected[..2]);
        let nothing = vec![keys_of(&[Cell::Null, Cell::Null])];
        assert_eq!(read(&indexes, b"no object")[0], nothing);
        assert_eq!(read(&indexes, b"{\"a\": 1")[0], Vec::<Vec<u8>>::new(), "cannot be read");
    }

    #[test]
    fn each_element_of_a_list_has_a_key() {
        let indexes = [index(IndexKind::Inverted, &["tags"]), index(IndexKind::Inverted, &["o.l"])];
        let (one, x) = (keys_of(&[Cell::BigInt(1)]), keys_of(&[Cell::Text("x".into())]));
        let found = read(&indexes, br#"{"tags": [1, "x", null, 1], "o": {"l": ["x"]}}"#);
        assert_eq!(found, [vec![one.clone(), x.clone(), one.clone()], vec![x.clone()]]);
        assert_eq!(read(&indexes, br#"{"tags": "x", "o": {"l": 1}}"#), [vec![x], vec![one]]);
        let none: [Vec<Vec<u8>>; 2] = [Vec::new(), Vec::new()];
        assert_eq!(read(&indexes, br#"{"tags": null}"#), none);
        assert_eq!(read(&indexes, br#"{"tags": []}"#), none);
    }

    #[test]
    fn it_is_known_whether_a_column_has_nothing() {
        let reader = IndexReader::new(&[index(IndexKind::Ordered, &["a", "b"])]);
        let mut keys = IndexKeys::default();
        for (value, expected) in
            [(r#"{"a": 1, "b": 2}"#, false), (r#"{"a": 1}"#, true), (r#"{"a":1,"b":null}"#, true)]
        {
            reader.read(value.as_bytes(), &mut keys);
            assert_eq!(keys.of(0).has_null(), expected, "{value}");
        }
    }
}
