//! Tests of walks: whatever happens between their pages, image and log make the data exactly as they were, or the image is void.

use std::sync::Arc;

use isogrid_core::{
    Condition, Epoch, Expiry, Incarnation, Limits, MapId, NodeId, Op, PartitionEntry, PartitionId,
    Replica as Name, RequestId, SessionId, Timestamp,
};
use isogrid_store::{Partition, hash_key};

use super::*;
use crate::effects::Recorded;
use crate::entry::Tag;
use crate::event::{Event, Request, Ticket};
use crate::settings::Settings;
use crate::time::Now;

const SEED: u64 = 42;
const SMALL_PAGE: usize = 300;

fn name(node: &str) -> Name {
    Name { node: NodeId::new(node), incarnation: Incarnation(1) }
}

fn store() -> Partition {
    Partition::new(PartitionId(0), SEED, &Limits::default())
}

fn settings() -> Arc<Settings> {
    Arc::new(Settings { hash_seed: SEED, ..Settings::default() })
}

fn now() -> Now {
    Now { wall: Timestamp(1_000), ..Now::default() }
}

fn table(epoch: u64, primary: &str, in_sync: &[&str]) -> PartitionEntry {
    PartitionEntry {
        epoch: Epoch(epoch),
        ver: epoch as u32,
        primary: Some(NodeId::new(primary)),
        in_sync: in_sync.iter().map(|node| name(node)).collect(),
        ..PartitionEntry::default()
    }
}

/// Numbers that look random, the same for the same seed.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963);
        (self.0 >> 33) % bound
    }
}

/// A primary and its backup.
struct Pair {
    primary: Replica,
    backup: Replica,
    /// What is on its way to the backup.
    messages: Vec<crate::message::Message>,
    random: Random,
    written: u64,
}

impl Pair {
    fn new(seed: u64) -> Self {
        let replica = |node: &str| Replica::new(name(node), store(), settings(), now());
        let (mut primary, mut backup) = (replica("a"), replica("b"));
        let entry = table(1, "a", &["a", "b"]);
        let mut effects = Recorded::default();
        primary.step(Event::Table(&entry), now(), &mut effects);
        backup.step(Event::Table(&entry), now(), &mut Recorded::default());
        let messages = effects.messages.into_iter().map(|(_, message)| message).collect();
        let mut pair = Pair { primary, backup, messages, random: Random(seed), written: 0 };
        pair.deliver();
        pair
    }

    /// A change of some key, now and then of all keys of a map.
    fn write(&mut self) {
        let (key, map) = (format!("key {}", self.random.below(60)), self.random.below(2) as u32);
        let value = vec![self.written as u8; self.random.below(90) as usize];
        let (map, key) = (MapId(map), key.as_bytes());
        let op = match self.random.below(40) {
            0 => Op::Clear { partition: PartitionId(0) },
            1..=12 => Op::Delete { key, condition: Condition::Always, return_old: false },
            _ => put(key, &value),
        };
        self.execute(map, key, op);
    }

    fn put(&mut self, key: &[u8]) {
        self.execute(MapId(0), key, put(key, b"value"));
    }

    fn execute(&mut self, map: MapId, key: &[u8], op: Op<'_>) {
        self.written += 1;
        let id = RequestId { session: SessionId(self.written % 3), number: self.written };
        let tag = Some(Tag { id, first_incomplete: self.written.saturating_sub(9) });
        let request = Request::new(Ticket(self.written), map, hash_key(SEED, key), op);
        self.step_primary(Event::Request(Request { tag, ..request }));
        self.step_primary(Event::Flush);
    }

    fn step_primary(&mut self, event: Event<'_>) {
        let mut effects = Recorded::default();
        self.primary.step(event, now(), &mut effects);
        self.messages.extend(effects.messages.into_iter().map(|(_, message)| message));
    }

    /// What is on its way arrives, and the answers too.
    fn deliver(&mut self) {
        while !self.messages.is_empty() {
            let mut effects = Recorded::default();
            for message in std::mem::take(&mut self.messages) {
                let event = Event::Receive { from: &name("a"), to: Incarnation(1), message };
                self.backup.step(event, now(), &mut effects);
            }
            for (_, message) in effects.messages {
                let event = Event::Receive { from: &name("b"), to: Incarnation(1), message };
                self.step_primary(event);
            }
        }
    }

    /// Some writes, which arrive or do not yet.
    fn go_on(&mut self) {
        for _ in 0..self.random.below(12) {
            self.write();
        }
        if self.random.below(3) > 0 {
            self.deliver();
        }
    }

    fn replica(&self, is_primary: bool) -> &Replica {
        if is_primary { &self.primary } else { &self.backup }
    }

    /// Everything arrives, also how far it is committed.
    fn settle(&mut self) {
        self.deliver();
        self.write();
        self.deliver();
    }
}

fn put<'a>(key: &'a [u8], value: &'a [u8]) -> Op<'a> {
    let (condition, expiry, return_old) = (Condition::Always, Expiry::Never, false);
    Op::Put { key, value, condition, expiry, return_old }
}

/// The entries behind a position as a disk has them.
fn log_after(replica: &Replica, position: LogPosition) -> Vec<u8> {
    let mut log = Vec::new();
    replica.log().read_batch(position.seq, usize::MAX, &mut log).unwrap();
    log
}

fn recover(image: &Image, log: &[u8]) -> Result<Replica, crate::entry::DecodeError> {
    Replica::recover(name("c"), store(), settings(), (image, log), now())
}

/// Makes it the only one in sync, and so primary.
fn lead(replica: &mut Replica) {
    replica.step(Event::Table(&table(2, "c", &["c"])), now(), &mut Recorded::default());
}

#[test]
fn an_image_taken_under_load_is_exactly_its_end_with_the_log() {
    let mut grown = 0;
    for seed in 0..60 {
        for is_primary in [false, true] {
            let mut pair = Pair::new(seed);
            (0..200).for_each(|_| pair.write());
            pair.settle();
            let (mut walk, head) = pair.replica(is_primary).begin_image().unwrap();
            let (mut records, mut at_end) = (Vec::new(), None);
            while !walk.is_done() {
                pair.go_on();
                let replica = pair.replica(is_primary);
                walk.page(replica, SMALL_PAGE, &mut records).unwrap();
                at_end = Some(replica.store().digest());
            }
            pair.settle();
            assert_eq!(walk.standing(pair.replica(is_primary)), Standing::Settled, "seed {seed}");
            grown += walk.end().seq - head.position.seq;
            let image = Image::new(head, walk.end(), records);
            let log = log_after(&pair.primary, image.position);
            let mut back = recover(&image, &log).unwrap();
            assert_eq!(back.commit(), image.complete_at.seq, "seed {seed}");
            assert_eq!(Some(back.store().digest()), at_end, "seed {seed}");
            lead(&mut back);
            assert_eq!(back.store().digest(), pair.primary.store().digest(), "seed {seed}");
            assert_eq!(back.commit(), pair.primary.log().last().seq + 1);
            let mut sessions = pair.primary.sessions().clone();
            sessions.settle(back.commit());
            assert_eq!(back.sessions().digest(), sessions.digest(), "seed {seed}");
        }
    }
    assert!(grown > 1_000, "there were changes during the walks");
}

#[test]
fn an_image_without_the_log_to_its_end_is_refused() {
    let mut pair = Pair::new(7);
    pair.settle();
    let (mut walk, head) = pair.primary.begin_image().unwrap();
    pair.write();
    pair.write();
    let mut records = Vec::new();
    walk.page(&pair.primary, usize::MAX, &mut records).unwrap();
    pair.settle();
    let image = Image::new(head, walk.end(), records);
    let log = log_after(&pair.primary, image.position);
    let first = crate::entry::Entries::new(&log).next().unwrap().unwrap().bytes.len();
    assert!(recover(&image, &log).is_ok());
    assert!(recover(&image, &log[..first]).is_err(), "one of the two is missing");
    let other = LogPosition { epoch: Epoch(9), ..image.complete_at };
    assert!(recover(&Image { complete_at: other, ..image }, &log).is_err(), "another history");
}

#[test]
fn what_is_not_committed_is_waited_for_and_void_when_it_is_taken_back() {
    let mut pair = Pair::new(1);
    let (mut walk, _) = pair.primary.begin_image().unwrap();
    assert_eq!(walk.standing(&pair.primary), Standing::Settled, "it shows nothing else yet");
    pair.put(b"k");
    assert_eq!(walk.page(&pair.primary, usize::MAX, &mut Vec::new()), Some(1));
    assert_eq!(walk.standing(&pair.primary), Standing::Waits);
    assert_eq!(pair.primary.image(), None, "in one go there is none meanwhile");
    let mut lost = walk.clone();
    pair.deliver();
    assert_eq!(walk.standing(&pair.primary), Standing::Settled);
    // Another leads, and the write that no page showed is taken back: nobody can tell which pages showed what.
    pair.write();
    pair.primary.step(Event::Table(&table(2, "b", &["a", "b"])), now(), &mut Recorded::default());
    assert_eq!(lost.standing(&pair.primary), Standing::Void);
    assert_eq!(lost.page(&pair.primary, SMALL_PAGE, &mut Vec::new()), None);
}

#[test]
fn a_change_of_role_alone_ends_no_walk() {
    let mut pair = Pair::new(3);
    (0..50).for_each(|_| pair.write());
    pair.settle();
    let (mut walk, head) = pair.backup.begin_image().unwrap();
    let mut records = Vec::new();
    walk.page(&pair.backup, SMALL_PAGE, &mut records).unwrap();
    pair.backup.step(Event::Table(&table(2, "b", &["b"])), now(), &mut Recorded::default());
    while !walk.is_done() {
        walk.page(&pair.backup, SMALL_PAGE, &mut records).unwrap();
    }
    assert_eq!(walk.standing(&pair.backup), Standing::Settled);
    let image = Image::new(head, walk.end(), records);
    let back = recover(&image, &log_after(&pair.backup, image.position)).unwrap();
    assert_eq!(back.store().digest(), pair.backup.store().digest());
}

#[test]
fn when_the_disk_is_worth_nothing_any_more_so_is_a_walk_of_before() {
    let mut pair = Pair::new(3);
    pair.settle();
    let (walk, _) = pair.backup.begin_image().unwrap();
    pair.backup.step(Event::DiskVoided, now(), &mut Recorded::default());
    assert_eq!(walk.standing(&pair.backup), Standing::Void);
}

#[test]
fn what_a_damaged_disk_had_makes_no_image_before_a_primary_has_told_the_rest() {
    let mut pair = Pair::new(3);
    (0..5).for_each(|_| pair.write());
    pair.settle();
    pair.backup.step(Event::Damaged, now(), &mut Recorded::default());
    assert!(pair.backup.begin_image().is_none(), "it may lack what it once acknowledged");
    pair.write();
    pair.settle();
    assert!(pair.backup.begin_image().is_some(), "it has all that is committed");
    pair.backup.step(Event::Damaged, now(), &mut Recorded::default());
    pair.backup.step(Event::Table(&table(2, "b", &["b"])), now(), &mut Recorded::default());
    assert!(pair.backup.begin_image().is_some(), "what it has is the partition's from now on");
}

#[test]
fn a_new_primary_vouches_for_a_damaged_disk_only_with_an_entry_of_its_own() {
    let mut pair = Pair::new(3);
    (0..5).for_each(|_| pair.write());
    pair.settle();
    pair.backup.step(Event::Damaged, now(), &mut Recorded::default());
    let entry = table(2, "a", &["a", "b"]);
    pair.backup.step(Event::Table(&entry), now(), &mut Recorded::default());
    pair.step_primary(Event::Table(&entry));
    // It says how far it knows of a commit: by entries of the epoch before, of which more may have been acknowledged.
    pair.deliver();
    assert!(pair.backup.begin_image().is_none(), "nothing of this epoch is known to be committed");
    pair.settle();
    assert!(pair.backup.begin_image().is_some());
}
