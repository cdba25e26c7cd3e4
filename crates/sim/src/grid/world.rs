//! [`World`]: machines, network, council, clients and faults in one queue of events. One step takes one event.

mod begin;
mod carry;
mod clocked;
mod keep;
mod settings;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use isogrid_cluster::Command;
use isogrid_cluster::steward::CanStop;
use isogrid_core::{Epoch, LogPosition, NodeId, PartitionId};
use isogrid_replica::{Replica, Settings};

use super::council::CouncilService;
use super::machine::Machines;
use super::options::Drawn;
use super::packet::Packet;
use super::process::Names;
use super::watch::Watcher;
use super::workload::Client;
use crate::client::History;
use crate::client::history::LossId;
use crate::network::{DisturbanceId, Envelope, Network, NodeIndex};
use crate::queue::EventQueue;
use crate::random::Random;
use crate::schedule::{Moment, Schedule};
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
    /// A sync is done.
    Synced(NodeIndex, u64),
    /// A process looks whether images are to be written, or goes on with some.
    Images(NodeIndex, u64),
    /// A process ends that was to end in the middle of something.
    Ends(NodeIndex, u64),
    /// A process starts that ended by itself, unless something came between.
    Start(NodeIndex, u64),
    /// The council's leader looks at the cluster.
    Council,
    /// A proposal is committed, if the leader of this term still stands.
    Commit { from: NodeIndex, ticket: u64, term: u64, command: Command },
    /// A client looks at its operations.
    Client(usize),
    /// A watcher looks for news.
    Watcher(usize),
}

/// A cluster in virtual time.
pub struct World {
    pub(crate) queue: EventQueue<Event>,
    pub(crate) network: Network<Packet>,
    pub(crate) machines: Machines,
    pub(crate) names: Names,
    pub(crate) council: CouncilService,
    pub(crate) clients: Vec<Client>,
    pub(crate) watchers: Vec<Watcher>,
    pub(crate) history: History,
    pub(crate) trace: Trace,
    pub(crate) paths: Sometimes,
    pub(crate) schedule: Schedule,
    pub(crate) drawn: Drawn,
    pub(crate) settings: Arc<Settings>,
    pub(crate) random: Random,
    /// The newest acknowledged write per partition.
    pub(crate) acked: BTreeMap<PartitionId, LogPosition>,
    /// The newest of those that were synced everywhere before they were acknowledged.
    pub(crate) acked_synced: BTreeMap<PartitionId, LogPosition>,
    /// How many bits have flipped.
    pub(crate) flips: u64,
    /// How often a process found damages on its disk when it started.
    pub(crate) damages: u64,
    /// The same, as it was before each loss that was declared.
    pub(crate) synced_before: BTreeMap<(PartitionId, u32), LogPosition>,
    /// Who has just started and found damages on its disk that nothing explains.
    pub(crate) unexplained: Vec<(NodeIndex, String)>,
    /// All processes ended at once, and these partitions have not been open since.
    pub(crate) went_down: BTreeSet<PartitionId>,
    /// Whose data went wrong, as long as nobody has noticed.
    pub(crate) corrupted: BTreeMap<PartitionId, NodeIndex>,
    /// Who was asked in this step whether a node can stop, and the answer.
    pub(crate) asked_to_stop: Option<(NodeId, CanStop)>,
    pub(crate) ledger_read: u64,
    /// Declared losses of which answers may still come: when, where, and the epoch that they opened.
    pub(crate) losses: Vec<(LossId, SimTime, PartitionId, Epoch)>,
    /// What is acknowledged in an earlier epoch than this is covered by the ledger.
    pub(crate) lost_before: BTreeMap<PartitionId, Epoch>,
    pub(crate) faults_end: SimTime,
    pub(crate) disturbances: BTreeMap<(usize, u32), DisturbanceId>,
    pub(crate) waiting_opens: BTreeMap<(NodeIndex, u64), (NodeIndex, u64)>,
    pub(crate) tickets: u64,
    /// Partitions in which something happened in this step.
    pub(crate) touched: BTreeSet<(NodeIndex, PartitionId)>,
    pub(crate) copies_seen: BTreeSet<(PartitionId, NodeIndex)>,
}

impl World {
    /// The time.
    pub fn now(&self) -> SimTime {
        self.queue.now()
    }

    /// Takes one event. Says whether there was one.
    pub(crate) fn step(&mut self) -> bool {
        self.touched.clear();
        self.asked_to_stop = None;
        self.unexplained.clear();
        let Some((at, event)) = self.queue.pop() else { return false };
        match event {
            Event::Arrive(envelope) => self.arrive(envelope, at),
            Event::Fault(moment) => self.fault(&moment, at),
            Event::Tick(node, life) => self.tick(node, life, at),
            Event::Gossip(node, life) => self.gossip(node, life, at),
            Event::Synced(node, life) => self.synced((node, life), at),
            Event::Images(node, life) => self.keep_images((node, life), at),
            Event::Ends(node, life) => self.ends_at_last(node, Some(life)),
            Event::Start(node, restart) => {
                let machine = self.machines.get(&node);
                if machine.is_some_and(|machine| machine.restarts == restart) {
                    self.start(node);
                }
            }
            Event::Council => self.tend_council(at),
            Event::Commit { from, ticket, term, command } => {
                self.commit((from, ticket), term, command, at);
            }
            Event::Client(number) => self.wake_client(number, at),
            Event::Watcher(number) => self.wake_watcher(number, at),
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

    /// A replica of a node that has a process.
    pub(crate) fn replica(&self, node: NodeIndex, partition: PartitionId) -> Option<&Replica> {
        let process = self.machines.get(&node)?.process.as_ref()?;
        Some(&process.replicas.get(&partition)?.replica)
    }
}
