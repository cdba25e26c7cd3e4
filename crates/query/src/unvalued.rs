//! [`unvalued`]: the text of a statement without the values in it, which may be nobody else's business.

use std::fmt::{self, Display, Write};

use datafusion::sql::sqlparser::dialect::GenericDialect;
use datafusion::sql::sqlparser::tokenizer::{Token, TokenWithSpan, Tokenizer};

/// How much of a statement is looked at, and how much is shown at the most.
const READ_BYTES_MAX: usize = 4 << 10;
const SHOWN_BYTES_MAX: usize = 512;

/// What stands behind a text of which something was left out.
const CUT: &str = "…";

/// A statement in one line, with `?` for every number and every text in it and without comments. What cannot be read is left out with
/// all that follows.
pub fn unvalued(statement: &(impl Display + ?Sized)) -> String {
    let mut read = Beginning { text: String::new(), is_cut: false };
    // It fails where it is cut.
    let _ = write!(read, "{statement}");
    let Beginning { text, mut is_cut } = read;
    let mut tokens: Vec<TokenWithSpan> = Vec::new();
    let mut tokenizer = Tokenizer::new(&GenericDialect {}, &text);
    is_cut |= tokenizer.tokenize_with_location_into_buf(&mut tokens).is_err();
    let mut shown = String::new();
    for token in tokens {
        if shown.len() >= SHOWN_BYTES_MAX {
            is_cut = true;
            break;
        }
        match token.token {
            Token::Whitespace(_) if shown.is_empty() || shown.ends_with(' ') => {}
            Token::Whitespace(_) => shown.push(' '),
            token if is_value(&token) => shown.push('?'),
            token => shown.push_str(&token.to_string()),
        }
    }
    shown.truncate(shown.trim_end().len());
    cut_at(&mut shown, SHOWN_BYTES_MAX);
    if is_cut {
        shown.push_str(CUT);
    }
    shown
}

/// Whether a token is a value: of all others only words and `$1` have letters, digits or quotes.
fn is_value(token: &Token) -> bool {
    let is_of_value = |c: char| c.is_alphanumeric() || matches!(c, '\'' | '"' | '$');
    !matches!(token, Token::Word(_) | Token::Placeholder(_))
        && token.to_string().contains(is_of_value)
}

/// The beginning of what is written to it.
struct Beginning {
    text: String,
    is_cut: bool,
}

impl Write for Beginning {
    fn write_str(&mut self, more: &str) -> fmt::Result {
        self.text.push_str(&more[..whole(more, READ_BYTES_MAX - self.text.len())]);
        self.is_cut |= self.text.len() + CHAR_BYTES_MAX > READ_BYTES_MAX;
        if self.is_cut { Err(fmt::Error) } else { Ok(()) }
    }
}

const CHAR_BYTES_MAX: usize = 4;

/// How many bytes of a text are whole characters, if there may be so many.
fn whole(text: &str, most: usize) -> usize {
    let mut end = most.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    end
}

fn cut_at(text: &mut String, most: usize) {
    text.truncate(whole(text, most));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_left_out_and_all_else_is_shown() {
        for (statement, shown) in [
            (
                "SELECT  a, \"B\" FROM m\n WHERE _key = 'secret' AND n >= 12.5 -- secret\n LIMIT 3",
                "SELECT a, \"B\" FROM m WHERE _key = ? AND n >= ? LIMIT ?",
            ),
            ("SELECT $1, a->>'secret' /* secret */ FROM m;", "SELECT $1, a->>? FROM m;"),
            (
                "INSERT INTO m VALUES ('it''s secret', -5, TRUE)",
                "INSERT INTO m VALUES (?, -?, TRUE)",
            ),
            ("SELECT E'se\\'cret', X'5ec7e7', $$secret$$, N'secret'", "SELECT ?, ?, ?, ?"),
            ("SELECT DATE '2020-01-01' + INTERVAL '1 day'", "SELECT DATE ? + INTERVAL ?"),
            ("SELECT 'secret is open", "SELECT…"),
            ("SELECT a /* secret is open", "SELECT a…"),
        ] {
            assert_eq!(unvalued(statement), shown);
        }
    }

    #[test]
    fn a_long_statement_is_cut_and_shows_no_value_either() {
        let long = format!("SELECT a FROM m WHERE b IN ('{}')", "secret".repeat(10_000));
        assert_eq!(unvalued(&long), "SELECT a FROM m WHERE b IN (…");
        let many = format!("SELECT a FROM m WHERE b IN (1{})", ", 'ü'".repeat(2_000));
        let shown = unvalued(&many);
        assert!(shown.len() < SHOWN_BYTES_MAX + 10 && shown.ends_with('…'), "{shown}");
        assert!(!shown.contains('ü'));
        let odd = format!("{}{}", "ü".repeat(READ_BYTES_MAX / 2 - 1), "€");
        assert!(unvalued(&odd).ends_with('…'));
    }
}
