//! Forms a cluster or joins one, by what gossip tells of the others.

use std::sync::Arc;
use std::time::Duration;

use isogrid_cluster::ClusterId;
use isogrid_cluster::bootstrap::{Bootstrap, Candidate, Waiting, decide};
use isogrid_cluster::council::CreateCluster;
use isogrid_core::{Member, NodeId};
use tokio::time::{sleep, timeout};
use tracing::{info, warn};

use super::shared::Control;
use crate::identity::random_u128;

/// How often it is looked, whatever happens.
const LOOK: Duration = Duration::from_millis(100);

/// The pause after forming the cluster failed.
const PAUSE: Duration = Duration::from_millis(500);

/// Until this node belongs to a cluster.
pub(super) async fn run(control: Arc<Control>) {
    // Drawn once: forming goes on where it was interrupted.
    let id = ClusterId(random_u128());
    let mut members = control.faces.gossip.members();
    let mut said = None;
    while control.cluster().is_none() {
        if control.has_begun_to_form().await {
            control.form(id, &[control.node().clone()]).await;
            continue;
        }
        match control.decide() {
            Bootstrap::JoinExisting(cluster) => {
                info!(cluster = %format_args!("{:032x}", cluster.0), "joining a cluster");
                control.join(cluster);
            }
            Bootstrap::FormCluster { members, .. } => {
                let members: Vec<NodeId> = members.into_iter().collect();
                control.form(id, &members).await;
            }
            Bootstrap::Wait { names, why } => {
                control.name(names);
                if said != Some(why) {
                    say(why, control.settings.expect);
                    said = Some(why);
                }
                // Whatever ends the wait, all is looked at again.
                let _ = timeout(LOOK, members.changed()).await;
            }
        }
    }
}

/// What the node waits for, for whoever wonders.
fn say(why: Waiting, expect: u16) {
    match why {
        Waiting::MoreNodes => info!(expect, "waiting for more nodes before a cluster is formed"),
        Waiting::ForAnother => info!("waiting for another node to form the cluster"),
        Waiting::ToBeNamed => info!("waiting for the others to agree on who forms the cluster"),
        Waiting::ForItsCluster => {
            info!("waiting for the members of the cluster of the data folder")
        }
        Waiting::Conflict => warn!(
            "two clusters are seen, or nodes with different cluster.expect: neither joining nor forming one"
        ),
    }
}

impl Control {
    /// Whether the own council was begun and the cluster's first command is still missing: the process ended in between.
    async fn has_begun_to_form(&self) -> bool {
        let council = &self.faces.council;
        let leads = council.leader().borrow().as_ref().is_some_and(|leader| leader.is_me);
        leads
            && council.voters().len() == 1
            && council.confirm().await.is_ok()
            && council.state().borrow().cluster().is_none()
    }

    /// Whether this node has never stored anything.
    pub(super) fn is_empty(&self) -> bool {
        !self.faces.council.is_initialized() && self.settings.identity.known_cluster().is_none()
    }

    fn decide(&self) -> Bootstrap {
        let members = self.faces.gossip.members();
        let members = members.borrow();
        let others: Vec<Candidate> =
            members.values().filter(|seen| seen.is_live).map(|seen| seen.candidate()).collect();
        let names = self.own.lock().names.clone();
        let own = Candidate {
            node: self.node().clone(),
            cluster: None,
            is_empty: self.is_empty(),
            expect: self.settings.expect,
            names,
        };
        if others.is_empty() && self.settings.has_seeds {
            return Bootstrap::Wait { names: None, why: Waiting::MoreNodes };
        }
        decide(&own, &others)
    }

    fn name(&self, names: Option<NodeId>) {
        let mut own = self.own.lock();
        if own.names != names {
            own.names = names;
            self.wake.publish.notify_one();
        }
    }

    async fn form(&self, id: ClusterId, members: &[NodeId]) {
        let settings = &self.settings;
        let known = |node: &NodeId| -> Option<Member> {
            if node == self.node() {
                return Some(settings.member.clone());
            }
            let seen = self.faces.gossip.members();
            let seen = seen.borrow();
            seen.get(node).map(|seen| seen.news.member.clone())
        };
        let create = CreateCluster {
            id,
            partitions: settings.partitions,
            copies: settings.backups.saturating_add(1),
            loss_policy: settings.loss_policy,
            members: members.iter().filter_map(known).collect(),
        };
        match self.faces.council.form(create).await {
            Ok(()) => {
                info!(cluster = %format_args!("{:032x}", id.0), members = members.len(), "formed a cluster");
                self.join(id);
            }
            Err(error) => {
                warn!(%error, "the cluster could not be formed yet");
                sleep(PAUSE).await;
            }
        }
    }
}
