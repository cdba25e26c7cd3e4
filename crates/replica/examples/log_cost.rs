//! What the log and the session table add to one put: prints nanoseconds per operation.
//! `cargo run --release -p isogrid-replica --example log_cost`

use std::hint::black_box;
use std::io::Write;
use std::time::Instant;

use isogrid_core::{Effect, Hlc, LogPosition, MapId, RequestId, SessionId, Timestamp};
use isogrid_replica::entry::{Answer, Entries, Entry, Kept, Tag};
use isogrid_replica::log::{Log, Passed, WindowLimits};
use isogrid_replica::session::{Lookup, Sessions};

const ROUNDS: u64 = 2_000_000;
const BATCH: u64 = 32;
const LIMITS: WindowLimits =
    WindowLimits { bytes_max: 1 << 20, spare_bytes_max: 1 << 20, age_ms_max: 1_000 };

fn main() -> std::io::Result<()> {
    let value = [7; 100];
    let mut out = std::io::stdout();
    for _ in 0..3 {
        writeln!(out, "append and prune, 100 B values     {:6.1} ns/op", append(&value))?;
        writeln!(out, "append encoded (copy, no checks)   {:6.1} ns/op", append_encoded(&value))?;
        writeln!(out, "decode and append (a backup)       {:6.1} ns/op", receive(&value))?;
        writeln!(out, "append and read_batch of {BATCH}        {:6.1} ns/op", read(&value))?;
        for (sessions, window) in [(1, 1), (100, 1), (1_000, 16), (10_000, 1)] {
            let cost = lookup_and_record(sessions, window);
            writeln!(
                out,
                "lookup and record, {sessions:6} sessions, {window:2} open {cost:6.1} ns/op"
            )?;
        }
    }
    Ok(())
}

#[expect(clippy::disallowed_methods, reason = "an example measures; the library has no clock")]
fn timed(work: impl FnOnce()) -> f64 {
    let start = Instant::now();
    work();
    start.elapsed().as_nanos() as f64 / ROUNDS as f64
}

fn entry(seq: u64, value: &[u8]) -> Entry<'_> {
    let id = RequestId { session: SessionId(seq % 64), number: seq };
    Entry {
        position: LogPosition::new(1, seq),
        hlc: Hlc(seq << 16),
        request: Some(Tag { id, first_incomplete: seq }),
        answer: Answer::Written { old: Kept::Nothing },
        effect: Effect::Put { map: MapId(1), key: b"a key of 16 byte", value, expires_at: None },
    }
}

fn append(value: &[u8]) -> f64 {
    let mut log = Log::new(LogPosition::START, LIMITS);
    timed(|| {
        for seq in 1..=ROUNDS {
            log.append(black_box(&entry(seq, value)));
            log.prune(seq, Passed { required: seq, wanted: seq }, Timestamp(seq));
        }
    })
}

fn append_encoded(value: &[u8]) -> f64 {
    let mut log = Log::new(LogPosition::START, LIMITS);
    let mut bytes = Vec::new();
    entry(1, value).encode(&mut bytes);
    timed(|| {
        for seq in 1..=ROUNDS {
            bytes[16..24].copy_from_slice(&seq.to_le_bytes());
            log.append_encoded(black_box(&bytes));
            log.prune(seq, Passed { required: seq, wanted: seq }, Timestamp(0));
        }
    })
}

fn receive(value: &[u8]) -> f64 {
    let mut log = Log::new(LogPosition::START, LIMITS);
    let mut bytes = Vec::new();
    entry(1, value).encode(&mut bytes);
    timed(|| {
        for seq in 1..=ROUNDS {
            bytes[16..24].copy_from_slice(&seq.to_le_bytes());
            for encoded in Entries::new(black_box(&bytes)) {
                log.append_encoded(encoded.expect("encoded here").bytes);
            }
            log.prune(seq, Passed { required: seq, wanted: seq }, Timestamp(0));
        }
    })
}

fn read(value: &[u8]) -> f64 {
    let mut log = Log::new(LogPosition::START, LIMITS);
    let mut out = Vec::new();
    timed(|| {
        for seq in 1..=ROUNDS {
            log.append(black_box(&entry(seq, value)));
            if seq.is_multiple_of(BATCH) {
                out.clear();
                log.read_batch(seq - BATCH, 1 << 20, &mut out);
                log.prune(seq, Passed { required: seq, wanted: seq }, Timestamp(0));
            }
        }
    })
}

fn lookup_and_record(sessions: u64, window: u64) -> f64 {
    let mut table = Sessions::default();
    timed(|| {
        for seq in 1..=ROUNDS {
            // Consecutive sessions take turns; each keeps `window` requests open.
            let number = 1 + seq / sessions;
            let id = RequestId { session: SessionId(seq % sessions), number };
            let first_incomplete = number.saturating_sub(window - 1);
            let found = table.lookup(black_box(id), seq - 1);
            debug_assert_eq!(found, Lookup::New);
            black_box(found);
            let request = Some(Tag { id, first_incomplete });
            table.record(&Entry { request, ..entry(seq, &[]) });
            table.settle(seq);
        }
    })
}
