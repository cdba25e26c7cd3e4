//! The log against a plain list of entries, and its rules one by one.

use isogrid_core::{Effect, MapId, Timestamp};
use proptest::prelude::{Strategy, any, prop, prop_assert, prop_assert_eq, prop_oneof, proptest};

use super::*;
use crate::entry::{Answer, Entries};

const LIMITS: WindowLimits =
    WindowLimits { bytes_max: 2_000, spare_bytes_max: 2_000, age_ms_max: 50 };

/// An entry made at millisecond `seq`, with a value of this length.
fn put(epoch: u64, seq: u64, value: &[u8]) -> Entry<'_> {
    Entry {
        position: LogPosition::new(epoch, seq),
        hlc: Hlc(seq << 16),
        request: None,
        answer: Answer::None,
        effect: Effect::Put { map: MapId(1), key: b"key", value, expires_at: None },
    }
}

fn filled(epochs: &[u64]) -> Log {
    let mut log = Log::new(LogPosition::START, LIMITS);
    for (seq, epoch) in (1..).zip(epochs) {
        log.append(&put(*epoch, seq, b"value"));
    }
    log
}

/// All readers are done with everything up to here.
fn passed(seq: u64) -> Passed {
    Passed { required: seq, wanted: seq }
}

/// What may happen to a log.
#[derive(Clone, Debug)]
enum Step {
    Append { epoch_step: u64, value: usize, encoded: bool },
    Truncate(prop::sample::Index),
    PruneTo(prop::sample::Index),
    Prune { commit: prop::sample::Index, required: prop::sample::Index, age: u64 },
    Reset(u64),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let append = || {
        (0..10u64, prop_oneof![0..60usize, 200..600usize], any::<bool>()).prop_map(
            |(dice, value, encoded)| Step::Append {
                epoch_step: dice.saturating_sub(7),
                value,
                encoded,
            },
        )
    };
    let step = prop_oneof![
        12 => append(),
        1 => any::<prop::sample::Index>().prop_map(Step::Truncate),
        1 => any::<prop::sample::Index>().prop_map(Step::PruneTo),
        2 => (any::<prop::sample::Index>(), any::<prop::sample::Index>(), 0..100u64)
            .prop_map(|(commit, required, age)| Step::Prune { commit, required, age }),
        1 => (0..1000u64).prop_map(Step::Reset),
    ];
    prop::collection::vec(step, 1..120)
}

/// The naive log: the base, and every entry as its epoch, number and value.
#[derive(Debug)]
struct Model {
    base: LogPosition,
    entries: Vec<(u64, u64, Vec<u8>)>,
}

impl Model {
    fn last(&self) -> LogPosition {
        self.entries.last().map_or(self.base, |(epoch, seq, _)| LogPosition::new(*epoch, *seq))
    }

    /// A number of the base or of an entry.
    fn pick(&self, index: prop::sample::Index) -> u64 {
        self.base.seq + index.index(self.entries.len() + 1) as u64
    }

    fn prune_to(&mut self, seq: u64) {
        while self.entries.first().is_some_and(|first| first.1 <= seq) {
            let (epoch, seq, _) = self.entries.remove(0);
            self.base = LogPosition::new(epoch, seq);
        }
    }

    fn bytes(&self, after: u64) -> Vec<u8> {
        let mut bytes = Vec::new();
        for (epoch, seq, value) in self.entries.iter().filter(|entry| entry.1 > after) {
            put(*epoch, *seq, value).encode(&mut bytes);
        }
        bytes
    }

    fn position_of(&self, seq: u64) -> Option<LogPosition> {
        let own = self.entries.iter().find(|entry| entry.1 == seq);
        let own = own.map(|(epoch, seq, _)| LogPosition::new(*epoch, *seq));
        own.or((seq == self.base.seq).then_some(self.base))
    }
}

fn step_both(log: &mut Log, model: &mut Model, step: Step) {
    match step {
        Step::Append { epoch_step, value, encoded } => {
            let last = model.last();
            let (epoch, seq) = (last.epoch.0 + epoch_step, last.seq + 1);
            let value = vec![seq as u8; value];
            let entry = put(epoch, seq, &value);
            if encoded {
                let mut bytes = Vec::new();
                entry.encode(&mut bytes);
                assert_eq!(log.append_encoded(&bytes), entry.position);
            } else {
                log.append(&entry);
            }
            model.entries.push((epoch, seq, value));
        }
        Step::Truncate(index) => {
            let seq = model.pick(index);
            log.truncate_after(seq);
            model.entries.retain(|entry| entry.1 <= seq);
        }
        Step::PruneTo(index) => {
            let seq = model.pick(index);
            log.prune_to(seq);
            model.prune_to(seq);
        }
        Step::Prune { commit, required, age } => {
            let commit = model.pick(commit);
            let required = model.pick(required).min(commit);
            let now = Timestamp(log.last().seq + age);
            let (base, bytes) = (log.base().seq, log.bytes());
            let pruned = log.prune(commit, passed(required), now);
            assert_eq!(pruned.entries, log.base().seq - base);
            assert_eq!(pruned.bytes, bytes - log.bytes());
            assert_eq!(pruned.needed, log.base().seq.saturating_sub(required.max(base)));
            assert!(log.base().seq <= commit.max(base), "nothing uncommitted is dropped");
            assert!(pruned.needed == 0 || bytes > LIMITS.bytes_max, "needed, and there was room");
            model.prune_to(log.base().seq);
        }
        Step::Reset(seq) => {
            let base = LogPosition::new(seq / 10, seq);
            log.reset(base);
            *model = Model { base, entries: Vec::new() };
        }
    }
}

fn compare(log: &Log, model: &Model) {
    let segments = log.segments.iter().chain(&log.spare);
    let allocated = segments.map(super::segment::Segment::allocated).sum::<usize>();
    assert_eq!(log.bytes_allocated(), allocated, "the running sum is the sum");
    assert_eq!((log.base(), log.last()), (model.base, model.last()));
    assert_eq!(log.len(), model.entries.len() as u64);
    assert_eq!(log.bytes(), model.bytes(0).len() as u64);
    for seq in log.base().seq.saturating_sub(2)..=log.last().seq + 2 {
        assert_eq!(log.position_of(seq), model.position_of(seq));
        assert_eq!(log.bytes_after(seq), model.bytes(seq).len() as u64);
        let entry = model.entries.iter().find(|entry| entry.1 == seq);
        assert_eq!(log.holds(seq), entry.is_some());
        assert_eq!(log.hlc_of(seq), entry.map(|_| Hlc(seq << 16)));
        assert_eq!(log.entry(seq), entry.map(|(epoch, seq, value)| put(*epoch, *seq, value)));
        let rest = model.entries.iter().filter(|entry| entry.1 >= seq);
        let rest: Vec<_> = rest.map(|(epoch, seq, value)| put(*epoch, *seq, value)).collect();
        assert_eq!(log.iter_from(seq).collect::<Vec<_>>(), rest);
        for epoch in 0..=log.last().epoch.0 + 1 {
            let position = LogPosition::new(epoch, seq);
            let expected = match model.position_of(seq) {
                _ if seq < model.base.seq => Match::TooOld,
                Some(own) if own == position => Match::Yes,
                _ => Match::No,
            };
            assert_eq!(log.matches(position), expected);
            let candidate = (model.base.seq..=seq.min(model.last().seq))
                .filter_map(|seq| model.position_of(seq))
                .rfind(|own| own.epoch <= position.epoch);
            assert_eq!(log.candidate(position), candidate, "for {position}");
        }
    }
}

proptest! {
    #[test]
    fn the_log_is_a_list_of_entries(steps in steps()) {
        let mut log = Log::new(LogPosition::START, LIMITS);
        let mut model = Model { base: LogPosition::START, entries: Vec::new() };
        for step in steps {
            step_both(&mut log, &mut model, step);
        }
        compare(&log, &model);
    }

    #[test]
    fn batches_are_contiguous_and_lose_nothing(steps in steps(), bytes_max in 0..3_000usize) {
        let mut log = Log::new(LogPosition::START, LIMITS);
        let mut model = Model { base: LogPosition::START, entries: Vec::new() };
        for step in steps {
            step_both(&mut log, &mut model, step);
        }
        let through = log.base().seq + log.len() / 2;
        let mut after = log.base().seq;
        let mut all = Vec::new();
        loop {
            let mut batch = Vec::new();
            let last = log.read_through(after, through, bytes_max, &mut batch).expect("held");
            prop_assert!(last <= through);
            prop_assert_eq!(Entries::new(&batch).count() as u64, last - after);
            prop_assert!(batch.len() <= bytes_max || last == after + 1);
            if last == after {
                break;
            }
            // As much as fits: the next entry would have been too much.
            let next = log.encoded(last + 1).map_or(0, <[u8]>::len);
            prop_assert!(last == through || batch.len() + next > bytes_max);
            all.extend_from_slice(&batch);
            after = last;
        }
        prop_assert_eq!(after, through);
        let rest = log.read_batch(through, usize::MAX, &mut all);
        prop_assert_eq!(rest, Some(log.last().seq));
        prop_assert_eq!(all, model.bytes(0));
    }
}

#[test]
fn what_lies_before_the_window_is_not_read() {
    let mut log = filled(&[1, 1, 2, 2, 3]);
    log.prune_to(3);
    assert_eq!(log.base(), LogPosition::new(2, 3));
    let mut out = Vec::new();
    assert_eq!(log.read_batch(2, 1_000, &mut out), None);
    assert_eq!(log.read_batch(3, 1_000, &mut out), Some(5));
    assert_eq!(log.matches(LogPosition::new(1, 2)), Match::TooOld);
    assert_eq!(log.matches(LogPosition::new(2, 3)), Match::Yes);
    assert_eq!(log.matches(LogPosition::new(1, 3)), Match::No);
    assert_eq!(log.matches(LogPosition::new(3, 6)), Match::No);
}

#[test]
fn logs_that_parted_walk_back_by_epochs() {
    let old = filled(&[1, 1, 1, 2, 2, 2, 2]);
    let new = filled(&[1, 1, 1, 3, 3]);
    let candidate = old.candidate(new.last()).expect("held");
    assert_eq!(candidate, LogPosition::new(2, 5));
    let candidate = new.candidate(candidate).expect("held");
    assert_eq!(candidate, LogPosition::new(1, 3));
    assert_eq!(old.matches(candidate), Match::Yes);
}

#[test]
#[should_panic(expected = "1.5 does not follow 1.3")]
fn a_gap_is_refused() {
    filled(&[1, 1, 1]).append(&put(1, 5, b""));
}

#[test]
#[should_panic(expected = "2.4 does not follow 3.3")]
fn an_earlier_epoch_is_refused() {
    filled(&[1, 2, 3]).append(&put(2, 4, b""));
}

#[test]
fn old_entries_go_once_all_required_readers_passed_them() {
    let mut log = filled(&[1; 30]);
    let late = Timestamp(1_000);
    assert_eq!(log.prune(30, passed(0), late), Pruned::default());
    assert_eq!(log.prune(30, passed(30), Timestamp(31)), Pruned::default());
    let pruned = log.prune(30, passed(15), late);
    assert!((5..=15).contains(&pruned.entries), "whole segments: {pruned:?}");
    assert_eq!(pruned.needed, 0);
    log.prune(30, passed(30), late);
    assert!(log.is_empty());
    assert_eq!(log.base(), LogPosition::new(1, 30));
    assert_eq!(log.bytes_allocated(), 0, "an idle log holds no memory");
}

#[test]
fn a_truncated_entry_makes_nothing_younger() {
    let mut log = filled(&[1; 28]);
    log.append(&Entry { hlc: Hlc(900 << 16), ..put(1, 29, b"") });
    log.truncate_after(28);
    log.prune(28, passed(28), Timestamp(900));
    assert!(log.is_empty());
}

#[test]
fn the_byte_bound_holds_whoever_needs_the_entries_but_not_over_the_commit_index() {
    let mut log = filled(&[1; 100]);
    assert!(log.bytes() > LIMITS.bytes_max);
    assert_eq!(log.prune(0, passed(0), Timestamp(1)), Pruned::default());
    let pruned = log.prune(100, passed(3), Timestamp(1));
    assert!(log.bytes() <= LIMITS.bytes_max);
    assert_eq!(pruned.needed, pruned.entries - 3);
}

#[test]
fn what_nobody_wants_goes_at_once_but_for_a_little() {
    let spare_bytes_max = 600;
    let mut log = Log::new(LogPosition::START, WindowLimits { spare_bytes_max, ..LIMITS });
    (1..=30).for_each(|seq| log.append(&put(1, seq, b"value")));
    let before = log.bytes();
    assert!((spare_bytes_max..LIMITS.bytes_max).contains(&before));
    let wanted_by_all = Passed { required: 30, wanted: 0 };
    assert_eq!(log.prune(30, wanted_by_all, Timestamp(31)), Pruned::default());
    let required = Passed { required: 0, wanted: 30 };
    assert_eq!(log.prune(30, required, Timestamp(31)), Pruned::default());
    assert_eq!(log.prune(30, passed(30), Timestamp(31)).needed, 0);
    assert!((1..=spare_bytes_max).contains(&log.bytes()), "{} of {before}", log.bytes());
}

#[test]
fn a_log_in_use_runs_in_the_memory_it_has() {
    let mut log = Log::new(
        LogPosition::START,
        WindowLimits { bytes_max: 1 << 20, spare_bytes_max: 1 << 20, age_ms_max: 0 },
    );
    let value = [7; 100];
    let mut most = 0;
    for seq in 1..=100_000 {
        log.append(&put(1, seq, &value));
        log.prune(seq, passed(0), Timestamp(0));
        most = most.max(log.bytes_allocated());
    }
    assert!(most < (1 << 20) + 4 * SEGMENT_BYTES_MAX, "{most}");
}
