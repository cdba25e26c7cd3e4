//! `isogrid sql 'SUBSCRIBE …'`: events as they come, until Ctrl-C.

use std::io::Write;

use isogrid_client::Subscription;
use isogrid_client::arrow::array::RecordBatch;
use isogrid_client::arrow::csv::WriterBuilder;
use isogrid_client::arrow::error::ArrowError;
use isogrid_client::arrow::ipc::writer::StreamWriter;
use isogrid_client::arrow::json::LineDelimitedWriter;
use isogrid_client::arrow::util::display::{ArrayFormatter, FormatOptions};

use super::print::{RowFormat, unprintable};
use crate::exit::Failure;
use crate::output::stdout;

/// Whether a statement is one whose events are followed.
pub(super) fn is_followed(statement: &str) -> bool {
    let word = statement.trim_start().get(.."SUBSCRIBE".len());
    word.is_some_and(|word| word.eq_ignore_ascii_case("SUBSCRIBE"))
}

/// Prints events, each batch as soon as it is there.
pub(super) async fn print(
    mut subscription: Subscription,
    format: RowFormat,
) -> Result<(), Failure> {
    let mut out = stdout();
    let schema = subscription.schema().clone();
    if format == RowFormat::Arrow {
        let mut writer = StreamWriter::try_new(out, &schema).map_err(unprintable)?;
        writer.get_mut().flush()?;
        while let Some(batch) = subscription.next().await? {
            writer.write(&batch).map_err(unprintable)?;
            writer.get_mut().flush()?;
        }
        return Ok(());
    }
    if format != RowFormat::Json {
        let names: Vec<&str> = schema.fields().iter().map(|field| field.name().as_str()).collect();
        writeln!(out, "{}", names.join(if format == RowFormat::Csv { "," } else { "\t" }))?;
    }
    out.flush()?;
    while let Some(batch) = subscription.next().await? {
        match format {
            RowFormat::Json => {
                let mut writer = LineDelimitedWriter::new(&mut out);
                writer.write(&batch).and_then(|()| writer.finish()).map_err(unprintable)?;
            }
            RowFormat::Csv => WriterBuilder::new()
                .with_header(false)
                .build(&mut out)
                .write(&batch)
                .map_err(unprintable)?,
            _ => lines(&batch, &mut out)?,
        }
        out.flush()?;
    }
    Ok(())
}

/// A line for each event, with tabs between the columns: how wide they will become nobody knows yet.
fn lines(batch: &RecordBatch, out: &mut dyn Write) -> Result<(), Failure> {
    let options = FormatOptions::default().with_null("NULL");
    let columns = batch.columns().iter().map(|column| ArrayFormatter::try_new(column, &options));
    let columns = columns.collect::<Result<Vec<_>, ArrowError>>().map_err(unprintable)?;
    for row in 0..batch.num_rows() {
        let cells: Vec<String> =
            columns.iter().map(|column| column.value(row).to_string()).collect();
        writeln!(out, "{}", cells.join("\t"))?;
    }
    Ok(())
}
