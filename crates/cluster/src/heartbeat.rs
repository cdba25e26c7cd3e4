//! What a node tells the council's leader of itself and of what it sees, and what the leader makes of it.

use std::collections::BTreeMap;

use isogrid_core::{Incarnation, LogPosition, NodeId, PartitionId, Replica, SessionId, Timestamp};
use serde::{Deserialize, Serialize};

use crate::council::Council;
use crate::id::Millis;
use crate::steward::{Evidence, Follower, PartitionReport, Stream};

/// Without word from another node for so long, a node considers it dead. Nodes ping each other every 100 ms.
pub const SILENT_MS: u64 = 400;

/// What a node tells the council's leader.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Heartbeat {
    /// Which life of which node.
    pub from: Replica,
    /// Its monotonic clock in microseconds: the leader's answer gives a lease that counts from then.
    pub sent_at_us: u64,
    /// Its wall clock.
    pub wall: Timestamp,
    /// What it has heard of each other node.
    #[serde(default)]
    pub heard: Vec<(NodeId, Contact)>,
    /// What it leads: all of it, or what has changed since it was last told.
    #[serde(default)]
    pub leads: Vec<Lead>,
    /// Sessions that clients kept alive through it.
    #[serde(default)]
    pub sessions: Vec<SessionId>,
    /// Whether all it holds is where a stop of the whole cluster may leave it.
    #[serde(default)]
    pub is_flushed: bool,
}

/// What a node has heard of another one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Contact {
    /// For how long nothing, in milliseconds; `None` if it has never heard of it.
    pub ms_ago: Option<u64>,
    /// Whether nobody listens at its address: its process is gone, and there is nothing to wait for.
    pub is_refused: bool,
    /// Which of its lives was heard, if that is known: what is said of an earlier one is nothing against the present one.
    pub life: Option<Incarnation>,
}

impl Contact {
    /// Heard of, so many milliseconds ago.
    pub fn heard(ms_ago: u64) -> Self {
        Contact { ms_ago: Some(ms_ago), ..Contact::default() }
    }

    /// Whether that life of the other one is considered dead. Who was never heard of is not: whoever listens may have just
    /// started.
    fn is_silent(self, life: Incarnation, silent_ms: u64) -> bool {
        let is_meant = self.life.is_none_or(|heard| heard >= life);
        is_meant && (self.is_refused || self.ms_ago.is_some_and(|ms_ago| ms_ago > silent_ms))
    }
}

/// What a node tells of a partition that it leads.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lead {
    /// The partition.
    pub partition: PartitionId,
    /// How many bytes it has.
    #[serde(default)]
    pub bytes: u64,
    /// How far its log is committed.
    pub commit: LogPosition,
    /// How far each backup and learner is.
    #[serde(default)]
    pub followers: Vec<(NodeId, Follower)>,
}

impl Evidence {
    /// Takes in a node's heartbeat. All of it that is measured by the node's clock is told as ages, so that only the
    /// leader's own clock counts. Says whether the council counts this life among those that serve: only then may the
    /// leader answer in a way that gives a lease.
    pub fn hear(
        &mut self,
        beat: &Heartbeat,
        council: &Council,
        now: Millis,
        wall: Timestamp,
        silent_ms: u64,
    ) -> bool {
        let node = &beat.from.node;
        for (other, contact) in &beat.heard {
            let Some(ms_ago) = contact.ms_ago else { continue };
            let at = Millis(now.0.saturating_sub(ms_ago));
            let known = self.contacts.entry(other.clone()).or_default();
            let last = known.entry(node.clone()).or_insert(at);
            *last = (*last).max(at);
        }
        self.suspect(beat, council, now, silent_ms);
        let offset = beat.wall.0 as i64 - wall.0 as i64;
        self.note_clock(node, offset, now);
        self.sessions.extend(beat.sessions.iter().map(|session| (*session, now)));
        for lead in &beat.leads {
            let report = PartitionReport {
                bytes: lead.bytes,
                committed: lead.commit,
                followers: lead.followers.iter().cloned().collect(),
            };
            self.partitions.insert(lead.partition, report);
        }
        self.find_streams(council);
        let serves = council.is_live(&beat.from);
        if serves {
            self.answered.insert(node.clone(), now);
            if beat.is_flushed {
                self.flushed.insert(node.clone());
            } else {
                self.flushed.remove(node);
            }
        }
        serves
    }

    /// A node has come back in a new life: what was said of the last one is not about it.
    pub fn returned(&mut self, node: &NodeId) {
        self.suspicions.remove(node);
        self.flushed.remove(node);
    }

    fn suspect(&mut self, beat: &Heartbeat, council: &Council, now: Millis, silent_ms: u64) {
        let reporter = &beat.from.node;
        let heard: BTreeMap<&NodeId, Contact> =
            beat.heard.iter().map(|(other, contact)| (other, *contact)).collect();
        for (other, record) in council.nodes().iter().filter(|(other, _)| *other != reporter) {
            let life = record.incarnation();
            let contact = heard.get(other);
            let is_silent = contact.is_some_and(|contact| contact.is_silent(life, silent_ms));
            let suspicions = self.suspicions.entry(other.clone()).or_default();
            if is_silent {
                suspicions.entry(reporter.clone()).or_insert(now);
            } else {
                suspicions.remove(reporter);
            }
        }
    }

    fn find_streams(&mut self, council: &Council) {
        self.streams.clear();
        for (partition, report) in &self.partitions {
            let Some(source) = council.table().owner(*partition) else { continue };
            for (target, follower) in &report.followers {
                if !follower.is_complete {
                    self.streams.push(Stream {
                        partition: *partition,
                        source: source.clone(),
                        target: target.clone(),
                    });
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use isogrid_core::Epoch;

    use super::*;
    use crate::council::LossPolicy;
    use crate::testing::{create, life, node, proof, register};

    fn council() -> Council {
        let mut council = Council::new();
        council.apply(&create(4, 2, LossPolicy::Block));
        for text in ["a1", "b1", "c1"] {
            register(&mut council, text, proof(text)).unwrap();
        }
        council
    }

    fn beat(from: &str, heard: &[(&str, Contact)]) -> Heartbeat {
        Heartbeat {
            from: life(from),
            sent_at_us: 5,
            wall: Timestamp(1_000),
            heard: heard.iter().map(|(other, contact)| (node(other), *contact)).collect(),
            leads: Vec::new(),
            sessions: Vec::new(),
            is_flushed: false,
        }
    }

    fn hear(evidence: &mut Evidence, beat: &Heartbeat, now: u64) -> bool {
        evidence.hear(beat, &council(), Millis(now), Timestamp(900), SILENT_MS)
    }

    #[test]
    fn silence_and_refusal_are_suspicions_and_word_of_a_node_ends_them() {
        let mut evidence = Evidence::default();
        let refused = Contact { is_refused: true, ..Contact::heard(10) };
        let silent = [("b", Contact::heard(SILENT_MS + 1)), ("c", refused)];
        assert!(hear(&mut evidence, &beat("a1", &silent), 2_000));
        hear(&mut evidence, &beat("a1", &silent), 2_100);
        for other in ["b", "c"] {
            assert_eq!(evidence.suspicions[&node(other)][&node("a")], Millis(2_000), "{other}");
        }
        assert_eq!(evidence.contacts[&node("c")][&node("a")], Millis(2_090));
        let well = [("b", Contact::heard(SILENT_MS)), ("c", Contact::default())];
        hear(&mut evidence, &beat("a1", &well), 2_200);
        assert!(evidence.suspicions.values().all(BTreeMap::is_empty), "neither heard of for long");
        let earlier = Contact { life: Some(Incarnation(0)), ..refused };
        hear(&mut evidence, &beat("a1", &[("b", earlier)]), 2_300);
        assert!(evidence.suspicions.values().all(BTreeMap::is_empty), "an earlier life of b");
    }

    #[test]
    fn only_the_present_life_of_a_node_is_answered() {
        let mut evidence = Evidence::default();
        assert!(!hear(&mut evidence, &beat("a2", &[]), 2_000));
        assert!(!hear(&mut evidence, &beat("x1", &[]), 2_000));
        assert!(evidence.answered.is_empty());
        let flushed = Heartbeat { is_flushed: true, ..beat("a1", &[]) };
        assert!(hear(&mut evidence, &flushed, 2_000));
        assert_eq!(evidence.answered[&node("a")], Millis(2_000));
        assert!(evidence.flushed.contains(&node("a")));
        assert_eq!(evidence.clock_offsets[&node("a")], 100);
        evidence.returned(&node("a"));
        assert!(evidence.flushed.is_empty());
    }

    #[test]
    fn a_report_replaces_the_last_one_of_its_partition() {
        let mut evidence = Evidence::default();
        let lead = |partition, seq, is_complete| Lead {
            partition: PartitionId(partition),
            bytes: 7,
            commit: LogPosition { epoch: Epoch(1), seq },
            followers: vec![(node("b"), Follower { is_complete, ..Follower::default() })],
        };
        let leads = vec![lead(0, 1, false), lead(1, 1, true)];
        hear(&mut evidence, &Heartbeat { leads, ..beat("a1", &[]) }, 2_000);
        hear(&mut evidence, &Heartbeat { leads: vec![lead(0, 9, true)], ..beat("a1", &[]) }, 2_100);
        assert_eq!(evidence.partitions[&PartitionId(0)].committed.seq, 9);
        assert_eq!(evidence.partitions[&PartitionId(1)].committed.seq, 1);
        let text = serde_json::to_string(&beat("a1", &[])).unwrap();
        assert_eq!(serde_json::from_str::<Heartbeat>(&text).unwrap(), beat("a1", &[]));
    }
}
