//! Versions against real time, for all operations in O(n log n).
//!
//! 1. No two acknowledged writes of a partition have the same version.
//! 2. A write gets a larger version than everything acknowledged in its partition before it was invoked.
//! 3. A latest read gives a version at least as large as everything acknowledged or read of its key before it was invoked;
//!    a read at least as new as a receipt, everything of the key up to it; and nothing only after a delete.
//! 4. What is read was written by an operation that had been invoked, has that version, and was not refused.
//!
//! Of pairs of keys, between which records move, only the first two are checked here.
//!
//! An unknown write may appear or not, and has one version once it was seen. A declared loss lowers what is expected to what
//! lies before it, also for operations that were open when it was declared.

mod origin;

use std::collections::BTreeMap;

use isogrid_core::PartitionId;

use super::history::{Freshness, History, KeyId, Kind, Loss, Operation, Outcome, Value};
use crate::invariant::Violation;
use origin::Origins;

/// The name of the rule in violations.
pub const RULE: &str = "versions agree with real time";

/// Everything in this history that no correct store could have answered.
pub fn check(history: &History) -> Vec<Violation> {
    let mut violations = Vec::new();
    for (partition, operations) in history.by_partition() {
        let losses: Vec<Loss> = history.losses(partition).copied().collect();
        let mut sweep = Sweep::new(history, partition, &operations, &losses);
        sweep.run();
        violations.append(&mut sweep.violations);
    }
    violations
}

pub(super) fn violation(operation: &Operation, what: String) -> Violation {
    let at = operation.completed_at.unwrap_or(operation.invoked_at);
    Violation::new(RULE, what).at(at)
}

/// What is certain at a moment of the sweep.
#[derive(Default)]
struct Certain {
    /// The largest version acknowledged or read in the partition.
    partition: u64,
    /// Of each key, what was acknowledged or read, by version. All of it, because a loss takes the end away.
    keys: BTreeMap<KeyId, BTreeMap<u64, Value>>,
}

/// What an operation must not fall behind, taken when it was invoked.
#[derive(Clone, Copy)]
struct Floor {
    partition: u64,
    /// The version of the key and its value.
    key: Option<(u64, Value)>,
}

struct Sweep<'a> {
    operations: &'a [&'a Operation],
    losses: &'a [Loss],
    origins: Origins<'a>,
    certain: Certain,
    floors: Vec<Floor>,
    violations: Vec<Violation>,
}

#[derive(Clone, Copy)]
enum Step {
    Invoke(usize),
    Complete(usize),
    Declare(usize),
}

impl<'a> Sweep<'a> {
    fn new(
        history: &'a History,
        partition: PartitionId,
        operations: &'a [&'a Operation],
        losses: &'a [Loss],
    ) -> Self {
        debug_assert!(operations.iter().all(|operation| operation.partition == partition));
        Sweep {
            operations,
            losses,
            origins: Origins::new(history, operations, losses),
            certain: Certain::default(),
            floors: vec![Floor { partition: 0, key: None }; operations.len()],
            violations: Vec::new(),
        }
    }

    fn run(&mut self) {
        self.violations.append(&mut self.origins.repeated_versions());
        let mut steps: Vec<(u64, Step)> = Vec::new();
        for (index, operation) in self.operations.iter().enumerate() {
            steps.push((operation.invoked, Step::Invoke(index)));
            if operation.completed != u64::MAX {
                steps.push((operation.completed, Step::Complete(index)));
            }
        }
        let declared = self.losses.iter().enumerate();
        steps.extend(declared.map(|(index, loss)| (loss.declared, Step::Declare(index))));
        steps.sort_by_key(|(place, _)| *place);
        for (_, step) in steps {
            match step {
                Step::Invoke(index) => self.floors[index] = self.floor_of(self.operations[index]),
                Step::Complete(index) => self.complete(index),
                Step::Declare(index) => self.lose(self.losses[index].from_seq),
            }
        }
        self.check_unknown_writes();
    }

    /// The smallest number that a loss may take from under this operation: what lies there is not certain for it.
    fn doubt_of(&self, operation: &Operation) -> u64 {
        let open = |loss: &&Loss| !loss.is_after(operation) && !loss.is_before(operation);
        self.losses.iter().filter(open).map(|loss| loss.from_seq).min().unwrap_or(u64::MAX)
    }

    fn floor_of(&self, operation: &Operation) -> Floor {
        let doubt = self.doubt_of(operation);
        let up_to = match operation.kind {
            Kind::Read(Freshness::Any) => 0,
            Kind::Read(Freshness::AtLeast(seq)) => doubt.min(seq.saturating_add(1)),
            _ => doubt,
        };
        let key = self.certain.keys.get(&operation.key);
        let newest = key.and_then(|versions| versions.range(..up_to).next_back());
        Floor {
            partition: self.certain.partition.min(doubt.saturating_sub(1)),
            key: newest.map(|(version, value)| (*version, *value)),
        }
    }

    fn complete(&mut self, index: usize) {
        let operation = self.operations[index];
        let Some(seen) = operation.seen() else { return };
        let floor = self.floors[index];
        if operation.acknowledged_write().is_some() && seen.version <= floor.partition {
            let before = floor.partition;
            let what = format!("{operation}, but v{before} was acknowledged before it began");
            self.violations.push(violation(operation, what));
        }
        if operation.kind.is_of_pair() {
            // Its values move, with new versions: what is read there is left to the exact check.
            if operation.acknowledged_write().is_some() {
                self.remember_in_partition(operation, seen.version);
            }
            return;
        }
        if operation.acknowledged_write().is_none() {
            self.check_found(operation, floor);
        }
        self.remember(operation, seen.version, seen.value);
    }

    /// What a read or a conflict found.
    fn check_found(&mut self, operation: &'a Operation, floor: Floor) {
        let Some(seen) = operation.seen() else { return };
        if seen.value == Value::Absent {
            if let Some((version, value)) = floor.key
                && value != Value::Absent
                && !self.origins.may_be_removed(operation, version)
            {
                let what = format!("{operation}, but {value} at v{version} was known before");
                self.violations.push(violation(operation, what));
            }
            return;
        }
        if let Some((version, _)) = floor.key
            && seen.version < version
        {
            let what = format!("{operation}: stale, v{version} was known before it began");
            self.violations.push(violation(operation, what));
        }
        self.violations.extend(self.origins.explain(operation, seen));
    }

    fn remember(&mut self, operation: &Operation, version: u64, value: Value) {
        // A replica that does not know of a loss gives old reads old answers, which say nothing about what is there now.
        let is_old_read = matches!(operation.kind, Kind::Read(f) if f != Freshness::Latest);
        if is_old_read && !self.losses.is_empty() {
            return;
        }
        let is_read_of_nothing = operation.acknowledged_write().is_none() && value == Value::Absent;
        let doubt = self.remember_in_partition(operation, version);
        if !is_read_of_nothing && version < doubt {
            self.certain.keys.entry(operation.key).or_default().insert(version, value);
        }
    }

    /// Returns from which number on nothing is certain for the operation.
    fn remember_in_partition(&mut self, operation: &Operation, version: u64) -> u64 {
        let doubt = self.doubt_of(operation);
        self.certain.partition = self.certain.partition.max(version.min(doubt.saturating_sub(1)));
        doubt
    }

    fn lose(&mut self, from_seq: u64) {
        self.certain.partition = self.certain.partition.min(from_seq.saturating_sub(1));
        for versions in self.certain.keys.values_mut() {
            versions.split_off(&from_seq);
        }
    }

    /// Unknown writes that were seen have a version too.
    fn check_unknown_writes(&mut self) {
        for (index, operation) in self.operations.iter().enumerate() {
            if operation.outcome != Outcome::Unknown {
                continue;
            }
            let Some(version) = self.origins.learned(operation) else { continue };
            let before = self.floors[index].partition;
            if version <= before {
                let what = format!(
                    "{operation} has v{version}, but v{before} was acknowledged before it began"
                );
                self.violations.push(violation(operation, what));
            }
        }
    }
}

#[cfg(test)]
#[path = "version_oracle_test.rs"]
mod tests;
