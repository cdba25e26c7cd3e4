//! [`Order`]: how any two fields stand to each other, whatever they hold.

use std::cmp::Ordering;

use crate::cell::Cell;
use crate::seen::Seen;

/// In which order records stand; equal ones in that of their keys.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Order {
    /// The greatest first.
    pub is_descending: bool,
    /// What has nothing in the field first, not last.
    pub is_null_first: bool,
}

/// How two fields stand to each other: nothing at one end, and different types one behind the other.
pub(crate) fn compare(one: &Cell<'_>, other: &Cell<'_>, order: Order) -> Ordering {
    let is_null = |cell: &Cell<'_>| *cell == Cell::Null;
    match (is_null(one), is_null(other)) {
        (true, true) => return Ordering::Equal,
        (false, false) => {}
        (one_is_null, _) if one_is_null == order.is_null_first => return Ordering::Less,
        _ => return Ordering::Greater,
    }
    let ascending = rank(one).cmp(&rank(other)).then_with(|| of_one_type(one, other));
    if order.is_descending { ascending.reverse() } else { ascending }
}

fn rank(cell: &Cell<'_>) -> u8 {
    match cell {
        Cell::Null => 0,
        Cell::Boolean(_) => 1,
        Cell::BigInt(_) | Cell::Double(_) => 2,
        Cell::Text(_) => 3,
        Cell::Bytes(_) => 4,
        Cell::Nested(_) => 5,
    }
}

fn of_one_type(one: &Cell<'_>, other: &Cell<'_>) -> Ordering {
    let is_nan = |cell: &Cell<'_>| matches!(cell, Cell::Double(number) if number.is_nan());
    match Seen::of_cell(one).compare(Seen::of_cell(other)) {
        Some(order) => order,
        // What is no number stands behind all numbers, and lists and objects in the order of their text.
        None if rank(one) == 2 => is_nan(one).cmp(&is_nan(other)),
        None => one.to_json().cmp(&other.to_json()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_stands_at_one_end_and_types_one_behind_the_other() {
        let cells = [
            Cell::Boolean(true),
            Cell::BigInt(-1),
            Cell::Double(2.5),
            Cell::BigInt(3),
            Cell::Double(f64::NAN),
            Cell::Text("a".into()),
            Cell::Bytes(vec![1].into()),
            Cell::Nested(serde_json::json!([1])),
        ];
        let sorted = |order: Order| {
            let mut all: Vec<Cell<'static>> =
                cells.iter().rev().cloned().chain([Cell::Null]).collect();
            all.sort_by(|one, other| compare(one, other, order));
            all.iter().map(|cell| format!("{cell:?}")).collect::<Vec<_>>()
        };
        let up: Vec<String> = cells.iter().map(|cell| format!("{cell:?}")).collect();
        let last = |mut all: Vec<String>| {
            all.push("Null".into());
            all
        };
        assert_eq!(sorted(Order::default()), last(up.clone()));
        let down: Vec<String> = up.iter().rev().cloned().collect();
        assert_eq!(sorted(Order { is_descending: true, is_null_first: false }), last(down.clone()));
        let first = [vec!["Null".to_owned()], down].concat();
        assert_eq!(sorted(Order { is_descending: true, is_null_first: true }), first);
    }
}
