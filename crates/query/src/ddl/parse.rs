//! From the text of a statement to a [`Definition`], with the tokens and the types of the SQL parser: it has no maps itself.

use datafusion::sql::sqlparser::ast::{DataType, Ident, Value};
use datafusion::sql::sqlparser::dialect::GenericDialect;
use datafusion::sql::sqlparser::keywords::{
    ALL_KEYWORDS, ALL_KEYWORDS_INDEX, Keyword, RESERVED_FOR_COLUMN_ALIAS, RESERVED_FOR_IDENTIFIER,
    RESERVED_FOR_TABLE_ALIAS,
};
use datafusion::sql::sqlparser::parser::{Parser, ParserError};
use datafusion::sql::sqlparser::tokenizer::{Token, Tokenizer};
use isogrid_core::{ColumnType, IndexColumn, IndexKind, MapColumn, MapIndex, MapSchema};

use super::{Alteration, Definition};

type Parsed<T> = Result<T, ParserError>;

/// What a statement defines; `None` when it is of another kind.
///
/// # Errors
/// It begins as a definition does, and is none.
pub(super) fn parse(statement: &str) -> Parsed<Option<Definition>> {
    let dialect = GenericDialect {};
    // What cannot be read at all is told by the parser of queries.
    let Ok(tokens) = Tokenizer::new(&dialect, statement).tokenize_with_location() else {
        return Ok(None);
    };
    definition(Parser::new(&dialect).with_tokens_with_locations(tokens))
}

/// What the tokens of a statement define; `None` when it is of another kind.
///
/// # Errors
/// They begin as a definition does, and are none.
pub(super) fn parse_tokens(tokens: Vec<Token>) -> Parsed<Option<Definition>> {
    definition(Parser::new(&GenericDialect {}).with_tokens(tokens))
}

fn definition(mut parser: Parser<'_>) -> Parsed<Option<Definition>> {
    let found = match word(&mut parser).as_deref() {
        Some("CREATE") if of_map(&mut parser) => create(&mut parser)?,
        Some("CREATE") => {
            let unique = parser.parse_keyword(Keyword::UNIQUE);
            if !parser.parse_keyword(Keyword::INDEX) {
                return Ok(None);
            }
            create_index(&mut parser, unique)?
        }
        Some("ALTER") if of_map(&mut parser) => alter(&mut parser)?,
        Some("DROP") if of_map(&mut parser) => drop(&mut parser)?,
        Some("DROP") if parser.parse_keyword(Keyword::INDEX) => drop_index(&mut parser)?,
        Some("DESCRIBE") => describe(&mut parser)?,
        Some("SHOW") => match word(&mut parser).as_deref() {
            Some("MAPS") => Definition::ShowMaps,
            Some("INDEXES") => show_indexes(&mut parser)?,
            Some("CREATE") if of_map(&mut parser) => {
                Definition::ShowCreate { map: name(&mut parser)? }
            }
            _ => return Ok(None),
        },
        _ => return Ok(None),
    };
    let _ = parser.consume_token(&Token::SemiColon);
    match parser.peek_token().token {
        Token::EOF => Ok(Some(found)),
        other => Err(ParserError::ParserError(format!("{other} where the statement ends"))),
    }
}

/// The next word, in capitals.
fn word(parser: &mut Parser<'_>) -> Option<String> {
    match parser.next_token().token {
        Token::Word(word) if word.quote_style.is_none() => Some(word.value.to_uppercase()),
        _ => None,
    }
}

/// Whether the word for a map follows; tools say table.
fn of_map(parser: &mut Parser<'_>) -> bool {
    parser.parse_keyword(Keyword::MAP) || parser.parse_keyword(Keyword::TABLE)
}

fn wrong<T>(why: impl Into<String>) -> Parsed<T> {
    Err(ParserError::ParserError(why.into()))
}

/// The name of a map, which may be said to be in the one schema that there is.
fn name(parser: &mut Parser<'_>) -> Parsed<String> {
    let first = normal(parser.parse_identifier()?);
    if first == crate::session::SCHEMA && parser.consume_token(&Token::Period) {
        return Ok(normal(parser.parse_identifier()?));
    }
    Ok(first)
}

/// A name as queries read it: in small letters unless it is quoted.
fn normal(name: Ident) -> String {
    match name.quote_style {
        Some(_) => name.value,
        None => name.value.to_lowercase(),
    }
}

fn create(parser: &mut Parser<'_>) -> Parsed<Definition> {
    let if_absent = parser.parse_keywords(&[Keyword::IF, Keyword::NOT, Keyword::EXISTS]);
    let map = name(parser)?;
    let columns = columns(parser)?;
    let mut partition_by = None;
    if parser.parse_keywords(&[Keyword::PARTITION, Keyword::BY]) {
        let in_brackets = parser.consume_token(&Token::LParen);
        partition_by = Some(normal(parser.parse_identifier()?));
        if in_brackets {
            parser.expect_token(&Token::RParen)?;
        }
    }
    let settings = if parser.parse_keyword(Keyword::WITH) { settings(parser)? } else { Vec::new() };
    if columns.is_empty() && partition_by.is_some() {
        return wrong("PARTITION BY names a column, and the map has none");
    }
    let schema = (!columns.is_empty()).then_some(MapSchema { columns, partition_by });
    Ok(Definition::Create { map, if_absent, schema, settings })
}

fn columns(parser: &mut Parser<'_>) -> Parsed<Vec<MapColumn>> {
    let (columns, constraints) = parser.parse_columns()?;
    if let Some(constraint) = constraints.first() {
        return wrong(format!("{constraint}: maps have no constraints but PARTITION BY"));
    }
    let column = |column: datafusion::sql::sqlparser::ast::ColumnDef| {
        if let Some(option) = column.options.first() {
            return wrong(format!("{} {option}: a column has a name and a type only", column.name));
        }
        Ok(MapColumn { name: normal(column.name), holds: holds(&column.data_type)? })
    };
    columns.into_iter().map(column).collect()
}

fn holds(data_type: &DataType) -> Parsed<ColumnType> {
    Ok(match data_type {
        DataType::Bool | DataType::Boolean => ColumnType::Boolean,
        DataType::TinyInt(_)
        | DataType::SmallInt(_)
        | DataType::Int2(_)
        | DataType::Int(_)
        | DataType::Int4(_)
        | DataType::Integer(_)
        | DataType::BigInt(_)
        | DataType::Int8(_) => ColumnType::BigInt,
        DataType::Real
        | DataType::Float(_)
        | DataType::Float4
        | DataType::Float8
        | DataType::Double(_)
        | DataType::DoublePrecision => ColumnType::Double,
        DataType::Text
        | DataType::String(_)
        | DataType::Char(_)
        | DataType::Character(_)
        | DataType::Varchar(_)
        | DataType::CharacterVarying(_) => ColumnType::Text,
        DataType::Bytea | DataType::Blob(_) | DataType::Binary(_) | DataType::Varbinary(_) => {
            ColumnType::Bytes
        }
        DataType::Timestamp(..) | DataType::Datetime(_) => ColumnType::Timestamp,
        DataType::JSON | DataType::JSONB => ColumnType::Json,
        other => {
            let known = ColumnType::ALL.map(ColumnType::name).join(", ");
            return wrong(format!("no column can hold {other}; known are {known}"));
        }
    })
}

/// `(name = value, …)`
fn settings(parser: &mut Parser<'_>) -> Parsed<Vec<(String, String)>> {
    parser.parse_parenthesized(|parser| {
        parser.parse_comma_separated(|parser| {
            let name = normal(parser.parse_identifier()?);
            parser.expect_token(&Token::Eq)?;
            let value = match parser.next_token().token {
                Token::Word(word) => word.value.to_lowercase(),
                Token::Number(digits, _) => digits,
                Token::SingleQuotedString(text) => text,
                other => return wrong(format!("{name} = {other}, which is no setting's value")),
            };
            Ok((name, value))
        })
    })
}

fn alter(parser: &mut Parser<'_>) -> Parsed<Definition> {
    let map = name(parser)?;
    let what = match word(parser).as_deref() {
        Some("ADD") => {
            let _ = parser.parse_keyword(Keyword::COLUMN);
            let if_absent = parser.parse_keywords(&[Keyword::IF, Keyword::NOT, Keyword::EXISTS]);
            let name = normal(parser.parse_identifier()?);
            let holds = holds(&parser.parse_data_type()?)?;
            Alteration::Add { column: MapColumn { name, holds }, if_absent }
        }
        Some("DROP") => {
            let _ = parser.parse_keyword(Keyword::COLUMN);
            let if_there = parser.parse_keywords(&[Keyword::IF, Keyword::EXISTS]);
            Alteration::Drop { column: normal(parser.parse_identifier()?), if_there }
        }
        Some("SET") => Alteration::Set(settings(parser)?),
        _ => return wrong("ALTER MAP has ADD COLUMN, DROP COLUMN and SET (setting = value)"),
    };
    Ok(Definition::Alter { map, what })
}

fn drop(parser: &mut Parser<'_>) -> Parsed<Definition> {
    let if_there = parser.parse_keywords(&[Keyword::IF, Keyword::EXISTS]);
    Ok(Definition::Drop { map: name(parser)?, if_there })
}

/// `name ON map [USING kind] (column, …)`, where a column within another is `a.b` or `a->'b'`.
fn create_index(parser: &mut Parser<'_>, unique: bool) -> Parsed<Definition> {
    let if_absent = parser.parse_keywords(&[Keyword::IF, Keyword::NOT, Keyword::EXISTS]);
    let index = normal(parser.parse_identifier()?);
    parser.expect_keyword(Keyword::ON)?;
    let map = name(parser)?;
    let mut kind = IndexKind::default();
    if parser.parse_keyword(Keyword::USING) {
        let said = normal(parser.parse_identifier()?);
        let known = || IndexKind::ALL.map(IndexKind::name).join(", ");
        kind = match IndexKind::named(&said) {
            Some(kind) => kind,
            None => return wrong(format!("USING {said}; known are {}", known())),
        };
    }
    let columns =
        parser.parse_parenthesized(|parser| parser.parse_comma_separated(index_column))?;
    let index = MapIndex { name: index, kind, columns, unique };
    Ok(Definition::CreateIndex { map, if_absent, index })
}

fn index_column(parser: &mut Parser<'_>) -> Parsed<IndexColumn> {
    let mut path = vec![normal(parser.parse_identifier()?)];
    loop {
        if parser.consume_token(&Token::Period) {
            path.push(normal(parser.parse_identifier()?));
        } else if parser.consume_token(&Token::Arrow) || parser.consume_token(&Token::LongArrow) {
            path.push(parser.parse_literal_string()?);
        } else {
            return Ok(IndexColumn { path, is_time: false });
        }
    }
}

fn drop_index(parser: &mut Parser<'_>) -> Parsed<Definition> {
    let if_there = parser.parse_keywords(&[Keyword::IF, Keyword::EXISTS]);
    let index = normal(parser.parse_identifier()?);
    parser.expect_keyword(Keyword::ON)?;
    Ok(Definition::DropIndex { map: name(parser)?, if_there, index })
}

fn show_indexes(parser: &mut Parser<'_>) -> Parsed<Definition> {
    let of_one = parser.parse_keyword(Keyword::FROM) || parser.parse_keyword(Keyword::ON);
    let map = if of_one { Some(name(parser)?) } else { None };
    Ok(Definition::ShowIndexes { map })
}

fn describe(parser: &mut Parser<'_>) -> Parsed<Definition> {
    if !parser.parse_keyword(Keyword::MAP) {
        let _ = parser.parse_keyword(Keyword::TABLE);
    }
    Ok(Definition::Describe { map: name(parser)? })
}

/// A name as it is written where names in small letters need no quotes.
pub(super) fn quoted(name: &str) -> String {
    let is_plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    let begins_well = name.starts_with(|c: char| c.is_ascii_lowercase());
    let is_reserved = || {
        let capitals = name.to_uppercase();
        let reserved =
            [RESERVED_FOR_COLUMN_ALIAS, RESERVED_FOR_TABLE_ALIAS, RESERVED_FOR_IDENTIFIER];
        let place = ALL_KEYWORDS.binary_search(&capitals.as_str()).ok();
        place.is_some_and(|place| {
            reserved.iter().any(|words| words.contains(&ALL_KEYWORDS_INDEX[place]))
        })
    };
    if begins_well && name.chars().all(is_plain) && !is_reserved() {
        return name.to_owned();
    }
    Ident::with_quote('"', name).to_string()
}

/// A setting's value as it is written.
pub(super) fn literal(value: &str) -> String {
    if value.parse::<u64>().is_ok() {
        return value.to_owned();
    }
    Value::SingleQuotedString(value.to_owned()).to_string()
}

#[cfg(test)]
#[path = "parse_test.rs"]
mod tests;
