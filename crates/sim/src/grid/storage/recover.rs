//! Replicas from what the disk has, and what of that is worth counting.

use isogrid_persist::{Maker, Restored, faults, recover_share};
use isogrid_replica::Now;
use isogrid_wal::faulty_disk::FaultyDisk;
use isogrid_wal::{Recovery, Remark};

use crate::grid::paths;

/// What was found on disk.
#[derive(Default)]
pub(crate) struct Found {
    /// The replicas that could be made.
    pub(crate) replicas: Vec<Restored>,
    /// What is damaged.
    pub(crate) damages: Vec<String>,
    /// What is worth counting.
    pub(crate) paths: Vec<&'static str>,
}

/// Makes replicas of what the disk has.
pub(crate) fn recover(recovery: &Recovery<FaultyDisk>, maker: &Maker, now: Now) -> Found {
    let mut found = Found::default();
    if recovery.remarks().iter().any(|remark| matches!(remark, Remark::TornTail { .. })) {
        found.paths.push(paths::TORN_TAIL);
    }
    let share = recover_share(recovery, maker, |_| true, (|| now, || {}));
    let faults = faults(recovery).into_iter().chain(share.faults);
    found.damages.extend(faults.map(|fault| fault.to_string()));
    for Restored { partition, replica, .. } in &share.replicas {
        let has_snapshot = recovery
            .partitions()
            .iter()
            .any(|one| one.partition == *partition && one.snapshot.is_some());
        if has_snapshot && !replica.log().is_empty() {
            found.paths.push(paths::SNAPSHOT_AND_TAIL);
        }
    }
    found.replicas = share.replicas;
    found
}
