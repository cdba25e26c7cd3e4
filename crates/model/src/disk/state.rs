//! The disk model's state: replicas with a disk each, and a council that knows which storage a node proved last.

use std::collections::BTreeSet;
use std::fmt;

use crate::bounds::Bounds;
use crate::council::{Amendment, Configuration, Council};
use crate::log::Change;
use crate::nodes::{NodeId, PerNode};
use crate::replica::Replica;

/// A message of this model.
pub type Message = crate::message::Message<Change>;

/// A replica and its disk.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Node {
    /// What it knows.
    pub replica: Replica<Change>,
    /// How many entries of its log are persisted at the map's level.
    pub durable: u8,
    /// Which disk it has, from one: another one is another `storage_id`.
    pub storage: u8,
    /// It restarted after a power loss (the boot id changed), and has not registered since.
    pub suspect: bool,
    /// Mutant [`PickByHeardEpoch`](super::mutant::Mutant::PickByHeardEpoch): the last epoch in which its log was written.
    pub heard_epoch: u8,
}

/// Everything at one moment.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct State {
    /// The owner of the configuration.
    pub council: Council,
    /// The storage that each node proved at its last registration (R4).
    pub storage: PerNode<u8>,
    /// The nodes.
    pub nodes: PerNode<Node>,
    /// What is under way.
    pub network: BTreeSet<Message>,
    /// What clients were told: the writes' numbers and their places in the log.
    pub acknowledged: BTreeSet<(u8, u8)>,
    /// What has happened so far, for the bounds.
    pub spent: Spent,
    /// The epoch opened by the last declared loss. What a deposed primary acknowledges afterwards is in the ledger.
    pub loss_epoch: u8,
    /// The council declared everything lost.
    pub lost: bool,
    /// A loss was declared although a recorded or live replica held every acknowledged write.
    pub avoidable: bool,
}

/// Counters of what the bounds limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Spent {
    /// Writes issued.
    pub writes: u8,
    /// Proposals made.
    pub changes: u8,
    /// Plain restarts.
    pub crashes: u8,
    /// Restarts that lost the disk.
    pub disk_losses: u8,
    /// Restarts that lost the tail of the log.
    pub power_losses: u8,
}

impl State {
    /// The beginning.
    pub fn first(bounds: &Bounds) -> Self {
        let council = Council::new(bounds.in_sync);
        let nodes = PerNode::new(|node| {
            let replica = Replica::new(node, council.current());
            Node { replica, durable: 0, storage: 1, suspect: false, heard_epoch: 0 }
        });
        State {
            council,
            storage: PerNode([1; 3]),
            nodes,
            network: BTreeSet::new(),
            acknowledged: BTreeSet::new(),
            spent: Spent::default(),
            loss_epoch: 0,
            lost: false,
            avoidable: false,
        }
    }

    /// Whether the node has every acknowledged write in its place.
    pub fn holds_all(&self, node: NodeId) -> bool {
        self.acknowledged.iter().all(|write| self.holds(node, *write))
    }

    /// Whether the node has this write in its place.
    pub fn holds(&self, node: NodeId, (number, index): (u8, u8)) -> bool {
        self.nodes[node].replica.log.content(index) == Some(Change::Write(number))
    }
}

/// One step.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    /// A client's write reaches a primary.
    Write(NodeId),
    /// What a node has in memory is on its disk.
    Persist(NodeId),
    /// A primary sends the piece of its log from the first number to the second.
    Send(NodeId, NodeId, u8, u8),
    /// A message arrives.
    Deliver(Message),
    /// The council promotes a member.
    Promote(NodeId),
    /// All members are suspect: the council takes this one's log, and declares what may be lost (section 12).
    PromoteSuspect(NodeId),
    /// A node reads a configuration, perhaps an old one.
    Learn(NodeId, Configuration),
    /// A primary proposes a change.
    Propose(NodeId, Amendment),
    /// A node restarts with what it had persisted.
    Crash(NodeId),
    /// A node restarts with an empty disk.
    LoseDisk(NodeId),
    /// A node restarts after a power loss, with this many entries.
    LosePower(NodeId, u8),
    /// A restarted node registers.
    Register(NodeId),
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Action::Write(node) => write!(f, "{node} takes a write"),
            Action::Persist(node) => write!(f, "{node} persists its log"),
            Action::Send(from, to, start, end) => {
                write!(f, "{from} sends entries {start}..{end} to {to}")
            }
            Action::Deliver(message) => write!(f, "{message}"),
            Action::Promote(node) => write!(f, "the council promotes {node}"),
            Action::PromoteSuspect(node) => {
                write!(f, "all are suspect: the council takes the log of {node}")
            }
            Action::Learn(node, configuration) => write!(f, "{node} learns {configuration}"),
            Action::Propose(node, amendment) => write!(f, "{node} asks the council {amendment}"),
            Action::Crash(node) => write!(f, "{node} restarts with what it persisted"),
            Action::LoseDisk(node) => write!(f, "{node} restarts with an empty disk"),
            Action::LosePower(node, length) => {
                write!(f, "{node} restarts after a power loss with {length} entries")
            }
            Action::Register(node) => write!(f, "{node} registers"),
        }
    }
}
