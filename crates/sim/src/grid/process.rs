//! [`Process`]: one life of a node. The thin shell around the pure crates, as the real node is one: it carries messages,
//! keeps requests, writes to its disk, and otherwise does what it is told.

mod gossip;
mod persist;
mod requests;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use isogrid_cluster::reconcile::{Action, LocalReplica, Own, positions_to_report, reconcile};
use isogrid_cluster::{ClusterId, Millis};
use isogrid_core::{
    LogPosition, NodeId, PartitionCount, PartitionEntry, PartitionId, Replica as Name, SessionId,
    Table, TableVersion, Timestamp,
};
use isogrid_persist::OnDisk;
use isogrid_replica::lease::{Claimant, Voucher};
use isogrid_replica::{Event, Now, Replica, Settings, Ticket};
use isogrid_store::Partition;

use super::hands::Hands;
use super::options::SyncedMaps;
use super::packet::{Ask, News, Packet};
use super::storage::DataOnDisk;
use crate::network::NodeIndex;

/// A request in flight.
#[derive(Clone, Debug)]
pub(crate) struct InFlight {
    pub(crate) client: NodeIndex,
    pub(crate) ask: Ask,
}

/// A replica on a node.
pub(crate) struct Held {
    pub(crate) replica: Replica,
    /// Since when it takes no part.
    pub(crate) closed_since: Option<Millis>,
    deferred: Vec<Ticket>,
    pub(crate) on_disk: OnDisk,
}

impl Held {
    fn new(replica: Replica) -> Self {
        Held { replica, closed_since: None, deferred: Vec::new(), on_disk: OnDisk::default() }
    }
}

/// What a process wants done after a step.
#[derive(Default)]
pub(crate) struct Wishes {
    pub(crate) packets: Vec<(NodeIndex, Packet)>,
    pub(crate) hands: Vec<(PartitionId, Hands)>,
}

/// Where a node finds the others.
pub(crate) type Names = BTreeMap<NodeId, NodeIndex>;

/// One life of a node.
pub(crate) struct Process {
    pub(crate) me: Name,
    pub(crate) own: Own,
    pub(crate) table: Table,
    pub(crate) replicas: BTreeMap<PartitionId, Held>,
    /// Its data on disk, unless they are in memory alone.
    pub(crate) data: Option<DataOnDisk>,
    synced_maps: SyncedMaps,
    pub(crate) settings: Arc<Settings>,
    pub(crate) cluster: Option<ClusterId>,
    /// Who leads the council, as far as it knows, and in which term.
    pub(crate) leader: (u64, NodeIndex),
    /// Whom to ask next instead, because that one did not lead.
    pub(crate) detour: Option<NodeIndex>,
    pub(crate) heard: BTreeMap<NodeId, Millis>,
    claimants: BTreeMap<Name, Claimant>,
    voucher: Voucher,
    pub(crate) in_flight: BTreeMap<Ticket, InFlight>,
    tickets: u64,
    pub(crate) sessions: (SessionId, Vec<SessionId>),
    kept_alive: BTreeSet<SessionId>,
    pub(crate) is_down: bool,
    /// Registration is tried again after this moment.
    pub(crate) register_at: Millis,
    /// Of these the council wants to know how far its logs reach.
    pub(crate) suspect: BTreeSet<PartitionId>,
    /// When it last said so, and under which tickets: again until one is answered.
    pub(crate) reported: Option<Millis>,
    pub(crate) reports: Vec<u64>,
}

impl Process {
    pub(crate) fn new(
        me: Name,
        (settings, synced_maps): (Arc<Settings>, SyncedMaps),
        leader: (u64, NodeIndex),
    ) -> Self {
        let partitions = PartitionCount::new(1).expect("one is a power of two");
        let own = Own { node: me.node.clone(), incarnation: me.incarnation, registered: None };
        Process {
            me,
            own,
            table: Table::unassigned(partitions),
            replicas: BTreeMap::new(),
            data: None,
            synced_maps,
            settings,
            cluster: None,
            leader,
            detour: None,
            heard: BTreeMap::new(),
            claimants: BTreeMap::new(),
            voucher: Voucher::default(),
            in_flight: BTreeMap::new(),
            tickets: 0,
            sessions: (SessionId(0), Vec::new()),
            kept_alive: BTreeSet::new(),
            is_down: false,
            register_at: Millis(0),
            suspect: BTreeSet::new(),
            reported: None,
            reports: Vec::new(),
        }
    }

    fn empty_store(&self, partition: PartitionId) -> Partition {
        Partition::new(partition, self.settings.hash_seed, &isogrid_core::Limits::default())
    }

    /// Something happens to a replica.
    pub(crate) fn step(
        &mut self,
        partition: PartitionId,
        event: Event<'_>,
        now: Now,
        wishes: &mut Wishes,
    ) {
        let Some(held) = self.replicas.get_mut(&partition) else { return };
        let mut hands = Hands::default();
        held.replica.step(event, now, &mut hands);
        held.deferred.append(&mut hands.deferred);
        let mut deferred = Vec::new();
        if hands.resumed {
            deferred = std::mem::take(&mut held.deferred);
        }
        wishes.hands.push((partition, hands));
        for ticket in deferred {
            if let Some(in_flight) = self.in_flight.get(&ticket).cloned() {
                self.present(ticket, partition, &in_flight.ask, now, wishes);
            }
        }
    }

    /// News of the council.
    pub(crate) fn learn(&mut self, news: News, now: Now, wishes: &mut Wishes) -> bool {
        self.hear_leader(news.leader);
        if news.watermark > self.sessions.0 || news.ended.len() > self.sessions.1.len() {
            self.sessions = (news.watermark, news.ended);
        }
        if self.table.version() == TableVersion(0) && news.delta.version > TableVersion(0) {
            let Some(partitions) = PartitionCount::new(news.delta.partitions) else { return false };
            self.table = Table::unassigned(partitions);
        }
        let Ok(table) = self.table.apply(&news.delta) else { return false };
        self.table = table;
        self.reconcile(now, wishes);
        true
    }

    /// Does what the table says about the own replicas.
    pub(crate) fn reconcile(&mut self, now: Now, wishes: &mut Wishes) {
        let local: BTreeMap<PartitionId, LocalReplica> = self
            .replicas
            .iter()
            .map(|(partition, held)| {
                let local = match held.closed_since {
                    Some(since) => LocalReplica::Closed { since },
                    None => LocalReplica::Open(held.replica.view().clone()),
                };
                (*partition, local)
            })
            .collect();
        for action in reconcile(&self.table, &self.own, &local, millis(now)) {
            match action {
                Action::Open { partition, entry, .. } => self.open(partition, &entry, now, wishes),
                Action::Update { partition, entry, .. } => {
                    self.step(partition, Event::Table(&entry), now, wishes);
                }
                Action::Close { partition } => self.close(partition, now, wishes),
                Action::Delete { partition } => self.forget(partition),
            }
        }
    }

    fn open(
        &mut self,
        partition: PartitionId,
        entry: &PartitionEntry,
        now: Now,
        wishes: &mut Wishes,
    ) {
        if !self.replicas.contains_key(&partition) {
            let (me, settings) = (self.me.clone(), self.settings.clone());
            let replica = Replica::new(me, self.empty_store(partition), settings, now);
            self.replicas.insert(partition, Held::new(replica));
        }
        if let Some(held) = self.replicas.get_mut(&partition) {
            held.closed_since = None;
        }
        self.step(partition, Event::Table(entry), now, wishes);
    }

    fn close(&mut self, partition: PartitionId, now: Now, wishes: &mut Wishes) {
        let Some(entry) = self.table.entry(partition).cloned() else { return };
        self.step(partition, Event::Table(&entry), now, wishes);
        if let Some(held) = self.replicas.get_mut(&partition) {
            held.closed_since = Some(millis(now));
        }
    }

    /// Time has passed: every replica hears of it, those at rest less often.
    pub(crate) fn tick(&mut self, now: Now, wishes: &mut Wishes) {
        let partitions: Vec<PartitionId> = self.replicas.keys().copied().collect();
        let (watermark, above) = self.sessions.clone();
        let is_whole_tick = (millis(now).0 / 20).is_multiple_of(5);
        for partition in partitions {
            if watermark > SessionId(0) || !above.is_empty() {
                let event = Event::SessionsEnded { watermark, above: &above };
                self.step(partition, event, now, wishes);
            }
            let is_at_rest =
                self.replicas.get(&partition).is_some_and(|held| held.replica.is_at_rest());
            if is_whole_tick || !is_at_rest {
                self.step(partition, Event::Tick, now, wishes);
            }
        }
        self.in_flight.retain(|_, waiting| waiting.ask.deadline > now.wall);
    }

    /// The positions of suspects, for the council, as often as it takes until it has answered.
    pub(crate) fn positions(&mut self, now: Now) -> Option<Vec<(PartitionId, LogPosition)>> {
        let waits = self.reported.is_some_and(|at| millis(now).since(at) < 200);
        if self.suspect.is_empty() || waits {
            return None;
        }
        self.reported = Some(millis(now));
        let position = |held: &Held| held.replica.log().last();
        let held = self.replicas.iter().map(|(partition, held)| (*partition, position(held)));
        Some(positions_to_report(held.collect(), &self.suspect))
    }

    /// The council has taken a command of this process.
    pub(crate) fn taken(&mut self, ticket: u64) {
        if self.reports.contains(&ticket) {
            self.reports.clear();
            self.suspect.clear();
        }
    }

    /// Registration has returned: from this version of the table on it takes part.
    pub(crate) fn registered(&mut self, table: TableVersion, now: Now, wishes: &mut Wishes) {
        self.own.registered = Some(table);
        self.is_down = false;
        self.reconcile(now, wishes);
    }
}

/// The monotonic clock as the cluster's decisions want it.
pub(crate) fn millis(now: Now) -> Millis {
    Millis(now.ticks.0 / 1_000)
}

/// A wall clock's reading.
pub(crate) fn wall(since_epoch: std::time::Duration) -> Timestamp {
    Timestamp(since_epoch.as_millis() as u64)
}
