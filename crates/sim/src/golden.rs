//! Golden scripts: commands and their expected output in one file that people can read and correct.
//!
//! ```text
//! # A comment. Commands stand together until ---, and below it what they print, until an empty line.
//! put k1 v1 node=n2
//! get k1 level="at least"
//! ---
//! ok 3
//! v1 version=3
//!
//! crash n2
//! ---
//! ok
//! ```
//!
//! A command is a name and arguments; an argument is a word or `key=word`, and a word with spaces stands in double quotes
//! (`\"`, `\\` and `\n` inside). A command that prints nothing gives `ok`, when it is alone in its block. Output with empty
//! lines in it has `> ` before each line.
//!
//! [`run`] compares; with `UPDATE_GOLDEN=1` in the environment it writes what was printed into the file instead. This module
//! depends on nothing else of the crate.

mod command;

use std::env;
use std::error::Error;
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

pub use command::{Argument, Command};

/// Why a script is not good.
#[derive(Clone, PartialEq, Eq)]
pub enum GoldenError {
    /// The file cannot be read or written.
    File {
        /// Which.
        path: PathBuf,
        /// What the system says.
        what: String,
    },
    /// A line is not a command.
    Script {
        /// The line, from one.
        line: usize,
        /// What is wrong.
        what: String,
    },
    /// The output is another than the expected one.
    Differs {
        /// The line of the file where the first difference stands, from one.
        line: usize,
        /// Both, with the lines that differ marked.
        difference: String,
    },
}

impl fmt::Display for GoldenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            GoldenError::File { path, what } => write!(f, "{}: {what}", path.display()),
            GoldenError::Script { line, what } => write!(f, "line {line}: {what}"),
            GoldenError::Differs { line, difference } => write!(
                f,
                "the output differs from line {line} on (UPDATE_GOLDEN=1 accepts it):\n{difference}"
            ),
        }
    }
}

/// The same as for people: a test that unwraps shows the difference as it is.
impl fmt::Debug for GoldenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Error for GoldenError {}

/// Runs a script: `execute` is called for each command and returns what it prints.
pub fn run(
    path: impl AsRef<Path>,
    execute: &mut impl FnMut(&Command) -> String,
) -> Result<(), GoldenError> {
    let is_update = env::var_os("UPDATE_GOLDEN").is_some_and(|value| value == "1");
    run_file(path.as_ref(), is_update, execute)
}

fn run_file(
    path: &Path,
    is_update: bool,
    execute: &mut impl FnMut(&Command) -> String,
) -> Result<(), GoldenError> {
    let failed =
        |what: std::io::Error| GoldenError::File { path: path.to_owned(), what: what.to_string() };
    let script = fs::read_to_string(path).map_err(failed)?;
    let actual = fill(&script, execute)?;
    if actual == script {
        return Ok(());
    }
    if is_update {
        return fs::write(path, actual).map_err(failed);
    }
    Err(difference(&script, &actual))
}

/// Runs every script of a folder whose name ends with `.golden`, by name. `fresh` makes a new executor for each.
pub fn run_all<E: FnMut(&Command) -> String>(
    folder: impl AsRef<Path>,
    fresh: &mut impl FnMut() -> E,
) -> Result<usize, (PathBuf, GoldenError)> {
    let folder = folder.as_ref();
    let failed = |what: std::io::Error| {
        let what = what.to_string();
        (folder.to_owned(), GoldenError::File { path: folder.to_owned(), what })
    };
    let mut paths = Vec::new();
    for entry in fs::read_dir(folder).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        if path.extension().is_some_and(|extension| extension == "golden") {
            paths.push(path);
        }
    }
    paths.sort();
    for path in &paths {
        run(path, &mut fresh()).map_err(|error| (path.clone(), error))?;
    }
    Ok(paths.len())
}

/// The script with what its commands print now. Comments and commands stay as they are.
pub fn fill(
    script: &str,
    execute: &mut impl FnMut(&Command) -> String,
) -> Result<String, GoldenError> {
    let mut filled = String::new();
    let mut lines = script.lines().enumerate().peekable();
    let mut printed: Vec<String> = Vec::new();
    let mut is_open = false;
    while let Some((index, line)) = lines.next() {
        filled.push_str(line);
        filled.push('\n');
        if line.trim_end() == "---" {
            if !is_open {
                let what = "--- without a command before it".to_owned();
                return Err(GoldenError::Script { line: index + 1, what });
            }
            filled.push_str(&output_of(&printed.concat()));
            printed.clear();
            is_open = false;
            while lines.next_if(|(_, line)| !line.trim().is_empty()).is_some() {}
        } else if let Some(command) = Command::parse(line, index + 1)? {
            is_open = true;
            printed.push(with_line_end(execute(&command)));
        } else if is_open && line.trim().is_empty() {
            let what = "an empty line between commands and their ---".to_owned();
            return Err(GoldenError::Script { line: index + 1, what });
        }
    }
    if is_open {
        let what = "commands without --- at the end".to_owned();
        return Err(GoldenError::Script { line: script.lines().count(), what });
    }
    Ok(filled)
}

fn with_line_end(mut printed: String) -> String {
    if !printed.is_empty() && !printed.ends_with('\n') {
        printed.push('\n');
    }
    printed
}

/// What stands below `---`.
fn output_of(printed: &str) -> String {
    if printed.is_empty() {
        return "ok\n".to_owned();
    }
    let needs_mark = printed.lines().any(|line| line.trim().is_empty());
    let mark = if needs_mark { "> " } else { "" };
    printed.lines().map(|line| format!("{}\n", format!("{mark}{line}").trim_end())).collect()
}

/// How many lines of the surroundings a difference shows.
const CONTEXT_LINES: usize = 3;

fn difference(expected: &str, actual: &str) -> GoldenError {
    let expected: Vec<&str> = expected.lines().collect();
    let actual: Vec<&str> = actual.lines().collect();
    let shorter = expected.len().min(actual.len());
    let same = (0..shorter).take_while(|index| expected[*index] == actual[*index]).count();
    let same_behind = (0..shorter - same)
        .take_while(|back| expected[expected.len() - 1 - back] == actual[actual.len() - 1 - back])
        .count();
    let mut text = String::new();
    let mut push = |mark: &str, lines: &[&str]| {
        for line in lines {
            text.push_str(&format!("{mark} {line}\n"));
        }
    };
    push(" ", &expected[same.saturating_sub(CONTEXT_LINES)..same]);
    push("-", &expected[same..expected.len() - same_behind]);
    push("+", &actual[same..actual.len() - same_behind]);
    let behind = &expected[expected.len() - same_behind..];
    push(" ", &behind[..behind.len().min(CONTEXT_LINES)]);
    GoldenError::Differs { line: same + 1, difference: text }
}

#[cfg(test)]
#[path = "golden/golden_test.rs"]
mod tests;
