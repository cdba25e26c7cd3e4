//! What a process says about itself and hears of others: gossip, leases and heartbeats.

use std::collections::BTreeMap;

use isogrid_cluster::Millis;
use isogrid_cluster::gossip::{GossipState, Heard, Load, hear};
use isogrid_cluster::heartbeat::{Contact, Heartbeat, Lead};
use isogrid_cluster::steward::Follower;
use isogrid_core::Replica as Name;
use isogrid_replica::lease::{Beat, BeatAck};
use isogrid_replica::{Event, Now, RoleName};

use super::{Names, Process, Wishes, millis};
use crate::grid::packet::Packet;
use crate::network::NodeIndex;

impl Process {
    /// In one term there is one leader.
    pub(crate) fn hear_leader(&mut self, leader: (u64, NodeIndex)) {
        if leader.0 > self.leader.0 {
            self.leader = leader;
            self.detour = None;
        }
    }

    /// Gossip of another node.
    pub(crate) fn hear(
        &mut self,
        state: &GossipState,
        leader: (u64, NodeIndex),
        now: Now,
    ) -> Heard {
        self.heard.insert(state.node.clone(), millis(now));
        self.hear_leader(leader);
        if self.cluster.is_none() {
            self.cluster = state.cluster;
        }
        hear(self.cluster, &self.table, state)
    }

    /// What it tells all others.
    pub(crate) fn gossip(&self, now: Now) -> GossipState {
        GossipState {
            node: self.me.node.clone(),
            incarnation: self.me.incarnation,
            cluster: self.cluster,
            table: self.table.version(),
            table_hash: self.table.hash(),
            clock: now.wall,
            load: Load::default(),
        }
    }

    /// The leases it wants, one beat per node.
    pub(crate) fn beats(&mut self, names: &Names, now: Now, wishes: &mut Wishes) {
        let mut claims: BTreeMap<Name, Vec<_>> = BTreeMap::new();
        for (partition, held) in &self.replicas {
            if held.replica.role() != RoleName::Primary {
                continue;
            }
            let view = held.replica.view();
            for other in view.in_sync.iter().chain(&view.learners) {
                if other.node != self.me.node {
                    let claim = (*partition, held.replica.promised());
                    claims.entry(other.clone()).or_default().push(claim);
                }
            }
        }
        self.claimants.retain(|other, _| claims.contains_key(other));
        for (other, claims) in claims {
            let claimant = self.claimants.entry(other.clone()).or_default();
            if let (Some(beat), Some(to)) =
                (claimant.beat(claims, now.ticks), names.get(&other.node))
            {
                let (from, to_life) = (self.me.clone(), other.incarnation);
                wishes.packets.push((*to, Packet::Beat { from, to: to_life, beat }));
            }
        }
    }

    /// Answers a beat.
    pub(crate) fn vouch(&mut self, from: &Name, beat: Beat, now: Now) -> BeatAck {
        let replicas = &mut self.replicas;
        self.voucher.answer(from, beat, |partition, epoch| {
            replicas.get_mut(&partition).is_some_and(|held| held.replica.grant_lease(epoch, now))
        })
    }

    /// A beat was answered.
    pub(crate) fn vouched(&mut self, from: &Name, ack: &BeatAck, now: Now, wishes: &mut Wishes) {
        let Some(claimant) = self.claimants.get_mut(from) else { return };
        for (partition, epoch) in claimant.answered(ack) {
            let event = Event::LeaseAck { from, epoch, sent_at: ack.sent_at };
            self.step(partition, event, now, wishes);
        }
    }

    /// What it tells the council's leader.
    pub(crate) fn heartbeat(&mut self, now: Now) -> Heartbeat {
        let ms = millis(now);
        let contact = |at: &Millis| Contact::heard(ms.since(*at));
        let heard = self.heard.iter().map(|(node, at)| (node.clone(), contact(at))).collect();
        let leads = self
            .replicas
            .iter()
            .filter(|(_, held)| held.replica.is_open())
            .map(|(partition, held)| {
                let replica = &held.replica;
                let commit = replica.log().position_of(replica.commit()).unwrap_or_default();
                let bytes = replica.store().total_bytes() as u64;
                let followers = replica.followers().into_iter().map(|(node, matched, whole)| {
                    let bytes_left = if whole { 0 } else { bytes };
                    (node, Follower { matched, bytes_left, lag_ms: 0, is_complete: whole })
                });
                Lead { partition: *partition, bytes, commit, followers: followers.collect() }
            })
            .collect();
        Heartbeat {
            from: self.me.clone(),
            sent_at_us: now.ticks.0,
            wall: now.wall,
            heard,
            leads,
            sessions: std::mem::take(&mut self.kept_alive).into_iter().collect(),
            is_flushed: false,
        }
    }
}
