//! [`Route`]: what says which one partition a statement reads, so that who asks it again can ask the node that leads it.

use datafusion::logical_expr::{BinaryExpr, Expr, Operator};
use isogrid_core::{MapColumn, PartitionCount, PartitionId};

use crate::columns::KEY;
use crate::prune;

/// What names the partition of a statement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Route {
    /// It is always this one.
    Partition(PartitionId),
    /// That of the key that the parameter of this number is; the first is one.
    Key(u32),
    /// That of the partition key that the parameter of this number is.
    PartitionKey(u32),
}

/// What names the one partition that these predicates leave.
pub(crate) fn of(
    predicates: &[Expr],
    count: PartitionCount,
    partition_by: Option<&MapColumn>,
) -> Option<Route> {
    let mut left = prune::partitions(predicates, count, partition_by).into_iter();
    if let (Some(partition), None) = (left.next(), left.next()) {
        return Some(Route::Partition(partition));
    }
    predicates.iter().find_map(|predicate| by_parameter(predicate, partition_by))
}

fn by_parameter(predicate: &Expr, partition_by: Option<&MapColumn>) -> Option<Route> {
    let Expr::BinaryExpr(BinaryExpr { left, op, right }) = predicate else { return None };
    match op {
        Operator::And => {
            by_parameter(left, partition_by).or_else(|| by_parameter(right, partition_by))
        }
        Operator::Eq => {
            equal(left, right, partition_by).or_else(|| equal(right, left, partition_by))
        }
        _ => None,
    }
}

fn equal(column: &Expr, value: &Expr, partition_by: Option<&MapColumn>) -> Option<Route> {
    let (Expr::Column(column), Expr::Placeholder(parameter)) = (column, value) else { return None };
    let number = parameter.id.strip_prefix('$')?.parse().ok()?;
    match column.name.as_str() {
        KEY => Some(Route::Key(number)),
        name if partition_by.is_some_and(|by| by.name == name) => Some(Route::PartitionKey(number)),
        _ => None,
    }
}
