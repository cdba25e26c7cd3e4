//! Images of partitions, written in the background, page by page: of those whose data on disk are worth nothing after a copy, at
//! once; of others when the log has grown too long, those first that keep its oldest part. Each step takes its time, and anything
//! may happen between two of them.

use std::collections::{BTreeMap, BTreeSet};

use isogrid_core::{LogPosition, PartitionId};
use isogrid_replica::image::{ImageWalk, Standing};
use isogrid_replica::{Event, Now};
use isogrid_wal::faulty_disk::{FaultyDisk, FaultyFile};
use isogrid_wal::{Place, Record, SnapshotEnd, SnapshotHead, SnapshotWriter, SyncJob, WalError};

use super::DataOnDisk;
use crate::grid::paths;
use crate::grid::process::{Held, Process, Wishes};

/// What nobody waits for is synced once in so many looks.
const LOOKS_PER_SYNC: u64 = 10;

/// About so many bytes of records are taken at a time.
const PAGE_BYTES: usize = 512;

/// How often it is looked whether what images show is committed.
const SETTLE_LOOKS: u32 = 20;

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
    /// Pages are taken.
    Walk(Vec<Attempt>),
    /// What the pages showed is to be committed and written; so often was it looked whether it is.
    Settle(Vec<Attempt>, u32),
    /// The log is synced up to there, and then these images count.
    SyncFor(Option<SyncJob<FaultyFile>>, Place, Vec<(Attempt, LogPosition)>),
}

/// What comes next takes so long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wait {
    /// Until somebody looks again.
    Look,
    /// As long as a sync.
    Sync,
    /// As long as it takes to write a page of some images.
    Write,
}

/// An image that is being taken. It stands beside its replica and ends with it.
pub(crate) struct Imaging {
    walk: ImageWalk,
    /// For which of the times that the disk became worthless it is taken.
    voided: u32,
}

/// An image that is being written.
struct Attempt {
    partition: PartitionId,
    writer: SnapshotWriter<FaultyDisk>,
}

type Replicas = BTreeMap<PartitionId, Held>;

impl Process {
    /// Goes on with images. Says how long what comes next takes.
    pub(crate) fn keep_images(&mut self, now: Now, wishes: &mut Wishes) -> Wait {
        let Some(data) = &mut self.data else { return Wait::Look };
        let replicas = &mut self.replicas;
        let (work, wait) = match std::mem::take(&mut data.images.work) {
            Work::Nothing => data.look(replicas),
            Work::Sync(job) => {
                data.finish(Some(job));
                (Work::Nothing, Wait::Look)
            }
            Work::Walk(attempts) => {
                let left = attempts.into_iter().filter_map(|one| turn_page(one, replicas));
                let left: Vec<Attempt> = left.collect();
                let is_done =
                    |one: &Attempt| imaging(replicas, one).is_none_or(|it| it.walk.is_done());
                match left.iter().all(is_done) {
                    true => (Work::Settle(left, 0), Wait::Look),
                    false => (Work::Walk(left), Wait::Write),
                }
            }
            Work::Settle(attempts, looks) => data.settle(attempts, looks, replicas),
            Work::SyncFor(job, log_end, settled) => {
                if data.finish(job) {
                    settled.into_iter().for_each(|one| self.publish(one, log_end, now, wishes));
                } else {
                    settled.iter().for_each(|(one, _)| give_up(one.partition, replicas));
                }
                (Work::Nothing, Wait::Look)
            }
        };
        if let Some(data) = &mut self.data {
            data.images.work = work;
        }
        wait
    }

    fn publish(
        &mut self,
        (attempt, complete_at): (Attempt, LogPosition),
        log_end: Place,
        now: Now,
        wishes: &mut Wishes,
    ) {
        let Attempt { partition, writer } = attempt;
        let Some(data) = &mut self.data else { return };
        let synced = data.log.synced();
        // What could not be published is tried again.
        let published = writer.publish(SnapshotEnd { complete_at, log_end }, synced);
        let imaging = self.replicas.get_mut(&partition).and_then(|held| held.imaging.take());
        let (Ok(snapshot), Some(Imaging { walk, voided })) = (published, imaging) else { return };
        let Some(held) = self.replicas.get_mut(&partition) else { return };
        if held.replica.disk_voided() != voided {
            return;
        }
        data.snapshots.insert(partition, snapshot);
        data.paths.push(paths::IMAGE);
        if !held.replica.lacks_image() {
            return;
        }
        held.on_disk.begun_for = None;
        let position = walk.end();
        // Entries behind it did not count before.
        let persisted = held.on_disk.persisted;
        self.step(partition, Event::Imaged { position, voided }, now, wishes);
        if persisted.seq > position.seq {
            self.step(partition, Event::Persisted(persisted), now, wishes);
        }
    }
}

impl DataOnDisk {
    fn look(&mut self, replicas: &mut Replicas) -> (Work, Wait) {
        self.images.looks += 1;
        let lacking = replicas.iter().filter(|(_, held)| held.replica.lacks_image());
        let mut wanted: BTreeSet<PartitionId> = lacking.map(|(partition, _)| *partition).collect();
        wanted.extend(self.shorten(replicas));
        let mut attempts = Vec::new();
        for partition in wanted {
            let Some(held) = replicas.get_mut(&partition) else { continue };
            match self.begin_image(partition, held) {
                Ok(begun) => attempts.extend(begun),
                Err(why) => {
                    give_up(partition, replicas);
                    self.look_whether_over(&why);
                }
            }
        }
        if !attempts.is_empty() {
            return (Work::Walk(attempts), Wait::Write);
        }
        if !self.images.looks.is_multiple_of(LOOKS_PER_SYNC) {
            return (Work::Nothing, Wait::Look);
        }
        match self.log.begin_sync() {
            Ok(Some(job)) => (Work::Sync(job), Wait::Sync),
            Ok(None) => (Work::Nothing, Wait::Look),
            Err(why) => {
                self.look_whether_over(&why);
                (Work::Nothing, Wait::Look)
            }
        }
    }

    /// Begins an image; `None` when it cannot be had at the moment.
    fn begin_image(
        &mut self,
        partition: PartitionId,
        held: &mut Held,
    ) -> Result<Option<Attempt>, WalError> {
        let (voided, lacks) = (held.replica.disk_voided(), held.replica.lacks_image());
        if lacks && held.on_disk.void_for != voided {
            return Ok(None);
        }
        let Some((walk, head)) = held.replica.begin_image() else { return Ok(None) };
        let position = head.position;
        let replay_from = if lacks {
            // Behind worthless data entries are written only for the image that is begun here.
            let begun = self.log.append(&[Record::ImageBegun { partition, position }])?;
            held.on_disk.written = position;
            held.on_disk.begun_for = Some(voided);
            begun.end
        } else {
            self.log.replay_from(partition, position.seq)
        };
        held.imaging = Some(Imaging { walk, voided });
        let head = SnapshotHead {
            partition,
            position,
            replay_from,
            hlc: head.hlc,
            loss_generation: head.loss_generation,
            sessions: head.sessions,
        };
        let writer = SnapshotWriter::create(&self.disk, self.id, head)?;
        Ok(Some(Attempt { partition, writer }))
    }

    /// Goes on with those images that show what is committed and written, once it is known of all.
    fn settle(
        &mut self,
        attempts: Vec<Attempt>,
        looks: u32,
        replicas: &mut Replicas,
    ) -> (Work, Wait) {
        let end = |one: &Attempt| {
            let held = replicas.get(&one.partition)?;
            let walk = &held.imaging.as_ref()?.walk;
            let is_written = held.on_disk.written.seq >= walk.end().seq;
            match walk.standing(&held.replica) {
                Standing::Settled if is_written => Some(Some(walk.end())),
                Standing::Settled | Standing::Waits => Some(None),
                Standing::Void => None,
            }
        };
        let ends: Vec<_> = attempts.iter().map(end).collect();
        if looks < SETTLE_LOOKS && ends.contains(&Some(None)) {
            return (Work::Settle(attempts, looks + 1), Wait::Look);
        }
        let mut settled = Vec::new();
        for (one, end) in attempts.into_iter().zip(ends) {
            match end.flatten() {
                Some(end) => settled.push((one, end)),
                None => give_up(one.partition, replicas),
            }
        }
        // An image needs the log from where it begins to where it ended; older ones go only when that is safe.
        let log_end = self.log.end();
        match self.log.begin_sync() {
            _ if settled.is_empty() => (Work::Nothing, Wait::Look),
            Ok(job) => (Work::SyncFor(job, log_end, settled), Wait::Sync),
            Err(why) => {
                settled.iter().for_each(|(one, _)| give_up(one.partition, replicas));
                self.look_whether_over(&why);
                (Work::Nothing, Wait::Look)
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

fn imaging<'r>(replicas: &'r Replicas, attempt: &Attempt) -> Option<&'r Imaging> {
    replicas.get(&attempt.partition)?.imaging.as_ref()
}

/// Takes and writes the next page of an image that goes on; `None` when it cannot.
fn turn_page(mut attempt: Attempt, replicas: &mut Replicas) -> Option<Attempt> {
    let held = replicas.get_mut(&attempt.partition)?;
    let Held { replica, imaging, .. } = &mut *held;
    let mut records = Vec::new();
    let count = imaging.as_mut()?.walk.page(replica, PAGE_BYTES, &mut records);
    let is_written = match count {
        None => false,
        Some(0) => true,
        Some(count) => attempt.writer.block(&records, count).is_ok(),
    };
    if !is_written {
        give_up(attempt.partition, replicas);
    }
    is_written.then_some(attempt)
}

/// A partition's image will not be finished.
fn give_up(partition: PartitionId, replicas: &mut Replicas) {
    if let Some(held) = replicas.get_mut(&partition)
        && held.imaging.take().is_some()
    {
        held.on_disk.begun_for = None;
    }
}
