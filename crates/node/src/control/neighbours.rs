//! The other nodes: what this one tells them of itself, and where they are.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use isogrid_cluster::ClusterId;
use isogrid_core::{Member, NodeId};
use tokio::time::{sleep, timeout};

use super::news::Leader;
use super::shared::Control;
use crate::gossip::OwnNews;
use crate::peers::message::PeerAddress;

/// How often everything is looked at again, whatever happens.
const LOOK: Duration = Duration::from_millis(500);

/// Changes that come together are told together.
const COALESCE: Duration = Duration::from_millis(20);

/// Follows gossip: who leads, and where everybody is.
pub(super) async fn follow(control: Arc<Control>) {
    let mut members = control.faces.gossip.members();
    let mut view = control.view();
    loop {
        control.hear_leaders();
        control.faces.peers.set_addresses(control.addresses());
        tokio::select! {
            Ok(()) = members.changed() => {}
            Ok(()) = view.changed() => {}
            () = sleep(LOOK) => {}
        }
    }
}

/// Tells the others what is new of this node.
pub(super) async fn publish(control: Arc<Control>) {
    loop {
        let _ = timeout(LOOK, control.wake.publish.notified()).await;
        control.publish();
        sleep(COALESCE).await;
    }
}

impl Control {
    /// What this node tells all others.
    pub(super) fn publish(&self) {
        let view = self.now_known();
        let (cluster, names) = {
            let own = self.own.lock();
            (own.cluster, own.names.clone())
        };
        let mut member = self.settings.member.clone();
        if let Some(known) = view.nodes.get(&member.id)
            && known.member.incarnation == member.incarnation
        {
            member.state = known.member.state;
        }
        let leader = view.leader.as_ref().map(|leader| (leader.term, leader.node.clone()));
        self.faces.gossip.publish(OwnNews {
            cluster,
            table: view.table.version(),
            table_hash: view.table.hash(),
            leader,
            is_empty: self.is_empty() && cluster.is_none(),
            expect: self.settings.expect,
            names,
            voter: Some(self.faces.council.voter()),
            load: self.faces.engine.load(),
            ..OwnNews::new(member)
        });
    }

    fn hear_leaders(&self) {
        let cluster = self.cluster();
        let members = self.faces.gossip.members();
        let best = {
            let members = members.borrow();
            let same =
                members.values().filter(|seen| cluster.is_some() && seen.news.cluster == cluster);
            same.filter_map(|seen| seen.news.leader.clone()).max()
        };
        if let Some((term, node)) = best {
            self.hear_leader(&Leader { term, node });
        }
    }

    /// Those of the own cluster who may know the leader.
    pub(super) fn members_to_ask(&self) -> Vec<NodeId> {
        let cluster = self.cluster();
        let members = self.faces.gossip.members();
        let members = members.borrow();
        let same = members.values().filter(|seen| seen.is_live && seen.news.cluster == cluster);
        same.map(|seen| seen.news.member.id.clone()).collect()
    }

    /// Where the other nodes are: of each its newest life, by gossip or by the council.
    fn addresses(&self) -> BTreeMap<NodeId, PeerAddress> {
        let cluster = self.cluster();
        let view = self.now_known();
        let members = self.faces.gossip.members();
        let members = members.borrow();
        let mut addresses: BTreeMap<NodeId, PeerAddress> = BTreeMap::new();
        let mut add = |member: &Member| {
            if member.id == *self.node() || member.grpc_addr.is_empty() {
                return;
            }
            let incarnation = member.incarnation;
            let is_newer = addresses.get(&member.id).is_none_or(|a| a.incarnation < incarnation);
            if is_newer {
                let grpc = member.grpc_addr.clone();
                addresses.insert(member.id.clone(), PeerAddress { incarnation, grpc });
            }
        };
        // Those of another cluster with the same name are no peers.
        let is_foreign = |theirs: Option<ClusterId>| match (theirs, cluster) {
            (Some(theirs), Some(own)) => theirs != own,
            _ => false,
        };
        let peers = members.values().filter(|seen| !is_foreign(seen.news.cluster));
        peers.for_each(|seen| add(&seen.news.member));
        view.nodes.values().for_each(|news| add(&news.member));
        addresses
    }
}
