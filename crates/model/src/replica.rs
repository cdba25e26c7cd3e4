//! What every model's node has: its incarnation, its promise, its log, and what it believes while it is the primary.

use crate::council::{Amendment, Configuration, Proposal};
use crate::log::{Content, Log};
use crate::message::{Acknowledgement, Append};
use crate::nodes::{Epoch, Incarnation, Members, NodeId, PerNode};

/// How much of the log a replica is known to hold, and in which incarnation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Matched {
    /// The incarnation that said so.
    pub incarnation: Incarnation,
    /// The matched prefix.
    pub length: u8,
}

/// A primary's knowledge of its epoch.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Leadership {
    /// The version of the configuration read last.
    pub version: u8,
    /// Its in-sync set.
    pub in_sync: Members,
    /// The proposal whose outcome is not known. A timeout is not an outcome (R6).
    pub proposal: Option<Amendment>,
    /// What each replica holds.
    pub matched: PerNode<Option<Matched>>,
    /// The length of the log with this epoch's no-op: nothing counts as committed below it (R9).
    pub barrier: u8,
    /// How many entries are committed.
    pub commit: u8,
}

impl Leadership {
    /// Believes a configuration just learned, and knows nothing of the others' logs.
    pub fn of(configuration: &Configuration) -> Self {
        Leadership {
            version: configuration.version,
            in_sync: configuration.in_sync,
            proposal: None,
            matched: PerNode::default(),
            barrier: 0,
            commit: 0,
        }
    }

    /// Whether this epoch's no-op is committed (R9).
    pub fn is_past_barrier(&self) -> bool {
        self.commit >= self.barrier
    }

    /// R3 and R6: all other members, a member proposed for removal too, and a learner proposed for addition.
    pub fn required(&self, own: NodeId) -> Members {
        let mut required = self.in_sync.without(own);
        if let Some(Amendment::Add(node, incarnation)) = self.proposal
            && !required.contains(node)
        {
            required.insert(node, incarnation);
        }
        required
    }

    /// The prefix that each of these members holds in the required incarnation, at most `limit`.
    pub fn held_by_all(&self, required: &Members, limit: u8) -> u8 {
        required
            .iter()
            .map(|(node, it)| self.held_by(node, it))
            .min()
            .map_or(limit, |it| it.min(limit))
    }

    /// The prefix that this incarnation is known to hold.
    pub fn held_by(&self, node: NodeId, incarnation: Incarnation) -> u8 {
        match self.matched[node] {
            Some(matched) if matched.incarnation == incarnation => matched.length,
            _ => 0,
        }
    }

    /// Whether an answer says more than is known.
    pub fn is_news(&self, from: NodeId, incarnation: Incarnation, length: u8) -> bool {
        self.matched[from].is_none_or(|it| it.incarnation != incarnation || it.length < length)
    }

    /// Notes an answer.
    pub fn note(&mut self, from: NodeId, incarnation: Incarnation, length: u8) {
        if self.is_news(from, incarnation, length) {
            self.matched[from] = Some(Matched { incarnation, length });
        }
    }

    /// The removals and additions that the primary may propose now: one proposal at a time, no addition before the barrier
    /// (R9), and only of a learner that holds everything committed.
    pub fn proposable(&self, own: NodeId, needs_barrier: bool) -> Vec<Amendment> {
        if self.proposal.is_some() {
            return Vec::new();
        }
        let amendment = |node: NodeId| {
            if self.in_sync.contains(node) {
                return Some(Amendment::Remove(node));
            }
            let learner = self.matched[node].filter(|it| it.length >= self.commit)?;
            let ready = self.is_past_barrier() || !needs_barrier;
            ready.then_some(Amendment::Add(node, learner.incarnation))
        };
        own.others().filter_map(amendment).collect()
    }
}

/// A node's copy of the partition.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Replica<C> {
    /// Which start of the node this is.
    pub incarnation: Incarnation,
    /// The highest epoch it heard of: it accepts nothing older (R1).
    pub promised: Epoch,
    /// Its log.
    pub log: Log<C>,
    /// The commit index that a primary told it. Always zero but in the mutants that use it.
    pub told_commit: u8,
    /// There while the node believes to be the primary of the promised epoch.
    pub leadership: Option<Leadership>,
}

impl<C: Content> Replica<C> {
    /// A node at the beginning: the first one leads, and all are known to hold the empty log.
    pub fn new(node: NodeId, configuration: &Configuration) -> Self {
        let leadership = (node == configuration.primary).then(|| {
            let empty = Some(Matched { incarnation: 1, length: 0 });
            Leadership { matched: PerNode([empty; 3]), ..Leadership::of(configuration) }
        });
        Replica { incarnation: 1, promised: 1, log: Log::default(), told_commit: 0, leadership }
    }

    /// Whether it believes to be the primary of this epoch.
    pub fn leads(&self, epoch: Epoch) -> bool {
        self.leadership.is_some() && self.promised == epoch
    }

    /// R1 and R4: whether a primary's message is for this incarnation, and not of a deposed primary.
    pub fn admits(&self, append: &Append<C>) -> bool {
        self.is_meant_by(append) && append.epoch >= self.promised
    }

    /// R4 alone: whether the message is for this incarnation (and not of the epoch in which it leads itself).
    pub fn is_meant_by(&self, append: &Append<C>) -> bool {
        append.incarnation == self.incarnation && !self.leads(append.epoch)
    }

    /// Promises an epoch, which ends an older leadership (R12).
    pub fn promise(&mut self, epoch: Epoch) {
        if epoch > self.promised {
            self.promised = epoch;
            self.demote();
        }
    }

    /// Ends its leadership.
    pub fn demote(&mut self) {
        self.leadership = None;
    }

    /// A restart under a new incarnation that keeps the log.
    pub fn restart(&mut self) {
        self.demote();
        self.incarnation += 1;
    }

    /// A restart under a new incarnation that keeps nothing: memory is gone.
    pub fn restart_empty(&mut self) {
        self.restart();
        (self.promised, self.told_commit) = (0, 0);
        self.log = Log::default();
    }

    /// Whether learning of the configuration would change anything: a newer epoch, or a newer version of the own one.
    pub fn could_learn(&self, own: NodeId, configuration: &Configuration) -> bool {
        let newer_version = self.leadership.as_ref().is_some_and(|leadership| {
            configuration.epoch == self.promised
                && configuration.primary == own
                && configuration.version > leadership.version
        });
        configuration.epoch > self.promised || newer_version
    }

    /// The configurations worth learning. Those of one epoch that do not make the node primary are all the same to it: only
    /// the first is given.
    pub fn lessons(&self, own: NodeId, history: &[Configuration]) -> Vec<Configuration> {
        let mut seen = 0;
        let mut lessons = Vec::new();
        for configuration in history.iter().filter(|it| self.could_learn(own, it)) {
            let leads = configuration.is_led_by(own, self.incarnation);
            if leads || seen != configuration.epoch || configuration.epoch == self.promised {
                lessons.push(*configuration);
            }
            if !leads {
                seen = configuration.epoch;
            }
        }
        lessons
    }

    /// Learns a configuration. True if it made the node the primary: then an epoch is to be opened.
    pub fn learn(&mut self, own: NodeId, configuration: &Configuration) -> bool {
        let leads = configuration.is_led_by(own, self.incarnation);
        if configuration.epoch > self.promised {
            self.promise(configuration.epoch);
            if leads {
                self.leadership = Some(Leadership::of(configuration));
            }
            return leads;
        }
        if !leads {
            self.demote();
        } else if let Some(leadership) = &mut self.leadership {
            leadership.version = configuration.version;
            leadership.in_sync = configuration.in_sync;
            leadership.proposal = None;
        }
        false
    }

    /// R9: a new primary first appends the no-op of its epoch.
    pub fn append_barrier(&mut self) {
        self.log.push(self.promised, C::BARRIER);
        let length = self.log.length();
        if let Some(leadership) = &mut self.leadership {
            leadership.barrier = length;
        }
    }

    /// Appends an entry of the own epoch.
    pub fn append(&mut self, content: C) {
        self.log.push(self.promised, content);
    }

    /// The message with the piece of the log from `start` to `end`, for the incarnation that is required or, for a learner,
    /// registered.
    pub fn message_to(
        &self,
        (own, to): (NodeId, NodeId),
        registered: Incarnation,
        (start, end): (u8, u8),
    ) -> Option<Append<C>> {
        let required = self.leadership.as_ref()?.required(own).incarnation(to);
        Some(Append {
            from: own,
            to,
            incarnation: required.unwrap_or(registered),
            epoch: self.promised,
            chunk: self.log.chunk(start, end),
            commit: 0,
        })
    }

    /// The answer to a primary's message.
    pub fn acknowledgement(&self, append: &Append<C>, length: u8) -> Acknowledgement {
        Acknowledgement {
            from: append.to,
            to: append.from,
            incarnation: self.incarnation,
            epoch: append.epoch,
            length,
        }
    }

    /// Takes an answer of its own epoch. False if it is for another.
    pub fn take_acknowledgement(&mut self, answer: &Acknowledgement) -> bool {
        let length = answer.length.min(self.log.length());
        match &mut self.leadership {
            Some(leadership) if self.promised == answer.epoch => {
                leadership.note(answer.from, answer.incarnation, length);
                true
            }
            _ => false,
        }
    }

    /// Makes a proposal, whose outcome is then awaited.
    pub fn propose(&mut self, amendment: Amendment) -> Option<Proposal> {
        let leadership = self.leadership.as_mut()?;
        leadership.proposal = Some(amendment);
        Some(Proposal { epoch: self.promised, version: leadership.version, amendment })
    }
}

/// Whether a message of entries can still change its receiver, or teach its sender something. Dropping those that cannot
/// keeps the models small, and takes nothing away: the network may lose any message.
pub fn is_append_useful<C: Content>(
    append: &Append<C>,
    from: &Replica<C>,
    to: &Replica<C>,
) -> bool {
    if !to.admits(append) {
        return false;
    }
    let changes = append.epoch > to.promised || !to.log.holds(&append.chunk);
    let teaches = from.leads(append.epoch)
        && from
            .leadership
            .as_ref()
            .is_some_and(|it| it.is_news(append.to, to.incarnation, append.chunk.end()));
    changes || teaches
}

/// The same for an answer.
pub fn is_answer_useful<C: Content>(answer: &Acknowledgement, to: &Replica<C>) -> bool {
    let length = answer.length.min(to.log.length());
    to.leads(answer.epoch)
        && to
            .leadership
            .as_ref()
            .is_some_and(|it| it.is_news(answer.from, answer.incarnation, length))
}
