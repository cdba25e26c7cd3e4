//! What the cluster has decided, as clients are told it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use isogrid_core::{PartitionCount, Table, TableDelta};
use isogrid_proto::pb;
use pb::grid_client::GridClient;

/// How long one node may take to answer.
const ANSWER_MAX: Duration = Duration::from_secs(2);

/// The members and the table, by one node.
#[derive(Debug)]
pub(crate) struct Topology {
    pub(crate) version: u64,
    /// Name, state and life of each member.
    pub(crate) members: BTreeMap<String, (String, u64)>,
    /// How many partitions each member leads, backs up and learns.
    pub(crate) roles: BTreeMap<String, [u32; 3]>,
    /// Who has each partition whole.
    pub(crate) copies: BTreeSet<(u16, String)>,
    pub(crate) without_primary: u32,
    /// How many have fewer copies in sync than asked for.
    pub(crate) short: u32,
    /// How often the cluster has declared that a partition may have lost something.
    pub(crate) losses: u64,
}

/// Asks a node; nothing when it does not answer.
pub(crate) async fn ask(endpoint: &str, copies: usize) -> Option<Topology> {
    tokio::time::timeout(ANSWER_MAX, ask_patiently(endpoint, copies)).await.ok()?
}

async fn ask_patiently(endpoint: &str, copies: usize) -> Option<Topology> {
    let mut client = GridClient::connect(format!("http://{endpoint}")).await.ok()?;
    let mut updates = client.topology(pb::TopologyRequest::default()).await.ok()?.into_inner();
    let update = updates.message().await.ok()??;
    let delta: TableDelta = rmp_serde::from_slice(&update.table).ok()?;
    let table = Table::unassigned(PartitionCount::new(delta.partitions)?).apply(&delta).ok()?;
    let members = update.members.into_iter();
    let members = members.map(|member| (member.node_id, (member.state, member.incarnation)));
    let members = members.collect();
    let mut topology = Topology {
        version: table.version().0,
        members,
        roles: BTreeMap::new(),
        copies: BTreeSet::new(),
        without_primary: 0,
        short: 0,
        losses: 0,
    };
    for (partition, entry) in table.iter() {
        let in_sync: BTreeSet<String> = entry.in_sync.iter().map(|r| r.node.to_string()).collect();
        topology.losses += u64::from(entry.loss_generation);
        topology.short += u32::from(in_sync.len() < copies);
        let primary = entry.primary.as_ref().map(ToString::to_string);
        topology.without_primary += u32::from(primary.is_none());
        topology.copies.extend(in_sync.iter().map(|node| (partition.0, node.clone())));
        for node in &in_sync {
            let role = usize::from(Some(node) != primary.as_ref());
            topology.roles.entry(node.clone()).or_default()[role] += 1;
        }
        for learner in &entry.learners {
            topology.roles.entry(learner.node.to_string()).or_default()[2] += 1;
        }
    }
    Some(topology)
}

impl Topology {
    /// Whether exactly these are members, in these lives or later ones, all partitions have their copies, and nothing is
    /// under way.
    pub(crate) fn is_whole(&self, nodes: &BTreeMap<String, u64>) -> bool {
        let active = || self.members.iter().filter(|(_, (state, _))| state == "active");
        let is_due = |name: &String, life: u64| nodes.get(name).is_some_and(|due| life >= *due);
        active().count() == nodes.len()
            && active().all(|(name, (_, life))| is_due(name, *life))
            && self.without_primary == 0
            && self.short == 0
            && self.roles.values().all(|[_, _, learners]| *learners == 0)
    }

    /// Whether every node leads as many partitions as it should, to within one.
    pub(crate) fn is_even(&self, nodes: &BTreeMap<String, u64>) -> bool {
        let leads = nodes.keys().map(|node| self.roles.get(node).map_or(0, |roles| roles[0]));
        let leads: Vec<u32> = leads.collect();
        let (sum, len) = (leads.iter().sum::<u32>(), leads.len() as u32);
        leads.iter().all(|leads| (leads * len).abs_diff(sum) <= len)
    }

    /// How many copies were made since an earlier topology, and how many had to be: those of nodes that came, or those of
    /// nodes that went.
    pub(crate) fn copied_since(&self, earlier: &Topology) -> (usize, usize) {
        let held = |copies: &BTreeSet<(u16, String)>, other: &BTreeMap<String, [u32; 3]>| {
            copies.iter().filter(|(_, node)| !other.contains_key(node)).count()
        };
        let made = self.copies.difference(&earlier.copies).count();
        let came = held(&self.copies, &earlier.roles);
        let went = held(&earlier.copies, &self.roles);
        (made, came.max(went))
    }
}
