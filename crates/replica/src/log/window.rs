//! How much of the log is kept: [`WindowLimits`], and the dropping of what is too old or too much.

use isogrid_core::Timestamp;

use crate::log::segment::Segment;
use crate::log::{Log, SEGMENT_BYTES_MAX};

/// What bounds a log's window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WindowLimits {
    /// The most bytes of committed entries, whoever still needs them.
    pub bytes_max: u64,
    /// The most bytes of entries that nobody wants, so that who asks a little late finds them.
    pub spare_bytes_max: u64,
    /// How long an entry is kept that no required reader needs, so that a returning replica finds it.
    pub age_ms_max: u64,
}

/// What readers are done with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Passed {
    /// All required ones with everything up to here.
    pub required: u64,
    /// All others too, and those who may come back.
    pub wanted: u64,
}

/// What pruning dropped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pruned {
    /// How many entries.
    pub entries: u64,
    /// Their bytes.
    pub bytes: u64,
    /// How many of them a required reader had not passed: it has fallen out of the window.
    pub needed: u64,
}

impl Default for WindowLimits {
    /// Four mebibytes, half a minute: enough for a replica that restarts.
    fn default() -> Self {
        WindowLimits { bytes_max: 4 << 20, spare_bytes_max: 64 << 10, age_ms_max: 30_000 }
    }
}

impl WindowLimits {
    /// An eighth of a small window, so that dropping whole segments stays fine enough.
    pub(super) fn segment_bytes(self) -> usize {
        const SEGMENT_BYTES_MIN: u64 = 256;
        (self.bytes_max / 8).clamp(SEGMENT_BYTES_MIN, SEGMENT_BYTES_MAX as u64) as usize
    }
}

impl Log {
    /// The limits of the window.
    pub fn limits(&self) -> WindowLimits {
        self.limits
    }

    /// Drops the oldest segments: those beyond `bytes_max`, whoever needs them; those that all required readers have passed and
    /// that are older than `age_ms_max`; and those beyond `spare_bytes_max` that nobody wants. Never anything after `commit`: it
    /// can still be truncated, undone or sent. Costs next to nothing when there is nothing to drop.
    pub fn prune(&mut self, commit: u64, passed: Passed, now: Timestamp) -> Pruned {
        let Passed { required, wanted } = passed;
        let mut pruned = Pruned::default();
        while let Some(oldest) = self.segments.front() {
            let last = oldest.last();
            let too_much = self.bytes() > self.limits.bytes_max;
            let unwanted =
                last <= required.min(wanted) && self.bytes() > self.limits.spare_bytes_max;
            let too_old = last <= required
                && now.ms_since(oldest.newest.timestamp()) > self.limits.age_ms_max;
            if last > commit || !(too_much || too_old || unwanted) {
                break;
            }
            let (base, bytes) = (self.base.seq, self.bytes());
            self.prune_to(last);
            pruned.entries += last - base;
            pruned.bytes += bytes - self.bytes();
            pruned.needed += last.saturating_sub(required.max(base));
        }
        pruned
    }

    /// Drops the entries up to this one.
    ///
    /// # Panics
    /// The log ends before it.
    pub fn prune_to(&mut self, seq: u64) {
        if seq <= self.base.seq {
            return;
        }
        let base = self.position_of(seq).expect("only entries of the window are pruned");
        self.begin = self.offset_of(seq + 1);
        self.base = base;
        if self.is_empty() {
            self.clear();
            return;
        }
        while self.segments.front().is_some_and(|segment| segment.last() <= seq) {
            let dropped = self.segments.pop_front();
            // The window is not empty: the last segment, which is not counted among these, stays.
            self.sealed -= dropped.as_ref().map_or(0, Segment::allocated);
            self.recycle(dropped);
        }
        while self.runs.get(1).is_some_and(|run| run.first <= seq + 1) {
            self.runs.pop_front();
        }
    }
}
