//! [`SlowLog`]: the operations that took long, the newest of them. Two clocks that are read anyway say how long one took: a batch
//! is timed as a whole, and an answer that comes late from the moment its batch came.

use std::collections::VecDeque;

use isogrid_core::{MapId, Op, PartitionId, Target, Timestamp};
use isogrid_replica::{Now, Ticks};
use parking_lot::Mutex;

use super::late::{Late, Waiter};
use super::{Batch, Engine};
use crate::clock;
use crate::config::SlowLogConfig;
use crate::report::SlowReport;

/// How much of a key is kept.
pub(super) const KEY_BYTES_MAX: usize = 32;

/// The slow operations of a node.
pub(crate) struct SlowLog {
    settings: SlowLogConfig,
    /// A mutex: it covers a push, and only slow operations come here.
    kept: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    /// How many there were since the start.
    total: u64,
    /// The newest, in their order.
    newest: VecDeque<SlowReport>,
}

/// What is remembered of an operation while it waits for its answer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Trace {
    begun: Ticks,
    name: &'static str,
    map: MapId,
    key: KeyStart,
}

/// The beginning of a key.
#[derive(Clone, Copy, Debug)]
struct KeyStart {
    bytes: [u8; KEY_BYTES_MAX],
    kept: u8,
    key_bytes: u32,
}

impl KeyStart {
    fn of(op: &Op<'_>) -> KeyStart {
        let key = match op.target() {
            Target::Key(key) => key,
            Target::Partition(_) => b"",
        };
        let kept = key.len().min(KEY_BYTES_MAX);
        let mut bytes = [0; KEY_BYTES_MAX];
        bytes[..kept].copy_from_slice(&key[..kept]);
        KeyStart { bytes, kept: kept as u8, key_bytes: key.len() as u32 }
    }
}

impl Trace {
    /// An operation whose batch came at this moment.
    pub(super) fn new(begun: Ticks, map: MapId, op: &Op<'_>) -> Trace {
        Trace { begun, name: name(op), map, key: KeyStart::of(op) }
    }
}

impl SlowLog {
    pub(super) fn new(settings: SlowLogConfig) -> SlowLog {
        SlowLog { settings, kept: Mutex::default() }
    }

    /// How long an operation takes that is slow, in milliseconds; nought: none is.
    pub(crate) fn threshold_ms(&self) -> u64 {
        self.settings.threshold_ms
    }

    /// How many operations were slow since the start.
    pub(crate) fn total(&self) -> u64 {
        self.kept.lock().total
    }

    /// The newest, in their order.
    pub(crate) fn newest(&self) -> Vec<SlowReport> {
        self.kept.lock().newest.iter().cloned().collect()
    }

    /// Whether something that began then is slow by now.
    #[inline]
    pub(super) fn is_slow(&self, begun: Ticks, now: Ticks) -> bool {
        let threshold_ms = self.settings.threshold_ms;
        threshold_ms != 0 && now.0.saturating_sub(begun.0) >= threshold_ms * 1_000
    }

    /// A statement of SQL took so long.
    #[cfg(feature = "sql")]
    pub(crate) fn note_statement(
        &self,
        took: std::time::Duration,
        report: impl FnOnce() -> SlowReport,
    ) {
        let took = Ticks(took.as_micros() as u64);
        if self.is_slow(Ticks(0), took) {
            self.push(SlowReport { took_us: took.0, ..report() });
        }
    }

    fn push(&self, mut report: SlowReport) {
        if !self.settings.keys {
            report.key.clear();
        }
        let mut kept = self.kept.lock();
        kept.total += 1;
        report.number = kept.total;
        while kept.newest.len() >= self.settings.entries_max {
            kept.newest.pop_front();
        }
        kept.newest.push_back(report);
    }
}

impl Engine {
    /// The operations that took long.
    pub(crate) fn slow_log(&self) -> &SlowLog {
        &self.slow_log
    }

    /// An answer comes late, or never: its client has stopped waiting.
    #[inline]
    pub(super) fn time_late(&self, partition: PartitionId, waiter: &Waiter, now: Now) {
        if self.slow_log.is_slow(waiter.trace.begun, now.ticks) {
            self.note_slow((partition, waiter.trace), (0, now), waiter.late.inner());
        }
    }

    /// A batch is done but for late answers. If it took long, the operation is told that most likely made it so.
    #[inline]
    pub(super) fn time_batch(
        &self,
        batch: &Batch<'_>,
        order: &[u32],
        (begun, ended): (Ticks, Ticks),
        late: &dyn Fn() -> std::sync::Arc<dyn Late>,
    ) {
        if !order.is_empty() && self.slow_log.is_slow(begun, ended) {
            self.note_slow_batch(batch, order, (begun, ended), late);
        }
    }

    #[cold]
    fn note_slow_batch(
        &self,
        batch: &Batch<'_>,
        order: &[u32],
        (begun, ticks): (Ticks, Ticks),
        late: &dyn Fn() -> std::sync::Arc<dyn Late>,
    ) {
        let mut ops = order.iter().map(|&key| &batch.ops[super::execute::index_of(key)]);
        let heaviest =
            ops.clone().find(|routed| matches!(routed.op.target(), Target::Partition(_)));
        let Some(routed) = heaviest.or_else(|| ops.next()) else { return };
        let trace = Trace::new(begun, routed.map, &routed.op);
        let now = Now { ticks, wall: clock::now() };
        let beside = order.len() as u32 - 1;
        self.note_slow((PartitionId(routed.partition), trace), (beside, now), &*late());
    }

    #[cold]
    fn note_slow(
        &self,
        (partition, trace): (PartitionId, Trace),
        (beside, now): (u32, Now),
        late: &dyn Late,
    ) {
        let map = self.maps.all().into_iter().find(|map| map.id == trace.map);
        self.slow_log.push(SlowReport {
            number: 0,
            at_ms: Timestamp(now.wall.0).0,
            operation: trace.name.to_owned(),
            map: map.map_or_else(String::new, |map| map.name.to_string()),
            key: trace.key.bytes[..usize::from(trace.key.kept)].to_vec(),
            key_bytes: trace.key.key_bytes,
            partition: partition.0,
            took_us: now.ticks.0.saturating_sub(trace.begun.0),
            beside,
            client: late.client().map(|client| client.to_string()).unwrap_or_default(),
            ..SlowReport::default()
        });
    }
}

/// What operators call an operation.
pub(super) fn name(op: &Op<'_>) -> &'static str {
    match op {
        Op::Get { .. } => "get",
        Op::Exists { .. } => "exists",
        Op::Touch { .. } => "touch",
        Op::Put { .. } => "put",
        Op::Delete { .. } => "delete",
        Op::CompareAndSet { .. } => "compare_and_set",
        Op::Expire { .. } => "expire",
        Op::Increment { .. } => "increment",
        Op::IncrementFloat { .. } => "increment_float",
        Op::Append { .. } => "append",
        Op::Rename { .. } => "rename",
        Op::Scan(_) => "scan",
        Op::Seek(_) => "seek",
        Op::Len { .. } => "len",
        Op::Clear { .. } => "clear",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log(entries_max: usize, keys: bool) -> SlowLog {
        SlowLog::new(SlowLogConfig { threshold_ms: 10, entries_max, keys })
    }

    fn report(key: &[u8]) -> SlowReport {
        SlowReport { key: key.to_vec(), ..SlowReport::default() }
    }

    #[test]
    fn only_the_newest_are_kept_and_all_are_counted() {
        let log = log(3, true);
        for number in 0..5_u8 {
            log.push(report(&[number]));
        }
        let kept: Vec<_> = log.newest().iter().map(|one| (one.number, one.key.clone())).collect();
        assert_eq!(kept, [(3, vec![2]), (4, vec![3]), (5, vec![4])]);
        assert_eq!(log.total(), 5);
    }

    #[test]
    fn what_takes_as_long_as_the_threshold_is_slow() {
        let log = log(3, true);
        assert!(!log.is_slow(Ticks(1_000), Ticks(10_999)));
        assert!(log.is_slow(Ticks(1_000), Ticks(11_000)));
        let off = SlowLog::new(SlowLogConfig { threshold_ms: 0, ..SlowLogConfig::default() });
        assert!(!off.is_slow(Ticks(0), Ticks(u64::MAX)));
    }

    #[test]
    fn of_a_key_only_the_beginning_is_kept_or_nothing() {
        let long = vec![b'k'; 1_000];
        let start = KeyStart::of(&Op::put(&long, b""));
        assert_eq!((usize::from(start.kept), start.key_bytes), (KEY_BYTES_MAX, 1_000));
        let private = log(3, false);
        private.push(report(b"u1"));
        assert!(private.newest()[0].key.is_empty());
    }
}
