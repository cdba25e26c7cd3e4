//! [`World`]: machines, network, council, clients and faults in one queue of events. One step takes one event.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use isogrid_cluster::council::{ChangeKind, CreateCluster, LossPolicy, MapMode};
use isogrid_cluster::steward::StewardSettings;
use isogrid_cluster::{ClusterId, Command, Council};
use isogrid_core::{MapSettings, PartitionCount, PartitionId};
use isogrid_replica::log::WindowLimits;
use isogrid_replica::settings::{Acknowledge, MapMode as ReplicaMapMode};
use isogrid_replica::{ProposedChange, Receipt, Settings};

use super::council::CouncilService;
use super::machine::{Machine, Machines};
use super::options::{Drawn, Options, Storage};
use super::packet::{Answer, Answered, Packet};
use super::paths;
use super::process::{InFlight, Names, Wishes, millis};
use super::workload::Client;
use crate::client::History;
use crate::client::history::LossId;
use crate::network::{Envelope, LinkSettings, Network, NodeIndex};
use crate::queue::EventQueue;
use crate::random::Random;
use crate::schedule::{GenerateSettings, Moment, Schedule};
use crate::sometimes::Sometimes;
use crate::time::SimTime;
use crate::trace::Trace;

/// True wall time at the beginning.
pub(crate) const EPOCH: Duration = Duration::from_secs(1_780_000_000);

/// Something that happens.
#[derive(Clone, Debug)]
pub(crate) enum Event {
    /// A message arrives.
    Arrive(Envelope<Packet>),
    /// A fault begins or ends.
    Fault(Box<Moment>),
    /// A process looks at its clock.
    Tick(NodeIndex, u64),
    /// A process gossips and beats.
    Gossip(NodeIndex, u64),
    /// A disk is done.
    Written(NodeIndex, u64, PartitionId, Vec<(isogrid_core::LogPosition, Vec<u8>)>),
    /// The council's leader looks at the cluster.
    Council,
    /// A proposal is committed, if the leader of this term still stands.
    Commit { from: NodeIndex, ticket: u64, term: u64, command: Command },
    /// A client looks at its operations.
    Client(usize),
}

/// An acknowledged write, for the invariants.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Acked {
    pub(crate) receipt: Receipt,
    pub(crate) at: SimTime,
}

/// A cluster in virtual time.
pub struct World {
    pub(crate) queue: EventQueue<Event>,
    pub(crate) network: Network<Packet>,
    pub(crate) machines: Machines,
    pub(crate) names: Names,
    pub(crate) council: CouncilService,
    pub(crate) clients: Vec<Client>,
    pub(crate) history: History,
    pub(crate) trace: Trace,
    pub(crate) paths: Sometimes,
    pub(crate) schedule: Schedule,
    pub(crate) drawn: Drawn,
    pub(crate) settings: Arc<Settings>,
    pub(crate) random: Random,
    /// The newest acknowledged write per partition.
    pub(crate) acked: BTreeMap<PartitionId, Acked>,
    pub(crate) ledger_read: u64,
    /// Declared losses of which answers may still come: when, where, and the epoch that they opened.
    pub(crate) losses: Vec<(LossId, SimTime, PartitionId, isogrid_core::Epoch)>,
    /// What is acknowledged in an earlier epoch than this is covered by the ledger.
    pub(crate) lost_before: BTreeMap<PartitionId, isogrid_core::Epoch>,
    pub(crate) faults_end: SimTime,
    pub(crate) disturbances: BTreeMap<(usize, u32), crate::network::DisturbanceId>,
    pub(crate) waiting_opens: BTreeMap<(NodeIndex, u64), (NodeIndex, u64)>,
    pub(crate) tickets: u64,
    /// Partitions in which something happened in this step.
    pub(crate) touched: BTreeSet<(NodeIndex, PartitionId)>,
    pub(crate) copies_seen: BTreeSet<(PartitionId, NodeIndex)>,
}

impl World {
    /// A cluster of this seed, before anything has happened.
    pub fn new(seed: u64, options: &Options) -> World {
        let random = Random::new(seed);
        let drawn = options.draw(&random);
        let partitions = PartitionCount::new(options.partitions).expect("a power of two");
        let settings = Arc::new(replica_settings(options, &drawn));
        let schedule = options.schedule.clone().unwrap_or_else(|| generate(options, &drawn, &random));
        let mut machines = Machines::new();
        for number in 0..options.nodes {
            let index = NodeIndex(number);
            machines.insert(index, Machine::new(index, drawn.storage, &random, SimTime::ZERO));
        }
        let names = machines.values().map(|machine| (machine.name.clone(), machine.index)).collect();
        let voters = (0..if options.nodes < 3 { 1 } else { 3 }).map(NodeIndex).collect();
        let council = new_council(options, &drawn, &machines);
        let clients = (0..options.clients).map(|number| {
            let operations = options.operations / options.clients;
            Client::new(number, &random, operations, partitions)
        });
        let clients = clients.collect();
        let steward = steward_settings();
        let mut world = World {
            queue: EventQueue::new(),
            network: Network::new(LinkSettings::default(), random.fork("network")),
            machines,
            names,
            council: CouncilService::new(council, voters, random.fork("council"), steward),
            clients,
            history: History::new(),
            trace: Trace::new(options.keep),
            paths: Sometimes::expecting(paths::ALL),
            faults_end: schedule.end(),
            schedule,
            drawn,
            settings,
            random: random.fork("world"),
            acked: BTreeMap::new(),
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
        self.queue.push(SimTime::from_millis(1), Event::Council);
    }

    /// Starts the process of a machine.
    pub(crate) fn start(&mut self, node: NodeIndex) {
        let now = self.queue.now();
        let leader = self.council.leader_news();
        let settings = self.settings.clone();
        let Some(machine) = self.machines.get_mut(&node) else { return };
        if machine.process.is_some() || machine.has_left {
            return;
        }
        machine.start(settings, leader, now);
        let life = machine.life;
        self.trace.note(now, Some(node), "start", "");
        self.queue.push(now + Duration::from_millis(1), Event::Tick(node, life));
        self.queue.push(now + Duration::from_millis(2), Event::Gossip(node, life));
    }

    /// The time.
    pub fn now(&self) -> SimTime {
        self.queue.now()
    }

    /// Takes one event. Says whether there was one.
    pub(crate) fn step(&mut self) -> bool {
        self.touched.clear();
        let Some((at, event)) = self.queue.pop() else { return false };
        match event {
            Event::Arrive(envelope) => self.arrive(envelope, at),
            Event::Fault(moment) => self.fault(&moment, at),
            Event::Tick(node, life) => self.tick(node, life, at),
            Event::Gossip(node, life) => self.gossip(node, life, at),
            Event::Written(node, life, partition, entries) => {
                self.written((node, life), partition, entries, at);
            }
            Event::Council => self.tend_council(at),
            Event::Commit { from, ticket, term, command } => {
                self.commit((from, ticket), term, command, at);
            }
            Event::Client(number) => self.wake_client(number, at),
        }
        true
    }

    fn arrive(&mut self, envelope: Envelope<Packet>, at: SimTime) {
        if !self.network.arrives(&envelope) {
            return;
        }
        let Envelope { from, to, payload, .. } = envelope;
        let kind = payload.kind();
        self.trace.record(at, Some(to), kind, &(from, payload.bytes()), || {
            format!("from {from}: {}", payload.to_line())
        });
        if let Some(client) = to.0.checked_sub(1_000) {
            if let (Packet::Answer(answer), Some(client)) =
                (payload, self.clients.get_mut(usize::from(client)))
            {
                client.answered(answer, at, &mut self.history);
            }
            return;
        }
        let Some(machine) = self.machines.get_mut(&to) else { return };
        if machine.pauses > 0 && machine.process.is_some() {
            // It waits in the socket's buffer.
            machine.inbox.push((from, payload));
            return;
        }
        self.receive(from, to, payload, at);
    }

    /// Sends what a step of a process asked for.
    pub(crate) fn carry_out(&mut self, node: NodeIndex, wishes: Wishes, at: SimTime) {
        for (to, packet) in wishes.packets {
            self.send(node, to, packet, at);
        }
        for (partition, hands) in wishes.hands {
            self.touched.insert((node, partition));
            for notice in &hands.notices {
                self.notice(node, partition, notice, at);
            }
            self.carry_messages(node, partition, hands.messages, at);
            for proposal in hands.proposals {
                self.propose_change(node, proposal, at);
            }
            for (ticket, answered, receipt) in hands.answers {
                if let Some(receipt) = receipt
                    && !self.is_loose(node, ticket)
                {
                    self.acknowledge(receipt, at);
                }
                self.answer(node, ticket, answered, at);
            }
        }
        let Some(machine) = self.machines.get_mut(&node) else { return };
        let life = machine.life;
        for partition in wishes.forgotten {
            if let Some(disk) = machine.disk_mut() {
                disk.forget(partition);
            }
        }
        for (partition, entries) in wishes.writes {
            let base = if self.drawn.storage == Storage::Synced { 800 } else { 50 };
            let micros = machine.random.within(base..=base * 3) * u64::from(machine.slow_disk);
            // A disk writes in order.
            let done = (at + Duration::from_micros(micros)).max(machine.disk_busy_until);
            machine.disk_busy_until = done;
            self.queue.push(done, Event::Written(node, life, partition, entries));
        }
    }

    fn carry_messages(
        &mut self,
        node: NodeIndex,
        partition: PartitionId,
        messages: Vec<(isogrid_core::Replica, isogrid_replica::Message)>,
        at: SimTime,
    ) {
        let me = self.machines.get(&node).and_then(|machine| machine.process.as_ref());
        let Some(from) = me.map(|process| process.me.clone()) else { return };
        for (to, message) in messages {
            let Some(index) = self.names.get(&to.node).copied() else { continue };
            let packet =
                Packet::Replica { partition, from: from.clone(), to: to.incarnation, message };
            self.send(node, index, packet, at);
        }
    }

    pub(crate) fn send(&mut self, from: NodeIndex, to: NodeIndex, payload: Packet, at: SimTime) {
        if from == to {
            self.queue.push(at, Event::Arrive(Envelope { from, to, sent_at: at, bytes: 0, payload }));
            return;
        }
        let slow = self.machines.get(&from).map_or(1, |machine| machine.slow);
        let sent_at = at + Duration::from_micros(100) * (slow - 1);
        let bytes = payload.bytes();
        let queue = &mut self.queue;
        let envelope = Envelope { from, to, sent_at, bytes, payload };
        self.network.send(envelope, &mut |arrival, envelope| {
            queue.push(arrival, Event::Arrive(envelope));
        });
    }

    /// Whether a request is for the map whose writes the primary alone acknowledges: they promise nothing.
    fn is_loose(&self, node: NodeIndex, ticket: isogrid_replica::Ticket) -> bool {
        let process = self.machines.get(&node).and_then(|machine| machine.process.as_ref());
        let in_flight = process.and_then(|process| process.in_flight.get(&ticket));
        in_flight.is_none_or(|request| request.ask.map == super::workload::LOOSE)
    }

    fn acknowledge(&mut self, receipt: Receipt, at: SimTime) {
        let covered = self.lost_before.get(&receipt.partition);
        if covered.is_some_and(|epoch| receipt.position.epoch < *epoch) {
            return;
        }
        let acked = Acked { receipt, at };
        let newest = self.acked.entry(receipt.partition).or_insert(acked);
        if receipt.position > newest.receipt.position {
            *newest = acked;
        }
    }

    fn answer(
        &mut self,
        node: NodeIndex,
        ticket: isogrid_replica::Ticket,
        what: Answered,
        at: SimTime,
    ) {
        let Some(machine) = self.machines.get_mut(&node) else { return };
        let Some(process) = machine.process.as_mut() else { return };
        let Some(InFlight { client, ask }) = process.in_flight.remove(&ticket) else { return };
        let is_refused = matches!(what, Answered::Refused(_));
        let table = is_refused
            .then(|| process.table.delta_since(isogrid_core::TableVersion(0)));
        let answer = Answer { attempt: ask.attempt, what, table };
        self.send(node, client, Packet::Answer(answer), at);
    }

    fn propose_change(&mut self, node: NodeIndex, proposal: isogrid_replica::Proposal, at: SimTime) {
        let kind = match proposal.change {
            ProposedChange::Add(replica) => ChangeKind::AddMember(replica),
            ProposedChange::Remove(replica) => ChangeKind::RemoveMember(replica),
            ProposedChange::HandOver(to) => ChangeKind::Handover { to },
        };
        let (partition, epoch, ver) = (proposal.partition, proposal.epoch, proposal.ver);
        let change = isogrid_cluster::council::Change { partition, epoch, ver, kind };
        self.propose(node, Command::Changes(vec![change]), at);
    }

    /// Sends a command to whom this node believes to lead the council.
    pub(crate) fn propose(&mut self, node: NodeIndex, command: Command, at: SimTime) -> u64 {
        self.tickets += 1;
        let ticket = self.tickets;
        let process = self.machines.get_mut(&node).and_then(|machine| machine.process.as_mut());
        let Some(process) = process else { return ticket };
        let leader = process.detour.take().unwrap_or(process.leader.1);
        self.send(node, leader, Packet::Propose { ticket, command }, at);
        ticket
    }

    fn tick(&mut self, node: NodeIndex, life: u64, at: SimTime) {
        let Some(machine) = self.machines.get_mut(&node) else { return };
        if machine.life != life || machine.process.is_none() {
            return;
        }
        let slow = u64::from(machine.slow);
        self.queue.push(at + Duration::from_millis(20 * slow.min(8)), Event::Tick(node, life));
        if machine.pauses > 0 {
            return;
        }
        let now = machine.now(at);
        let mut wishes = Wishes::default();
        let Some(process) = machine.process.as_mut() else { return };
        process.tick(now, &mut wishes);
        process.reconcile(now, &mut wishes);
        process.unwritten(&mut wishes);
        let must_register = process.own.registered.is_none() || process.is_down;
        let is_due = must_register && millis(now) >= process.register_at;
        if is_due {
            process.register_at = millis(now).plus(200);
        }
        let report = process.positions(now);
        let me = process.me.clone();
        self.carry_out(node, wishes, at);
        if is_due && let Some(machine) = self.machines.get_mut(&node) {
            let (member, storage) = machine.proof();
            self.propose(node, Command::Register { member, storage }, at);
        }
        if let Some(positions) = report {
            let (node_id, incarnation) = (me.node, me.incarnation);
            let command = Command::ReportPositions { node: node_id, incarnation, positions };
            let ticket = self.propose(node, command, at);
            let machine = self.machines.get_mut(&node);
            if let Some(process) = machine.and_then(|machine| machine.process.as_mut()) {
                process.reports.push(ticket);
            }
        }
        self.take_images(node);
    }

    /// Now and then a partition's data go to disk as an image.
    fn take_images(&mut self, node: NodeIndex) {
        let Some(machine) = self.machines.get_mut(&node) else { return };
        let mut images = Vec::new();
        let Some(process) = machine.process.as_mut() else { return };
        for (partition, held) in &mut process.replicas {
            let is_due = held.replica.commit() > held.imaged + 200
                || held.replica.commit() < held.imaged
                || held.imaged == 0;
            if is_due && let Some(image) = held.replica.image() {
                held.imaged = image.position.seq;
                images.push((*partition, image));
            }
        }
        if let Some(disk) = machine.disk_mut() {
            for (partition, image) in images {
                disk.put_image(partition, image);
            }
        }
    }

    fn gossip(&mut self, node: NodeIndex, life: u64, at: SimTime) {
        let Some(machine) = self.machines.get_mut(&node) else { return };
        if machine.life != life || machine.process.is_none() {
            return;
        }
        self.queue.push(at + Duration::from_millis(200), Event::Gossip(node, life));
        if machine.pauses > 0 {
            return;
        }
        let now = machine.now(at);
        // Real gossip reaches everybody within a few rounds; here it does so at once.
        let to: Vec<NodeIndex> =
            self.names.values().copied().filter(|other| *other != node).collect();
        let Some(process) = machine.process.as_mut() else { return };
        let mut wishes = Wishes::default();
        let (state, leader) = (process.gossip(now), process.leader);
        for other in to {
            let packet = Packet::Gossip { state: state.clone(), leader };
            wishes.packets.push((other, packet));
        }
        process.beats(&self.names, now, &mut wishes);
        let heartbeat = process.heartbeat(now);
        wishes.packets.push((process.leader.1, Packet::Heartbeat(heartbeat)));
        self.carry_out(node, wishes, at);
    }

    fn wake_client(&mut self, number: usize, at: SimTime) {
        let may_begin = at < self.faults_end + Duration::from_secs(2);
        let wait = self.random.within(5..=30);
        self.queue.push(at + Duration::from_millis(wait), Event::Client(number));
        let client = &mut self.clients[number];
        let from = client.index;
        let sent = client.wake(at, &mut self.history, (&self.names, EPOCH), may_begin);
        for (to, ask) in sent {
            self.send(from, to, Packet::Ask(ask), at);
        }
    }
}

fn replica_settings(options: &Options, drawn: &Drawn) -> Settings {
    let loose = ReplicaMapMode { acknowledge: Acknowledge::Primary, min_in_sync: 1 };
    Settings {
        hash_seed: 7,
        durable: drawn.storage != Storage::Memory,
        alone_is_safe: drawn.loss_policy == LossPolicy::Block,
        window: WindowLimits { bytes_max: 24 << 10, age_ms_max: 4_000 },
        append_bytes_max: 2 << 10,
        in_flight_bytes_max: 8 << 10,
        chunk_bytes_max: 256,
        copy_bytes_per_s: 200 << 10,
        digest_every: 64,
        digest_ms: 1_500,
        readd_ms: 1_500,
        maps: vec![
            ReplicaMapMode::default(),
            ReplicaMapMode::default(),
            ReplicaMapMode::default(),
            loose,
        ],
        rules: options.replica_rules,
        ..Settings::default()
    }
}

fn steward_settings() -> StewardSettings {
    StewardSettings {
        stable_ms: 1_500,
        settle_ms: 300,
        replace_ms: 4_000,
        replace_restarting_ms: 10_000,
        recovery_wait_ms: 4_000,
        session_ms: 8_000,
        stalled_ms: 8_000,
        ..StewardSettings::default()
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
        council.apply(&Command::PutMap { name: name.to_owned(), settings, mode });
    }
    council
}

fn generate(options: &Options, drawn: &Drawn, random: &Random) -> Schedule {
    use crate::faults::DiskFate;
    let disks = match drawn.storage {
        Storage::Memory => vec![DiskFate::Lost],
        Storage::Files | Storage::Synced => DiskFate::ALL.to_vec(),
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
        ..GenerateSettings::default()
    };
    Schedule::generate(&settings, &random.fork("schedule"))
}

impl World {
    /// A replica of a node that has a process.
    pub(crate) fn replica(
        &self,
        node: NodeIndex,
        partition: PartitionId,
    ) -> Option<&isogrid_replica::Replica> {
        let process = self.machines.get(&node)?.process.as_ref()?;
        Some(&process.replicas.get(&partition)?.replica)
    }
}
