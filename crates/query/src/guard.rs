//! What is looked at before a statement is parsed. Parser, planner and optimiser go down a statement's tree by calling themselves, and a
//! chain such as `1 + 1 + 1 …` is as deep as it is long: no statement may be deeper than their threads' stacks.

use datafusion::sql::sqlparser::dialect::GenericDialect;
use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::tokenizer::{Token, Tokenizer};
use isogrid_core::{Error, ErrorCode, Result};

/// The longest statement.
const BYTES_MAX: usize = 1 << 20;

/// The most operators in one, words such as AND and UNION among them.
const OPERATORS_MAX: usize = 500;

/// The most brackets within each other. Those of types are counted by nobody else.
const BRACKETS_MAX: usize = 64;

/// The most dots of a name that count for nothing: of a catalogue, a schema, a table and a field within a column.
const DOTS_MAX: usize = 4;

/// The least stack that a thread needs on which a statement is planned.
pub const STACK_BYTES: usize = 32 << 20;

/// Refuses what is too long or too deep. What cannot be read at all is told by the parser.
pub(crate) fn check(statement: &str) -> Result<()> {
    check_bytes(statement.len())?;
    match Tokenizer::new(&GenericDialect {}, statement).tokenize() {
        Ok(tokens) => check_tokens(&tokens, BRACKETS_MAX),
        Err(_) => Ok(()),
    }
}

/// Refuses what is too long.
pub(crate) fn check_bytes(bytes: usize) -> Result<()> {
    match bytes {
        0..=BYTES_MAX => Ok(()),
        _ => refused(format!("it has {bytes} bytes, at most {BYTES_MAX}")),
    }
}

/// Refuses what is too deep: `tokens` are those that the parser gets.
pub(crate) fn check_tokens(tokens: &[Token], brackets_max: usize) -> Result<()> {
    let operators =
        tokens.iter().filter(|token| deepens(token)).count() - signs(tokens) + chained(tokens);
    if operators > OPERATORS_MAX {
        return refused(format!(
            "it has {operators} operators, at most {OPERATORS_MAX}: alternatives of one column fit in a list, column IN (…)"
        ));
    }
    let (mut open, mut deepest) = (0usize, 0);
    for token in tokens {
        match token {
            Token::LParen | Token::LBracket | Token::LBrace => open += 1,
            Token::RParen | Token::RBracket | Token::RBrace => open = open.saturating_sub(1),
            _ => {}
        }
        deepest = deepest.max(open);
    }
    if deepest > brackets_max {
        return refused(format!(
            "it has {deepest} brackets within each other, at most {brackets_max}"
        ));
    }
    Ok(())
}

/// How many signs stand before the numbers of lists: each is of its own item, as in `VALUES (-1, -2)`.
fn signs(tokens: &[Token]) -> usize {
    let mut said = tokens.iter().filter(|token| !matches!(token, Token::Whitespace(_)));
    let (mut before, mut count) = (said.next(), 0);
    let mut rest = said.peekable();
    while let Some(token) = rest.next() {
        let begins = matches!(before, Some(Token::LParen | Token::Comma));
        let is_sign = matches!(token, Token::Minus | Token::Plus);
        count += usize::from(begins && is_sign && matches!(rest.peek(), Some(Token::Number(..))));
        before = Some(token);
    }
    count
}

fn refused(why: String) -> Result<()> {
    Err(Error::new(ErrorCode::QueryInvalid, why))
}

/// How many commas and dots make a statement's tree deeper. The tables of FROM are joined one after the other, and of a name with many parts
/// each is a part of the one before; other lists are flat, and so are names of a table and a column.
fn chained(tokens: &[Token]) -> usize {
    let (mut count, mut dots) = (0, 0);
    // For each open bracket, whether tables follow.
    let mut is_from = vec![false];
    for token in tokens {
        match token {
            Token::LParen => is_from.push(false),
            Token::RParen if is_from.len() > 1 => drop(is_from.pop()),
            Token::Comma if is_from.last() == Some(&true) => count += 1,
            Token::Word(word) => match (word.keyword, is_from.last_mut()) {
                (Keyword::FROM, Some(is_from)) => *is_from = true,
                (
                    Keyword::WHERE | Keyword::GROUP | Keyword::ORDER | Keyword::SELECT,
                    Some(is_from),
                ) => {
                    *is_from = false;
                }
                _ => {}
            },
            _ => {}
        }
        match token {
            Token::Period => dots += 1,
            Token::Word(_) | Token::Whitespace(_) => {}
            _ => dots = 0,
        }
        count += usize::from(dots > DOTS_MAX && *token == Token::Period);
    }
    count
}

/// Whether a token may make a statement's tree deeper. Lists do not, and brackets are counted by themselves.
fn deepens(token: &Token) -> bool {
    match token {
        Token::Word(word) => matches!(
            word.keyword,
            Keyword::AND
                | Keyword::OR
                | Keyword::NOT
                | Keyword::IS
                | Keyword::IN
                | Keyword::BETWEEN
                | Keyword::LIKE
                | Keyword::ILIKE
                | Keyword::UNION
                | Keyword::INTERSECT
                | Keyword::EXCEPT
                | Keyword::JOIN
                | Keyword::SELECT
                | Keyword::CASE
                | Keyword::COLLATE
                | Keyword::AT
                | Keyword::STRAIGHT_JOIN
                | Keyword::NOTNULL
                | Keyword::XOR
                | Keyword::OVERLAPS
                | Keyword::RLIKE
                | Keyword::REGEXP
                | Keyword::SIMILAR
                | Keyword::MEMBER
                | Keyword::MINUS
                | Keyword::INTERVAL
                | Keyword::DIV
                | Keyword::MATCH
                | Keyword::OPERATOR
                | Keyword::QUALIFY
                | Keyword::PIVOT
                | Keyword::UNPIVOT
                | Keyword::APPLY
                | Keyword::PRIOR
        ),
        Token::Number(..)
        | Token::SingleQuotedString(_)
        | Token::DoubleQuotedString(_)
        | Token::Placeholder(_)
        | Token::Whitespace(_)
        | Token::Comma
        | Token::Period
        | Token::LParen
        | Token::RParen
        | Token::SemiColon
        | Token::EOF => false,
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_too_deep_is_refused_and_lists_are_not() {
        let chain = |count| format!("SELECT 1{}", "+1".repeat(count));
        assert!(check(&chain(OPERATORS_MAX - 1)).is_ok(), "SELECT is one");
        for deep in [
            chain(OPERATORS_MAX),
            format!("SELECT 1 WHERE true{}", " OR true".repeat(OPERATORS_MAX)),
            format!("SELECT 1{}", " UNION ALL SELECT 1".repeat(OPERATORS_MAX / 2)),
            format!("SELECT {} 1", "- ".repeat(OPERATORS_MAX)),
            format!("SELECT 1{}", "::int".repeat(OPERATORS_MAX)),
            format!("SELECT a{}", "[1]".repeat(OPERATORS_MAX)),
        ] {
            let error = check(&deep).unwrap_err();
            assert_eq!(error.code(), ErrorCode::QueryInvalid, "{}", &deep[..20]);
        }
        let list = format!("SELECT 1 WHERE 1 IN (1{})", ", 1".repeat(100_000));
        assert!(check(&list).is_ok());
        let rows = format!("INSERT INTO m (_key, n) VALUES (1, -1){}", ", (1, -1)".repeat(10_000));
        assert!(check(&rows).is_ok(), "a sign is of its item");
        let signs = format!("SELECT 1, {}1", "-".repeat(OPERATORS_MAX).replace('-', "- "));
        assert!(check(&signs).is_err());
        assert!(check(&"x".repeat(BYTES_MAX + 1)).is_err());
        assert!(check("SELECT 'open").is_ok(), "that is for the parser to tell");
    }

    #[test]
    fn tables_and_parts_of_names_are_counted_and_other_lists_are_not() {
        let tables = |count| format!("SELECT a, b FROM t{}", ", t".repeat(count));
        assert!(check(&tables(OPERATORS_MAX - 1)).is_ok());
        assert!(check(&tables(OPERATORS_MAX)).is_err());
        let inner = format!("SELECT a FROM (SELECT b FROM t{}) s", ", t".repeat(OPERATORS_MAX));
        assert!(check(&inner).is_err());
        let dots = format!("SELECT a{}", ".a".repeat(OPERATORS_MAX + 10));
        assert!(check(&dots).is_err());
        let flat = format!(
            "SELECT t.a{} FROM t GROUP BY t.a{}",
            ", t.a".repeat(5_000),
            ", t.a".repeat(5_000)
        );
        assert!(check(&flat).is_ok());
    }

    #[test]
    fn every_word_that_deepens_is_counted() {
        for word in [
            "NOTNULL",
            "XOR",
            "OVERLAPS",
            "RLIKE",
            "REGEXP",
            "SIMILAR TO",
            "MEMBER OF",
            "MINUS",
            "INTERVAL",
            "DIV",
            "MATCH",
            "OPERATOR",
            "QUALIFY",
            "PIVOT",
            "UNPIVOT",
            "STRAIGHT_JOIN",
            "GLOBAL IN",
        ] {
            let deep = format!("SELECT a{}", format!(" {word} a").repeat(OPERATORS_MAX));
            assert!(check(&deep).is_err(), "{word}");
        }
    }

    #[test]
    fn brackets_are_bounded_whatever_they_are_of() {
        let nested = |open: &str, close: &str, count: usize| {
            check(&format!("SELECT {}1{}", open.repeat(count), close.repeat(count)))
        };
        for (open, close) in [("(", ")"), ("[", "]"), ("{a: ", "}"), ("Nullable(", ")")] {
            assert!(nested(open, close, BRACKETS_MAX).is_ok(), "{open}");
            assert!(nested(open, close, BRACKETS_MAX + 1).is_err(), "{open}");
        }
        assert!(check(&format!("SELECT 1{}", ", (1)".repeat(1_000))).is_ok());
    }
}
