//! From the table as it is to the desired one: copies are made, then primaries move, then what is not needed goes. Each
//! partition takes one step at a time, and none that leaves it with fewer whole copies than it should have.

use std::collections::{BTreeMap, BTreeSet};

use isogrid_core::{NodeId, PartitionId, Replica, TableVersion};

use super::Steward;
use super::budget::Streams;
use super::evidence::{Evidence, Follower, Stream};
use super::orders::{Directive, Orders};
use super::plan::{Next, View};
use crate::council::{Change, ChangeKind, Command, Council, Intent};
use crate::gossip::{ClockVerdict, judge_offset, median};
use crate::id::Millis;

/// What was asked for and is not seen yet, and which partitions need a look.
#[derive(Clone, Debug, Default)]
pub(super) struct Asked {
    /// Per partition: for which ver of its entry something was asked, when, and the copy that it begins.
    orders: BTreeMap<PartitionId, (u32, Millis, Option<Stream>)>,
    /// Partitions that may not be as they should be.
    pub(super) open: BTreeSet<PartitionId>,
    /// What was looked at when all others were found settled.
    looked_at: Option<(TableVersion, u64, u64, BTreeSet<NodeId>)>,
    /// How far each learner was, and since when.
    progress: BTreeMap<(PartitionId, NodeId), (Follower, Millis)>,
    /// Learners that were given up: not before then again.
    given_up: BTreeMap<(PartitionId, NodeId), Millis>,
    /// When a node was last asked to be forgotten.
    forgotten: BTreeMap<NodeId, Millis>,
}

impl Asked {
    /// Whether something was asked for this very entry just now.
    pub(super) fn is_pending(
        &self,
        now: Millis,
        partition: PartitionId,
        ver: u32,
        ms: u64,
    ) -> bool {
        let order = self.orders.get(&partition);
        order.is_some_and(|(asked, at, _)| *asked == ver && now.since(*at) < ms)
    }

    /// Something is asked.
    pub(super) fn ask(&mut self, now: Millis, partition: PartitionId, ver: u32, s: Option<Stream>) {
        self.orders.insert(partition, (ver, now, s));
    }

    /// Finds the partitions that need a look: all of them when nodes, clocks or the desired table changed, else those
    /// that changed.
    pub(super) fn look(&mut self, council: &Council, desired: u64, off: BTreeSet<NodeId>) {
        let table = council.table();
        let present = (table.version(), council.nodes_version(), desired, off);
        match self.looked_at.take() {
            Some(last) if last == present => {}
            Some((since, nodes, of, clocks))
                if (nodes, of, &clocks) == (present.1, present.2, &present.3) =>
            {
                let changed = table.delta_since(since).entries;
                self.open.extend(changed.into_iter().map(|(partition, _)| partition));
            }
            _ => self.open.extend(table.partitions().iter()),
        }
        self.looked_at = Some(present);
    }
}

/// A copy that could begin.
struct Wish {
    missing: usize,
    ver: u32,
    stream: Stream,
    to: Replica,
}

impl Steward {
    /// One step of every partition that is not as it should be and for which there is room.
    pub(super) fn move_copies(
        &mut self,
        now: Millis,
        council: &Council,
        evidence: &Evidence,
        orders: &mut Orders,
    ) {
        let off = clocks_off(evidence);
        self.watch_progress(now, council, evidence);
        let mut streams = self.streams(now, council, evidence);
        let mut handovers: BTreeMap<NodeId, usize> = BTreeMap::new();
        let mut changes = Vec::new();
        let mut wishes = Vec::new();
        let mut settled = Vec::new();
        for &partition in &self.asked.open {
            let Some(entry) = council.entry(partition) else { continue };
            let view = View {
                council,
                partition,
                entry,
                desired: self.desired.holders(partition),
                clock_is_good: &|node| !off.contains(node),
                is_ready: &|node| self.may_copy(now, partition, node),
                is_stalled: &|learner| self.is_stalled(now, partition, learner),
            };
            let next = view.next();
            if next == Next::Settled {
                settled.push(partition);
                continue;
            }
            if self.asked.is_pending(now, partition, entry.ver, self.settings.repeat_ms) {
                continue;
            }
            let Some(primary) = entry.primary.clone() else { continue };
            let directive = match next {
                Next::Settled | Next::Wait | Next::Recover => continue,
                Next::Drop(learner) => {
                    let (epoch, ver) = (entry.epoch, entry.ver);
                    let kind = ChangeKind::DropLearner(learner);
                    changes.push(Change { partition, epoch, ver, kind });
                    continue;
                }
                Next::Copy { to, missing } => {
                    let stream = Stream { partition, source: primary, target: to.node.clone() };
                    wishes.push(Wish { missing, ver: entry.ver, stream, to });
                    continue;
                }
                Next::HandOver(to) => {
                    let asked = handovers.entry(primary.clone()).or_default();
                    *asked += 1;
                    if *asked > self.settings.handovers_max {
                        continue;
                    }
                    Directive::HandOver { partition, primary, to }
                }
                Next::Vouch(member) => Directive::Vouch { partition, primary, member },
                Next::Retire(member) => Directive::Retire { partition, primary, member },
            };
            orders.directives.push(directive);
        }
        for partition in settled {
            self.asked.open.remove(&partition);
            self.asked.orders.remove(&partition);
        }
        self.note_orders(now, council, &changes, &orders.directives);
        changes.extend(self.begin_copies(now, council, evidence, &mut streams, wishes));
        self.batch(changes, orders);
        self.forget_nodes(now, council, orders);
    }

    /// The changes as commands of bounded size.
    pub(super) fn batch(&self, changes: Vec<Change>, orders: &mut Orders) {
        let chunks = changes.chunks(self.settings.changes_max.max(1));
        orders.commands.extend(chunks.map(|chunk| Command::Changes(chunk.to_vec())));
    }

    fn note_orders(
        &mut self,
        now: Millis,
        council: &Council,
        changes: &[Change],
        directives: &[Directive],
    ) {
        let changed = changes.iter().map(|change| change.partition);
        for partition in changed.chain(directives.iter().map(Directive::partition)) {
            if let Some(entry) = council.entry(partition) {
                self.asked.ask(now, partition, entry.ver, None);
            }
        }
        for change in changes {
            if let ChangeKind::DropLearner(learner) = &change.kind
                && self.is_stalled(now, change.partition, learner)
            {
                let again = now.plus(self.settings.stalled_ms);
                self.asked.given_up.insert((change.partition, learner.node.clone()), again);
            }
        }
    }

    /// Begins copies, those of partitions that miss the most first, as far as streams and budgets allow.
    fn begin_copies(
        &mut self,
        now: Millis,
        council: &Council,
        evidence: &Evidence,
        streams: &mut Streams,
        mut wishes: Vec<Wish>,
    ) -> Vec<Change> {
        wishes.sort_by_key(|wish| (std::cmp::Reverse(wish.missing), wish.stream.partition));
        let mut changes = Vec::new();
        for wish in wishes {
            let partition = wish.stream.partition;
            let has_room = streams.allow(&wish.stream, &self.settings)
                && self.budgets.allow(now, &wish.stream);
            let Some(entry) = council.entry(partition).filter(|_| has_room) else { continue };
            let bytes = evidence.partitions.get(&partition).map_or(0, |report| report.bytes);
            self.budgets.pay(now, &wish.stream, bytes, &self.settings);
            streams.add(wish.stream.clone());
            self.asked.ask(now, partition, wish.ver, Some(wish.stream));
            let kind = ChangeKind::AddLearner(wish.to);
            changes.push(Change { partition, epoch: entry.epoch, ver: entry.ver, kind });
        }
        changes
    }

    /// The copies under way: every learner's, those reported, and those just asked for.
    fn streams(&self, now: Millis, council: &Council, evidence: &Evidence) -> Streams {
        let mut streams = Streams::default();
        for &partition in &self.asked.open {
            let Some(entry) = council.entry(partition) else { continue };
            let Some(source) = &entry.primary else { continue };
            for learner in &entry.learners {
                let target = learner.node.clone();
                if has_everything(evidence, partition, &target) {
                    continue;
                }
                streams.add(Stream { partition, source: source.clone(), target });
            }
            if self.asked.is_pending(now, partition, entry.ver, self.settings.repeat_ms)
                && let Some((_, _, Some(stream))) = self.asked.orders.get(&partition)
            {
                streams.add(stream.clone());
            }
        }
        // A report may be older than the table: whoever holds nothing copies nothing.
        let is_holder = |stream: &&Stream| {
            let entry = council.entry(stream.partition);
            entry.is_some_and(|entry| entry.holders().any(|holder| holder.node == stream.target))
        };
        for stream in evidence.streams.iter().filter(is_holder) {
            streams.add(stream.clone());
        }
        streams
    }

    /// Whether a node may begin to copy a partition.
    fn may_copy(&self, now: Millis, partition: PartitionId, node: &NodeId) -> bool {
        let given_up = self.asked.given_up.get(&(partition, node.clone()));
        given_up.is_none_or(|again| now >= *again)
            && self.stability.is_ready(now, node, &self.settings)
    }

    fn is_stalled(&self, now: Millis, partition: PartitionId, learner: &Replica) -> bool {
        let progress = self.asked.progress.get(&(partition, learner.node.clone()));
        progress.is_some_and(|(_, since)| now.since(*since) >= self.settings.stalled_ms)
    }

    /// Notes how far each learner is.
    fn watch_progress(&mut self, now: Millis, council: &Council, evidence: &Evidence) {
        let mut progress = BTreeMap::new();
        for &partition in &self.asked.open {
            let Some(entry) = council.entry(partition) else { continue };
            let report = evidence.partitions.get(&partition);
            for learner in &entry.learners {
                let key = (partition, learner.node.clone());
                let reported = report.and_then(|report| report.followers.get(&learner.node));
                // Without a word from the primary nobody knows, and nobody is given up.
                let Some(&follower) = reported else { continue };
                // Who has everything makes no progress because none is left to make: its primary adds it when it has been
                // well for long enough, and to begin anew would only begin that wait anew.
                if has_everything(evidence, partition, &learner.node) {
                    continue;
                }
                let since = match self.asked.progress.get(&key) {
                    Some((last, since)) if *last == follower => *since,
                    _ => now,
                };
                progress.insert(key, (follower, since));
            }
        }
        self.asked.progress = progress;
        self.asked.given_up.retain(|_, again| *again > now);
    }

    /// Forgets nodes that were to leave, once they are empty and gone.
    fn forget_nodes(&mut self, now: Millis, council: &Council, orders: &mut Orders) {
        let repeat_ms = self.settings.repeat_ms;
        self.asked.forgotten.retain(|_, at| now.since(*at) < repeat_ms);
        for (node, record) in council.nodes() {
            let is_gone = record.intent == Intent::Leave && !record.is_serving();
            if !is_gone || self.asked.forgotten.contains_key(node) {
                continue;
            }
            let holds = |entry: &isogrid_core::PartitionEntry| {
                entry.holders().any(|holder| holder.node == *node)
            };
            if !council.table().iter().any(|(_, entry)| holds(entry)) {
                self.asked.forgotten.insert(node.clone(), now);
                let incarnation = record.incarnation();
                orders.commands.push(Command::RemoveNode { node: node.clone(), incarnation });
            }
        }
    }
}

/// Whether a learner's data are whole and its log reaches the primary's commit index, as the primary last reported.
fn has_everything(evidence: &Evidence, partition: PartitionId, learner: &NodeId) -> bool {
    evidence.partitions.get(&partition).is_some_and(|report| {
        let follower = report.followers.get(learner);
        follower.is_some_and(|one| one.is_complete && one.matched >= report.committed)
    })
}

/// The nodes whose clocks are too far off to lead.
pub(super) fn clocks_off(evidence: &Evidence) -> BTreeSet<NodeId> {
    let median = median(&evidence.clock_offsets);
    let is_off =
        |(_, offset): &(&NodeId, &i64)| judge_offset(**offset, median) == ClockVerdict::Refuse;
    evidence.clock_offsets.iter().filter(is_off).map(|(node, _)| node.clone()).collect()
}
