//! The whole kit on a toy: a primary that acknowledges before its backup has the write. One crash at the right moment, and
//! the write is gone; the simulation finds it, makes the schedule small, and replays it.

use std::collections::BTreeMap;
use std::time::Duration;

use isogrid_core::PartitionId;
use isogrid_sim::client::history::{
    ClientId, Finals, History, Invocation, KeyId, Kind, Outcome, Seen, Value, ValueId,
};
use isogrid_sim::client::judge;
use isogrid_sim::network::LinkSettings;
use isogrid_sim::runner::RunSettings;
use isogrid_sim::schedule::{Edge, GenerateSettings, Moment};
use isogrid_sim::{
    Envelope, EventQueue, Fault, Keep, Network, NodeIndex, Profile, Random, Schedule, SeedRun,
    SimTime, Sometimes, Summary, Trace, check_replay, run_seeds, shrink,
};

const PRIMARY: NodeIndex = NodeIndex(0);
const BACKUP: NodeIndex = NodeIndex(1);

enum Event {
    Fault(Moment),
    ClientWrites,
    Delivered(Envelope<(KeyId, Seen)>),
}

/// Two nodes. `waits` is the rule that makes it right: no acknowledgement before the backup has the write.
struct Toy {
    queue: EventQueue<Event>,
    network: Network<(KeyId, Seen)>,
    random: Random,
    primary_is_up: bool,
    backup: BTreeMap<KeyId, Seen>,
    history: History,
    trace: Trace,
    waits: bool,
    writes: u64,
}

impl Toy {
    fn step(&mut self, now: SimTime, event: Event) {
        match event {
            Event::Fault(Moment { edge: Edge::Begin, fault, .. }) => {
                self.trace.note(now, None, "fault", &fault.to_string());
                if let Fault::Crash { node: PRIMARY, .. } | Fault::CrashAll { .. } = fault {
                    self.primary_is_up = false;
                }
            }
            Event::Fault(_) => {}
            // The last seconds are quiet, so that everything on its way arrives.
            Event::ClientWrites if self.primary_is_up && now < SimTime::from_secs(65) => {
                self.write(now);
            }
            Event::ClientWrites => {}
            Event::Delivered(envelope) if self.network.arrives(&envelope) => {
                let (key, seen) = envelope.payload;
                let line = || format!("k{} {seen}", key.0);
                self.trace.record(now, Some(BACKUP), "apply", &(key, seen), line);
                self.backup.insert(key, seen);
            }
            Event::Delivered(_) => {}
        }
    }

    fn write(&mut self, now: SimTime) {
        self.writes += 1;
        let (key, value) = (KeyId(self.random.below(5) as u32), ValueId(self.writes));
        let invocation = Invocation {
            client: ClientId(0),
            key,
            partition: PartitionId(0),
            kind: Kind::Write(value),
        };
        let operation = self.history.invoke(invocation, now);
        let seen = Seen { version: self.writes, value: Value::Written(value) };
        let queue = &mut self.queue;
        let envelope =
            Envelope { from: PRIMARY, to: BACKUP, sent_at: now, bytes: 100, payload: (key, seen) };
        self.network.send(envelope, &mut |at, envelope| {
            queue.push(at, Event::Delivered(envelope));
        });
        // The mistake: the backup has not answered yet. With the rule, nothing here is ever acknowledged.
        if !self.waits {
            self.history.complete(operation, Outcome::Applied(seen), now);
        }
        self.queue.push(now + self.random.delay(Duration::from_millis(50)), Event::ClientWrites);
    }
}

fn schedule_of(seed: u64) -> Schedule {
    let settings = GenerateSettings {
        profile: Profile::Crashes,
        nodes: 2,
        nodes_max: 2,
        ..GenerateSettings::default()
    };
    Schedule::generate(&settings, &Random::new(seed).fork("faults"))
}

fn run(seed: u64, schedule: &Schedule, keep: Keep, waits: bool) -> SeedRun {
    let random = Random::new(seed);
    let slow = LinkSettings { latency_least: Duration::from_millis(40), ..Default::default() };
    let slow = LinkSettings { latency_most: Duration::from_millis(45), ..slow };
    let mut toy = Toy {
        queue: EventQueue::new(),
        network: Network::new(slow, random.fork("network")),
        random: random.fork("clients"),
        primary_is_up: true,
        backup: BTreeMap::new(),
        history: History::new(),
        trace: Trace::new(keep),
        waits,
        writes: 0,
    };
    let mut summary = Summary::of_seed(Sometimes::expecting(&["the primary crashed"]));
    toy.queue.push(SimTime::ZERO, Event::ClientWrites);
    for moment in schedule.moments() {
        if moment.edge == Edge::Begin {
            summary.count_fault(&moment.fault);
        }
        toy.queue.push(moment.at, Event::Fault(moment));
    }
    while let Some((now, event)) = toy.queue.pop_until(SimTime::from_secs(70)) {
        // A dead primary's messages die with it.
        let is_lost = matches!(event, Event::Delivered(_)) && !toy.primary_is_up;
        if !is_lost {
            toy.step(now, event);
        }
    }
    if !toy.primary_is_up {
        summary.paths.reached("the primary crashed");
    }
    let end: Finals = std::mem::take(&mut toy.backup);
    let (violations, undecided) = judge(&toy.history, &end);
    summary.undecided = undecided;
    summary.add_violations(seed, violations);
    summary.events = toy.trace.events();
    SeedRun { summary, trace_hash: toy.trace.hash(), trace: toy.trace.to_text() }
}

#[test]
fn the_mistake_is_found_made_small_and_replayed() {
    let settings = RunSettings { first_seed: 0, seeds: 30, threads: 2, failures_max: u64::MAX };
    let one = |seed| run(seed, &schedule_of(seed), Keep::Nothing, false);
    let all = run_seeds(&settings, &one, &mut |_| ());
    assert!(!all.is_good() && all.paths.never_reached().is_empty(), "{}", all.to_text());

    let seed = all.failed_seeds[0];
    let small = shrink(&schedule_of(seed), 500, &mut |tried| {
        !run(seed, tried, Keep::Nothing, false).summary.is_good()
    });
    assert!(small.is_minimal);
    assert_eq!(small.schedule.len(), 1, "{}", small.schedule);
    assert!(small.schedule.to_string().contains("crash"), "{}", small.schedule);

    // What was printed can be read, edited and run again.
    let read_back: Schedule = small.schedule.to_string().parse().expect("a printed schedule");
    let again = run(seed, &read_back, Keep::Last(5), false);
    assert!(again.trace.contains("fault      crash"), "{}", again.trace);
    assert!(again.summary.violations[0].violation.rule.contains("survive"));
}

#[test]
fn with_the_rule_no_seed_fails() {
    let settings = RunSettings { first_seed: 0, seeds: 30, threads: 2, failures_max: u64::MAX };
    let one = |seed| run(seed, &schedule_of(seed), Keep::Nothing, true);
    let all = run_seeds(&settings, &one, &mut |_| ());
    assert!(all.is_good(), "{}", all.to_text());
}

#[test]
fn every_seed_replays() {
    for seed in 0..100 {
        check_replay(seed, &|seed, keep| run(seed, &schedule_of(seed), keep, false))
            .unwrap_or_else(|differs| panic!("{differs}"));
    }
}
