//! [`Nodes`]: what this client knows of its cluster, and which lanes lead to which node. From both follow the ways of all
//! partitions.

use std::collections::BTreeMap;
use std::sync::Arc;

use isogrid_core::{Incarnation, NodeId, PartitionCount, PartitionId};
use parking_lot::Mutex;
use tokio::sync::watch;

use crate::routes::{Routes, Way};
use crate::topology::Topology;

/// The lanes to one node, or, for a client that does not choose among nodes, to any.
#[derive(Debug)]
pub(crate) struct Group {
    /// The node; `None`: whichever answers at the known addresses.
    pub(crate) node: Option<NodeId>,
    state: Mutex<GroupState>,
    retired: watch::Sender<bool>,
}

#[derive(Debug, Default)]
struct GroupState {
    /// Lanes, and the core that each ended up at.
    lanes: Vec<(usize, usize)>,
    /// How many cores the node has; zero before the first welcome.
    cores: usize,
    /// The life of the node that its connections belong to.
    incarnation: Option<Incarnation>,
    /// The address at which it was last reached.
    last_good: Option<String>,
}

impl Group {
    pub(crate) fn new(node: Option<NodeId>) -> Arc<Self> {
        let retired = watch::Sender::new(false);
        Arc::new(Self { node, state: Mutex::default(), retired })
    }

    /// A lane will lead here; its core is not known yet.
    pub(crate) fn add(&self, lane: usize) {
        let mut state = self.state.lock();
        let core = state.lanes.len();
        state.lanes.push((lane, core));
    }

    /// A lane has reached the node. Says how many more lanes the node's cores could use.
    pub(crate) fn reached(
        &self,
        lane: usize,
        (core, cores): (usize, usize),
        address: &str,
    ) -> usize {
        let mut state = self.state.lock();
        state.cores = cores;
        state.last_good = Some(address.to_owned());
        if let Some(known) = state.lanes.iter_mut().find(|(known, _)| *known == lane) {
            known.1 = core;
        }
        cores.saturating_sub(state.lanes.len())
    }

    /// Whether another lane leads to this core already.
    pub(crate) fn is_taken(&self, core: usize, by_other_than: usize) -> bool {
        self.state.lock().lanes.iter().any(|(lane, home)| *home == core && *lane != by_other_than)
    }

    /// The address at which it was last reached.
    pub(crate) fn last_good(&self) -> Option<String> {
        self.state.lock().last_good.clone()
    }

    pub(crate) fn lanes(&self) -> Vec<usize> {
        self.state.lock().lanes.iter().map(|(lane, _)| *lane).collect()
    }

    /// The lane for a partition: that of its home core, if there is one.
    fn lane_of(&self, partition: PartitionId) -> Option<usize> {
        let state = self.state.lock();
        let core = usize::from(partition.0) % state.cores.max(1);
        let home = state.lanes.iter().find(|(_, home)| *home == core);
        let any = || state.lanes.get(core % state.lanes.len().max(1));
        home.or_else(any).map(|(lane, _)| *lane)
    }

    /// Takes in the node's present life; returns whether its connections belong to an earlier one.
    fn renew(&self, incarnation: Incarnation) -> bool {
        let before = self.state.lock().incarnation.replace(incarnation);
        before.is_some_and(|before| before != incarnation)
    }

    /// The node has gone for good: its lanes end.
    fn retire(&self) {
        self.retired.send_replace(true);
    }

    /// Until the node has gone for good.
    pub(crate) async fn until_retired(&self) {
        // Fails only when the sender is gone, and `self` owns it.
        let _ = self.retired.subscribe().wait_for(|retired| *retired).await;
    }
}

/// What follows from a newer topology.
#[derive(Debug, Default)]
pub(crate) struct Steps {
    /// Nodes that were not known before: lanes must be opened.
    pub(crate) opened: Vec<Arc<Group>>,
    /// Lanes whose node is down, or lives anew: what was sent there will not be answered.
    pub(crate) cut: Vec<usize>,
}

/// The cluster and the lanes to its nodes.
#[derive(Debug, Default)]
pub(crate) struct Nodes {
    pub(crate) topology: Topology,
    groups: BTreeMap<NodeId, Arc<Group>>,
    /// The only group of a client that does not choose among nodes.
    any: Option<Arc<Group>>,
    /// Whether the first node has its group: before, no other is opened.
    has_begun: bool,
}

impl Nodes {
    /// All operations go through this group.
    pub(crate) fn set_any(&mut self, group: &Arc<Group>) {
        self.any = Some(Arc::clone(group));
        self.has_begun = true;
    }

    /// This group leads to the first node.
    pub(crate) fn add(&mut self, node: NodeId, group: &Arc<Group>) {
        self.groups.insert(node, Arc::clone(group));
        self.has_begun = true;
    }

    /// Whether operations go to the owners of their partitions.
    pub(crate) fn is_routed(&self) -> bool {
        self.any.is_none()
    }

    /// Another cluster, or the same one made anew, is at the known addresses.
    pub(crate) fn forget_cluster(&mut self) {
        self.topology = Topology::default();
    }

    /// The node's addresses, the best one first.
    pub(crate) fn addresses_of(&self, group: &Group) -> Vec<String> {
        let member = group.node.as_ref().and_then(|node| self.topology.peer(node));
        let mut addresses: Vec<String> =
            member.map(|peer| peer.address.clone()).into_iter().collect();
        addresses.extend(group.last_good().filter(|last| !addresses.contains(last)));
        addresses.retain(|address| !address.is_empty());
        addresses
    }

    /// Brings the groups in line with the topology.
    pub(crate) fn reconcile(&mut self) -> Steps {
        let mut steps = Steps::default();
        if self.any.is_some() || !self.has_begun {
            return steps;
        }
        for (node, peer) in self.topology.peers() {
            match self.groups.get(node) {
                Some(group) => {
                    if group.renew(peer.incarnation) || peer.is_down {
                        steps.cut.extend(group.lanes());
                    }
                }
                None if peer.is_down || peer.address.is_empty() => {}
                None => {
                    let group = Group::new(Some(node.clone()));
                    group.renew(peer.incarnation);
                    self.groups.insert(node.clone(), Arc::clone(&group));
                    steps.opened.push(group);
                }
            }
        }
        let topology = &self.topology;
        if !topology.peers().is_empty() {
            self.groups.retain(|node, group| {
                let stays = topology.peer(node).is_some() || topology.holds_anything(node);
                if !stays {
                    group.retire();
                }
                stays
            });
        }
        steps
    }

    /// Sets the ways of all partitions; returns the lanes that some of them left.
    pub(crate) fn set_ways(&self, routes: &Routes, zone: &str, salt: u64) -> Vec<usize> {
        if let Some(any) = &self.any {
            return routes.set_ways(routes.partitions(), |partition| {
                let lane = any.lane_of(partition)?;
                Some(Way { primary: lane, nearest: lane })
            });
        }
        let partitions: PartitionCount =
            self.topology.partitions().unwrap_or_else(|| routes.partitions());
        // A partition whose owner is not known is asked for wherever there is a lane: that node knows more.
        let anywhere = self.groups.values().next();
        routes.set_ways(partitions, |partition| {
            let entry = self.topology.entry(partition);
            let lane_to = |node: &NodeId| self.groups.get(node)?.lane_of(partition);
            let primary = entry
                .and_then(|entry| lane_to(entry.primary.as_ref()?))
                .or_else(|| anywhere?.lane_of(partition))?;
            let nearest = self.nearest(partition, zone, salt).and_then(|node| lane_to(&node));
            Some(Way { primary, nearest: nearest.unwrap_or(primary) })
        })
    }

    /// The replica to read from that is nearest: one in the client's zone, a backup rather than the primary, and otherwise
    /// evenly spread over clients and partitions.
    fn nearest(&self, partition: PartitionId, zone: &str, salt: u64) -> Option<NodeId> {
        let entry = self.topology.entry(partition)?;
        let rank = |node: &NodeId| {
            let peer = self.topology.peer(node);
            let is_far = zone.is_empty() || peer.is_none_or(|peer| peer.zone != zone);
            let is_down = peer.is_none_or(|peer| peer.is_down);
            (is_down, is_far, entry.primary.as_ref() == Some(node))
        };
        let nodes = || entry.in_sync.iter().map(|replica| &replica.node);
        let best = nodes().map(rank).min()?;
        let equal: Vec<&NodeId> = nodes().filter(|node| rank(node) == best).collect();
        let pick = (salt.wrapping_add(u64::from(partition.0)) % equal.len() as u64) as usize;
        Some(equal[pick].clone())
    }
}

#[cfg(test)]
#[path = "nodes_test.rs"]
mod tests;
