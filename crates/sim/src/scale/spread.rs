//! How the table spreads. The voters have it from the council's log. The others hear of its version from those they gossip
//! with, and ask for what changed.

use isogrid_cluster::gossip::{Heard, hear};
use isogrid_core::Table;

use super::settings::{FAN_OUT, GOSSIP_MS, STEP_MS, VOTERS};
use super::traffic::Work;
use super::world::{CLUSTER, ScaleWorld};

impl ScaleWorld {
    /// One step of gossip, and of the deltas that were asked for.
    pub(super) fn spread(&mut self) {
        for voter in 0..VOTERS.min(self.nodes.len()) {
            if self.nodes[voter].is_up
                && self.nodes[voter].table.version() < self.council.table().version()
            {
                let table = self.council.table().clone();
                self.take(voter, table);
            }
        }
        for number in 0..self.nodes.len() {
            if !self.nodes[number].is_up {
                continue;
            }
            if let Some((due, from)) = self.nodes[number].pull
                && self.now >= due
            {
                self.nodes[number].pull = None;
                self.pull(number, Some(from));
            }
            if self.now >= self.nodes[number].gossips_at {
                self.nodes[number].gossips_at = self.now.plus(GOSSIP_MS);
                self.gossip(number);
                if self.settings.heartbeats_carry_table {
                    self.pull(number, None);
                }
            }
        }
    }

    /// A node gossips with a few others that it draws. Both hear of each other.
    fn gossip(&mut self, number: usize) {
        let mut others: Vec<usize> = Vec::with_capacity(FAN_OUT);
        let up = self.nodes.iter().filter(|node| node.is_up).count();
        while others.len() < FAN_OUT.min(up - 1) {
            let other = self.random.below(self.nodes.len() as u64) as usize;
            if other != number && self.nodes[other].is_up && !others.contains(&other) {
                others.push(other);
            }
        }
        for other in others {
            self.traffic.exchanges += 1;
            self.hear(number, other);
            self.hear(other, number);
        }
    }

    /// A node hears of another one's table, a round trip from now, and asks for what it misses.
    fn hear(&mut self, number: usize, other: usize) {
        let state = self.nodes[other].state(CLUSTER, self.now);
        let node = &mut self.nodes[number];
        match hear(Some(CLUSTER), &node.table, &state) {
            Heard::Pull { .. } if node.pull.is_none() => {
                node.pull = Some((self.now.plus(2 * STEP_MS), other));
            }
            Heard::Nothing | Heard::Pull { .. } => {}
            wrong @ (Heard::Defect { .. } | Heard::Foreign(_)) => {
                panic!("tables of one version are equal: {wrong:?}")
            }
        }
    }

    /// A node gets what is new in another one's table, or in the council's.
    pub(super) fn pull(&mut self, number: usize, from: Option<usize>) {
        let since = self.nodes[number].table.version();
        let theirs = match from {
            Some(other) if self.nodes[other].is_up => &self.nodes[other].table,
            Some(_) => return,
            None => self.council.table(),
        };
        if theirs.version() <= since {
            return;
        }
        self.watch.begin();
        let delta = theirs.delta_since(since);
        self.watch.end(Work::DeltaSince);
        let bytes = (self.encoding.delta)(&delta) as u64;
        self.traffic.pulls += 1;
        self.traffic.pull_bytes += bytes;
        self.traffic.pull_bytes_max = self.traffic.pull_bytes_max.max(bytes);
        self.watch.begin();
        let next = self.nodes[number].table.apply(&delta);
        self.watch.end(Work::ApplyDelta);
        self.take(number, next.expect("a delta since a version leads on from it"));
    }

    /// A node has a newer table.
    fn take(&mut self, number: usize, table: Table) {
        let touched = self.nodes[number].take(table, self.now, &mut *self.watch);
        for partition in touched {
            let node = &self.nodes[number];
            if node.learns(partition) {
                self.copies.waiting.insert((partition, number));
            }
            let learners = node.leads(partition).map(|entry| entry.learners.as_slice());
            for learner in learners.unwrap_or_default() {
                let key = (partition, self.numbers[&learner.node]);
                match self.copies.under_way.get_mut(&key) {
                    Some(copy) => copy.source = number,
                    None => drop(self.copies.waiting.insert(key)),
                }
            }
        }
    }

    /// Whether all nodes that are up know the newest table.
    pub(super) fn all_know(&self) -> bool {
        self.count_knowing() == self.nodes.iter().filter(|node| node.is_up).count()
    }

    /// How many nodes that are up know the newest table.
    pub(super) fn count_knowing(&self) -> usize {
        let newest = self.council.table().version();
        self.nodes.iter().filter(|node| node.is_up && node.table.version() == newest).count()
    }
}
