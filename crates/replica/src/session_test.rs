//! The table of executed requests against a naive fold over the log, and its rules one by one.

use std::collections::BTreeMap;

use isogrid_core::{Hlc, LogPosition, Timestamp, Version};
use proptest::prelude::{Strategy, any, prop, prop_assert, prop_assert_eq, prop_oneof, proptest};

use super::*;
use crate::entry::Kept;

/// One entry of a test's log.
#[derive(Clone, Debug)]
enum Step {
    Request { session: u64, number: u64, first_incomplete: u64, answer: i64 },
    End { watermark: u64, above: Vec<u8> },
    Other,
}

fn request(session: u64, number: u64) -> RequestId {
    RequestId { session: SessionId(session), number }
}

fn answer(number: i64) -> Answer<'static> {
    let value = b"a value of some length".as_slice();
    match number % 7 {
        0 => Answer::Written { old: Kept::Nothing },
        1 => Answer::Deleted { old: Kept::TooLarge },
        2 => Answer::Conflict {
            current: Kept::Entry {
                value,
                version: Version(number.unsigned_abs()),
                expires_at: (number % 2 == 0).then_some(Timestamp(5)),
            },
        },
        3 => Answer::Integer(-number),
        4 => Answer::Float(0.5 - number as f64),
        5 => Answer::Failed(108),
        _ => Answer::Flag(true),
    }
}

fn entry(seq: u64, step: &Step) -> Entry<'_> {
    let (request, answer, effect) = match step {
        Step::Request { session, number, first_incomplete, answer: kind } => {
            let tag = Tag { id: request(*session, *number), first_incomplete: *first_incomplete };
            (Some(tag), answer(*kind), Effect::Nothing)
        }
        Step::End { watermark, above } => {
            let ended = EndedSessions { watermark: SessionId(*watermark), above };
            (None, Answer::None, Effect::EndSessions(ended))
        }
        Step::Other => (None, Answer::None, Effect::Nothing),
    };
    Entry { position: LogPosition::new(1, seq), hlc: Hlc(seq), request, answer, effect }
}

fn asked(session: u64, number: u64, first_incomplete: u64) -> Step {
    Step::Request { session, number, first_incomplete, answer: number.cast_signed() }
}

fn end(watermark: u64, above: &[u64]) -> Step {
    Step::End { watermark, above: above.iter().flat_map(|session| session.to_le_bytes()).collect() }
}

/// What the model knows of a session: first_incomplete, and of each request its entry and its answer.
type Known = (u64, BTreeMap<u64, (u64, i64)>);

/// The table as a fold over committed entries.
#[derive(Default)]
struct Model {
    sessions: BTreeMap<u64, Known>,
    watermark: u64,
    ended: BTreeSet<u64>,
}

impl Model {
    fn of(log: &[Step]) -> Model {
        let mut model = Model::default();
        for (seq, step) in (1..).zip(log) {
            match step {
                Step::Request { session, number, first_incomplete, answer }
                    if !model.has_ended(*session) =>
                {
                    let (first, records) = model.sessions.entry(*session).or_default();
                    *first = (*first).max(*first_incomplete);
                    records.insert(*number, (seq, *answer));
                    records.retain(|number, _| number >= first);
                }
                Step::End { watermark, above } => {
                    model.watermark = model.watermark.max(*watermark);
                    let above = EndedSessions { watermark: SessionId(*watermark), above };
                    model.ended.extend(above.iter().map(|session| session.0));
                    let gone: Vec<u64> =
                        model.sessions.keys().copied().filter(|id| model.has_ended(*id)).collect();
                    gone.iter().for_each(|id| drop(model.sessions.remove(id)));
                }
                Step::Request { .. } | Step::Other => {}
            }
        }
        model
    }

    fn has_ended(&self, session: u64) -> bool {
        session < self.watermark || self.ended.contains(&session)
    }

    fn lookup(&self, session: u64, number: u64) -> Lookup<'static> {
        if self.has_ended(session) {
            return Lookup::UnknownSession;
        }
        let Some((first, records)) = self.sessions.get(&session) else { return Lookup::New };
        match records.get(&number) {
            _ if number < *first => Lookup::Stale,
            Some((seq, kind)) => {
                Lookup::Done { position: LogPosition::new(1, *seq), answer: answer(*kind) }
            }
            None => Lookup::New,
        }
    }
}

/// A step towards a log: only requests that a lookup would let through.
#[derive(Clone, Debug)]
enum Event {
    Request { session: u64, ahead: u64, finished: u64, answer: i64 },
    End { watermark: u64, above: Vec<u64> },
    Other,
    Settle(prop::sample::Index),
    Truncate(prop::sample::Index),
    Snapshot,
}

fn events() -> impl Strategy<Value = Vec<Event>> {
    let event = prop_oneof![
        12 => (1..8u64, 0..6u64, 0..8u64, 0..100i64).prop_map(
            |(session, ahead, finished, answer)| Event::Request { session, ahead, finished, answer }
        ),
        1 => (0..7u64, prop::collection::btree_set(0..9u64, 0..3)).prop_map(
            |(watermark, above)| {
                let above = above.into_iter().filter(|session| *session >= watermark).collect();
                Event::End { watermark, above }
            }
        ),
        1 => proptest::prelude::Just(Event::Other),
        4 => any::<prop::sample::Index>().prop_map(Event::Settle),
        1 => any::<prop::sample::Index>().prop_map(Event::Truncate),
        1 => proptest::prelude::Just(Event::Snapshot),
    ];
    prop::collection::vec(event, 1..100)
}

/// A table fed by a log that is appended to, committed and truncated.
#[derive(Default)]
struct Run {
    sessions: Sessions,
    log: Vec<Step>,
    settled: usize,
}

impl Run {
    fn append(&mut self, step: Step) {
        self.sessions.record(&entry(self.log.len() as u64 + 1, &step));
        self.log.push(step);
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Request { session, ahead, finished, answer } => {
                let first = Model::of(&self.log).sessions.get(&session).map_or(1, |known| known.0);
                let number = first.max(1) + ahead + finished / 2;
                if self.sessions.lookup(request(session, number), 0) == Lookup::New {
                    // A request that was overtaken by others says less than they do.
                    let first_incomplete = (first + finished).saturating_sub(3).min(number);
                    self.append(Step::Request { session, number, first_incomplete, answer });
                }
            }
            Event::End { watermark, above } => self.append(end(watermark, &above)),
            Event::Other => self.append(Step::Other),
            Event::Settle(index) => {
                self.settled += index.index(self.log.len() - self.settled + 1);
                self.sessions.settle(self.settled as u64);
            }
            Event::Truncate(index) => {
                let keep = self.settled + index.index(self.log.len() - self.settled + 1);
                self.log.truncate(keep);
                self.sessions.forget_after(keep as u64);
            }
            Event::Snapshot => {
                let mut bytes = Vec::new();
                self.sessions.encode(&mut bytes);
                let read = Sessions::decode(&bytes).expect("encoded");
                let mut again = Vec::new();
                read.encode(&mut again);
                assert_eq!(bytes, again);
                self.sessions = read;
                for (seq, step) in (1..).zip(&self.log).skip(self.settled) {
                    self.sessions.record(&entry(seq, step));
                }
            }
        }
    }
}

proptest! {
    #[test]
    fn the_table_is_a_fold_over_the_log(events in events()) {
        let mut run = Run::default();
        for event in events {
            run.happen(event);
        }
        // Whatever happened on the way, it is the table of a replica that only saw the committed entries.
        let mut backup = Sessions::default();
        for (seq, step) in (1..).zip(&run.log[..run.settled]) {
            backup.record(&entry(seq, step));
            backup.settle(seq);
        }
        backup.settle(run.settled as u64);
        prop_assert_eq!(backup.digest(), run.sessions.digest());

        let committed = Model::of(&run.log[..run.settled]);
        let all = Model::of(&run.log);
        run.sessions.settle(run.log.len() as u64);
        for session in 0..10 {
            for number in 0..60 {
                let id = request(session, number);
                let found = backup.lookup(id, run.settled as u64);
                prop_assert_eq!(found, committed.lookup(session, number), "{:?}", id);
                let found = run.sessions.lookup(id, run.log.len() as u64);
                prop_assert_eq!(found, all.lookup(session, number), "{:?}", id);
            }
        }
        run.sessions.settle(run.log.len() as u64 + 1);
        let bytes = run.sessions.bytes();
        run.sessions.forget_after(run.log.len() as u64 + 1);
        prop_assert_eq!(run.sessions.bytes(), bytes, "counted as it went");
    }

    #[test]
    fn garbage_is_no_table(events in events(), damage in any::<(prop::sample::Index, u8)>(), cut in any::<prop::sample::Index>()) {
        let mut run = Run::default();
        for event in events {
            run.happen(event);
        }
        let mut bytes = Vec::new();
        run.sessions.encode(&mut bytes);
        prop_assert!(Sessions::decode(&bytes[..cut.index(bytes.len())]).is_err());
        let index = damage.0.index(bytes.len());
        bytes[index] = damage.1;
        if let Ok(read) = Sessions::decode(&bytes) {
            let mut again = Vec::new();
            read.encode(&mut again);
            prop_assert_eq!(again, bytes);
        }
    }
}

/// A table that has taken in these entries, from number one.
fn recorded(steps: &[Step]) -> Sessions {
    let mut sessions = Sessions::default();
    for (seq, step) in (1..).zip(steps) {
        sessions.record(&entry(seq, step));
    }
    sessions
}

#[test]
fn a_retry_is_done_only_once_its_entry_is_committed() {
    let sessions = recorded(&[asked(1, 7, 7)]);
    assert_eq!(sessions.lookup(request(1, 7), 0), Lookup::InProgress { seq: 1 });
    let done = Lookup::Done { position: LogPosition::new(1, 1), answer: answer(7) };
    assert_eq!(sessions.lookup(request(1, 7), 1), done);
    assert_eq!(sessions.lookup(request(1, 6), 1), Lookup::Stale);
    assert_eq!(sessions.lookup(request(1, 8), 1), Lookup::New);
    assert_eq!(sessions.lookup(request(2, 1), 1), Lookup::New);
}

#[test]
fn a_truncated_entry_gives_back_what_it_forgot() {
    let mut sessions = recorded(&[asked(1, 1, 1), asked(1, 2, 1)]);
    sessions.settle(2);
    let before = sessions.digest();
    sessions.record(&entry(3, &asked(1, 3, 3)));
    assert_eq!(sessions.lookup(request(1, 1), 2), Lookup::Stale);
    assert_eq!(sessions.digest(), before, "only settled entries count");
    sessions.forget_after(2);
    assert_eq!(
        sessions.lookup(request(1, 1), 2),
        Lookup::Done { position: LogPosition::new(1, 1), answer: answer(1) }
    );
    assert_eq!(sessions.lookup(request(1, 3), 2), Lookup::New);
    assert_eq!(sessions.digest(), before);
    sessions.record(&entry(3, &asked(2, 1, 1)));
    assert_eq!(sessions.len(), 2);
    sessions.forget_after(2);
    assert_eq!(sessions.len(), 1, "nothing is left of a session that was never committed");
}

#[test]
fn a_session_ends_when_its_entry_is_settled_and_is_never_new_again() {
    let mut sessions = recorded(&[asked(3, 1, 1), asked(5, 1, 1), asked(8, 1, 1), end(4, &[8])]);
    sessions.settle(3);
    assert!(matches!(sessions.lookup(request(8, 1), 3), Lookup::Done { .. }));
    sessions.settle(4);
    for (session, number) in [(8, 1), (8, 2), (3, 1), (2, 1)] {
        let lookup = sessions.lookup(request(session, number), 4);
        assert_eq!(lookup, Lookup::UnknownSession, "{session}");
    }
    assert!(matches!(sessions.lookup(request(5, 1), 4), Lookup::Done { .. }));
    assert_eq!(sessions.lookup(request(9, 1), 4), Lookup::New);
    sessions.record(&entry(5, &asked(8, 3, 1)));
    assert_eq!(sessions.len(), 1);
    sessions.settle(5);
    sessions.record(&entry(6, &end(9, &[])));
    sessions.settle(6);
    assert!(sessions.is_empty());
    assert_eq!(sessions.bytes(), 0);
}

#[test]
fn a_truncated_ending_ends_nobody() {
    let mut sessions = recorded(&[asked(3, 1, 1), end(4, &[])]);
    sessions.forget_after(1);
    sessions.settle(1);
    sessions.record(&entry(2, &Step::Other));
    sessions.settle(2);
    assert!(matches!(sessions.lookup(request(3, 1), 2), Lookup::Done { .. }));
}

#[test]
fn only_what_the_log_does_not_say_is_still_to_be_ended() {
    let of = |numbers: &[u64]| numbers.iter().map(|number| SessionId(*number)).collect::<Vec<_>>();
    let unknown = |sessions: &Sessions, watermark, above: &[u64]| {
        sessions.unknown_endings(SessionId(watermark), &of(above))
    };
    let mut sessions = recorded(&[end(3, &[5, 7])]);
    assert_eq!(unknown(&sessions, 3, &[5, 7]), None, "it is on its way");
    assert_eq!(unknown(&sessions, 3, &[5, 7, 8]), Some(of(&[8])));
    sessions.settle(1);
    assert_eq!(unknown(&sessions, 3, &[5, 7]), None);
    assert_eq!(unknown(&sessions, 3, &[5, 6, 7, 9]), Some(of(&[6, 9])));
    assert_eq!(
        unknown(&sessions, 6, &[7]),
        Some(of(&[])),
        "it is not known of the session before 5"
    );
    assert_eq!(unknown(&sessions, 2, &[]), None, "an old list");
    sessions.record(&entry(2, &end(6, &[])));
    sessions.forget_after(1);
    assert_eq!(unknown(&sessions, 6, &[7]), Some(of(&[])), "it was taken back");
}

#[test]
fn a_session_has_a_limited_number_of_unfinished_requests() {
    let session = SessionId(1);
    let steps: Vec<Step> = (1..=64).map(|number| asked(1, number, 1)).collect();
    let mut sessions = recorded(&steps[..63]);
    assert!(!sessions.is_full(session, 1));
    sessions.record(&entry(64, &steps[63]));
    assert!(sessions.is_full(session, 1));
    assert!(!sessions.is_full(session, 2), "the new request says that one is finished");
    assert!(!sessions.is_full(SessionId(2), 1));
    sessions.record(&entry(65, &asked(1, 65, 60)));
    assert!(!sessions.is_full(session, 1));
    sessions.settle(65);
    let bytes = sessions.bytes();
    sessions.record(&entry(66, &asked(1, 66, 60)));
    assert!(sessions.bytes() < bytes, "what is finished is forgotten");
}

#[test]
#[should_panic(expected = "recorded twice")]
fn an_entry_is_recorded_once() {
    recorded(&[Step::Other]).record(&entry(1, &Step::Other));
}
