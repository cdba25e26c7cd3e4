//! [`PgStatement`]: one statement of PostgreSQL's dialect. What concerns the session is told by its first words, because
//! it is said in more ways than parsers know.

use datafusion::sql::sqlparser::ast::Statement;
use datafusion::sql::sqlparser::parser::Parser;
use datafusion::sql::sqlparser::tokenizer::{Token, Tokenizer};
use isogrid_core::{Error, ErrorCode};

use super::definition::PgDefinition;
use super::dialect::PgDialect;
use super::refused::Refused;
use super::routing;
use crate::{guard, parse};

/// The most statements of one text.
const STATEMENTS_MAX: usize = 100;

/// The most brackets within each other.
const BRACKETS_MAX: usize = 32;

/// One statement.
#[derive(Clone, Debug)]
pub enum PgStatement {
    /// It is about the session.
    Session(Command),
    /// It makes, changes, drops or shows maps.
    Definition(PgDefinition),
    /// It asks for rows.
    Query(Box<Statement>),
}

/// What a client says about its session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// BEGIN
    Begin,
    /// COMMIT
    Commit,
    /// ROLLBACK
    Rollback,
    /// ROLLBACK TO
    RollbackTo,
    /// SET, with the value unless it is DEFAULT.
    Set(String, Option<String>),
    /// RESET, of one setting or all.
    Reset(Option<String>),
    /// SHOW
    Show(String),
    /// DEALLOCATE, of one statement or all.
    Deallocate(Option<String>),
    /// DISCARD
    Discard,
    /// What needs nothing to be done, and how that is told.
    Nothing(&'static str),
}

impl PgStatement {
    /// The statements of a text, which may be none.
    ///
    /// # Errors
    /// One of them cannot be read.
    pub fn parse(text: &str) -> Result<Vec<PgStatement>, Refused> {
        guard::check_bytes(text.len()).map_err(Refused::syntax)?;
        let tokens = Tokenizer::new(&PgDialect::new(0), text)
            .tokenize()
            .map_err(|error| invalid(error.to_string()))?;
        guard::check_tokens(&tokens, BRACKETS_MAX).map_err(Refused::syntax)?;
        let is_blank = |token: &Token| matches!(token, Token::Whitespace(_) | Token::EOF);
        let texts: Vec<&[Token]> = tokens
            .split(|token| *token == Token::SemiColon)
            .filter(|tokens| !tokens.iter().all(is_blank))
            .collect();
        if texts.len() > STATEMENTS_MAX {
            let detail =
                format!("{} statements in one text, at most {STATEMENTS_MAX}", texts.len());
            return Err(invalid(detail));
        }
        texts.into_iter().map(parse_one).collect()
    }
}

fn parse_one(tokens: &[Token]) -> Result<PgStatement, Refused> {
    let said: Vec<&Token> =
        tokens.iter().filter(|token| !matches!(token, Token::Whitespace(_) | Token::EOF)).collect();
    if let Some(definition) = PgDefinition::of(tokens)? {
        return Ok(PgStatement::Definition(definition));
    }
    if let Some(command) = command(&said) {
        return Ok(PgStatement::Session(command));
    }
    let dialect = PgDialect::new(tokens.len());
    let mut parser = Parser::new(&dialect).with_tokens(tokens.to_vec());
    let is_routing = parse::takes_routing(&mut parser);
    let statement = parser.parse_statement().map_err(|error| invalid(error.to_string()))?;
    match parser.peek_token().token {
        Token::EOF if is_routing => Ok(PgStatement::Query(Box::new(routing::of(statement)))),
        Token::EOF => Ok(PgStatement::Query(Box::new(statement))),
        other => Err(invalid(format!("syntax error at or near \"{other}\""))),
    }
}

fn invalid(detail: String) -> Refused {
    Refused::syntax(Error::new(ErrorCode::QueryInvalid, detail))
}

/// The command in these words, if they are one.
fn command(said: &[&Token]) -> Option<Command> {
    let word = |place: usize| said.get(place).map(|token| token.to_string().to_uppercase());
    let second = word(1).unwrap_or_default();
    let rest = said.get(1..).unwrap_or_default();
    Some(match word(0)?.as_str() {
        "BEGIN" => Command::Begin,
        "START" if second == "TRANSACTION" => Command::Begin,
        "COMMIT" | "END" => Command::Commit,
        "ROLLBACK" if said.iter().any(|token| token.to_string().eq_ignore_ascii_case("to")) => {
            Command::RollbackTo
        }
        "ROLLBACK" | "ABORT" => Command::Rollback,
        "SAVEPOINT" => Command::Nothing("SAVEPOINT"),
        "RELEASE" => Command::Nothing("RELEASE"),
        "UNLISTEN" => Command::Nothing("UNLISTEN"),
        "CLOSE" => Command::Nothing("CLOSE CURSOR"),
        "DISCARD" => Command::Discard,
        "DEALLOCATE" => {
            let name = said.last().map(|token| text(token)).unwrap_or_default();
            Command::Deallocate((!name.eq_ignore_ascii_case("all")).then_some(name))
        }
        "RESET" => Command::Reset((second != "ALL").then(|| setting(rest).0)),
        "SHOW" if matches!(second.as_str(), "TABLES" | "COLUMNS" | "FUNCTIONS") => return None,
        "SHOW" => Command::Show(setting(rest).0),
        "SET" => set(rest),
        _ => return None,
    })
}

fn set(said: &[&Token]) -> Command {
    let is = |token: &Token, word: &str| token.to_string().eq_ignore_ascii_case(word);
    let said = match said {
        [scope, next, ..] if is(scope, "session") && is(next, "characteristics") => {
            return Command::Nothing("SET");
        }
        [scope, rest @ ..] if is(scope, "session") || is(scope, "local") => rest,
        _ => said,
    };
    if said.first().is_some_and(|token| is(token, "transaction") || is(token, "constraints")) {
        return Command::Nothing("SET");
    }
    let (name, value) = setting(said);
    let words: Vec<String> = value
        .iter()
        .filter(|token| !(matches!(token, Token::Eq) || is(token, "to")))
        .map(|token| text(token))
        .collect();
    let value = words.concat().replace(',', ", ").replace(",  ", ", ");
    Command::Set(name, (!value.eq_ignore_ascii_case("default")).then_some(value))
}

/// The name of a setting at the beginning of these words, and what follows it.
fn setting<'a, 'b>(said: &'a [&'b Token]) -> (String, &'a [&'b Token]) {
    let lower = |token: &Token| text(token).to_lowercase();
    let words: Vec<String> = said.iter().take(3).map(|token| lower(token)).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["time", "zone", ..] => ("timezone".to_owned(), &said[2..]),
        ["names", ..] => ("client_encoding".to_owned(), &said[1..]),
        ["session", "authorization", ..] => ("session_authorization".to_owned(), &said[2..]),
        ["transaction", "isolation", "level"] => ("transaction_isolation".to_owned(), &said[3..]),
        [first, ".", second] => (format!("{first}.{second}"), &said[3..]),
        [first, ..] => ((*first).to_owned(), &said[1..]),
        [] => (String::new(), said),
    }
}

/// What a word or literal stands for.
fn text(token: &Token) -> String {
    match token {
        Token::Word(word) => word.value.clone(),
        Token::SingleQuotedString(text) | Token::EscapedStringLiteral(text) => text.clone(),
        Token::DoubleQuotedString(text) => text.clone(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn commands(text: &str) -> Vec<Command> {
        let command = |statement| match statement {
            PgStatement::Session(command) => command,
            other => panic!("{other:?}"),
        };
        PgStatement::parse(text).expect("it is read").into_iter().map(command).collect()
    }

    #[test]
    fn what_concerns_the_session_is_told_by_its_words() {
        let set = |name: &str, value: &str| Command::Set(name.to_owned(), Some(value.to_owned()));
        assert_eq!(
            commands("begin isolation level repeatable read; COMMIT; rollback; rollback to s"),
            [Command::Begin, Command::Commit, Command::Rollback, Command::RollbackTo]
        );
        assert_eq!(
            commands("SET DateStyle = 'ISO, MDY'; set local statement_timeout to 5000;"),
            [set("datestyle", "ISO, MDY"), set("statement_timeout", "5000")]
        );
        assert_eq!(
            commands("SET TIME ZONE 'UTC'; SET NAMES 'utf8'; SET search_path TO public, \"$user\""),
            [
                set("timezone", "UTC"),
                set("client_encoding", "utf8"),
                set("search_path", "public, $user")
            ]
        );
        assert_eq!(
            commands("SET x.y TO DEFAULT; RESET ALL; SHOW transaction isolation level"),
            [
                Command::Set("x.y".to_owned(), None),
                Command::Reset(None),
                Command::Show("transaction_isolation".to_owned())
            ]
        );
        assert_eq!(
            commands("SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY; DEALLOCATE \"s1\""),
            [Command::Nothing("SET"), Command::Deallocate(Some("s1".to_owned()))]
        );
    }

    #[test]
    fn a_text_has_none_one_or_several_statements() {
        let count = |text| PgStatement::parse(text).map(|statements| statements.len());
        assert_eq!(count(" ;; -- nothing\n;").ok(), Some(0));
        assert_eq!(count("SELECT ';' ; SELECT 2").ok(), Some(2));
        assert_eq!(count("SHOW TABLES").ok(), Some(1));
        for wrong in ["SELEC 1", "SELECT 1 1 1", "SELECT 'open", &"SELECT 1;".repeat(101)] {
            assert_eq!(count(wrong).expect_err("it is refused").state, "42601", "{wrong}");
        }
    }

    #[test]
    fn what_is_nested_is_read_in_no_time_or_refused() {
        let thread = std::thread::Builder::new().stack_size(guard::STACK_BYTES);
        thread.spawn(read_nested).expect("it begins").join().expect("it ends");
    }

    fn read_nested() {
        let began = std::time::Instant::now();
        let nested = |word: &str, end: &str, count: usize| {
            format!("SELECT {}{end}{}", format!("{word}(").repeat(count), ")".repeat(count))
        };
        for depth in [20, 30, 40] {
            let state = |text: &str| PgStatement::parse(text).err().map(|refused| refused.state);
            let calls = state(&nested("abs", "1", depth));
            assert_eq!(calls, (depth > 32).then_some("42601"), "{depth}");
            assert_eq!(state(&nested("ceil", "1", depth)), calls, "{depth}");
            for word in ["ceil", "position", "NOT ", "case", "cast", "ceil(1+(box"] {
                assert_eq!(state(&nested(word, "1 1", depth)), Some("42601"), "{word} {depth}");
            }
            let tables = format!("SELECT FROM {}!", "((SELECT FROM ".repeat(depth / 2));
            assert_eq!(state(&tables), Some("42601"), "{depth}");
        }
        let intervals = format!("SELECT {}!", "interval ".repeat(400));
        drop(PgStatement::parse(&intervals));
        assert!(began.elapsed().as_secs() < 5, "{:?}", began.elapsed());
    }

    #[test]
    fn what_defines_maps_is_told_from_the_rest() {
        for (text, tag) in [
            ("SHOW MAPS", "SHOW"),
            ("show create map orders;", "SHOW"),
            ("SHOW CREATE TABLE orders", "SHOW"),
            ("DESCRIBE orders", "DESCRIBE"),
            ("CREATE MAP orders (a BIGINT) PARTITION BY a WITH (eviction = 'lru')", "CREATE TABLE"),
            ("CREATE TABLE orders (a BIGINT)", "CREATE TABLE"),
            ("ALTER MAP orders ADD COLUMN a BIGINT", "ALTER TABLE"),
            ("DROP MAP IF EXISTS orders", "DROP TABLE"),
        ] {
            let statements = PgStatement::parse(text).expect(text);
            let [PgStatement::Definition(definition)] = statements.as_slice() else {
                panic!("{text}")
            };
            assert_eq!(definition.tag(), tag, "{text}");
            let shows = matches!(tag, "SHOW" | "DESCRIBE");
            assert_eq!(definition.schema().is_some(), shows, "{text}");
        }
        for wrong in
            ["CREATE TABLE t (a INT PRIMARY KEY)", "DROP TABLE a, b", "ALTER TABLE t OWNER TO x"]
        {
            assert_eq!(PgStatement::parse(wrong).expect_err(wrong).state, "42601", "{wrong}");
        }
        for other in ["SHOW TABLES", "SHOW search_path", "SHOW CREATE VIEW v"] {
            let statements = PgStatement::parse(other);
            let is_other = !matches!(statements.as_deref(), Ok([PgStatement::Definition(_)]));
            assert!(is_other, "{other}");
        }
    }

    #[test]
    fn routing_is_a_way_to_explain() {
        for text in ["EXPLAIN ROUTING SELECT 1", "EXPLAIN (ROUTING) SELECT 1"] {
            let statements = PgStatement::parse(text).expect(text);
            let [PgStatement::Query(query)] = statements.as_slice() else { panic!("{text}") };
            let inner = routing::inner(query).map(ToString::to_string);
            assert_eq!(inner.as_deref(), Some("SELECT 1"), "{text}");
        }
        let statements = PgStatement::parse("EXPLAIN SELECT 1").expect("it is read");
        let [PgStatement::Query(query)] = statements.as_slice() else { panic!() };
        assert!(routing::inner(query).is_none());
    }

    #[test]
    fn signs_and_comments_follow_operators() {
        for (text, read) in [
            ("SELECT a>-1", "SELECT a > -1"),
            ("SELECT a>=-1", "SELECT a >= -1"),
            ("SELECT a<>-1", "SELECT a <> -1"),
            ("SELECT a=+1", "SELECT a = +1"),
            ("SELECT a>-- more\n1", "SELECT a > 1"),
            ("SELECT a>/* more */1", "SELECT a > 1"),
            ("SELECT a->>'b'", "SELECT a ->> 'b'"),
        ] {
            let statements = PgStatement::parse(text).expect("it is read");
            let [PgStatement::Query(query)] = statements.as_slice() else { panic!("{text}") };
            assert_eq!(query.to_string(), read);
        }
    }

    #[test]
    fn the_guard_sees_what_is_parsed() {
        for hidden in ["q'('", "`"] {
            let text = format!("SELECT '{hidden}', 1{}", " + 1".repeat(600));
            assert!(PgStatement::parse(&text).is_err(), "{hidden}");
            let text = format!("SELECT {hidden} 1{}", " + 1".repeat(600));
            let refused = PgStatement::parse(&text).expect_err("it is too deep");
            if hidden != "`" {
                assert!(refused.error.detail().contains("operators"), "{}", refused.error.detail());
            }
        }
    }
}
