//! What a node tells of itself when operators ask: its own figures, the copies that its primaries see under way and how far
//! backups are behind. Any node asks the others for theirs, and adds them up.

mod clock_offset;
mod stands_out;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::future::join_all;
use isogrid_cluster::heartbeat::Lead;
use isogrid_cluster::steward::Follower;
use isogrid_core::{LogPosition, MapId, NodeId, PartitionId, Result};
use serde::{Deserialize, Serialize};

use self::clock_offset::clock_offset_ms;
pub(crate) use self::stands_out::{
    BigKeyReport, BigKeysReport, BigQuestion, HotKeyReport, HotMapReport, HotQuestion, PointReport,
    SlowReport,
};
use crate::control::ClusterFacts;
use crate::control::health::Health;
use crate::control::question::{pack, unpack};
use crate::engine::Led;
use crate::history::Point;
use crate::node::Shared;
use crate::peers::message::AskKind;
use crate::{VERSION, clock};

/// How long the others' reports are waited for: who asks wants to know how it is now.
const PATIENCE: Duration = Duration::from_millis(1_000);

/// How long, if they have to walk over records.
const WALK_PATIENCE: Duration = Duration::from_secs(20);

/// What is wanted beside the figures that cost nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct ReportQuestion {
    /// How large these maps are.
    pub(crate) maps: Vec<MapId>,
    /// How large each partition is that the node leads.
    pub(crate) sizes: bool,
    /// The slow operations.
    pub(crate) slow: bool,
    /// The keys that are asked for most.
    pub(crate) hot: Option<HotQuestion>,
    /// The largest records.
    pub(crate) big: Option<BigQuestion>,
    /// The key figures since this moment, in seconds since the epoch.
    pub(crate) history_since_s: Option<u64>,
}

/// A node in figures.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct NodeReport {
    pub(crate) version: String,
    pub(crate) uptime_ms: u64,
    pub(crate) cores: u32,
    pub(crate) connections: u32,
    pub(crate) maps: u32,
    /// Of all copies here.
    pub(crate) entries: u64,
    pub(crate) data_bytes: u64,
    pub(crate) resident_bytes: u64,
    pub(crate) memory_limit_bytes: u64,
    pub(crate) operations_total: u64,
    /// Bytes of data that came from other nodes: as entries of logs, and in copies.
    pub(crate) log_bytes_received: u64,
    pub(crate) copy_bytes_received: u64,
    /// How the disk is; `None` for data in memory alone.
    pub(crate) disk: Option<DiskReport>,
    pub(crate) workers: Vec<WorkerReport>,
    /// Of what it leads.
    pub(crate) lags: Vec<LagReport>,
    /// The copies that its primaries give.
    pub(crate) given: Vec<(PartitionId, NodeId)>,
    /// The copies that it takes.
    pub(crate) taken: Vec<CopyReport>,
    /// The bytes of each partition that it leads, where that was asked for.
    pub(crate) sizes: Vec<(PartitionId, u64)>,
    /// And the operations per second of each.
    pub(crate) rates: Vec<(PartitionId, u64)>,
    /// The entries and bytes of maps in what it leads, where that was asked for.
    pub(crate) map_sizes: Vec<(MapId, u64, u64)>,
    /// How the indexes of these maps stand there.
    pub(crate) indexes: Vec<(MapId, IndexReport)>,
    /// Its wall clock while it answers, in milliseconds since the epoch.
    pub(crate) wall_ms: u64,
    /// How far its clock is ahead of that of who asked, as that sees it; nought while it cannot be told apart from the way there.
    #[serde(skip)]
    pub(crate) clock_offset_ms: i64,
    /// From how many milliseconds on an operation is slow there, and how many were since it started.
    pub(crate) slow_threshold_ms: u64,
    pub(crate) slow_total: u64,
    /// In what time it answered 99 of 100 operations lately; nought if there were none.
    pub(crate) p99_us: u64,
    /// Its newest slow operations, where that was asked for.
    pub(crate) slow: Vec<SlowReport>,
    /// Where that was asked for.
    pub(crate) hot: Vec<HotMapReport>,
    /// Where that was asked for.
    pub(crate) big: Option<BigKeysReport>,
    /// Where that was asked for.
    pub(crate) history: Vec<PointReport>,
}

/// How an index stands.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct IndexReport {
    pub(crate) name: String,
    pub(crate) entries: u64,
    pub(crate) bytes: u64,
    /// About how many of the records it has.
    pub(crate) built: u64,
    pub(crate) records: u64,
}

/// A part of the node that works by itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct WorkerReport {
    pub(crate) name: String,
    pub(crate) state: String,
    pub(crate) rounds: u64,
}

/// What a node has on disk.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct DiskReport {
    /// It is full or fails: writes are refused.
    pub(crate) is_refusing: bool,
    /// It has as much as it may: writes are refused but for deletes.
    pub(crate) is_over_budget: bool,
    /// How much log and snapshots may have together.
    pub(crate) budget: Option<u64>,
    pub(crate) log_bytes: u64,
    pub(crate) snapshot_bytes: u64,
}

/// How far a node's copies are behind: of each figure the worst of all partitions.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct LagReport {
    pub(crate) to: NodeId,
    pub(crate) partitions: u32,
    pub(crate) ops: u64,
    pub(crate) bytes: u64,
    pub(crate) ms: u64,
}

/// How far a copy is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct CopyReport {
    pub(crate) partition: PartitionId,
    pub(crate) entries: u64,
    pub(crate) entries_total: u64,
    pub(crate) bytes: u64,
    pub(crate) bytes_total: u64,
    pub(crate) elapsed_ms: u64,
}

/// How far each node's copies are behind that are whole.
pub(crate) fn lags_of(led: &[Led]) -> BTreeMap<NodeId, LagReport> {
    let mut lags: BTreeMap<NodeId, LagReport> = BTreeMap::new();
    let followers = led.iter().flat_map(|led| &led.followers);
    for follower in followers.filter(|follower| follower.is_complete) {
        let node = &follower.replica.node;
        let fresh = || LagReport { to: node.clone(), partitions: 0, ops: 0, bytes: 0, ms: 0 };
        let lag = lags.entry(node.clone()).or_insert_with(fresh);
        lag.partitions += 1;
        lag.ops = lag.ops.max(follower.ops);
        lag.bytes = lag.bytes.max(follower.bytes);
        lag.ms = lag.ms.max(follower.ms);
    }
    lags
}

/// The reports of nodes, by name.
pub(crate) type Reports = BTreeMap<NodeId, NodeReport>;

impl Shared {
    /// This node in figures.
    pub(crate) fn report(&self, question: &ReportQuestion) -> NodeReport {
        let engine = &self.engine;
        let memory = engine.memory();
        let received = engine.received_bytes();
        let workers = self.workers.all().into_iter().map(|worker| WorkerReport {
            name: worker.name().to_owned(),
            state: worker.state().to_owned(),
            rounds: worker.rounds(),
        });
        let size = |map: &MapId| {
            let (entries, bytes) = engine.map_size(*map);
            (*map, entries, bytes)
        };
        let indexes = |map: &MapId| {
            let states = engine.index_states(*map);
            let map = *map;
            states.into_iter().map(move |state| (map, state))
        };
        let mut report = NodeReport {
            version: VERSION.to_owned(),
            uptime_ms: clock::now().ms_since(self.started_at),
            cores: self.cores as u32,
            connections: self.connections() as u32,
            maps: engine.maps().len() as u32,
            entries: engine.entries_held(),
            data_bytes: memory.data_bytes(),
            resident_bytes: memory.resident_bytes(),
            memory_limit_bytes: memory.limit_bytes(),
            operations_total: engine.operations_total(),
            log_bytes_received: received.log,
            copy_bytes_received: received.copies,
            disk: engine.disk_report(),
            workers: workers.collect(),
            map_sizes: question.maps.iter().map(size).collect(),
            indexes: question.maps.iter().flat_map(indexes).collect(),
            wall_ms: clock::now().0,
            ..NodeReport::default()
        };
        let led = engine.led();
        report.lags = lags_of(&led).into_values().collect();
        for led in led {
            if question.sizes {
                report.sizes.push((led.partition, led.bytes));
            }
            let copied = led.followers.into_iter().filter(|follower| !follower.is_complete);
            report.given.extend(copied.map(|follower| (led.partition, follower.replica.node)));
        }
        let copy = |copying: crate::engine::Copying| CopyReport {
            partition: copying.partition,
            entries: copying.progress.entries,
            entries_total: copying.progress.entries_total,
            bytes: copying.progress.bytes,
            bytes_total: copying.progress.bytes_total,
            elapsed_ms: copying.elapsed_ms,
        };
        report.taken = engine.copying().into_iter().map(copy).collect();
        self.add_what_stands_out(&mut report, question);
        report
    }

    fn add_what_stands_out(&self, report: &mut NodeReport, question: &ReportQuestion) {
        let engine = &self.engine;
        let slow_log = engine.slow_log();
        report.slow_threshold_ms = slow_log.threshold_ms();
        report.slow_total = slow_log.total();
        report.p99_us = (self.history.p99_seconds(clock::now()) * 1e6) as u64;
        if question.sizes {
            report.rates = self.history.rates();
        }
        if question.slow {
            report.slow = slow_log.newest();
        }
        if let Some(since_s) = question.history_since_s {
            let points = self.history.since(since_s, usize::MAX).into_iter();
            let told = |Point { at_s, figures }| PointReport { at_s, figures: figures.to_vec() };
            report.history = points.map(told).collect();
        }
        if let Some(hot) = &question.hot {
            report.hot = engine.hot_keys(hot.map, hot.keys_max as usize);
        }
    }

    /// Another node asks.
    pub(crate) async fn answer_status(&self, body: &[u8]) -> Result<Bytes> {
        let question: ReportQuestion = unpack(body)?;
        Ok(pack(&self.whole_report(&question).await))
    }

    /// This node in figures, also those that take a while: records are walked over beside the cores.
    async fn whole_report(&self, question: &ReportQuestion) -> NodeReport {
        let mut report = self.report(question);
        if let Some(big) = question.big.clone() {
            let engine = Arc::clone(&self.engine);
            let walk = tokio::task::spawn_blocking(move || engine.big_keys(&big));
            report.big = walk.await.ok();
        }
        report
    }

    /// How the cluster is, by all of its nodes that answer in time.
    pub(crate) async fn health(&self) -> (Health, ClusterFacts) {
        let others = self.control.facts().live_members();
        let reports = self.reports(&ReportQuestion::default(), others).await;
        let facts = self.control.facts();
        (facts.health_with(&mended(&reports)), facts)
    }

    /// The reports of this node and of these, as far as they answer in time.
    pub(crate) async fn reports(
        &self,
        question: &ReportQuestion,
        nodes: impl IntoIterator<Item = NodeId>,
    ) -> Reports {
        let others = nodes.into_iter().filter(|node| *node != self.node_id);
        let body = pack(question);
        let patience = if question.big.is_some() { WALK_PATIENCE } else { PATIENCE };
        let asked = others.map(|node| {
            let body = body.clone();
            async move {
                let sent = clock::now();
                let answer = self.peers.ask(&node, AskKind::Status, body, patience).await.ok()?;
                let mut report: NodeReport = unpack(&answer).ok()?;
                report.clock_offset_ms = clock_offset_ms(report.wall_ms, sent, clock::now());
                Some((node, report))
            }
        });
        let (others, own) = futures::join!(join_all(asked), self.whole_report(question));
        others.into_iter().flatten().chain([(self.node_id.clone(), own)]).collect()
    }
}

/// What primaries say of copies that are not whole, as health wants to hear it.
pub(crate) fn mended(reports: &Reports) -> Vec<Lead> {
    let mut leads: BTreeMap<PartitionId, Lead> = BTreeMap::new();
    for (partition, node) in reports.values().flat_map(|report| &report.given) {
        let fresh = || Lead {
            partition: *partition,
            bytes: 0,
            commit: LogPosition::START,
            followers: Vec::new(),
        };
        let lead = leads.entry(*partition).or_insert_with(fresh);
        lead.followers.push((node.clone(), Follower::default()));
    }
    leads.into_values().collect()
}
