//! What a command prints: data on standard output as a table or JSON, prose on standard error.

use std::io::{self, BufWriter, StdoutLock, Write};

use clap::ValueEnum;
use comfy_table::{Table, presets};
use serde::Serialize;

use crate::exit::Failure;

/// How data is printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For people.
    #[default]
    Table,
    /// For machines: one JSON object, or one per line where the number is not known beforehand.
    Json,
}

/// Standard output, buffered: for lines one after the other.
pub(crate) fn stdout() -> BufWriter<StdoutLock<'static>> {
    BufWriter::with_capacity(64 << 10, io::stdout().lock())
}

/// Prints text as it is.
pub(crate) fn print(text: &str) -> Result<(), Failure> {
    let mut out = stdout();
    out.write_all(text.as_bytes())?;
    out.flush()?;
    Ok(())
}

/// Prints one line of JSON.
pub(crate) fn print_json(value: &impl Serialize) -> Result<(), Failure> {
    let mut out = stdout();
    write_json(&mut out, value)?;
    out.flush()?;
    Ok(())
}

/// Writes one line of JSON.
pub(crate) fn write_json(out: &mut impl Write, value: &impl Serialize) -> Result<(), Failure> {
    serde_json::to_writer(&mut *out, value)?;
    out.write_all(b"\n")?;
    Ok(())
}

/// A table with a head line and no frame, so that it can be cut and searched with the usual tools.
pub(crate) fn table(head: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_header(head.iter().map(|name| name.to_uppercase()));
    table
}

/// A table as text, line by line.
pub(crate) fn table_text(table: &Table) -> String {
    let lines: Vec<String> =
        table.lines().map(|line| line.trim_end().trim_start_matches(' ').to_owned()).collect();
    format!("{}\n", lines.join("\n"))
}

/// Prints a table.
pub(crate) fn print_table(table: &Table) -> Result<(), Failure> {
    print(&table_text(table))
}

/// Writes prose for the person at the terminal.
pub(crate) fn tell(text: impl AsRef<str>) {
    // Nobody may be listening, which is no reason to fail.
    let _ = writeln!(io::stderr(), "{}", text.as_ref());
}
