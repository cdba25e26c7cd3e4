//! The figures as Markdown: what was compared and promised, and every load with the processor time of each process.

use std::fmt::Write as _;

use super::load::{Measured, Sample};
use super::redis::LATENCY_STEP_US;
use super::report::Report;
use super::rows::{Row, Target, Unit, count, rows};
use super::{disk_table, three_nodes_table};

/// Above this, in percent of a core, the other peer was not idle.
const IDLE_PERCENT_MAX: f64 = 1.0;

/// The whole text. It has no title: it goes into a document.
pub(super) fn markdown(report: &Report) -> String {
    let mut text = heading(report);
    let rows = rows(report);
    if !rows.is_empty() {
        text.push_str("\n| figure | redis | isogrid | ratio | target | met? |\n");
        text.push_str("|---|--:|--:|--:|--:|---|\n");
    }
    for row in &rows {
        push_line(&mut text, &cells(row));
    }
    if !report.loads.is_empty() {
        text.push_str(
            "\n| load | ops/s | slowest – fastest | server CPU ns/op | client CPU ns/op ",
        );
        text.push_str("| p50 µs | p99 µs |\n|---|--:|--:|--:|--:|--:|--:|\n");
        for measured in &report.loads {
            push_line(&mut text, &load_cells(measured));
        }
        text.push_str(&idle_note(&report.loads));
        let _ = writeln!(
            text,
            "\nredis-benchmark rounds latencies up to steps of {LATENCY_STEP_US} µs; the mean of ops/s is exact."
        );
    }
    text.push_str(&three_nodes_table::markdown(&report.three_nodes));
    text.push_str(&disk_table::puts(&report.disk));
    text.push_str(&disk_table::recoveries(&report.recoveries));
    text
}

fn heading(report: &Report) -> String {
    let setting = &report.setting;
    let mut text = format!(
        "redis {} and Isogrid {} on {} cores that servers and clients share. Medians of {} x {} s in turns; {} \
         random keys of 16 B, values of 100 B.\n",
        report.redis_version,
        report.isogrid_version,
        report.cores,
        setting.rounds,
        setting.seconds,
        count(setting.keys),
    );
    if setting.quick {
        text.push_str("\n**A smoke test: these figures are not for keeping.**\n");
    }
    text
}

fn push_line(text: &mut String, cells: &[String]) {
    // Writing to a string cannot fail.
    let _ = writeln!(text, "| {} |", cells.join(" | "));
}

fn cells(row: &Row) -> [String; 6] {
    let none = || "–".to_owned();
    [
        row.figure.clone(),
        amount(row.redis, row.unit),
        amount(row.isogrid, row.unit),
        row.ratio().map_or_else(none, |ratio| format!("{ratio:.2}x")),
        match row.target {
            Target::None => none(),
            Target::RatioAtLeast(bound) => format!("≥ {bound}x"),
            Target::RatioAtMost(bound) => format!("≤ {bound}x"),
            Target::AtMost(bound) => format!("≤ {}", amount(bound, row.unit)),
        },
        row.is_met().map_or_else(none, |met| if met { "yes".into() } else { "**no**".into() }),
    ]
}

fn amount(value: f64, unit: Unit) -> String {
    match unit {
        Unit::PerSecond => per_second(value),
        Unit::Nanoseconds => format!("{value:.0} ns"),
        Unit::Microseconds => format!("{value:.0} µs"),
        Unit::Milliseconds => format!("{value:.1} ms"),
        Unit::Bytes => format!("{value:.0} B"),
        Unit::Megabytes => format!("{value:.1} MB"),
    }
}

/// `1.23M`, `456k`.
pub(super) fn per_second(value: f64) -> String {
    if value >= 1e6 { format!("{:.2}M", value / 1e6) } else { format!("{:.0}k", value / 1e3) }
}

fn load_cells(measured: &Measured) -> [String; 7] {
    let rounded = |figure: fn(&Sample) -> f64| {
        measured.median(figure).map_or_else(String::new, |value| format!("{value:.0}"))
    };
    let rates = || measured.samples.iter().map(|sample| sample.ops_per_second);
    let slowest = rates().fold(f64::INFINITY, f64::min);
    let fastest = rates().fold(0.0, f64::max);
    [
        format!("`{}`", measured.load),
        measured.median(|sample| sample.ops_per_second).map_or_else(String::new, per_second),
        format!("{} – {}", per_second(slowest), per_second(fastest)),
        rounded(|sample| sample.server_cpu_ns_per_op),
        rounded(|sample| sample.client_cpu_ns_per_op),
        rounded(|sample| sample.p50_us),
        rounded(|sample| sample.p99_us),
    ]
}

/// Says whether the peer that was not measured left the cores to the other.
fn idle_note(loads: &[Measured]) -> String {
    let samples = loads.iter().flat_map(|measured| &measured.samples);
    let busiest = samples.map(|sample| sample.idle_peer_cpu_percent).fold(0.0, f64::max);
    let verdict = if busiest > IDLE_PERCENT_MAX { " **That is too much.**" } else { "" };
    format!(
        "\nWhile one peer was under load, the other used at most {busiest:.1} % of a core.{verdict}\n"
    )
}

#[cfg(test)]
#[path = "table_test.rs"]
mod table_test;
