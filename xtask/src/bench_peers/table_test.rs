//! The table of a report whose figures are made up.

use super::*;
use crate::bench_peers::load::{Load, Operation};
use crate::bench_peers::memory::PerEntry;
use crate::bench_peers::report::Setting;
use crate::bench_peers::start::{Start, Starts};

fn measured(load: Load, ops_per_second: [f64; 3], server_ns: f64, p50_us: f64) -> Measured {
    let sample = |ops_per_second| Sample {
        ops_per_second,
        server_cpu_ns_per_op: server_ns,
        client_cpu_ns_per_op: 215.4,
        p50_us,
        p99_us: p50_us * 2.0,
        idle_peer_cpu_percent: 0.2,
    };
    Measured { load, samples: ops_per_second.map(sample).to_vec() }
}

fn report() -> Report {
    let setting = Setting { rounds: 3, seconds: 5, keys: 1_000_000, quick: false };
    let mut report = Report::new(setting, "7.0.15".into()).expect("cores are known");
    report.cores = 2;
    report.isogrid_version = "0.1.0";
    report
}

fn full_report() -> Report {
    let mut report = report();
    report.loads = vec![
        measured(Load::redis(Operation::Get, 50, 64), [7e5, 6e5, 8e5], 1_300.0, 4_000.0),
        measured(Load::isogrid(Operation::Get, 1_024, 1), [3e6, 2.1e6, 2e6], 105.0, 330.0),
        measured(Load::isogrid(Operation::Get, 50, 64), [3e6, 3e6, 3e6], 201.0, 330.0),
        measured(Load::redis(Operation::Get, 1, 1), [3e4, 3e4, 3e4], 9_000.0, 16.0),
        measured(Load::isogrid(Operation::Get, 1, 1), [2e4, 2e4, 2e4], 9_500.0, 21.0),
    ];
    report.memory = vec![
        PerEntry { entries: 1_000_000, redis_bytes: 200.0, isogrid_bytes: 190.0 },
        PerEntry { entries: 5_000_000, redis_bytes: 200.0, isogrid_bytes: 150.0 },
    ];
    let start = |connectable_ms, resident_bytes| Start { connectable_ms, resident_bytes };
    report.starts = Starts {
        redis: vec![start(12.0, 12_000_000)],
        isogrid: vec![start(9.0, 13_000_000), start(60.0, 21_000_000), start(9.5, 13_100_000)],
    };
    report
}

const EXPECTED: &str = "\
redis 7.0.15 and Isogrid 0.1.0 on 2 cores that servers and clients share. Medians of 3 x 5 s in turns; 1M \
random keys of 16 B, values of 100 B.

| figure | redis | isogrid | ratio | target | met? |
|---|--:|--:|--:|--:|---|
| GET/s, 1,024 single-op callers, against P=64 | 700k | 2.10M | 3.00x | ≥ 3x | yes |
| GET/s, 50 callers with batches of 64, against P=64 | 700k | 3.00M | 4.29x | ≥ 5x | **no** |
| server CPU per GET, single-op callers, against P=64 | 1300 ns | 105 ns | 0.08x | ≤ 200 ns | yes |
| client CPU per GET, single-op callers, against P=64 | 215 ns | 215 ns | 1.00x | ≤ 350 ns | yes |
| server CPU per GET, batches of 64, against P=64 | 1300 ns | 201 ns | 0.15x | ≤ 200 ns | **no** |
| client CPU per GET, batches of 64, against P=64 | 215 ns | 215 ns | 1.00x | ≤ 150 ns | **no** |
| one GET in flight, p50 | 16 µs | 21 µs | 1.31x | ≤ 1.3x | **no** |
| one GET in flight, mean of ops/s | 33 µs | 50 µs | 1.50x | – | – |
| one GET in flight, p99 | 32 µs | 42 µs | 1.31x | – | – |
| memory per entry of 16 + 100 B, 1M entries | 200 B | 190 B | 0.95x | – | – |
| memory per entry of 16 + 100 B, 5M entries | 200 B | 150 B | 0.75x | ≤ 0.75x | yes |
| start to connectable | 12.0 ms | 9.5 ms | 0.79x | ≤ 50.0 ms | yes |
| memory when idle | 12.0 MB | 13.1 MB | 1.09x | ≤ 20.0 MB | yes |

| load | ops/s | slowest – fastest | server CPU ns/op | client CPU ns/op | p50 µs | p99 µs |
|---|--:|--:|--:|--:|--:|--:|
| `redis GET -c 50 -P 64` | 700k | 600k – 800k | 1300 | 215 | 4000 | 8000 |
| `isogrid GET --callers 1024 --batch 1` | 2.10M | 2.00M – 3.00M | 105 | 215 | 330 | 660 |
| `isogrid GET --callers 50 --batch 64` | 3.00M | 3.00M – 3.00M | 201 | 215 | 330 | 660 |
| `redis GET -c 1 -P 1` | 30k | 30k – 30k | 9000 | 215 | 16 | 32 |
| `isogrid GET --callers 1 --batch 1` | 20k | 20k – 20k | 9500 | 215 | 21 | 42 |

While one peer was under load, the other used at most 0.2 % of a core.

redis-benchmark rounds latencies up to steps of 8 µs; the mean of ops/s is exact.
";

#[test]
fn every_section_is_in_the_table() {
    assert_eq!(markdown(&full_report()), EXPECTED);
}

#[test]
fn sections_that_were_not_run_are_left_out() {
    let mut report = report();
    report.setting.quick = true;
    let text = markdown(&report);
    assert!(text.ends_with("these figures are not for keeping.**\n"), "{text}");
}

#[test]
fn a_peer_that_does_not_sleep_is_reported() {
    let mut report = full_report();
    report.loads[0].samples[1].idle_peer_cpu_percent = 7.0;
    assert!(markdown(&report).contains("at most 7.0 % of a core. **That is too much.**\n"));
}
