//! Where a value that was read comes from: the operation that wrote it, its version, and what may have removed it.

use std::collections::BTreeMap;

use super::violation;
use crate::client::history::{
    History, KeyId, Kind, Loss, Operation, Outcome, Seen, Value, ValueId,
};
use crate::invariant::Violation;

/// The writes of one partition, found by what a read has in hand.
pub(super) struct Origins<'a> {
    history: &'a History,
    losses: &'a [Loss],
    /// Acknowledged writes by version; several where a loss made the numbers free again.
    by_version: BTreeMap<u64, Vec<&'a Operation>>,
    /// The writer of each value.
    by_value: BTreeMap<(KeyId, ValueId), &'a Operation>,
    /// Acknowledged deletes of each key: version and place of the invocation.
    deletes: BTreeMap<KeyId, BTreeMap<u64, u64>>,
    /// The first unknown delete of each key: place of the invocation.
    unknown_deletes: BTreeMap<KeyId, u64>,
    /// The unknown increments of each key: places of the invocations.
    unknown_increments: BTreeMap<KeyId, Vec<u64>>,
    /// Versions of unknown writes, learned by seeing them.
    learned: BTreeMap<(KeyId, ValueId), u64>,
    /// Results of unknown increments by key and version, learned by seeing them.
    learned_numbers: BTreeMap<KeyId, BTreeMap<u64, i64>>,
}

impl<'a> Origins<'a> {
    pub(super) fn new(
        history: &'a History,
        operations: &[&'a Operation],
        losses: &'a [Loss],
    ) -> Self {
        let mut origins = Origins {
            history,
            losses,
            by_version: BTreeMap::new(),
            by_value: BTreeMap::new(),
            deletes: BTreeMap::new(),
            unknown_deletes: BTreeMap::new(),
            unknown_increments: BTreeMap::new(),
            learned: BTreeMap::new(),
            learned_numbers: BTreeMap::new(),
        };
        for operation in operations {
            origins.add(operation);
        }
        origins
    }

    fn add(&mut self, operation: &'a Operation) {
        let (key, invoked) = (operation.key, operation.invoked);
        if let Some(value) = operation.kind.writes() {
            let other = self.by_value.insert((key, value), operation);
            assert!(other.is_none(), "the workload writes x{} twice to one key", value.0);
        }
        if let Some(seen) = operation.acknowledged_write() {
            self.by_version.entry(seen.version).or_default().push(operation);
            if operation.kind == Kind::Delete {
                // Behind a loss the same number may be given to another delete: the first one counts.
                let first = self.deletes.entry(key).or_default().entry(seen.version);
                first.and_modify(|place| *place = invoked.min(*place)).or_insert(invoked);
                // An earlier try of it may have removed the record in the history that a loss has ended.
                if self
                    .losses
                    .iter()
                    .any(|loss| !loss.is_after(operation) && !loss.is_before(operation))
                {
                    let first = self.unknown_deletes.entry(key).or_insert(invoked);
                    *first = invoked.min(*first);
                }
            }
        } else if operation.outcome == Outcome::Unknown {
            match operation.kind {
                Kind::Delete => {
                    self.unknown_deletes.entry(key).or_insert(invoked);
                }
                Kind::Increment => self.unknown_increments.entry(key).or_default().push(invoked),
                _ => {}
            }
        }
    }

    /// Whether a loss may lie between two uses of one number.
    fn may_be_reused(&self, version: u64) -> bool {
        self.losses.iter().any(|loss| loss.from_seq <= version)
    }

    /// Whether a loss may have taken what the writer was told, so that an earlier try of it counts.
    fn may_be_another_history(&self, writer: &Operation, version: u64) -> bool {
        self.losses.iter().any(|loss| loss.may_take(writer, version))
    }

    fn are_apart(&self, version: u64, one: &Operation, other: &Operation) -> bool {
        self.losses.iter().any(|loss| {
            let could_be_old = |operation| loss.may_take(operation, version);
            let could_be_new = |operation: &Operation| !loss.is_after(operation);
            (could_be_old(one) && could_be_new(other)) || (could_be_old(other) && could_be_new(one))
        })
    }

    /// Acknowledged writes that share a version.
    pub(super) fn repeated_versions(&self) -> Vec<Violation> {
        let mut found = Vec::new();
        for (version, operations) in &self.by_version {
            for pair in operations.windows(2) {
                if !self.are_apart(*version, pair[0], pair[1]) {
                    let what = format!("the same version twice: {} and {}", pair[0], pair[1]);
                    found.push(violation(pair[1], what));
                }
            }
        }
        found
    }

    /// Whether something may have removed the record with this version before the read ended.
    pub(super) fn may_be_removed(&self, read: &Operation, version: u64) -> bool {
        let is_in_time = |invoked: &u64| *invoked < read.completed;
        let deletes = self.deletes.get(&read.key);
        self.history.is_vanishing(read.key)
            || self.unknown_deletes.get(&read.key).is_some_and(is_in_time)
            || deletes
                .is_some_and(|deletes| deletes.range(version + 1..).any(|(_, i)| is_in_time(i)))
    }

    /// The version of an unknown write, if it was seen.
    pub(super) fn learned(&self, operation: &Operation) -> Option<u64> {
        self.learned.get(&(operation.key, operation.kind.writes()?)).copied()
    }

    /// Why this record cannot have been found, if so.
    pub(super) fn explain(&mut self, read: &Operation, seen: Seen) -> Vec<Violation> {
        let wrong = match seen.value {
            Value::Absent => None,
            Value::Written(value) => self.explain_written(read, seen, value),
            Value::Number(number) => self.explain_number(read, seen, number),
        };
        wrong.map(|what| violation(read, format!("{read}, but {what}"))).into_iter().collect()
    }

    fn explain_written(&mut self, read: &Operation, seen: Seen, value: ValueId) -> Option<String> {
        let Some(writer) = self.by_value.get(&(read.key, value)) else {
            return Some(format!("nobody wrote x{} to this key", value.0));
        };
        if writer.invoked > read.completed {
            return Some(format!("that is written only later: {writer}"));
        }
        match writer.outcome {
            Outcome::Applied(written) if written.version == seen.version => None,
            // Tried again after a failover, it stands in two histories; a loss may have brought the other one back.
            Outcome::Applied(written) if self.may_be_another_history(writer, written.version) => {
                None
            }
            Outcome::Applied(_) => Some(format!("it has another version: {writer}")),
            // An earlier try of it may have been applied in a history that a loss has ended.
            Outcome::Conflict(_) if self.may_be_another_history(writer, seen.version) => None,
            Outcome::Conflict(_) | Outcome::NotApplied => {
                Some(format!("that was refused: {writer}"))
            }
            Outcome::Unknown => self.learn(read, seen.version, value),
        }
    }

    fn learn(&mut self, read: &Operation, version: u64, value: ValueId) -> Option<String> {
        let before = self.learned.insert((read.key, value), version);
        if before.is_some_and(|before| before != version && !self.may_be_reused(before)) {
            return Some(format!("it was seen before at v{}", before.unwrap_or_default()));
        }
        let owner = self.by_version.get(&version).and_then(|owners| owners.first());
        match owner {
            Some(owner) if !self.may_be_reused(version) => {
                Some(format!("that version belongs to {owner}"))
            }
            _ => None,
        }
    }

    fn explain_number(&mut self, read: &Operation, seen: Seen, number: i64) -> Option<String> {
        let owners = self.by_version.get(&seen.version).map(Vec::as_slice).unwrap_or_default();
        let fits = |owner: &&Operation| {
            owner.key == read.key && owner.invoked < read.completed && owner.seen() == Some(seen)
        };
        if owners.iter().any(fits) {
            return None;
        }
        if let Some(owner) = owners.first()
            && !self.may_be_reused(seen.version)
        {
            return Some(format!("that version belongs to {owner}"));
        }
        let unknown = self.unknown_increments.get(&read.key).map(Vec::as_slice).unwrap_or_default();
        let possible = unknown.iter().filter(|invoked| **invoked < read.completed).count();
        let is_reusable = self.may_be_reused(seen.version);
        let learned = self.learned_numbers.entry(read.key).or_default();
        let before = learned.insert(seen.version, number);
        if before.is_some_and(|before| before != number && !is_reusable) {
            return Some(format!("that version was {} before", before.unwrap_or_default()));
        }
        (learned.len() > possible && !is_reusable)
            .then(|| format!("only {possible} increments are without an answer"))
    }
}
