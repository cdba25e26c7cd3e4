//! What a command prints: data on standard output as a table or JSON, prose on standard error.

use std::io::{self, BufWriter, IsTerminal, StdoutLock, Write};

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
    // Each line begins with the one blank that surrounds cells; what else is blank belongs to a cell of several lines.
    let line = |line: String| line.strip_prefix(' ').unwrap_or(&line).trim_end().to_owned();
    let lines: Vec<String> = table.lines().map(line).collect();
    format!("{}\n", lines.join("\n"))
}

/// A table as text with as many columns as there is room for. They are left out in the order of `left_out`; says how many were.
pub(crate) fn table_within(
    columns: &[&str],
    rows: &[Vec<String>],
    left_out: &[&str],
    width: Option<usize>,
) -> (String, usize) {
    let mut count = 0;
    loop {
        let is_shown = |place: &usize| !left_out[..count].contains(&columns[*place]);
        let shown: Vec<usize> = (0..columns.len()).filter(is_shown).collect();
        let mut table = table(&shown.iter().map(|place| columns[*place]).collect::<Vec<_>>());
        for row in rows {
            table.add_row(shown.iter().map(|place| &row[*place]));
        }
        let text = table_text(&table);
        let fits = width
            .is_none_or(|width| text.lines().all(|line| line.trim_end().chars().count() <= width));
        if fits || count == left_out.len() {
            return (text, count);
        }
        count += 1;
    }
}

/// How wide the terminal is, if standard output is one.
pub(crate) fn terminal_width() -> Option<usize> {
    let is_terminal = io::stdout().is_terminal();
    is_terminal.then(crossterm::terminal::size)?.ok().map(|(width, _)| usize::from(width))
}

/// Prints a table. On a terminal that is too narrow for all columns some are left out, in this order, and named below it.
pub(crate) fn print_within(
    columns: &[&str],
    rows: &[Vec<String>],
    left_out: &[&str],
) -> Result<(), Failure> {
    let (text, count) = table_within(columns, rows, left_out, terminal_width());
    print(&text)?;
    match count {
        0 => Ok(()),
        count => print(&format!("\nno room for: {}\n", left_out[..count].join(", "))),
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lines_of_a_cell_stand_below_each_other() {
        let mut plan = table(&["type", "plan"]);
        plan.add_row(["physical", "FilterExec\n  GridScan"]);
        assert_eq!(
            table_text(&plan),
            "TYPE      PLAN\nphysical  FilterExec\n            GridScan\n"
        );
    }

    #[test]
    fn columns_are_left_out_until_the_rest_has_room() {
        let columns = ["node", "state", "address"];
        let row = |text: &str| vec![text.to_owned(), "active".to_owned(), "127.0.0.1:1".to_owned()];
        let rows = [row("node-0"), row("node-1")];
        let within = |width| table_within(&columns, &rows, &["state", "address"], width);
        let (whole, left_out) = within(None);
        assert_eq!((left_out, whole.lines().count()), (0, 3));
        let (fewer, left_out) = within(Some(22));
        assert!(left_out == 1 && fewer.contains("ADDRESS") && !fewer.contains("STATE"), "{fewer}");
        assert_eq!(within(Some(1)).1, 2, "the others stay, whatever there is");
    }
}
