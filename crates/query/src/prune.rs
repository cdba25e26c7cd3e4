//! Which partitions a predicate leaves: equalities, lists and alternatives of the key or of the partition, and what follows from
//! several of them. Whatever else is asked leaves all.

use std::collections::BTreeSet;

use datafusion::common::ScalarValue;
use datafusion::logical_expr::expr::InList;
use datafusion::logical_expr::{BinaryExpr, Expr, Operator};
use isogrid_core::{PartitionCount, PartitionId};

use crate::columns::{KEY, PARTITION};

/// The partitions that all of these predicates leave.
pub(crate) fn partitions(predicates: &[Expr], count: PartitionCount) -> BTreeSet<PartitionId> {
    let all = || count.iter().collect();
    let left = predicates.iter().filter_map(|predicate| left_by(predicate, count));
    left.reduce(|one, other| &one & &other).unwrap_or_else(all)
}

/// The partitions that a predicate leaves; `None` when it says nothing of them.
fn left_by(predicate: &Expr, count: PartitionCount) -> Option<BTreeSet<PartitionId>> {
    match predicate {
        Expr::BinaryExpr(BinaryExpr { left, op: Operator::And, right }) => {
            match (left_by(left, count), left_by(right, count)) {
                (Some(left), Some(right)) => Some(&left & &right),
                (left, right) => left.or(right),
            }
        }
        Expr::BinaryExpr(BinaryExpr { left, op: Operator::Or, right }) => {
            Some(&left_by(left, count)? | &left_by(right, count)?)
        }
        Expr::BinaryExpr(BinaryExpr { left, op: Operator::Eq, right }) => {
            of_value(left, right, count).or_else(|| of_value(right, left, count))
        }
        Expr::InList(InList { expr, list, negated: false }) => list
            .iter()
            .map(|value| of_value(expr, value, count))
            .try_fold(BTreeSet::new(), |mut sum, one| {
                sum.extend(one?);
                Some(sum)
            }),
        _ => None,
    }
}

/// The partition that a column's value names; none when no record has it.
fn of_value(column: &Expr, value: &Expr, count: PartitionCount) -> Option<BTreeSet<PartitionId>> {
    let (Expr::Column(column), Expr::Literal(value, _)) = (column, value) else { return None };
    match column.name.as_str() {
        KEY => {
            let key = value.try_as_str()?;
            Some(key.map(|key| of_key(key, count)).unwrap_or_default())
        }
        PARTITION => {
            let number = match value.cast_to(&datafusion::arrow::datatypes::DataType::Int64).ok()? {
                ScalarValue::Int64(number) => number,
                _ => return None,
            };
            let number = number.and_then(|number| u16::try_from(number).ok());
            Some(
                number
                    .filter(|number| *number < count.get())
                    .map(PartitionId)
                    .into_iter()
                    .collect(),
            )
        }
        _ => None,
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
