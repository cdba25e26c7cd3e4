//! From a text to its statements: at each semicolon that is not within quotes or a comment.

/// The statements of a text, each without its semicolon, and what follows the last one.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Split<'t> {
    pub(super) statements: Vec<&'t str>,
    /// What no semicolon ends, if it is more than space and comments.
    pub(super) rest: Option<&'t str>,
}

impl<'t> Split<'t> {
    /// All of them: the last one needs no semicolon.
    pub(super) fn all(self) -> Vec<&'t str> {
        self.statements.into_iter().chain(self.rest).collect()
    }
}

/// Splits a text. Statements of nothing but space and comments are left out.
pub(super) fn split(text: &str) -> Split<'_> {
    let (mut statements, mut from, mut says_something) = (Vec::new(), 0, false);
    let mut at = 0;
    while let Some(piece) = piece(&text[at..]) {
        let end = at + piece.bytes();
        match piece {
            Piece::Semicolon => {
                if std::mem::take(&mut says_something) {
                    statements.push(text[from..at].trim());
                }
                from = end;
            }
            Piece::Nothing(_) => {}
            Piece::Something(_) => says_something = true,
        }
        at = end;
    }
    let rest = says_something.then(|| text[from..].trim());
    Split { statements, rest }
}

/// A piece of a text: how many bytes it has.
enum Piece {
    Semicolon,
    /// Space or a comment.
    Nothing(usize),
    Something(usize),
}

impl Piece {
    fn bytes(&self) -> usize {
        match self {
            Piece::Semicolon => 1,
            Piece::Nothing(bytes) | Piece::Something(bytes) => *bytes,
        }
    }
}

/// The first piece of a text.
fn piece(text: &str) -> Option<Piece> {
    let first = text.chars().next()?;
    let up_to = |end: &str, from: usize| {
        text[from..].find(end).map_or(text.len(), |found| from + found + end.len())
    };
    Some(match first {
        ';' => Piece::Semicolon,
        _ if text.starts_with("--") => Piece::Nothing(up_to("\n", 2)),
        _ if text.starts_with("/*") => Piece::Nothing(comment(text)),
        // Two quotes within a text end one and begin the next.
        '\'' => Piece::Something(up_to("'", 1)),
        '"' => Piece::Something(up_to("\"", 1)),
        '`' => Piece::Something(up_to("`", 1)),
        'e' | 'E' if text[1..].starts_with('\'') => Piece::Something(escaped(text)),
        '$' => Piece::Something(dollars(text).map_or(1, |mark| up_to(mark, mark.len()))),
        _ if first.is_whitespace() => Piece::Nothing(first.len_utf8()),
        _ if is_of_word(first) => {
            Piece::Something(text.find(|c| !is_of_word(c)).unwrap_or(text.len()))
        }
        _ => Piece::Something(first.len_utf8()),
    })
}

fn is_of_word(letter: char) -> bool {
    letter.is_alphanumeric() || letter == '_'
}

/// How long a comment is, with those within it.
fn comment(text: &str) -> usize {
    let (mut at, mut depth) = (0, 0);
    while at < text.len() {
        let rest = &text.as_bytes()[at..];
        if rest.starts_with(b"/*") {
            (at, depth) = (at + 2, depth + 1);
        } else if rest.starts_with(b"*/") {
            (at, depth) = (at + 2, depth - 1);
            if depth == 0 {
                return at;
            }
        } else {
            at += 1;
        }
    }
    text.len()
}

/// How long a text of the kind `E'it\'s'` is.
fn escaped(text: &str) -> usize {
    let mut is_escaped = false;
    for (at, letter) in text.char_indices().skip(2) {
        match letter {
            '\'' if !is_escaped => return at + 1,
            '\\' if !is_escaped => is_escaped = true,
            _ => is_escaped = false,
        }
    }
    text.len()
}

/// What begins and ends a text of the kind `$name$…$name$`; `$1` begins none.
fn dollars(text: &str) -> Option<&str> {
    let end = 1 + text[1..].find('$')?;
    let name = &text[1..end];
    let is_name = name.chars().all(is_of_word) && !name.starts_with(|c: char| c.is_ascii_digit());
    is_name.then(|| &text[..=end])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statements_end_at_semicolons_outside_of_quotes_and_comments() {
        let text = "SELECT ';', \";\", 'it''s;' -- no; end\n; /* ; /* ; */ ; */ SELECT E'\\';' ;;\n $a$;$a$; SELECT $1; e";
        let expected = [
            "SELECT ';', \";\", 'it''s;' -- no; end",
            "/* ; /* ; */ ; */ SELECT E'\\';'",
            "$a$;$a$",
            "SELECT $1",
        ];
        assert_eq!(split(text), Split { statements: expected.to_vec(), rest: Some("e") });
    }

    #[test]
    fn what_says_nothing_is_no_statement() {
        for text in ["", " ; ;", "-- only this", "/* this ; */ ;", "/* open"] {
            assert_eq!(split(text), Split { statements: Vec::new(), rest: None }, "{text:?}");
        }
    }

    #[test]
    fn what_is_open_goes_on() {
        for text in
            ["SELECT 'a;", "SELECT \"a;", "SELECT 1 /* ;", "SELECT E'\\';", "SELECT $a$;", "ü"]
        {
            assert_eq!(split(text), Split { statements: Vec::new(), rest: Some(text) }, "{text:?}");
        }
        assert_eq!(split("name;").all(), ["name"]);
        assert_eq!(split("the'x;").all(), ["the'x;"]);
    }
}
