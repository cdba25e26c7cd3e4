//! The operations of all clients, in the order in which they were invoked and answered, and the losses that the cluster
//! declared.

mod text;

use std::collections::{BTreeMap, BTreeSet};

use isogrid_core::PartitionId;

use crate::time::SimTime;

/// A client, which may have several operations open.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ClientId(pub u32);

/// A key. It always lies in the same partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyId(pub u32);

/// A value. No two operations write the same one, so that a value names its writer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ValueId(pub u64);

/// What a key can hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Value {
    /// Nothing.
    Absent,
    /// What one operation wrote.
    Written(ValueId),
    /// A counter.
    Number(i64),
}

/// What an operation saw of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Seen {
    /// The version; of a write that of its log entry, also of one that changed nothing. Zero when a read found nothing.
    pub version: u64,
    /// The value.
    pub value: Value,
}

impl Seen {
    /// No record.
    pub const NOTHING: Seen = Seen { version: 0, value: Value::Absent };
}

/// How old a read may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Freshness {
    /// Not at all: the levels `lease` and `confirmed`.
    Latest,
    /// Not older than this log entry of the partition: `at_least(receipt)`.
    AtLeast(u64),
    /// Any committed state.
    Any,
}

/// What an operation asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// Write a value.
    Write(ValueId),
    /// Remove the record.
    Delete,
    /// Add one; an absent record counts as zero. The answer is the result.
    Increment,
    /// Write a value if the record has the expected one. (A condition on a version is one on the value it names.)
    CompareAndSet {
        /// What must stand there.
        expected: Value,
        /// What is written then.
        value: ValueId,
    },
    /// Read.
    Read(Freshness),
    /// On one of two keys between which records move. The pair is one thing: the operation's key names it, not its side.
    OfPair(Side, OnSide),
}

/// A key of a pair.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Side {
    /// The one.
    Left,
    /// The other.
    Right,
}

/// What an operation asks for on a side of a pair.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum OnSide {
    /// Write a value.
    Write(ValueId),
    /// Remove the record.
    Delete,
    /// Rename: the record moves to the other side. Without one the answer is a conflict with nothing.
    Move {
        /// Only if there is nothing on the other side; if there is, that is the conflict.
        if_absent: bool,
    },
    /// The latest read.
    Read,
}

impl Kind {
    /// The value that it writes.
    pub fn writes(&self) -> Option<ValueId> {
        match self {
            Kind::Write(value)
            | Kind::CompareAndSet { value, .. }
            | Kind::OfPair(_, OnSide::Write(value)) => Some(*value),
            _ => None,
        }
    }

    /// Whether it is about a pair of keys.
    pub fn is_of_pair(&self) -> bool {
        matches!(self, Kind::OfPair(..))
    }

    /// Whether it only looks.
    pub fn is_read(&self) -> bool {
        matches!(self, Kind::Read(_) | Kind::OfPair(_, OnSide::Read))
    }
}

/// How an operation ended for its client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Outcome {
    /// Done. Of a write: its version and what stands there now; of a read: what was found.
    Applied(Seen),
    /// The condition did not hold, for good. With what stood there, if the answer said it.
    Conflict(Option<Seen>),
    /// Proven never to have been applied, nor to be applied later.
    NotApplied,
    /// Nobody knows: it may take effect at any time after its invocation, or never.
    Unknown,
}

/// An operation of a client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Operation {
    /// Who.
    pub client: ClientId,
    /// On which key.
    pub key: KeyId,
    /// Where the key lies.
    pub partition: PartitionId,
    /// What.
    pub kind: Kind,
    /// When it was invoked.
    pub invoked_at: SimTime,
    /// When the client had its answer. `None` while it has none, and for ever when the outcome is unknown.
    pub completed_at: Option<SimTime>,
    /// The answer.
    pub outcome: Outcome,
    /// The place of the invocation among all invocations and answers: exact also within one instant.
    pub invoked: u64,
    /// The place of the answer; `u64::MAX` without one.
    pub completed: u64,
}

impl Operation {
    /// What it saw, if it has an answer that says so.
    pub fn seen(&self) -> Option<Seen> {
        match self.outcome {
            Outcome::Applied(seen) => Some(seen),
            Outcome::Conflict(seen) => seen,
            Outcome::NotApplied | Outcome::Unknown => None,
        }
    }

    /// Of a write that was acknowledged: its version and what it left.
    pub fn acknowledged_write(&self) -> Option<Seen> {
        match self.outcome {
            Outcome::Applied(seen) if !self.kind.is_read() => Some(seen),
            _ => None,
        }
    }

    /// Whether it may or may not have changed something.
    pub fn is_unknown_write(&self) -> bool {
        self.outcome == Outcome::Unknown && !self.kind.is_read()
    }
}

/// An operation of a history, by its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OperationId(usize);

/// A declared loss, by its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LossId(usize);

/// The cluster has declared in its ledger that log entries of a partition may be gone. Their numbers are given again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Loss {
    /// Where.
    pub partition: PartitionId,
    /// The first entry that may be gone.
    pub from_seq: u64,
    /// When it was declared.
    pub at: SimTime,
    /// The place of the declaration among all invocations and answers.
    pub declared: u64,
    /// Up to this place an answer may still come from before the loss.
    pub settled: u64,
}

impl Loss {
    /// Whether an operation has certainly ended before the loss.
    pub fn is_after(&self, operation: &Operation) -> bool {
        operation.completed < self.declared
    }

    /// Whether an operation has certainly begun behind the loss.
    pub fn is_before(&self, operation: &Operation) -> bool {
        operation.invoked > self.settled
    }

    /// Whether what the operation did may have been lost, if it has this version.
    pub fn may_take(&self, operation: &Operation, version: u64) -> bool {
        version >= self.from_seq && !self.is_before(operation)
    }
}

/// The state at the end, by key; a key that is not listed is absent.
pub type Finals = BTreeMap<KeyId, Seen>;

/// All operations of a run.
#[derive(Clone, Debug, Default)]
pub struct History {
    operations: Vec<Operation>,
    losses: Vec<Loss>,
    vanishing: BTreeSet<KeyId>,
    places: u64,
}

/// What is invoked.
#[derive(Clone, Copy, Debug)]
pub struct Invocation {
    /// Who.
    pub client: ClientId,
    /// On which key.
    pub key: KeyId,
    /// Where the key lies.
    pub partition: PartitionId,
    /// What.
    pub kind: Kind,
}

impl History {
    /// Nothing has happened.
    pub fn new() -> Self {
        History::default()
    }

    /// A client begins an operation. Retries belong to it: the invocation is the first, the answer the last.
    pub fn invoke(&mut self, invocation: Invocation, at: SimTime) -> OperationId {
        let Invocation { client, key, partition, kind } = invocation;
        let invoked = self.next_place();
        self.operations.push(Operation {
            client,
            key,
            partition,
            kind,
            invoked_at: at,
            completed_at: None,
            outcome: Outcome::Unknown,
            invoked,
            completed: u64::MAX,
        });
        OperationId(self.operations.len() - 1)
    }

    /// The client has its answer. [`Outcome::Unknown`] leaves the operation open: it may take effect later.
    pub fn complete(&mut self, id: OperationId, outcome: Outcome, at: SimTime) {
        let place = self.next_place();
        let operation = &mut self.operations[id.0];
        assert!(operation.completed_at.is_none(), "an operation is answered once");
        assert!(at >= operation.invoked_at, "an answer comes after its question");
        operation.outcome = outcome;
        if outcome != Outcome::Unknown {
            operation.completed = place;
            operation.completed_at = Some(at);
        }
    }

    /// The cluster declares a loss: entries from `from_seq` on may be gone, and their numbers are given again.
    pub fn declared_loss(&mut self, partition: PartitionId, from_seq: u64, at: SimTime) -> LossId {
        let declared = self.next_place();
        self.losses.push(Loss { partition, from_seq, at, declared, settled: declared });
        LossId(self.losses.len() - 1)
    }

    /// Until now an answer may still have come from before the loss: a primary that did not yet know it was deposed. Without
    /// this a loss is settled when it is declared.
    pub fn settle_loss(&mut self, id: LossId) {
        self.losses[id.0].settled = self.next_place();
    }

    /// The record of this key may vanish by itself: it expires, or may be evicted.
    pub fn may_vanish(&mut self, key: KeyId) {
        self.vanishing.insert(key);
    }

    /// Whether the record of this key may vanish by itself.
    pub fn is_vanishing(&self, key: KeyId) -> bool {
        self.vanishing.contains(&key)
    }

    /// All operations, by invocation.
    pub fn operations(&self) -> &[Operation] {
        &self.operations
    }

    /// The losses of a partition, by declaration.
    pub fn losses(&self, partition: PartitionId) -> impl Iterator<Item = &Loss> {
        self.losses.iter().filter(move |loss| loss.partition == partition)
    }

    /// The operations of each key, by invocation.
    pub fn by_key(&self) -> BTreeMap<KeyId, Vec<&Operation>> {
        let mut by_key: BTreeMap<KeyId, Vec<&Operation>> = BTreeMap::new();
        for operation in &self.operations {
            by_key.entry(operation.key).or_default().push(operation);
        }
        by_key
    }

    /// The operations of each partition, by invocation.
    pub fn by_partition(&self) -> BTreeMap<PartitionId, Vec<&Operation>> {
        let mut by_partition: BTreeMap<PartitionId, Vec<&Operation>> = BTreeMap::new();
        for operation in &self.operations {
            by_partition.entry(operation.partition).or_default().push(operation);
        }
        by_partition
    }

    fn next_place(&mut self) -> u64 {
        self.places += 1;
        self.places
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::history_for_tests::{Recorder, read, write};

    #[test]
    fn operations_of_one_instant_keep_their_order() {
        let mut history = Recorder::default();
        history.done(0, write(1), 1, Value::Written(ValueId(1)));
        history.done(0, read(), 1, Value::Written(ValueId(1)));
        let operations = history.0.operations();
        assert_eq!(operations[0].invoked_at, operations[1].invoked_at);
        assert!(operations[0].completed < operations[1].invoked);
    }

    #[test]
    fn an_unknown_outcome_stays_open() {
        let mut history = Recorder::default();
        let id = history.invoke(0, write(1));
        history.0.complete(id, Outcome::Unknown, SimTime::ZERO);
        let operation = &history.0.operations()[0];
        assert_eq!((operation.completed, operation.completed_at), (u64::MAX, None));
        assert_eq!(operation.to_string(), "c0 k0 write x1 [0.000s..]: unknown");
    }

    #[test]
    fn operations_are_found_by_key_and_by_partition() {
        let mut history = Recorder::default();
        for key in [3, 1, 3] {
            history.invoke(key, Kind::Delete);
        }
        let sizes: Vec<usize> = history.0.by_key().values().map(Vec::len).collect();
        assert_eq!(sizes, [1, 2]);
        assert_eq!(history.0.by_partition().len(), 1);
    }
}
