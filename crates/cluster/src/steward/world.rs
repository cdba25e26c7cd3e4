//! A small world for the steward's tests: a council that applies at once, replicas that obey, copies that take a while.

use std::collections::{BTreeMap, BTreeSet};

use isogrid_core::{NodeId, PartitionEntry, PartitionId, Replica};

use super::evidence::{Evidence, Follower, PartitionReport};
use super::orders::Directive;
use super::{Steward, StewardSettings};
use crate::council::{Change, ChangeKind, Command, Council, Intent, LossPolicy, Outcome};
use crate::id::Millis;
use crate::testing::{create, down, life, node, proof, register};

/// How long a copy takes.
const COPY_MS: u64 = 250;

/// How long a primary waits before it removes a member.
const REMOVE_MS: u64 = 1_100;

pub(super) struct World {
    pub(super) now: Millis,
    pub(super) council: Council,
    pub(super) steward: Steward,
    pub(super) evidence: Evidence,
    /// Nodes that run no more, and since when.
    pub(super) dead: BTreeMap<NodeId, Millis>,
    /// Learners, and since when they copy.
    copies: BTreeMap<(PartitionId, Replica), Millis>,
    /// Members that a primary is about to remove, and since when.
    removals: BTreeMap<(PartitionId, Replica), Millis>,
    /// How many copies were begun.
    pub(super) moves: usize,
    /// How many handovers were asked for.
    pub(super) handovers: usize,
    /// The most copies that a node took part in at once.
    pub(super) streams: usize,
    /// The fewest whole copies that any partition had since this was last set.
    pub(super) fewest: usize,
    pub(super) commands: Vec<Command>,
}

impl World {
    pub(super) fn new(partitions: u16, copies: u8, policy: LossPolicy, nodes: &str) -> Self {
        let mut council = Council::new();
        council.apply(&create(partitions, copies, policy));
        for text in nodes.split_whitespace() {
            register(&mut council, text, proof(text)).unwrap();
        }
        let settings = StewardSettings { replace_ms: 10_000, ..StewardSettings::default() };
        World {
            now: Millis(1_000),
            council,
            steward: Steward::with_settings(Millis(1_000), settings),
            evidence: Evidence::default(),
            dead: BTreeMap::new(),
            copies: BTreeMap::new(),
            removals: BTreeMap::new(),
            moves: 0,
            handovers: 0,
            streams: 0,
            fewest: usize::MAX,
            commands: Vec::new(),
        }
    }

    pub(super) fn join(&mut self, text: &str) {
        self.dead.remove(&life(text).node);
        register(&mut self.council, text, proof(text)).unwrap();
    }

    pub(super) fn kill(&mut self, name: &str) {
        self.dead.insert(node(name), self.now);
    }

    /// A node is declared down that never was, and registers again.
    pub(super) fn fence_wrongly(&mut self, text: &str) {
        down(&mut self.council, text);
        self.run(200);
        self.join(text);
    }

    pub(super) fn intend(&mut self, name: &str, intent: Intent) {
        self.council.apply(&Command::SetIntent { node: node(name), intent });
    }

    /// Another leader's steward takes over.
    pub(super) fn take_over(&mut self) {
        let settings = self.steward.settings().clone();
        self.steward = Steward::with_settings(self.now, settings);
    }

    /// Runs for a while, a step every 100 ms.
    pub(super) fn run(&mut self, ms: u64) {
        for _ in 0..ms / 100 {
            self.now = self.now.plus(100);
            self.replicas();
            self.gather();
            let orders = self.steward.step(self.now, &self.council, &self.evidence);
            for command in orders.commands {
                self.propose(command);
            }
            for directive in orders.directives {
                self.obey(directive);
            }
            self.check();
        }
    }

    /// Runs until nothing more is to do; returns for how long, in milliseconds.
    pub(super) fn settle(&mut self, ms_max: u64) -> u64 {
        let begin = self.now;
        while !self.is_whole() {
            assert!(
                self.now.since(begin) < ms_max,
                "not whole: {}",
                self.council
                    .table()
                    .iter()
                    .map(|(p, e)| format!("{} {}\n", p.0, crate::testing::short(e)))
                    .collect::<String>()
            );
            self.run(100);
        }
        let took = self.now.since(begin);
        self.run(3_000);
        assert!(self.is_whole());
        took
    }

    /// Whether every partition has its copies on nodes that are up, and nothing is under way.
    pub(super) fn is_whole(&self) -> bool {
        let up =
            self.council.nodes().values().filter(|r| r.is_serving() && r.intent == Intent::Stay);
        let wanted = self.council.copies().min(up.count());
        let stays =
            |node: &NodeId| self.council.node(node).is_some_and(|r| r.intent == Intent::Stay);
        self.council.table().iter().all(|(partition, entry)| {
            self.whole(partition, entry) == wanted
                && entry.in_sync.len() == wanted
                && entry.learners.is_empty()
                && entry.in_sync.iter().all(|member| stays(&member.node))
                && entry.primary.as_ref().is_some_and(|primary| !self.dead.contains_key(primary))
        })
    }

    fn whole(&self, partition: PartitionId, entry: &PartitionEntry) -> usize {
        let whole = |member: &&Replica| {
            self.council.can_lead(partition, member) && !self.dead.contains_key(&member.node)
        };
        entry.in_sync.iter().filter(whole).count()
    }

    fn propose(&mut self, command: Command) {
        if let Command::Changes(changes) = &command {
            let begins = |change: &&Change| matches!(change.kind, ChangeKind::AddLearner(_));
            self.moves += changes.iter().filter(begins).count();
        }
        let outcome = self.council.apply(&command);
        assert!(!matches!(outcome, Outcome::Refused { .. }), "{command:?}: {outcome:?}");
        self.commands.push(command);
    }

    fn change(&mut self, partition: PartitionId, kind: ChangeKind) {
        let entry = self.council.entry(partition).unwrap();
        let change = Change { partition, epoch: entry.epoch, ver: entry.ver, kind };
        self.council.apply(&Command::Changes(vec![change]));
    }

    fn obey(&mut self, directive: Directive) {
        let partition = directive.partition();
        let primary = directive.primary().clone();
        if self.dead.contains_key(&primary)
            || self.council.table().owner(partition) != Some(&primary)
        {
            return;
        }
        match directive {
            Directive::HandOver { to, .. } => {
                self.handovers += 1;
                self.change(partition, ChangeKind::Handover { to });
            }
            Directive::Retire { member, .. } => {
                self.removals.entry((partition, member)).or_insert(self.now);
            }
            Directive::Vouch { member, .. } => {
                self.change(partition, ChangeKind::AddMember(member))
            }
        }
    }

    /// What replicas do by themselves: finish copies, remove members.
    fn replicas(&mut self) {
        let now = self.now;
        let mut changes = Vec::new();
        let mut copies = BTreeMap::new();
        for (partition, entry) in self.council.table().iter() {
            let Some(primary) = &entry.primary else { continue };
            if self.dead.contains_key(primary) {
                continue;
            }
            for learner in &entry.learners {
                let key = (partition, learner.clone());
                let since = *self.copies.get(&key).unwrap_or(&now);
                if now.since(since) >= COPY_MS && !self.dead.contains_key(&learner.node) {
                    changes.push((partition, ChangeKind::AddMember(learner.clone())));
                }
                copies.insert(key, since);
            }
            if self.council.node(primary).is_some_and(|record| record.intent == Intent::Stop) {
                continue;
            }
            for member in entry.in_sync.iter().filter(|member| self.dead.contains_key(&member.node))
            {
                self.removals.entry((partition, member.clone())).or_insert(now);
            }
        }
        self.copies = copies;
        let due = |(_, since): &(&(PartitionId, Replica), &Millis)| now.since(**since) >= REMOVE_MS;
        let removed: Vec<_> =
            self.removals.iter().filter(due).map(|(key, _)| key.clone()).collect();
        for (partition, member) in removed {
            self.removals.remove(&(partition, member.clone()));
            changes.push((partition, ChangeKind::RemoveMember(member)));
        }
        for (partition, kind) in changes {
            self.change(partition, kind);
        }
    }

    /// What the leader comes to know.
    fn gather(&mut self) {
        let now = self.now;
        let up: BTreeSet<NodeId> = self
            .council
            .nodes()
            .keys()
            .filter(|node| !self.dead.contains_key(*node))
            .cloned()
            .collect();
        self.evidence.suspicions.clear();
        for (node, since) in &self.dead {
            if now.since(*since) >= 400 {
                let reports =
                    up.iter().map(|reporter| (reporter.clone(), since.plus(400))).collect();
                self.evidence.suspicions.insert(node.clone(), reports);
            }
        }
        for node in up {
            if self.council.node(&node).is_some_and(|record| record.is_serving()) {
                self.evidence.answered.insert(node, now);
            }
        }
        for ((partition, learner), since) in &self.copies {
            let report: &mut PartitionReport =
                self.evidence.partitions.entry(*partition).or_default();
            report.bytes = 1 << 20;
            let bytes_left = (1u64 << 20).saturating_sub(now.since(*since) << 12);
            let follower = Follower { bytes_left, ..Follower::default() };
            report.followers.insert(learner.node.clone(), follower);
        }
    }

    fn check(&mut self) {
        let mut per_node: BTreeMap<&NodeId, usize> = BTreeMap::new();
        for (partition, entry) in self.council.table().iter() {
            for learner in &entry.learners {
                *per_node.entry(&learner.node).or_default() += 1;
                if let Some(primary) = &entry.primary {
                    *per_node.entry(primary).or_default() += 1;
                }
            }
            if !entry.in_sync.is_empty() {
                self.fewest = self.fewest.min(self.whole(partition, entry));
            }
        }
        self.streams = self.streams.max(per_node.values().copied().max().unwrap_or_default());
    }
}
