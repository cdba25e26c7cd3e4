//! Questions about the catalogue within a question: about what is never there, and about one thing.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    Expr, GroupByExpr, JoinOperator, LimitClause, ObjectName, Query, Select, SelectItem, SetExpr,
    TableFactor, TableWithJoins, Value, Visit, visit_expressions, visit_relations,
};

use super::rewrite::{CATALOG, call, part};
use super::tables;

/// What makes one row of many, and so has a row although there are none.
const AGGREGATES: &[&str] = &[
    "count",
    "max",
    "min",
    "sum",
    "avg",
    "string_agg",
    "array_agg",
    "bool_or",
    "bool_and",
    "every",
    "first_value",
    "last_value",
];

/// Functions of one row that clients ask of things that are not there.
const OF_ONE_ROW: &[&str] =
    &["format_type", "obj_description", "col_description", "shobj_description", "quote_ident"];

/// The table of the catalogue that this names.
pub(super) fn catalog_table(name: &ObjectName) -> Option<String> {
    let parts: Vec<String> = name.0.iter().map(part).collect();
    let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
    match parts.as_slice() {
        [table] | [_, CATALOG, table] | [CATALOG, table] if tables::exists(table) => {
            Some((*table).to_owned())
        }
        _ => None,
    }
}

/// Whether something reads the catalogue, and nothing else.
pub(super) fn is_of_catalog(read: &impl Visit) -> bool {
    let mut is_any = false;
    let only = visit_relations(read, |name| {
        is_any = true;
        // A function that gives rows.
        let is_function = name.0.len() == 2 && name.0.first().map(part).as_deref() == Some(CATALOG);
        match is_function || catalog_table(name).is_some() {
            true => ControlFlow::Continue(()),
            false => ControlFlow::Break(()),
        }
    });
    is_any && only.is_continue()
}

/// Whether a query has no rows because it asks for what is never there.
pub(super) fn is_over_nothing(query: &Query) -> bool {
    let SetExpr::Select(select) = &*query.body else { return false };
    !is_grouped(select) && !calls(select, is_of_many_rows) && select.from.iter().any(has_no_rows)
}

fn has_no_rows(from: &TableWithJoins) -> bool {
    let mut is_empty = is_nothing(&from.relation);
    for join in &from.joins {
        match join.join_operator {
            JoinOperator::Join(_) | JoinOperator::Inner(_) | JoinOperator::CrossJoin(_) => {
                is_empty |= is_nothing(&join.relation);
            }
            JoinOperator::Left(_) | JoinOperator::LeftOuter(_) => {}
            _ => return false,
        }
    }
    is_empty
}

fn is_nothing(relation: &TableFactor) -> bool {
    match relation {
        TableFactor::Table { name, .. } => {
            catalog_table(name).is_some_and(|table| tables::is_empty(&table))
        }
        _ => false,
    }
}

/// A question about one thing of the catalogue, which DataFusion does not know to have one row: the first is taken.
pub(super) fn first_row(query: &mut Query) {
    if query.order_by.is_some() || query.limit_clause.as_ref().is_some_and(|limit| !is_one(limit)) {
        return;
    }
    let SetExpr::Select(select) = &mut *query.body else { return };
    let of_catalog = |relation: &TableFactor| match relation {
        TableFactor::Table { name, .. } => catalog_table(name).is_some(),
        _ => false,
    };
    let is_of_catalog = !select.from.is_empty()
        && select.from.iter().all(|from| {
            of_catalog(&from.relation) && from.joins.iter().all(|join| of_catalog(&join.relation))
        });
    if !is_of_catalog || is_grouped(select) || calls(select, |name| AGGREGATES.contains(&name)) {
        return;
    }
    if let [SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. }] =
        select.projection.as_mut_slice()
    {
        *expr = call("first_value", expr.clone());
        query.limit_clause = None;
    }
}

/// LIMIT 1
fn is_one(limit: &LimitClause) -> bool {
    let LimitClause::LimitOffset { limit: Some(Expr::Value(value)), offset: None, limit_by } =
        limit
    else {
        return false;
    };
    limit_by.is_empty() && matches!(&value.value, Value::Number(rows, _) if rows == "1")
}

fn is_grouped(select: &Select) -> bool {
    let is_plain = matches!(&select.group_by, GroupByExpr::Expressions(by, with)
        if by.is_empty() && with.is_empty());
    !is_plain || select.having.is_some()
}

/// Whether what is selected calls such a function.
fn calls(select: &Select, is_such: impl Fn(&str) -> bool) -> bool {
    let look = |expr: &Expr| match expr {
        Expr::Function(function)
            if function.name.0.last().map(part).is_some_and(|name| is_such(&name)) =>
        {
            ControlFlow::Break(())
        }
        _ => ControlFlow::Continue(()),
    };
    visit_expressions(&select.projection, look).is_break()
}

/// Whether a function may have a value where there are no rows.
fn is_of_many_rows(name: &str) -> bool {
    !name.starts_with("pg_") && !OF_ONE_ROW.contains(&name)
}
