//! [`Subscription`]: what a SUBSCRIBE statement watches. It is read here and followed by who asked: one map, a closed filter, some columns, and perhaps
//! the first few in an order.

mod filter;

use datafusion::sql::sqlparser::ast::{
    Expr, LimitClause, ObjectNamePart, OrderByKind, Query, Select, SelectItem, SetExpr,
    TableFactor, Value, WildcardAdditionalOptions,
};
use datafusion::sql::sqlparser::dialect::GenericDialect;
use datafusion::sql::sqlparser::parser::Parser;
use datafusion::sql::sqlparser::tokenizer::{Token, Tokenizer};
use futures::future::BoxFuture;
use isogrid_core::{ColumnType, Error, ErrorCode, Result};
use isogrid_value::{Field, Filter, Order, col};

use crate::parameter::Parameter;
use crate::sql::Sql;
use crate::table::columns_of;
use filter::{Reader, normal};

/// The most records that the first few of an order may be.
const LIMIT_MAX: usize = 1_000;

/// What a SUBSCRIBE statement watches.
#[derive(Clone, Debug, PartialEq)]
pub struct Subscription {
    /// The map.
    pub map: String,
    /// Which of its records.
    pub filter: Filter,
    /// What is shown of each, beside the key.
    pub columns: Vec<Watched>,
    /// By which field they are ordered, how, and how many are shown; all if there is none.
    pub first: Option<(Field, Order, usize)>,
}

/// A column of a subscription.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Watched {
    /// Its name.
    pub name: String,
    /// What it shows.
    pub field: Field,
    /// What it holds.
    pub holds: ColumnType,
}

impl Sql {
    /// What a SUBSCRIBE statement watches.
    ///
    /// # Errors
    /// `QueryInvalid`: it is none, names what is not there, or asks for what cannot be watched.
    pub fn subscription<'a>(
        &'a self,
        statement: &'a str,
        parameters: &'a [Parameter],
    ) -> BoxFuture<'a, Result<Subscription>> {
        Box::pin(self.watched_by(statement, parameters))
    }

    async fn watched_by(&self, statement: &str, parameters: &[Parameter]) -> Result<Subscription> {
        crate::guard::check(statement)?;
        let parsed = parse(statement)?;
        let known = self.grid.source.map(&parsed.map);
        let known = known.ok_or_else(|| refused(format!("there is no map {:?}", parsed.map)))?;
        let columns = columns_of(&self.grid, &parsed.map, &known).await?;
        let fields = columns.described().filter(|(_, _, is_field)| *is_field);
        let known: Vec<(String, ColumnType)> = fields
            .filter_map(|(name, holds, _)| Some((name.to_owned(), ColumnType::named(holds)?)))
            .collect();
        parsed.read(&Reader { map: &parsed.map, columns: &known, parameters })
    }
}

/// Refuses a SUBSCRIBE statement where rows are expected that come to an end.
///
/// # Errors
/// `QueryInvalid`: it is one.
pub(crate) fn refuse(statement: &str) -> Result<()> {
    let word = statement.trim_start().get(.."SUBSCRIBE".len());
    if word.is_none_or(|word| !word.eq_ignore_ascii_case("SUBSCRIBE")) {
        return Ok(());
    }
    Err(refused("it has no end, so ask `isogrid sql` or `subscribe()` of the client"))
}

/// The parts of a statement.
struct Parsed {
    map: String,
    select: Select,
    query: Query,
}

fn parse(statement: &str) -> Result<Parsed> {
    let invalid = |error: &dyn std::fmt::Display| refused(error.to_string());
    let dialect = GenericDialect {};
    let tokens =
        Tokenizer::new(&dialect, statement).tokenize_with_location().map_err(|e| invalid(&e))?;
    let mut parser = Parser::new(&dialect).with_tokens_with_locations(tokens);
    match parser.next_token().token {
        Token::Word(word) if word.value.eq_ignore_ascii_case("SUBSCRIBE") => {}
        other => return Err(refused(format!("{other} where SUBSCRIBE SELECT is expected"))),
    }
    let query = *parser.parse_query().map_err(|error| invalid(&error))?;
    let _ = parser.consume_token(&Token::SemiColon);
    if parser.peek_token().token != Token::EOF {
        let next = parser.peek_token().token;
        return Err(refused(format!("{next} where the statement ends")));
    }
    let SetExpr::Select(select) = &*query.body else {
        return Err(refused("it has to be one SELECT of one map"));
    };
    let select = (**select).clone();
    let [from] = &select.from[..] else {
        return Err(refused("it has to be of one map: there are no joins"));
    };
    let TableFactor::Table { name, .. } = &from.relation else {
        return Err(refused("it has to be of one map: there are no subqueries"));
    };
    let mut parts = name.0.iter().map(|part| match part {
        ObjectNamePart::Identifier(name) => normal(name),
        ObjectNamePart::Function(function) => function.to_string(),
    });
    let map = match (parts.next(), parts.next(), parts.next()) {
        (Some(map), None, _) => map,
        (Some(schema), Some(map), None) if schema == crate::session::SCHEMA => map,
        _ => return Err(refused(format!("{name} is no map"))),
    };
    check_rest(&query, &select, &name.to_string())?;
    Ok(Parsed { map, select, query })
}

/// Refuses clauses that are not read: without those that are nothing may be left.
fn check_rest(query: &Query, select: &Select, name: &str) -> Result<()> {
    let mut select = select.clone();
    select.projection = vec![SelectItem::Wildcard(WildcardAdditionalOptions::default())];
    select.selection = None;
    let mut rest = query.clone();
    rest.order_by = None;
    rest.limit_clause = None;
    *rest.body = SetExpr::Select(Box::new(select));
    let (rest, plain) = (rest.to_string(), format!("SELECT * FROM {name}"));
    if rest != plain {
        return Err(refused(format!(
            "it has columns of one map, WHERE, and ORDER BY with LIMIT, and no more: not {rest}"
        )));
    }
    Ok(())
}

impl Parsed {
    fn read(&self, reader: &Reader<'_>) -> Result<Subscription> {
        let filter = match &self.select.selection {
            Some(expr) => reader.filter(expr)?,
            None => Filter::All(Vec::new()),
        };
        filter.check()?;
        Ok(Subscription {
            map: self.map.clone(),
            filter,
            columns: self.columns(reader)?,
            first: self.first(reader)?,
        })
    }

    fn columns(&self, reader: &Reader<'_>) -> Result<Vec<Watched>> {
        let mut columns: Vec<Watched> = Vec::new();
        for item in &self.select.projection {
            match item {
                SelectItem::Wildcard(options) if options.to_string().is_empty() => {
                    columns.extend(reader.columns.iter().map(|(name, holds)| Watched {
                        name: name.clone(),
                        field: col_of(name),
                        holds: *holds,
                    }));
                }
                SelectItem::UnnamedExpr(expr) => {
                    let (name, field, holds) = reader.column(expr)?;
                    // The key is always shown.
                    if field != Field::Key {
                        columns.push(Watched { name, field, holds });
                    }
                }
                SelectItem::ExprWithAlias { expr, alias } => {
                    let (_, field, holds) = reader.column(expr)?;
                    columns.push(Watched { name: normal(alias), field, holds });
                }
                other => return Err(refused(format!("{other} is no column"))),
            }
        }
        let mut names: Vec<&str> = columns.iter().map(|column| column.name.as_str()).collect();
        names.extend(["_event", "_key"]);
        names.sort_unstable();
        if let Some(pair) = names.windows(2).find(|pair| pair[0] == pair[1]) {
            return Err(refused(format!("two columns are called {:?}", pair[0])));
        }
        Ok(columns)
    }

    fn first(&self, reader: &Reader<'_>) -> Result<Option<(Field, Order, usize)>> {
        let limit = match &self.query.limit_clause {
            None => None,
            Some(LimitClause::LimitOffset { limit: Some(limit), offset: None, limit_by })
                if limit_by.is_empty() =>
            {
                Some(limit)
            }
            Some(other) => {
                return Err(refused(format!("{other}: only LIMIT count can be watched")));
            }
        };
        let (order, limit) = match (&self.query.order_by, limit) {
            (None, None) => return Ok(None),
            (Some(order), Some(limit)) => (order, limit),
            _ => return Err(refused("ORDER BY and LIMIT go together: the first few are kept")),
        };
        let OrderByKind::Expressions(all) = &order.kind else {
            return Err(refused("ORDER BY names one column"));
        };
        let [one] = &all[..] else { return Err(refused("ORDER BY names one column")) };
        if order.interpolate.is_some() || one.with_fill.is_some() {
            return Err(refused(format!("{order}: ORDER BY names one column")));
        }
        let (name, field, holds) = reader.column(&one.expr)?;
        if matches!(holds, ColumnType::Timestamp | ColumnType::Json) {
            return Err(refused(format!("{name} is {}: it has no order here", holds.name())));
        }
        let is_descending = one.options.asc == Some(false);
        // As in statements that end: nothing is greater than all.
        let is_null_first = one.options.nulls_first.unwrap_or(is_descending);
        let limit = reader.count(limit)?.filter(|limit| (1..=LIMIT_MAX).contains(limit));
        let limit = limit.ok_or_else(|| refused(format!("LIMIT is 1 to {LIMIT_MAX}")))?;
        Ok(Some((field, Order { is_descending, is_null_first }, limit)))
    }
}

/// A column of a table as a field: names are taken as they are, dots included.
fn col_of(name: &str) -> Field {
    if name == crate::columns::KEY { col(name) } else { Field::Path(vec![name.to_owned()]) }
}

/// A constant of a statement, or the value for a parameter.
fn is_parameter(value: &Value) -> Option<usize> {
    match value {
        Value::Placeholder(name) => name.strip_prefix('$')?.parse().ok(),
        _ => None,
    }
}

fn refused(why: impl Into<String>) -> Error {
    Error::new(ErrorCode::QueryInvalid, format!("SUBSCRIBE: {}", why.into()))
}

/// What is in brackets.
fn bare(mut expr: &Expr) -> &Expr {
    while let Expr::Nested(inner) = expr {
        expr = inner;
    }
    expr
}

#[cfg(test)]
#[path = "subscribe_test.rs"]
mod tests;
