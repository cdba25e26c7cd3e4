//! From what PostgreSQL's clients write to what DataFusion takes: names of the catalogue without their schema, types and
//! operators that only PostgreSQL has, and questions about things that are never there.

use std::ops::ControlFlow;

use datafusion::arrow::datatypes::DataType as ArrowType;
use datafusion::sql::sqlparser::ast::{
    AccessExpr, ArrayElemTypeDef, BinaryOperator, CastKind, DataType, ExactNumberInfo, Expr,
    Function, FunctionArg, FunctionArgExpr, FunctionArgumentList, FunctionArguments, Ident,
    ObjectName, ObjectNamePart, Statement, TableFactor, TimezoneInfo, Value, ValueWithSpan,
    VisitMut, VisitorMut,
};

use super::refused::Refused;
use super::subqueries::{catalog_table, first_row, is_of_catalog, is_over_nothing};
use super::{casts, tables};

/// The schema that PostgreSQL's clients ask.
pub(crate) const CATALOG: &str = "pg_catalog";

/// Makes a statement one that DataFusion takes. `types`: those that the client says its parameters have.
///
/// # Errors
/// It has a cast to a type that nobody here knows.
pub(crate) fn rewrite(
    statement: &mut Statement,
    types: &[Option<ArrowType>],
) -> Result<(), Refused> {
    let is_of_catalog = is_of_catalog(statement);
    match VisitMut::visit(statement, &mut Rewriter { types, is_of_catalog }) {
        ControlFlow::Break(refused) => Err(refused),
        ControlFlow::Continue(()) => Ok(()),
    }
}

struct Rewriter<'a> {
    types: &'a [Option<ArrowType>],
    /// Whether the whole statement reads the catalogue, and nothing else.
    is_of_catalog: bool,
}

impl VisitorMut for Rewriter<'_> {
    type Break = Refused;

    /// `pg_class` is `pg_catalog.pg_class`, and so it is in whatever database it is said to be.
    fn pre_visit_relation(&mut self, relation: &mut ObjectName) -> ControlFlow<Refused> {
        let parts: Vec<String> = relation.0.iter().map(part).collect();
        if let Some(table) = catalog_table(relation) {
            *relation = ObjectName::from(vec![Ident::new(CATALOG), Ident::new(table)]);
        } else if let [schema, function] = parts.as_slice()
            && schema == CATALOG
        {
            // A function that gives rows.
            *relation = ObjectName::from(Ident::new(function));
        }
        ControlFlow::Continue(())
    }

    /// Functions of the catalogue that give rows are tables here.
    fn pre_visit_table_factor(&mut self, relation: &mut TableFactor) -> ControlFlow<Refused> {
        if let TableFactor::Table { name, args, .. } = relation
            && name.0.last().map(part).is_some_and(|name| tables::exists(&name))
        {
            *args = None;
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<Refused> {
        match expr {
            Expr::Subquery(query) if is_over_nothing(query) => *expr = null(),
            Expr::Subquery(query) => first_row(query),
            Expr::Exists { subquery, negated } if is_over_nothing(subquery) => {
                *expr = Expr::Value(Value::Boolean(*negated).into());
            }
            // ARRAY(SELECT …): only of rights and members, which nobody has.
            Expr::Function(Function { args: FunctionArguments::Subquery(query), .. })
                if is_of_catalog(&**query) =>
            {
                let list = ArrayElemTypeDef::SquareBracket(Box::new(DataType::Text), None);
                *expr = cast_to(null(), DataType::Array(list));
            }
            // A field of a row: no value of the catalogue is one.
            Expr::CompoundFieldAccess { root, access_chain }
                if self.is_of_catalog
                    && matches!(**root, Expr::Nested(_) | Expr::Function(_))
                    && matches!(access_chain.as_slice(), [AccessExpr::Dot(_)]) =>
            {
                *expr = null();
            }
            _ => {}
        }
        ControlFlow::Continue(())
    }

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<Refused> {
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
            Expr::Cast { expr: inner, data_type, .. } => match casts::cast(inner, data_type) {
                Ok(Some(cast)) => *expr = cast,
                Ok(None) => {}
                Err(refused) => return ControlFlow::Break(refused),
            },
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
        let escape = Expr::Value(escape);
        **pattern = call_with("pg_like_escaped", vec![(**pattern).clone(), escape]);
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

/// A call of a function of one argument.
pub(super) fn call(function: &str, argument: Expr) -> Expr {
    call_with(function, vec![argument])
}

/// A call of a function.
pub(super) fn call_with(function: &str, args: Vec<Expr>) -> Expr {
    let argument = |argument| FunctionArg::Unnamed(FunctionArgExpr::Expr(argument));
    let args = args.into_iter().map(argument).collect();
    Expr::Function(Function {
        name: ObjectName::from(Ident::new(function)),
        uses_odbc_syntax: false,
        parameters: FunctionArguments::None,
        args: FunctionArguments::List(arguments(args)),
        filter: None,
        null_treatment: None,
        over: None,
        within_group: Vec::new(),
    })
}

fn arguments(args: Vec<FunctionArg>) -> FunctionArgumentList {
    FunctionArgumentList { duplicate_treatment: None, args, clauses: Vec::new() }
}

pub(super) fn cast_to(expr: Expr, data_type: DataType) -> Expr {
    Expr::Cast { kind: CastKind::Cast, expr: Box::new(expr), data_type, array: false, format: None }
}

pub(super) fn null() -> Expr {
    Expr::Value(Value::Null.into())
}

/// A part of a name, in small letters unless it is quoted.
pub(crate) fn part(part: &ObjectNamePart) -> String {
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
        match rewrite(&mut statement, &[Some(ArrowType::Int32), Some(ArrowType::Utf8)]) {
            Ok(()) => statement.to_string(),
            Err(refused) => refused.state.to_owned(),
        }
    }

    #[test]
    fn what_only_postgres_takes_becomes_what_datafusion_takes() {
        for (before, after) in [
            ("SELECT 1 FROM pg_class", "SELECT 1 FROM pg_catalog.pg_class"),
            ("SELECT 1 FROM pg_orders", "SELECT 1 FROM pg_orders"),
            ("SELECT 'a'::regclass", "SELECT pg_regclass_oid('a')"),
            ("SELECT c.oid::pg_catalog.regclass", "SELECT pg_regclass_name(c.oid)"),
            ("SELECT a OPERATOR(pg_catalog.~) 'b' COLLATE pg_catalog.default", "SELECT a ~ 'b'"),
            ("SELECT pg_catalog.version()", "SELECT version()"),
            ("SELECT current_user", "SELECT current_user()"),
            ("SELECT $1 + $3", "SELECT CAST($1 AS INT) + $3"),
            ("SELECT a = ANY('{b,c}'::text[])", "SELECT a = ANY(ARRAY['b', 'c'])"),
            ("SELECT (SELECT d FROM pg_description x)", "SELECT NULL"),
            ("SELECT a NOT LIKE 'b/_' ESCAPE '/'", "SELECT a NOT LIKE pg_like_escaped('b/_', '/')"),
            ("SELECT word FROM pg_get_keywords()", "SELECT word FROM pg_catalog.pg_get_keywords"),
            ("SELECT EXISTS (SELECT 1 FROM pg_trigger)", "SELECT false"),
            (
                "SELECT (SELECT pg_get_expr(a, b) FROM pg_attrdef JOIN pg_class ON true)",
                "SELECT NULL",
            ),
            ("SELECT $2::regclass", "SELECT pg_regclass_oid(CAST($2 AS TEXT))"),
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

    #[test]
    fn casts_are_what_they_are_in_postgres_or_refused() {
        for (before, after) in [
            ("'{1,2}'::int[]", "ARRAY[CAST('1' AS INT), CAST('2' AS INT)]"),
            ("'{1,NULL}'::int8[]", "ARRAY[CAST('1' AS INT8), CAST(NULL AS INT8)]"),
            ("'{\"a,b\",\"null\",null}'::text[]", "ARRAY['a,b', 'null', NULL]"),
            ("'{abc,d}'::varchar(2)[]", "ARRAY['ab', 'd']"),
            ("'{}'::int[]", "CAST(ARRAY[] AS INT[])"),
            ("x::oid[]", "CAST(x AS INT UNSIGNED[])"),
            ("x::varchar(3)", "left(CAST(x AS TEXT), 3)"),
            ("x::character varying(3)", "left(CAST(x AS TEXT), 3)"),
            ("x::char", "left(CAST(x AS TEXT), 1)"),
            ("x::char(4)", "left(CAST(x AS TEXT), 4)"),
            ("x::\"char\"", "left(CAST(x AS TEXT), 1)"),
            ("x::varchar", "CAST(x AS TEXT)"),
            ("x::uuid", "CAST(x AS TEXT)"),
            ("x::pg_catalog.int8", "CAST(x AS BIGINT)"),
        ] {
            assert_eq!(rewritten(&format!("SELECT {before}")), format!("SELECT {after}"));
        }
        for (refused, state) in [
            ("x::inet", "42704"),
            ("'(1,2)'::my_type", "42704"),
            ("'{1}'::inet[]", "42704"),
            ("'{1'::int[]", "22P02"),
            ("'{{1},{2}}'::int[]", "22P02"),
            ("'{{1},{2}}'::int[][]", "0A000"),
            ("x::varchar(2)[]", "0A000"),
        ] {
            assert_eq!(rewritten(&format!("SELECT {refused}")), state, "{refused}");
        }
    }

    #[test]
    fn what_reads_maps_is_left_to_be_refused() {
        for left in [
            "SELECT ARRAY(SELECT a FROM orders)",
            "SELECT ARRAY(SELECT a FROM public.pg_trigger)",
            "SELECT (a).b FROM orders",
            "SELECT (f(a)).b FROM orders JOIN pg_catalog.pg_class ON true",
            "SELECT (SELECT (o.a).b FROM pg_catalog.pg_class) FROM orders AS o",
        ] {
            assert!(!rewritten(left).contains("NULL"), "{left}: {}", rewritten(left));
        }
        for empty in [
            "SELECT ARRAY(SELECT rolname FROM pg_roles)",
            "SELECT ARRAY(SELECT x FROM pg_catalog.unnest(a) AS x) FROM pg_class",
        ] {
            assert!(rewritten(empty).contains("CAST(NULL AS TEXT[])"), "{}", rewritten(empty));
        }
    }

    #[test]
    fn subqueries_about_nothing_keep_what_they_say_of_it() {
        for kept in [
            "(SELECT count(*) > 0 FROM pg_catalog.pg_trigger)",
            "(SELECT CAST(count(*) AS INT) FROM pg_catalog.pg_trigger)",
            "(SELECT coalesce(max(a), 1) FROM pg_catalog.pg_trigger)",
            "(SELECT 1 FROM pg_catalog.pg_trigger HAVING true)",
            "(SELECT c.oid FROM pg_catalog.pg_class AS c ORDER BY c.oid LIMIT 1)",
            "(SELECT c.oid FROM pg_catalog.pg_class AS c LIMIT 0)",
            "(SELECT c.oid FROM pg_catalog.pg_class AS c LIMIT 1 OFFSET 1)",
        ] {
            assert_eq!(rewritten(&format!("SELECT {kept}")), format!("SELECT {kept}"));
        }
        let right =
            "SELECT EXISTS (SELECT 1 FROM pg_trigger AS t RIGHT JOIN pg_class AS c ON true)";
        assert!(rewritten(right).contains("EXISTS"), "{}", rewritten(right));
    }
}
