//! [`View`]: all that this node knows of what was committed, as a value. There is one door for it: control makes the next
//! view, everybody else reads the newest.

use std::collections::BTreeMap;
use std::sync::Arc;

use isogrid_cluster::council::{Cluster, Intent, LossRecord, MapRecord};
use isogrid_core::{MapId, NodeId, PartitionCount, Replica, SessionId, Table, TableVersion};

use super::news::{Known, Leader, News, NodeNews};
use isogrid_core::table::DeltaRefused;

/// What a node knows of what was committed. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct View {
    /// The cluster; `None` before this node belongs to one.
    pub(crate) cluster: Option<Cluster>,
    /// Who owns which partition.
    pub(crate) table: Table,
    /// All nodes, and the version of what is known of them.
    pub(crate) nodes: Arc<BTreeMap<NodeId, NodeNews>>,
    pub(crate) nodes_version: u64,
    /// All maps, by name, and the version of what is known of them.
    pub(crate) maps: Arc<BTreeMap<String, MapRecord>>,
    pub(crate) maps_version: u64,
    /// The losses that were declared.
    pub(crate) losses: Arc<Vec<LossRecord>>,
    /// The version of what is known of sessions: all below the watermark have ended, and those.
    pub(crate) sessions_version: u64,
    pub(crate) watermark: SessionId,
    pub(crate) ended: Arc<Vec<SessionId>>,
    /// Who leads the council.
    pub(crate) leader: Option<Leader>,
    /// The version of the table that this life's registration returned: before it, the node takes part in nothing (R4).
    pub(crate) registered: Option<TableVersion>,
}

impl View {
    /// Nothing is known.
    pub(crate) fn empty() -> Self {
        let partitions = PartitionCount::new(1).expect("one is a power of two");
        View {
            cluster: None,
            table: Table::unassigned(partitions),
            nodes: Arc::default(),
            nodes_version: 0,
            maps: Arc::default(),
            maps_version: 0,
            losses: Arc::default(),
            sessions_version: 0,
            watermark: SessionId(0),
            ended: Arc::default(),
            leader: None,
            registered: None,
        }
    }

    /// How much this is.
    pub(crate) fn known(&self) -> Known {
        Known {
            table: self.table.version(),
            nodes: self.nodes_version,
            maps: self.maps_version,
            losses: self.losses.last().map_or(0, |loss| loss.number),
            sessions: self.sessions_version,
        }
    }

    /// The news for a node that has this much; `None` while there is no cluster.
    pub(crate) fn news_since(&self, known: Known) -> Option<News> {
        let own = self.known();
        let fresh = self.losses.iter().filter(|loss| loss.number > known.losses);
        Some(News {
            cluster: self.cluster.clone()?,
            delta: self.table.delta_since(known.table),
            nodes: (known.nodes < own.nodes).then(|| (own.nodes, (*self.nodes).clone())),
            maps: (known.maps < own.maps).then(|| (own.maps, (*self.maps).clone())),
            losses: fresh.cloned().collect(),
            sessions: self.sessions_version,
            watermark: self.watermark,
            ended: (*self.ended).clone(),
            leader: self.leader.clone(),
        })
    }

    /// How many copies of each partition are wanted: as many as the cluster's default or the most demanding map says.
    pub(crate) fn copies(&self) -> usize {
        let of_cluster = self.cluster.as_ref().map_or(1, |cluster| usize::from(cluster.copies));
        let of_maps = self.maps.values().map(|map| map.mode.copies(of_cluster));
        of_maps.max().unwrap_or(of_cluster)
    }

    /// How many copies there can be: no more than there are nodes for them. Those that are down belong to the cluster still.
    pub(crate) fn copies_possible(&self) -> usize {
        let holds = |news: &&NodeNews| news.member.weight > 0 && news.intent != Intent::Leave;
        let holders = self.nodes.values().filter(holds).count();
        self.copies().min(holders.max(1))
    }

    /// Whether this life of a node is the present one and serves.
    pub(crate) fn is_live(&self, replica: &Replica) -> bool {
        self.nodes.get(&replica.node).is_some_and(|news| {
            news.member.state.is_serving() && news.member.incarnation == replica.incarnation
        })
    }

    /// The number of a map, if it exists as far as this node knows.
    pub(crate) fn map(&self, name: &str) -> Option<&MapRecord> {
        self.maps.get(name)
    }

    /// The number of a map.
    pub(crate) fn map_id(&self, name: &str) -> Option<MapId> {
        self.map(name).map(|map| map.id)
    }

    /// The view after some news; `Ok(None)` when there is nothing new in them.
    pub(crate) fn after(&self, news: &News) -> Result<Option<View>, DeltaRefused> {
        if self.cluster.as_ref().is_some_and(|own| own.id != news.cluster_id()) {
            let why = "the news are of another cluster";
            return Err(DeltaRefused::Broken { partition: None, why });
        }
        let mut next = self.clone();
        let mut has_changed = next.cluster.as_ref() != Some(&news.cluster);
        next.cluster = Some(news.cluster.clone());
        if next.table.version() == TableVersion(0)
            && let Some(partitions) = PartitionCount::new(news.delta.partitions)
        {
            next.table = Table::unassigned(partitions);
        }
        match next.table.apply(&news.delta) {
            Ok(table) => {
                next.table = table;
                has_changed = true;
            }
            Err(DeltaRefused::Stale) => {}
            Err(error) => return Err(error),
        }
        has_changed |= next.take_lists(news);
        if news.leader > next.leader {
            next.leader = news.leader.clone();
            has_changed = true;
        }
        Ok(has_changed.then_some(next))
    }

    fn take_lists(&mut self, news: &News) -> bool {
        let before = (self.known(), self.watermark);
        if let Some((version, nodes)) = &news.nodes
            && *version > self.nodes_version
        {
            (self.nodes_version, self.nodes) = (*version, Arc::new(nodes.clone()));
        }
        if let Some((version, maps)) = &news.maps
            && *version > self.maps_version
        {
            (self.maps_version, self.maps) = (*version, Arc::new(maps.clone()));
        }
        let last = self.known().losses;
        let fresh: Vec<LossRecord> =
            news.losses.iter().filter(|loss| loss.number > last).cloned().collect();
        if !fresh.is_empty() {
            self.losses = Arc::new(self.losses.iter().cloned().chain(fresh).collect());
        }
        // Where no session is open the watermark grows with those that are opened, and the version does not.
        if (news.sessions, news.watermark) > (self.sessions_version, self.watermark) {
            self.sessions_version = news.sessions;
            self.watermark = news.watermark.max(self.watermark);
            self.ended = Arc::new(news.ended.clone());
        }
        before != (self.known(), self.watermark)
    }
}
