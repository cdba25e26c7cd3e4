//! The end of a run: the faults are over, the cluster must become whole again, and the oracles judge what the clients saw.

use std::time::Duration;

use isogrid_core::PartitionId;

use super::invariants;
use super::options::Options;
use super::workload::finals;
use super::world::World;
use crate::client;
use crate::invariant::Violation;
use crate::runner::SeedRun;
use crate::summary::{OperationCounts, Summary};

/// How long the cluster has to become whole after the last fault.
const PEACE: Duration = Duration::from_secs(90);

/// After so many violations a run ends.
const VIOLATIONS_MAX: usize = 5;

/// Runs a seed.
pub(super) fn run(seed: u64, options: &Options) -> SeedRun {
    let mut world = World::new(seed, options);
    let mut invariants = invariants::all();
    let mut violations = Vec::new();
    let end = world.faults_end + Duration::from_millis(500);
    while world.now() < end && violations.len() < VIOLATIONS_MAX && world.step() {
        violations.extend(invariants.check(&world));
    }
    world.heal();
    let deadline = end + PEACE;
    let mut whole_since = None;
    while violations.len() < VIOLATIONS_MAX && world.step() {
        violations.extend(invariants.check(&world));
        let is_quiet = world.clients.iter().all(super::workload::Client::is_idle);
        if is_quiet && invariants::restored::missing(&world).is_none() {
            let since = *whole_since.get_or_insert(world.now());
            if world.now().since(since) > Duration::from_millis(300) {
                break;
            }
        } else {
            whole_since = None;
        }
        if world.now() > deadline {
            if let Some(why) = invariants::restored::missing(&world) {
                violations.push(Violation::new(invariants::restored::RULE, why).at(world.now()));
            }
            break;
        }
    }
    let mut summary = Summary::of_seed(world.paths.clone());
    for timed in world.schedule.faults() {
        summary.count_fault(&timed.fault);
    }
    if violations.is_empty() {
        violations.extend(invariants::end(&world));
        for (id, ..) in std::mem::take(&mut world.losses) {
            world.history.settle_loss(id);
        }
        for partition in invariants::restored::blocked(&world) {
            // Nobody can read it, so nothing is expected of it.
            let now = world.now();
            world.history.declared_loss(partition, 1, now);
        }
        let last = finals(|map, key| read(&world, map, key));
        let (found, undecided) = client::judge(&world.history, &last);
        if !found.is_empty() {
            tell_history(&mut world);
        }
        violations.extend(found);
        summary.undecided = undecided;
    }
    summary.operations = OperationCounts::of(&world.history);
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
