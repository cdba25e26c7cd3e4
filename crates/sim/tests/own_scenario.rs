//! A scenario of one's own, as docs/simulation.md explains it: a lock that a server gives away for a second. The holder must
//! stop before the server gives it to the next, whatever the network and the clocks do.

use std::collections::BTreeMap;
use std::time::Duration;

use isogrid_sim::golden::{self, Command};
use isogrid_sim::network::{DisturbanceId, LinkSettings};
use isogrid_sim::runner::RunSettings;
use isogrid_sim::schedule::{Edge, GenerateSettings, Moment};
use isogrid_sim::{
    Envelope, EventQueue, Fault, Invariant, Invariants, Keep, Network, NodeClock, NodeIndex,
    Profile, Random, Schedule, SeedRun, SimTime, Sometimes, Summary, Trace, Violation,
    check_replay, run_seeds, shrink,
};

/// Who gives the lock away; all others want it.
const SERVER: NodeIndex = NodeIndex(0);

/// For how long, by the server's clock.
const GRANTED_FOR: Duration = Duration::from_secs(1);

/// From when, and for how long, a holder trusts its grant, by its own clock.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Rule {
    /// A second from when the grant came. Wrong: it may have been on its way for long.
    FromArrival,
    /// Nine tenths of it from when it was asked for: clocks drift by a tenth at most.
    FromAsking,
}

#[derive(Clone)]
enum Message {
    /// The asker's clock comes along, and back with the grant.
    Ask {
        asked_at: Duration,
    },
    Granted {
        asked_at: Duration,
    },
}

enum Event {
    Fault(Moment),
    Wants(NodeIndex),
    Arrives(Envelope<Message>),
}

/// The world: whatever you want, as long as only the queue, the network, the clocks and the random numbers drive it.
struct Lock {
    queue: EventQueue<Event>,
    network: Network<Message>,
    clocks: BTreeMap<NodeIndex, NodeClock>,
    random: Random,
    trace: Trace,
    rule: Rule,
    /// By the server's clock.
    granted_until: Duration,
    /// By each holder's own clock.
    held_until: BTreeMap<NodeIndex, Duration>,
    disturbances: BTreeMap<(usize, u32), DisturbanceId>,
    grants: u64,
}

impl Lock {
    fn new(seed: u64, schedule: &Schedule, rule: Rule, keep: Keep) -> Lock {
        let random = Random::new(seed);
        let clock = NodeClock::new(SimTime::ZERO, Duration::ZERO);
        let mut lock = Lock {
            queue: EventQueue::new(),
            // Each part has its own stream, so that a change of one does not change the others.
            network: Network::new(LinkSettings::default(), random.fork("network")),
            clocks: (0..4).map(|node| (NodeIndex(node), clock.clone())).collect(),
            random: random.fork("lock"),
            trace: Trace::new(keep),
            rule,
            granted_until: Duration::ZERO,
            held_until: BTreeMap::new(),
            disturbances: BTreeMap::new(),
            grants: 0,
        };
        for moment in schedule.moments() {
            lock.queue.push(moment.at, Event::Fault(moment));
        }
        for node in 1..4 {
            lock.queue.push(SimTime::ZERO, Event::Wants(NodeIndex(node)));
        }
        lock
    }

    fn step(&mut self, now: SimTime, event: Event) {
        match event {
            Event::Fault(moment) => self.fault(&moment, now),
            Event::Wants(node) => {
                let asked_at = self.clocks[&node].monotonic(now);
                self.send(node, SERVER, Message::Ask { asked_at }, now);
                let again = now + self.random.delay(Duration::from_millis(300));
                self.queue.push(again, Event::Wants(node));
            }
            Event::Arrives(envelope) if self.network.arrives(&envelope) => {
                let Envelope { from, to, payload, .. } = envelope;
                let clock = self.clocks[&to].monotonic(now);
                match payload {
                    Message::Ask { asked_at } if clock >= self.granted_until => {
                        self.granted_until = clock + GRANTED_FOR;
                        self.grants += 1;
                        self.trace.note(now, Some(to), "grant", &format!("to {from}"));
                        self.send(to, from, Message::Granted { asked_at }, now);
                    }
                    Message::Ask { .. } => {}
                    Message::Granted { asked_at } => {
                        let until = match self.rule {
                            Rule::FromArrival => clock + GRANTED_FOR,
                            Rule::FromAsking => asked_at + GRANTED_FOR * 9 / 10,
                        };
                        self.trace.note(now, Some(to), "hold", &format!("until {until:?}"));
                        self.held_until.insert(to, until);
                    }
                }
            }
            Event::Arrives(_) => {}
        }
    }

    fn send(&mut self, from: NodeIndex, to: NodeIndex, payload: Message, now: SimTime) {
        let queue = &mut self.queue;
        let envelope = Envelope { from, to, sent_at: now, bytes: 50, payload };
        self.network.send(envelope, &mut |at, envelope| {
            queue.push(at, Event::Arrives(envelope));
        });
    }

    fn fault(&mut self, moment: &Moment, now: SimTime) {
        let begins = moment.edge == Edge::Begin;
        let word = if begins { "begins" } else { "ends" };
        self.trace.note(now, None, "fault", &format!("{word}: {}", moment.fault));
        match &moment.fault {
            Fault::Network(disturbance) if begins => {
                let id = self.network.disturb(disturbance.clone());
                self.disturbances.insert(moment.id, id);
            }
            Fault::Network(_) => {
                let queue = &mut self.queue;
                if let Some(id) = self.disturbances.remove(&moment.id) {
                    self.network.calm(id, now, &mut |at, envelope| {
                        queue.push(at, Event::Arrives(envelope));
                    });
                }
            }
            Fault::DriftClock { node, ppm } => {
                if let Some(clock) = self.clocks.get_mut(node) {
                    clock.set_drift(if begins { *ppm } else { 0 }, now);
                }
            }
            // Faults that mean nothing to this world do nothing.
            _ => {}
        }
    }
}

struct OneHolder;

impl Invariant<Lock> for OneHolder {
    fn name(&self) -> &'static str {
        "one holder at a time"
    }

    fn check(&mut self, lock: &Lock) -> Result<(), Violation> {
        let now = lock.queue.now();
        let holds = |node: &NodeIndex, until: Duration| lock.clocks[node].monotonic(now) < until;
        let holders: Vec<String> = lock
            .held_until
            .iter()
            .filter(|(node, until)| holds(node, **until))
            .map(|(node, _)| node.to_string())
            .collect();
        match holders.len() {
            0 | 1 => Ok(()),
            _ => Err(Violation::new(self.name(), holders.join(" and ")).at(now)),
        }
    }
}

fn run(seed: u64, schedule: &Schedule, rule: Rule, keep: Keep) -> SeedRun {
    let mut lock = Lock::new(seed, schedule, rule, keep);
    let mut invariants = Invariants::default().with(OneHolder);
    let mut summary = Summary::of_seed(Sometimes::expecting(&["the lock changes hands"]));
    while let Some((now, event)) = lock.queue.pop_until(SimTime::from_secs(20)) {
        lock.step(now, event);
        let found = invariants.check(&lock);
        if !found.is_empty() {
            summary.add_violations(seed, found);
            break;
        }
    }
    if lock.held_until.len() > 1 {
        summary.paths.reached("the lock changes hands");
    }
    schedule.faults().iter().for_each(|timed| summary.count_fault(&timed.fault));
    summary.operations.acknowledged = lock.grants;
    summary.checks = invariants.checks();
    summary.events = lock.trace.events();
    SeedRun { summary, trace_hash: lock.trace.hash(), trace: lock.trace.to_text() }
}

fn faults_of(seed: u64) -> Schedule {
    let settings = GenerateSettings {
        profile: Profile::Network,
        nodes: 4,
        nodes_max: 4,
        until: SimTime::from_secs(20),
        ..GenerateSettings::default()
    };
    Schedule::generate(&settings, &Random::new(seed).fork("faults"))
}

#[test]
fn the_careful_rule_holds_and_the_careless_one_is_found_made_small_and_replayed() {
    let settings = RunSettings { first_seed: 1, seeds: 50, threads: 2, failures_max: 50 };
    let all = |rule| {
        let one = move |seed| run(seed, &faults_of(seed), rule, Keep::Nothing);
        run_seeds(&settings, &one, &mut |_| ())
    };
    let careful = all(Rule::FromAsking);
    assert!(careful.is_good(), "{}", careful.to_text());
    assert!(careful.paths.never_reached().is_empty(), "the lock never moved: nothing was tested");

    let seed = all(Rule::FromArrival).failed_seeds[0];
    let faults = faults_of(seed);
    let small = shrink(&faults, 500, &mut |tried| {
        !run(seed, tried, Rule::FromArrival, Keep::Nothing).summary.is_good()
    });
    assert!(small.is_minimal && small.schedule.len() < faults.len() / 4, "{}", small.schedule);
    check_replay(seed, &|seed, keep| run(seed, &small.schedule, Rule::FromArrival, keep))
        .unwrap_or_else(|differs| panic!("{differs}"));
}

/// What a script has said so far.
struct Said {
    seed: u64,
    rule: Rule,
    faults: Vec<String>,
}

impl Said {
    fn execute(&mut self, command: &Command) -> String {
        match command.name.as_str() {
            "seed" => self.seed = command.parse_word(0).expect("a number"),
            "rule" if command.word(0) == Some("from-arrival") => self.rule = Rule::FromArrival,
            "rule" => self.rule = Rule::FromAsking,
            "fault" => self.faults.push(command.word(0).expect("a fault in quotes").to_owned()),
            "run" => {
                let faults = self.faults.join("\n").parse().expect("faults");
                let summary = run(self.seed, &faults, self.rule, Keep::Nothing).summary;
                return match summary.violations.first() {
                    Some(failed) => failed.violation.to_string(),
                    None => format!("{} grants, no violation", summary.operations.acknowledged),
                };
            }
            other => return format!("error: there is no {other}"),
        }
        String::new()
    }
}

#[test]
fn scripts_do_what_they_say() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/own_scenario");
    let mut fresh = || {
        let mut said = Said { seed: 1, rule: Rule::FromAsking, faults: Vec::new() };
        move |command: &Command| said.execute(command)
    };
    let scripts = golden::run_all(folder, &mut fresh);
    assert_eq!(scripts.unwrap_or_else(|(path, error)| panic!("{}: {error}", path.display())), 1);
}

#[test]
fn the_manual_shows_this_code() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/simulation.md");
    let manual = std::fs::read_to_string(path).expect("the manual is there");
    let sources = [include_str!("own_scenario.rs"), include_str!("own_scenario/late_grant.golden")];
    let blocks: Vec<&str> = manual
        .split("```")
        .filter_map(|block| block.strip_prefix("rust\n").or(block.strip_prefix("golden\n")))
        .collect();
    assert!(blocks.len() >= 4, "{} blocks", blocks.len());
    for block in blocks {
        let is_shown = sources.iter().any(|source| source.contains(block.trim_end()));
        assert!(is_shown, "not in tests/own_scenario.rs or its script:\n{block}");
    }
}
