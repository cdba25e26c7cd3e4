//! From what PostgreSQL's clients write to what DataFusion takes: names of the catalogue without their schema, types and
//! operators that only PostgreSQL has, and questions about things that are never there.

use std::ops::ControlFlow;

use datafusion::arrow::datatypes::DataType as ArrowType;
use datafusion::sql::sqlparser::ast::{
    AccessExpr, Array, ArrayElemTypeDef, BinaryOperator, CastKind, DataType, ExactNumberInfo, Expr,
    Function, FunctionArg, FunctionArgExpr, FunctionArgumentList, FunctionArguments, Ident,
    JoinOperator, ObjectName, ObjectNamePart, Query, Select, SelectItem, SetExpr, Statement,
    TableFactor, TimezoneInfo, Value, ValueWithSpan, VisitMut, VisitorMut,
};

use super::tables;

/// The schema that PostgreSQL's clients ask.
pub(crate) const CATALOG: &str = "pg_catalog";

/// Makes a statement one that DataFusion takes. `types`: those that the client says its parameters have.
pub(crate) fn rewrite(statement: &mut Statement, types: &[Option<ArrowType>]) {
    let _ = VisitMut::visit(statement, &mut Rewriter { types });
}

struct Rewriter<'a> {
    types: &'a [Option<ArrowType>],
}

impl VisitorMut for Rewriter<'_> {
    type Break = ();

    /// `pg_class` is `pg_catalog.pg_class`, and so it is in whatever database it is said to be.
    fn pre_visit_relation(&mut self, relation: &mut ObjectName) -> ControlFlow<()> {
        let parts: Vec<String> = relation.0.iter().map(part).collect();
        let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
        match parts.as_slice() {
            [table] | [_, CATALOG, table] | [CATALOG, table] if tables::exists(table) => {
                *relation = ObjectName::from(vec![Ident::new(CATALOG), Ident::new(*table)]);
            }
            // A function that gives rows.
            [CATALOG, function] => *relation = ObjectName::from(Ident::new(*function)),
            _ => {}
        }
        ControlFlow::Continue(())
    }

    /// Functions of the catalogue that give rows are tables here.
    fn pre_visit_table_factor(&mut self, relation: &mut TableFactor) -> ControlFlow<()> {
        if let TableFactor::Table { name, args, .. } = relation
            && name.0.last().map(part).is_some_and(|name| tables::exists(&name))
        {
            *args = None;
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        match expr {
            Expr::Subquery(query) if is_over_nothing(query) => *expr = null(),
            Expr::Subquery(query) => first_row(query),
            Expr::Exists { subquery, negated } if is_over_nothing(subquery) => {
                *expr = Expr::Value(Value::Boolean(*negated).into());
            }
            // ARRAY(SELECT …): only of rights and members, which nobody has.
            Expr::Function(Function { args: FunctionArguments::Subquery(_), .. }) => {
                let list = ArrayElemTypeDef::SquareBracket(Box::new(DataType::Text), None);
                *expr = cast_to(null(), DataType::Array(list));
            }
            // A field of a row: no value here is one.
            Expr::CompoundFieldAccess { root, access_chain }
                if matches!(**root, Expr::Nested(_) | Expr::Function(_))
                    && matches!(access_chain.as_slice(), [AccessExpr::Dot(_)]) =>
            {
                *expr = null();
            }
            _ => {}
        }
        ControlFlow::Continue(())
    }

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        match expr {
            Expr::BinaryOp { op, .. } => plain_operator(op),
            Expr::Like { pattern, escape_char, .. } | Expr::ILike { pattern, escape_char, .. } => {
                plain_escape(pattern, escape_char);
            }
            Expr::Collate { expr: inner, .. } => *expr = (**inner).clone(),
            Expr::Function(function) => {
                plain_function(function);
                if function.name.0.last().map(part).is_some_and(|name| name == "array_upper") {
                    function.name = ObjectName::from(Ident::new("array_length"));
                    *expr = cast_to(expr.clone(), DataType::BigInt(None));
                }
            }
            Expr::Cast { expr: inner, data_type, .. } => {
                if let Some(cast) = cast(inner, data_type) {
                    *expr = cast;
                }
            }
            Expr::AnyOp { right, .. } | Expr::AllOp { right, .. } => {
                if let Expr::Nested(inner) = &**right {
                    **right = (**inner).clone();
                }
            }
            Expr::Value(value) => {
                if let Value::EscapedStringLiteral(text) = &value.value {
                    value.value = Value::SingleQuotedString(text.clone());
                } else if let Value::Placeholder(name) = &value.value
                    && let Some(sql_type) = self.type_of(name)
                {
                    *expr = cast_to(expr.clone(), sql_type);
                }
            }
            _ => {}
        }
        ControlFlow::Continue(())
    }
}

impl Rewriter<'_> {
    fn type_of(&self, placeholder: &str) -> Option<DataType> {
        let number: usize = placeholder.strip_prefix('$')?.parse().ok()?;
        sql_type(self.types.get(number.checked_sub(1)?)?.as_ref()?)
    }
}

/// How the planner is told the type of a parameter.
fn sql_type(data_type: &ArrowType) -> Option<DataType> {
    Some(match data_type {
        ArrowType::Boolean => DataType::Boolean,
        ArrowType::Int16 => DataType::SmallInt(None),
        ArrowType::Int32 => DataType::Int(None),
        ArrowType::Int64 => DataType::BigInt(None),
        ArrowType::UInt32 => DataType::IntUnsigned(None),
        ArrowType::Float32 => DataType::Real,
        ArrowType::Float64 => DataType::Double(ExactNumberInfo::None),
        ArrowType::Utf8 => DataType::Text,
        ArrowType::Binary => DataType::Bytea,
        ArrowType::Date32 => DataType::Date,
        ArrowType::Timestamp(_, None) => DataType::Timestamp(Some(6), TimezoneInfo::None),
        ArrowType::Timestamp(_, Some(_)) => DataType::Timestamp(Some(6), TimezoneInfo::Tz),
        ArrowType::Decimal128(precision, scale) => DataType::Numeric(
            ExactNumberInfo::PrecisionAndScale(u64::from(*precision), i64::from(*scale)),
        ),
        ArrowType::List(field) => DataType::Array(ArrayElemTypeDef::SquareBracket(
            Box::new(sql_type(field.data_type())?),
            None,
        )),
        _ => return None,
    })
}

fn plain_operator(op: &mut BinaryOperator) {
    if let BinaryOperator::PGCustomBinaryOperator(names) = op {
        *op = match names.last().map(String::as_str) {
            Some("~") => BinaryOperator::PGRegexMatch,
            Some("~*") => BinaryOperator::PGRegexIMatch,
            Some("!~") => BinaryOperator::PGRegexNotMatch,
            Some("!~*") => BinaryOperator::PGRegexNotIMatch,
            Some("~~") => BinaryOperator::PGLikeMatch,
            Some("=") => BinaryOperator::Eq,
            Some("<>") => BinaryOperator::NotEq,
            _ => return,
        };
    }
}

/// `LIKE 'a/_b' ESCAPE '/'`: here a backslash escapes, and nothing else.
fn plain_escape(pattern: &mut Box<Expr>, escape: &mut Option<ValueWithSpan>) {
    if let Some(escape) = escape.take() {
        let mut escaped = call("pg_like_escaped", (**pattern).clone());
        if let Expr::Function(Function { args: FunctionArguments::List(list), .. }) = &mut escaped {
            let escape = FunctionArgExpr::Expr(Expr::Value(escape));
            list.args.push(FunctionArg::Unnamed(escape));
        }
        **pattern = escaped;
    }
}

/// Functions have no schema here, and always brackets.
fn plain_function(function: &mut Function) {
    let parts: Vec<String> = function.name.0.iter().map(part).collect();
    if let [schema, name] = parts.as_slice()
        && matches!(schema.as_str(), CATALOG | "information_schema")
    {
        function.name = ObjectName::from(Ident::new(name));
    }
    let without_brackets = matches!(function.args, FunctionArguments::None);
    let names = ["current_user", "session_user", "user", "current_role", "current_catalog"];
    let last = parts.last().map(String::as_str).unwrap_or_default();
    if without_brackets && (names.contains(&last) || last == "current_schema") {
        function.args = FunctionArguments::List(arguments(Vec::new()));
    }
}

/// A cast to a type that only PostgreSQL has.
fn cast(inner: &Expr, data_type: &DataType) -> Option<Expr> {
    let name = match data_type {
        DataType::Regclass => "regclass".to_owned(),
        DataType::Custom(name, _) => name.0.last().map(part)?,
        DataType::CharacterVarying(_) | DataType::Character(_) | DataType::Char(_) => {
            return Some(cast_to(inner.clone(), DataType::Text));
        }
        DataType::JSON | DataType::JSONB | DataType::Uuid => {
            return Some(cast_to(inner.clone(), DataType::Text));
        }
        DataType::Array(_) => return list_of_text(inner),
        _ => return None,
    };
    let is_named = matches!(inner, Expr::Value(value) if matches!(
        value.value, Value::SingleQuotedString(_) | Value::Placeholder(_)
    ));
    let of = |function: &str| Some(call(function, inner.clone()));
    match name.as_str() {
        "regclass" if is_named => of("to_regclass"),
        "regclass" => of("pg_regclass_name"),
        "regtype" if is_named => of("to_regtype"),
        "regtype" => of("pg_regtype_name"),
        "regproc" | "regprocedure" | "regoper" | "regoperator" if is_named => {
            Some(cast_to(null(), DataType::IntUnsigned(None)))
        }
        "regnamespace" if is_named => of("to_regnamespace"),
        "regnamespace" => of("pg_regnamespace_name"),
        "oid" | "xid" => Some(cast_to(inner.clone(), DataType::IntUnsigned(None))),
        "int4" | "int" => Some(cast_to(inner.clone(), DataType::Int(None))),
        "int8" => Some(cast_to(inner.clone(), DataType::BigInt(None))),
        "int2" => Some(cast_to(inner.clone(), DataType::SmallInt(None))),
        "bool" => Some(cast_to(inner.clone(), DataType::Boolean)),
        "float8" => Some(cast_to(inner.clone(), DataType::Double(ExactNumberInfo::None))),
        _ => Some(cast_to(inner.clone(), DataType::Text)),
    }
}

/// `'{a,b}'::text[]`
fn list_of_text(inner: &Expr) -> Option<Expr> {
    let Expr::Value(value) = inner else { return None };
    let Value::SingleQuotedString(text) = &value.value else { return None };
    let items = text.strip_prefix('{')?.strip_suffix('}')?;
    let item = |item: &str| {
        let text = item.trim().trim_matches('"').to_owned();
        Expr::Value(Value::SingleQuotedString(text).into())
    };
    let elem = items.split(',').filter(|item| !item.is_empty()).map(item).collect();
    Some(Expr::Array(Array { elem, named: true }))
}

/// Whether a query has no rows because it asks for what is never there.
fn is_over_nothing(query: &Query) -> bool {
    let SetExpr::Select(select) = &*query.body else { return false };
    !counts(select)
        && select.from.iter().any(|from| {
            let needs = |join: &&datafusion::sql::sqlparser::ast::Join| {
                matches!(join.join_operator, JoinOperator::Join(_) | JoinOperator::Inner(_))
            };
            is_nothing(&from.relation)
                || from.joins.iter().filter(needs).any(|join| is_nothing(&join.relation))
        })
}

/// A question about one thing of the catalogue, which DataFusion does not know to have one row: the first is taken.
fn first_row(query: &mut Query) {
    let SetExpr::Select(select) = &mut *query.body else { return };
    let of_catalog = |relation: &TableFactor| match relation {
        TableFactor::Table { name, .. } => {
            name.0.last().map(part).is_some_and(|table| tables::exists(&table))
        }
        _ => false,
    };
    let is_of_catalog = !select.from.is_empty()
        && select.from.iter().all(|from| {
            of_catalog(&from.relation) && from.joins.iter().all(|join| of_catalog(&join.relation))
        });
    if !is_of_catalog || has_aggregate(select) {
        return;
    }
    if let [SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. }] =
        select.projection.as_mut_slice()
    {
        *expr = call("first_value", expr.clone());
        (query.order_by, query.limit_clause) = (None, None);
    }
}

/// A count has a row although there is nothing to count. What other aggregates say of nothing is NULL.
fn counts(select: &Select) -> bool {
    calls(select, &["count"])
}

fn has_aggregate(select: &Select) -> bool {
    calls(select, &["count", "max", "min", "string_agg", "array_agg", "bool_or"])
}

fn calls(select: &Select, functions: &[&str]) -> bool {
    select.projection.iter().any(|item| match item {
        SelectItem::UnnamedExpr(Expr::Function(function))
        | SelectItem::ExprWithAlias { expr: Expr::Function(function), .. } => {
            let name = function.name.0.last().map(part);
            name.is_some_and(|name| functions.contains(&name.as_str()))
        }
        _ => false,
    })
}

fn is_nothing(relation: &TableFactor) -> bool {
    match relation {
        TableFactor::Table { name, .. } => {
            let parts: Vec<String> = name.0.iter().map(part).collect();
            parts.last().is_some_and(|table| tables::is_empty(table))
        }
        _ => false,
    }
}

fn call(function: &str, argument: Expr) -> Expr {
    let argument = FunctionArg::Unnamed(FunctionArgExpr::Expr(argument));
    Expr::Function(Function {
        name: ObjectName::from(Ident::new(function)),
        uses_odbc_syntax: false,
        parameters: FunctionArguments::None,
        args: FunctionArguments::List(arguments(vec![argument])),
        filter: None,
        null_treatment: None,
        over: None,
        within_group: Vec::new(),
    })
}

fn arguments(args: Vec<FunctionArg>) -> FunctionArgumentList {
    FunctionArgumentList { duplicate_treatment: None, args, clauses: Vec::new() }
}

fn cast_to(expr: Expr, data_type: DataType) -> Expr {
    Expr::Cast { kind: CastKind::Cast, expr: Box::new(expr), data_type, array: false, format: None }
}

fn null() -> Expr {
    Expr::Value(Value::Null.into())
}

/// A part of a name, in small letters unless it is quoted.
fn part(part: &ObjectNamePart) -> String {
    match part.as_ident() {
        Some(name) if name.quote_style.is_some() => name.value.clone(),
        Some(name) => name.value.to_lowercase(),
        None => part.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pg::statement::PgStatement;

    fn rewritten(text: &str) -> String {
        let statements = PgStatement::parse(text).expect("it is read");
        let Some(PgStatement::Query(mut statement)) = statements.into_iter().next() else {
            panic!("{text}");
        };
        rewrite(&mut statement, &[Some(ArrowType::Int32)]);
        statement.to_string()
    }

    #[test]
    fn what_only_postgres_takes_becomes_what_datafusion_takes() {
        for (before, after) in [
            ("SELECT 1 FROM pg_class", "SELECT 1 FROM pg_catalog.pg_class"),
            ("SELECT 1 FROM pg_orders", "SELECT 1 FROM pg_orders"),
            ("SELECT 'a'::regclass", "SELECT to_regclass('a')"),
            ("SELECT c.oid::pg_catalog.regclass", "SELECT pg_regclass_name(c.oid)"),
            ("SELECT a OPERATOR(pg_catalog.~) 'b' COLLATE pg_catalog.default", "SELECT a ~ 'b'"),
            ("SELECT pg_catalog.version()", "SELECT version()"),
            ("SELECT current_user", "SELECT current_user()"),
            ("SELECT $1 + $2", "SELECT CAST($1 AS INT) + $2"),
            ("SELECT a = ANY('{b,c}'::text[])", "SELECT a = ANY(ARRAY['b', 'c'])"),
            ("SELECT (SELECT d FROM pg_description x)", "SELECT NULL"),
            ("SELECT a NOT LIKE 'b/_' ESCAPE '/'", "SELECT a NOT LIKE pg_like_escaped('b/_', '/')"),
            ("SELECT word FROM pg_get_keywords()", "SELECT word FROM pg_catalog.pg_get_keywords"),
            ("SELECT EXISTS (SELECT 1 FROM pg_trigger)", "SELECT false"),
            (
                "SELECT (SELECT count(*) FROM pg_trigger)",
                "SELECT (SELECT count(*) FROM pg_catalog.pg_trigger)",
            ),
            (
                "SELECT (SELECT c.relkind FROM pg_class c WHERE c.oid = 1 LIMIT 1)",
                "SELECT (SELECT first_value(c.relkind) FROM pg_catalog.pg_class c WHERE c.oid = 1)",
            ),
            ("SELECT E'a\\n'", "SELECT 'a\n'"),
            ("SELECT (f(i)).n FROM pg_index i", "SELECT NULL FROM pg_catalog.pg_index i"),
        ] {
            assert_eq!(rewritten(before).replace(" AS i", " i"), after, "{before}");
        }
    }
}
