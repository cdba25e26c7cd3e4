//! Replicas from what the disk has: of each partition its snapshot and the log behind it.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use isogrid_core::{Limits, PartitionId, Replica as Name};
use isogrid_replica::image::Image;
use isogrid_replica::tail::Tail;
use isogrid_replica::{Now, Replica, Settings};
use isogrid_store::Partition;
use isogrid_wal::{Damage, Disk, Recovered, Recovery, WalError};

/// Of what replicas are made.
#[derive(Clone, Debug)]
pub struct Maker {
    /// Their name.
    pub own: Name,
    /// Their settings.
    pub settings: Arc<Settings>,
    /// The limits of their data.
    pub limits: Limits,
}

/// A replica that the disk had.
pub struct Restored {
    /// Of which partition.
    pub partition: PartitionId,
    /// The replica.
    pub replica: Replica,
    /// Its end on disk is damaged: nothing can follow there.
    pub is_damaged: bool,
}

/// What came back of some partitions.
#[derive(Default)]
pub struct Share {
    /// The replicas that could be made.
    pub replicas: Vec<Restored>,
    /// Why others could not.
    pub faults: Vec<Fault>,
}

/// What is wrong with what the disk has. Where anything is, the node may lack what it once acknowledged.
#[derive(Debug)]
pub enum Fault {
    /// The log is damaged where any partition may have had records.
    Log(Damage),
    /// The data of a partition are damaged: another copy is needed.
    Partition(PartitionId, Damage),
    /// The log could not be read to its end.
    Unread(WalError),
    /// The data of a partition cannot be used.
    Unusable(PartitionId, String),
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fault::Log(damage) => damage.fmt(f),
            Fault::Partition(partition, damage) => write!(f, "p{}: {damage}", partition.0),
            Fault::Unread(why) => why.fmt(f),
            Fault::Unusable(partition, why) => write!(f, "p{}: {why}", partition.0),
        }
    }
}

/// What is known to be wrong before anything is replayed.
pub fn faults<D: Disk>(recovery: &Recovery<D>) -> Vec<Fault> {
    let log = recovery.lost().iter().cloned().map(Fault::Log);
    let partitions = recovery.partitions().iter();
    let damaged =
        partitions.filter_map(|one| Some(Fault::Partition(one.partition, one.damage.clone()?)));
    log.chain(damaged).collect()
}

/// Makes replicas of those partitions that are asked for. Each one's time begins when it is made; after each, usable or not, the
/// caller is told.
pub fn recover_share<D: Disk>(
    recovery: &Recovery<D>,
    maker: &Maker,
    is_mine: impl Fn(PartitionId) -> bool,
    (now, one_is_done): (impl Fn() -> Now, impl Fn()),
) -> Share {
    let mut tails: BTreeMap<PartitionId, Result<Tail, String>> = BTreeMap::new();
    let replayed = recovery.replay(&is_mine, |partition, run| {
        let tail = tails.entry(partition).or_insert_with(|| Ok(Tail::default()));
        if let Ok(entries) = tail
            && let Err(why) = entries.put(run.entries)
        {
            *tail = Err(why.to_string());
        }
    });
    let mut share = Share::default();
    if let Err(why) = replayed {
        share.faults.push(Fault::Unread(why));
        return share;
    }
    let usable = recovery.partitions().iter().filter(|one| one.is_usable && is_mine(one.partition));
    for one in usable {
        let partition = one.partition;
        let tail = tails.remove(&partition).unwrap_or_else(|| Ok(Tail::default()));
        match tail.and_then(|tail| recover_one(recovery, maker, (one, &tail), &now)) {
            Ok(replica) => {
                let is_damaged = one.damage.is_some();
                share.replicas.push(Restored { partition, replica, is_damaged });
            }
            Err(why) => share.faults.push(Fault::Unusable(partition, why)),
        }
        one_is_done();
    }
    share
}

fn recover_one<D: Disk>(
    recovery: &Recovery<D>,
    maker: &Maker,
    (one, tail): (&Recovered, &Tail),
    now: &impl Fn() -> Now,
) -> Result<Replica, String> {
    let image = read_image(recovery, one).map_err(|why| why.to_string())?;
    let log = tail.after(image.position).map_err(|why| why.to_string())?;
    let store = Partition::new(one.partition, maker.settings.hash_seed, &maker.limits);
    let settings = Arc::clone(&maker.settings);
    Replica::recover(maker.own.clone(), store, settings, (&image, log), now())
        .map_err(|why| why.to_string())
}

fn read_image<D: Disk>(recovery: &Recovery<D>, one: &Recovered) -> Result<Image, WalError> {
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

#[cfg(test)]
#[path = "recover_test.rs"]
mod tests;
