//! The watchers: each follows one partition at any replica that serves it, remembers what it was told, and goes on elsewhere
//! with its token when that replica is gone.

use std::time::Duration;

use isogrid_core::{Epoch, PartitionId};
use isogrid_replica::Replica;
use isogrid_replica::entry::Entries;
use isogrid_replica::readers::{ReaderId, Refused, WatchOffset};
use xxhash_rust::xxh3::xxh3_64;

use super::world::{Event, World};
use super::{history, paths};
use crate::client::watch::{Offset, Told, check, check_complete};
use crate::invariant::Violation;
use crate::network::NodeIndex;
use crate::random::{Random, Rate};
use crate::time::SimTime;

/// A look may give nothing although there is something; so many in a row mean that there is nothing.
const LOOKS_MAX: u32 = 20;

/// Where a watcher reads.
#[derive(Clone, Copy, Debug)]
struct Place {
    node: NodeIndex,
    life: u64,
    reader: ReaderId,
}

/// Somebody who follows a partition.
pub(crate) struct Watcher {
    partition: PartitionId,
    /// How long it takes between two looks.
    pause: Duration,
    random: Random,
    place: Option<Place>,
    /// Its token, once it has begun, and the epoch of the replica that it was of.
    token: Option<(WatchOffset, Epoch)>,
    told: Vec<Told>,
}

impl Watcher {
    /// A watcher; every other one is slow.
    pub(crate) fn new(number: u64, partition: PartitionId, random: &Random) -> Self {
        let mut random = random.fork_numbered("watcher", number);
        let slowest = if number.is_multiple_of(2) { 200 } else { 8_000 };
        let pause = Duration::from_millis(random.within(40..=slowest));
        Watcher { partition, pause, random, place: None, token: None, told: Vec::new() }
    }
}

/// An offset as the oracle names it.
fn offset_of(offset: WatchOffset) -> Offset {
    Offset::new(u64::from(offset.loss_generation), offset.seq)
}

impl World {
    /// A watcher looks for news.
    pub(crate) fn wake_watcher(&mut self, number: usize, at: SimTime) {
        let Some(watcher) = self.watchers.get_mut(number) else { return };
        let wait = watcher.random.delay(watcher.pause) + Duration::from_millis(10);
        self.queue.push(at + wait, Event::Watcher(number));
        let breaks = watcher.random.chance(Rate::percent(3));
        let node = match watcher.place {
            Some(place) if !breaks => Some(place.node),
            _ => {
                let nodes: Vec<NodeIndex> = self.machines.keys().copied().collect();
                watcher.random.pick(&nodes).copied()
            }
        };
        if breaks {
            self.leave_watch(number);
        }
        if let Some(node) = node {
            self.watch_at(number, node, at);
        }
    }

    fn leave_watch(&mut self, number: usize) {
        let Some(watcher) = self.watchers.get_mut(number) else { return };
        let Some(place) = watcher.place.take() else { return };
        let machine = self.machines.get_mut(&place.node).filter(|one| one.life == place.life);
        let process = machine.and_then(|machine| machine.process.as_mut());
        if let Some(held) = process.and_then(|one| one.replicas.get_mut(&watcher.partition)) {
            held.replica.close_watch(place.reader);
        }
    }

    /// Reads what there is at a node. Says whether it served.
    fn watch_at(&mut self, number: usize, node: NodeIndex, at: SimTime) -> bool {
        let Some(watcher) = self.watchers.get_mut(number) else { return false };
        let machine = self.machines.get_mut(&node).filter(|machine| machine.is_running());
        let Some(machine) = machine else {
            watcher.place = None;
            return false;
        };
        let (now, life) = (machine.now(at), machine.life);
        let process = machine.process.as_mut().expect("it runs");
        let held = process.replicas.get_mut(&watcher.partition);
        let Some(held) = held.filter(|held| held.closed_since.is_none()) else {
            watcher.place = None;
            return false;
        };
        let place = watcher.place.filter(|place| place.node == node && place.life == life);
        let served = match place {
            Some(place) => watcher.read(&mut held.replica, place, now),
            None => watcher.begin(&mut held.replica, now).map(|(reader, path)| {
                watcher.place = Some(Place { node, life, reader });
                if let Some(path) = path {
                    self.paths.reached(path);
                }
            }),
        };
        if let Err(Refused::Compacted { .. }) = served {
            self.paths.reached(paths::WATCH_COMPACTED);
            watcher.skip(&held.replica);
        }
        if served.is_err() {
            self.leave_watch(number);
        }
        served.is_ok()
    }

    /// All is quiet: every watcher reads to the end, at the primary.
    pub(super) fn finish_watches(&mut self) {
        let at = self.queue.now();
        for number in 0..self.watchers.len() {
            self.leave_watch(number);
            let partition = self.watchers[number].partition;
            let owner = self.council.council.table().owner(partition);
            let Some(node) = owner.and_then(|owner| self.names.get(owner)).copied() else {
                continue;
            };
            // Once to begin, perhaps once more behind what is gone; then until nothing more comes.
            let (mut token, mut idle) = (None, 0);
            while idle < LOOKS_MAX {
                self.watch_at(number, node, at);
                let last = std::mem::replace(&mut token, self.watchers[number].token);
                idle = if last == token { idle + 1 } else { 0 };
            }
        }
    }

    /// What the oracle says of what they were told.
    pub(super) fn judge_watchers(
        &self,
        histories: &history::Histories,
        blocked: &[PartitionId],
    ) -> Vec<Violation> {
        let ledger = self.council.ledger_since(0);
        let mut found = Vec::new();
        for (number, watcher) in self.watchers.iter().enumerate() {
            let partition = watcher.partition;
            let log = histories.committed(partition, ledger);
            let name = format!("watcher {number}");
            let judge = if blocked.contains(&partition) { check } else { check_complete };
            found.extend(judge(&name, partition, &watcher.told, &log));
        }
        found
    }
}

impl Watcher {
    /// Begins at a replica, or goes on there with the token. Says which rare path that was.
    fn begin(
        &mut self,
        replica: &mut Replica,
        now: isogrid_replica::Now,
    ) -> Result<(ReaderId, Option<&'static str>), Refused> {
        let offset = match self.token {
            Some((offset, _)) => offset,
            None => replica.watch_offset()?,
        };
        let reader = replica.watch(offset, now)?;
        let before = self.token.map(|(_, epoch)| epoch);
        let has_failed_over = before.is_some_and(|epoch| epoch < replica.promised());
        self.token = Some((offset, replica.promised()));
        self.told.push(Told::Begin(offset_of(offset)));
        Ok((reader, has_failed_over.then_some(paths::WATCH_RESUMED)))
    }

    fn read(
        &mut self,
        replica: &mut Replica,
        place: Place,
        now: isogrid_replica::Now,
    ) -> Result<(), Refused> {
        let mut bytes = Vec::new();
        let bytes_max = self.random.within(1..=4_096) as usize;
        let last = replica.read_watch(place.reader, bytes_max, &mut bytes)?;
        if self.random.chance(Rate::percent(5)) {
            // It does not arrive, and is read again.
            return Ok(());
        }
        for encoded in Entries::new(&bytes).flatten() {
            let offset = Offset::new(u64::from(last.loss_generation), encoded.entry.position.seq);
            self.told.push(Told::Change(offset, xxh3_64(encoded.bytes)));
        }
        self.token = Some((last, replica.promised()));
        replica.advance_watch(place.reader, last.seq, now);
        Ok(())
    }

    /// What comes next is gone: a look at the data as they are, and on from there.
    fn skip(&mut self, replica: &Replica) {
        if let Ok(offset) = replica.watch_offset() {
            self.told.push(Told::Skipped(offset_of(offset)));
            self.token = Some((offset, replica.promised()));
        }
    }
}
