//! Primaries that do at once what they have to.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use isogrid_cluster::Directive;
use isogrid_cluster::heartbeat::Lead;
use isogrid_cluster::steward::Follower;
use isogrid_core::{LogPosition, PartitionId, Replica, SessionId, Timestamp};
use isogrid_replica::{Now, Proposal, ProposedChange, Ticks};
use parking_lot::Mutex;
use tokio::sync::mpsc;

use crate::control::faces::EngineFace;
use crate::control::view::View;

/// Primaries that do at once what they have to.
pub(in crate::control) struct EngineTwin {
    pub(in crate::control) me: Replica,
    pub(in crate::control) begin: Instant,
    pub(in crate::control) view: Mutex<Arc<View>>,
    pub(in crate::control) proposals: mpsc::Sender<Proposal>,
    /// How many heartbeats were answered with a lease.
    pub(in crate::control) answered: AtomicU64,
    pub(in crate::control) kept_alive: Mutex<BTreeSet<SessionId>>,
}

impl EngineTwin {
    fn propose(&self, partition: PartitionId, change: ProposedChange) {
        let view = Arc::clone(&self.view.lock());
        let Some(entry) = view.table.entry(partition) else { return };
        let (epoch, ver) = (entry.epoch, entry.ver);
        let _ = self.proposals.try_send(Proposal { partition, epoch, ver, change });
    }

    /// Learners are ready at once, and members that are down are removed.
    fn tend(&self) {
        let view = Arc::clone(&self.view.lock());
        for partition in view.table.owned_by(&self.me.node) {
            let Some(entry) = view.table.entry(partition) else { continue };
            if let Some(learner) = entry.learners.iter().find(|learner| view.is_live(learner)) {
                self.propose(partition, ProposedChange::Add(learner.clone()));
            } else if let Some(gone) = entry.in_sync.iter().find(|member| !view.is_live(member)) {
                self.propose(partition, ProposedChange::Remove(gone.clone()));
            }
        }
    }
}

impl EngineFace for EngineTwin {
    fn learn(&self, view: &Arc<View>) {
        {
            let mut known = self.view.lock();
            assert!(known.table.version() <= view.table.version(), "views come in their order");
            *known = Arc::clone(view);
        }
        self.tend();
    }

    fn leads(&self) -> Vec<Lead> {
        let view = Arc::clone(&self.view.lock());
        let lead = |partition| {
            let entry = view.table.entry(partition).expect("it is led");
            let whole = entry.in_sync.iter().map(|member| (member, true));
            let followers = whole.chain(entry.learners.iter().map(|learner| (learner, false)));
            let followers = followers.filter(|(replica, _)| replica.node != self.me.node);
            Lead {
                partition,
                bytes: 100,
                commit: LogPosition { epoch: entry.epoch, seq: 1 },
                followers: followers
                    .map(|(replica, is_complete)| {
                        (replica.node.clone(), Follower { is_complete, ..Follower::default() })
                    })
                    .collect(),
            }
        };
        view.table.owned_by(&self.me.node).map(lead).collect()
    }

    fn kept_alive(&self) -> Vec<SessionId> {
        std::mem::take(&mut *self.kept_alive.lock()).into_iter().collect()
    }

    fn positions(&self) -> Vec<(PartitionId, LogPosition)> {
        Vec::new()
    }

    fn council_answered(&self, _sent_at: Ticks) {
        self.answered.fetch_add(1, Ordering::Relaxed);
        // A lost proposal is made again.
        self.tend();
    }

    fn direct(&self, directive: &Directive) {
        match directive.clone() {
            Directive::HandOver { partition, to, .. } => {
                self.propose(partition, ProposedChange::HandOver(to));
            }
            Directive::Retire { partition, member, .. } => {
                self.propose(partition, ProposedChange::Remove(member));
            }
            Directive::Vouch { partition, member, .. } => {
                self.propose(partition, ProposedChange::Add(member));
            }
        }
    }

    fn now(&self) -> Now {
        let micros = self.begin.elapsed().as_micros() as u64;
        Now {
            ticks: Ticks(10_000_000 + micros),
            wall: Timestamp(1_700_000_000_000 + micros / 1_000),
        }
    }
}
