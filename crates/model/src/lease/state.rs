//! The lease model's state: replicas with clocks, messages that age, and one read in progress.
//!
//! No absolute time is kept, only what is left of leases and waits, and the ages of messages: so the states are finite with
//! any number of ticks and reads. One read at a time is enough: reads do not change the protocol, and a stale one needs only
//! itself and one operation completed before.

use std::collections::BTreeSet;
use std::fmt;

use crate::bounds::Bounds;
use crate::council::{Amendment, Configuration, Council};
use crate::log::Change;
use crate::message::Message;
use crate::nodes::{Epoch, Incarnation, NodeId, PerNode};
use crate::replica::Replica;

/// A message, and how long ago its round was begun.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timed {
    /// What is sent.
    pub message: Message<Change>,
    /// Ticks of the primary's clock since it sent the message; an answer echoes it. Never more than a lease.
    pub age: u8,
    /// Sent after the read in progress took its value (confirmed reads).
    pub fresh: bool,
}

/// A replica and its clock's affairs.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Node {
    /// What it knows.
    pub replica: Replica<Change>,
    /// As primary: the ticks left of the lease that each replica gave.
    pub leases: PerNode<u8>,
    /// The ticks that its last acknowledgement may still uphold another's lease: before, it proposes no removal (R3).
    pub wait: u8,
    /// It has proposed a handover, and serves no more in this epoch (section 8).
    pub yielded: bool,
}

/// The key's newest write and the length of the log up to it. No write: nothing and zero.
pub type Value = (Option<u8>, u8);

/// A read in progress.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Read {
    /// The primary that serves it.
    pub node: NodeId,
    /// The epoch pinned when it began.
    pub epoch: Epoch,
    /// What was acknowledged or read before it began: the result must not be older.
    pub needed: u8,
    /// What it read.
    pub value: Option<Value>,
    /// Who confirmed the epoch in its round (confirmed reads).
    pub confirmed: PerNode<Option<Incarnation>>,
}

/// Everything at one moment.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct State {
    /// The owner of the configuration.
    pub council: Council,
    /// The nodes.
    pub nodes: PerNode<Node>,
    /// What is under way.
    pub network: BTreeSet<Timed>,
    /// Writes acknowledged or read: their numbers and places in the log.
    pub visible: BTreeSet<(u8, u8)>,
    /// Writes issued so far.
    pub writes: u8,
    /// Proposals made so far.
    pub changes: u8,
    /// Restarts so far.
    pub crashes: u8,
    /// Whose clock is one tick ahead of the slowest. No two differ by more.
    pub ahead: PerNode<bool>,
    /// The read in progress.
    pub read: Option<Read>,
    /// A read gave less than was visible when it began.
    pub stale: bool,
    /// The last in-sync member lost its memory.
    pub lost: bool,
}

impl State {
    /// The beginning.
    pub fn first(bounds: &Bounds) -> Self {
        let council = Council::new(bounds.in_sync);
        let nodes = PerNode::new(|node| {
            let replica = Replica::new(node, council.current());
            Node { replica, leases: PerNode::default(), wait: 0, yielded: false }
        });
        State {
            council,
            nodes,
            network: BTreeSet::new(),
            visible: BTreeSet::new(),
            writes: 0,
            changes: 0,
            crashes: 0,
            ahead: PerNode::default(),
            read: None,
            stale: false,
            lost: false,
        }
    }

    /// The length of log that a read beginning now must see.
    pub fn needed(&self) -> u8 {
        self.visible.iter().map(|(_, index)| index + 1).max().unwrap_or(0)
    }
}

/// One step.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    /// A client's write reaches a primary.
    Write(NodeId),
    /// A primary sends its log, which also asks for a lease.
    Send(NodeId, NodeId),
    /// A primary asks for a lease, and sends no entries: leases travel per node pair, apart from the log.
    Heartbeat(NodeId, NodeId),
    /// A message arrives.
    Deliver(Timed),
    /// The council promotes a member.
    Promote(NodeId),
    /// Mutant [`ResetWithoutWaiting`](super::mutant::Mutant::ResetWithoutWaiting): the council starts afresh with a node.
    Reset(NodeId),
    /// A node reads a configuration, perhaps an old one.
    Learn(NodeId, Configuration),
    /// A primary proposes a change.
    Propose(NodeId, Amendment),
    /// Mutant [`HandoverResumes`](super::mutant::Mutant::HandoverResumes): a primary serves again.
    Resume(NodeId),
    /// Mutant [`ForgetAddition`](super::mutant::Mutant::ForgetAddition): a primary gives up on its proposal.
    Forget(NodeId),
    /// A node's clock advances.
    Tick(NodeId),
    /// A node restarts.
    Crash(NodeId),
    /// A restarted node registers its new incarnation.
    Register(NodeId),
    /// A read begins, and takes its first step.
    BeginRead(NodeId),
    /// The read takes its last step, and replies.
    EndRead,
    /// The read is given up.
    AbortRead,
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Action::Write(node) => write!(f, "{node} takes a write"),
            Action::Send(from, to) => write!(f, "{from} sends its log to {to}"),
            Action::Heartbeat(from, to) => write!(f, "{from} sends a heartbeat to {to}"),
            Action::Deliver(Timed { message, age, .. }) => match message {
                Message::Proposal(_) => write!(f, "{message}"),
                _ => write!(f, "{message}, {age} ticks after the sending"),
            },
            Action::Promote(node) => write!(f, "the council promotes {node}"),
            Action::Reset(node) => write!(f, "the council starts afresh with {node}"),
            Action::Learn(node, configuration) => write!(f, "{node} learns {configuration}"),
            Action::Propose(node, amendment) => write!(f, "{node} asks the council {amendment}"),
            Action::Resume(node) => write!(f, "{node} serves again"),
            Action::Forget(node) => write!(f, "{node} gives up on its proposal"),
            Action::Tick(node) => write!(f, "the clock of {node} ticks"),
            Action::Crash(node) => write!(f, "{node} restarts"),
            Action::Register(node) => write!(f, "{node} registers its new incarnation"),
            Action::BeginRead(node) => write!(f, "a read begins at {node}"),
            Action::EndRead => write!(f, "the read replies"),
            Action::AbortRead => write!(f, "the read is given up"),
        }
    }
}
