//! Tests of a primary beyond what its scripts show: what followers say that makes no sense, and what could grow for ever.

use std::sync::Arc;

use isogrid_core::{
    Condition, Effect, Expiry, Incarnation, Limits, LogPosition, MapId, NodeId, Op, PartitionId,
    SessionId,
};
use isogrid_store::{Partition, hash_key};

use super::*;
use crate::Replica as Subject;
use crate::effects::Recorded;
use crate::event::{Event, ReadMode, Request};
use crate::log::WindowLimits;
use crate::message::{Append, Message};
use crate::settings::Settings;

const MAP: MapId = MapId(0);

fn name(node: &str) -> Replica {
    Replica { node: NodeId::new(node), incarnation: Incarnation(1) }
}

fn at(ms: u64) -> Now {
    Now { ticks: Ticks(ms * 1_000), wall: Timestamp(ms) }
}

fn table(epoch: u64, in_sync: &[&str], learners: &[&str]) -> PartitionEntry {
    PartitionEntry {
        epoch: Epoch(epoch),
        ver: epoch as u32,
        primary: Some(NodeId::new("a")),
        in_sync: in_sync.iter().map(|node| name(node)).collect(),
        learners: learners.iter().map(|node| name(node)).collect(),
        ..PartitionEntry::default()
    }
}

/// The replica of node a, which leads.
fn leader(settings: Settings, entry: &PartitionEntry) -> Subject {
    let store = Partition::new(PartitionId(0), 42, &Limits::default());
    let settings = Arc::new(Settings { hash_seed: 42, ..settings });
    let mut subject = Subject::new(name("a"), store, settings, at(0));
    step(&mut subject, 0, Event::Table(entry));
    subject
}

fn step(subject: &mut Subject, ms: u64, event: Event<'_>) -> Recorded {
    let mut effects = Recorded::default();
    subject.step(event, at(ms), &mut effects);
    effects
}

fn hear(subject: &mut Subject, ms: u64, message: Message) -> Recorded {
    step(subject, ms, Event::Receive { from: &name("b"), to: Incarnation(1), message })
}

/// Backup b has everything, as of a message that was sent now.
fn acknowledge(subject: &mut Subject, ms: u64) -> Recorded {
    let ack = Ack {
        epoch: subject.promised(),
        matched: subject.log().last(),
        applied: 0,
        sent_at: at(ms).ticks,
        stamp: Ticks(0),
        round: 0,
        complete: true,
    };
    hear(subject, ms, Message::Ack(ack))
}

fn request<'a>(number: u64, key: &[u8], op: Op<'a>) -> Request<'a> {
    Request::new(Ticket(number), MAP, hash_key(42, key), op)
}

fn put(subject: &mut Subject, ms: u64, key: &[u8], expiry: Expiry) -> Recorded {
    let op = Op::Put { key, value: b"v", condition: Condition::Always, expiry, return_old: false };
    step(subject, ms, Event::Request(request(1, key, op)));
    step(subject, ms, Event::Flush)
}

/// A learner whose log ends at a committed position could not place a message that was sent at this moment.
fn mismatch(subject: &Subject, position: LogPosition, ms: u64) -> Message {
    let (tail, commit) = (position, position);
    let (epoch, sent_at, stamp) = (subject.promised(), at(ms).ticks, Ticks(0));
    Message::Mismatch(Mismatch { epoch, tail, commit, sent_at, stamp })
}

fn appends(effects: &Recorded) -> Vec<&Append> {
    let appends = effects.messages.iter().filter_map(|(_, message)| match message {
        Message::Append(append) => Some(append),
        _ => None,
    });
    appends.collect()
}

#[test]
fn who_refuses_to_go_on_from_what_it_has_is_not_asked_again_at_once() {
    // A learner that waits for the beginning of its copy refuses whatever it is sent.
    let mut subject = leader(Settings::default(), &table(1, &["a"], &["b"]));
    let refusal = mismatch(&subject, LogPosition::START, 0);
    let effects = hear(&mut subject, 1, refusal);
    assert_eq!(appends(&effects).len(), 0, "the answer would be the same");
    let effects = step(&mut subject, 200, Event::Tick);
    assert_eq!(appends(&effects).len(), 1);
}

#[test]
fn a_walk_back_that_ends_nowhere_ends_in_an_offer() {
    let mut subject = leader(Settings::default(), &table(1, &["a"], &[]));
    for key in [b"k1", b"k2", b"k3", b"k4"] {
        put(&mut subject, 0, key, Expiry::Never);
    }
    step(&mut subject, 0, Event::Table(&table(5, &["a"], &["b"])));
    // Entry 3.4 was committed in a history that was declared lost; here 1.4 stands in its place, and no 3.
    let lost = LogPosition::new(3, 4);
    let refusal = mismatch(&subject, lost, 0);
    let effects = hear(&mut subject, 1, refusal);
    let tried: Vec<_> = appends(&effects).iter().map(|append| append.prev).collect();
    assert_eq!(tried, [LogPosition::new(1, 4)]);
    let refusal = mismatch(&subject, lost, 1);
    let effects = hear(&mut subject, 2, refusal);
    let told = effects.messages.iter().map(|(_, message)| message).collect::<Vec<_>>();
    assert!(matches!(told[..], [Message::Offer(_)]), "{told:?}");
}

#[test]
fn reads_that_nobody_waits_for_are_let_go() {
    let mut subject = leader(Settings::default(), &table(1, &["a", "b"], &[]));
    acknowledge(&mut subject, 0);
    put(&mut subject, 1, b"k", Expiry::Never);
    for (ticket, key, mode) in [(7, b"k", ReadMode::Lease), (8, b"x", ReadMode::Confirmed)] {
        let deadline = Some(Timestamp(100));
        let read = Request { mode, deadline, ..request(ticket, key, Op::Get { key }) };
        assert_eq!(step(&mut subject, 1, Event::Request(read)).responses, []);
    }
    assert_eq!(step(&mut subject, 99, Event::Tick).responses, []);
    let late = |ticket| (Ticket(ticket), "Refused(TooLate)".to_owned());
    assert_eq!(step(&mut subject, 100, Event::Tick).responses, [late(7), late(8)]);
    let written = acknowledge(&mut subject, 101).responses;
    assert_eq!(written.len(), 1, "nothing is left but the write: {written:?}");
}

#[test]
fn an_expired_record_that_is_read_goes_alone() {
    let mut subject = leader(Settings::default(), &table(1, &["a"], &[]));
    for number in 0..200u8 {
        put(&mut subject, 0, &[number], Expiry::AfterMs(10));
    }
    let last = subject.log().last().seq;
    let key = [150];
    let read = request(7, &key, Op::Get { key: &key });
    step(&mut subject, 20, Event::Request(read));
    step(&mut subject, 20, Event::Flush);
    assert_eq!(subject.log().last().seq, last + 1, "the others wait for their tick");
    let removal = subject.log().entry(last + 1).unwrap().effect;
    let cause = isogrid_core::Cause::Expired;
    assert_eq!(removal, Effect::Remove { map: MAP, key: &key, cause });
    assert_eq!(subject.store().total_entries(), 199);
}

#[test]
fn an_answer_to_what_was_never_sent_is_no_lease_and_no_round() {
    let mut subject = leader(Settings::default(), &table(1, &["a", "b"], &[]));
    let (matched, sent_at) = (subject.log().last(), at(3_600_000).ticks);
    let ack = Ack {
        epoch: Epoch(1),
        matched,
        applied: 0,
        sent_at,
        stamp: Ticks(0),
        round: 9,
        complete: true,
    };
    hear(&mut subject, 1, Message::Ack(ack));
    assert!(subject.is_open(), "that it holds the entries is another matter");
    let read = Event::Request(request(7, b"k", Op::Get { key: b"k" }));
    assert_eq!(step(&mut subject, 2, read).responses, [], "there is no lease");
    assert_eq!(step(&mut subject, 2, Event::Flush).responses, [], "the round has just begun");
}

#[test]
fn an_ended_session_is_told_once() {
    let mut subject = leader(Settings::default(), &table(1, &["a", "b"], &[]));
    acknowledge(&mut subject, 0);
    let last = subject.log().last().seq;
    let watermark = SessionId(3);
    let five = [SessionId(5)];
    for ms in [20, 40, 60] {
        step(&mut subject, ms, Event::SessionsEnded { watermark, above: &five });
    }
    assert_eq!(subject.log().last().seq, last + 1, "once, committed or not");
    let both = [SessionId(5), SessionId(7)];
    step(&mut subject, 80, Event::SessionsEnded { watermark, above: &both });
    let Effect::EndSessions(ended) = subject.log().entry(last + 2).unwrap().effect else {
        panic!("sessions end")
    };
    assert_eq!(ended.iter().collect::<Vec<_>>(), [SessionId(7)]);
}

#[test]
fn settings_at_their_ends_are_no_harm() {
    let digest_every = u64::MAX;
    let rare = Settings { digest_every, ..Settings::default() };
    let quiet_ms = rare.digest_ms;
    let mut subject = leader(rare, &table(1, &["a"], &[]));
    step(&mut subject, quiet_ms, Event::Tick);
    put(&mut subject, quiet_ms, b"k", Expiry::Never);
    step(&mut subject, 2 * quiet_ms, Event::Tick);

    let narrow = Settings { in_flight_bytes_max: 0, ..Settings::default() };
    let mut subject = leader(narrow, &table(1, &["a", "b"], &[]));
    acknowledge(&mut subject, 0);
    let effects = put(&mut subject, 1, b"k", Expiry::Never);
    assert_eq!(appends(&effects).len(), 1, "one message may always be under way");
}

#[test]
fn a_late_question_about_a_suspect_adds_no_learner() {
    let vouch = |in_sync: &[&str], learners: &[&str]| {
        let mut subject = leader(Settings::default(), &table(1, in_sync, learners));
        acknowledge(&mut subject, 0);
        assert!(subject.is_open());
        step(&mut subject, 0, Event::Vouch { replica: &name("b") }).proposals.len()
    };
    assert_eq!(vouch(&["a", "b"], &[]), 1, "a member");
    assert_eq!(vouch(&["a"], &["b"]), 0, "it would be added, and nobody would wait for it (R6)");
}

/// A log that keeps little of what nobody wants, in small segments.
fn with_a_small_window() -> Settings {
    let window = WindowLimits { bytes_max: 32 << 10, spare_bytes_max: 1 << 10, age_ms_max: 30_000 };
    Settings { window, ..Settings::default() }
}

/// Some twelve kilobytes of entries, and a moment for the log to be pruned.
fn write_much(subject: &mut Subject, ms: u64) {
    (0..150).for_each(|_| drop(put(subject, ms, b"key", Expiry::Never)));
    step(subject, ms, Event::Tick);
}

#[test]
fn what_nobody_wants_is_dropped() {
    let mut subject = leader(with_a_small_window(), &table(1, &["a"], &[]));
    write_much(&mut subject, 1);
    assert!(subject.log().base().seq > 50, "{}", subject.log().base());
}

#[test]
fn a_member_that_was_removed_finds_what_it_missed_for_a_while() {
    let mut subject = leader(with_a_small_window(), &table(1, &["a", "b"], &[]));
    acknowledge(&mut subject, 1);
    let known = subject.log().last();
    let without = PartitionEntry { ver: 2, ..table(1, &["a"], &[]) };
    step(&mut subject, 1, Event::Table(&without));
    write_much(&mut subject, 2);
    assert_eq!(subject.log().position_of(known.seq), Some(known), "b goes on from there");
    write_much(&mut subject, 40_000);
    assert!(subject.log().base() > known, "it did not come back");
}

#[test]
fn who_takes_over_keeps_the_log_it_has_for_its_predecessor() {
    let mut subject = leader(with_a_small_window(), &table(1, &["a"], &[]));
    put(&mut subject, 1, b"key", Expiry::Never);
    let base = subject.log().base();
    step(&mut subject, 2, Event::Table(&table(2, &["a"], &[])));
    write_much(&mut subject, 3);
    assert_eq!(subject.log().base(), base);
}

#[test]
fn at_rest_is_who_has_nothing_under_way_and_whose_backups_know() {
    let entry = table(1, &["a", "b"], &[]);
    let mut subject = leader(Settings::default(), &entry);
    assert!(!subject.is_at_rest(), "the first entry of the epoch is on its way");
    acknowledge(&mut subject, 10);
    assert!(!subject.is_at_rest(), "b does not know that it is committed");
    step(&mut subject, 20, Event::Tick);
    assert!(subject.is_at_rest());
    for ms in (40..=500).step_by(20) {
        let effects = step(&mut subject, ms, Event::Tick);
        assert_eq!(appends(&effects).len(), 0, "nothing is to be said after {ms} ms");
    }
    put(&mut subject, 510, b"k", Expiry::Never);
    assert!(!subject.is_at_rest(), "a write waits");
    acknowledge(&mut subject, 520);
    assert!(!subject.is_at_rest(), "b does not know");
    step(&mut subject, 540, Event::Tick);
    assert!(subject.is_at_rest());
    let get = request(2, b"k", Op::Get { key: b"k" });
    step(&mut subject, 560, Event::Request(Request { mode: ReadMode::Confirmed, ..get }));
    assert!(!subject.is_at_rest(), "a read waits for a round");
}

#[test]
fn who_hands_over_or_has_a_learner_is_not_at_rest() {
    let mut subject = leader(Settings::default(), &table(1, &["a", "b"], &[]));
    acknowledge(&mut subject, 10);
    step(&mut subject, 20, Event::Tick);
    assert!(subject.is_at_rest());
    step(&mut subject, 30, Event::HandOver { to: &NodeId::new("b") });
    assert!(!subject.is_at_rest());
    let mut subject = leader(Settings::default(), &table(1, &["a", "b"], &["c"]));
    acknowledge(&mut subject, 10);
    step(&mut subject, 20, Event::Tick);
    assert!(!subject.is_at_rest(), "c learns");
}
