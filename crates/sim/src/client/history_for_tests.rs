//! Short words to write a history by hand.

use isogrid_core::PartitionId;

use super::history::{
    ClientId, Freshness, History, Invocation, KeyId, Kind, OperationId, Outcome, Seen, Value,
    ValueId,
};
use crate::invariant::Violation;
use crate::time::SimTime;

/// The partition of every key here.
pub(crate) const PARTITION: PartitionId = PartitionId(0);

/// A history that writes itself down shortly. All keys lie in one partition, and no time passes: the order counts.
#[derive(Default)]
pub(crate) struct Recorder(pub(crate) History);

impl Recorder {
    pub(crate) fn invoke(&mut self, key: u32, kind: Kind) -> OperationId {
        let invocation =
            Invocation { client: ClientId(0), key: KeyId(key), partition: PARTITION, kind };
        self.0.invoke(invocation, SimTime::ZERO)
    }

    pub(crate) fn answer(&mut self, id: OperationId, version: u64, value: Value) {
        self.0.complete(id, Outcome::Applied(Seen { version, value }), SimTime::ZERO);
    }

    /// An operation with its answer, nothing in between.
    pub(crate) fn done(&mut self, key: u32, kind: Kind, version: u64, value: Value) {
        let id = self.invoke(key, kind);
        self.answer(id, version, value);
    }

    /// A write with its answer.
    pub(crate) fn wrote(&mut self, key: u32, value: u64, version: u64) {
        self.done(key, write(value), version, x(value));
    }

    /// A latest read with its answer.
    pub(crate) fn saw(&mut self, key: u32, value: Value, version: u64) {
        self.done(key, read(), version, value);
    }

    /// An operation without an answer.
    pub(crate) fn unknown(&mut self, key: u32, kind: Kind) {
        self.invoke(key, kind);
    }

    pub(crate) fn ended(&mut self, key: u32, kind: Kind, outcome: Outcome) {
        let id = self.invoke(key, kind);
        self.0.complete(id, outcome, SimTime::ZERO);
    }

    pub(crate) fn loss(&mut self, from_seq: u64) {
        self.0.declared_loss(PARTITION, from_seq, SimTime::ZERO);
    }
}

pub(crate) fn write(value: u64) -> Kind {
    Kind::Write(ValueId(value))
}

pub(crate) fn read() -> Kind {
    Kind::Read(Freshness::Latest)
}

pub(crate) fn swap(expected: Value, value: u64) -> Kind {
    Kind::CompareAndSet { expected, value: ValueId(value) }
}

pub(crate) fn x(value: u64) -> Value {
    Value::Written(ValueId(value))
}

/// That exactly one violation was found, and that it says this.
#[track_caller]
pub(crate) fn assert_one(found: &[Violation], says: &str) {
    assert_eq!(found.len(), 1, "{found:#?}");
    assert!(found[0].what.contains(says), "{:?} does not say {says:?}", found[0].what);
}
