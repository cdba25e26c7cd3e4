//! The clients: each keeps a few operations open, sends each to whom it believes to be the owner, and tries again with the
//! same request id until it has an answer or its patience ends.

mod draw;
mod pace;
mod records;

use std::collections::BTreeMap;
use std::time::Duration;

use isogrid_core::{
    LogPosition, MapId, NodeId, PartitionCount, PartitionId, RequestId, SessionId, Table,
    TableDelta, Timestamp,
};
use isogrid_replica::entry::Tag;
use isogrid_replica::{ReadMode, Refusal};

use pace::Pace;
use records::key_bytes;

pub(crate) use records::{finals, pairs, value_of};

use super::packet::{Answer, Answered, Ask, What};
use super::process::Names;
use crate::client::History;
use crate::client::history::{
    ClientId, Invocation, KeyId, Kind, OnSide, OperationId, Outcome, Seen, Value,
};
use crate::network::NodeIndex;
use crate::random::{Random, Rate};
use crate::time::SimTime;

/// The maps of the workload.
pub(crate) const REGISTERS: MapId = MapId(0);
pub(crate) const COUNTERS: MapId = MapId(1);
pub(crate) const EXPIRING: MapId = MapId(2);
/// Acknowledged by the primary alone: its writes may be lost, so nobody checks them.
pub(crate) const LOOSE: MapId = MapId(3);
/// Pairs of keys of one partition, between which records move.
pub(crate) const MOVING: MapId = MapId(4);

/// How many keys each of the checked maps has.
const KEYS: u32 = 12;

/// How many operations a client has open.
const OPEN_MAX: usize = 3;

/// How long a client waits for an operation in all.
const PATIENCE: Duration = Duration::from_secs(6);

/// How long it waits for one attempt.
const ATTEMPT: Duration = Duration::from_millis(400);

/// An operation in progress.
#[derive(Clone, Debug)]
struct Open {
    operation: Option<OperationId>,
    map: MapId,
    partition: PartitionId,
    key: KeyId,
    kind: Kind,
    what: What,
    number: Option<u64>,
    deadline: SimTime,
    /// The name of the present attempt, and when it is given up.
    attempt: u64,
    retry_at: SimTime,
    tries: u32,
}

/// A client.
pub(crate) struct Client {
    pub(crate) index: NodeIndex,
    id: ClientId,
    random: Random,
    session: Option<SessionId>,
    next_number: u64,
    next_attempt: u64,
    open: BTreeMap<u64, Open>,
    table: Table,
    /// The last value seen or written of each key, for conditions.
    known: BTreeMap<KeyId, Value>,
    /// The last receipt per partition, and whether all in-sync replicas have the write: one that the primary alone has may be
    /// gone with it, and others stand in its place.
    receipts: BTreeMap<PartitionId, (LogPosition, bool)>,
    session_asked_at: Option<SimTime>,
    pace: Pace,
    partitions: PartitionCount,
}

/// What a client sends.
pub(crate) type Sent = (NodeIndex, Ask);

impl Client {
    pub(crate) fn new(
        number: u32,
        random: &Random,
        (operations, until): (u32, SimTime),
        partitions: PartitionCount,
    ) -> Self {
        Client {
            index: NodeIndex(1_000 + number as u16),
            id: ClientId(number),
            random: random.fork_numbered("client", u64::from(number)),
            session: None,
            next_number: 1,
            next_attempt: 1,
            open: BTreeMap::new(),
            table: Table::unassigned(PartitionCount::new(1).expect("one is a power of two")),
            known: BTreeMap::new(),
            receipts: BTreeMap::new(),
            session_asked_at: None,
            pace: Pace::new(operations, until),
            partitions,
        }
    }

    /// Whether it has begun everything and has nothing open.
    pub(crate) fn is_idle(&self) -> bool {
        self.open.is_empty() && self.pace.is_over()
    }

    /// Time has passed: new operations begin, old ones are tried again or given up.
    pub(crate) fn wake(
        &mut self,
        at: SimTime,
        history: &mut History,
        (names, epoch): (&Names, Duration),
    ) -> Vec<Sent> {
        let mut sent = Vec::new();
        let alive: Vec<NodeIndex> = names.values().copied().collect();
        let late: Vec<u64> =
            self.open.iter().filter(|(_, open)| open.deadline <= at).map(|(id, _)| *id).collect();
        for id in late {
            if let Some(open) = self.open.remove(&id)
                && let Some(operation) = open.operation
            {
                history.complete(operation, Outcome::Unknown, at);
            }
        }
        let Some(session) = self.session else {
            let waits = self.session_asked_at.is_some_and(|asked| at.since(asked) < ATTEMPT);
            if !waits && let Some(node) = self.random.pick(&alive).copied() {
                self.session_asked_at = Some(at);
                sent.push((node, self.ask_session(at + epoch)));
            }
            return sent;
        };
        // What is stuck does not hold up the rest: for a while not at all, and when the faults are over nothing does.
        let busy = self.open.values().filter(|open| open.tries < 4).count();
        let has_room = self.open.len() < 2 * OPEN_MAX || self.pace.is_late(at);
        if busy < OPEN_MAX && has_room && self.pace.is_due(at, &mut self.random) {
            self.begin(at, history);
        }
        let due: Vec<u64> =
            self.open.iter().filter(|(_, open)| open.retry_at <= at).map(|(id, _)| *id).collect();
        for id in due {
            if let Some(one) = self.attempt(id, session, at, (names, epoch)) {
                sent.push(one);
            }
        }
        sent
    }

    fn ask_session(&mut self, at: SimTime) -> Ask {
        self.next_attempt += 1;
        Ask {
            attempt: self.next_attempt,
            map: REGISTERS,
            partition: PartitionId(0),
            what: What::Open,
            tag: None,
            deadline: Timestamp((at.0 / 1_000_000) + 1_000_000),
            session: self.session.unwrap_or_default(),
        }
    }

    fn begin(&mut self, at: SimTime, history: &mut History) {
        let (map, number) = self.pick_key();
        let key = KeyId(map.0 * 1_000 + number);
        let bytes = key_bytes(key);
        let partition = self.partition_of(&bytes);
        let (kind, what) = self.pick_what(map, key, bytes, partition);
        let is_checked = map != LOOSE;
        let client = self.id;
        let invocation = Invocation { client, key, partition, kind };
        let operation = is_checked.then(|| history.invoke(invocation, at));
        if is_checked {
            self.pace.count();
        }
        if map == EXPIRING {
            history.may_vanish(key);
        }
        let number = (!kind.is_read()).then(|| {
            self.next_number += 1;
            self.next_number - 1
        });
        self.next_attempt += 1;
        let attempt = self.next_attempt;
        let deadline = at + PATIENCE;
        let open = Open {
            operation,
            map,
            partition,
            key,
            kind,
            what,
            number,
            deadline,
            attempt,
            retry_at: at,
            tries: 0,
        };
        self.open.insert(attempt, open);
    }

    fn attempt(
        &mut self,
        id: u64,
        session: SessionId,
        at: SimTime,
        (names, epoch): (&Names, Duration),
    ) -> Option<Sent> {
        self.next_attempt += 1;
        let attempt = self.next_attempt;
        let first_incomplete = self.first_incomplete();
        let mut open = self.open.remove(&id)?;
        open.attempt = attempt;
        open.tries += 1;
        let back_off = Duration::from_millis(5 << open.tries.min(6));
        open.retry_at = at + ATTEMPT + self.random.delay(back_off);
        let to = self.choose(&open, names)?;
        let number = open.number;
        let tag = number.map(|number| Tag { id: RequestId { session, number }, first_incomplete });
        let deadline = Timestamp((open.deadline + epoch).0 / 1_000_000);
        let (map, partition, what) = (open.map, open.partition, open.what.clone());
        let ask = Ask { attempt, map, partition, what, tag, deadline, session };
        self.open.insert(attempt, open);
        Some((to, ask))
    }

    /// The owner by the table; now and then anyone, and reads that may be stale ask a backup.
    fn choose(&mut self, open: &Open, names: &Names) -> Option<NodeIndex> {
        let entry = self.table.entry(open.partition);
        let is_loose =
            matches!(&open.what, What::Get(_, ReadMode::Any | ReadMode::Backup { .. }, _));
        let node: Option<NodeId> = match entry {
            Some(entry) if is_loose => {
                let holders: Vec<_> = entry.in_sync.iter().map(|one| one.node.clone()).collect();
                self.random.pick(&holders).cloned()
            }
            Some(entry) => entry.primary.clone(),
            None => None,
        };
        let known = node.and_then(|node| names.get(&node)).copied();
        let lost = open.tries > 2 && self.random.chance(Rate::percent(30));
        match known.filter(|_| !lost) {
            Some(known) => Some(known),
            None => {
                let all: Vec<NodeIndex> = names.values().copied().collect();
                self.random.pick(&all).copied()
            }
        }
    }

    /// All requests with smaller numbers are answered or given up.
    fn first_incomplete(&self) -> u64 {
        self.open.values().filter_map(|open| open.number).min().unwrap_or(self.next_number)
    }

    fn partition_of(&self, key: &[u8]) -> PartitionId {
        self.partitions.partition_of_key(key)
    }

    /// An answer has come.
    pub(crate) fn answered(&mut self, answer: Answer, at: SimTime, history: &mut History) {
        if let Some(delta) = &answer.table {
            self.learn(delta);
        }
        if let Answered::Session(session) = answer.what {
            if self.session.is_none() {
                self.session = Some(session);
                self.next_number = 1;
            }
            return;
        }
        let Some(mut open) = self.open.remove(&answer.attempt) else { return };
        if let Answered::Refused(Refusal::Stale) = answer.what {
            self.give_up_session(at, history);
        }
        match self.outcome(&open, answer.what) {
            Some(outcome) => {
                if let Outcome::Applied(seen) = outcome {
                    self.known.insert(open.key, seen.value);
                }
                if let Some(operation) = open.operation {
                    history.complete(operation, outcome, at);
                }
            }
            None => {
                let pause = Duration::from_millis(5 << open.tries.min(6));
                open.retry_at = at + self.random.delay(pause);
                self.open.insert(answer.attempt, open);
            }
        }
    }

    /// The session has ended: what was asked under it can never be asked again, and what follows needs another one.
    fn give_up_session(&mut self, at: SimTime, history: &mut History) {
        self.session = None;
        let (writes, reads) =
            std::mem::take(&mut self.open).into_iter().partition(|(_, open)| open.number.is_some());
        self.open = reads;
        let writes: BTreeMap<u64, Open> = writes;
        for operation in writes.into_values().filter_map(|open| open.operation) {
            history.complete(operation, Outcome::Unknown, at);
        }
    }

    fn keep_receipt(&mut self, open: &Open, position: Option<LogPosition>) {
        let is_everywhere = open.map != LOOSE;
        self.receipts.extend(position.map(|position| (open.partition, (position, is_everywhere))));
    }

    /// What the answer means for the history; `None` when the request is to be tried again.
    fn outcome(&mut self, open: &Open, answered: Answered) -> Option<Outcome> {
        match answered {
            Answered::Missing { version, position } => {
                if let Kind::OfPair(_, OnSide::Move { .. }) = open.kind {
                    self.keep_receipt(open, position);
                    return Some(Outcome::Conflict(Some(Seen::NOTHING)));
                }
                self.outcome(open, Answered::Seen { version, value: None, position })
            }
            Answered::Seen { version, value, position } => {
                self.keep_receipt(open, position);
                let value = match open.kind {
                    Kind::Write(value) | Kind::CompareAndSet { value, .. } => Value::Written(value),
                    Kind::OfPair(_, OnSide::Write(value)) => Value::Written(value),
                    Kind::Delete | Kind::OfPair(_, OnSide::Delete | OnSide::Move { .. }) => {
                        Value::Absent
                    }
                    Kind::Increment | Kind::Read(_) | Kind::OfPair(_, OnSide::Read) => {
                        value_of(open.map, value.as_deref())
                    }
                };
                Some(Outcome::Applied(Seen { version, value }))
            }
            Answered::Number { version, value } => {
                Some(Outcome::Applied(Seen { version, value: Value::Number(value) }))
            }
            Answered::Conflict(current) => {
                let seen = current.map(|(version, value)| Seen {
                    version,
                    value: value_of(open.map, Some(&value)),
                });
                if let Some(seen) = seen {
                    self.known.insert(open.key, seen.value);
                } else {
                    self.known.remove(&open.key);
                }
                Some(Outcome::Conflict(seen))
            }
            Answered::Failed => Some(Outcome::Unknown),
            Answered::Refused(Refusal::Stale | Refusal::TooLate | Refusal::PositionLost) => {
                Some(Outcome::Unknown)
            }
            Answered::Refused(_) | Answered::DiskRefuses | Answered::Session(_) => None,
        }
    }

    fn learn(&mut self, delta: &TableDelta) {
        let is_first = self.table.version().0 == 0 && delta.version.0 > 0;
        if is_first && let Some(partitions) = PartitionCount::new(delta.partitions) {
            self.table = Table::unassigned(partitions);
        }
        if let Ok(table) = self.table.apply(delta) {
            self.table = table;
        }
    }
}
