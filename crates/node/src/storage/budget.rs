//! [`Budget`]: how many bytes log and snapshots may have together. Over it writes of clients are refused and nothing else: what
//! was acknowledged elsewhere is taken, and images are written, for they are what makes the log shorter. Each of those may go
//! beyond the budget for a while.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use isogrid_core::{Error, ErrorCode, Op};
use isogrid_wal::WalError;
use parking_lot::Mutex;
use tracing::{info, warn};

use super::Storage;
use super::rest::Rest;
use super::snapshots::End;
use crate::engine::Engine;

/// What could not be written anew is tried again after so long.
const AGAIN: Duration = Duration::from_secs(5);

/// How much log and snapshots may have, and have.
#[derive(Debug)]
pub(crate) struct Budget {
    /// `None`: as much as the disk takes.
    bytes: Option<u64>,
    used: AtomicU64,
    is_over: AtomicBool,
    rewritten: Mutex<Rewritten>,
}

/// When all snapshots were last written anew for the budget's sake.
#[derive(Clone, Copy, Debug)]
struct Rewritten {
    /// The bytes of the data then.
    data: u64,
    /// Some could not be had then: when to try again.
    again: Option<Instant>,
}

impl Budget {
    /// A budget of so many bytes.
    pub(crate) fn new(bytes: Option<u64>) -> Self {
        Budget {
            bytes,
            used: AtomicU64::new(0),
            is_over: AtomicBool::new(false),
            rewritten: Mutex::new(Rewritten { data: u64::MAX, again: None }),
        }
    }

    /// How many bytes it is.
    pub(super) fn bytes(&self) -> Option<u64> {
        self.bytes
    }

    /// Whether as much is used.
    #[inline]
    pub(super) fn is_over(&self) -> bool {
        self.is_over.load(Ordering::Relaxed)
    }

    /// So much was written since it was last measured.
    pub(super) fn wrote(&self, bytes: u64) {
        if self.bytes.is_some() {
            self.judge(self.used.fetch_add(bytes, Ordering::Relaxed) + bytes);
        }
    }

    /// So much is on disk.
    pub(super) fn measured(&self, used: u64) {
        self.used.store(used, Ordering::Relaxed);
        self.judge(used);
    }

    fn judge(&self, used: u64) {
        let Some(bytes) = self.bytes else { return };
        let is_over = used >= bytes;
        if self.is_over.swap(is_over, Ordering::Relaxed) == is_over {
            return;
        }
        match is_over {
            true => warn!(used, budget = bytes, "disk.budget is used up: writes are refused"),
            false => info!(used, budget = bytes, "disk.budget has room again: writes go on"),
        }
    }

    /// What a client is told whose write is refused.
    fn refusal(&self) -> Error {
        let (used, bytes) = (self.used.load(Ordering::Relaxed), self.bytes.unwrap_or(u64::MAX));
        let detail = format!(
            "log and snapshots of the node have {used} bytes, and its disk.budget is {bytes}: delete data, or raise it and start the node again"
        );
        Error::new(ErrorCode::DiskRefuses, detail)
    }

    /// How long the log may be before images are written, where without a budget it might be so long: three quarters are
    /// left to log and snapshots, but always as much as cannot be had back.
    pub(super) fn log_bytes_max(&self, without: u64, snapshots: u64, spare: u64) -> u64 {
        let Some(bytes) = self.bytes else { return without };
        without.min((bytes / 4 * 3).saturating_sub(snapshots).max(spare))
    }
}

impl Rewritten {
    /// Whether snapshots of data that are so large now are worth writing.
    fn is_worth_it(self, data: u64, now: Instant) -> bool {
        data < self.data - self.data / 16 || self.again.is_some_and(|again| now >= again)
    }
}

impl Storage {
    /// Why this operation is not executed, if the budget is used up. What takes data away is.
    #[inline]
    pub(crate) fn over_budget(&self, op: &Op<'_>) -> Option<Error> {
        let is_refused = self.budget.is_over() && !op.is_read() && !takes_away(op);
        is_refused.then(|| self.budget.refusal())
    }

    /// Measures what is on disk, and where it is too much does what can be done about it: of data that became fewer all
    /// snapshots are written anew, for those that are there are as large as the data were.
    pub(super) fn keep_within_budget(&self, engine: &Engine, end: &End) -> Result<(), WalError> {
        if self.budget.bytes().is_none() {
            return Ok(());
        }
        let before = self.measure();
        let (data, now) = (engine.memory().data_bytes(), Instant::now());
        if !self.budget.is_over() || !self.budget.rewritten.lock().is_worth_it(data, now) {
            return Ok(());
        }
        let partitions: Vec<_> = engine.on_disk().into_iter().map(|(one, _)| one).collect();
        let written = self.write_images(engine, &partitions, (end, Rest::none()))?;
        self.prune(engine)?;
        let again = (written < partitions.len()).then(|| now + AGAIN);
        *self.budget.rewritten.lock() = Rewritten { data, again };
        let after = self.measure();
        info!(snapshots = written, before, after, "snapshots were written anew for disk.budget");
        Ok(())
    }

    pub(super) fn measure(&self) -> u64 {
        let report = self.report();
        let used = report.log_bytes + report.snapshot_bytes;
        self.budget.measured(used);
        used
    }
}

/// Whether an operation can only make the data fewer.
fn takes_away(op: &Op<'_>) -> bool {
    matches!(op, Op::Delete { .. } | Op::Clear { .. })
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;

    #[test]
    fn it_is_over_when_it_is_reached_and_not_before() {
        let budget = Budget::new(Some(100));
        budget.measured(98);
        assert!(!budget.is_over());
        budget.wrote(1);
        assert!(!budget.is_over(), "99 of 100");
        budget.wrote(1);
        assert!(budget.is_over(), "100 of 100");
        let refusal = budget.refusal();
        assert_eq!(refusal.code(), ErrorCode::DiskRefuses);
        assert!(
            refusal.detail().contains("have 100 bytes, and its disk.budget is 100"),
            "{refusal}"
        );
        budget.measured(99);
        assert!(!budget.is_over());
        let none = Budget::new(None);
        none.wrote(u64::MAX / 2);
        assert!(!none.is_over());
    }

    #[test]
    fn the_log_is_shortened_before_the_budget_is_reached() {
        let budget = Budget::new(Some(400 * MIB));
        let max = |snapshots| budget.log_bytes_max(1_000 * MIB, snapshots, 64 * MIB) / MIB;
        assert_eq!((max(0), max(100 * MIB), max(900 * MIB)), (300, 200, 64));
        assert_eq!(
            budget.log_bytes_max(70 * MIB, 0, 64 * MIB),
            70 * MIB,
            "it never makes more of it"
        );
        assert_eq!(Budget::new(None).log_bytes_max(7, 9, 64), 7);
    }

    #[test]
    fn snapshots_are_written_anew_when_the_data_became_fewer() {
        let now = Instant::now();
        let first = Rewritten { data: u64::MAX, again: None };
        assert!(first.is_worth_it(1_600, now), "they may be of any time before");
        let mut then = Rewritten { data: 1_600, again: None };
        assert!(!then.is_worth_it(1_600, now) && !then.is_worth_it(1_500, now));
        assert!(then.is_worth_it(1_499, now));
        then.again = Some(now);
        assert!(then.is_worth_it(1_600, now), "some could not be had");
        assert!(!then.is_worth_it(1_600, now - Duration::from_millis(1)));
    }
}
