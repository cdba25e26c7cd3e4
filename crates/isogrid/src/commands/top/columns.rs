//! The columns of the members: what stands in each, and for which of them there is room.

use super::model::{Column, MemberRow};
use crate::commands::status::table::uptime;
use crate::text::{size, thousands};

/// So many of the first columns are always there; names and states are cut before one of them is missing.
const ALWAYS: usize = 8;

/// What a name or a state keeps when there is no room.
const NAME_CHARS_MIN: usize = 6;

/// From this width on columns stand further apart.
const WIDE: usize = 120;

/// What stands in a column of the members.
pub(super) struct Shown {
    pub(super) name: &'static str,
    /// By which it can be sorted.
    pub(super) column: Option<Column>,
    /// Its least width: what changes from look to look has room, so that nothing beside it moves.
    width: usize,
    /// Figures end below each other, words begin below each other.
    pub(super) is_figure: bool,
    pub(super) value: fn(&MemberRow) -> String,
}

const fn words(
    name: &'static str,
    column: Option<Column>,
    width: usize,
    value: fn(&MemberRow) -> String,
) -> Shown {
    Shown { name, column, width, is_figure: false, value }
}

const fn figures(
    name: &'static str,
    column: Option<Column>,
    width: usize,
    value: fn(&MemberRow) -> String,
) -> Shown {
    Shown { name, column, width, is_figure: true, value }
}

/// All columns, those first that matter most.
const COLUMNS: &[Shown] = &[
    words("NODE", Some(Column::Node), 6, |row| row.node.clone()),
    words("STATE", None, 8, |row| row.state.clone()),
    figures("OPS/S", Some(Column::Ops), 9, |row| rate(row.ops_per_second)),
    figures("MEMORY", Some(Column::Memory), 14, memory),
    figures("LEADS", Some(Column::Leads), 6, |row| thousands(row.leads.into())),
    figures("P99 MS", Some(Column::P99), 7, |row| own(row, p99(row))),
    figures("LAG MS", Some(Column::Lag), 7, |row| own(row, thousands(row.lag_ms))),
    figures("SLOW/S", Some(Column::Slow), 7, |row| small_rate(row.slow_per_second)),
    figures("CONNS", None, 6, |row| own(row, thousands(row.connections.into()))),
    figures("BACKUPS", None, 7, |row| thousands(row.backups.into())),
    figures("ENTRIES", None, 12, |row| own(row, thousands(row.entries))),
    figures("DISK", None, 10, |row| row.disk_bytes.map_or_else(|| "-".into(), size)),
    figures("UP", None, 6, |row| own(row, uptime(row.uptime.as_secs()))),
    words("ZONE", None, 6, |row| if row.zone.is_empty() { "-".into() } else { row.zone.clone() }),
    words("VERSION", None, 7, |row| own(row, row.version.clone())),
];

/// The columns for which there is room, each with its width, and how far they stand apart.
pub(super) fn fitting(rows: &[MemberRow], room: usize) -> (Vec<(&'static Shown, usize)>, usize) {
    let apart = if room < WIDE { 1 } else { 2 };
    let mut columns: Vec<(&Shown, usize)> = Vec::new();
    let mut taken = 0;
    for column in COLUMNS {
        let width = needed(column, rows);
        if columns.len() >= ALWAYS && taken + apart + width > room {
            break;
        }
        taken += width + if columns.is_empty() { 0 } else { apart };
        columns.push((column, width));
    }
    // Of the name and the state, the longer one is cut.
    for _ in room..taken {
        let longer = if columns[0].1 > columns[1].1 { 0 } else { 1 };
        columns[longer].1 = columns[longer].1.saturating_sub(1).max(NAME_CHARS_MIN);
    }
    (columns, apart)
}

fn needed(column: &Shown, rows: &[MemberRow]) -> usize {
    let longest = rows.iter().map(|row| (column.value)(row).chars().count()).max().unwrap_or(0);
    // An arrow stands behind the name of the column by which they are sorted.
    let head = column.name.len() + usize::from(column.column.is_some());
    longest.max(head).max(column.width)
}

/// A text of so many characters at most, which shows that something is missing.
pub(super) fn cut(text: String, chars_max: usize) -> String {
    if text.chars().count() <= chars_max {
        return text;
    }
    let kept: String = text.chars().take(chars_max.saturating_sub(1)).collect();
    format!("{kept}…")
}

fn p99(row: &MemberRow) -> String {
    row.p99.map_or_else(|| "-".into(), |p99| format!("{:.2}", p99.as_secs_f64() * 1e3))
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

/// Operations per second.
pub(super) fn rate(per_second: Option<f64>) -> String {
    per_second.map_or_else(|| "-".into(), |rate| thousands(rate.round() as u64))
}

/// A rate of which a part matters too.
pub(super) fn small_rate(per_second: Option<f64>) -> String {
    match per_second {
        None => "-".into(),
        Some(rate) if rate > 0.0 && rate < 10.0 => format!("{rate:.1}"),
        Some(rate) => thousands(rate.round() as u64),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::top::model::tests::model;

    fn names(rows: &[MemberRow], room: usize) -> Vec<&'static str> {
        let (columns, apart) = fitting(rows, room);
        let taken = columns.iter().map(|(_, width)| width + apart).sum::<usize>() - apart;
        assert!(taken <= room.max(70), "{taken} of {room}");
        columns.iter().map(|(column, _)| column.name).collect()
    }

    #[test]
    fn there_are_as_many_columns_as_there_is_room_for() {
        let rows = model().members();
        assert_eq!(
            names(&rows, 80),
            ["NODE", "STATE", "OPS/S", "MEMORY", "LEADS", "P99 MS", "LAG MS", "SLOW/S", "CONNS"]
        );
        assert_eq!(names(&rows, 40).len(), ALWAYS);
        assert_eq!(names(&rows, 200).len(), COLUMNS.len());
    }

    #[test]
    fn a_long_name_is_cut_before_a_long_state_is_and_no_figure_ever() {
        let mut rows = model().members();
        rows[0].state = "active (restart)".into();
        rows[1].node = "a-very-long-name-of-a-release-isogrid-12".into();
        let (columns, _) = fitting(&rows, 80);
        assert_eq!(columns.len(), ALWAYS);
        let widths: Vec<usize> = columns.iter().map(|(_, width)| *width).collect();
        assert_eq!(widths.iter().sum::<usize>() + widths.len() - 1, 80, "{widths:?}");
        assert_eq!(widths[2..], [9, 14, 6, 7, 7, 7]);
        assert_eq!(cut(rows[1].node.clone(), 8), "a-very-…");
        assert_eq!(cut("node-0".into(), 6), "node-0");
    }
}
