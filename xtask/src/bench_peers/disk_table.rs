//! The figures of what is kept on disk as Markdown.

use std::fmt::Write as _;

use super::disk::{Kept, Measured, Setup};
use super::load::Sample;
use super::recovery::Recovered;
use super::table::per_second;

/// How long 5M records of 116 bytes may take to come back: so many a second.
const RECORDS_PER_SECOND_MIN: f64 = 500_000.0;

/// Puts; empty when none were measured.
pub(super) fn puts(all: &[Measured]) -> String {
    let mut text = String::new();
    if all.is_empty() {
        return text;
    }
    text.push_str("\nPuts with 16,384 in flight, one setup at a time, data on one disk:\n");
    text.push_str("\n| servers | SET/s | slowest – fastest | against memory | target | met? ");
    text.push_str(
        "| server CPU ns/op | p50 µs | p99 µs |\n|---|--:|--:|--:|--:|---|--:|--:|--:|\n",
    );
    for measured in all {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "| {} |", put_cells(measured, all).join(" | "));
    }
    text
}

fn put_cells(measured: &Measured, all: &[Measured]) -> [String; 9] {
    let rate = |setup| {
        let found = all.iter().find(|one| one.setup == setup)?;
        found.loaded.median(|sample| sample.ops_per_second)
    };
    let (memory, target) = match measured.setup {
        Setup::Isogrid(Kept::Memory) | Setup::Redis(Kept::Memory) => (None, None),
        Setup::Isogrid(Kept::Written) => (rate(Setup::Isogrid(Kept::Memory)), Some(0.8)),
        Setup::Isogrid(Kept::Synced) => (rate(Setup::Isogrid(Kept::Memory)), Some(0.5)),
        Setup::Redis(_) => (rate(Setup::Redis(Kept::Memory)), None),
    };
    let none = || "–".to_owned();
    let share = memory
        .filter(|memory| *memory > 0.0)
        .and_then(|memory| Some(rate(measured.setup)? / memory));
    let is_met = share.zip(target).map(|(share, target)| share >= target);
    let rounded = |figure: fn(&Sample) -> f64| {
        measured.loaded.median(figure).map_or_else(none, |value| format!("{value:.0}"))
    };
    let rates = || measured.loaded.samples.iter().map(|sample| sample.ops_per_second);
    let slowest = rates().fold(f64::INFINITY, f64::min);
    let fastest = rates().fold(0.0, f64::max);
    [
        measured.setup.to_string(),
        rate(measured.setup).map_or_else(none, per_second),
        format!("{} – {}", per_second(slowest), per_second(fastest)),
        share.map_or_else(none, |share| format!("{share:.2}x")),
        target.map_or_else(none, |target| format!("≥ {target}x")),
        is_met.map_or_else(none, |met| if met { "yes".into() } else { "**no**".into() }),
        rounded(|sample| sample.server_cpu_ns_per_op),
        rounded(|sample| sample.p50_us),
        rounded(|sample| sample.p99_us),
    ]
}

/// Recoveries; empty when none were measured.
pub(super) fn recoveries(all: &[Recovered]) -> String {
    let mut text = String::new();
    let Some(isogrid) = all.iter().find(|one| one.is_isogrid()).and_then(Recovered::seconds) else {
        return text;
    };
    let records = all.first().map_or(0, |one| one.records);
    let _ = writeln!(
        text,
        "\n{records} records of 116 B after a `kill -9`, from the start of the process until one of them can be read:\n"
    );
    text.push_str("| what comes back | on disk | seconds | records/s | isogrid takes |\n");
    text.push_str("|---|--:|--:|--:|--:|\n");
    for one in all {
        let Some(seconds) = one.seconds() else { continue };
        let ratio = if one.is_isogrid() {
            "–".to_owned()
        } else {
            format!("{:.2}x as long", isogrid / seconds)
        };
        let _ = writeln!(
            text,
            "| {} | {:.0} MB | {seconds:.2} | {} | {ratio} |",
            one.source,
            one.bytes as f64 / 1e6,
            per_second(f64::from(one.records) / seconds),
        );
    }
    let rate = f64::from(records) / isogrid;
    let met = if rate >= RECORDS_PER_SECOND_MIN { "met" } else { "**missed**" };
    let _ = writeln!(
        text,
        "\nThe target of {} records/s is {met}.",
        per_second(RECORDS_PER_SECOND_MIN)
    );
    text
}

#[cfg(test)]
#[path = "disk_table_test.rs"]
mod tests;
