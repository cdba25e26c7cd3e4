//! Replicas from what the disk has, several at a time.

use std::time::Instant;

use isogrid_core::PartitionId;
use isogrid_persist::{Fault, Maker, Restored, Share, recover_share};
use isogrid_wal::{OsDisk, Recovery};
use tracing::{error, info, warn};

use crate::clock;
use crate::recovering::Progress;

/// What was found on disk.
pub(crate) struct Found {
    /// The replicas that could be made.
    pub(crate) replicas: Vec<Restored>,
    /// Whether all was there that should be.
    pub(crate) is_intact: bool,
}

/// Makes replicas of what the disk has, on so many threads.
pub(crate) fn recover(
    recovery: &Recovery<OsDisk>,
    maker: &Maker,
    (progress, threads): (&Progress, usize),
) -> Found {
    let begun = Instant::now();
    for remark in recovery.remarks() {
        warn!(?remark, "found on disk");
    }
    let faults = isogrid_persist::faults(recovery);
    faults.iter().for_each(tell);
    progress.verified(recovery.partitions().iter().filter(|one| one.is_usable).count());
    let threads = threads.max(1);
    let shares: Vec<Option<Share>> = std::thread::scope(|scope| {
        let some = |number| recover_some(recovery, maker, progress, (number, threads));
        let share = |number| scope.spawn(move || some(number));
        let running: Vec<_> = (0..threads).map(share).collect();
        running.into_iter().map(|one| one.join().ok()).collect()
    });
    let mut found = Found { replicas: Vec::new(), is_intact: faults.is_empty() };
    for share in shares {
        found.is_intact &= share.as_ref().is_some_and(|share| share.faults.is_empty());
        found.replicas.extend(share.unwrap_or_default().replicas);
    }
    if !recovery.partitions().is_empty() {
        let replicas = || found.replicas.iter().map(|one| &one.replica);
        let records: usize = replicas().map(|replica| replica.store().total_entries()).sum();
        let entries: u64 = replicas().map(|replica| replica.log().len()).sum();
        info!(
            partitions = found.replicas.len(),
            records,
            entries,
            segments = recovery.segments(),
            took_ms = begun.elapsed().as_millis() as u64,
            is_intact = found.is_intact,
            "data recovered from disk"
        );
    }
    found
}

/// The partitions of one thread.
fn recover_some(
    recovery: &Recovery<OsDisk>,
    maker: &Maker,
    progress: &Progress,
    (number, of): (usize, usize),
) -> Share {
    let is_mine = |partition: PartitionId| usize::from(partition.0) % of == number;
    let along_the_way = (clock::both, || progress.one_is_done());
    let share = recover_share(recovery, maker, is_mine, along_the_way);
    share.faults.iter().for_each(tell);
    share
}

fn tell(fault: &Fault) {
    match fault {
        Fault::Log(damage) => error!(%damage, "the log on disk is damaged"),
        Fault::Partition(partition, damage) => error!(
            partition = partition.0,
            %damage,
            "data on disk are damaged: another copy is needed"
        ),
        Fault::Unread(why) => error!(%why, "the log on disk could not be read to its end"),
        Fault::Unusable(partition, why) => {
            error!(partition = partition.0, why, "data on disk cannot be used");
        }
    }
}
