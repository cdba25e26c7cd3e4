//! Tests of dumps: what a backup takes while writes go on is exactly what is there.

use std::collections::BTreeMap;
use std::sync::Arc;

use isogrid_core::{
    Condition, Epoch, Expiry, Hlc, Incarnation, Limits, MapId, NodeId, Op, PartitionEntry,
    PartitionId, RequestId, SessionId, Timestamp,
};
use isogrid_store::{Partition, hash_key};

use super::*;
use crate::effects::Recorded;
use crate::entry::Tag;
use crate::event::{Event, Request, Ticket};
use crate::log::WindowLimits;
use crate::settings::Settings;
use crate::time::Now;

const SEED: u64 = 42;

type Records = BTreeMap<(u32, Vec<u8>), (Vec<u8>, u64)>;

fn now() -> Now {
    Now { wall: Timestamp(1_000), ..Now::default() }
}

fn primary(window: WindowLimits) -> Replica {
    let me = isogrid_core::Replica { node: NodeId::new("a"), incarnation: Incarnation(1) };
    let store = Partition::new(PartitionId(0), SEED, &Limits::default());
    let settings = Settings { hash_seed: SEED, window, ..Settings::default() };
    let mut replica = Replica::new(me.clone(), store, Arc::new(settings), now());
    let entry = PartitionEntry {
        epoch: Epoch(3),
        ver: 1,
        primary: Some(me.node.clone()),
        in_sync: vec![me],
        ..PartitionEntry::default()
    };
    replica.step(Event::Table(&entry), now(), &mut Recorded::default());
    replica
}

fn request(replica: &mut Replica, number: u64, op: Op<'_>, key: &[u8]) {
    let id = RequestId { session: SessionId(1), number };
    let tag = Some(Tag { id, first_incomplete: number });
    let hash = hash_key(SEED, key);
    let request =
        Request { tag, ..Request::new(Ticket(number), MapId(number as u32 % 2), hash, op) };
    replica.step(Event::Request(request), now(), &mut Recorded::default());
    replica.step(Event::Flush, now(), &mut Recorded::default());
}

/// Puts, overwrites, deletes and clears, by the number.
fn write(replica: &mut Replica, number: u64) {
    let key = format!("key {}", number % 61).into_bytes();
    let value = number.to_le_bytes();
    let put = Op::Put {
        key: &key,
        value: &value,
        condition: Condition::Always,
        expiry: Expiry::Never,
        return_old: false,
    };
    let op = match number % 7 {
        3 => Op::delete(&key),
        _ if number.is_multiple_of(97) => Op::Clear { partition: PartitionId(0) },
        _ => put,
    };
    request(replica, number, op, &key);
}

fn there(replica: &Replica) -> Records {
    let walked = replica.store().walk(WalkCursor::default(), usize::MAX);
    let record = |record: &isogrid_store::WalkedRecord<'_>| {
        let entry = record.entry;
        ((record.map.0, record.key.to_vec()), (entry.value.to_vec(), entry.version.0))
    };
    walked.records.iter().map(record).collect()
}

fn apply(records: &mut Records, entries: &[u8]) {
    for encoded in Entries::new(entries) {
        let entry = encoded.unwrap().entry;
        assert_eq!((entry.request, entry.answer), (None, Answer::None));
        match entry.effect {
            Effect::Put { map, key, value, .. } => {
                records.insert((map.0, key.to_vec()), (value.to_vec(), entry.position.seq));
            }
            Effect::Remove { map, key, .. } => {
                records.remove(&(map.0, key.to_vec()));
            }
            Effect::Clear { map } => records.retain(|(of, _), _| *of != map.0),
            _ => {}
        }
    }
}

/// Everything behind a position, as a backup gets it.
fn entries_after(replica: &Replica, seq: u64) -> Vec<u8> {
    let (mut bytes, mut plain) = (Vec::new(), Vec::new());
    replica.log().read_batch(seq, usize::MAX, &mut bytes).unwrap();
    without_requests(&bytes, &mut plain).unwrap();
    plain
}

/// Dumps in small pages, with writes between them from this number on.
fn dump(replica: &mut Replica, mode: DumpMode, mut parent: Records, mut number: u64) -> Records {
    let from = replica.commit();
    let (mut kept, mut records) = (Vec::new(), Vec::new());
    let mut cursor = Some(WalkCursor::default());
    while let Some(at) = cursor {
        let page = replica.dump_page(at, 200, mode);
        assert!(page.kept.is_sorted() && page.as_of == replica.log().last());
        kept.extend(page.kept);
        records.extend(page.records);
        cursor = page.next;
        for _ in 0..5 {
            number += 1;
            write(replica, number);
        }
    }
    match mode {
        DumpMode::Whole => parent.clear(),
        DumpMode::Changes { .. } => parent.retain(|_, (_, version)| kept.contains(version)),
        DumpMode::Entries => {}
    }
    apply(&mut parent, &records);
    apply(&mut parent, &entries_after(replica, from));
    parent
}

#[test]
fn pages_and_the_entries_of_meanwhile_are_exactly_what_is_there() {
    let mut replica = primary(WindowLimits::default());
    (1..400).for_each(|number| write(&mut replica, number));
    let first = dump(&mut replica, DumpMode::Whole, Records::new(), 1_000);
    assert_eq!(first, there(&replica));
    let after = replica.commit();
    (20_000..20_300).for_each(|number| write(&mut replica, number));
    let second = dump(&mut replica, DumpMode::Changes { after }, first.clone(), 30_000);
    assert_eq!(second, there(&replica));
    assert_ne!(first, second);
}

#[test]
fn of_changes_only_what_was_written_since_travels() {
    let mut replica = primary(WindowLimits::default());
    (1..60).for_each(|number| write(&mut replica, number));
    let after = replica.commit();
    write(&mut replica, 1_000);
    let page = replica.dump_page(WalkCursor::default(), usize::MAX, DumpMode::Changes { after });
    assert_eq!(Entries::new(&page.records).count(), 1);
    assert_eq!(page.kept.len(), there(&replica).len() - 1);
    assert_eq!(page.next, None);
}

#[test]
fn a_backup_goes_on_where_it_was_if_that_can_be() {
    let window = WindowLimits { bytes_max: 2_000, spare_bytes_max: 500, age_ms_max: 0 };
    let mut replica = primary(window);
    (1..10).for_each(|number| write(&mut replica, number));
    let position = replica.log().last();
    let held = Held { loss_generation: 0, position };
    assert_eq!(replica.dump_mode(None), DumpMode::Whole);
    assert_eq!(replica.dump_mode(Some(held)), DumpMode::Entries);
    for (wrong, why) in [
        (Held { loss_generation: 1, ..held }, "another history"),
        (
            Held { position: LogPosition { seq: position.seq + 1, ..position }, ..held },
            "it has more",
        ),
        (Held { position: LogPosition { epoch: Epoch(2), ..position }, ..held }, "another epoch"),
    ] {
        assert_eq!(replica.dump_mode(Some(wrong)), DumpMode::Whole, "{why}");
    }
    for number in 10..200 {
        write(&mut replica, number);
        replica.step(Event::Tick, now(), &mut Recorded::default());
    }
    assert!(replica.log().base().seq > position.seq, "the log went on");
    assert_eq!(replica.dump_mode(Some(held)), DumpMode::Changes { after: position.seq });
}

#[test]
fn a_fence_stands_behind_its_clock_and_once() {
    let mut replica = primary(WindowLimits::default());
    write(&mut replica, 1);
    let last = |replica: &Replica| {
        let last = replica.log().last().seq;
        (last, replica.log().hlc_of(last).unwrap())
    };
    let fence = |replica: &mut Replica, clock: Hlc| {
        replica.step(Event::Fence { clock }, now(), &mut Recorded::default());
        replica.step(Event::Flush, now(), &mut Recorded::default());
    };
    let (before, written) = last(&replica);
    let clock = Hlc(written.0 + 1_000);
    fence(&mut replica, clock);
    let (fenced, behind) = last(&replica);
    assert!(fenced == before + 1 && behind > clock && replica.commit() == fenced);
    assert_eq!(replica.log().entry(fenced).unwrap().effect, Effect::Nothing);
    fence(&mut replica, clock);
    assert_eq!(last(&replica).0, fenced, "it is there already");
    write(&mut replica, 2);
    assert!(last(&replica).1 > behind);
}

#[test]
fn what_is_written_comes_behind_what_was_observed() {
    let mut replica = primary(WindowLimits::default());
    write(&mut replica, 1);
    let seen = Hlc(replica.hlc().0 + 500);
    replica.observe(seen);
    write(&mut replica, 2);
    assert!(replica.log().hlc_of(replica.log().last().seq).unwrap() > seen);
    replica.observe(Hlc(1));
    assert!(replica.hlc() > seen, "an older clock changes nothing");
}
