//! The rows of an answer, printed.

use std::io::Write;

use clap::ValueEnum;
use isogrid_client::Answer;
use isogrid_client::arrow::array::RecordBatch;
use isogrid_client::arrow::csv;
use isogrid_client::arrow::datatypes::SchemaRef;
use isogrid_client::arrow::error::ArrowError;
use isogrid_client::arrow::ipc::writer::StreamWriter;
use isogrid_client::arrow::json::LineDelimitedWriter;
use isogrid_client::arrow::util::display::{ArrayFormatter, FormatOptions};
use isogrid_core::{Error, ErrorCode};

use crate::exit::Failure;
use crate::output::{print_table, stdout, table, tell};

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

/// Prints an answer as its rows come; a table when all have come.
pub(super) async fn print(answer: Answer, format: RowFormat) -> Result<(), Failure> {
    match format {
        RowFormat::Table => as_table(answer).await,
        RowFormat::Json => as_json(answer).await,
        RowFormat::Csv => as_csv(answer).await,
        RowFormat::Arrow => as_arrow(answer).await,
    }
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
pub(super) fn unprintable(error: ArrowError) -> Failure {
    match error {
        ArrowError::IoError(_, error) => Failure::Io(error),
        other => Error::new(ErrorCode::DecodeFailed, other.to_string()).into(),
    }
}
