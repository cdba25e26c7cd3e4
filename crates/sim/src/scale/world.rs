//! The cluster: real decisions, modelled replicas, virtual time in steps of [`STEP_MS`].

use std::collections::{BTreeMap, VecDeque};

use isogrid_cluster::council::{CreateCluster, Intent, LossPolicy, StorageProof};
use isogrid_cluster::reconcile::Own;
use isogrid_cluster::steward::{Directive, Evidence};
use isogrid_cluster::{BootId, ClusterId, Command, Council, Millis, Outcome, Steward, StorageId};
use isogrid_core::{
    Incarnation, Member, NodeId, PartitionCount, PartitionId, Replica, Table, TableVersion,
};

use super::copies::Copies;
use super::encoding::Encoding;
use super::node::Node;
use super::propose::{Origin, Proposals};
use super::report::FirstChange;
use super::settings::{GOSSIP_MS, STEP_MS, STEWARD_MS, ScaleSettings};
use super::traffic::{Traffic, Watch, Work};
use crate::random::Random;

/// The id of the only cluster there is.
pub(super) const CLUSTER: ClusterId = ClusterId(7);

/// A large cluster in virtual time.
pub struct ScaleWorld {
    pub(super) settings: ScaleSettings,
    pub(super) encoding: Encoding,
    pub(super) watch: Box<dyn Watch>,
    pub(super) random: Random,
    pub(super) now: Millis,
    pub(super) council: Council,
    pub(super) steward: Steward,
    pub(super) evidence: Evidence,
    pub(super) nodes: Vec<Node>,
    /// The numbers of the nodes, by name.
    pub(super) numbers: BTreeMap<NodeId, usize>,
    /// Nodes that died, and since when.
    pub(super) dead: BTreeMap<usize, Millis>,
    pub(super) copies: Copies,
    pub(super) proposals: Proposals,
    /// Members that their primary is about to remove, and when.
    pub(super) removals: BTreeMap<(PartitionId, Replica), Millis>,
    pub(super) directives: VecDeque<(Millis, Directive)>,
    pub(super) traffic: Traffic,
    /// Copies begun.
    pub(super) moves: u64,
    /// The first change of the table since this was last emptied.
    pub(super) first: Option<FirstChange>,
}

impl ScaleWorld {
    /// A cluster whose nodes have registered, and whose every node knows who holds what.
    pub fn form(settings: ScaleSettings, encoding: Encoding, watch: Box<dyn Watch>) -> Self {
        let now = Millis(1_000);
        let mut world = ScaleWorld {
            encoding,
            watch,
            random: Random::new(settings.seed).fork("scale"),
            now,
            council: Council::new(),
            steward: Steward::with_settings(now, settings.steward.clone()),
            evidence: Evidence::default(),
            nodes: Vec::new(),
            numbers: BTreeMap::new(),
            dead: BTreeMap::new(),
            copies: Copies::default(),
            proposals: Proposals::default(),
            removals: BTreeMap::new(),
            directives: VecDeque::new(),
            traffic: Traffic::default(),
            moves: 0,
            first: None,
            settings,
        };
        let (partitions, copies) = (world.settings.partitions, world.settings.copies);
        world.commit(&Command::CreateCluster(CreateCluster {
            id: CLUSTER,
            partitions,
            copies,
            loss_policy: LossPolicy::Block,
            members: Vec::new(),
        }));
        for _ in 0..world.settings.nodes {
            world.add_node();
        }
        let bytes = world.settings.bytes_per_copy();
        for partition in world.council.table().partitions().iter() {
            world.evidence.partitions.entry(partition).or_default().bytes = bytes;
        }
        while world.council.table().version() == TableVersion(0) || !world.all_know() {
            world.step();
        }
        world
    }

    /// One more node, registered.
    pub(super) fn add_node(&mut self) -> usize {
        let number = self.nodes.len();
        let id = ScaleSettings::name(number);
        let address = |port: u16| format!("10.0.{}.{}:{port}", number / 250, number % 250 + 1);
        let member = Member {
            grpc_addr: address(7_700),
            gossip_addr: address(7_701),
            http_addr: address(7_702),
            zone: Some(self.settings.zone(number)),
            ..Member::new(id.as_str())
        };
        let storage = StorageProof {
            storage_id: StorageId(number as u128 + 1),
            incarnations: vec![Incarnation(1)],
            boot_id: BootId(1),
            survives_power_loss: false,
            is_intact: true,
            is_volatile: false,
        };
        let outcome = self.commit(&Command::Register { member, storage });
        let Outcome::Registered(registered) = outcome else {
            panic!("a new node registers: {outcome:?}");
        };
        let partitions = PartitionCount::new(self.settings.partitions).expect("checked by create");
        self.nodes.push(Node {
            own: Own {
                node: id.clone(),
                incarnation: Incarnation(1),
                registered: Some(registered.table),
            },
            is_up: true,
            table: Table::unassigned(partitions),
            replicas: BTreeMap::new(),
            gossips_at: self.now.plus(STEP_MS + self.random.below(GOSSIP_MS)),
            pull: None,
        });
        self.numbers.insert(id, number);
        number
    }

    /// A node dies.
    pub(super) fn kill(&mut self, number: usize) {
        self.nodes[number].is_up = false;
        self.dead.insert(number, self.now);
        self.expect_removals(number);
    }

    /// A node is to leave.
    pub(super) fn retire(&mut self, number: usize) {
        let node = self.nodes[number].id().clone();
        self.commit(&Command::SetIntent { node, intent: Intent::Leave });
    }

    /// One step of time.
    pub(super) fn step(&mut self) {
        self.now = self.now.plus(STEP_MS);
        self.commit_due();
        self.spread();
        self.copy();
        self.obey_due();
        self.remove_due();
        if self.now.0.is_multiple_of(STEWARD_MS) {
            self.gather();
            self.lead();
        }
        self.proposals.send(self.now.plus(STEP_MS));
    }

    /// One step of the steward. What it orders is done a round trip later.
    fn lead(&mut self) {
        self.watch.begin();
        let orders = self.steward.step(self.now, &self.council, &self.evidence);
        self.watch.end(if orders.is_empty() { Work::IdleStep } else { Work::BusyStep });
        let due = self.now.plus(STEP_MS);
        for command in orders.commands {
            self.proposals.queue.push_back((due, Origin::Steward, command));
        }
        for directive in orders.directives {
            self.traffic.directives += 1;
            self.directives.push_back((due, directive));
        }
    }

    /// The copies under way go on, and new ones begin.
    fn copy(&mut self) {
        let bytes = self.settings.bytes_per_copy();
        let waiting: Vec<_> = self.copies.waiting.iter().copied().collect();
        for (partition, target) in waiting {
            let learner = self.nodes[target].life();
            let entry = self.council.entry(partition);
            let Some(entry) = entry.filter(|entry| entry.learners.contains(&learner)) else {
                self.copies.waiting.remove(&(partition, target));
                continue;
            };
            let Some(source) = entry.primary.as_ref().map(|primary| self.numbers[primary]) else {
                continue;
            };
            let primary = self.nodes[source].leads(partition);
            let is_known = primary.is_some_and(|entry| entry.learners.contains(&learner));
            if is_known && self.nodes[target].learns(partition) {
                self.copies.begin((partition, target), source, bytes);
            }
        }
        let nodes = &self.nodes;
        self.copies.go_on(self.settings.bytes_per_second, |node| nodes[node].is_up);
        self.finish_copies();
    }

    /// The settings.
    pub fn settings(&self) -> &ScaleSettings {
        &self.settings
    }

    /// The council.
    pub fn council(&self) -> &Council {
        &self.council
    }

    /// What was sent so far.
    pub fn traffic(&self) -> Traffic {
        self.traffic
    }
}
