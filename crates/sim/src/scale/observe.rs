//! What the leader comes to know, what can be measured, and the events that are measured.

use std::collections::BTreeMap;

use isogrid_cluster::council::{Change, ChangeKind, Intent};
use isogrid_cluster::steward::Follower;
use isogrid_cluster::{Command, Millis};
use isogrid_core::{
    LogPosition, Members, NodeId, PartitionEntry, PartitionId, Timestamp, placement,
};

use super::encoding::HeartbeatShape;
use super::report::{Evenness, Event, ScaleReport, SpreadReport};
use super::settings::{SILENCE_MS, STEWARD_MS};
use super::world::ScaleWorld;

/// Who should hold each partition, the primary first.
type Wanted = Vec<Vec<NodeId>>;

/// The times that a run looks for; `None` until they have come.
#[derive(Default)]
struct Milestones {
    writable_at: Option<Millis>,
    known_at: Option<Millis>,
    whole_at: Option<Millis>,
    copies_min: usize,
}

impl ScaleWorld {
    /// Something happens, and the cluster runs until it has settled. Panics when it does not within `ms_max`.
    pub fn go_through(&mut self, event: Event, ms_max: u64) -> ScaleReport {
        let (begin, before, traffic) = (self.now, self.evenness(), self.traffic);
        let (moves, bytes) = (self.moves, self.copies.bytes_copied);
        let version = self.council.table().version().0;
        let holders: Vec<PartitionEntry> =
            self.council.table().iter().map(|(_, entry)| entry.clone()).collect();
        (self.first, self.copies.streams_max) = (None, 0);
        let moves_ideal = self.begin(event);
        let wanted = self.wanted();
        let new = |(entry, wanted): (&PartitionEntry, &Vec<NodeId>)| {
            let holds = |node: &&NodeId| !entry.in_sync.iter().any(|member| member.node == **node);
            wanted.iter().filter(holds).count() as u64
        };
        let moves_needed = holders.iter().zip(&wanted).map(new).sum();
        let mut milestones = Milestones { copies_min: usize::MAX, ..Milestones::default() };
        loop {
            assert!(self.now.since(begin) < ms_max, "not settled after {ms_max} ms");
            self.step();
            self.look(&mut milestones);
            if self.now.0.is_multiple_of(STEWARD_MS)
                && milestones.whole_at.is_some()
                && milestones.known_at.is_some()
                && self.is_settled(&wanted)
            {
                break;
            }
        }
        let since = |at: Option<Millis>| at.map_or(0, |at| at.since(begin));
        ScaleReport {
            event,
            writable_ms: since(milestones.writable_at),
            known_ms: since(milestones.known_at),
            whole_ms: since(milestones.whole_at),
            settled_ms: self.now.since(begin),
            moves: self.moves - moves,
            moves_needed,
            moves_ideal,
            bytes_copied: self.copies.bytes_copied - bytes,
            streams_max: self.copies.streams_max,
            copies_min: milestones.copies_min,
            versions: self.council.table().version().0 - version,
            first: self.first.unwrap_or_default(),
            traffic: self.traffic - traffic,
            before,
            after: self.evenness(),
        }
    }

    /// Begins an event; returns how many copies any placement would have to make.
    fn begin(&mut self, event: Event) -> u64 {
        let held = |world: &ScaleWorld, number: usize| {
            let life = world.nodes[number].life();
            world.council.table().iter().filter(|(_, e)| e.in_sync.contains(&life)).count() as u64
        };
        match event {
            Event::Die(number) => {
                let ideal = held(self, number);
                self.kill(number);
                ideal
            }
            Event::Leave(number) => {
                let ideal = held(self, number);
                self.retire(number);
                ideal
            }
            Event::Join => {
                self.add_node();
                let copies = u64::from(self.settings.partitions) * u64::from(self.settings.copies);
                copies / self.staying().len().max(1) as u64
            }
        }
    }

    /// One change of one partition, with everything but gossip standing still, until all nodes have it.
    pub fn spread_one_change(&mut self) -> SpreadReport {
        while !self.all_know() {
            self.step();
        }
        let partition = PartitionId(0);
        let listed = |node: &NodeId| {
            let entry = self.council.entry(partition);
            entry.is_some_and(|entry| entry.holders().any(|holder| holder.node == *node))
        };
        let spare = self.nodes.iter().rev().find(|node| node.is_up && !listed(node.id()));
        let learner = spare.expect("more nodes than copies").life();
        let (begin, traffic) = (self.now, self.traffic);
        self.first = None;
        self.change(partition, ChangeKind::AddLearner(learner.clone()));
        let first = self.first.unwrap_or_default();
        let mut report = SpreadReport {
            command_bytes: first.command_bytes,
            delta_bytes: first.delta_bytes,
            ..SpreadReport::default()
        };
        let up = self.nodes.iter().filter(|node| node.is_up).count();
        while !self.all_know() {
            self.now = self.now.plus(super::STEP_MS);
            self.spread();
            let (knowing, ms) = (self.count_knowing(), self.now.since(begin));
            for (needed, at) in
                [(up / 2, &mut report.half_ms), (up - up / 100, &mut report.most_ms)]
            {
                if knowing >= needed && *at == 0 {
                    *at = ms;
                }
            }
        }
        report.all_ms = self.now.since(begin);
        report.traffic = self.traffic - traffic;
        self.change(partition, ChangeKind::DropLearner(learner));
        while !self.all_know() {
            self.step();
        }
        report
    }

    fn change(&mut self, partition: PartitionId, kind: ChangeKind) {
        let entry = self.council.entry(partition).expect("a partition of the table");
        let change = Change { partition, epoch: entry.epoch, ver: entry.ver, kind };
        self.commit(&Command::Changes(vec![change]));
    }

    /// What the leader comes to know, at once: the real one would have it a heartbeat later.
    pub(super) fn gather(&mut self) {
        let (now, nodes) = (self.now, &self.nodes);
        for (dead, since) in &self.dead {
            let is_known = self.evidence.suspicions.contains_key(nodes[*dead].id());
            if now.since(*since) >= SILENCE_MS && !is_known {
                let up = nodes.iter().filter(|node| node.is_up);
                let reports = up.map(|node| (node.id().clone(), since.plus(SILENCE_MS))).collect();
                self.evidence.suspicions.insert(nodes[*dead].id().clone(), reports);
            }
        }
        for node in nodes.iter().filter(|node| node.is_up) {
            match self.evidence.answered.get_mut(node.id()) {
                Some(at) => *at = now,
                None => drop(self.evidence.answered.insert(node.id().clone(), now)),
            }
        }
        for ((partition, target), copy) in &self.copies.under_way {
            let report = self.evidence.partitions.entry(*partition).or_default();
            let is_complete = copy.bytes_left == 0;
            let bytes_left = copy.bytes_left;
            let follower = Follower { bytes_left, is_complete, ..Follower::default() };
            report.followers.insert(nodes[*target].id().clone(), follower);
        }
    }

    /// The nodes that serve and stay.
    fn staying(&self) -> Members {
        let records = self.council.nodes().values();
        let stays = records.filter(|record| {
            let number = self.numbers[&record.member.id];
            record.is_serving() && record.intent == Intent::Stay && self.nodes[number].is_up
        });
        stays.map(|record| record.member.clone()).collect()
    }

    fn wanted(&self) -> Wanted {
        let partitions = self.council.table().partitions();
        placement::desired(partitions, &self.staying(), self.council.copies())
    }

    fn look(&self, milestones: &mut Milestones) {
        let now = self.now;
        let is_up = |node: &NodeId| self.nodes[self.numbers[node]].is_up;
        let table = self.council.table();
        if milestones.writable_at.is_none() {
            let is_led = |entry: &PartitionEntry| entry.primary.as_ref().is_some_and(is_up);
            let all = table.iter().all(|(_, entry)| is_led(entry));
            milestones.writable_at = all.then_some(now);
        }
        if milestones.known_at.is_none() && milestones.writable_at.is_some() {
            let knows = |node: &super::node::Node| {
                let mut primaries = node.table.iter().map(|(_, entry)| entry.primary.as_ref());
                !node.is_up || primaries.all(|primary| primary.is_some_and(is_up))
            };
            milestones.known_at = self.nodes.iter().all(knows).then_some(now);
        }
        if now.0.is_multiple_of(STEWARD_MS) {
            let copies =
                |entry: &PartitionEntry| entry.in_sync.iter().filter(|m| is_up(&m.node)).count();
            let fewest = table.iter().map(|(_, entry)| copies(entry)).min().unwrap_or_default();
            milestones.copies_min = milestones.copies_min.min(fewest);
            if milestones.whole_at.is_none() && fewest >= self.council.copies() {
                milestones.whole_at = Some(now);
            }
        }
    }

    fn is_settled(&self, wanted: &Wanted) -> bool {
        self.council.table().iter().zip(wanted).all(|((_, entry), wanted)| {
            entry.learners.is_empty()
                && entry.primary.as_ref() == wanted.first()
                && entry.in_sync.len() == wanted.len()
                && entry.in_sync.iter().all(|member| wanted.contains(&member.node))
        })
    }

    /// How even the load is, over the nodes that serve and stay.
    pub fn evenness(&self) -> Evenness {
        let mut led: BTreeMap<&NodeId, usize> = BTreeMap::new();
        let mut held: BTreeMap<&NodeId, usize> = BTreeMap::new();
        for (_, entry) in self.council.table().iter() {
            if let Some(primary) = &entry.primary {
                *led.entry(primary).or_default() += 1;
            }
            for member in &entry.in_sync {
                *held.entry(&member.node).or_default() += 1;
            }
        }
        let nodes = self.staying().len() as f64;
        let uneven = |loads: BTreeMap<&NodeId, usize>| {
            let (most, all) = (loads.values().max(), loads.values().sum::<usize>());
            most.copied().unwrap_or_default() as f64 * nodes / all.max(1) as f64
        };
        Evenness { primaries: uneven(led), copies: uneven(held) }
    }

    /// The heartbeat of a node: with how long ago it heard of `heard` others, and with what it leads.
    pub fn heartbeat(&self, number: usize, heard: usize) -> HeartbeatShape {
        let own = &self.nodes[number];
        let position = LogPosition::new(3, 1_000_000);
        let leads = self.council.table().owned_by(own.id()).map(|partition| {
            let members = self.council.entry(partition).map(|entry| entry.in_sync.as_slice());
            let followers = members.unwrap_or_default().iter().filter(|m| m.node != *own.id());
            let followers = followers.map(|m| (m.node.clone(), position, true)).collect();
            (partition, self.settings.bytes_per_copy(), position, followers)
        });
        let others = self.nodes.iter().filter(|node| node.id() != own.id()).take(heard);
        HeartbeatShape {
            from: own.life(),
            sent_at: 1_000_000,
            wall: Timestamp(1_767_225_600_000),
            heard: others.map(|node| (node.id().clone(), 150)).collect(),
            leads: leads.collect(),
            sessions: Vec::new(),
        }
    }

    /// The names of all nodes.
    pub fn names(&self) -> impl Iterator<Item = &NodeId> {
        self.numbers.keys()
    }

    /// What a node gossips of itself.
    pub fn gossip_state(&self, number: usize) -> isogrid_cluster::gossip::GossipState {
        let wall = Millis(1_767_225_600_000);
        self.nodes[number].state(super::world::CLUSTER, wall)
    }
}
