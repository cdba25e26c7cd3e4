//! Replicas from what the disk has: of each partition its snapshot and the log behind it, several at a time.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use isogrid_core::{Limits, PartitionId, Replica as Name};
use isogrid_replica::image::Image;
use isogrid_replica::tail::Tail;
use isogrid_replica::{Replica, Settings};
use isogrid_store::Partition;
use isogrid_wal::{OsDisk, Recovered, Recovery, WalError};
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

/// A replica that the disk had.
pub(crate) struct Restored {
    pub(crate) partition: PartitionId,
    pub(crate) replica: Replica,
    /// Its end on disk is damaged: nothing can follow there.
    pub(crate) is_damaged: bool,
}

/// Of what replicas are made.
pub(crate) struct Maker {
    pub(crate) own: Name,
    pub(crate) settings: Arc<Settings>,
    pub(crate) limits: Limits,
    pub(crate) threads: usize,
    pub(crate) progress: Arc<Progress>,
}

/// Makes replicas of what the disk has.
pub(crate) fn recover(recovery: &Recovery<OsDisk>, maker: &Maker) -> Found {
    let begun = Instant::now();
    for remark in recovery.remarks() {
        warn!(?remark, "found on disk");
    }
    let partitions = recovery.partitions();
    for (partition, damage) in
        partitions.iter().filter_map(|one| Some((one.partition, one.damage.as_ref()?)))
    {
        error!(partition = partition.0, %damage, "data on disk are damaged: another copy is needed");
    }
    for damage in recovery.lost() {
        error!(%damage, "the log on disk is damaged");
    }
    let is_whole = recovery.lost().is_empty() && partitions.iter().all(|one| one.damage.is_none());
    maker.progress.verified(partitions.iter().filter(|one| one.is_usable).count());
    let threads = maker.threads.max(1);
    let shares: Vec<_> = std::thread::scope(|scope| {
        let share = |number| scope.spawn(move || recover_share(recovery, maker, (number, threads)));
        let running: Vec<_> = (0..threads).map(share).collect();
        running.into_iter().map(|one| one.join().unwrap_or_else(|_| (Vec::new(), false))).collect()
    });
    let mut found = Found { replicas: Vec::new(), is_intact: is_whole };
    for (replicas, is_intact) in shares {
        found.replicas.extend(replicas);
        found.is_intact &= is_intact;
    }
    if !partitions.is_empty() {
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
fn recover_share(
    recovery: &Recovery<OsDisk>,
    maker: &Maker,
    (number, of): (usize, usize),
) -> (Vec<Restored>, bool) {
    let is_mine = |partition: PartitionId| usize::from(partition.0) % of == number;
    let mut tails: BTreeMap<PartitionId, Result<Tail, String>> = BTreeMap::new();
    let replayed = recovery.replay(is_mine, |partition, run| {
        let tail = tails.entry(partition).or_insert_with(|| Ok(Tail::default()));
        if let Ok(entries) = tail
            && let Err(why) = entries.put(run.entries)
        {
            *tail = Err(why.to_string());
        }
    });
    let mut is_intact = true;
    if let Err(why) = replayed {
        error!(%why, "the log on disk could not be read to its end");
        return (Vec::new(), false);
    }
    let mut replicas = Vec::new();
    let usable = recovery.partitions().iter().filter(|one| one.is_usable && is_mine(one.partition));
    for one in usable {
        let tail = tails.remove(&one.partition).unwrap_or_else(|| Ok(Tail::default()));
        match tail.and_then(|tail| recover_one(recovery, maker, one, &tail)) {
            Ok(replica) => replicas.push(Restored {
                partition: one.partition,
                replica,
                is_damaged: one.damage.is_some(),
            }),
            Err(why) => {
                is_intact = false;
                error!(partition = one.partition.0, why, "data on disk cannot be used");
            }
        }
        maker.progress.one_is_done();
    }
    (replicas, is_intact)
}

fn recover_one(
    recovery: &Recovery<OsDisk>,
    maker: &Maker,
    one: &Recovered,
    tail: &Tail,
) -> Result<Replica, String> {
    let image = read_image(recovery, one).map_err(|why| why.to_string())?;
    let log = tail.after(image.position).map_err(|why| why.to_string())?;
    let store = Partition::new(one.partition, maker.settings.hash_seed, &maker.limits);
    let settings = Arc::clone(&maker.settings);
    Replica::recover(maker.own.clone(), store, settings, (&image, log), clock::both())
        .map_err(|why| why.to_string())
}

fn read_image(recovery: &Recovery<OsDisk>, one: &Recovered) -> Result<Image, WalError> {
    let Some((mut reader, info)) = recovery.snapshot(one)?.zip(one.snapshot.as_ref()) else {
        return Ok(Image::default());
    };
    let head = reader.head().clone();
    let mut records = Vec::new();
    while let Some(block) = reader.next_block()? {
        records.extend_from_slice(block.bytes);
    }
    Ok(Image {
        position: head.position,
        complete_at: info.complete_at,
        hlc: head.hlc,
        loss_generation: head.loss_generation,
        sessions: head.sessions,
        records,
    })
}
