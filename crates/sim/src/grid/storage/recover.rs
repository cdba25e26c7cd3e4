//! Replicas from what the disk has: of each partition its snapshot and the log behind it.

use std::collections::BTreeMap;
use std::sync::Arc;

use isogrid_core::{Limits, PartitionId, Replica as Name};
use isogrid_replica::image::Image;
use isogrid_replica::tail::Tail;
use isogrid_replica::{Now, Replica, Settings};
use isogrid_store::Partition;
use isogrid_wal::faulty_disk::FaultyDisk;
use isogrid_wal::{Recovered, Recovery, Remark, WalError};

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

/// A replica that the disk had.
pub(crate) struct Restored {
    pub(crate) replica: Replica,
    /// Its end on disk is damaged: nothing can follow there.
    pub(crate) is_damaged: bool,
}

/// Of what replicas are made.
pub(crate) struct Maker {
    pub(crate) own: Name,
    pub(crate) settings: Arc<Settings>,
    pub(crate) now: Now,
}

/// Makes replicas of what the disk has.
pub(crate) fn recover(recovery: &Recovery<FaultyDisk>, maker: &Maker) -> Found {
    let mut found = Found::default();
    let partitions = recovery.partitions();
    found.damages.extend(recovery.lost().iter().map(ToString::to_string));
    for one in partitions {
        found.damages.extend(one.damage.iter().map(|why| format!("p{}: {why}", one.partition.0)));
    }
    if recovery.remarks().iter().any(|remark| matches!(remark, Remark::TornTail { .. })) {
        found.paths.push(paths::TORN_TAIL);
    }
    let mut tails: BTreeMap<PartitionId, Result<Tail, String>> = BTreeMap::new();
    let replayed = recovery.replay(
        |_| true,
        |partition, run| {
            let tail = tails.entry(partition).or_insert_with(|| Ok(Tail::default()));
            if let Ok(entries) = tail
                && let Err(why) = entries.put(run.entries)
            {
                *tail = Err(why.to_string());
            }
        },
    );
    if let Err(why) = replayed {
        found.damages.push(why.to_string());
        return found;
    }
    for one in partitions.iter().filter(|one| one.is_usable) {
        let tail = tails.remove(&one.partition).unwrap_or_else(|| Ok(Tail::default()));
        match tail.and_then(|tail| recover_one(recovery, maker, one, &tail)) {
            Ok(replica) => {
                let has_tail = !replica.log().is_empty();
                if one.snapshot.is_some() && has_tail {
                    found.paths.push(paths::SNAPSHOT_AND_TAIL);
                }
                let is_damaged = one.damage.is_some();
                found.replicas.push(Restored { replica, is_damaged });
            }
            Err(why) => found.damages.push(format!("p{}: {why}", one.partition.0)),
        }
    }
    found
}

fn recover_one(
    recovery: &Recovery<FaultyDisk>,
    maker: &Maker,
    one: &Recovered,
    tail: &Tail,
) -> Result<Replica, String> {
    let image = read_image(recovery, one).map_err(|why| why.to_string())?;
    let log = tail.after(image.position).map_err(|why| why.to_string())?;
    let store = Partition::new(one.partition, maker.settings.hash_seed, &Limits::default());
    let settings = Arc::clone(&maker.settings);
    Replica::recover(maker.own.clone(), store, settings, (&image, log), maker.now)
        .map_err(|why| why.to_string())
}

fn read_image(recovery: &Recovery<FaultyDisk>, one: &Recovered) -> Result<Image, WalError> {
    let Some(mut reader) = recovery.snapshot(one)? else { return Ok(Image::default()) };
    let head = reader.head().clone();
    let mut records = Vec::new();
    while let Some(block) = reader.next_block()? {
        records.extend_from_slice(block.bytes);
    }
    Ok(Image {
        position: head.position,
        hlc: head.hlc,
        loss_generation: head.loss_generation,
        sessions: head.sessions,
        complete_at: one.snapshot.as_ref().map_or(head.position, |info| info.complete_at),
        records,
    })
}
