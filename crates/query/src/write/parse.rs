//! From a statement to a [`Writing`]. What it reads becomes a query of its own: that of INSERT as it is, of UPDATE and DELETE one over the
//! map, with the keys, the versions and what is to be set.

use datafusion::sql::parser::{DFParserBuilder, Statement as Parsed};
use datafusion::sql::sqlparser::ast::{
    Assignment, AssignmentTarget, ConflictTarget, Delete, Expr, FromTable, Ident, Insert,
    ObjectName, OnConflict, OnConflictAction, OnInsert, Query, SelectItem, SetExpr,
    SqliteOnConflict, Statement, TableFactor, TableObject, TableWithJoins, Update,
};
use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::parser::{Parser, ParserError};
use datafusion::sql::sqlparser::tokenizer::{Token, Tokenizer, Word};

use super::returning::Returning;
use super::{Present, What, Writing, set_name};
use crate::columns::{KEY, KEY_BYTES, VALUE_BYTES, VERSION};
use crate::parse::GridDialect;
use crate::pg::rewrite::part;

pub(super) type Parsing<T> = Result<T, ParserError>;

/// What a text writes; `None` when it is of another kind.
///
/// # Errors
/// It begins as a statement that writes does, and is none, or wants what is not there.
pub(super) fn of_text(text: &str) -> Parsing<Option<Writing>> {
    let dialect = GridDialect;
    // What cannot be read at all is told by the parser of queries.
    let Ok(mut tokens) = Tokenizer::new(&dialect, text).tokenize() else { return Ok(None) };
    let Some((explained, begin)) = begin(&tokens) else { return Ok(None) };
    let is_upsert = upsert_as_insert(&mut tokens);
    let explain: String = tokens[..begin].iter().map(Token::to_string).collect();
    let mut parser = Parser::new(&dialect).with_tokens(tokens.split_off(begin));
    let mut statement = parser.parse_statement()?;
    while parser.consume_token(&Token::SemiColon) {}
    if parser.peek_token().token != Token::EOF {
        return wrong(format!("{} where the statement ends", parser.peek_token()));
    }
    if is_upsert {
        as_upsert(&mut statement)?;
    }
    let Some(mut writing) = of_statement(&statement)? else { return Ok(None) };
    if explained {
        writing.explain = Some(explaining(&format!("{explain} SELECT 1"))?);
    }
    Ok(Some(writing))
}

/// Where a statement that writes begins in these tokens, and whether it is only to be explained.
fn begin(tokens: &[Token]) -> Option<(bool, usize)> {
    let mut words = tokens.iter().enumerate().filter_map(|(place, token)| match token {
        Token::Whitespace(_) => None,
        Token::Word(word) if word.quote_style.is_none() => Some((place, word.value.to_uppercase())),
        _ => Some((place, String::new())),
    });
    let writes = |word: &str| matches!(word, "INSERT" | "UPSERT" | "UPDATE" | "DELETE");
    let (first, word) = words.next()?;
    if writes(&word) {
        return Some((false, first));
    }
    if word != "EXPLAIN" {
        return None;
    }
    let mut is_format = false;
    for (place, word) in words {
        match word.as_str() {
            word if writes(word) => return Some((true, place)),
            "ANALYZE" | "VERBOSE" => {}
            "FORMAT" => is_format = true,
            _ if std::mem::take(&mut is_format) => {}
            _ => return None,
        }
    }
    None
}

/// UPSERT is no word of any dialect: for the parser it is INSERT. Whether it was there.
pub(crate) fn upsert_as_insert(tokens: &mut [Token]) -> bool {
    let Some((_, place)) = begin(tokens) else { return false };
    match &mut tokens[place] {
        Token::Word(word) if word.value.eq_ignore_ascii_case("UPSERT") => {
            let (value, keyword) = ("INSERT".to_owned(), Keyword::INSERT);
            *word = Word { value, quote_style: None, keyword };
            true
        }
        _ => false,
    }
}

/// Makes an INSERT the UPSERT that it was.
pub(crate) fn as_upsert(statement: &mut Statement) -> Parsing<()> {
    match statement {
        Statement::Explain { statement, .. } => as_upsert(statement),
        Statement::Insert(insert) if insert.or.is_none() && insert.on.is_none() => {
            insert.or = Some(SqliteOnConflict::Replace);
            Ok(())
        }
        _ => wrong("UPSERT replaces what is there: there is nothing more to say of conflicts"),
    }
}

/// How something is explained: a statement whose query stands for another.
fn explaining(text: &str) -> Parsing<Box<Parsed>> {
    let builder = DFParserBuilder::new(text).with_dialect(&GridDialect);
    let parsed = builder.build().and_then(|mut parser| parser.parse_statement());
    let parsed = parsed.map_err(|error| ParserError::ParserError(error.to_string()))?;
    match &parsed {
        Parsed::Explain(explain) if explain.options.analyze => wrong(ANALYZED),
        Parsed::Explain(_) => Ok(Box::new(parsed)),
        _ => wrong("EXPLAIN explains one statement"),
    }
}

const ANALYZED: &str =
    "EXPLAIN ANALYZE runs what it explains, and this would write: EXPLAIN alone writes nothing";

/// What a statement writes; `None` when it is of another kind.
///
/// # Errors
/// It wants what is not there.
pub(super) fn of_statement(statement: &Statement) -> Parsing<Option<Writing>> {
    Ok(Some(match statement {
        Statement::Insert(insert) => of_insert(insert)?,
        Statement::Update(update) => of_update(update)?,
        Statement::Delete(delete) => of_delete(delete)?,
        Statement::Explain { statement: inner, analyze, .. } => {
            let Some(mut writing) = of_statement(inner)? else { return Ok(None) };
            if *analyze {
                return wrong(ANALYZED);
            }
            writing.explain = Some(Box::new(Parsed::Statement(Box::new(statement.clone()))));
            writing
        }
        _ => return Ok(None),
    }))
}

pub(super) fn wrong<T>(why: impl Into<String>) -> Parsing<T> {
    Err(ParserError::ParserError(why.into()))
}

/// Refuses what is there and should not be.
fn none(what: &str, is_there: bool) -> Parsing<()> {
    match is_there {
        true => wrong(format!("{what} is not there for statements that write")),
        false => Ok(()),
    }
}

fn of_insert(insert: &Insert) -> Parsing<Writing> {
    let TableObject::TableName(name) = &insert.table else {
        return wrong("INSERT INTO names a map");
    };
    none("OVERWRITE", insert.overwrite)?;
    none("PARTITION", insert.partitioned.is_some() || !insert.after_columns.is_empty())?;
    none("SET in INSERT", !insert.assignments.is_empty())?;
    none("OUTPUT", insert.output.is_some())?;
    none("IGNORE or a priority", insert.ignore || insert.priority.is_some())?;
    none("an alias of the rows", insert.insert_alias.is_some())?;
    none("FORMAT or SETTINGS", insert.format_clause.is_some() || insert.settings.is_some())?;
    none("INSERT ALL", insert.multi_table_insert_type.is_some())?;
    let present = match (&insert.or, &insert.on) {
        (None, None) => Present::Refused,
        (Some(SqliteOnConflict::Replace), None) => Present::Replaced,
        (Some(SqliteOnConflict::Ignore), None) => Present::Skipped,
        (None, Some(OnInsert::OnConflict(conflict))) => on_conflict(conflict)?,
        _ => {
            return wrong(
                "of a key that is there INSERT knows ON CONFLICT DO NOTHING, and UPSERT replaces it",
            );
        }
    };
    let Some(source) = &insert.source else {
        return wrong("INSERT needs VALUES or a query");
    };
    let mut columns = None;
    if !insert.columns.is_empty() {
        columns = Some(insert.columns.iter().map(column).collect::<Parsing<Vec<String>>>()?);
    }
    Ok(Writing {
        map: map(name)?,
        what: What::Insert { columns, present },
        read: source.clone(),
        returning: returning(insert.returning.as_deref())?,
        explain: None,
    })
}

fn on_conflict(conflict: &OnConflict) -> Parsing<Present> {
    let is_key = |names: &Vec<Ident>| names.len() == 1 && names[0].value == KEY;
    match (&conflict.conflict_target, &conflict.action) {
        (Some(ConflictTarget::OnConstraint(_)), _) => wrong("maps have no constraints to name"),
        (Some(ConflictTarget::Columns(names)), _) if !is_key(names) => {
            wrong("rows conflict by their _key alone: ON CONFLICT (_key)")
        }
        (_, OnConflictAction::DoNothing) => Ok(Present::Skipped),
        (_, OnConflictAction::DoUpdate(_)) => wrong(
            "ON CONFLICT DO UPDATE: UPSERT replaces the whole record, and UPDATE changes one that is there",
        ),
    }
}

fn of_update(update: &Update) -> Parsing<Writing> {
    none("FROM in UPDATE", update.from.is_some())?;
    none("OR", update.or.is_some())?;
    none("OUTPUT", update.output.is_some())?;
    none("LIMIT", update.limit.is_some())?;
    none("ORDER BY", !update.order_by.is_empty())?;
    let target = |assignment: &Assignment| match &assignment.target {
        AssignmentTarget::ColumnName(name) => column(name),
        AssignmentTarget::Tuple(_) => wrong("SET takes one column at a time"),
    };
    let columns = update.assignments.iter().map(target).collect::<Parsing<Vec<String>>>()?;
    let values = update.assignments.iter().map(|assignment| assignment.value.clone());
    let read = reading(&update.table, update.selection.as_ref(), true, values)?;
    Ok(Writing {
        map: map(target_of(&update.table)?)?,
        what: What::Update { columns },
        read,
        returning: returning(update.returning.as_deref())?,
        explain: None,
    })
}

fn of_delete(delete: &Delete) -> Parsing<Writing> {
    none("USING", delete.using.is_some() || !delete.tables.is_empty())?;
    none("OUTPUT", delete.output.is_some())?;
    none("LIMIT", delete.limit.is_some())?;
    none("ORDER BY", !delete.order_by.is_empty())?;
    // Without the word it is more likely a condition forgotten than a whole map meant.
    let FromTable::WithFromKeyword(tables) = &delete.from else {
        return wrong("DELETE FROM a map: the word FROM is missing");
    };
    let [table] = tables.as_slice() else { return wrong("DELETE FROM names one map") };
    Ok(Writing {
        map: map(target_of(table)?)?,
        what: What::Delete,
        read: reading(table, delete.selection.as_ref(), false, std::iter::empty())?,
        returning: returning(delete.returning.as_deref())?,
        explain: None,
    })
}

fn target_of(table: &TableWithJoins) -> Parsing<&ObjectName> {
    match &table.relation {
        TableFactor::Table { name, args: None, .. } if table.joins.is_empty() => Ok(name),
        _ => wrong("one map is written, by its name and without joins"),
    }
}

/// The name of a map, which may be said to be in the one schema that there is.
fn map(name: &ObjectName) -> Parsing<String> {
    let parts: Vec<String> = name.0.iter().map(part).collect();
    match parts.as_slice() {
        [map] => Ok(map.clone()),
        [.., schema, map] if schema == crate::session::SCHEMA => Ok(map.clone()),
        _ => wrong(format!("{name} is no map: they are all in the schema public")),
    }
}

/// The name of a column, which may stand behind that of its map.
fn column(name: &ObjectName) -> Parsing<String> {
    name.0.last().map(part).ok_or_else(|| ParserError::ParserError("a column without name".into()))
}

/// The query that finds the records to write.
fn reading(
    table: &TableWithJoins,
    selection: Option<&Expr>,
    with_values: bool,
    set: impl Iterator<Item = Expr>,
) -> Parsing<Box<Query>> {
    let mut parser = Parser::new(&GridDialect).try_with_sql("SELECT 1")?;
    let mut query = parser.parse_query()?;
    let SetExpr::Select(select) = query.body.as_mut() else {
        return wrong("a query that is none");
    };
    let own = [KEY, KEY_BYTES, VERSION].into_iter().chain(with_values.then_some(VALUE_BYTES));
    let own =
        own.map(|name| SelectItem::UnnamedExpr(Expr::Identifier(Ident::with_quote('"', name))));
    let set = set.enumerate().map(|(place, expr)| {
        let alias = Ident::with_quote('"', set_name(place));
        SelectItem::ExprWithAlias { expr, alias }
    });
    select.projection = own.chain(set).collect();
    select.from = vec![table.clone()];
    select.selection = selection.cloned();
    Ok(query)
}

fn returning(items: Option<&[SelectItem]>) -> Parsing<Option<Returning>> {
    items.map(Returning::of).transpose()
}

#[cfg(test)]
#[path = "parse_test.rs"]
mod tests;
