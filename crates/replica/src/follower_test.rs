//! Tests of what a follower takes from a primary: what is damaged, or of another time, does no harm.

use std::sync::Arc;

use isogrid_core::{Effect, Hlc, Incarnation, Limits, NodeId, PartitionEntry, PartitionId};
use isogrid_store::Partition;

use super::*;
use crate::Replica as Subject;
use crate::effects::Recorded;
use crate::entry::{Answer, Entry};
use crate::event::Event;
use crate::message::{Chunk, Content, Offer, Piece};
use crate::replica::RoleName;
use crate::session::Sessions;
use crate::settings::Settings;

fn name(node: &str) -> Replica {
    Replica { node: NodeId::new(node), incarnation: Incarnation(1) }
}

fn table(epoch: u64, primary: &str, in_sync: &[&str], learners: &[&str]) -> PartitionEntry {
    PartitionEntry {
        epoch: Epoch(epoch),
        ver: epoch as u32,
        primary: Some(NodeId::new(primary)),
        in_sync: in_sync.iter().map(|node| name(node)).collect(),
        learners: learners.iter().map(|node| name(node)).collect(),
        ..PartitionEntry::default()
    }
}

/// The replica of node b.
fn subject(entry: &PartitionEntry) -> Subject {
    let store = Partition::new(PartitionId(0), 42, &Limits::default());
    let settings = Arc::new(Settings { hash_seed: 42, ..Settings::default() });
    let mut subject = Subject::new(name("b"), store, settings, Now::default());
    subject.step(Event::Table(entry), Now::default(), &mut Recorded::default());
    subject
}

/// Entries that change nothing.
fn append(epoch: u64, prev: (u64, u64), entries: &[(u64, u64)], commit: u64) -> Append {
    let mut bytes = Vec::new();
    for (epoch, seq) in entries {
        let position = LogPosition::new(*epoch, *seq);
        let (hlc, answer, effect) = (Hlc(*seq), Answer::None, Effect::Nothing);
        Entry { position, hlc, request: None, answer, effect }.encode(&mut bytes);
    }
    let prev = LogPosition::new(prev.0, prev.1);
    Append { epoch: Epoch(epoch), prev, entries: bytes, commit, ..Append::default() }
}

fn hear(subject: &mut Subject, from: &str, message: Message) -> Vec<Message> {
    let mut effects = Recorded::default();
    let event = Event::Receive { from: &name(from), to: Incarnation(1), message };
    subject.step(event, Now::default(), &mut effects);
    effects.messages.into_iter().map(|(_, message)| message).collect()
}

#[test]
fn an_entry_of_an_earlier_epoch_than_the_one_before_it_is_not_taken() {
    let mut subject = subject(&table(5, "a", &["a", "b"], &[]));
    let first = append(5, (0, 0), &[(2, 1), (4, 2), (5, 3)], 1);
    hear(&mut subject, "a", Message::Append(first));
    let answers = hear(&mut subject, "a", Message::Append(append(5, (4, 2), &[(3, 3)], 1)));
    assert!(matches!(answers[..], [Message::Ack(_)]), "{answers:?}");
    assert_eq!(subject.log().last(), LogPosition::new(5, 3), "nothing is cut off for it");
    hear(&mut subject, "a", Message::Append(append(5, (5, 3), &[(4, 4)], 1)));
    assert_eq!(subject.log().last(), LogPosition::new(5, 3));
}

#[test]
fn a_commit_index_beyond_a_log_that_began_anew_is_not_believed() {
    let mut subject = subject(&table(1, "a", &["a"], &["b"]));
    let entries: Vec<_> = (1..=9).map(|seq| (1, seq)).collect();
    hear(&mut subject, "a", Message::Append(append(1, (0, 0), &entries, 3)));
    let (epoch, runs) = (Epoch(1), Vec::new());
    let (base, last) = (LogPosition::new(1, 20), LogPosition::new(1, 30));
    let offer = Offer { epoch, loss_generation: 0, base, runs, last };
    let asked = hear(&mut subject, "a", Message::Offer(offer));
    assert_eq!(asked, [Message::Pull { epoch, piece: Piece::Start }]);
    // The answer to an earlier question, which was long on its way.
    let mut sessions = Vec::new();
    Sessions::new(5).encode(&mut sessions);
    let chunk = Chunk {
        epoch,
        loss_generation: 0,
        piece: Piece::Start,
        as_of: LogPosition::new(1, 5),
        content: Content::Start { sessions, hlc: Hlc(5) },
        total: (0, 0),
    };
    hear(&mut subject, "a", Message::Chunk(Box::new(chunk)));
    hear(&mut subject, "a", Message::Append(append(1, (1, 5), &[(1, 6)], 8)));
    assert_eq!((subject.commit(), subject.log().last()), (6, LogPosition::new(1, 6)));
}

#[test]
fn an_offer_that_makes_no_sense_leads_to_a_copy() {
    let mut subject = subject(&table(1, "a", &["a"], &["b"]));
    let entries = [(1, 1), (1, 2), (1, 3)];
    hear(&mut subject, "a", Message::Append(append(1, (0, 0), &entries, 3)));
    let runs = vec![LogPosition::new(1, 1), LogPosition::new(2, 0)];
    let (base, last) = (LogPosition::START, LogPosition::new(2, 9));
    let offer = Offer { epoch: Epoch(1), loss_generation: 1, base, runs, last };
    let asked = hear(&mut subject, "a", Message::Offer(offer));
    assert!(matches!(asked[..], [Message::Pull { .. }]), "{asked:?}");
}

/// A backup whose data were found to differ from those of its primary, a.
fn differing() -> Subject {
    let mut subject = subject(&table(1, "a", &["a", "b", "c"], &[]));
    let digest = Some(DigestAt { seq: 1, data: 1, sessions: None });
    let first = Append { digest, ..append(1, (0, 0), &[(1, 1)], 1) };
    let answers = hear(&mut subject, "a", Message::Append(first));
    assert!(matches!(answers[..], [Message::Differs { .. }, Message::Ack(_)]), "{answers:?}");
    assert!(!subject.is_complete());
    subject
}

#[test]
fn data_that_agree_with_the_next_primary_are_whole_again() {
    let mut subject = differing();
    let event = table(2, "c", &["a", "b", "c"], &[]);
    subject.step(Event::Table(&event), Now::default(), &mut Recorded::default());
    for (seq, sessions) in [(2, None), (3, Some(Sessions::new(3).digest()))] {
        let digest = Some(DigestAt { seq, data: subject.store().digest(), sessions });
        let prev = subject.log().last();
        let next = append(2, (prev.epoch.0, prev.seq), &[(2, seq)], seq);
        hear(&mut subject, "c", Message::Append(Append { digest, ..next }));
        assert_eq!(subject.is_complete(), sessions.is_some(), "the sessions may differ");
    }
}

#[test]
fn who_leads_has_the_data_whomever_they_differed_from() {
    let mut subject = differing();
    for (epoch, primary) in [(2, "b"), (3, "c")] {
        let event = table(epoch, primary, &["b", "c"], &[]);
        subject.step(Event::Table(&event), Now::default(), &mut Recorded::default());
    }
    assert_eq!((subject.role(), subject.is_complete()), (RoleName::Backup, true));
}

/// A learner whose data were found to differ, and the message of a primary after a declared loss that it cannot place.
fn differing_after_a_loss() -> (Subject, Append) {
    let mut subject = differing();
    let lost = PartitionEntry { loss_generation: 1, ..table(2, "c", &["c"], &["b"]) };
    subject.step(Event::Table(&lost), Now::default(), &mut Recorded::default());
    (subject, Append { loss_generation: 1, ..append(2, (2, 1), &[], 1) })
}

#[test]
fn data_that_differ_are_not_compared_with_those_of_another_history() {
    let (mut subject, other_history) = differing_after_a_loss();
    let answers = hear(&mut subject, "c", Message::Append(other_history));
    assert!(matches!(answers[..], [Message::Mismatch(_)]), "{answers:?}");
    let (epoch, runs) = (Epoch(2), vec![LogPosition::new(2, 1)]);
    let (base, last) = (LogPosition::START, LogPosition::new(2, 1));
    let offer = Offer { epoch, loss_generation: 1, base, runs, last };
    let asked = hear(&mut subject, "c", Message::Offer(offer));
    assert_eq!(asked, [Message::Pull { epoch, piece: Piece::Start }], "nothing less mends them");
}

#[test]
fn data_that_differ_are_compared_once_the_log_is_of_the_new_history() {
    let (mut subject, _) = differing_after_a_loss();
    let fits = Append { loss_generation: 1, ..append(2, (1, 1), &[(2, 2)], 2) };
    let answers = hear(&mut subject, "c", Message::Append(fits));
    let asks = |answer: &Message| matches!(answer, Message::Pull { piece: Piece::Buckets, .. });
    assert!(answers.iter().any(asks), "{answers:?}");
}

#[test]
fn a_copy_of_a_history_that_is_declared_lost_begins_anew() {
    let mut subject = subject(&table(1, "a", &["a"], &["b"]));
    let (epoch, runs) = (Epoch(1), Vec::new());
    let (base, last) = (LogPosition::new(1, 4), LogPosition::new(1, 5));
    hear(&mut subject, "a", Message::Offer(Offer { epoch, loss_generation: 0, base, runs, last }));
    let mut sessions = Vec::new();
    Sessions::new(5).encode(&mut sessions);
    let chunk = Chunk {
        epoch,
        loss_generation: 0,
        piece: Piece::Start,
        as_of: LogPosition::new(1, 5),
        content: Content::Start { sessions, hlc: Hlc(5) },
        total: (1, 1),
    };
    let asked = hear(&mut subject, "a", Message::Chunk(Box::new(chunk)));
    assert!(matches!(&asked[..], [Message::Pull { piece: Piece::Records(_), .. }]), "{asked:?}");
    // A suspect leads now. Its log is as long as this one, but no piece of the old history goes with those of the new one.
    let fits = Append { loss_generation: 1, ..append(2, (1, 5), &[(2, 6)], 6) };
    let answers = hear(&mut subject, "c", Message::Append(fits));
    let asks = |answer: &Message| matches!(answer, Message::Pull { piece: Piece::Start, .. });
    assert!(answers.iter().any(asks), "{answers:?}");
}

/// A backup that keeps its data on disk.
fn durable() -> Subject {
    let mut subject = subject(&table(1, "a", &["a", "b"], &[]));
    let settings = Settings { hash_seed: 42, durable: true, ..Settings::default() };
    subject.configure(Arc::new(settings));
    subject
}

fn persist(subject: &mut Subject, seq: u64) -> Vec<Message> {
    let mut effects = Recorded::default();
    let event = Event::Persisted(LogPosition::new(1, seq));
    subject.step(event, Now::default(), &mut effects);
    effects.messages.into_iter().map(|(_, message)| message).collect()
}

fn acknowledged(messages: &[Message]) -> Vec<u64> {
    let matched = |message: &Message| match message {
        Message::Ack(ack) => Some(ack.matched.seq),
        _ => None,
    };
    messages.iter().filter_map(matched).collect()
}

#[test]
fn with_a_disk_an_entry_is_acknowledged_once_when_it_is_there() {
    let mut subject = durable();
    let mut acks = Vec::new();
    for seq in 1..=100 {
        let prev = if seq == 1 { (0, 0) } else { (1, seq - 1) };
        let message = Message::Append(append(1, prev, &[(1, seq)], seq - 1));
        acks.extend(acknowledged(&hear(&mut subject, "a", message)));
        acks.extend(acknowledged(&persist(&mut subject, seq)));
    }
    let expected: Vec<u64> = (0..=100).collect();
    assert_eq!(acks, expected, "the first word of the primary is answered at once");
}

#[test]
fn what_the_primary_wants_to_know_does_not_wait_for_the_disk() {
    let mut subject = durable();
    let mut answer = |append: Append, ticks_ms: u64| {
        let now = Now { ticks: Ticks(0).plus_ms(ticks_ms), ..Now::default() };
        let mut effects = Recorded::default();
        let message = Message::Append(append);
        let event = Event::Receive { from: &name("a"), to: Incarnation(1), message };
        subject.step(event, now, &mut effects);
        let messages: Vec<_> = effects.messages.into_iter().map(|(_, message)| message).collect();
        acknowledged(&messages)
    };
    assert_eq!(answer(append(1, (0, 0), &[(1, 1)], 0), 1), [0], "it has not been heard before");
    assert!(answer(append(1, (1, 1), &[(1, 2)], 0), 2).is_empty());
    assert_eq!(answer(append(1, (1, 2), &[], 0), 2), [0], "without entries it is a question");
    let round = Append { round: 1, ..append(1, (1, 2), &[(1, 3)], 0) };
    assert_eq!(answer(round.clone(), 3), [0], "a read waits for the round");
    assert!(answer(round.clone(), 3 + ACK_WAIT_MS - 1).is_empty());
    assert_eq!(answer(round, 3 + ACK_WAIT_MS), [0], "so long leases do not wait");
}
