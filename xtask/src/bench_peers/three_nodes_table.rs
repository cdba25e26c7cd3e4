//! The figures of three nodes as Markdown: what was promised, and every load.

use std::fmt::Write as _;

use super::load::Operation;
use super::table::per_second;
use super::three_nodes::{Flight, Measured, Sample, Setup};

const NO_BACKUP: Setup = Setup::ThreeNodes { backups: 0 };
const ONE_BACKUP: Setup = Setup::ThreeNodes { backups: 1 };

/// One figure with its promise.
struct Row {
    figure: &'static str,
    value: String,
    target: &'static str,
    is_met: Option<bool>,
}

/// The whole text; empty when nothing was measured.
pub(super) fn markdown(all: &[Measured]) -> String {
    let mut text = String::new();
    if all.is_empty() {
        return text;
    }
    text.push_str("\nThree nodes of one core each, on the same cores as the client. ");
    text.push_str(
        "The replicas of redis follow asynchronously: a SET is answered before one has it.\n",
    );
    text.push_str("\n| figure | value | target | met? |\n|---|--:|--:|---|\n");
    for row in rows(all) {
        let met = row.is_met.map_or("–", |met| if met { "yes" } else { "**no**" });
        // Writing to a string cannot fail.
        let _ = writeln!(text, "| {} | {} | {} | {met} |", row.figure, row.value, row.target);
    }
    text.push_str("\n| servers | load | ops/s | slowest – fastest | server CPU ns/op ");
    text.push_str("| client CPU ns/op | p50 µs | p99 µs |\n|---|---|--:|--:|--:|--:|--:|--:|\n");
    for measured in all {
        let _ = writeln!(text, "| {} |", load_cells(measured).join(" | "));
    }
    text
}

fn rows(all: &[Measured]) -> Vec<Row> {
    let median = |setup, operation, flight, figure: fn(&Sample) -> f64| {
        let is_it = |one: &&Measured| {
            one.setup == setup && one.operation == operation && one.flight == flight
        };
        all.iter().find(is_it).and_then(|one| one.median(figure))
    };
    let rate = |setup, operation| median(setup, operation, Flight::Many, |s| s.ops_per_second);
    let cpu = |setup, operation| {
        let whole = |s: &Sample| s.server_cpu_ns_per_op + s.replica_cpu_ns_per_op;
        median(setup, operation, Flight::Many, whole)
    };
    let (set, get) = (Operation::Set, Operation::Get);
    let difference = |less: Option<f64>, more: Option<f64>| Some(more? - less?);
    [
        ratio(
            "SET/s, three nodes with a sync backup, against one node",
            quotient(rate(ONE_BACKUP, set), rate(Setup::OneNode, set)),
            Some(("≥ 0.55x", 0.55)),
        ),
        ratio(
            "SET/s, three nodes without backups, against one node",
            quotient(rate(NO_BACKUP, set), rate(Setup::OneNode, set)),
            None,
        ),
        ratio(
            "GET per CPU, three nodes with a backup, against one node",
            quotient(cpu(Setup::OneNode, get), cpu(ONE_BACKUP, get)),
            Some(("≥ 0.9x", 0.9)),
        ),
        amount(
            "CPU of a sync backup per SET, both nodes",
            difference(cpu(NO_BACKUP, set), cpu(ONE_BACKUP, set)),
            "ns",
            Some(("≤ 250 ns", 250.0)),
        ),
        amount(
            "one SET in flight with a sync backup, p50",
            median(ONE_BACKUP, set, Flight::One, |s| s.p50_us),
            "µs",
            Some(("≤ 120 µs", 120.0)),
        ),
        amount(
            "one SET in flight with a sync backup, p99",
            median(ONE_BACKUP, set, Flight::One, |s| s.p99_us),
            "µs",
            None,
        ),
        ratio(
            "SET/s, sync backup, against redis with async replicas at P=64",
            quotient(rate(ONE_BACKUP, set), rate(Setup::RedisCluster, set)),
            None,
        ),
        ratio(
            "CPU per SET, sync backup, against redis with async replicas",
            quotient(cpu(ONE_BACKUP, set), cpu(Setup::RedisCluster, set)),
            None,
        ),
        ratio(
            "GET/s, against redis at P=64",
            quotient(rate(ONE_BACKUP, get), rate(Setup::RedisCluster, get)),
            None,
        ),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn quotient(over: Option<f64>, under: Option<f64>) -> Option<f64> {
    under.filter(|under| *under > 0.0).and_then(|under| Some(over? / under))
}

/// A ratio that should be large.
fn ratio(
    figure: &'static str,
    value: Option<f64>,
    target: Option<(&'static str, f64)>,
) -> Option<Row> {
    let value = value?;
    let is_met = target.map(|(_, bound)| value >= bound);
    let target = target.map_or("–", |(text, _)| text);
    Some(Row { figure, value: format!("{value:.2}x"), target, is_met })
}

/// An amount that should be small.
fn amount(
    figure: &'static str,
    value: Option<f64>,
    unit: &str,
    target: Option<(&'static str, f64)>,
) -> Option<Row> {
    let value = value?;
    let is_met = target.map(|(_, bound)| value <= bound);
    let target = target.map_or("–", |(text, _)| text);
    Some(Row { figure, value: format!("{value:.0} {unit}"), target, is_met })
}

fn load_cells(measured: &Measured) -> [String; 8] {
    let rounded = |figure: fn(&Sample) -> f64| {
        measured.median(figure).map_or_else(String::new, |value| format!("{value:.0}"))
    };
    let rates = || measured.samples.iter().map(|sample| sample.ops_per_second);
    let load = match (measured.setup, measured.flight) {
        (_, Flight::One) => "one in flight",
        (Setup::RedisCluster, Flight::Many) => "-c 50 -P 64",
        (_, Flight::Many) => "1,024 callers",
    };
    let server = match measured.setup {
        Setup::RedisCluster => format!(
            "{} + replicas {}",
            rounded(|sample| sample.server_cpu_ns_per_op),
            rounded(|sample| sample.replica_cpu_ns_per_op)
        ),
        _ => rounded(|sample| sample.server_cpu_ns_per_op),
    };
    [
        measured.setup.to_string(),
        format!("{} {load}", measured.operation),
        measured.median(|sample| sample.ops_per_second).map_or_else(String::new, per_second),
        format!(
            "{} – {}",
            per_second(rates().fold(f64::INFINITY, f64::min)),
            per_second(rates().fold(0.0, f64::max))
        ),
        server,
        rounded(|sample| sample.client_cpu_ns_per_op),
        rounded(|sample| sample.p50_us),
        rounded(|sample| sample.p99_us),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn measured(
        setup: Setup,
        operation: Operation,
        flight: Flight,
        rate: f64,
        cpu: f64,
    ) -> Measured {
        let sample = Sample {
            ops_per_second: rate,
            server_cpu_ns_per_op: cpu,
            replica_cpu_ns_per_op: 0.0,
            client_cpu_ns_per_op: 200.0,
            p50_us: 100.0,
            p99_us: 300.0,
        };
        Measured { setup, operation, flight, samples: vec![sample] }
    }

    #[test]
    fn nothing_measured_is_no_text() {
        assert_eq!(markdown(&[]), "");
    }

    #[test]
    fn promises_are_held_against_the_same_run() {
        let (set, many) = (Operation::Set, Flight::Many);
        let text = markdown(&[
            measured(Setup::OneNode, set, many, 1e6, 300.0),
            measured(NO_BACKUP, set, many, 9e5, 400.0),
            measured(ONE_BACKUP, set, many, 6e5, 700.0),
            measured(ONE_BACKUP, set, Flight::One, 1e4, 700.0),
        ]);
        for line in [
            "| SET/s, three nodes with a sync backup, against one node | 0.60x | ≥ 0.55x | yes |",
            "| CPU of a sync backup per SET, both nodes | 300 ns | ≤ 250 ns | **no** |",
            "| one SET in flight with a sync backup, p50 | 100 µs | ≤ 120 µs | yes |",
            "| three nodes, 1 sync backup | SET 1,024 callers | 600k | 600k – 600k | 700 | 200 | 100 | 300 |",
        ] {
            assert!(text.contains(line), "{line} is not in\n{text}");
        }
        assert!(!text.contains("redis at P=64"), "what was not measured is left out");
    }
}
