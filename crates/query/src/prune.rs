//! Which partitions a predicate leaves: equalities, lists and alternatives of the key, of the partition or of the column by which the
//! map is partitioned, and what follows from several of them. Whatever else is asked leaves all.

use std::collections::BTreeSet;

use datafusion::arrow::datatypes::DataType;
use datafusion::common::ScalarValue;
use datafusion::logical_expr::expr::InList;
use datafusion::logical_expr::{BinaryExpr, Expr, Operator};
use isogrid_core::slot::slot_of_partition_key;
use isogrid_core::{ColumnType, MapColumn, PartitionCount, PartitionId};

use crate::columns::{KEY, PARTITION};

/// The partitions that all of these predicates leave.
pub(crate) fn partitions(
    predicates: &[Expr],
    count: PartitionCount,
    partition_by: Option<&MapColumn>,
) -> BTreeSet<PartitionId> {
    let pruning = Pruning { count, partition_by };
    let left = named(predicates, &|column, value| pruning.of_value(column, value));
    left.unwrap_or_else(|| count.iter().collect())
}

/// What all of these predicates leave of something that the value of a column names, where `of_value` says what; `None` when they say
/// nothing of it. Of several values whatever any of them names is left.
pub(crate) fn named<T: Ord + Clone>(
    predicates: &[Expr],
    of_value: &impl Fn(&str, &ScalarValue) -> Option<BTreeSet<T>>,
) -> Option<BTreeSet<T>> {
    let left = predicates.iter().filter_map(|predicate| left_by(predicate, of_value));
    left.reduce(|one, other| &one & &other)
}

/// What a predicate leaves; `None` when it says nothing of it.
fn left_by<T: Ord + Clone>(
    predicate: &Expr,
    of_value: &impl Fn(&str, &ScalarValue) -> Option<BTreeSet<T>>,
) -> Option<BTreeSet<T>> {
    let equal = |column: &Expr, value: &Expr| match (column, value) {
        (Expr::Column(column), Expr::Literal(value, _)) => of_value(&column.name, value),
        _ => None,
    };
    match predicate {
        Expr::BinaryExpr(BinaryExpr { left, op: Operator::And, right }) => {
            match (left_by(left, of_value), left_by(right, of_value)) {
                (Some(left), Some(right)) => Some(&left & &right),
                (left, right) => left.or(right),
            }
        }
        Expr::BinaryExpr(BinaryExpr { left, op: Operator::Or, right }) => {
            Some(&left_by(left, of_value)? | &left_by(right, of_value)?)
        }
        Expr::BinaryExpr(BinaryExpr { left, op: Operator::Eq, right }) => {
            equal(left, right).or_else(|| equal(right, left))
        }
        Expr::InList(InList { expr, list, negated: false }) => {
            list.iter().map(|value| equal(expr, value)).try_fold(BTreeSet::new(), |mut sum, one| {
                sum.extend(one?);
                Some(sum)
            })
        }
        _ => None,
    }
}

/// What names partitions.
#[derive(Clone, Copy)]
struct Pruning<'a> {
    count: PartitionCount,
    partition_by: Option<&'a MapColumn>,
}

impl Pruning<'_> {
    /// The partition that a column's value names; none when no record has it.
    fn of_value(self, column: &str, value: &ScalarValue) -> Option<BTreeSet<PartitionId>> {
        let one = |partition: Option<PartitionId>| Some(partition.into_iter().collect());
        match column {
            KEY => {
                let keys = keys_of(value)?;
                Some(keys.iter().map(|key| self.count.partition_of_key(key)).collect())
            }
            PARTITION => {
                let number = whole(value)?.and_then(|number| u16::try_from(number).ok());
                one(number.filter(|number| *number < self.count.get()).map(PartitionId))
            }
            name => {
                let by = self.partition_by.filter(|by| by.name == name)?;
                let key = partition_key_of(value, by.holds)?;
                one(key.map(|key| self.of_text(&key)))
            }
        }
    }

    /// The partition of records whose partition key is this.
    fn of_text(self, partition_key: &str) -> PartitionId {
        self.count.partition_of(slot_of_partition_key(partition_key.as_bytes()))
    }
}

/// A whole number, or NULL; `None` when it is something else, or was something else before it was made one.
fn whole(value: &ScalarValue) -> Option<Option<i64>> {
    match value {
        ScalarValue::Float16(_) | ScalarValue::Float32(_) | ScalarValue::Float64(_) => None,
        _ => match value.cast_to(&DataType::Int64).ok()? {
            ScalarValue::Int64(number) => Some(number),
            _ => None,
        },
    }
}

/// What decides the partition of the records in which the column by which a map is partitioned has this value: nothing of NULL. `None`
/// when that cannot be said.
pub(crate) fn partition_key_of(value: &ScalarValue, holds: ColumnType) -> Option<Option<String>> {
    match holds {
        ColumnType::Text => Some(value.try_as_str()?.map(str::to_owned)),
        ColumnType::BigInt => Some(whole(value)?.map(|number| number.to_string())),
        _ => None,
    }
}

/// The keys that are shown as this text: of one that is not text, `\x` and digits are shown, and these may be the text of another.
pub(crate) fn keys_of(shown: &ScalarValue) -> Option<BTreeSet<Vec<u8>>> {
    let Some(shown) = shown.try_as_str()? else { return Some(BTreeSet::new()) };
    let bytes = shown.strip_prefix("\\x").and_then(unhex);
    Some(std::iter::once(shown.as_bytes().to_vec()).chain(bytes).collect())
}

fn unhex(digits: &str) -> Option<Vec<u8>> {
    let digits = digits.as_bytes();
    let pairs = digits.chunks_exact(2);
    if !pairs.remainder().is_empty() {
        return None;
    }
    let digit = |byte: u8| (byte as char).to_digit(16);
    pairs.map(|pair| Some((digit(pair[0])? * 16 + digit(pair[1])?) as u8)).collect()
}

#[cfg(test)]
#[path = "prune_test.rs"]
mod tests;
