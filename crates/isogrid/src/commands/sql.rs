//! `isogrid sql STATEMENT`: the rows that a statement finds, as a table or as lines for other programs.

mod follow;

use std::io::{IsTerminal, Read, Write};
use std::path::PathBuf;

use clap::{Args, ValueEnum};
use isogrid_client::arrow::array::RecordBatch;
use isogrid_client::arrow::csv;
use isogrid_client::arrow::datatypes::SchemaRef;
use isogrid_client::arrow::error::ArrowError;
use isogrid_client::arrow::ipc::writer::StreamWriter;
use isogrid_client::arrow::json::LineDelimitedWriter;
use isogrid_client::arrow::util::display::{ArrayFormatter, FormatOptions};
use isogrid_client::{Answer, Grid, SqlValue};
use isogrid_core::{Error, ErrorCode};

use crate::cli::Global;
use crate::connect::with_grid;
use crate::exit::{CommandResult, Exit, Failure};
use crate::output::{Format, print_table, stdout, table, tell};

/// Which statement.
#[derive(Debug, Args)]
pub(crate) struct SqlArgs {
    /// The statement; without one and without a file it is read from standard input
    statement: Option<String>,

    /// A file with the statement
    #[arg(short, long, value_name = "FILE", conflicts_with = "statement")]
    file: Option<PathBuf>,

    /// The value of $1, then of $2, and so on: a number, true, false or null as that, all else as text; so is what stands in single quotes
    #[arg(long, value_name = "VALUE", allow_hyphen_values = true)]
    bind: Vec<String>,

    /// How the rows are printed; otherwise as --output says
    #[arg(long, value_enum, value_name = "FORMAT")]
    format: Option<RowFormat>,
}

/// How rows are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum RowFormat {
    /// For people.
    Table,
    /// One JSON object per row.
    Json,
    /// Comma-separated values with a header line.
    Csv,
    /// A stream of Arrow's IPC format.
    Arrow,
}

pub(crate) fn run(args: &SqlArgs, global: &Global) -> CommandResult {
    let statement = statement(args)?;
    let format = args.format.unwrap_or(match global.output {
        Format::Table => RowFormat::Table,
        Format::Json => RowFormat::Json,
    });
    if format == RowFormat::Arrow && std::io::stdout().is_terminal() {
        let detail = "--format arrow is not for a terminal: send it to a file or a program";
        return Err(Error::new(ErrorCode::ArgumentInvalid, detail).into());
    }
    with_grid(global, async |grid: Grid| {
        let is_followed = follow::is_followed(&statement);
        let sql = args.bind.iter().fold(grid.sql(statement), |sql, text| sql.bind(value(text)));
        if is_followed {
            follow::print(sql.subscribe().await?, format).await?;
            return Ok(Exit::Ok);
        }
        let answer = sql.run().await?;
        match format {
            RowFormat::Table => as_table(answer).await?,
            RowFormat::Json => as_json(answer).await?,
            RowFormat::Csv => as_csv(answer).await?,
            RowFormat::Arrow => as_arrow(answer).await?,
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

/// The statement, from wherever it is.
fn statement(args: &SqlArgs) -> Result<String, Failure> {
    let unreadable = |what: &str, error: std::io::Error| {
        Error::new(ErrorCode::ArgumentInvalid, format!("{what} cannot be read: {error}"))
    };
    if let Some(statement) = &args.statement {
        return Ok(statement.clone());
    }
    if let Some(file) = &args.file {
        let text = std::fs::read_to_string(file);
        return Ok(text.map_err(|error| unreadable(&file.display().to_string(), error))?);
    }
    if std::io::stdin().is_terminal() {
        tell("The statement, ended by Ctrl-D:");
    }
    let mut text = String::new();
    std::io::stdin()
        .read_to_string(&mut text)
        .map_err(|error| unreadable("standard input", error))?;
    Ok(text)
}

async fn as_table(mut answer: Answer) -> Result<(), Failure> {
    let schema = answer.schema().clone();
    let names: Vec<&str> = schema.fields().iter().map(|field| field.name().as_str()).collect();
    let mut rows = table(&names);
    let mut count = 0;
    while let Some(batch) = answer.next().await? {
        let options = FormatOptions::default().with_null("NULL");
        let columns =
            batch.columns().iter().map(|column| ArrayFormatter::try_new(column, &options));
        let columns = columns.collect::<Result<Vec<_>, _>>().map_err(unprintable)?;
        for row in 0..batch.num_rows() {
            rows.add_row(columns.iter().map(|column| column.value(row).to_string()));
        }
        count += batch.num_rows();
    }
    print_table(&rows)?;
    tell(format!("({count} {})", if count == 1 { "row" } else { "rows" }));
    Ok(())
}

async fn as_json(answer: Answer) -> Result<(), Failure> {
    each(answer, |batch, out, _| {
        let mut writer = LineDelimitedWriter::new(out);
        writer.write(batch).and_then(|()| writer.finish())
    })
    .await
}

async fn as_csv(answer: Answer) -> Result<(), Failure> {
    each(answer, |batch, out, is_first| {
        csv::WriterBuilder::new().with_header(is_first).build(out).write(batch)
    })
    .await
}

async fn as_arrow(mut answer: Answer) -> Result<(), Failure> {
    let mut writer = StreamWriter::try_new(stdout(), answer.schema()).map_err(unprintable)?;
    while let Some(batch) = answer.next().await? {
        writer.write(&batch).map_err(unprintable)?;
    }
    writer.finish().map_err(unprintable)?;
    writer.get_mut().flush()?;
    Ok(())
}

/// Writes batch after batch; one without rows if there is none, for what says which columns there are.
async fn each(
    mut answer: Answer,
    mut write: impl FnMut(&RecordBatch, &mut dyn Write, bool) -> Result<(), ArrowError>,
) -> Result<(), Failure> {
    let mut out = stdout();
    let schema: SchemaRef = answer.schema().clone();
    write(&RecordBatch::new_empty(schema), &mut out, true).map_err(unprintable)?;
    while let Some(batch) = answer.next().await? {
        write(&batch, &mut out, false).map_err(unprintable)?;
    }
    out.flush()?;
    Ok(())
}

/// Why rows cannot be printed.
fn unprintable(error: ArrowError) -> Failure {
    match error {
        ArrowError::IoError(_, error) => Failure::Io(error),
        other => Error::new(ErrorCode::DecodeFailed, other.to_string()).into(),
    }
}
