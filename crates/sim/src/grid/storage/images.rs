//! Images of partitions, written in the background: of those whose data on disk are worth nothing after a copy, at once; of
//! others when the log has grown too long, those first that keep its oldest part. Each step takes its time, and anything may
//! happen between two of them.

use std::collections::{BTreeMap, BTreeSet};

use isogrid_core::{LogPosition, PartitionId};
use isogrid_replica::entry::Entries;
use isogrid_replica::image::Image;
use isogrid_replica::{Event, Now};
use isogrid_wal::faulty_disk::{FaultyDisk, FaultyFile};
use isogrid_wal::{Place, SnapshotEnd, SnapshotHead, SnapshotWriter, SyncJob, WalError};

use super::DataOnDisk;
use crate::grid::paths;
use crate::grid::process::{Held, Process, Wishes};

/// What nobody waits for is synced once in so many looks.
const LOOKS_PER_SYNC: u64 = 10;

/// How many bytes of records go to a page of a snapshot.
const PAGE_BYTES: usize = 512;

/// The writer of images.
#[derive(Default)]
pub(super) struct Images {
    looks: u64,
    work: Work,
    /// Of these an image was tried, to make the log shorter.
    tried: BTreeSet<PartitionId>,
    /// How long the log may be, because it could not be made shorter.
    long_for_now: u64,
}

/// What is being done.
#[derive(Default)]
enum Work {
    #[default]
    Nothing,
    /// The log is synced, because nobody else asked for long.
    Sync(SyncJob<FaultyFile>),
    /// The log is synced for these images.
    SyncFor(Option<SyncJob<FaultyFile>>, Vec<Taken>),
    /// Snapshots are being written.
    Write(Vec<Written>),
}

/// What comes next takes so long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wait {
    /// Until somebody looks again.
    Look,
    /// As long as a sync.
    Sync,
    /// As long as it takes to write images.
    Write,
}

/// An image of a partition.
struct Taken {
    partition: PartitionId,
    image: Image,
    /// Whether what the disk has was worthless then, and for which time.
    lacked: bool,
    voided: u32,
    /// Whether all of it is committed.
    is_committed: bool,
}

/// A snapshot that is written and not published yet.
struct Written {
    partition: PartitionId,
    position: LogPosition,
    voided: u32,
    writer: SnapshotWriter<FaultyDisk>,
    replay_from: Place,
    synced: Place,
}

type Replicas = BTreeMap<PartitionId, Held>;

impl Process {
    /// Goes on with images. Says how long what comes next takes.
    pub(crate) fn keep_images(&mut self, now: Now, wishes: &mut Wishes) -> Wait {
        let Some(data) = &mut self.data else { return Wait::Look };
        match std::mem::take(&mut data.images.work) {
            Work::Nothing => data.look(&self.replicas),
            Work::Sync(job) => {
                data.finish(Some(job));
                Wait::Look
            }
            Work::SyncFor(job, taken) => {
                if !data.finish(job) {
                    return Wait::Look;
                }
                let taken = taken.into_iter();
                let worth = taken.filter(|taken| is_committed(&self.replicas, taken));
                let written = worth.filter_map(|taken| data.write_image(taken).ok()).collect();
                data.images.work = Work::Write(written);
                Wait::Write
            }
            Work::Write(written) => {
                for one in written {
                    self.publish(one, now, wishes);
                }
                Wait::Look
            }
        }
    }

    fn publish(&mut self, written: Written, now: Now, wishes: &mut Wishes) {
        let Written { partition, position, voided, writer, replay_from, synced } = written;
        let Some(data) = &mut self.data else { return };
        // The image is of one position: of the log it needs what is behind it, no more.
        let end = SnapshotEnd { complete_at: position, log_end: replay_from };
        // What could not be published is tried again.
        let Ok(snapshot) = writer.publish(end, synced) else { return };
        data.snapshots.insert(partition, snapshot);
        data.paths.push(paths::IMAGE);
        let Some(held) = self.replicas.get_mut(&partition) else { return };
        if held.replica.lacks_image() && held.on_disk.void_for == voided {
            self.step(partition, Event::Imaged { position, voided }, now, wishes);
            if let Some(held) = self.replicas.get_mut(&partition)
                && !held.replica.lacks_image()
            {
                held.on_disk.written = position;
            }
        }
    }
}

impl DataOnDisk {
    fn look(&mut self, replicas: &Replicas) -> Wait {
        self.images.looks += 1;
        let lacking = replicas.iter().filter(|(_, held)| held.replica.lacks_image());
        let mut wanted: BTreeSet<PartitionId> = lacking.map(|(partition, _)| *partition).collect();
        wanted.extend(self.shorten(replicas));
        let take = |partition: &PartitionId| take(*partition, replicas.get(partition)?);
        let taken: Vec<Taken> = wanted.iter().filter_map(take).collect();
        if taken.is_empty() && !self.images.looks.is_multiple_of(LOOKS_PER_SYNC) {
            return Wait::Look;
        }
        match self.log.begin_sync() {
            Ok(None) if taken.is_empty() => Wait::Look,
            Ok(Some(job)) if taken.is_empty() => {
                self.images.work = Work::Sync(job);
                Wait::Sync
            }
            Ok(job) => {
                self.images.work = Work::SyncFor(job, taken);
                Wait::Sync
            }
            Err(why) => {
                self.look_whether_over(&why);
                Wait::Look
            }
        }
    }

    /// Writes an image to where nobody looks yet.
    fn write_image(&mut self, taken: Taken) -> Result<Written, WalError> {
        let Taken { partition, image, lacked, voided, .. } = taken;
        let (position, log) = (image.position, &self.log);
        // Behind worthless data nothing is written before the image.
        let needed = if lacked { log.end() } else { log.replay_from(partition, position.seq) };
        let synced = log.synced();
        let replay_from = needed.min(synced);
        let head = SnapshotHead {
            partition,
            position,
            replay_from,
            hlc: image.hlc,
            loss_generation: image.loss_generation,
            sessions: image.sessions,
        };
        let mut writer = SnapshotWriter::create(&self.disk, self.id, head)?;
        let mut pages = pages(&image.records);
        match pages.try_for_each(|(page, records)| writer.block(page, records)) {
            Ok(()) => Ok(Written { partition, position, voided, writer, replay_from, synced }),
            Err(why) => {
                writer.abandon();
                Err(why)
            }
        }
    }

    /// When the log is too long: drops what no partition needs, and says of which an image is to be written next.
    fn shorten(&mut self, replicas: &Replicas) -> Vec<PartitionId> {
        let bytes_max = self.log_bytes_max;
        if self.log.disk_bytes() <= bytes_max.max(self.images.long_for_now) {
            return Vec::new();
        }
        self.prune(replicas);
        let left = self.log.disk_bytes();
        let ages = self.by_age(replicas);
        let oldest = ages.first().map_or(0, |(_, segment)| *segment);
        let of_oldest = ages.iter().filter(|(_, segment)| *segment == oldest);
        let untried = of_oldest.map(|(one, _)| *one).filter(|one| !self.images.tried.contains(one));
        let some: Vec<PartitionId> = untried.collect();
        if some.is_empty() || left <= bytes_max / 2 {
            // Where it was in vain, it is tried again when there is more.
            self.images.long_for_now = if left > bytes_max { left + bytes_max } else { 0 };
            self.images.tried.clear();
            return Vec::new();
        }
        self.images.tried.extend(&some);
        some
    }

    /// The partitions, with the segment from which each needs the log, the oldest first.
    fn by_age(&self, replicas: &Replicas) -> Vec<(PartitionId, u64)> {
        let needs = |partition: PartitionId| match self.snapshots.get(&partition) {
            Some(snapshot) => snapshot.replay_from.segment,
            None => self.log.replay_from(partition, 0).segment,
        };
        let mut all: Vec<_> = replicas.keys().map(|one| (*one, needs(*one))).collect();
        all.sort_by_key(|(partition, segment)| (*segment, *partition));
        all
    }

    fn prune(&mut self, replicas: &Replicas) {
        let now = self.log.end().segment;
        let oldest = self.by_age(replicas).first().map_or(now, |(_, segment)| *segment);
        if self.log.prune(oldest.min(now)).is_ok_and(|gone| gone > 0) {
            self.paths.push(paths::LOG_SHORTENED);
        }
    }
}

/// An image of a partition's data; `None` when it cannot be had at the moment.
fn take(partition: PartitionId, held: &Held) -> Option<Taken> {
    let replica = &held.replica;
    let exact = replica.image();
    let is_committed = exact.is_some();
    let image = exact.or_else(|| replica.image_ahead())?;
    let (lacked, voided) = (replica.lacks_image(), replica.disk_voided());
    Some(Taken { partition, image, lacked, voided, is_committed })
}

/// Whether what an image shows is committed by now.
fn is_committed(replicas: &Replicas, taken: &Taken) -> bool {
    let replica = replicas.get(&taken.partition).map(|held| &held.replica);
    let is_by_now = |one: &isogrid_replica::Replica| one.has_committed(taken.image.position);
    taken.is_committed || replica.and_then(is_by_now) == Some(true)
}

/// The records in pages, each with how many it has.
fn pages(records: &[u8]) -> impl Iterator<Item = (&[u8], u32)> {
    let mut rest = records;
    std::iter::from_fn(move || {
        let (mut bytes, mut count) = (0, 0);
        for record in Entries::new(rest).flatten() {
            bytes += record.bytes.len();
            count += 1;
            if bytes >= PAGE_BYTES {
                break;
            }
        }
        let (page, left) = rest.split_at(bytes);
        rest = left;
        (count > 0).then_some((page, count))
    })
}
