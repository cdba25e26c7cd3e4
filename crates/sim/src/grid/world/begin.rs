//! How a world begins: machines, council, clients, and the faults that will come.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use isogrid_cluster::council::{CreateCluster, MapMode};
use isogrid_cluster::{ClusterId, Command, Council};
use isogrid_core::{MapSettings, PartitionCount, PartitionId};

use super::settings::{replica_settings, steward_settings};
use super::{Event, World};
use crate::client::History;
use crate::faults::DiskFate;
use crate::grid::council::CouncilService;
use crate::grid::machine::{Machine, Machines};
use crate::grid::options::{Drawn, Options, Storage};
use crate::grid::paths;
use crate::grid::storage::recover::Found;
use crate::grid::watch::Watcher;
use crate::grid::workload::Client;
use crate::network::{Network, NodeIndex};
use crate::queue::EventQueue;
use crate::random::Random;
use crate::schedule::{GenerateSettings, Schedule};
use crate::sometimes::Sometimes;
use crate::time::SimTime;
use crate::trace::Trace;

impl World {
    /// A cluster of this seed, before anything has happened.
    pub fn new(seed: u64, options: &Options) -> World {
        let random = Random::new(seed);
        let drawn = options.draw(&random);
        let partitions = PartitionCount::new(options.partitions).expect("a power of two");
        let settings = Arc::new(replica_settings(options, &drawn));
        let schedule =
            options.schedule.clone().unwrap_or_else(|| generate(options, &drawn, &random));
        let mut machines = Machines::new();
        for number in 0..options.nodes {
            let index = NodeIndex(number);
            machines.insert(index, Machine::new(index, drawn.storage, &random, SimTime::ZERO));
        }
        let names =
            machines.values().map(|machine| (machine.name.clone(), machine.index)).collect();
        let voters = (0..if options.nodes < 3 { 1 } else { 3 }).map(NodeIndex).collect();
        let council = new_council(options, &drawn, &machines);
        let watchers = (0..2 * u64::from(options.partitions)).map(|number| {
            let partition = PartitionId((number / 2) as u16);
            Watcher::new(number, partition, &random)
        });
        let watchers = watchers.collect();
        let until = schedule.end() + Duration::from_secs(1);
        let clients = (0..options.clients).map(|number| {
            let operations = options.operations.div_ceil(options.clients);
            Client::new(number, &random, (operations, until), partitions)
        });
        let clients = clients.collect();
        let steward = steward_settings();
        let mut world = World {
            queue: EventQueue::new(),
            network: Network::new(drawn.links, random.fork("network")),
            machines,
            names,
            council: CouncilService::new(council, voters, random.fork("council"), steward),
            clients,
            watchers,
            history: History::new(),
            trace: Trace::new(options.keep),
            paths: Sometimes::expecting(paths::ALL),
            faults_end: schedule.end(),
            schedule,
            drawn,
            settings,
            random: random.fork("world"),
            acked: BTreeMap::new(),
            acked_synced: BTreeMap::new(),
            synced_before: BTreeMap::new(),
            flips: 0,
            damages: 0,
            unexplained: Vec::new(),
            went_down: BTreeSet::new(),
            corrupted: BTreeMap::new(),
            asked_to_stop: None,
            ledger_read: 0,
            losses: Vec::new(),
            lost_before: BTreeMap::new(),
            disturbances: BTreeMap::new(),
            waiting_opens: BTreeMap::new(),
            tickets: 0,
            touched: BTreeSet::new(),
            copies_seen: BTreeSet::new(),
        };
        world.begin();
        world
    }

    fn begin(&mut self) {
        for moment in self.schedule.moments() {
            self.queue.push(moment.at, Event::Fault(Box::new(moment)));
        }
        let nodes: Vec<NodeIndex> = self.machines.keys().copied().collect();
        for node in nodes {
            self.start(node);
        }
        for client in 0..self.clients.len() {
            self.queue.push(SimTime::from_millis(500 + client as u64), Event::Client(client));
        }
        for watcher in 0..self.watchers.len() {
            self.queue.push(SimTime::from_millis(600 + watcher as u64), Event::Watcher(watcher));
        }
        self.queue.push(SimTime::from_millis(1), Event::Council);
    }

    /// Starts the process of a machine.
    pub(crate) fn start(&mut self, node: NodeIndex) {
        self.ends_at_last(node, None);
        let now = self.queue.now();
        let leader = self.council.leader_news();
        let settings = self.settings.clone();
        let Some(machine) = self.machines.get_mut(&node).filter(|one| one.process.is_none()) else {
            return;
        };
        match machine.start(settings, leader, now) {
            Ok(found) => self.started(node, &found, now),
            Err(why) => {
                self.trace.note(now, Some(node), "start", &format!("fails: {why}"));
                self.paths.reached(paths::START_FAILED);
                if machine.folder.as_ref().is_some_and(|folder| folder.is_over()) {
                    self.crash(node, DiskFate::Kept);
                }
                self.start_later(node, now);
            }
        }
    }

    fn started(&mut self, node: NodeIndex, found: &Found, now: SimTime) {
        let Some(machine) = self.machines.get_mut(&node) else { return };
        let damages = found.damages.join(", ");
        self.trace.note(now, Some(node), "start", &damages);
        for path in &found.paths {
            self.paths.reached(path);
        }
        let has_damages = !damages.is_empty();
        if has_damages {
            self.damages += 1;
            self.paths.reached(paths::SUSPECT_BY_DAMAGE);
        }
        let folder = machine.folder.as_mut();
        if folder.is_some_and(|folder| !folder.explains(has_damages)) {
            self.unexplained.push((node, damages));
        }
        let life = machine.life;
        self.queue.push(now + Duration::from_millis(1), Event::Tick(node, life));
        self.queue.push(now + Duration::from_millis(2), Event::Gossip(node, life));
        if machine.folder.is_some() {
            self.queue.push(now + Duration::from_millis(100), Event::Images(node, life));
        }
    }
}

fn new_council(options: &Options, drawn: &Drawn, machines: &Machines) -> Council {
    let mut council = Council::new().with_rules(options.council_rules);
    let members = machines.values().map(|machine| {
        let mut member = isogrid_core::Member::new(machine.name.as_str());
        member.incarnation = isogrid_core::Incarnation(1);
        member
    });
    council.apply(&Command::CreateCluster(CreateCluster {
        id: ClusterId(1),
        partitions: options.partitions,
        copies: drawn.copies,
        loss_policy: drawn.loss_policy,
        members: members.collect(),
    }));
    for name in ["registers", "counters", "expiring", "loose"] {
        let (settings, mode) = (MapSettings::default(), MapMode::default());
        council.apply(&Command::PutMap { name: name.to_owned(), settings, mode, schema: None });
    }
    council
}

fn generate(options: &Options, drawn: &Drawn, random: &Random) -> Schedule {
    let disks = match drawn.storage {
        Storage::Memory => vec![DiskFate::Lost],
        Storage::Files | Storage::Mixed | Storage::Synced => DiskFate::ALL.to_vec(),
    };
    let settings = GenerateSettings {
        profile: options.profile,
        faults: options.faults,
        nodes: options.nodes,
        nodes_max: options.nodes + 3,
        nodes_min: 3.min(options.nodes),
        from: SimTime::from_secs(2),
        until: SimTime::from_secs(2) + options.duration,
        down_max: if options.nodes > 4 { 2 } else { 1 },
        disks,
        loss_gap: Duration::from_secs(8),
        crash_all: drawn.storage != Storage::Memory,
        has_disks: drawn.storage != Storage::Memory,
        ..GenerateSettings::default()
    };
    Schedule::generate(&settings, &random.fork("schedule"))
}
