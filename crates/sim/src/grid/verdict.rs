//! The end of a run: the faults are over, the cluster must become whole again, and the oracles judge what the clients saw.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use isogrid_cluster::council::Intent;
use isogrid_cluster::steward::CanStop;
use isogrid_core::{NodeId, PartitionId};

use super::history::Histories;
use super::invariants::{self, can_stop, restored};
use super::options::Options;
use super::workload::{Client, MOVING, finals, pairs, value_of};
use super::world::World;
use crate::client;
use crate::client::history::{ClientId, Invocation, Kind, OnSide, Outcome, Seen};
use crate::faults::DiskFate;
use crate::invariant::{Invariants, Violation};
use crate::runner::SeedRun;
use crate::summary::{OperationCounts, Summary};
use crate::time::SimTime;

/// How long the cluster has to become whole after the last fault.
const PEACE: Duration = Duration::from_secs(90);

/// After so many violations a run ends.
const VIOLATIONS_MAX: usize = 5;

/// How long a cluster that is whole may refuse a stop, and how long it needs to be whole again afterwards: a node that
/// flapped takes no copies for up to a minute, and once more after its restart.
const RESTART: Duration = Duration::from_secs(150);

/// A run under way.
struct Trial {
    world: World,
    invariants: Invariants<World>,
    violations: Vec<Violation>,
}

impl Trial {
    /// Takes one step. Says whether the run goes on.
    fn step(&mut self) -> bool {
        if self.violations.len() >= VIOLATIONS_MAX || !self.world.step() {
            return false;
        }
        self.violations.extend(self.invariants.check(&self.world));
        true
    }

    fn run_until(&mut self, end: SimTime) {
        while self.world.now() < end && self.step() {}
    }

    /// Goes on until all is whole and stays so for a while. Says whether that was so before the deadline.
    fn become_whole(&mut self, deadline: SimTime) -> bool {
        let mut whole_since = None;
        while self.step() {
            let now = self.world.now();
            let is_quiet = self.world.clients.iter().all(Client::is_idle);
            let missing = restored::missing(&self.world);
            if is_quiet && missing.is_none() {
                if now.since(*whole_since.get_or_insert(now)) > Duration::from_millis(300) {
                    return true;
                }
            } else {
                whole_since = None;
            }
            if now > deadline {
                self.violations
                    .extend(missing.map(|why| Violation::new(restored::RULE, why).at(now)));
                break;
            }
        }
        false
    }

    /// In a cluster that is whole one node after another can be restarted: here one is. It may not be refused for ever, and
    /// when it is allowed the node is gone at once.
    fn restart_one(&mut self) {
        let nodes = self.world.council.council.nodes().values();
        let staying = nodes.filter(|record| record.is_serving() && record.intent == Intent::Stay);
        let staying: Vec<NodeId> = staying.map(|record| record.member.id.clone()).collect();
        let is_possible = staying.len() > 1 && restored::blocked(&self.world).is_empty();
        let Some(node) = self.world.random.pick(&staying).cloned().filter(|_| is_possible) else {
            return;
        };
        let index = self.world.names[&node];
        let deadline = self.world.now() + RESTART;
        loop {
            let now = self.world.now();
            self.world.want(index, Intent::Restart, now);
            self.run_until(now + Duration::from_millis(400));
            if self.violations.len() >= VIOLATIONS_MAX {
                return;
            }
            match self.world.council.can_stop(&node) {
                CanStop::Yes { .. } => break,
                CanStop::No { blockers } if now > deadline => {
                    let what = format!("{node} is refused for ever: {blockers:?}");
                    return self.violations.push(Violation::new(can_stop::RULE, what).at(now));
                }
                CanStop::No { .. } => {}
            }
        }
        self.world.crash(index, DiskFate::Kept);
        self.run_until(self.world.now() + Duration::from_millis(700));
        self.world.start(index);
        let stays = |world: &World| {
            world.council.council.node(&node).is_some_and(|one| one.intent == Intent::Stay)
        };
        while !stays(&self.world) && self.world.now() < deadline + RESTART {
            let now = self.world.now();
            self.world.want(index, Intent::Stay, now);
            self.run_until(now + Duration::from_millis(300));
        }
        self.become_whole(self.world.now() + RESTART);
    }
}

/// Runs a seed.
pub(super) fn run(seed: u64, options: &Options) -> SeedRun {
    let histories = Rc::new(RefCell::new(Histories::default()));
    let (world, invariants) = (World::new(seed, options), invariants::all(&histories));
    let mut trial = Trial { world, invariants, violations: Vec::new() };
    let end = trial.world.faults_end + Duration::from_millis(500);
    trial.run_until(end);
    trial.world.heal();
    if trial.become_whole(end + PEACE) {
        // With one copy of everything no node that holds something may ever stop.
        if trial.world.drawn.copies > 1 {
            trial.restart_one();
        }
    }
    let Trial { mut world, invariants, mut violations } = trial;
    let mut summary = Summary::of_seed(world.paths.clone());
    for timed in world.schedule.faults() {
        summary.count_fault(&timed.fault);
    }
    if violations.is_empty() {
        for (id, ..) in std::mem::take(&mut world.losses) {
            world.history.settle_loss(id);
        }
        let blocked = restored::blocked(&world);
        world.finish_watches();
        violations.extend(world.judge_watchers(&histories.borrow(), &blocked));
        violations.extend(invariants::end(&world, &histories.borrow(), &blocked));
        for partition in blocked {
            // Nobody can read it, so nothing is expected of it.
            let now = world.now();
            world.history.declared_loss(partition, 1, now);
        }
        let last = finals(|map, key| read(&world, map, key));
        read_pairs(&mut world);
        let (found, undecided) = client::judge(&world.history, &last);
        if !found.is_empty() {
            tell_history(&mut world);
        }
        violations.extend(found);
        summary.undecided = undecided;
    }
    summary.operations = OperationCounts::of(&world.history);
    summary.close_seed();
    summary.checks = invariants.checks();
    summary.events = world.trace.events();
    summary.virtual_ns = world.now().0;
    summary.network = world.network.counts();
    summary.add_violations(seed, violations);
    SeedRun { summary, trace_hash: world.trace.hash(), trace: world.trace.to_text() }
}

/// Puts what the clients saw into the trace, for whoever reads about a violation.
fn tell_history(world: &mut World) {
    let now = world.now();
    for operation in world.history.operations() {
        let partition = operation.partition.0;
        world.trace.note(now, None, "history", &format!("p{partition} {operation}"));
    }
}

/// At last somebody looks at both keys of each pair.
fn read_pairs(world: &mut World) {
    let now = world.now();
    for (key, side, bytes) in pairs() {
        let partition = world.council.council.table().partitions().partition_of_key(&bytes);
        let kind = Kind::OfPair(side, OnSide::Read);
        let invocation = Invocation { client: ClientId(u32::MAX), key, partition, kind };
        let found = read(world, MOVING, &bytes)
            .map(|(version, value)| Seen { version, value: value_of(MOVING, Some(&value)) });
        let id = world.history.invoke(invocation, now);
        world.history.complete(id, Outcome::Applied(found.unwrap_or(Seen::NOTHING)), now);
    }
}

/// A record as its primary has it.
fn read(world: &World, map: isogrid_core::MapId, key: &[u8]) -> Option<(u64, Vec<u8>)> {
    let table = world.council.council.table();
    let partition: PartitionId = table.partitions().partition_of_key(key);
    let owner = table.owner(partition)?;
    let machine = world.machines.get(world.names.get(owner)?)?;
    let held = machine.process.as_ref()?.replicas.get(&partition)?;
    let hash = isogrid_store::hash_key(world.settings.hash_seed, key);
    let entry = held.replica.store().peek(map, hash, key)?;
    let time = world.true_wall_ms();
    let is_expired = entry.expires_at.is_some_and(|at| at.0 <= time);
    (!is_expired).then(|| (entry.version.0, entry.value.to_vec()))
}
