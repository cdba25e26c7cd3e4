//! [`CouncilService`]: the council as a simulated cluster has it. The state machine is the real one; the agreement below it
//! is one object that behaves as a correct consensus group would: a leader among the voters that can reach a majority,
//! commands that are applied once or not at all, and that may be applied although their leader is gone.

use std::collections::BTreeMap;
use std::time::Duration;

use isogrid_cluster::council::LossRecord;
use isogrid_cluster::steward::{
    CanStop, Evidence, Follower, PartitionReport, StewardSettings, Stream, can_stop,
};
use isogrid_cluster::{Command, Council, Millis, Orders, Outcome, Steward};
use isogrid_core::{NodeId, TableVersion};

use super::packet::{Heartbeat, News};
use crate::network::NodeIndex;
use crate::random::{Random, Rate};
use crate::time::SimTime;

/// Without word from another node for so long, a node considers it dead.
const SILENT_MS: u64 = 900;

/// How long the voters wait for a leader before they choose another, at least.
const ELECTION: Duration = Duration::from_millis(250);

/// The council and its leader.
pub(crate) struct CouncilService {
    pub(crate) council: Council,
    pub(crate) voters: Vec<NodeIndex>,
    /// The leader of this term, with its life, if there is one.
    pub(crate) leader: Option<(NodeIndex, u64)>,
    pub(crate) term: u64,
    steward: Option<Steward>,
    evidence: Evidence,
    leaderless_since: Option<SimTime>,
    /// Commands whose leader was lost before they were committed: they may still be.
    limbo: Vec<Command>,
    random: Random,
    settings: StewardSettings,
}

impl CouncilService {
    pub(crate) fn new(
        council: Council,
        voters: Vec<NodeIndex>,
        random: Random,
        settings: StewardSettings,
    ) -> Self {
        CouncilService {
            council,
            voters,
            leader: None,
            term: 0,
            steward: None,
            evidence: Evidence::default(),
            leaderless_since: Some(SimTime::ZERO),
            limbo: Vec::new(),
            random,
            settings,
        }
    }

    /// The leader as nodes hear of it.
    pub(crate) fn leader_news(&self) -> (u64, NodeIndex) {
        (self.term, self.leader.map_or(NodeIndex(0), |(leader, _)| leader))
    }

    /// Chooses a leader when there was none for long enough. `can_lead` says in which life a voter can: it lives and
    /// reaches a majority. Says whether there is a new one.
    pub(crate) fn elect(
        &mut self,
        now: SimTime,
        can_lead: impl Fn(NodeIndex) -> Option<(u64, Millis)>,
    ) -> bool {
        let stands = self.leader.is_some_and(|(leader, life)| {
            can_lead(leader).is_some_and(|(present, _)| present == life)
        });
        if stands {
            self.leaderless_since = None;
            return false;
        }
        let since = *self.leaderless_since.get_or_insert(now);
        if now.since(since) < ELECTION + Duration::from_millis(self.random.within(0..=250)) {
            return false;
        }
        let able: Vec<(NodeIndex, u64, Millis)> = self
            .voters
            .iter()
            .filter_map(|voter| can_lead(*voter).map(|(life, clock)| (*voter, life, clock)))
            .collect();
        let Some((leader, life, clock)) = self.random.pick(&able).copied() else { return false };
        self.leader = Some((leader, life));
        self.term += 1;
        self.leaderless_since = None;
        self.steward = Some(Steward::with_settings(clock, self.settings.clone()));
        self.evidence = Evidence::default();
        for command in std::mem::take(&mut self.limbo) {
            if self.random.chance(Rate::percent(50)) {
                self.council.apply(&command);
            }
        }
        true
    }

    /// Commits a command, or loses it between two leaders.
    pub(crate) fn commit(&mut self, command: Command, is_led: bool) -> Option<Outcome> {
        if is_led {
            return Some(self.council.apply(&command));
        }
        self.limbo.push(command);
        None
    }

    /// What the steward wants now.
    pub(crate) fn step(&mut self, now: Millis) -> Orders {
        match &mut self.steward {
            Some(steward) => steward.step(now, &self.council, &self.evidence),
            None => Orders::default(),
        }
    }

    /// A node's heartbeat. Says whether the council counts this life among those that serve.
    pub(crate) fn heartbeat(&mut self, beat: &Heartbeat, now: Millis, wall_ms: u64) -> bool {
        let node = &beat.from.node;
        let mut own = BTreeMap::new();
        for (other, ms_ago) in &beat.heard {
            let contacts = self.evidence.contacts.entry(other.clone()).or_default();
            let at = Millis(now.0.saturating_sub(*ms_ago));
            let known = contacts.entry(node.clone()).or_insert(at);
            *known = (*known).max(at);
            own.insert(other.clone(), *ms_ago);
        }
        self.suspect(node, &own, now);
        let offset = beat.wall.0 as i64 - wall_ms as i64;
        self.evidence.note_clock(node, offset, now);
        for session in &beat.sessions {
            self.evidence.sessions.insert(*session, now);
        }
        for lead in &beat.leads {
            let followers = lead.followers.iter().map(|(node, matched, is_complete)| {
                let bytes_left = if *is_complete { 0 } else { lead.bytes };
                let follower = Follower {
                    matched: *matched,
                    bytes_left,
                    lag_ms: 0,
                    is_complete: *is_complete,
                };
                (node.clone(), follower)
            });
            let report = PartitionReport {
                bytes: lead.bytes,
                committed: lead.commit,
                followers: followers.collect(),
            };
            self.evidence.partitions.insert(lead.partition, report);
        }
        self.find_streams();
        let serves = self.council.serving(node).is_some_and(|serving| serving == beat.from);
        if serves {
            self.evidence.answered.insert(node.clone(), now);
        }
        serves
    }

    fn suspect(&mut self, reporter: &NodeId, heard: &BTreeMap<NodeId, u64>, now: Millis) {
        for other in self.council.nodes().keys() {
            if other == reporter {
                continue;
            }
            // Who was never heard of is not suspected: the reporter may have just started.
            let is_silent = heard.get(other).is_some_and(|ms_ago| *ms_ago > SILENT_MS);
            let suspicions = self.evidence.suspicions.entry(other.clone()).or_default();
            if is_silent {
                suspicions.entry(reporter.clone()).or_insert(now);
            } else {
                suspicions.remove(reporter);
            }
        }
    }

    fn find_streams(&mut self) {
        self.evidence.streams.clear();
        for (partition, report) in &self.evidence.partitions {
            let Some(source) = self.council.table().owner(*partition) else { continue };
            for (target, follower) in &report.followers {
                if !follower.is_complete {
                    self.evidence.streams.push(Stream {
                        partition: *partition,
                        source: source.clone(),
                        target: target.clone(),
                    });
                }
            }
        }
    }

    /// What a node with this version of the table should hear.
    pub(crate) fn news_since(&self, version: TableVersion) -> News {
        News {
            delta: self.council.delta_since(version),
            watermark: self.council.sessions().watermark(),
            ended: self.council.sessions().ended_above().collect(),
            leader: self.leader_news(),
        }
    }

    /// The losses declared so far.
    pub(crate) fn ledger_since(&self, number: u64) -> &[LossRecord] {
        self.council.ledger_since(number)
    }

    /// Whether a node can be stopped, as the leader sees it.
    pub(crate) fn can_stop(&self, node: &NodeId) -> CanStop {
        can_stop(node, &self.council, &self.evidence)
    }
}
