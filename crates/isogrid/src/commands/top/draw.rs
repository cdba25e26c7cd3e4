//! Draws the model: thin, and nothing in it decides.

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Cell, Paragraph, Row, Sparkline, Table, TableState};

use super::columns::{Shown, cut, fitting, rate, small_rate};
use super::model::Model;
use crate::commands::status::table::{broken, headline, share, short};
use crate::text::{size, thousands};

/// From this width on there is room for more about each member.
const WIDE: u16 = 120;

/// From this height on the line of operations is taller.
const TALL: u16 = 40;

/// How wide the scale of the line of operations is.
const SCALE_WIDTH: u16 = 10;

/// The most rows of copies and hot keys that are shown.
const LISTED_MAX: u16 = 20;

const HEAD: Style = Style::new().add_modifier(Modifier::BOLD);
const DIM: Style = Style::new().add_modifier(Modifier::DIM);

/// What the keys do.
const KEYS: &str = "q quit   left/right sort by   s reverse   up/down choose";

pub(super) fn draw(frame: &mut Frame<'_>, model: &Model) {
    let area = frame.area();
    let heights = Heights::of(area, model);
    let [title, totals, line, members, _, below, _, keys] = Layout::vertical([
        Constraint::Length(1),
        Constraint::Length(1),
        Constraint::Length(heights.line),
        Constraint::Length(heights.members),
        Constraint::Length(1),
        Constraint::Length(heights.below),
        Constraint::Min(0),
        Constraint::Length(1),
    ])
    .areas(area);
    frame.render_widget(self::title(model, area.width), title);
    frame.render_widget(self::totals(model, area.width), totals);
    history(frame, model, line);
    self::members(frame, model, members);
    let [left, right] = if area.width >= WIDE {
        Layout::horizontal([Constraint::Percentage(50), Constraint::Percentage(50)])
            .spacing(2)
            .areas(below)
    } else {
        Layout::vertical([Constraint::Length(heights.moves), Constraint::Min(2)])
            .spacing(1)
            .areas(below)
    };
    self::moves(frame, model, left);
    self::hot(frame, model, right);
    frame.render_widget(Paragraph::new(Line::styled(KEYS, DIM)), keys);
}

/// How many lines each part has.
struct Heights {
    line: u16,
    members: u16,
    below: u16,
    /// Of what is below, where lists stand below each other.
    moves: u16,
}

impl Heights {
    /// Members come first, but some lines of the lists are always there. What is left over stays empty.
    fn of(area: Rect, model: &Model) -> Heights {
        let is_wide = area.width >= WIDE;
        let listed = |count: usize| (count as u16).clamp(1, LISTED_MAX) + 1;
        let (moves, hot) = (listed(model.moves().len()), listed(model.hot().len()));
        let least_moves = moves.min(4);
        let (wanted, least) = if is_wide {
            (moves.max(hot), moves.max(hot).min(6))
        } else {
            (moves + 1 + hot, least_moves + 1 + hot.min(6))
        };
        let line = if area.height >= TALL { 8 } else { 3 };
        // Title, totals, an empty line, keys.
        let room = area.height.saturating_sub(4 + line);
        let members = (model.members().len() as u16 + 1).min(room.saturating_sub(least).max(3));
        let below = wanted.min(room.saturating_sub(members));
        let moves = if below == wanted { moves } else { least_moves };
        Heights { line, members, below, moves }
    }
}

/// How the cluster is, in its own colour.
fn title(model: &Model, width: u16) -> Paragraph<'static> {
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
    // What there is no room for is left out, and nothing is cut.
    let parts = broken(&headline(status), width.into());
    let line = parts[0].trim_end_matches(',').to_owned();
    Paragraph::new(Line::styled(line, Style::new().fg(colour)))
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
    let [scale, line] =
        Layout::horizontal([Constraint::Length(SCALE_WIDTH), Constraint::Min(1)]).areas(area);
    let room = usize::from(line.width);
    let skipped = model.history().len().saturating_sub(room);
    let known: Vec<u64> = model.history().iter().copied().skip(skipped).collect();
    // The most of what is seen at the top, nought at the foot.
    let most = known.iter().max().copied().unwrap_or(0);
    let foot = Rect { y: area.bottom().saturating_sub(1), height: area.height.min(1), ..scale };
    frame.render_widget(Paragraph::new(format!("{:>9} ", thousands(most))).style(DIM), scale);
    frame.render_widget(Paragraph::new(format!("{:>9} ", "0 ops/s")).style(DIM), foot);
    // What was not seen yet is nothing, and stands before what was.
    let bars: Vec<u64> = std::iter::repeat_n(0, room - known.len()).chain(known).collect();
    frame.render_widget(Sparkline::default().data(&bars).style(Style::new().fg(Color::Cyan)), line);
}

fn members(frame: &mut Frame<'_>, model: &Model, area: Rect) {
    let rows = model.members();
    let (columns, apart) = fitting(&rows, area.width.into());
    let aligned = |column: &Shown, text: String| {
        let line = Line::raw(text);
        if column.is_figure { line.right_aligned() } else { line }
    };
    let name = |(column, _): &(&Shown, usize)| {
        if column.column != Some(model.sort) {
            return Cell::new(aligned(column, column.name.to_owned()));
        }
        let arrow = if model.is_reversed { "^" } else { "v" };
        let style = Style::new().add_modifier(Modifier::UNDERLINED);
        Cell::new(aligned(column, format!("{}{arrow}", column.name)).style(style))
    };
    let lines = rows.iter().map(|row| {
        let style = if row.is_bad { Style::new().fg(Color::Red) } else { Style::new() };
        let cells = columns
            .iter()
            .map(|(column, width)| Cell::new(aligned(column, cut((column.value)(row), *width))));
        Row::new(cells.collect::<Vec<_>>()).style(style)
    });
    let widths = columns.iter().map(|(_, width)| Constraint::Length(*width as u16));
    let table = Table::new(lines, widths)
        .column_spacing(apart as u16)
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
            format!("{:>6.1} %", row.ratio * 100.0),
            row.node.clone(),
        ])
    });
    let widths = [
        Constraint::Min(20),
        Constraint::Length(18),
        Constraint::Length(8),
        Constraint::Length(14),
    ];
    let head = Row::new(["HOT KEY", "MAP", "   SHARE", "NODE"]).style(HEAD);
    listed(
        frame,
        area,
        (hot.len(), "no key has 1 % of a map"),
        Table::new(rows, widths).header(head),
    );
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

#[cfg(test)]
#[path = "draw_test.rs"]
mod tests;
