//! A journaled partition and those that follow it, under random operations: a backup that applies every change, a prefix
//! to which changes are taken back, and a learner that copies while the records change.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use isogrid_core::{
    Cause, Effect, Entry, Eviction, IndexKind, Limits, MapId, MapSettings, Op, Reply, Timestamp,
    Version,
};
use proptest::prelude::*;
use proptest::sample::Index;

use crate::hash::{KeyHash, KeyHasher};
use crate::model_test::{ID, MAPS, Step, step};
use crate::usage::MapUsage;
use crate::{Context, Partition, WalkCursor};

/// An effect that owns what it names.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Held {
    Nothing,
    Put(MapId, Vec<u8>, Vec<u8>, Option<Timestamp>),
    Remove(MapId, Vec<u8>, Cause),
    Rename(MapId, Vec<u8>, Vec<u8>, Vec<u8>, Option<Timestamp>),
    Clear(MapId),
}

impl Held {
    pub(crate) fn new(effect: &Effect<'_>) -> Held {
        match *effect {
            Effect::Nothing | Effect::EndSessions(_) => Held::Nothing,
            Effect::Put { map, key, value, expires_at } => {
                Held::Put(map, key.to_vec(), value.to_vec(), expires_at)
            }
            Effect::Remove { map, key, cause } => Held::Remove(map, key.to_vec(), cause),
            Effect::Rename { map, from, to, value, expires_at } => {
                Held::Rename(map, from.to_vec(), to.to_vec(), value.to_vec(), expires_at)
            }
            Effect::Clear { map } => Held::Clear(map),
        }
    }

    fn effect(&self) -> Effect<'_> {
        match self {
            Held::Nothing => Effect::Nothing,
            Held::Put(map, key, value, expires_at) => {
                Effect::Put { map: *map, key, value, expires_at: *expires_at }
            }
            Held::Remove(map, key, cause) => Effect::Remove { map: *map, key, cause: *cause },
            Held::Rename(map, from, to, value, expires_at) => {
                Effect::Rename { map: *map, from, to, value, expires_at: *expires_at }
            }
            Held::Clear(map) => Effect::Clear { map: *map },
        }
    }

    fn hash(&self, hasher: &KeyHasher) -> KeyHash {
        match self {
            Held::Put(_, key, ..) | Held::Remove(_, key, _) | Held::Rename(_, _, key, ..) => {
                hasher.hash(key)
            }
            Held::Nothing | Held::Clear(_) => KeyHash(0),
        }
    }
}

/// A partition whose maps have limits and policies, with their accounts.
struct Node {
    partition: Partition,
    usages: Vec<Arc<MapUsage>>,
}

impl Node {
    fn new(hasher: KeyHasher) -> Node {
        let limits = Limits { value_bytes_max: 16 << 20, ..Limits::default() };
        let mut partition = Partition::with_hasher(ID, hasher, &limits);
        let usages: Vec<Arc<MapUsage>> = (0..MAPS).map(|_| Arc::default()).collect();
        let settings = [
            MapSettings::default(),
            MapSettings {
                eviction: Eviction::Lru,
                entries_max: 8,
                bytes_max: 0,
                ..MapSettings::default()
            },
            MapSettings {
                eviction: Eviction::Lfu,
                entries_max: 0,
                bytes_max: 2_000,
                indexes: vec![crate::index::tests::index("a", IndexKind::Hash, &["a"])],
            },
        ];
        for (map, settings) in settings.iter().enumerate() {
            partition.configure(MapId(map as u32), settings, usages[map].clone());
        }
        Node { partition, usages }
    }

    fn apply(&mut self, version: Version, held: &Held) {
        let hash = held.hash(&self.partition.common.hasher);
        self.partition.apply(version, &held.effect(), hash);
    }

    /// Applies what is pending as changes of its own, each of which has the effect it had.
    fn promote(&mut self, pending: &VecDeque<(Version, Held)>) {
        for (version, held) in pending {
            let hash = held.hash(&self.partition.common.hasher);
            self.partition.apply_journaled(*version, &held.effect(), hash);
            let changes = self.partition.changes();
            let changes: Vec<_> = changes.map(|(version, at)| (version, Held::new(&at))).collect();
            assert_eq!(changes, [(*version, held.clone())]);
        }
    }

    /// What two replicas must have in common.
    fn state(&self) -> (u128, Vec<usize>, Option<Timestamp>, Version) {
        let entries = (0..MAPS).map(|map| self.partition.entries(MapId(map))).collect();
        let partition = &self.partition;
        (partition.digest(), entries, partition.next_expiry(), partition.last_version())
    }

    /// Checks every rule, and that limited maps' accounts are exact.
    fn check(&self) {
        self.partition.check();
        assert_eq!(self.partition.bucket_digests().total(), self.partition.digest());
        for map in 1..MAPS {
            let (usage, map) = (&self.usages[map as usize], MapId(map));
            assert_eq!(usage.entries(), self.partition.entries(map) as u64);
            assert_eq!(usage.bytes(), self.partition.bytes(map) as u64);
        }
    }
}

/// What happens on the primary.
#[derive(Clone, Debug)]
enum Event {
    /// An operation, perhaps over the memory mark.
    Step(u32, Step, bool),
    /// The node evicts a record.
    Evict(u32),
    /// Entries of the log that change no data.
    Skip(u64),
    /// Part of what is pending is committed.
    Commit(Index),
    /// What is pending is taken back.
    Undo,
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        24 => (0..MAPS, step(), prop::bool::weighted(0.1)).prop_map(|(map, step, over)| Event::Step(map, step, over)),
        1 => (0..MAPS).prop_map(Event::Evict),
        1 => (1..4u64).prop_map(Event::Skip),
        2 => any::<Index>().prop_map(Event::Commit),
        1 => Just(Event::Undo),
    ]
}

/// Lets an event happen on a journaled primary, except commit and undo, and returns its effects.
fn happen(primary: &mut Partition, event: &Event, now: &mut u64) -> Vec<(Version, Held)> {
    let before = primary.last_version().0;
    let own = |changes: crate::Changes<'_>| -> Vec<_> {
        changes.map(|(version, effect)| (version, Held::new(&effect))).collect()
    };
    let effects = match event {
        Event::Step(map, step, over_mark) => {
            let key = step.key();
            let context = Context { now: Timestamp(*now), over_mark: *over_mark };
            match (step, step.op(&key)) {
                (_, Some(op)) => {
                    let hash = primary.hash_of(&op);
                    own(primary.execute_journaled(MapId(*map), &op, hash, &context).changes)
                }
                (Step::Wait(ms), _) => {
                    *now += ms;
                    vec![]
                }
                (Step::ExpireDue, _) => {
                    primary.expire(context.now, 5);
                    own(primary.changes())
                }
                _ => vec![],
            }
        }
        Event::Evict(map) => {
            primary.evict(MapId(*map), Timestamp(*now));
            own(primary.changes())
        }
        Event::Skip(count) => {
            primary.set_version(Version(before + count));
            (1..=*count).map(|step| (Version(before + step), Held::Nothing)).collect()
        }
        Event::Commit(_) | Event::Undo => vec![],
    };
    let versions: Vec<_> = effects.iter().map(|(version, _)| version.0).collect();
    let expected: Vec<_> = (before + 1..=primary.last_version().0).collect();
    assert_eq!(versions, expected, "each version has exactly one effect: {event:?}");
    effects
}

fn follow(hasher: KeyHasher, events: &[Event]) {
    let mut nodes = [Node::new(hasher), Node::new(hasher), Node::new(hasher)];
    let [primary, backup, prefix] = &mut nodes;
    primary.partition.journal(true);
    // Also a backup that may be promoted has its journal on.
    prefix.partition.journal(true);
    let (mut now, mut pending) = (1, VecDeque::new());
    for event in events {
        for (version, held) in happen(&mut primary.partition, event, &mut now) {
            backup.apply(version, &held);
            pending.push_back((version, held));
        }
        match event {
            Event::Commit(index) => {
                for (version, held) in pending.drain(..index.index(pending.len() + 1)) {
                    prefix.apply(version, &held);
                }
                primary.partition.settle(prefix.partition.last_version());
            }
            Event::Undo => {
                let committed = prefix.state();
                prefix.promote(&pending);
                assert_eq!(prefix.state(), primary.state(), "the backup can become the primary");
                prefix.partition.undo_after(committed.3);
                assert_eq!(prefix.state(), committed);
                primary.partition.undo_after(prefix.partition.last_version());
                assert_eq!(primary.state(), prefix.state());
                assert_eq!(primary.partition.unsettled_bytes(), 0);
                primary.check();
                pending.clear();
                // The backup threw away what it had appended too.
                backup.partition.forget_everything();
                copy(&primary.partition, &mut backup.partition);
            }
            _ => {}
        }
        assert_eq!(primary.state(), backup.state(), "{event:?}");
        // A skipped version has no undo entry.
        assert!(primary.partition.unsettled() <= pending.len());
    }
    nodes.iter().for_each(Node::check);
}

/// Copies everything, in small pages.
fn copy(from: &Partition, to: &mut Partition) {
    let mut cursor = Some(WalkCursor::default());
    while let Some(start) = cursor {
        let page = from.walk(start, 300);
        for record in &page.records {
            assert!(to.load(record.map, record.hash, record.key, &record.entry));
        }
        cursor = page.next;
    }
    to.set_version(from.last_version());
}

/// The same operations with and without a journal, reply by reply.
fn compare_replies(hasher: KeyHasher, events: &[Event]) {
    let (mut bare, mut journaled) = (Node::new(hasher), Node::new(hasher));
    journaled.partition.journal(true);
    let mut now = 1;
    for event in events {
        let Event::Step(map, step, over_mark) = event else { continue };
        let (map, key) = (MapId(*map), step.key());
        let context = Context { now: Timestamp(now), over_mark: *over_mark };
        match (step, step.op(&key)) {
            (_, Some(op)) => {
                let hash = bare.partition.hash_of(&op);
                let before = bare.partition.last_version();
                let expected = bare.partition.execute(map, &op, hash, &context);
                if matches!((&op, &expected), (Op::Expire { .. }, Reply::Written { version, .. }) if *version <= before)
                {
                    // The one difference: with a journal this is a change though nothing is different.
                    continue;
                }
                let executed = journaled.partition.execute_journaled(map, &op, hash, &context);
                assert_eq!(executed.reply, expected, "{step:?}");
            }
            (Step::Wait(ms), _) => now += ms,
            _ => {}
        }
        assert_eq!(bare.state(), journaled.state(), "{step:?}");
        assert_eq!(bare.partition.total_bytes(), journaled.partition.total_bytes());
    }
}

/// What a learner receives.
enum Delivery {
    Delta(Version, Held),
    Copy(MapId, Vec<u8>, Vec<u8>, Version, Option<Timestamp>),
}

/// A learner, with what it remembers of removals as long as it copies.
struct Learner {
    node: Node,
    removed: BTreeMap<(MapId, Vec<u8>), Version>,
    cleared: BTreeMap<MapId, Version>,
}

impl Learner {
    fn take(&mut self, delivery: Delivery) {
        let partition = &mut self.node.partition;
        let hasher = partition.common.hasher;
        match delivery {
            Delivery::Delta(version, held) => {
                partition.apply_if_newer(version, &held.effect(), held.hash(&hasher));
                match held {
                    Held::Remove(map, key, _) | Held::Rename(map, key, ..) => {
                        self.removed.insert((map, key), version);
                    }
                    Held::Clear(map) => drop(self.cleared.insert(map, version)),
                    _ => {}
                }
            }
            Delivery::Copy(map, key, value, version, expires_at) => {
                let cleared = self.cleared.get(&map).is_some_and(|at| *at > version);
                let at = (map, key);
                let is_gone = cleared || self.removed.get(&at).is_some_and(|at| *at > version);
                if !is_gone {
                    let entry = Entry { value: &value, version, expires_at };
                    partition.load(map, hasher.hash(&at.1), &at.1, &entry);
                }
            }
        }
    }
}

fn learn(hasher: KeyHasher, first: &[Event], then: &[(Event, Option<Index>, bool)]) {
    let mut primary = Node::new(hasher);
    primary.partition.journal(true);
    let mut now = 1;
    for event in first {
        happen(&mut primary.partition, event, &mut now);
    }
    let mut learner =
        Learner { node: Node::new(hasher), removed: BTreeMap::new(), cleared: BTreeMap::new() };
    let (mut deltas, mut pages) = (VecDeque::new(), Vec::<Vec<Delivery>>::new());
    let mut cursor = Some(WalkCursor::default());
    let read_page = |primary: &Partition, cursor: &mut Option<WalkCursor>| {
        let Some(start) = cursor.take() else { return vec![] };
        let page = primary.walk(start, 200);
        *cursor = page.next;
        let own = |record: &crate::WalkedRecord<'_>| {
            let Entry { value, version, expires_at } = record.entry;
            Delivery::Copy(record.map, record.key.to_vec(), value.to_vec(), version, expires_at)
        };
        page.records.iter().map(own).collect()
    };
    for (event, page, with_delta) in then {
        for (version, held) in happen(&mut primary.partition, event, &mut now) {
            deltas.push_back(Delivery::Delta(version, held));
        }
        if let Some(index) = page {
            pages.push(read_page(&primary.partition, &mut cursor));
            let late = pages.swap_remove(index.index(pages.len()));
            if index.index(2) == 0 {
                late.into_iter().for_each(|delivery| learner.take(delivery));
            } else {
                pages.push(late);
            }
        }
        if *with_delta {
            deltas.drain(..).for_each(|delta| learner.take(delta));
        }
    }
    while cursor.is_some() {
        pages.push(read_page(&primary.partition, &mut cursor));
    }
    let rest = pages.into_iter().flatten();
    if then.len().is_multiple_of(2) {
        deltas.into_iter().chain(rest).for_each(|delivery| learner.take(delivery));
    } else {
        rest.chain(deltas).for_each(|delivery| learner.take(delivery));
    }
    assert_eq!(learner.node.partition.last_version(), Version(0), "copies are no changes");
    learner.node.partition.set_version(primary.partition.last_version());
    assert_eq!(learner.node.state(), primary.state());
    learner.node.check();
    let buckets = primary.partition.bucket_digests();
    assert_eq!(buckets.differing(&learner.node.partition.bucket_digests()).count(), 0);
}

fn colliding() -> KeyHasher {
    KeyHasher::instead(|key| crate::hash_key(1, key).0 & 0x8000_0000_0001_0001)
}

fn events() -> impl Strategy<Value = Vec<Event>> {
    prop::collection::vec(event(), 1..200)
}

fn copying() -> impl Strategy<Value = Vec<(Event, Option<Index>, bool)>> {
    let page = prop::option::weighted(0.2, any::<Index>());
    prop::collection::vec((event(), page, prop::bool::weighted(0.2)), 0..120)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(if cfg!(miri) { 2 } else { 64 }) })]

    #[test]
    fn a_backup_follows_and_changes_are_taken_back(events in events()) {
        follow(KeyHasher::new(11), &events);
    }

    #[test]
    fn a_backup_follows_though_hashes_collide(events in events()) {
        follow(colliding(), &events);
    }

    #[test]
    fn a_journal_changes_no_reply(events in events()) {
        compare_replies(KeyHasher::new(11), &events);
    }

    #[test]
    fn a_learner_meets_its_primary_in_whatever_order_things_come(first in events(), then in copying()) {
        learn(KeyHasher::new(11), &first, &then);
        learn(colliding(), &first, &then);
    }
}
