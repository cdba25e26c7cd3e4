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
    let left = predicates.iter().filter_map(|predicate| pruning.left_by(predicate));
    left.reduce(|one, other| &one & &other).unwrap_or_else(|| count.iter().collect())
}

/// What names partitions.
#[derive(Clone, Copy)]
struct Pruning<'a> {
    count: PartitionCount,
    partition_by: Option<&'a MapColumn>,
}

impl Pruning<'_> {
    /// The partitions that a predicate leaves; `None` when it says nothing of them.
    fn left_by(self, predicate: &Expr) -> Option<BTreeSet<PartitionId>> {
        match predicate {
            Expr::BinaryExpr(BinaryExpr { left, op: Operator::And, right }) => {
                match (self.left_by(left), self.left_by(right)) {
                    (Some(left), Some(right)) => Some(&left & &right),
                    (left, right) => left.or(right),
                }
            }
            Expr::BinaryExpr(BinaryExpr { left, op: Operator::Or, right }) => {
                Some(&self.left_by(left)? | &self.left_by(right)?)
            }
            Expr::BinaryExpr(BinaryExpr { left, op: Operator::Eq, right }) => {
                self.of_value(left, right).or_else(|| self.of_value(right, left))
            }
            Expr::InList(InList { expr, list, negated: false }) => list
                .iter()
                .map(|value| self.of_value(expr, value))
                .try_fold(BTreeSet::new(), |mut sum, one| {
                    sum.extend(one?);
                    Some(sum)
                }),
            _ => None,
        }
    }

    /// The partition that a column's value names; none when no record has it.
    fn of_value(self, column: &Expr, value: &Expr) -> Option<BTreeSet<PartitionId>> {
        let (Expr::Column(column), Expr::Literal(value, _)) = (column, value) else { return None };
        let one = |partition: Option<PartitionId>| Some(partition.into_iter().collect());
        match column.name.as_str() {
            KEY => {
                let key = value.try_as_str()?;
                Some(key.map(|key| of_key(key, self.count)).unwrap_or_default())
            }
            PARTITION => {
                let number = whole(value)?.and_then(|number| u16::try_from(number).ok());
                one(number.filter(|number| *number < self.count.get()).map(PartitionId))
            }
            name => match self.partition_by.filter(|by| by.name == name)?.holds {
                ColumnType::Text => one(value.try_as_str()?.map(|text| self.of_text(text))),
                ColumnType::BigInt => {
                    one(whole(value)?.map(|number| self.of_text(&number.to_string())))
                }
                _ => None,
            },
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

/// Where the keys are that are shown as this text: of one that is not text, `\x` and digits are shown, and these may be the text of
/// another.
fn of_key(shown: &str, count: PartitionCount) -> BTreeSet<PartitionId> {
    let bytes = shown.strip_prefix("\\x").and_then(unhex);
    let keys = std::iter::once(shown.as_bytes().to_vec()).chain(bytes);
    keys.map(|key| count.partition_of_key(&key)).collect()
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
