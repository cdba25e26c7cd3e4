//! Tests of the tables of what is kept on disk.

use super::super::load::{Load, Measured as Loaded, Operation};
use super::super::recovery::Source;
use super::*;

fn measured(setup: Setup, rate: f64) -> Measured {
    let sample = Sample {
        ops_per_second: rate,
        server_cpu_ns_per_op: 1.0,
        client_cpu_ns_per_op: 1.0,
        p50_us: 1.0,
        p99_us: 2.0,
        idle_peer_cpu_percent: 0.0,
    };
    let load = Load::isogrid(Operation::Set, 1, 1);
    Measured { setup, loaded: Loaded { load, samples: vec![sample] } }
}

#[test]
fn a_level_is_compared_with_memory_of_its_own_kind() {
    let all = [
        measured(Setup::Isogrid(Kept::Memory), 1_000.0),
        measured(Setup::Isogrid(Kept::Written), 810.0),
        measured(Setup::Isogrid(Kept::Synced), 490.0),
        measured(Setup::Redis(Kept::Memory), 500.0),
        measured(Setup::Redis(Kept::Synced), 250.0),
    ];
    let text = puts(&all);
    let line = |name: &str| {
        let found = text.lines().find(|line| line.contains(name));
        found.unwrap_or_else(|| panic!("{name} in {text}")).to_owned()
    };
    assert!(line("isogrid in memory").contains("| – | – | – |"));
    assert!(line("durability os").contains("0.81x | ≥ 0.8x | yes"));
    assert!(line("durability fsync").contains("0.49x | ≥ 0.5x | **no**"));
    assert!(line("appendfsync always").contains("0.50x | – | –"));
}

#[test]
fn nothing_measured_is_nothing_said() {
    assert_eq!(puts(&[]), "");
    assert_eq!(recoveries(&[]), "");
}

#[test]
fn recoveries_are_compared_with_ours() {
    let one = |source, rounds: &[f64]| Recovered {
        source,
        records: 5_000_000,
        bytes: 600_000_000,
        rounds: rounds.to_vec(),
    };
    let all = [one(Source::RedisLog, &[8.0]), one(Source::Isogrid, &[9.0, 2.0, 4.0])];
    let text = recoveries(&all);
    assert!(text.contains("| 600 MB | 8.00 | 625k | 0.50x as long |"), "{text}");
    assert!(text.contains("| 600 MB | 4.00 | 1.25M | – |"), "{text}");
    assert!(text.ends_with("500k records/s is met.\n"), "{text}");
    let slow = recoveries(&[one(Source::Isogrid, &[11.0])]);
    assert!(slow.contains("**missed**"), "{slow}");
}
