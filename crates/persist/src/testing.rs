//! Small things that tests share: [`Kept`] is a replica with its log on a disk in memory, and the shell around them.

use std::sync::Arc;

use isogrid_core::{
    Condition, Epoch, Expiry, Incarnation, Limits, LogPosition, MapId, NodeId, Op, PartitionEntry,
    PartitionId, Replica as Name, Timestamp,
};
use isogrid_replica::{Event, Now, Recorded, Replica, Request, Settings, Ticket};
use isogrid_store::{Partition, hash_key};
use isogrid_wal::faulty_disk::{Decider, Fault, FaultyDisk};
use isogrid_wal::{
    LogSettings, NodeLog, Place, Record, Recovery, SnapshotEnd, SnapshotInfo, SnapshotWriter,
};

use crate::{Counts, Maker, OnDisk, ReplayFrom, Share, Unwritten, recover_share};

pub(crate) const STORAGE: u128 = 0x1507;
pub(crate) const PARTITION: PartitionId = PartitionId(1);

/// Of the first map nothing is synced; the second one is not known yet, so that all of it is.
pub(crate) const MAPS: &[Option<bool>] = &[Some(false), None];

const SEED: u64 = 42;

/// A replica, and what is on its disk.
pub(crate) struct Kept {
    pub(crate) replica: Replica,
    pub(crate) on_disk: OnDisk,
    pub(crate) disk: FaultyDisk,
    pub(crate) log: NodeLog<FaultyDisk>,
    /// Who waits for a sync.
    waiting: Option<LogPosition>,
    /// Up to where it was told that it counts.
    pub(crate) told: LogPosition,
    /// What it says to others.
    pub(crate) said: Recorded,
}

impl Kept {
    /// An empty replica on an empty disk.
    pub(crate) fn new(node: &str) -> Self {
        Self::with(replica(node, PARTITION), OnDisk::default(), FaultyDisk::default())
    }

    fn with(replica: Replica, on_disk: OnDisk, disk: FaultyDisk) -> Self {
        let (log, _) = open(&disk);
        let (waiting, told) = (None, LogPosition::START);
        Kept { replica, on_disk, disk, log, waiting, told, said: Recorded::default() }
    }

    /// The same as the only one in sync, and so primary. Its first entry is on disk, without which it takes no writes.
    pub(crate) fn leading(node: &str) -> Self {
        let mut kept = Self::new(node);
        kept.read(1, node, &[node]);
        assert!(kept.persist() && kept.last().seq == 1);
        kept
    }

    /// What another process finds on the disk: the replica, and that it is not damaged.
    pub(crate) fn reopened(self) -> Self {
        let disk = self.disk;
        let (log, recovery) = open(&disk);
        drop(log);
        let mut share = restored(&recovery);
        let [one] = share.replicas.as_mut_slice() else { panic!("there is one replica") };
        assert!(!one.is_damaged && share.faults.is_empty());
        let replica = share.replicas.remove(0).replica;
        let on_disk = OnDisk::of_recovered(&replica);
        Self::with(replica, on_disk, disk)
    }

    pub(crate) fn step(&mut self, event: Event<'_>) {
        self.replica.step(event, now(), &mut self.said);
    }

    /// The table says who leads and who is in sync.
    pub(crate) fn read(&mut self, epoch: u64, primary: &str, in_sync: &[&str]) {
        let entry = PartitionEntry {
            epoch: Epoch(epoch),
            ver: epoch as u32,
            primary: Some(NodeId::new(primary)),
            in_sync: in_sync.iter().map(|node| name(node)).collect(),
            ..PartitionEntry::default()
        };
        self.step(Event::Table(&entry));
    }

    pub(crate) fn put(&mut self, map: u32, key: &str, value: &[u8]) {
        let key = key.as_bytes();
        let (condition, expiry, return_old) = (Condition::Always, Expiry::Never, false);
        let op = Op::Put { key, value, condition, expiry, return_old };
        let request = Request::new(Ticket(1), MapId(map), hash_key(SEED, key), op);
        let last = self.last().seq;
        self.step(Event::Request(request));
        self.step(Event::Flush);
        assert_eq!(self.last().seq, last + 1, "the write was taken");
    }

    /// What is to be written now.
    pub(crate) fn unwritten(&mut self) -> Unwritten {
        let mut out = Unwritten::default();
        self.on_disk.unwritten(&self.replica, 0, MAPS, &mut out).unwrap();
        out
    }

    /// Writes all that is to be written. Says whether the disk took it.
    pub(crate) fn persist(&mut self) -> bool {
        for _ in 0..100 {
            let unwritten = self.unwritten();
            if unwritten.is_empty() {
                return true;
            }
            let is_written = self.log.append(&unwritten.records()).is_ok();
            for part in &unwritten.parts {
                if !is_written {
                    self.on_disk.was_not_written(part);
                    continue;
                }
                match self.on_disk.was_written(part) {
                    Some(Counts::Now(position)) => self.tell(position),
                    Some(Counts::WhenSynced(position)) => self.waiting = Some(position),
                    None => {}
                }
            }
            if !is_written {
                return false;
            }
        }
        panic!("there is always more to write");
    }

    /// Syncs the log: who waits hears of it.
    pub(crate) fn sync(&mut self) {
        self.log.sync().unwrap();
        if let Some(position) = self.waiting.take() {
            self.on_disk.synced(position);
            self.tell(position);
        }
    }

    fn tell(&mut self, position: LogPosition) {
        self.told = position;
        self.step(Event::Persisted(position));
    }

    /// Begins an image, and its file.
    pub(crate) fn begin_image(&mut self) -> Option<SnapshotWriter<FaultyDisk>> {
        let log = &mut self.log;
        let begun = self.on_disk.begin_image(&self.replica, |from| match from {
            ReplayFrom::NewRecord(position) => {
                let record = Record::ImageBegun { partition: PARTITION, position };
                log.append(&[record]).map(|written| written.end)
            }
            ReplayFrom::EntriesAfter(seq) => Ok(log.replay_from(PARTITION, seq)),
        });
        let head = begun.unwrap()?;
        Some(SnapshotWriter::create(&self.disk, STORAGE, head).unwrap())
    }

    /// Takes a page of the image. Says whether it was the last one.
    pub(crate) fn page(&mut self, writer: &mut SnapshotWriter<FaultyDisk>, bytes: usize) -> bool {
        let mut records = Vec::new();
        let page = self.on_disk.image_page(&self.replica, bytes, &mut records).unwrap();
        if page.records > 0 {
            writer.block(&records, page.records).unwrap();
        }
        page.is_last
    }

    /// Publishes an image all of whose pages are taken; the replica hears of it.
    pub(crate) fn publish(&mut self, writer: SnapshotWriter<FaultyDisk>) -> SnapshotInfo {
        let complete_at = self.on_disk.image_end(&self.replica).unwrap().unwrap();
        let log_end = self.log.end();
        let synced = self.log.sync().unwrap();
        let info = writer.publish(SnapshotEnd { complete_at, log_end }, synced).unwrap();
        let imaging = self.on_disk.end_walk().unwrap();
        for event in self.on_disk.imaged(&self.replica, imaging).unwrap() {
            self.step(event);
        }
        info
    }

    /// Takes an image in one go.
    pub(crate) fn image(&mut self) -> SnapshotInfo {
        let mut writer = self.begin_image().unwrap();
        while !self.page(&mut writer, 1 << 20) {}
        self.publish(writer)
    }

    /// Where the log of the replica ends.
    pub(crate) fn last(&self) -> LogPosition {
        self.replica.log().last()
    }
}

pub(crate) fn name(node: &str) -> Name {
    Name { node: NodeId::new(node), incarnation: Incarnation(1) }
}

pub(crate) fn now() -> Now {
    Now { wall: Timestamp(1_000), ..Now::default() }
}

fn settings() -> Arc<Settings> {
    Arc::new(Settings { hash_seed: SEED, durable: true, ..Settings::default() })
}

pub(crate) fn replica(node: &str, partition: PartitionId) -> Replica {
    let store = Partition::new(partition, SEED, &Limits::default());
    Replica::new(name(node), store, settings(), now())
}

pub(crate) fn open(disk: &FaultyDisk) -> (NodeLog<FaultyDisk>, Recovery<FaultyDisk>) {
    isogrid_wal::open(disk, STORAGE, LogSettings { segment_bytes_max: 1 << 20 }).unwrap()
}

/// All that a disk has.
pub(crate) fn restored(recovery: &Recovery<FaultyDisk>) -> Share {
    let maker = Maker { own: name("a"), settings: settings(), limits: Limits::default() };
    recover_share(recovery, &maker, |_| true, (now, || {}))
}

/// The disk takes nothing.
pub(crate) fn refuse(disk: &FaultyDisk, refuses: bool) {
    let decider: Decider = Box::new(|_| Fault::Fails(std::io::ErrorKind::Other));
    disk.set_decider(refuses.then_some(decider));
}

/// A place in the log.
pub(crate) fn place(segment: u64) -> Place {
    Place::new(segment, 0)
}
