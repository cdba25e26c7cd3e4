//! Tests of images: what comes back from a disk is what was there.

use isogrid_core::{Epoch, Incarnation, Limits, NodeId, Op, PartitionEntry, PartitionId};
use isogrid_core::{RequestId, SessionId, Timestamp};
use isogrid_store::hash_key;

use super::*;
use crate::RoleName;
use crate::effects::Recorded;
use crate::entry::Tag;
use crate::event::{Event, Request, Ticket};

const SEED: u64 = 42;

fn name(life: u64) -> Name {
    Name { node: NodeId::new("a"), incarnation: isogrid_core::Incarnation(life) }
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

/// Makes it the only one in sync, and so primary.
fn lead(replica: &mut Replica, epoch: u64) {
    let me = replica.me().clone();
    let entry = PartitionEntry {
        epoch: Epoch(epoch),
        ver: epoch as u32,
        primary: Some(me.node.clone()),
        in_sync: vec![me],
        ..PartitionEntry::default()
    };
    replica.step(Event::Table(&entry), now(), &mut Recorded::default());
}

fn put(replica: &mut Replica, number: u64, expiry: isogrid_core::Expiry) {
    let key = format!("key {}", number % 50);
    let value = vec![number as u8; (number % 90) as usize];
    let op = Op::Put {
        key: key.as_bytes(),
        value: &value,
        condition: isogrid_core::Condition::Always,
        expiry,
        return_old: number.is_multiple_of(3),
    };
    let id = RequestId { session: SessionId(number % 3), number };
    let tag = Some(Tag { id, first_incomplete: number.saturating_sub(9) });
    let map = MapId((number % 2) as u32);
    let hash = hash_key(SEED, key.as_bytes());
    let request = Request { tag, ..Request::new(Ticket(number), map, hash, op) };
    replica.step(Event::Request(request), now(), &mut Recorded::default());
    replica.step(Event::Flush, now(), &mut Recorded::default());
}

fn filled(numbers: std::ops::Range<u64>) -> Replica {
    let mut replica = Replica::new(name(1), store(), settings(), now());
    lead(&mut replica, 1);
    for number in numbers {
        let expiry = match number % 4 {
            0 => isogrid_core::Expiry::AfterMs(5_000),
            _ => isogrid_core::Expiry::Never,
        };
        put(&mut replica, number, expiry);
    }
    replica
}

#[test]
fn what_comes_back_is_what_was_there() {
    let replica = filled(1..200);
    let image = replica.image().unwrap();
    let back = Replica::recover(name(2), store(), settings(), (&image, &[]), now()).unwrap();
    assert_eq!(back.store().digest(), replica.store().digest());
    assert_eq!(back.sessions().digest(), replica.sessions().digest());
    assert_eq!(back.commit(), replica.commit());
    assert_eq!(back.log().last(), replica.log().last());
    assert_eq!(back.role(), RoleName::Learner, "it leads when the table says so");
    assert_eq!(back.image(), Some(image), "the image of the image");
}

#[test]
fn the_log_after_the_image_is_applied_by_who_leads() {
    let mut replica = filled(1..100);
    let image = replica.image().unwrap();
    for number in 100..150 {
        put(&mut replica, number, isogrid_core::Expiry::Keep);
    }
    let mut log = Vec::new();
    replica.log().read_batch(image.position.seq, usize::MAX, &mut log).unwrap();
    let mut back = Replica::recover(name(2), store(), settings(), (&image, &log), now()).unwrap();
    assert_eq!(back.commit(), image.position.seq);
    lead(&mut back, 2);
    assert_eq!(back.commit(), replica.commit() + 1, "the rest, and the first entry of its epoch");
    assert_eq!(back.store().digest(), replica.store().digest());
}

#[test]
fn a_log_with_a_gap_is_refused() {
    let replica = filled(1..10);
    let mut log = Vec::new();
    replica.log().read_batch(3, usize::MAX, &mut log).unwrap();
    let image = Image::default();
    assert!(Replica::recover(name(2), store(), settings(), (&image, &log), now()).is_err());
    let broken = Image { sessions: vec![9], ..Image::default() };
    assert!(Replica::recover(name(2), store(), settings(), (&broken, &[]), now()).is_err());
}

#[test]
fn an_image_whose_parts_do_not_belong_together_is_refused() {
    let image = filled(1..10).image().unwrap();
    let recover = |image: &Image| {
        Replica::recover(name(2), store(), settings(), (image, &[]), now()).map(|_| ())
    };
    assert_eq!(recover(&image), Ok(()));
    let mut earlier = image.clone();
    earlier.position.seq -= 1;
    assert!(matches!(recover(&earlier), Err(DecodeError::Malformed(_))));
    let mut removal = image;
    let (position, effect) = (LogPosition::new(1, 2), Effect::Clear { map: MapId(0) });
    Entry { position, hlc: Hlc(0), request: None, answer: Answer::None, effect }
        .encode(&mut removal.records);
    assert!(matches!(recover(&removal), Err(DecodeError::Malformed(_))));
}

#[test]
fn there_is_no_image_of_what_is_not_committed() {
    let mut replica = Replica::new(name(1), store(), settings(), now());
    let other = Name { node: NodeId::new("b"), incarnation: Incarnation(1) };
    let entry = PartitionEntry {
        epoch: Epoch(1),
        ver: 1,
        primary: Some(name(1).node),
        in_sync: vec![name(1), other],
        ..PartitionEntry::default()
    };
    replica.step(Event::Table(&entry), now(), &mut Recorded::default());
    assert_eq!(replica.image(), None, "its first entry waits for b");
}

#[test]
fn the_only_member_has_an_image_before_its_disk_has_anything() {
    let durable = Arc::new(Settings { durable: true, ..(*settings()).clone() });
    let mut replica = Replica::new(name(1), store(), Arc::clone(&durable), now());
    lead(&mut replica, 1);
    assert_eq!(replica.commit(), 0, "its first entry is not on disk");
    assert_eq!(replica.image(), None, "what the disk has can be followed");
    replica.step(Event::DiskVoided, now(), &mut Recorded::default());
    let image = replica.image().unwrap();
    assert_eq!(image.position, replica.log().last());
    let back = Replica::recover(name(2), store(), durable, (&image, &[]), now()).unwrap();
    assert_eq!(back.log().last(), replica.log().last(), "entries can follow it");
    assert_eq!(back.sessions().settled(), image.position.seq);
}
