//! What the columns of an answer are called. PostgreSQL names a column after the function or column it comes from and lets
//! names occur twice; DataFusion names it after the whole expression and does not. Here columns without a name get the one
//! that PostgreSQL gives, with a mark behind it that makes it the only one, and that is taken off where rows are described.

use std::collections::BTreeSet;

use datafusion::sql::sqlparser::ast::{
    Expr, Ident, Query, Select, SelectItem, SetExpr, Statement, Value,
};

/// What stands between a name and the number of its column. No client writes it.
const MARK: char = '\u{1}';

/// The name as clients see it.
pub(crate) fn shown(name: &str) -> &str {
    name.split(MARK).next().unwrap_or(name)
}

/// Gives names to the columns of a statement's answer.
pub(crate) fn give(statement: &mut Statement) {
    if let Statement::Query(query) = statement
        && let Some(select) = outermost(query)
    {
        give_select(select);
    }
}

fn outermost(query: &mut Query) -> Option<&mut Select> {
    fn of_body(body: &mut SetExpr) -> Option<&mut Select> {
        match body {
            SetExpr::Select(select) => Some(select),
            SetExpr::Query(query) => outermost(query),
            SetExpr::SetOperation { left, .. } => of_body(left),
            _ => None,
        }
    }
    of_body(&mut query.body)
}

fn give_select(select: &mut Select) {
    let is_star = |item: &SelectItem| {
        matches!(item, SelectItem::Wildcard(_) | SelectItem::QualifiedWildcard(..))
    };
    let has_star = select.projection.iter().any(is_star);
    let mut taken = BTreeSet::new();
    for (place, item) in select.projection.iter_mut().enumerate() {
        match item {
            SelectItem::UnnamedExpr(expr) => {
                let name = name_of(expr);
                let is_column = matches!(expr, Expr::Identifier(_) | Expr::CompoundIdentifier(_));
                let is_new = taken.insert(name.clone());
                if is_column && is_new && !has_star {
                    continue;
                }
                let alias = Ident::with_quote('"', format!("{name}{MARK}{place}"));
                *item = SelectItem::ExprWithAlias { expr: expr.clone(), alias };
            }
            SelectItem::ExprWithAlias { alias, .. } => {
                let name = folded(alias);
                if !taken.insert(name.clone()) {
                    *alias = Ident::with_quote('"', format!("{name}{MARK}{place}"));
                }
            }
            _ => {}
        }
    }
}

/// The name that PostgreSQL gives.
fn name_of(expr: &Expr) -> String {
    match expr {
        Expr::Identifier(name) => folded(name),
        Expr::CompoundIdentifier(names) => names.last().map(folded).unwrap_or_default(),
        Expr::Function(function) => {
            let last = function.name.0.last().and_then(|part| part.as_ident());
            last.map(folded).unwrap_or_default()
        }
        Expr::Nested(inner) | Expr::Collate { expr: inner, .. } => name_of(inner),
        Expr::Cast { expr: inner, data_type, .. } => match name_of(inner).as_str() {
            "?column?" => data_type.to_string().to_lowercase(),
            name => name.to_owned(),
        },
        Expr::Case { .. } => "case".to_owned(),
        Expr::Exists { .. } => "exists".to_owned(),
        Expr::Array(_) => "array".to_owned(),
        Expr::Value(value) if matches!(value.value, Value::Boolean(_)) => "bool".to_owned(),
        Expr::Extract { .. } => "extract".to_owned(),
        Expr::Substring { .. } => "substring".to_owned(),
        Expr::Trim { .. } => "btrim".to_owned(),
        _ => "?column?".to_owned(),
    }
}

pub(crate) fn folded(name: &Ident) -> String {
    if name.quote_style.is_some() { name.value.clone() } else { name.value.to_lowercase() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pg::statement::PgStatement;

    fn names(text: &str) -> Vec<String> {
        let statements = PgStatement::parse(text).expect("it is read");
        let Some(PgStatement::Query(mut statement)) = statements.into_iter().next() else {
            panic!("{text}");
        };
        give(&mut statement);
        let Statement::Query(mut query) = *statement else { panic!("{text}") };
        let select = outermost(&mut query).expect("it selects");
        let name = |item: &SelectItem| match item {
            SelectItem::ExprWithAlias { alias, .. } => alias.value.clone(),
            other => other.to_string(),
        };
        select.projection.iter().map(name).collect()
    }

    #[test]
    fn columns_are_called_as_postgres_calls_them() {
        let found = names("SELECT 1, 1, count(*), a.B, (x)::int8, CASE WHEN true THEN 1 END");
        let shown: Vec<&str> = found.iter().map(|name| shown(name)).collect();
        assert_eq!(shown, ["?column?", "?column?", "count", "a.B", "x", "case"]);
        let different: BTreeSet<&String> = found.iter().collect();
        assert_eq!(different.len(), found.len(), "{found:?}");
    }

    #[test]
    fn a_column_beside_a_star_does_not_collide_with_it() {
        assert_eq!(names("SELECT d.oid, d.* FROM d"), ["oid\u{1}0", "d.*"]);
        assert_eq!(names("SELECT a, b AS a FROM d"), ["a", "a\u{1}1"]);
    }
}
