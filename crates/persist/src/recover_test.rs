//! What comes back from a disk, and what is told of the rest.

use std::cell::Cell;

use isogrid_core::{Effect, Hlc, LogPosition};
use isogrid_replica::Event;
use isogrid_replica::entry::{Answer, Entry};
use isogrid_wal::Record;
use isogrid_wal::faulty_disk::{Fault as DiskFault, FaultyDisk, Operation};

use super::*;
use crate::testing::{Kept, PARTITION, name, open, restored};

const LOG: &str = "log/";
const SNAPSHOTS: &str = "snap/";

/// A primary alone with an image of some records, and more behind it.
fn with_image() -> Kept {
    let mut kept = Kept::leading("a");
    (0..40).for_each(|number| kept.put(0, &format!("key {number}"), &[7; 90]));
    kept.persist();
    kept.image();
    (30..60).for_each(|number| kept.put(0, &format!("key {number}"), &[8; 90]));
    kept.persist();
    kept
}

fn file(disk: &FaultyDisk, folder: &str) -> String {
    let mut paths = disk.paths().into_iter().filter(|path| path.starts_with(folder));
    paths.next_back().unwrap()
}

fn nothing(seq: u64) -> Vec<u8> {
    let (position, hlc, effect) = (LogPosition::new(1, seq), Hlc::default(), Effect::Nothing);
    let mut bytes = Vec::new();
    Entry { position, hlc, request: None, answer: Answer::None, effect }.encode(&mut bytes);
    bytes
}

/// Appends entries with these numbers as if they were those from `first` to `last`.
fn append(kept: &mut Kept, partition: u16, (first, last): (u64, u64), entries: &[u64]) {
    let partition = PartitionId(partition);
    let (first, last) = (LogPosition::new(1, first), LogPosition::new(1, last));
    let entries: Vec<u8> = entries.iter().flat_map(|seq| nothing(*seq)).collect();
    kept.log.append(&[Record::Entries { partition, first, last, entries: &entries }]).unwrap();
}

#[test]
fn a_snapshot_and_the_log_behind_it_make_the_replica() {
    let kept = with_image();
    let (last, digest) = (kept.last(), kept.replica.store().digest());
    let mut back = kept.reopened();
    assert_eq!(back.last(), last);
    assert!(back.replica.log().base().seq > 0, "the snapshot has what is older");
    assert!(back.unwritten().is_empty(), "all of it is on disk");
    back.read(2, "a", &["a"]);
    assert_eq!(back.replica.store().digest(), digest);
}

#[test]
fn a_log_alone_makes_the_replica_too() {
    let mut kept = Kept::leading("a");
    (0..9).for_each(|number| kept.put(0, &format!("key {number}"), b"v"));
    kept.persist();
    let (last, digest) = (kept.last(), kept.replica.store().digest());
    let mut back = kept.reopened();
    assert_eq!((back.last(), back.replica.log().base()), (last, LogPosition::START));
    back.read(2, "a", &["a"]);
    assert_eq!(back.replica.store().digest(), digest);
}

#[test]
fn an_image_that_went_on_while_records_changed_is_that_of_its_end() {
    let mut kept = Kept::leading("a");
    (0..40).for_each(|number| kept.put(0, &format!("key {number}"), &[7; 90]));
    kept.persist();
    let mut writer = kept.begin_image().unwrap();
    let mut number = 0;
    while !kept.page(&mut writer, 300) {
        kept.put(0, &format!("key {number}"), &[9; 50]);
        number += 3;
    }
    kept.persist();
    let info = kept.publish(writer);
    assert!(info.complete_at.seq > info.position.seq + 1);
    let digest = kept.replica.store().digest();
    let mut back = kept.reopened();
    assert_eq!(back.replica.commit(), info.complete_at.seq, "all that it may show is committed");
    back.read(2, "a", &["a"]);
    assert_eq!(back.replica.store().digest(), digest);
}

#[test]
fn a_torn_end_is_no_damage() {
    let mut kept = with_image();
    let before = kept.last();
    kept.put(0, "k", b"torn");
    let unwritten = kept.unwritten();
    kept.log.append(&unwritten.records()).unwrap();
    kept.disk.edit(&file(&kept.disk, LOG), |bytes| bytes.truncate(bytes.len() - 3));
    let (_, recovery) = open(&kept.disk);
    assert!(faults(&recovery).is_empty());
    let share = restored(&recovery);
    assert_eq!(share.replicas[0].replica.log().last(), before);
    assert!(!share.replicas[0].is_damaged && share.faults.is_empty());
}

#[test]
fn a_damaged_end_is_told_and_what_stands_before_it_comes_back() {
    let mut kept = with_image();
    kept.log.sync().unwrap();
    let before = kept.last();
    kept.put(0, "k", b"damaged");
    let unwritten = kept.unwritten();
    let place = kept.log.append(&unwritten.records()).unwrap().end;
    kept.log.sync().unwrap();
    kept.disk.flip(&file(&kept.disk, LOG), place.offset as usize - 1, 2);
    let (_, recovery) = open(&kept.disk);
    let told = faults(&recovery);
    assert!(matches!(told[..], [Fault::Partition(PARTITION, _)]), "{told:?}");
    assert!(told[0].to_string().starts_with("p1: log/"), "{}", told[0]);
    let share = restored(&recovery);
    assert!(share.replicas[0].is_damaged && share.faults.is_empty());
    assert_eq!(share.replicas[0].replica.log().last(), before);
}

#[test]
fn an_image_whose_end_the_log_has_lost_makes_no_replica() {
    let mut kept = Kept::leading("a");
    (0..40).for_each(|number| kept.put(0, &format!("key {number}"), &[7; 90]));
    kept.persist();
    let mut writer = kept.begin_image().unwrap();
    kept.put(0, "key 1", b"shown");
    while !kept.page(&mut writer, 300) {}
    let begin = kept.log.end().offset;
    kept.persist();
    kept.publish(writer);
    let (_, recovery) = open(&kept.disk.copy());
    assert_eq!(restored(&recovery).replicas.len(), 1);
    kept.disk.flip(&file(&kept.disk, LOG), begin as usize + 40, 2);
    let (_, recovery) = open(&kept.disk);
    assert!(matches!(faults(&recovery)[..], [Fault::Partition(PARTITION, _)]));
    let share = restored(&recovery);
    assert!(share.replicas.is_empty() && share.faults.is_empty(), "it is told already");
}

#[test]
fn damage_that_may_be_of_any_partition_is_told() {
    let kept = with_image();
    let path = file(&kept.disk, LOG);
    let length = kept.disk.content(&path).unwrap().len();
    kept.disk.flip(&path, length - 1, 2);
    let (_, recovery) = open(&kept.disk);
    let told = faults(&recovery);
    assert!(matches!(told[0], Fault::Log(_)), "{told:?}");
    assert!(told[0].to_string().starts_with("log/"), "{}", told[0]);
}

#[test]
fn a_tail_that_does_not_fit_makes_no_replica_and_others_come_back() {
    let mut kept = with_image();
    append(&mut kept, 2, (1, 2), &[1, 2]);
    append(&mut kept, 2, (3, 3), &[4]);
    append(&mut kept, 3, (1, 3), &[1, 2, 3]);
    append(&mut kept, 4, (1, 1), &[2]);
    let (_, recovery) = open(&kept.disk);
    assert!(faults(&recovery).is_empty(), "only entries themselves tell");
    let share = restored(&recovery);
    let back: Vec<u16> = share.replicas.iter().map(|one| one.partition.0).collect();
    assert_eq!(back, [1, 3]);
    let told: Vec<String> = share.faults.iter().map(ToString::to_string).collect();
    assert_eq!(told.len(), 2);
    assert!(told[0].starts_with("p2: ") && told[0].contains("does not follow"), "{told:?}");
    assert!(told[1].starts_with("p4: ") && told[1].contains("missing"), "{told:?}");
}

#[test]
fn a_log_that_cannot_be_read_makes_no_replica() {
    let kept = with_image();
    let (_, recovery) = open(&kept.disk);
    kept.disk.set_decider(Some(Box::new(|call| match call.operation {
        Operation::Read => DiskFault::Fails(std::io::ErrorKind::Other),
        _ => DiskFault::None,
    })));
    let share = restored(&recovery);
    assert!(share.replicas.is_empty());
    assert!(matches!(share.faults[..], [Fault::Unread(_)]));
    assert!(share.faults[0].to_string().contains("log/"), "{}", share.faults[0]);
}

#[test]
fn a_snapshot_that_cannot_be_read_makes_no_replica() {
    let kept = with_image();
    let (_, recovery) = open(&kept.disk);
    let path = file(&kept.disk, SNAPSHOTS);
    kept.disk.edit(&path, |bytes| bytes.truncate(9));
    let share = restored(&recovery);
    assert!(share.replicas.is_empty());
    assert!(matches!(&share.faults[..], [Fault::Unusable(PARTITION, _)]), "{:?}", share.faults);
}

#[test]
fn shares_are_all_that_there_is_once() {
    let mut kept = with_image();
    for partition in 2..9 {
        append(&mut kept, partition, (1, 1), &[1]);
    }
    let (_, recovery) = open(&kept.disk);
    let all = restored(&recovery).replicas.len();
    let settings = Arc::new(Settings { durable: true, ..Settings::default() });
    let maker = Maker { own: name("a"), settings, limits: Limits::default() };
    let mut found = Vec::new();
    for number in 0..3 {
        let is_mine = |partition: PartitionId| partition.0 % 3 == number;
        let asked = Cell::new(0);
        let now = || {
            asked.set(asked.get() + 1);
            crate::testing::now()
        };
        let share = recover_share(&recovery, &maker, is_mine, (now, || {}));
        assert_eq!(asked.get(), share.replicas.len(), "each has a time of its own");
        assert!(share.replicas.iter().all(|one| is_mine(one.partition)));
        found.extend(share.replicas.iter().map(|one| one.replica.store().id().0));
    }
    found.sort_unstable();
    assert_eq!(found.len(), all);
    assert_eq!(found, [1, 2, 3, 4, 5, 6, 7, 8]);
}

#[test]
fn an_empty_disk_has_nothing_and_nothing_is_wrong_with_it() {
    let (_, recovery) = open(&FaultyDisk::default());
    assert!(faults(&recovery).is_empty());
    let share = restored(&recovery);
    assert!(share.replicas.is_empty() && share.faults.is_empty());
}

#[test]
fn a_partition_that_was_reset_does_not_come_back() {
    let mut kept = with_image();
    kept.step(Event::DiskVoided);
    assert!(kept.persist());
    let (_, recovery) = open(&kept.disk);
    assert!(faults(&recovery).is_empty() && restored(&recovery).replicas.is_empty());
}
