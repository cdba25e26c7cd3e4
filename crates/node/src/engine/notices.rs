//! What replicas notice, counted by kind, and the rare ones logged.

use std::collections::BTreeMap;

use isogrid_core::PartitionId;
use isogrid_replica::notice::CopyKind;
use isogrid_replica::{Notice, Ticks};
use parking_lot::Mutex;
use tracing::{debug, info, warn};

use crate::clock;

/// Counters of all notices of a node.
#[derive(Default)]
pub(crate) struct Notices {
    counts: Mutex<BTreeMap<&'static str, u64>>,
    /// Since when a whole copy of a partition is made here.
    copies: Mutex<BTreeMap<PartitionId, Ticks>>,
}

impl Notices {
    /// Counts a notice.
    pub(super) fn count(&self, partition: PartitionId, notice: &Notice) {
        *self.counts.lock().entry(name(notice)).or_default() += 1;
        match notice {
            Notice::CopyStarted(_) => drop(self.copies.lock().insert(partition, clock::ticks())),
            Notice::CopyFinished(_) => drop(self.copies.lock().remove(&partition)),
            Notice::DigestMismatch => {
                warn!(partition = partition.0, "the data of two replicas differ; repairing");
            }
            Notice::RemovalProposed { node } => {
                info!(partition = partition.0, %node, "replica lags; its removal is proposed");
            }
            other => debug!(partition = partition.0, notice = ?other, "replica"),
        }
    }

    /// For how many milliseconds a copy of a partition has been going on.
    pub(super) fn copied_for_ms(&self, partition: PartitionId) -> u64 {
        let since = self.copies.lock().get(&partition).copied();
        since.map_or(0, |since| clock::ticks().ms_since(since))
    }

    /// All counters, by name.
    pub(crate) fn all(&self) -> BTreeMap<&'static str, u64> {
        self.counts.lock().clone()
    }
}

/// The name of a notice in metrics.
fn name(notice: &Notice) -> &'static str {
    match notice {
        Notice::Promoted { .. } => "promoted",
        Notice::Opened { .. } => "opened",
        Notice::Demoted { .. } => "demoted",
        Notice::Fenced { .. } => "fenced",
        Notice::OtherLife => "other_life",
        Notice::Truncated { .. } => "truncated",
        Notice::RemovalProposed { .. } => "removal_proposed",
        Notice::RemovalWaits => "removal_waits",
        Notice::AdditionProposed { .. } => "addition_proposed",
        Notice::AnsweredAgain => "answered_again",
        Notice::InFlightAgain => "in_flight_again",
        Notice::StaleRequest => "stale_request",
        Notice::ReadParked => "read_parked",
        Notice::ReadConfirming => "read_confirming",
        Notice::BackupRead => "backup_read",
        Notice::HandoverStarted { .. } => "handover_started",
        Notice::HandoverAborted => "handover_aborted",
        Notice::HandoverLost => "handover_lost",
        Notice::CopyStarted(CopyKind::All) => "copy_started",
        Notice::CopyStarted(CopyKind::Repair) => "repair_started",
        Notice::CopyStarted(CopyKind::Tail) => "tail_reload_started",
        Notice::CopyContinues => "copy_continues",
        Notice::CopyFinished(_) => "copy_finished",
        Notice::StaleRecordSkipped => "stale_record_skipped",
        Notice::DigestMismatch => "digest_mismatch",
        Notice::DigestAgrees => "digest_agrees",
    }
}
