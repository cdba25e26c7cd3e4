//! [`Model`]: what `top` shows, from one look at the cluster to the next. It knows no terminal and reads no clock.

use std::cmp::Ordering;
use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use isogrid_client::{ClusterStatus, History, HotKeys, MemberStatus, MoveStatus};

use crate::commands::status::table::state;
use crate::text::key_start;

/// How many rates are kept for the line.
const HISTORY_MAX: usize = 300;

/// From which share of a map's operations on a key is shown.
const HOT_RATIO_MIN: f64 = 0.01;
/// For how long one rate stands of the time before it was started, in seconds.
const PAST_EACH_S: u64 = 60;

/// The figure of the nodes' history that the line shows.
const OPERATIONS: &str = "operations_per_second";

/// One look at the cluster.
#[derive(Clone, Debug, Default)]
pub(super) struct Look {
    pub(super) status: ClusterStatus,
    pub(super) hot: HotKeys,
}

/// What members are sorted by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Column {
    Node,
    #[default]
    Ops,
    Memory,
    Leads,
    P99,
    Lag,
    Slow,
}

impl Column {
    const ALL: [Column; 7] = [
        Column::Node,
        Column::Ops,
        Column::Memory,
        Column::Leads,
        Column::P99,
        Column::Lag,
        Column::Slow,
    ];

    /// The column so many places to the right.
    fn moved(self, places: usize) -> Column {
        let place = Self::ALL.iter().position(|column| *column == self).unwrap_or_default();
        Self::ALL[(place + places) % Self::ALL.len()]
    }
}

/// What a key does to the view.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Turn {
    Up,
    Down,
    Left,
    Right,
    Reverse,
}

/// A member, as a row.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct MemberRow {
    pub(super) node: String,
    pub(super) state: String,
    /// Whether somebody should look at it.
    pub(super) is_bad: bool,
    pub(super) has_answered: bool,
    pub(super) zone: String,
    /// Unknown until there are two looks.
    pub(super) ops_per_second: Option<f64>,
    pub(super) slow_per_second: Option<f64>,
    pub(super) p99: Option<Duration>,
    pub(super) memory_bytes: u64,
    pub(super) memory_limit_bytes: u64,
    pub(super) leads: u32,
    pub(super) backups: u32,
    pub(super) connections: u32,
    pub(super) entries: u64,
    pub(super) disk_bytes: Option<u64>,
    /// How far its copies are behind, at worst.
    pub(super) lag_ms: u64,
    pub(super) uptime: Duration,
    pub(super) version: String,
}

/// A hot key, as a row.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct HotRow {
    pub(super) map: String,
    pub(super) key: String,
    pub(super) node: String,
    /// Its share of the map's operations.
    pub(super) ratio: f64,
    samples: u64,
}

/// The cluster as a whole.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Totals {
    pub(super) ops_per_second: Option<f64>,
    pub(super) slow_per_second: Option<f64>,
    pub(super) memory_bytes: u64,
    pub(super) memory_limit_bytes: u64,
    pub(super) connections: u64,
    pub(super) entries: u64,
}

/// What a member has counted.
#[derive(Clone, Copy, Debug)]
struct Counted {
    at: Instant,
    operations: u64,
    slow: u64,
}

/// All that is shown.
#[derive(Debug, Default)]
pub(super) struct Model {
    look: Option<Look>,
    /// Why there is no newer look.
    pub(super) trouble: Option<String>,
    counted: BTreeMap<String, Counted>,
    /// Operations and slow operations per second.
    rates: BTreeMap<String, (f64, f64)>,
    history: VecDeque<u64>,
    pub(super) sort: Column,
    pub(super) is_reversed: bool,
    chosen: usize,
}

impl Model {
    /// Somebody has answered.
    pub(super) fn take(&mut self, look: Look, at: Instant) {
        self.trouble = None;
        self.rates.clear();
        for member in look.status.members.iter().filter(|member| member.has_answered) {
            let now = Counted {
                at,
                operations: member.operations_total,
                slow: member.slow_operations_total,
            };
            let before = self.counted.insert(member.node_id.clone(), now);
            if let Some(rates) = before.and_then(|before| rates(before, now)) {
                self.rates.insert(member.node_id.clone(), rates);
            }
        }
        self.look = Some(look);
        if let Some(ops) = self.totals().ops_per_second {
            self.history.push_back(ops.round() as u64);
            let surplus = self.history.len().saturating_sub(HISTORY_MAX);
            self.history.drain(..surplus);
        }
        self.chosen = self.chosen.min(self.members_len().saturating_sub(1));
    }

    /// How many operations there were before it was started: of each piece of time what the nodes did together.
    pub(super) fn begin_with(&mut self, history: &History) {
        let Some(place) = history.names.iter().position(|name| name == OPERATIONS) else { return };
        let mut all: BTreeMap<u64, f64> = BTreeMap::new();
        for node in &history.nodes {
            let mut own: BTreeMap<u64, (f64, u32)> = BTreeMap::new();
            for point in &node.points {
                let Some(operations) = point.figures.get(place) else { continue };
                let (sum, points) = own.entry(point.at_s / PAST_EACH_S).or_default();
                (*sum, *points) = (*sum + f64::from(*operations), *points + 1);
            }
            for (at, (sum, points)) in own {
                *all.entry(at).or_default() += sum / f64::from(points);
            }
        }
        let Some((&first, &last)) = all.keys().next().zip(all.keys().next_back()) else { return };
        let rate = |at| all.get(&at).copied().unwrap_or_default().round() as u64;
        self.history = (first..=last).rev().take(HISTORY_MAX).map(rate).collect();
        self.history.make_contiguous().reverse();
    }

    /// Nobody has answered.
    pub(super) fn fail(&mut self, why: String) {
        self.trouble = Some(why);
    }

    /// A key was pressed.
    pub(super) fn turn(&mut self, turn: Turn) {
        match turn {
            Turn::Up => self.chosen = self.chosen.saturating_sub(1),
            Turn::Down => {
                self.chosen = (self.chosen + 1).min(self.members_len().saturating_sub(1));
            }
            Turn::Left => self.sort = self.sort.moved(Column::ALL.len() - 1),
            Turn::Right => self.sort = self.sort.moved(1),
            Turn::Reverse => self.is_reversed = !self.is_reversed,
        }
    }

    fn members_len(&self) -> usize {
        self.look.as_ref().map_or(0, |look| look.status.members.len())
    }

    pub(super) fn status(&self) -> Option<&ClusterStatus> {
        self.look.as_ref().map(|look| &look.status)
    }

    /// The place of the chosen member among [`Model::members`].
    pub(super) fn chosen(&self) -> usize {
        self.chosen
    }

    /// Operations per second of the cluster, the newest last.
    pub(super) fn history(&self) -> &VecDeque<u64> {
        &self.history
    }

    /// The members, sorted.
    pub(super) fn members(&self) -> Vec<MemberRow> {
        let Some(look) = &self.look else { return Vec::new() };
        let mut rows: Vec<MemberRow> =
            look.status.members.iter().map(|member| self.row(&look.status, member)).collect();
        rows.sort_by(|one, other| {
            let order = order(self.sort, one, other);
            let order = if self.is_reversed { order.reverse() } else { order };
            order.then_with(|| one.node.cmp(&other.node))
        });
        rows
    }

    fn row(&self, status: &ClusterStatus, member: &MemberStatus) -> MemberRow {
        let rates = self.rates.get(&member.node_id);
        let behind = status.lags.iter().filter(|lag| lag.to == member.node_id);
        let is_over = member.memory_limit_bytes > 0
            && member.data_bytes >= member.memory_limit_bytes
            || matches!(member.disk.as_str(), "refuses" | "over_budget");
        let is_there = member.is_live && member.has_answered && member.state != "down";
        let disk_bytes = member.disk_log_bytes + member.disk_snapshot_bytes;
        MemberRow {
            node: member.node_id.clone(),
            state: state(member),
            is_bad: !is_there || is_over,
            has_answered: member.has_answered,
            zone: member.zone.clone(),
            ops_per_second: rates.map(|(ops, _)| *ops),
            slow_per_second: rates.map(|(_, slow)| *slow),
            p99: member.p99,
            memory_bytes: member.resident_bytes,
            memory_limit_bytes: member.memory_limit_bytes,
            leads: member.primaries,
            backups: member.backups,
            connections: member.connections,
            entries: member.entries,
            disk_bytes: (!matches!(member.disk.as_str(), "" | "none")).then_some(disk_bytes),
            lag_ms: behind.map(|lag| lag.ms).max().unwrap_or(0),
            uptime: member.uptime,
            version: member.version.clone(),
        }
    }

    /// The cluster as a whole.
    pub(super) fn totals(&self) -> Totals {
        let members = self.look.iter().flat_map(|look| &look.status.members);
        let mut totals = Totals::default();
        for member in members {
            totals.memory_bytes += member.resident_bytes;
            totals.memory_limit_bytes += member.memory_limit_bytes;
            totals.connections += u64::from(member.connections);
            totals.entries += member.entries;
            if let Some((ops, slow)) = self.rates.get(&member.node_id) {
                *totals.ops_per_second.get_or_insert_default() += ops;
                *totals.slow_per_second.get_or_insert_default() += slow;
            }
        }
        totals
    }

    /// Copies under way.
    pub(super) fn moves(&self) -> &[MoveStatus] {
        self.look.as_ref().map_or(&[], |look| &look.status.moves)
    }

    /// The hottest keys of all maps, those first that are asked for most. What is asked for as often as any other is not hot.
    pub(super) fn hot(&self) -> Vec<HotRow> {
        let mut rows = Vec::new();
        for map in self.look.iter().flat_map(|look| &look.hot.maps) {
            rows.extend(map.keys.iter().map(|key| HotRow {
                map: map.map.clone(),
                key: key_start(&key.key, key.key_bytes as usize),
                node: key.node_id.clone(),
                ratio: key.samples as f64 / map.samples.max(1) as f64,
                samples: key.samples,
            }));
        }
        rows.retain(|row| row.ratio >= HOT_RATIO_MIN);
        rows.sort_by(|one, other| {
            other.samples.cmp(&one.samples).then_with(|| one.key.cmp(&other.key))
        });
        rows
    }
}

/// Rates between two looks; a node that was started anew has none.
fn rates(before: Counted, now: Counted) -> Option<(f64, f64)> {
    let seconds = now.at.duration_since(before.at).as_secs_f64();
    let operations = now.operations.checked_sub(before.operations)?;
    let slow = now.slow.checked_sub(before.slow)?;
    (seconds > 0.0).then(|| (operations as f64 / seconds, slow as f64 / seconds))
}

/// Names from a to z, figures from the largest down.
fn order(column: Column, one: &MemberRow, other: &MemberRow) -> Ordering {
    let known = |rate: Option<f64>| rate.unwrap_or(-1.0);
    match column {
        Column::Node => one.node.cmp(&other.node),
        Column::Ops => known(other.ops_per_second).total_cmp(&known(one.ops_per_second)),
        Column::Memory => other.memory_bytes.cmp(&one.memory_bytes),
        Column::Leads => other.leads.cmp(&one.leads),
        Column::P99 => other.p99.cmp(&one.p99),
        Column::Lag => other.lag_ms.cmp(&one.lag_ms),
        Column::Slow => known(other.slow_per_second).total_cmp(&known(one.slow_per_second)),
    }
}

#[cfg(test)]
#[path = "model_test.rs"]
pub(super) mod tests;
