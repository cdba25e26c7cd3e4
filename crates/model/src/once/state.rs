//! The exactly-once model's state: one client's session with two requests, and the partition that executes them.

use std::collections::BTreeSet;
use std::fmt;

use crate::bounds::Bounds;
use crate::council::{Amendment, Configuration, Council};
use crate::log::Content;
use crate::nodes::{NodeId, PerNode};
use crate::replica::Replica;

/// The requests of the session.
pub const REQUESTS: usize = 2;

/// A log entry's content. The operation is "increment": its result, the new count, is different if it is executed twice or
/// upon another history. The dedupe table and the watermark are derived from the log, so they travel with it (R11).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Record {
    /// The no-op of a new epoch (R9).
    Barrier,
    /// A request, executed.
    Executed {
        /// Its number.
        request: u8,
        /// The count after it.
        result: u8,
        /// The client has the answers of all requests below this one.
        first_incomplete: u8,
    },
    /// The end of the session.
    SessionEnd,
}

impl Content for Record {
    const BARRIER: Self = Record::Barrier;
}

impl fmt::Display for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Record::Barrier => write!(f, "barrier"),
            Record::Executed { request, result, .. } => write!(f, "request{request}={result}"),
            Record::SessionEnd => write!(f, "end"),
        }
    }
}

/// A message of this model.
pub type Message = crate::message::Message<Record>;

/// A copy of a request on its way. It stays there for ever: a late duplicate may arrive at any time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestCopy {
    /// The request.
    pub request: u8,
    /// What the client had completed when it sent the copy.
    pub first_incomplete: u8,
}

/// A replica.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Node {
    /// What it knows.
    pub replica: Replica<Record>,
    /// Mutant [`VolatileTable`](super::mutant::Mutant::VolatileTable): records of the first entries, this many, are gone.
    pub forgotten: u8,
}

/// What went wrong with a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Fault {
    /// The client got two different answers.
    TwoAnswers,
    /// A committed log has it twice.
    ExecutedTwice,
    /// Its result does not follow from the history before it.
    WrongResult,
}

/// Everything at one moment.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct State {
    /// The owner of the configuration.
    pub council: Council,
    /// The nodes.
    pub nodes: PerNode<Node>,
    /// What is under way between them.
    pub network: BTreeSet<Message>,
    /// What is under way from the client.
    pub copies: BTreeSet<RequestCopy>,
    /// The answer to each request.
    pub answers: [Option<u8>; REQUESTS],
    /// Whether the client has it.
    pub complete: [bool; REQUESTS],
    /// The answered requests and their places in the log.
    pub acknowledged: BTreeSet<(u8, u8)>,
    /// Proposals made so far.
    pub changes: u8,
    /// Restarts so far.
    pub crashes: u8,
    /// Whether the session has ended.
    pub ended: bool,
    /// The last in-sync member lost its memory.
    pub lost: bool,
    /// What went wrong, if anything did.
    pub fault: Option<Fault>,
}

impl State {
    /// The beginning.
    pub fn first(bounds: &Bounds) -> Self {
        let council = Council::new(bounds.in_sync);
        let nodes = PerNode::new(|node| {
            let replica = Replica::new(node, council.current());
            Node { replica, forgotten: 0 }
        });
        State {
            council,
            nodes,
            network: BTreeSet::new(),
            copies: BTreeSet::new(),
            answers: [None; REQUESTS],
            complete: [false; REQUESTS],
            acknowledged: BTreeSet::new(),
            changes: 0,
            crashes: 0,
            ended: false,
            lost: false,
            fault: None,
        }
    }

    /// The first request whose answer the client does not have.
    pub fn first_incomplete(&self) -> u8 {
        let place = self.complete.iter().position(|complete| !complete).unwrap_or(REQUESTS);
        u8::try_from(place).expect("there are two requests")
    }
}

/// One step.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    /// The client sends a request, for the first time or again.
    Issue(u8),
    /// A copy of a request reaches a primary.
    Request(NodeId, RequestCopy),
    /// The client has an answer.
    Complete(u8),
    /// A primary logs the end of the session.
    EndSession(NodeId),
    /// A primary sends its log.
    Send(NodeId, NodeId),
    /// A message arrives.
    Deliver(Message),
    /// The council promotes a member.
    Promote(NodeId),
    /// A node reads a configuration, perhaps an old one.
    Learn(NodeId, Configuration),
    /// A primary proposes a change.
    Propose(NodeId, Amendment),
    /// A node restarts, its memory gone.
    Crash(NodeId),
    /// A restarted node registers its new incarnation.
    Register(NodeId),
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Action::Issue(request) => write!(f, "the client sends request {request}"),
            Action::Request(node, RequestCopy { request, first_incomplete }) => {
                write!(
                    f,
                    "{node} receives request {request} (all below {first_incomplete} complete)"
                )
            }
            Action::Complete(request) => write!(f, "the client has the answer to {request}"),
            Action::EndSession(node) => write!(f, "{node} logs the end of the session"),
            Action::Send(from, to) => write!(f, "{from} sends its log to {to}"),
            Action::Deliver(message) => write!(f, "{message}"),
            Action::Promote(node) => write!(f, "the council promotes {node}"),
            Action::Learn(node, configuration) => write!(f, "{node} learns {configuration}"),
            Action::Propose(node, amendment) => write!(f, "{node} asks the council {amendment}"),
            Action::Crash(node) => write!(f, "{node} restarts with nothing"),
            Action::Register(node) => write!(f, "{node} registers its new incarnation"),
        }
    }
}
