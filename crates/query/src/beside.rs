//! [`Beside`]: joins and groups by what maps are partitioned by run beside the data. Records of the same partition key are in the same
//! partition of every map, so such a join or group needs no rows of other parts of the plan, nor of other nodes.
//!
//! ```text
//!   HashJoin on tenant                        HashJoin on tenant
//!     Repartition by hash of tenant             Filter
//!       Filter                          ──►       GridScan orders    part n: the same partitions
//!         GridScan orders                       GridScan customers   part n: of both maps
//!     Repartition by hash of tenant
//!       GridScan customers
//! ```

use std::sync::Arc;

use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::common::{JoinType, Result};
use datafusion::config::ConfigOptions;
use datafusion::physical_expr::expressions::Column;
use datafusion::physical_expr::{Distribution, Partitioning, PhysicalExpr};
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::aggregates::{AggregateExec, AggregateMode};
use datafusion::physical_plan::coop::CooperativeExec;
use datafusion::physical_plan::filter::FilterExec;
use datafusion::physical_plan::joins::{HashJoinExec, PartitionMode};
use datafusion::physical_plan::projection::ProjectionExec;
use datafusion::physical_plan::repartition::RepartitionExec;
use datafusion::physical_plan::union::InterleaveExec;
use datafusion::physical_plan::{ExecutionPlan, ExecutionPlanProperties};

use crate::in_place::{InPlace, with_inputs};
use crate::scan::GridScan;

/// The rule. It comes after all others: these would not understand why the rows are where they must be.
#[derive(Debug)]
pub(crate) struct Beside;

impl PhysicalOptimizerRule for Beside {
    fn optimize(
        &self,
        plan: Arc<dyn ExecutionPlan>,
        _: &ConfigOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        placed_anew(plan, false)
    }

    fn name(&self) -> &str {
        "Beside"
    }

    fn schema_check(&self) -> bool {
        true
    }
}

/// A plan whose rows are where their partitions are: each part has the rows of the same partitions of the grid.
struct Placed {
    plan: Arc<dyn ExecutionPlan>,
    /// The columns that hold what the rows are placed by.
    keys: Vec<usize>,
}

/// The plan with what can be placed so. `is_relied_on`: what is above needs the rows placed by their hashes.
fn placed_anew(plan: Arc<dyn ExecutionPlan>, is_relied_on: bool) -> Result<Arc<dyn ExecutionPlan>> {
    let may_gain = plan.is::<HashJoinExec>() || plan.is::<AggregateExec>();
    if may_gain && !is_relied_on && moves_rows(&plan)? {
        let parts = parts(&plan)?;
        if let Some(placed) = placed(&plan, parts)? {
            return Ok(placed.plan);
        }
    }
    let required = plan.input_distribution_requirements();
    let is_passed_on = !plan.is::<RepartitionExec>();
    let mut children = Vec::new();
    for (index, child) in plan.children().into_iter().enumerate() {
        let required = required.child_distribution(index);
        let is_relied_on = plan.is::<InterleaveExec>()
            || matches!(required, Some(Distribution::KeyPartitioned(_)))
            || is_relied_on && is_passed_on && child.output_partitioning().partition_count() > 1;
        children.push(placed_anew(Arc::clone(child), is_relied_on)?);
    }
    if children.is_empty() { Ok(plan) } else { with_inputs(plan, children) }
}

/// Whether a plan moves rows to where their hashes say.
fn moves_rows(plan: &Arc<dyn ExecutionPlan>) -> Result<bool> {
    plan.exists(|step| {
        let moved = step.downcast_ref::<RepartitionExec>();
        Ok(moved.is_some_and(|moved| matches!(moved.partitioning(), Partitioning::Hash(..))))
    })
}

/// Into how many parts the walks of a plan are split at the most.
fn parts(plan: &Arc<dyn ExecutionPlan>) -> Result<usize> {
    let mut most = 1;
    plan.apply(|step| {
        if let Some(scan) = step.downcast_ref::<GridScan>() {
            most = most.max(scan.parts());
        }
        Ok(TreeNodeRecursion::Continue)
    })?;
    Ok(most)
}

/// The same plan with its rows in so many parts, each where its partition is; `None` where they cannot stay there.
fn placed(plan: &Arc<dyn ExecutionPlan>, parts: usize) -> Result<Option<Placed>> {
    if let Some(scan) = plan.downcast_ref::<GridScan>() {
        let (scan, keys) = (scan.in_parts(parts), scan.placing_columns());
        return Ok(Some(Placed { plan: Arc::new(scan), keys }));
    }
    if let Some(moved) = plan.downcast_ref::<RepartitionExec>() {
        return placed(moved.input(), parts);
    }
    if let Some(join) = plan.downcast_ref::<HashJoinExec>() {
        return placed_join(join, parts);
    }
    if let Some(groups) = plan.downcast_ref::<AggregateExec>() {
        return placed_groups(groups, parts);
    }
    let kept: Box<dyn Fn(usize) -> Vec<usize>> = if plan.is::<CooperativeExec>() {
        Box::new(|key| vec![key])
    } else if let Some(filter) = plan.downcast_ref::<FilterExec>() {
        let shown = filter.projection().clone();
        Box::new(move |key| match &shown {
            Some(shown) => positions(shown.iter().map(|column| *column == key)),
            None => vec![key],
        })
    } else if let Some(projection) = plan.downcast_ref::<ProjectionExec>() {
        let columns: Vec<_> = projection.expr().iter().map(|one| column(&one.expr)).collect();
        Box::new(move |key| positions(columns.iter().map(|column| *column == Some(key))))
    } else {
        return Ok(None);
    };
    let Some(input) = plan.children().first().copied() else { return Ok(None) };
    let Some(input) = placed(input, parts)? else { return Ok(None) };
    let keys = input.keys.into_iter().flat_map(kept).collect();
    let plan = with_inputs(Arc::clone(plan), vec![input.plan])?;
    Ok(Some(Placed { plan, keys }))
}

fn placed_join(join: &HashJoinExec, parts: usize) -> Result<Option<Placed>> {
    if *join.partition_mode() != PartitionMode::Partitioned || join.null_aware {
        return Ok(None);
    }
    let Some(left) = placed(join.left(), parts)? else { return Ok(None) };
    let Some(right) = placed(join.right(), parts)? else { return Ok(None) };
    let are_keys = |(one, other): &(Arc<dyn PhysicalExpr>, Arc<dyn PhysicalExpr>)| {
        column(one).is_some_and(|one| left.keys.contains(&one))
            && column(other).is_some_and(|other| right.keys.contains(&other))
    };
    if !join.on().iter().any(are_keys) {
        return Ok(None);
    }
    let of_left: Option<Vec<usize>> = join.on().iter().map(|(one, _)| column(one)).collect();
    let of_right: Option<Vec<usize>> = join.on().iter().map(|(_, other)| column(other)).collect();
    let Some((of_left, of_right)) = of_left.zip(of_right) else { return Ok(None) };
    let width = left.plan.schema().fields().len();
    let keys_of_right = |from: usize| right.keys.iter().map(move |key| key + from);
    let keys: Vec<usize> = match join.join_type() {
        JoinType::Inner => left.keys.iter().copied().chain(keys_of_right(width)).collect(),
        JoinType::Left | JoinType::LeftSemi | JoinType::LeftAnti | JoinType::LeftMark => {
            left.keys.clone()
        }
        JoinType::Right => keys_of_right(width).collect(),
        JoinType::RightSemi | JoinType::RightAnti | JoinType::RightMark => {
            keys_of_right(0).collect()
        }
        JoinType::Full => Vec::new(),
    };
    let keys = match &join.projection {
        None => keys,
        Some(shown) => positions(shown.iter().map(|column| keys.contains(column))),
    };
    // Made anew: what the old one tells its inputs of its rows goes by their hashes.
    let plan = HashJoinExec::try_new(
        Arc::new(InPlace::new(left.plan, of_left)?),
        Arc::new(InPlace::new(right.plan, of_right)?),
        join.on().to_vec(),
        join.filter().cloned(),
        join.join_type(),
        join.projection.as_ref().map(|shown| shown.to_vec()),
        PartitionMode::Partitioned,
        join.null_equality(),
        false,
    )?;
    Ok(Some(Placed { plan: Arc::new(plan), keys }))
}

fn placed_groups(groups: &AggregateExec, parts: usize) -> Result<Option<Placed>> {
    let by = groups.group_expr();
    let is_of_parts = matches!(
        groups.mode(),
        AggregateMode::Partial | AggregateMode::FinalPartitioned | AggregateMode::SinglePartitioned
    );
    if by.has_grouping_set() || !is_of_parts {
        return Ok(None);
    }
    let Some(input) = placed(groups.input(), parts)? else { return Ok(None) };
    let is_key = |one: &Arc<dyn PhysicalExpr>| {
        column(one).is_some_and(|column| input.keys.contains(&column))
    };
    let keys = positions(by.input_exprs().iter().map(is_key));
    if keys.is_empty() {
        // A group may have rows in several parts.
        return Ok(None);
    }
    let plan = with_inputs(Arc::new(groups.clone()), vec![input.plan])?;
    Ok(Some(Placed { plan, keys }))
}

/// The column that an expression is, if it is one.
fn column(expression: &Arc<dyn PhysicalExpr>) -> Option<usize> {
    expression.downcast_ref::<Column>().map(Column::index)
}

fn positions(of: impl Iterator<Item = bool>) -> Vec<usize> {
    of.enumerate().filter_map(|(position, is)| is.then_some(position)).collect()
}

#[cfg(test)]
#[path = "beside_test.rs"]
mod tests;
