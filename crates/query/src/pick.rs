//! [`Pick`]: a statement that only picks rows of one table and shows something of each. To plan how it is run takes longer than to
//! run it, so it is run as it stands.

use std::sync::Arc;

use datafusion::arrow::array::BooleanArray;
use datafusion::arrow::compute::filter_record_batch;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::arrow::record_batch::{RecordBatch, RecordBatchOptions};
use datafusion::catalog::TableProvider;
use datafusion::common::cast::as_boolean_array;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{DFSchema, DFSchemaRef, Result, ScalarValue, internal_err};
use datafusion::datasource::source_as_provider;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::execution::context::ExecutionProps;
use datafusion::logical_expr::physical_planning_context::PhysicalPlanningContext;
use datafusion::logical_expr::{Expr, Limit, LogicalPlan, SkipType};
use datafusion::physical_expr::{PhysicalExpr, create_physical_expr};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use futures::{StreamExt, TryStreamExt};

use crate::budget::Budget;
use crate::table::GridTable;

/// So many rows are looked at together at the least, however few are wanted.
const BATCH_ROWS_MIN: usize = 32;

/// A statement that picks rows.
#[derive(Debug)]
pub(crate) struct Pick {
    table: Arc<dyn TableProvider>,
    /// Which of the table's columns are read.
    columns: Option<Vec<usize>>,
    /// What the table is told of the rows that are needed.
    hints: Vec<Expr>,
    /// What all rows meet.
    predicate: Option<Expr>,
    /// The columns that are read.
    read: DFSchemaRef,
    /// What is shown of each row, where that is not all that is read.
    shown: Option<Shown>,
    /// How many rows are wanted.
    limit: Option<usize>,
}

/// What is shown of each row.
#[derive(Debug)]
struct Shown {
    schema: SchemaRef,
    expressions: Vec<Arc<dyn PhysicalExpr>>,
}

impl Pick {
    /// What an optimised plan picks, if it does nothing else.
    pub(crate) fn of(plan: &LogicalPlan) -> Option<Self> {
        let (mut limit, mut projection, mut plan) = (None, None, plan);
        loop {
            plan = match plan {
                LogicalPlan::Limit(one) if limit.is_none() => {
                    limit = Some(most(one)?);
                    &*one.input
                }
                LogicalPlan::Projection(one) if projection.is_none() => {
                    projection = Some(one);
                    &*one.input
                }
                _ => break,
            };
        }
        let (predicate, plan) = match plan {
            LogicalPlan::Filter(filter) => (Some(filter.predicate.clone()), &*filter.input),
            plan => (None, plan),
        };
        let LogicalPlan::TableScan(scan) = plan else { return None };
        let table = source_as_provider(&scan.source).ok()?;
        table.downcast_ref::<GridTable>()?;
        let read = Arc::clone(&scan.projected_schema);
        let shown = match projection {
            None => None,
            Some(projection) => {
                let schema = Arc::clone(projection.schema.inner());
                let made = projection.expr.iter().map(|one| made(one, &read));
                Some(Shown { schema, expressions: made.collect::<Result<_>>().ok()? })
            }
        };
        Some(Pick {
            table,
            columns: scan.projection.clone(),
            hints: scan.filters.clone(),
            predicate,
            read,
            shown,
            limit: limit.into_iter().chain(scan.fetch).min(),
        })
    }

    /// Its rows with values for its parameters.
    pub(crate) async fn begin(
        &self,
        values: &[ScalarValue],
        (batch_rows, budget): (usize, Arc<Budget>),
    ) -> Result<SendableRecordBatchStream> {
        let Some(table) = self.table.downcast_ref::<GridTable>() else {
            return internal_err!("a table that is none of a map");
        };
        let bound = |one: &Expr| with_values(one, values);
        let hints = self.hints.iter().map(bound).collect::<Result<Vec<_>>>()?;
        let predicate = match &self.predicate {
            Some(predicate) => Some(made(&bound(predicate)?, &self.read)?),
            None => None,
        };
        // Rows that are read and not picked do not count.
        let fetch = self.limit.filter(|_| predicate.is_none());
        let walk = table.walk(self.columns.as_ref(), &hints, fetch, 1).await;
        let batch_rows =
            self.limit.map_or(batch_rows, |limit| limit.clamp(BATCH_ROWS_MIN, batch_rows));
        let rows = walk.stream(0, batch_rows, Some(budget));
        let expressions = self.shown.as_ref().map(|shown| shown.expressions.clone());
        let schema = self.shown.as_ref().map_or_else(|| rows.schema(), |one| one.schema.clone());
        let shown = Arc::clone(&schema);
        let picked = rows.and_then(move |batch| {
            let picked = picked(batch, predicate.as_deref());
            let expressions = expressions.as_deref();
            let shown = picked.and_then(|batch| match expressions {
                Some(expressions) => show(&batch, expressions, &shown),
                None => Ok(batch),
            });
            std::future::ready(shown)
        });
        let mut left = self.limit.unwrap_or(usize::MAX);
        let limited = picked.map_ok(move |batch| {
            let batch = batch.slice(0, left.min(batch.num_rows()));
            left -= batch.num_rows();
            (batch, left)
        });
        // What follows the last row that is wanted is not read.
        let mut is_done = self.limit == Some(0);
        let wanted = limited.take_while(move |next| {
            let goes_on = !is_done;
            is_done |= next.as_ref().is_ok_and(|(_, left)| *left == 0);
            std::future::ready(goes_on)
        });
        let wanted = wanted.map_ok(|(batch, _)| batch);
        Ok(Box::pin(RecordBatchStreamAdapter::new(schema, wanted)))
    }
}

/// The rows of a batch that a predicate means.
fn picked(batch: RecordBatch, predicate: Option<&dyn PhysicalExpr>) -> Result<RecordBatch> {
    let Some(predicate) = predicate else { return Ok(batch) };
    let meant = predicate.evaluate(&batch)?.into_array(batch.num_rows())?;
    let meant: &BooleanArray = as_boolean_array(&meant)?;
    Ok(filter_record_batch(&batch, meant)?)
}

/// What is shown of a batch.
fn show(
    batch: &RecordBatch,
    expressions: &[Arc<dyn PhysicalExpr>],
    schema: &SchemaRef,
) -> Result<RecordBatch> {
    let column = |one: &Arc<dyn PhysicalExpr>| one.evaluate(batch)?.into_array(batch.num_rows());
    let columns = expressions.iter().map(column).collect::<Result<_>>()?;
    let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    Ok(RecordBatch::try_new_with_options(Arc::clone(schema), columns, &options)?)
}

/// How many rows a limit leaves, if it says so and leaves out none before them.
fn most(limit: &Limit) -> Option<usize> {
    let skips = !matches!(limit.get_skip_type(), Ok(SkipType::Literal(0)));
    if skips {
        return None;
    }
    match limit.fetch.as_deref() {
        Some(Expr::Literal(ScalarValue::Int64(Some(most)), _)) => usize::try_from(*most).ok(),
        _ => None,
    }
}

/// An expression as it is evaluated.
fn made(expression: &Expr, columns: &DFSchema) -> Result<Arc<dyn PhysicalExpr>> {
    let planning = PhysicalPlanningContext::default();
    create_physical_expr(expression, columns, &ExecutionProps::new(), &planning)
}

/// An expression with values for its parameters.
fn with_values(expression: &Expr, values: &[ScalarValue]) -> Result<Expr> {
    let bound = expression.clone().transform_up(|one| {
        let Expr::Placeholder(parameter) = &one else { return Ok(Transformed::no(one)) };
        let number = parameter.id.strip_prefix('$').and_then(|id| id.parse::<usize>().ok());
        match number.and_then(|number| values.get(number.checked_sub(1)?)) {
            Some(value) => Ok(Transformed::yes(Expr::Literal(value.clone(), None))),
            None => internal_err!("there is no value for {}", parameter.id),
        }
    });
    Ok(bound?.data)
}

#[cfg(test)]
#[path = "pick_test.rs"]
mod tests;
