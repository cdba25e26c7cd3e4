//! Images of partitions, written in the background, page by page: of those whose data on disk are worth nothing after a copy, at
//! once; of others when the log has grown too long, those first that keep its oldest part. Each step takes its time, and anything
//! may happen between two of them.

use std::collections::{BTreeMap, BTreeSet};

use isogrid_core::{LogPosition, PartitionId};
use isogrid_persist::{Needs, ReplayFrom};
use isogrid_replica::Now;
use isogrid_wal::faulty_disk::{FaultyDisk, FaultyFile};
use isogrid_wal::{Place, Record, SnapshotEnd, SnapshotWriter, SyncJob, WalError};

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

/// An image that is being written.
struct Attempt {
    partition: PartitionId,
    writer: SnapshotWriter<FaultyDisk>,
    /// All its pages are written.
    is_walked: bool,
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
                match left.iter().all(|one| one.is_walked) {
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
        let Attempt { partition, writer, .. } = attempt;
        let Some(data) = &mut self.data else { return };
        let synced = data.log.synced();
        let published = writer.publish(SnapshotEnd { complete_at, log_end }, synced);
        let Some(held) = self.replicas.get_mut(&partition) else { return };
        // What could not be published is begun again.
        let Ok(snapshot) = published else { return held.on_disk.drop_image() };
        let Some(imaging) = held.on_disk.end_walk() else { return };
        let Ok(events) = held.on_disk.imaged(&held.replica, imaging) else { return };
        data.snapshots.insert(partition, snapshot);
        data.paths.push(paths::IMAGE);
        for event in events {
            self.step(partition, event, now, wishes);
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
        let Held { replica, on_disk, .. } = held;
        let log = &mut self.log;
        let begun = on_disk.begin_image(replica, |from| match from {
            ReplayFrom::NewRecord(position) => {
                log.append(&[Record::ImageBegun { partition, position }]).map(|begun| begun.end)
            }
            ReplayFrom::EntriesAfter(seq) => Ok(log.replay_from(partition, seq)),
        })?;
        let Some(head) = begun else { return Ok(None) };
        let writer = SnapshotWriter::create(&self.disk, self.id, head)?;
        Ok(Some(Attempt { partition, writer, is_walked: false }))
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
            held.on_disk.image_end(&held.replica).ok()
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
        let some: Vec<_> = self.needs(replicas).of_oldest(&self.images.tried).collect();
        if some.is_empty() || left <= bytes_max / 2 {
            // Where it was in vain, it is tried again when there is more.
            self.images.long_for_now = if left > bytes_max { left + bytes_max } else { 0 };
            self.images.tried.clear();
            return Vec::new();
        }
        self.images.tried.extend(&some);
        some
    }

    /// What the partitions need of the log.
    fn needs(&self, replicas: &Replicas) -> Needs {
        Needs::of(replicas.keys().copied(), &self.log, &self.snapshots)
    }

    fn prune(&mut self, replicas: &Replicas) {
        let first_kept = self.needs(replicas).first_kept(self.log.end().segment);
        if self.log.prune(first_kept).is_ok_and(|gone| gone > 0) {
            self.paths.push(paths::LOG_SHORTENED);
        }
    }
}

/// Takes and writes the next page of an image that goes on; `None` when it cannot.
fn turn_page(mut attempt: Attempt, replicas: &mut Replicas) -> Option<Attempt> {
    let Held { replica, on_disk, .. } = replicas.get_mut(&attempt.partition)?;
    let mut records = Vec::new();
    let page = on_disk.image_page(replica, PAGE_BYTES, &mut records).ok();
    let written = page
        .filter(|page| page.records == 0 || attempt.writer.block(&records, page.records).is_ok());
    let Some(page) = written else {
        on_disk.drop_image();
        return None;
    };
    attempt.is_walked = page.is_last;
    Some(attempt)
}

/// A partition's image will not be finished.
fn give_up(partition: PartitionId, replicas: &mut Replicas) {
    if let Some(held) = replicas.get_mut(&partition) {
        held.on_disk.drop_image();
    }
}
