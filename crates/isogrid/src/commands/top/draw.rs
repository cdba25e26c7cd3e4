//! Draws the model: thin, and nothing in it decides.

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Cell, Paragraph, Row, Sparkline, Table, TableState};

use super::model::{Column, MemberRow, Model};
use crate::commands::status::table::{headline, share, short, uptime};
use crate::text::{size, thousands};

/// From this width on there is room for more about each member.
const WIDE: u16 = 120;

/// The most rows of copies and hot keys that are shown.
const LISTED_MAX: u16 = 10;

const HEAD: Style = Style::new().add_modifier(Modifier::BOLD);
const DIM: Style = Style::new().add_modifier(Modifier::DIM);

/// What the keys do.
const KEYS: &str = "q quit   left/right sort by   s reverse   up/down choose";

pub(super) fn draw(frame: &mut Frame<'_>, model: &Model) {
    let area = frame.area();
    let listed = |count: usize| (count as u16).clamp(1, LISTED_MAX) + 1;
    let (moves, hot) = (listed(model.moves().len()), listed(model.hot().len()));
    let is_wide = area.width >= WIDE;
    let below = if is_wide { moves.max(hot) } else { moves.min(4) + 1 + hot.min(6) };
    let [title, totals, line, members, below, keys] = Layout::vertical([
        Constraint::Length(1),
        Constraint::Length(1),
        Constraint::Length(3),
        Constraint::Min(3),
        Constraint::Length(below),
        Constraint::Length(1),
    ])
    .areas(area);
    frame.render_widget(self::title(model), title);
    frame.render_widget(self::totals(model, area.width), totals);
    history(frame, model, line);
    self::members(frame, model, members, is_wide);
    let [left, right] = if is_wide {
        Layout::horizontal([Constraint::Percentage(50), Constraint::Percentage(50)])
            .spacing(2)
            .areas(below)
    } else {
        Layout::vertical([Constraint::Length(moves.min(4)), Constraint::Min(2)])
            .spacing(1)
            .areas(below)
    };
    self::moves(frame, model, left);
    self::hot(frame, model, right);
    frame.render_widget(Paragraph::new(Line::styled(KEYS, DIM)), keys);
}

/// How the cluster is, in its own colour.
fn title(model: &Model) -> Paragraph<'static> {
    if let Some(why) = &model.trouble {
        return Paragraph::new(Line::styled(why.clone(), Style::new().fg(Color::Red)));
    }
    let Some(status) = model.status() else {
        return Paragraph::new(Line::styled("looking for the cluster", DIM));
    };
    let colour = match (status.health.as_str(), status.safe) {
        ("healthy", true) => Color::Green,
        ("healthy", false) => Color::Yellow,
        _ => Color::Red,
    };
    Paragraph::new(Line::styled(headline(status), Style::new().fg(colour)))
}

fn totals(model: &Model, width: u16) -> Paragraph<'static> {
    let totals = model.totals();
    let worst = model.status().map(|status| status.worst_lag()).unwrap_or_default();
    let mut figures = vec![
        ("ops/s", rate(totals.ops_per_second)),
        ("slow/s", small_rate(totals.slow_per_second)),
        ("memory", format!("{} of {}", size(totals.memory_bytes), size(totals.memory_limit_bytes))),
        ("lag", format!("{} ms", thousands(worst.ms))),
        ("moves", model.moves().len().to_string()),
    ];
    if width >= WIDE {
        figures.push(("connections", thousands(totals.connections)));
        figures.push(("entries", thousands(totals.entries)));
    }
    let spans = figures.into_iter().flat_map(|(name, value)| {
        [Span::styled(format!("{name} "), DIM), Span::styled(format!("{value}   "), HEAD)]
    });
    Paragraph::new(Line::from(spans.collect::<Vec<_>>()))
}

/// Operations per second, as a line with the newest at its right end.
fn history(frame: &mut Frame<'_>, model: &Model, area: Rect) {
    let most = model.history().iter().max().copied().unwrap_or(0);
    let label = format!("{:>9} ", thousands(most));
    let [scale, line] =
        Layout::horizontal([Constraint::Length(label.len() as u16), Constraint::Min(1)])
            .areas(area);
    let text = vec![Line::raw(label), Line::raw(""), Line::raw(format!("{:>9} ", "ops/s"))];
    frame.render_widget(Paragraph::new(text).style(DIM), scale);
    let room = usize::from(line.width);
    let known = model.history().iter().copied();
    let skipped = model.history().len().saturating_sub(room);
    let known: Vec<u64> = known.skip(skipped).collect();
    // What was not seen yet is nothing, and stands before what was.
    let bars: Vec<u64> = std::iter::repeat_n(0, room - known.len()).chain(known).collect();
    frame.render_widget(Sparkline::default().data(&bars).style(Style::new().fg(Color::Cyan)), line);
}

/// What stands in a column of the members.
struct Shown {
    name: &'static str,
    /// By which it can be sorted.
    column: Option<Column>,
    width: u16,
    value: fn(&MemberRow) -> String,
}

const fn shown(
    name: &'static str,
    column: Option<Column>,
    width: u16,
    value: fn(&MemberRow) -> String,
) -> Shown {
    Shown { name, column, width, value }
}

/// What there is always room for.
const NARROW: &[Shown] = &[
    shown("NODE", Some(Column::Node), 14, |row| row.node.clone()),
    shown("STATE", None, 12, |row| row.state.clone()),
    shown("OPS/S", Some(Column::Ops), 9, |row| rate(row.ops_per_second)),
    shown("MEMORY", Some(Column::Memory), 14, memory),
    shown("LEADS", Some(Column::Leads), 6, |row| thousands(row.leads.into())),
    shown("P99 MS", Some(Column::P99), 7, |row| own(row, p99(row))),
    shown("LAG MS", Some(Column::Lag), 7, |row| thousands(row.lag_ms)),
    shown("SLOW/S", Some(Column::Slow), 6, |row| small_rate(row.slow_per_second)),
];

/// What else there is room for on a wide terminal.
const MORE: &[Shown] = &[
    shown("CONNS", None, 6, |row| own(row, thousands(row.connections.into()))),
    shown("BACKUPS", None, 8, |row| thousands(row.backups.into())),
    shown("ENTRIES", None, 13, |row| own(row, thousands(row.entries))),
    shown("DISK", None, 10, |row| row.disk_bytes.map_or_else(|| "-".into(), size)),
    shown("UP", None, 8, |row| own(row, uptime(row.uptime.as_secs()))),
    shown("ZONE", None, 8, |row| if row.zone.is_empty() { "-".into() } else { row.zone.clone() }),
    shown("VERSION", None, 10, |row| own(row, row.version.clone())),
];

fn p99(row: &MemberRow) -> String {
    row.p99.map_or_else(|| "-".into(), |p99| format!("{:.2}", p99.as_secs_f64() * 1e3))
}

fn members(frame: &mut Frame<'_>, model: &Model, area: Rect, is_wide: bool) {
    let more = if is_wide { MORE } else { &[] };
    let columns: Vec<&Shown> = NARROW.iter().chain(more).collect();
    let name = |column: &&Shown| {
        if column.column != Some(model.sort) {
            return Cell::new(column.name);
        }
        let arrow = if model.is_reversed { "^" } else { "v" };
        let style = Style::new().add_modifier(Modifier::UNDERLINED);
        Cell::new(format!("{}{arrow}", column.name)).style(style)
    };
    let rows = model.members().into_iter().map(|row| {
        let style = if row.is_bad { Style::new().fg(Color::Red) } else { Style::new() };
        Row::new(columns.iter().map(|column| (column.value)(&row)).collect::<Vec<_>>()).style(style)
    });
    let table = Table::new(rows, columns.iter().map(|column| Constraint::Length(column.width)))
        .column_spacing(1)
        .header(Row::new(columns.iter().map(name).collect::<Vec<_>>()).style(HEAD))
        .row_highlight_style(Style::new().add_modifier(Modifier::REVERSED));
    let mut state = TableState::default().with_selected(Some(model.chosen()));
    frame.render_stateful_widget(table, area, &mut state);
}

fn moves(frame: &mut Frame<'_>, model: &Model, area: Rect) {
    let rows = model.moves().iter().map(|copy| {
        Row::new([
            copy.partition.to_string(),
            format!("{} to {}", copy.from, copy.to),
            share(copy).map_or_else(|| "-".into(), |share| format!("{share} %")),
            copy.eta.map_or_else(|| "-".into(), short),
        ])
    });
    let widths =
        [Constraint::Length(9), Constraint::Min(20), Constraint::Length(6), Constraint::Length(8)];
    let head = Row::new(["PARTITION", "MOVES", "DONE", "ETA"]).style(HEAD);
    listed(
        frame,
        area,
        (model.moves().len(), "nothing moves"),
        Table::new(rows, widths).header(head),
    );
}

fn hot(frame: &mut Frame<'_>, model: &Model, area: Rect) {
    let hot = model.hot();
    let rows = hot.iter().map(|row| {
        Row::new([
            row.key.clone(),
            row.map.clone(),
            format!("{:.1} %", row.ratio * 100.0),
            row.node.clone(),
        ])
    });
    let widths = [
        Constraint::Min(20),
        Constraint::Length(18),
        Constraint::Length(8),
        Constraint::Length(14),
    ];
    let head = Row::new(["HOT KEY", "MAP", "SHARE", "NODE"]).style(HEAD);
    listed(frame, area, (hot.len(), "no samples yet"), Table::new(rows, widths).header(head));
}

/// A list, or why it is empty.
fn listed(
    frame: &mut Frame<'_>,
    area: Rect,
    (count, none): (usize, &'static str),
    table: Table<'_>,
) {
    frame.render_widget(table, area);
    if count == 0 && area.height > 1 {
        let below = Rect { y: area.y + 1, height: 1, ..area };
        frame.render_widget(Paragraph::new(Line::styled(none, DIM)), below);
    }
}

fn own(row: &MemberRow, value: String) -> String {
    if row.has_answered { value } else { "-".into() }
}

fn memory(row: &MemberRow) -> String {
    let share = (row.memory_bytes * 100).checked_div(row.memory_limit_bytes);
    match share {
        Some(share) if row.has_answered => format!("{} {share:>2}%", size(row.memory_bytes)),
        _ => "-".into(),
    }
}

fn rate(per_second: Option<f64>) -> String {
    per_second.map_or_else(|| "-".into(), |rate| thousands(rate.round() as u64))
}

/// A rate of which a part matters too.
fn small_rate(per_second: Option<f64>) -> String {
    match per_second {
        None => "-".into(),
        Some(rate) if rate > 0.0 && rate < 10.0 => format!("{rate:.1}"),
        Some(rate) => thousands(rate.round() as u64),
    }
}

#[cfg(test)]
#[path = "draw_test.rs"]
mod tests;
