//! The shell: statements are typed, their rows printed, and errors end nothing.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use isogrid_client::Grid;
use rustyline::error::ReadlineError;
use rustyline::history::FileHistory;
use rustyline::{CompletionType, Config, Editor};
use tokio::runtime::Runtime;

use super::SqlArgs;
use super::complete::{Typist, quoted};
use super::print::RowFormat;
use super::split::split;
use crate::cli::Global;
use crate::connect::grid;
use crate::exit::{CommandResult, Exit, Failure};
use crate::output::tell;

const PROMPT: &str = "isogrid> ";

/// How many lines the history keeps.
const HISTORY_MAX: usize = 1_000;

/// How often `\watch` asks again where nothing else is said, and the longest and shortest time that can be said.
const WATCH_INTERVAL: Duration = Duration::from_secs(2);
const WATCH_SECONDS: std::ops::RangeInclusive<f64> = 0.1..=86_400.0;

const HELP: &str = "\
A statement ends with a semicolon, and may have several lines. Tab completes names.
  \\d               the maps
  \\d MAP           the columns of a map
  \\format FORMAT   how rows are printed: table, json or csv
  \\timing [on|off] whether it is told how long statements take
  \\watch [SECONDS] the last statement again and again, until Ctrl-C
  \\q               the end; so does Ctrl-D
Ctrl-C ends a statement that runs, and clears a line that is typed.";

/// What a line wants.
#[derive(Debug, PartialEq)]
enum Wish<'l> {
    Quit,
    Help,
    /// Statements that show something of maps.
    Show(String),
    Format(RowFormat),
    /// Whether it is told how long statements take; without a word the other way round.
    Timing(Option<bool>),
    Watch(Duration),
    Statements(Vec<&'l str>),
}

pub(super) fn run(args: &SqlArgs, format: RowFormat, global: &Global) -> CommandResult {
    if !args.bind.is_empty() {
        return Err(crate::exit::wrong_argument("--bind is for a statement on the command line"));
    }
    // The client goes on while a line is typed.
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let grid = runtime.block_on(grid(&global.endpoint))?;
    let mut editor = editor(Typist::new(grid.clone(), runtime.handle().clone()))?;
    let history = history();
    if let Some(file) = &history {
        // There is none at first.
        let _ = editor.load_history(file);
    }
    tell(format!("isogrid {}: \\? for help, \\q to end", env!("CARGO_PKG_VERSION")));
    let mut shell = Shell { args, grid, runtime: &runtime, format, is_timed: false, last: None };
    let ended = shell.talk(&mut editor);
    if let Some(file) = &history {
        if let Err(error) = editor.append_history(file) {
            tell(format!("the history cannot be kept in {}: {error}", file.display()));
        }
    }
    ended
}

fn editor(typist: Typist) -> Result<Editor<Typist, FileHistory>, Failure> {
    let config = Config::builder()
        .max_history_size(HISTORY_MAX)
        .map_err(of_terminal)?
        .history_ignore_space(true)
        .completion_type(CompletionType::List)
        .build();
    let mut editor = Editor::with_config(config).map_err(of_terminal)?;
    editor.set_helper(Some(typist));
    Ok(editor)
}

fn of_terminal(error: ReadlineError) -> Failure {
    match error {
        ReadlineError::Io(error) => Failure::Io(error),
        other => Failure::Io(std::io::Error::other(other)),
    }
}

/// Where lines are kept: in the folder for what programs remember, made if there is none.
fn history() -> Option<PathBuf> {
    let absolute =
        |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let state =
        absolute("XDG_STATE_HOME").or_else(|| Some(absolute("HOME")?.join(".local/state")))?;
    let folder = state.join("isogrid");
    std::fs::create_dir_all(&folder).ok()?;
    Some(folder.join("sql_history"))
}

struct Shell<'a> {
    args: &'a SqlArgs,
    grid: Grid,
    runtime: &'a Runtime,
    format: RowFormat,
    is_timed: bool,
    /// The statement that was run last.
    last: Option<String>,
}

impl Shell<'_> {
    /// Line after line until the end.
    fn talk(&mut self, editor: &mut Editor<Typist, FileHistory>) -> CommandResult {
        loop {
            let line = match editor.readline(PROMPT) {
                Ok(line) => line,
                Err(ReadlineError::Interrupted) => continue,
                Err(ReadlineError::Eof) => return Ok(Exit::Ok),
                Err(error) => return Err(of_terminal(error)),
            };
            if line.trim().is_empty() {
                continue;
            }
            editor.add_history_entry(line.trim_end()).map_err(of_terminal)?;
            match wish(&line) {
                Ok(Wish::Quit) => return Ok(Exit::Ok),
                Ok(wish) => self.grant(wish)?,
                Err(why) => tell(why),
            }
        }
    }

    fn grant(&mut self, wish: Wish<'_>) -> Result<(), Failure> {
        match wish {
            Wish::Quit => {}
            Wish::Help => tell(HELP),
            Wish::Format(format) => self.format = format,
            Wish::Timing(wanted) => {
                self.is_timed = wanted.unwrap_or(!self.is_timed);
                tell(format!("timing is {}", if self.is_timed { "on" } else { "off" }));
            }
            Wish::Show(statement) => drop(self.answer(&statement)?),
            Wish::Watch(interval) => self.watch(interval)?,
            Wish::Statements(statements) => {
                for statement in statements {
                    self.last = Some(statement.to_owned());
                    if !self.answer(statement)? {
                        break;
                    }
                }
            }
        }
        Ok(())
    }

    /// Runs a statement and prints its rows, or what is wrong. Says whether all went well.
    fn answer(&self, statement: &str) -> Result<bool, Failure> {
        let begun = Instant::now();
        let answered = self.runtime.block_on(async {
            let answer = async { self.args.answer(&self.grid, statement, self.format).await };
            tokio::select! {
                answered = answer => Some(answered),
                _ = tokio::signal::ctrl_c() => None,
            }
        });
        if self.is_timed {
            tell(format!("time: {:.1} ms", begun.elapsed().as_secs_f64() * 1e3));
        }
        match answered {
            Some(Ok(())) => Ok(true),
            // Nobody sees what is printed.
            Some(Err(Failure::Io(error))) => Err(Failure::Io(error)),
            Some(Err(failure)) => {
                tell(failure.text().unwrap_or_default());
                Ok(false)
            }
            None => {
                tell("the statement was cancelled");
                Ok(false)
            }
        }
    }

    /// Asks the last statement again and again.
    fn watch(&self, interval: Duration) -> Result<(), Failure> {
        let Some(statement) = &self.last else {
            tell("there is no statement to ask again");
            return Ok(());
        };
        while self.answer(statement)? {
            let is_over = self.runtime.block_on(async {
                tokio::select! {
                    () = tokio::time::sleep(interval) => false,
                    _ = tokio::signal::ctrl_c() => true,
                }
            });
            if is_over {
                break;
            }
        }
        Ok(())
    }
}

/// What a line wants; in words why it cannot be.
fn wish(line: &str) -> Result<Wish<'_>, String> {
    let line = line.trim();
    if !line.starts_with('\\') {
        return Ok(Wish::Statements(split(line).all()));
    }
    let mut words = line.trim_end_matches(';').split_whitespace();
    let (command, word) = (words.next().unwrap_or_default(), words.next());
    if let Some(more) = words.next() {
        return Err(format!("{command} takes one word at the most, and there is {more:?} too"));
    }
    match (command, word) {
        ("\\q", None) => Ok(Wish::Quit),
        ("\\?", None) => Ok(Wish::Help),
        ("\\d", None) => Ok(Wish::Show("SHOW MAPS".to_owned())),
        ("\\d", Some(map)) => {
            let map = if map.starts_with('"') { map.to_owned() } else { quoted(map) };
            Ok(Wish::Show(format!("DESCRIBE {map}")))
        }
        ("\\format", Some("table")) => Ok(Wish::Format(RowFormat::Table)),
        ("\\format", Some("json")) => Ok(Wish::Format(RowFormat::Json)),
        ("\\format", Some("csv")) => Ok(Wish::Format(RowFormat::Csv)),
        ("\\format", _) => Err("\\format takes table, json or csv".to_owned()),
        ("\\timing", None) => Ok(Wish::Timing(None)),
        ("\\timing", Some("on")) => Ok(Wish::Timing(Some(true))),
        ("\\timing", Some("off")) => Ok(Wish::Timing(Some(false))),
        ("\\timing", Some(_)) => Err("\\timing takes on or off".to_owned()),
        ("\\watch", None) => Ok(Wish::Watch(WATCH_INTERVAL)),
        ("\\watch", Some(seconds)) => {
            let seconds: Option<f64> = seconds.parse().ok();
            let seconds = seconds.filter(|seconds| WATCH_SECONDS.contains(seconds));
            let seconds = seconds.ok_or("\\watch takes seconds, from 0.1 to 86400")?;
            Ok(Wish::Watch(Duration::from_secs_f64(seconds)))
        }
        _ => Err(format!("{command} is not known; \\? lists what is")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_statements_or_about_the_shell() {
        assert_eq!(
            wish(" SELECT 1; SELECT 2; "),
            Ok(Wish::Statements(vec!["SELECT 1", "SELECT 2"]))
        );
        assert_eq!(wish("\\q"), Ok(Wish::Quit));
        assert_eq!(wish("\\q;"), Ok(Wish::Quit));
        assert_eq!(wish("\\d"), Ok(Wish::Show("SHOW MAPS".into())));
        assert_eq!(wish("\\d Orders"), Ok(Wish::Show("DESCRIBE \"Orders\"".into())));
        assert_eq!(wish("\\d \"Orders\""), Ok(Wish::Show("DESCRIBE \"Orders\"".into())));
        assert_eq!(wish("\\format  csv"), Ok(Wish::Format(RowFormat::Csv)));
        assert_eq!(wish("\\timing on"), Ok(Wish::Timing(Some(true))));
        assert_eq!(wish("\\watch 0.5"), Ok(Wish::Watch(Duration::from_millis(500))));
        for wrong in [
            "\\x",
            "\\",
            "\\q now",
            "\\format arrow",
            "\\format",
            "\\timing maybe",
            "\\watch -1",
            "\\watch NaN",
            "\\watch 1e99",
            "\\d a b",
        ] {
            assert!(wish(wrong).is_err(), "{wrong}");
        }
    }
}
