//! The types of a statement's parameters: what the client says, else what stands around them, else text.

use std::collections::BTreeMap;
use std::sync::Arc;

use datafusion::arrow::datatypes::{DataType, Field};
use datafusion::common::Result;
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::error::DataFusionError;
use datafusion::logical_expr::expr::Placeholder;
use datafusion::logical_expr::{Expr, ExprSchemable, LogicalPlan};

/// The most parameters of a statement.
const PARAMETERS_MAX: usize = 1_000;

/// What is known of each parameter.
type Found = BTreeMap<String, Option<DataType>>;

/// The types of the parameters in order.
pub(crate) fn types(plan: &LogicalPlan, given: &[Option<DataType>]) -> Result<Vec<DataType>> {
    let mut found = Found::new();
    plan.apply_with_subqueries(|node| {
        look(node, &mut found)?;
        Ok(TreeNodeRecursion::Continue)
    })?;
    let mut types: Vec<DataType> =
        given.iter().map(|given| given.clone().unwrap_or(DataType::Utf8)).collect();
    for (name, found) in found {
        let place = name.strip_prefix('$').and_then(|number| number.parse::<usize>().ok());
        let Some(place) = place.filter(|place| (1..=PARAMETERS_MAX).contains(place)) else {
            return Err(DataFusionError::Plan(format!("{name} is not a parameter")));
        };
        if types.len() < place {
            types.resize(place, DataType::Utf8);
        }
        let is_given = given.get(place - 1).is_some_and(Option::is_some);
        if let (false, Some(found)) = (is_given, found) {
            types[place - 1] = found;
        }
    }
    Ok(types)
}

fn look(node: &LogicalPlan, found: &mut Found) -> Result<()> {
    if let LogicalPlan::Limit(limit) = node {
        for count in [&limit.skip, &limit.fetch].into_iter().flatten() {
            note(count, Some(DataType::Int64), found);
        }
    }
    let schema = match node.inputs().as_slice() {
        [one] => Arc::clone(one.schema()),
        // Where two sides have columns of the same names, those of the left have to do.
        [left, right] => match left.schema().join(right.schema()) {
            Ok(both) => Arc::new(both),
            Err(_) => Arc::clone(left.schema()),
        },
        _ => Arc::clone(node.schema()),
    };
    node.apply_expressions(|expr| {
        expr.apply(|expr| {
            match expr {
                Expr::Placeholder(_) => note(expr, None, found),
                Expr::Cast(cast) => note(&cast.expr, Some(cast.field.data_type().clone()), found),
                // `x = ANY($1)`
                Expr::ScalarFunction(call) if call.name() == "array_has" => {
                    if let [list, item] = call.args.as_slice() {
                        let item = item.get_type(&schema).unwrap_or(DataType::Utf8);
                        let item = Field::new_list_field(item, true);
                        note(list, Some(DataType::List(Arc::new(item))), found);
                    }
                }
                _ => {}
            }
            Ok(TreeNodeRecursion::Continue)
        })
    })?;
    Ok(())
}

/// Remembers a parameter with its type, unless a type is known already.
fn note(expr: &Expr, around: Option<DataType>, found: &mut Found) {
    let Expr::Placeholder(Placeholder { id, field }) = expr else { return };
    let known = field.as_ref().map(|field| field.data_type().clone());
    let entry = found.entry(id.clone()).or_default();
    if entry.is_none() {
        *entry = known.or(around);
    }
}
