//! `isogrid sql`: the rows that statements find, as a table or as lines for other programs, or a shell to ask for them.

mod complete;
mod follow;
mod print;
mod shell;
mod split;

use std::io::{IsTerminal, Read};
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use isogrid_client::{Grid, Sql, SqlValue};
use isogrid_core::{Error, ErrorCode};
use isogrid_node::config::kind::{Kind, Raw};

use crate::cli::Global;
use crate::connect::with_grid;
use crate::duration;
use crate::exit::{CommandResult, Exit, Failure, wrong_argument};
use crate::output::{Format, tell};
use print::RowFormat;

/// Which statements.
#[derive(Debug, Args)]
pub(crate) struct SqlArgs {
    /// Statements, separated by semicolons; without any and without a file they are read from standard input, or a shell opens on a terminal
    statement: Option<String>,

    /// A file with the statements; - for standard input
    #[arg(short, long, value_name = "FILE", conflicts_with = "statement")]
    file: Option<PathBuf>,

    /// The value of $1, then of $2, and so on: a number, true, false or null as that, all else as text; so is what stands in single quotes
    #[arg(long, value_name = "VALUE", allow_hyphen_values = true)]
    bind: Vec<String>,

    /// How the rows are printed; otherwise as --output says
    #[arg(long, value_enum, value_name = "FORMAT")]
    format: Option<RowFormat>,

    /// Refuse statements that walk over all partitions of a map
    #[arg(long)]
    require_pruned: bool,

    /// How long a statement may take, if that is less than the node allows, as in 500ms
    #[arg(long, value_name = "DURATION", value_parser = duration::parse)]
    time_max: Option<Duration>,

    /// How much memory a statement may have, if that is less than the node allows, as in 8MiB
    #[arg(long, value_name = "BYTES", value_parser = bytes)]
    memory_max: Option<u64>,
}

fn bytes(text: &str) -> Result<u64, String> {
    let kind = Kind::Bytes { min: 1, max: i64::MAX as u64 };
    let number = kind.read(&Raw::Text(text.into())).and_then(|value| value.as_integer());
    number.and_then(|number| u64::try_from(number).ok()).ok_or_else(|| kind.allowed())
}

impl SqlArgs {
    /// A statement as the arguments want it.
    fn ask<'g>(&self, grid: &'g Grid, statement: &str) -> Sql<'g> {
        let mut sql = self.bind.iter().fold(grid.sql(statement), |sql, text| sql.bind(value(text)));
        if self.require_pruned {
            sql = sql.require_pruned();
        }
        if let Some(time_max) = self.time_max {
            sql = sql.timeout(time_max);
        }
        match self.memory_max {
            Some(bytes) => sql.memory_bytes_max(bytes),
            None => sql,
        }
    }

    /// Prints what a statement answers, or for as long as it lasts what it follows.
    async fn answer(&self, grid: &Grid, statement: &str, format: RowFormat) -> Result<(), Failure> {
        let sql = self.ask(grid, statement);
        if follow::is_followed(statement) {
            return follow::print(sql.subscribe().await?, format).await;
        }
        print::print(sql.run().await?, format).await
    }
}

pub(crate) fn run(args: &SqlArgs, global: &Global) -> CommandResult {
    let is_on_terminal = std::io::stdin().is_terminal() && std::io::stdout().is_terminal();
    let format = args.format.unwrap_or(match global.output {
        Format::Table => RowFormat::Table,
        Format::Json => RowFormat::Json,
    });
    if format == RowFormat::Arrow && std::io::stdout().is_terminal() {
        return Err(wrong_argument(
            "--format arrow is not for a terminal: send it to a file or a program",
        ));
    }
    if args.statement.is_none() && args.file.is_none() && is_on_terminal {
        return shell::run(args, format, global);
    }
    let text = text(args)?;
    let mut statements = split::split(&text).all();
    if statements.len() < 2 {
        // As it is: the node says what is wrong with it.
        statements = vec![&text];
    } else if !args.bind.is_empty() || format == RowFormat::Arrow {
        let what = if args.bind.is_empty() { "--format arrow" } else { "--bind" };
        let detail = format!("{what} is for one statement, and these are {}", statements.len());
        return Err(wrong_argument(detail));
    }
    with_grid(global, async |grid: Grid| {
        for statement in &statements {
            args.answer(&grid, statement, format).await?;
        }
        Ok(Exit::Ok)
    })
}

/// What a text on the command line stands for.
pub(super) fn value(text: &str) -> SqlValue {
    match text {
        "true" | "false" => (text == "true").into(),
        "null" => SqlValue::NULL,
        _ if text.len() > 1 && text.starts_with('\'') && text.ends_with('\'') => {
            text[1..text.len() - 1].into()
        }
        _ => match (text.parse::<i64>(), text.parse::<f64>()) {
            (Ok(number), _) => number.into(),
            (Err(_), Ok(number)) if number.is_finite() => number.into(),
            _ => text.into(),
        },
    }
}

/// The statements, from wherever they are.
fn text(args: &SqlArgs) -> Result<String, Failure> {
    let unreadable = |what: &str, error: std::io::Error| {
        Error::new(ErrorCode::ArgumentInvalid, format!("{what} cannot be read: {error}"))
    };
    if let Some(statement) = &args.statement {
        return Ok(statement.clone());
    }
    if let Some(file) = args.file.as_deref().filter(|file| *file != Path::new("-")) {
        let text = std::fs::read_to_string(file);
        return Ok(text.map_err(|error| unreadable(&file.display().to_string(), error))?);
    }
    if std::io::stdin().is_terminal() {
        tell("The statements, ended by Ctrl-D:");
    }
    let mut text = String::new();
    std::io::stdin()
        .read_to_string(&mut text)
        .map_err(|error| unreadable("standard input", error))?;
    Ok(text)
}
