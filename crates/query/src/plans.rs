//! [`Plans`]: the optimised plans of statements that were asked before. Asked again, with other values, such a statement is neither
//! parsed nor optimised: that would take longer than to run a small one.

use std::collections::HashMap;
use std::sync::Arc;

use datafusion::arrow::datatypes::DataType;
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::common::{ParamValues, Result, ScalarValue};
use datafusion::datasource::source_as_provider;
use datafusion::logical_expr::expr::InList;
use datafusion::logical_expr::{BinaryExpr, Expr, LogicalPlan, Operator, TableScan, Volatility};
use parking_lot::Mutex;

use crate::pick::Pick;
use crate::route::{self, Route};
use crate::source::{MapDefinition, Source};
use crate::table::GridTable;

/// How many plans are kept, and the longest statement whose plan is.
const PLANS_MAX: usize = 256;
const STATEMENT_BYTES_MAX: usize = 8 << 10;

/// How many steps and nodes of expressions a small statement has at the most.
const STEPS_OF_SMALL: usize = 60;

/// The plans that are kept.
#[derive(Debug, Default)]
pub(crate) struct Plans(Mutex<Kept>);

#[derive(Debug, Default)]
struct Kept {
    /// By statement; of each when it was last used.
    plans: HashMap<String, (Arc<Plan>, u64)>,
    uses: u64,
}

impl Plans {
    /// The plan of a statement that is given values of these types, if one is kept and its maps are as they were.
    pub(crate) fn find(
        &self,
        statement: &str,
        values: &[ScalarValue],
        source: &dyn Source,
    ) -> Option<Arc<Plan>> {
        let plan = self.0.lock().used(statement)?;
        (plan.takes(values) && plan.is_current(source)).then_some(plan)
    }

    /// Whether the plan of a statement is kept, is planned in no time and reads one partition.
    pub(crate) fn has_small(&self, statement: &str) -> bool {
        self.0.lock().plans.get(statement).is_some_and(|(plan, _)| plan.is_small)
    }

    /// Keeps a plan; the one that was not used for longest makes room.
    pub(crate) fn keep(&self, statement: &str, plan: &Arc<Plan>) {
        if statement.len() > STATEMENT_BYTES_MAX {
            return;
        }
        let mut kept = self.0.lock();
        if kept.plans.len() >= PLANS_MAX && !kept.plans.contains_key(statement) {
            let oldest = kept.plans.iter().min_by_key(|(_, (_, used))| *used);
            if let Some(oldest) = oldest.map(|(statement, _)| statement.clone()) {
                kept.plans.remove(&oldest);
            }
        }
        kept.uses += 1;
        let used = kept.uses;
        kept.plans.insert(statement.to_owned(), (Arc::clone(plan), used));
    }
}

#[cfg(test)]
impl Plans {
    /// The plan of a statement, if one is kept.
    pub(crate) fn kept(&self, statement: &str) -> Option<Arc<Plan>> {
        self.0.lock().plans.get(statement).map(|(plan, _)| Arc::clone(plan))
    }
}

impl Kept {
    fn used(&mut self, statement: &str) -> Option<Arc<Plan>> {
        self.uses += 1;
        let (plan, used) = self.plans.get_mut(statement)?;
        *used = self.uses;
        Some(Arc::clone(plan))
    }
}

/// A plan that is good for all values of its parameters.
#[derive(Debug)]
pub(crate) struct Plan {
    optimised: LogicalPlan,
    /// The types of `$1`, `$2` and so on.
    parameters: Vec<DataType>,
    /// The maps that it reads, as they were.
    maps: Vec<(Arc<str>, MapDefinition)>,
    /// What says which partition it reads.
    pub(crate) route: Option<Route>,
    /// Whether it has few steps and reads nothing or one partition.
    is_small: bool,
    /// What it picks, if it is small and does nothing else.
    pub(crate) pick: Option<Pick>,
}

impl Plan {
    /// The plan of a statement, if it stays good: it reads maps whose columns were given to them, its parameters are compared with
    /// columns, where their values would not have let the optimiser do better, and nothing in it changes with time.
    pub(crate) fn of(
        statement: &LogicalPlan,
        optimise: impl FnOnce(&LogicalPlan) -> Result<LogicalPlan>,
        source: &dyn Source,
    ) -> Result<Option<Plan>> {
        let Some(parameters) = parameters(statement)? else { return Ok(None) };
        let mut maps = Vec::new();
        let (mut is_good, mut steps) = (true, 0);
        statement.apply_with_subqueries(|plan| {
            is_good &= is_lasting(plan) && reads_given_columns(plan, &mut maps)?;
            steps += 1;
            plan.apply_expressions(|expression| {
                steps += nodes(expression)?;
                is_good &= is_plain(expression)?;
                Ok(TreeNodeRecursion::Continue)
            })
        })?;
        if !is_good {
            return Ok(None);
        }
        let optimised = optimise(statement)?;
        let route = route_of(&optimised, source)?;
        let is_small = steps <= STEPS_OF_SMALL && (maps.is_empty() || route.is_some());
        let pick = Pick::of(&optimised).filter(|_| is_small && route.is_some());
        Ok(Some(Plan { optimised, parameters, maps, route, is_small, pick }))
    }

    /// Whether values are of its parameters' types.
    pub(crate) fn takes(&self, values: &[ScalarValue]) -> bool {
        values.iter().map(ScalarValue::data_type).eq(self.parameters.iter().cloned())
    }

    fn is_current(&self, source: &dyn Source) -> bool {
        self.maps.iter().all(|(map, known)| source.map(map).as_ref() == Some(known))
    }

    /// The plan with values for its parameters, which are of their types.
    pub(crate) fn with(&self, values: Vec<ScalarValue>) -> Result<LogicalPlan> {
        if values.is_empty() {
            return Ok(self.optimised.clone());
        }
        self.optimised.clone().replace_params_with_values(&ParamValues::from(values))
    }
}

/// How many nodes an expression has.
fn nodes(expression: &Expr) -> Result<usize> {
    let mut nodes = 0;
    expression.apply(|_| {
        nodes += 1;
        Ok(TreeNodeRecursion::Continue)
    })?;
    Ok(nodes)
}

/// The types of a plan's parameters in their order; `None` where one is not known, or is left out.
fn parameters(plan: &LogicalPlan) -> Result<Option<Vec<DataType>>> {
    let types = plan.get_parameter_types()?;
    let one = |number: usize| types.get(&format!("${number}")).cloned().flatten();
    Ok((1..=types.len()).map(one).collect())
}

/// Whether a step of a plan is of a kind that means the same later.
fn is_lasting(plan: &LogicalPlan) -> bool {
    !matches!(
        plan,
        LogicalPlan::Explain(_)
            | LogicalPlan::Analyze(_)
            | LogicalPlan::DescribeTable(_)
            | LogicalPlan::Statement(_)
            | LogicalPlan::Dml(_)
            | LogicalPlan::Ddl(_)
            | LogicalPlan::Copy(_)
            | LogicalPlan::Extension(_)
    )
}

/// Whether a step that reads a table reads a map whose columns do not depend on its values.
fn reads_given_columns(
    plan: &LogicalPlan,
    maps: &mut Vec<(Arc<str>, MapDefinition)>,
) -> Result<bool> {
    let LogicalPlan::TableScan(scan) = plan else { return Ok(true) };
    let table = source_as_provider(&scan.source)?;
    let Some(table) = table.downcast_ref::<GridTable>() else { return Ok(false) };
    if table.definition.schema.is_none() {
        return Ok(false);
    }
    maps.push((Arc::clone(&table.map), table.definition.clone()));
    Ok(true)
}

/// Whether each parameter in an expression is compared with a column, and each function says the same of the same at any time.
fn is_plain(expression: &Expr) -> Result<bool> {
    let mut is_plain = true;
    let is_value = |one: &Expr| matches!(one, Expr::Placeholder(_) | Expr::Literal(..));
    expression.apply(|one| {
        Ok(match one {
            Expr::BinaryExpr(BinaryExpr { left, op, right })
                if compares(*op)
                    && matches!(
                        (&**left, &**right),
                        (Expr::Column(_), Expr::Placeholder(_))
                            | (Expr::Placeholder(_), Expr::Column(_))
                    ) =>
            {
                TreeNodeRecursion::Jump
            }
            Expr::InList(InList { expr, list, .. })
                if matches!(**expr, Expr::Column(_)) && list.iter().all(is_value) =>
            {
                TreeNodeRecursion::Jump
            }
            Expr::Placeholder(_) => {
                is_plain = false;
                TreeNodeRecursion::Stop
            }
            Expr::ScalarFunction(called)
                if called.func.signature().volatility != Volatility::Immutable =>
            {
                is_plain = false;
                TreeNodeRecursion::Stop
            }
            _ => TreeNodeRecursion::Continue,
        })
    })?;
    Ok(is_plain)
}

fn compares(op: Operator) -> bool {
    use Operator::{Eq, Gt, GtEq, Lt, LtEq, NotEq};
    matches!(op, Eq | NotEq | Lt | LtEq | Gt | GtEq)
}

/// What says which one partition a plan reads, whatever its parameters are.
fn route_of(plan: &LogicalPlan, source: &dyn Source) -> Result<Option<Route>> {
    let mut routes = Vec::new();
    plan.apply_with_subqueries(|plan| {
        if let LogicalPlan::TableScan(TableScan { source: table, filters, .. }) = plan {
            let table = source_as_provider(table)?;
            let by = table.downcast_ref::<GridTable>().and_then(GridTable::partition_by);
            routes.push(route::of(filters, source.partitions(), by));
        }
        Ok(TreeNodeRecursion::Continue)
    })?;
    let first = routes.first().copied().flatten();
    Ok(first.filter(|_| routes.iter().all(|route| *route == first)))
}

#[cfg(test)]
#[path = "plans_test.rs"]
mod tests;
