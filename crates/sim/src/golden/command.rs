//! One command of a golden script.

use std::str::FromStr;

use super::GoldenError;

/// An argument: a value, with a key or without.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Argument {
    /// What stands before `=`.
    pub key: Option<String>,
    /// The value.
    pub value: String,
}

/// A command with its arguments.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Command {
    /// The first word.
    pub name: String,
    /// The others, in order.
    pub arguments: Vec<Argument>,
    /// Its line in the script, from one.
    pub line: usize,
}

impl Command {
    /// A command from its line. `None` of an empty line or a comment.
    pub(super) fn parse(line: &str, number: usize) -> Result<Option<Command>, GoldenError> {
        let failed = |what: String| GoldenError::Script { line: number, what };
        let mut words = words_of(line).map_err(failed)?.into_iter();
        let Some(first) = words.next() else { return Ok(None) };
        if first.key.is_some() {
            return Err(failed("a command begins with its name".to_owned()));
        }
        Ok(Some(Command { name: first.value, arguments: words.collect(), line: number }))
    }

    /// The argument without a key at this place, counting only those.
    pub fn word(&self, place: usize) -> Option<&str> {
        let words = self.arguments.iter().filter(|argument| argument.key.is_none());
        words.map(|argument| argument.value.as_str()).nth(place)
    }

    /// The last argument with this key.
    pub fn get(&self, key: &str) -> Option<&str> {
        let mut behind = self.arguments.iter().rev();
        let found = behind.find(|argument| argument.key.as_deref() == Some(key));
        found.map(|argument| argument.value.as_str())
    }

    /// The argument with this key as a value of another type: `Ok(None)` when it is not there.
    pub fn parse_key<T: FromStr>(&self, key: &str) -> Result<Option<T>, String> {
        let value = self.get(key).map(str::parse).transpose();
        value.map_err(|_| format!("line {}: {key} has a wrong value", self.line))
    }

    /// The argument without a key at this place as a value of another type.
    pub fn parse_word<T: FromStr>(&self, place: usize) -> Result<T, String> {
        let parsed = self.word(place).map(str::parse);
        match parsed {
            Some(Ok(value)) => Ok(value),
            Some(Err(_)) => {
                Err(format!("line {}: argument {} has a wrong value", self.line, place + 1))
            }
            None => Err(format!("line {}: argument {} is missing", self.line, place + 1)),
        }
    }
}

fn words_of(line: &str) -> Result<Vec<Argument>, String> {
    let mut words = Vec::new();
    let mut rest = line.trim_start();
    while !rest.is_empty() && !rest.starts_with('#') {
        let (first, had_quotes, behind) = word_of(rest)?;
        let (word, behind) = match behind.strip_prefix('=') {
            Some(_) if had_quotes || first.is_empty() => {
                return Err(format!("a key is a bare word, not {first:?}"));
            }
            Some(behind) => {
                let (value, _, behind) = word_of(behind)?;
                (Argument { key: Some(first), value }, behind)
            }
            None => (Argument { key: None, value: first }, behind),
        };
        if !behind.is_empty() && !behind.starts_with(char::is_whitespace) {
            return Err(format!("a space is missing before {behind:?}"));
        }
        words.push(word);
        rest = behind.trim_start();
    }
    Ok(words)
}

/// The word at the beginning, whether it stood in quotes, and what follows it.
fn word_of(text: &str) -> Result<(String, bool, &str), String> {
    let Some(quoted) = text.strip_prefix('"') else {
        let end = text.find(|c: char| c.is_whitespace() || c == '=' || c == '"');
        let (word, behind) = text.split_at(end.unwrap_or(text.len()));
        return Ok((word.to_owned(), false, behind));
    };
    let mut word = String::new();
    let mut letters = quoted.char_indices();
    while let Some((index, letter)) = letters.next() {
        match letter {
            '"' => return Ok((word, true, &quoted[index + 1..])),
            '\\' => match letters.next() {
                Some((_, 'n')) => word.push('\n'),
                Some((_, escaped @ ('"' | '\\'))) => word.push(escaped),
                _ => return Err(r#"only \", \\ and \n are known"#.to_owned()),
            },
            letter => word.push(letter),
        }
    }
    Err("a quote is not closed".to_owned())
}
