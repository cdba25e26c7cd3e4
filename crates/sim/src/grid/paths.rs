//! The rare paths that the simulation must visit now and then: what it never reached it has not tested.

use isogrid_core::PartitionId;
use isogrid_replica::Notice;
use isogrid_replica::notice::CopyKind;

use super::world::World;
use crate::network::NodeIndex;

pub(crate) const FAILOVER_UNCOMMITTED: &str = "failover with uncommitted entries";
pub(crate) const DEMOTION_UNDOES: &str = "a deposed primary takes entries back";
pub(crate) const TAIL_CUT: &str = "a divergent tail is cut off";
pub(crate) const ZOMBIE_FENCED: &str = "a message of an old epoch is refused";
pub(crate) const OTHER_LIFE: &str = "a message for an earlier life is dropped";
pub(crate) const ANSWERED_AGAIN: &str = "a retry is answered from the session";
pub(crate) const IN_FLIGHT_AGAIN: &str = "a retry meets its own request in flight";
pub(crate) const STALE_RETRY: &str = "a stale retry is refused";
pub(crate) const READ_PARKED: &str = "a read waits for a commit";
pub(crate) const READ_CONFIRMED: &str = "a read asks the in-sync set";
pub(crate) const BACKUP_READ: &str = "a backup answers a read";
pub(crate) const REMOVAL: &str = "a removal is proposed";
pub(crate) const REMOVAL_WAITS: &str = "a removal waits for leases";
pub(crate) const ADDITION: &str = "an addition is proposed";
pub(crate) const HANDOVER: &str = "a handover begins";
pub(crate) const HANDOVER_ABORTED: &str = "a handover is given up";
pub(crate) const HANDOVER_LOST: &str = "a handover is decided against";
pub(crate) const COPY: &str = "a whole copy is finished";
pub(crate) const COPY_CONTINUES: &str = "a copy goes on with another primary";
pub(crate) const FAILOVER_DURING_COPY: &str = "a failover during a migration";
pub(crate) const STALE_RECORD: &str = "a copied record is older than the log";
pub(crate) const TAIL_RELOADED: &str = "the keys of a divergent tail are reloaded";
pub(crate) const DIGESTS_COMPARED: &str = "digests are compared";
pub(crate) const DECLARED_LOSS: &str = "a loss is declared";
pub(crate) const COUNCIL_LEADER_LOST: &str = "the council changes its leader";
pub(crate) const ADDITION_RACES_CRASH: &str = "an addition races a crash";
pub(crate) const WATCH_RESUMED: &str = "a watcher resumes after a failover";
pub(crate) const WATCH_COMPACTED: &str = "a watcher is told of compaction";
pub(crate) const STOP_YES: &str = "can_stop says yes";
pub(crate) const STOP_NO: &str = "can_stop says no";
pub(crate) const DIFFERENT: &str = "data differ at equal positions";
pub(crate) const REPAIRED: &str = "differing data are repaired";
pub(crate) const TORN_TAIL: &str = "a log is recovered without its torn end";
pub(crate) const SNAPSHOT_AND_TAIL: &str =
    "a partition comes back from a snapshot and the log behind it";
pub(crate) const SUSPECT_BY_DAMAGE: &str = "damage on a disk makes its node a suspect";
pub(crate) const START_FAILED: &str = "a process cannot start on its disk";
pub(crate) const MID_WRITE: &str = "a process ends in the middle of a change to its disk";
pub(crate) const SYNC_FAILED: &str = "a failed sync ends a process";
pub(crate) const DISK_FULL: &str = "a full disk refuses a write";
pub(crate) const DISK_ERRORS: &str = "a failing disk refuses a write";
pub(crate) const IMAGE: &str = "an image is published";
pub(crate) const LOG_SHORTENED: &str = "a log is shortened";
pub(crate) const CAME_BACK: &str = "a partition opens after all processes ended at once";

/// All of them.
pub(crate) const ALL: &[&str] = &[
    FAILOVER_UNCOMMITTED,
    DEMOTION_UNDOES,
    TAIL_CUT,
    ZOMBIE_FENCED,
    OTHER_LIFE,
    ANSWERED_AGAIN,
    IN_FLIGHT_AGAIN,
    STALE_RETRY,
    READ_PARKED,
    READ_CONFIRMED,
    BACKUP_READ,
    REMOVAL,
    REMOVAL_WAITS,
    ADDITION,
    HANDOVER,
    HANDOVER_ABORTED,
    HANDOVER_LOST,
    COPY,
    COPY_CONTINUES,
    FAILOVER_DURING_COPY,
    STALE_RECORD,
    TAIL_RELOADED,
    DIGESTS_COMPARED,
    DECLARED_LOSS,
    COUNCIL_LEADER_LOST,
    ADDITION_RACES_CRASH,
    WATCH_RESUMED,
    WATCH_COMPACTED,
    STOP_YES,
    STOP_NO,
    DIFFERENT,
    REPAIRED,
    TORN_TAIL,
    SNAPSHOT_AND_TAIL,
    SUSPECT_BY_DAMAGE,
    START_FAILED,
    MID_WRITE,
    SYNC_FAILED,
    DISK_FULL,
    DISK_ERRORS,
    IMAGE,
    LOG_SHORTENED,
    CAME_BACK,
];

/// Counts what a replica noticed.
pub(crate) fn of_notice(
    world: &mut World,
    node: NodeIndex,
    partition: PartitionId,
    notice: &Notice,
) {
    let path = match notice {
        Notice::Promoted { uncommitted, .. } => {
            if world.copies_seen.iter().any(|(copied, _)| *copied == partition) {
                world.paths.reached(FAILOVER_DURING_COPY);
            }
            (*uncommitted > 0).then_some(FAILOVER_UNCOMMITTED)
        }
        Notice::Demoted { undone, .. } => (*undone > 0).then_some(DEMOTION_UNDOES),
        Notice::Truncated { .. } => Some(TAIL_CUT),
        Notice::Fenced { .. } => Some(ZOMBIE_FENCED),
        Notice::OtherLife => Some(OTHER_LIFE),
        Notice::AnsweredAgain => Some(ANSWERED_AGAIN),
        Notice::InFlightAgain => Some(IN_FLIGHT_AGAIN),
        Notice::StaleRequest => Some(STALE_RETRY),
        Notice::ReadParked => Some(READ_PARKED),
        Notice::ReadConfirming => Some(READ_CONFIRMED),
        Notice::BackupRead => Some(BACKUP_READ),
        Notice::RemovalProposed { .. } => Some(REMOVAL),
        Notice::RemovalWaits => Some(REMOVAL_WAITS),
        Notice::AdditionProposed { node: learner } => {
            let runs = world.names.get(learner).and_then(|index| world.machines.get(index));
            if !runs.is_some_and(|machine| machine.is_running()) {
                world.paths.reached(ADDITION_RACES_CRASH);
            }
            Some(ADDITION)
        }
        Notice::HandoverStarted { .. } => Some(HANDOVER),
        Notice::HandoverAborted => Some(HANDOVER_ABORTED),
        Notice::HandoverLost => Some(HANDOVER_LOST),
        Notice::CopyStarted(_) => {
            world.copies_seen.insert((partition, node));
            None
        }
        Notice::CopyContinues => Some(COPY_CONTINUES),
        Notice::CopyFinished(kind) => {
            world.copies_seen.remove(&(partition, node));
            match kind {
                CopyKind::All => Some(COPY),
                CopyKind::Tail => Some(TAIL_RELOADED),
                CopyKind::Repair => Some(REPAIRED),
            }
        }
        Notice::StaleRecordSkipped => Some(STALE_RECORD),
        Notice::DigestAgrees => {
            if world.corrupted.get(&partition) == Some(&node) {
                world.corrupted.remove(&partition);
            }
            Some(DIGESTS_COMPARED)
        }
        Notice::DigestMismatch => {
            world.corrupted.remove(&partition);
            Some(DIFFERENT)
        }
        Notice::Opened { .. } => world.went_down.remove(&partition).then_some(CAME_BACK),
    };
    if let Some(path) = path {
        world.paths.reached(path);
    }
}
