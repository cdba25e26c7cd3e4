//! The write model's state: a council, three replicas that live in memory only, a network, and what clients were told.

use std::collections::BTreeSet;
use std::fmt;

use crate::bounds::Bounds;
use crate::council::{Amendment, Configuration, Council};
use crate::log::Change;
use crate::nodes::{NodeId, PerNode};
use crate::replica::Replica;

/// A message of this model.
pub type Message = crate::message::Message<Change>;

/// A write that a client was told is done: its number and its place in the log.
pub type AcknowledgedWrite = (u8, u8);

/// Everything at one moment.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct State {
    /// The owner of the configuration.
    pub council: Council,
    /// The nodes.
    pub nodes: PerNode<Replica<Change>>,
    /// What is under way.
    pub network: BTreeSet<Message>,
    /// What clients were told.
    pub acknowledged: BTreeSet<AcknowledgedWrite>,
    /// Writes issued so far.
    pub writes: u8,
    /// Proposals made so far.
    pub changes: u8,
    /// Restarts so far.
    pub crashes: u8,
    /// The last in-sync member lost its memory: more copies failed than the protocol promises to survive (section 12).
    pub lost: bool,
}

impl State {
    /// The beginning.
    pub fn first(bounds: &Bounds) -> Self {
        let council = Council::new(bounds.in_sync);
        let nodes = PerNode::new(|node| Replica::new(node, council.current()));
        State {
            council,
            nodes,
            network: BTreeSet::new(),
            acknowledged: BTreeSet::new(),
            writes: 0,
            changes: 0,
            crashes: 0,
            lost: false,
        }
    }
}

/// One step.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    /// A client's write reaches a primary.
    Write(NodeId),
    /// A primary sends its log.
    Send(NodeId, NodeId),
    /// A message arrives. (One that never does is lost.)
    Deliver(Message),
    /// The council, suspecting whomever, promotes a node.
    Promote(NodeId),
    /// A node reads a configuration, perhaps an old one.
    Learn(NodeId, Configuration),
    /// A primary proposes a change.
    Propose(NodeId, Amendment),
    /// Mutant [`ForgetAddition`](super::mutant::Mutant::ForgetAddition): a primary gives up on its proposal.
    Forget(NodeId),
    /// Mutant [`GossipElects`](super::mutant::Mutant::GossipElects): a node makes itself the primary.
    Elect(NodeId),
    /// A node restarts, its memory gone.
    Crash(NodeId),
    /// A restarted node registers its new incarnation.
    Register(NodeId),
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Action::Write(node) => write!(f, "{node} takes a write"),
            Action::Send(from, to) => write!(f, "{from} sends its log to {to}"),
            Action::Deliver(message) => write!(f, "{message}"),
            Action::Promote(node) => write!(f, "the council promotes {node}"),
            Action::Learn(node, configuration) => write!(f, "{node} learns {configuration}"),
            Action::Propose(node, amendment) => write!(f, "{node} asks the council {amendment}"),
            Action::Forget(node) => write!(f, "{node} gives up on its proposal"),
            Action::Elect(node) => write!(f, "{node} elects itself"),
            Action::Crash(node) => write!(f, "{node} restarts with nothing"),
            Action::Register(node) => write!(f, "{node} registers its new incarnation"),
        }
    }
}
