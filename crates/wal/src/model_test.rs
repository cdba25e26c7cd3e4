//! A log under random appends, rolls, syncs, snapshots, prunes and faults, beside a model of what must be there afterwards.

use std::collections::BTreeMap;
use std::io;

use isogrid_core::{Hlc, LogPosition, PartitionId};

use crate::faulty_disk::{Call, Fault, FaultyDisk, Operation};
use crate::snapshot::writer::remove_snapshots;
use crate::{
    LogSettings, NodeLog, Record, Recovery, SnapshotEnd, SnapshotHead, SnapshotWriter, WalError,
    open, verify,
};

const STORAGE: u128 = 0x1507;
const SEEDS: u64 = 600;
const STEPS: usize = 80;
const FLIPS: usize = 25;
const PARTITIONS: u64 = 4;
const ENTRY_BYTES: usize = 16;
const SETTINGS: LogSettings = LogSettings { segment_bytes_max: 700 };

/// Numbers that look random, the same for the same seed.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % bound
    }

    fn one_in(&mut self, bound: u64) -> bool {
        self.below(bound) == 0
    }
}

/// A partition's entries: each one's epoch and what makes it different from all others.
type Entries = Vec<(u64, u64)>;
type State = BTreeMap<u16, Entries>;

#[derive(Clone, Debug)]
enum Change {
    Run { partition: u16, first: u64, entries: Entries },
    Reset { partition: u16 },
}

fn apply(state: &mut State, change: &Change) {
    match change {
        Change::Run { partition, first, entries } => {
            let all = state.entry(*partition).or_default();
            all.truncate(*first as usize - 1);
            all.extend(entries);
        }
        Change::Reset { partition } => drop(state.insert(*partition, Entries::new())),
    }
}

fn encode(entries: &[(u64, u64)]) -> Vec<u8> {
    entries
        .iter()
        .flat_map(|(epoch, id)| [epoch.to_le_bytes(), id.to_le_bytes()].concat())
        .collect()
}

fn decode(bytes: &[u8]) -> Entries {
    let word = |bytes: &[u8]| u64::from_le_bytes(bytes.try_into().unwrap());
    bytes.chunks(ENTRY_BYTES).map(|entry| (word(&entry[..8]), word(&entry[8..]))).collect()
}

struct World {
    random: Random,
    disk: FaultyDisk,
    log: NodeLog<FaultyDisk>,
    /// What is synced.
    synced: State,
    /// What was written since.
    changes: Vec<Change>,
    /// What was refused and may be there all the same until the next append works.
    maybe: Vec<Vec<Change>>,
    /// Entries up to here are never replaced.
    committed: BTreeMap<u16, u64>,
    /// The same, at the last sync.
    synced_committed: BTreeMap<u16, u64>,
    next_id: u64,
    epoch: u64,
    label: String,
    /// The next segment is being made.
    next: Option<crate::NextJob<FaultyDisk>>,
}

impl World {
    fn new(seed: u64) -> Self {
        let disk = FaultyDisk::default();
        let (log, _) = open(&disk, STORAGE, SETTINGS).unwrap();
        World {
            random: Random(seed),
            disk,
            log,
            synced: State::new(),
            changes: Vec::new(),
            maybe: Vec::new(),
            committed: BTreeMap::new(),
            synced_committed: BTreeMap::new(),
            next_id: 0,
            epoch: 1,
            label: format!("seed {seed}"),
            next: None,
        }
    }

    fn state(&self) -> State {
        self.state_after(self.changes.len(), &[])
    }

    fn state_after(&self, count: usize, more: &[Change]) -> State {
        let mut state = self.synced.clone();
        let all = self.changes.iter().chain(more);
        all.take(count).for_each(|change| apply(&mut state, change));
        state
    }

    fn change(&mut self, state: &State) -> Change {
        let partition = self.random.below(PARTITIONS) as u16;
        let all = state.get(&partition).map_or(&[][..], Vec::as_slice);
        let last = all.len() as u64;
        let committed = self.committed.get(&partition).copied().unwrap_or(0);
        let first = match self.random.one_in(5) && last > committed {
            true => committed + 1 + self.random.below(last - committed),
            false => last + 1,
        };
        if first <= last {
            self.epoch += 1;
        }
        let count = 1 + self.random.below(4);
        let entries = (0..count)
            .map(|_| {
                self.next_id += 1;
                (self.epoch, self.next_id)
            })
            .collect();
        Change::Run { partition, first, entries }
    }

    /// Appends changes; says whether it worked.
    fn append(&mut self, changes: Vec<Change>) -> bool {
        let bytes: Vec<Vec<u8>> = changes
            .iter()
            .map(|change| match change {
                Change::Run { entries, .. } => encode(entries),
                Change::Reset { .. } => Vec::new(),
            })
            .collect();
        let record = |(change, bytes): (&Change, &'_ Vec<u8>)| match change {
            Change::Run { partition, first, entries } => Record::Entries {
                partition: PartitionId(*partition),
                first: LogPosition::new(entries[0].0, *first),
                last: LogPosition::new(
                    entries[entries.len() - 1].0,
                    first + entries.len() as u64 - 1,
                ),
                entries: Box::leak(bytes.clone().into_boxed_slice()),
            },
            Change::Reset { partition } => Record::Reset { partition: PartitionId(*partition) },
        };
        let records: Vec<Record<'static>> = changes.iter().zip(&bytes).map(record).collect();
        match self.log.append(&records) {
            Ok(_) => {
                self.changes.extend(changes);
                self.maybe.clear();
                true
            }
            Err(_) => {
                self.maybe.push(changes);
                false
            }
        }
    }

    fn append_some(&mut self) -> bool {
        let mut state = self.state();
        let committed = self.committed.clone();
        let mut changes = Vec::new();
        for _ in 0..=self.random.below(4) {
            let change = if self.random.one_in(40) {
                let partition = self.random.below(PARTITIONS) as u16;
                self.committed.remove(&partition);
                Change::Reset { partition }
            } else {
                self.change(&state)
            };
            apply(&mut state, &change);
            changes.push(change);
        }
        let appended = self.append(changes);
        if !appended {
            self.committed = committed;
        }
        appended
    }

    fn sync(&mut self) -> bool {
        let before = self.state();
        let synced = self.log.sync().is_ok();
        if synced {
            self.synced = before;
            self.synced_committed = self.committed.clone();
            self.changes.clear();
        }
        synced
    }

    /// A snapshot at some entry, with writes while it is made.
    fn snapshot(&mut self, partition: u16) {
        let all = self.state().get(&partition).cloned().unwrap_or_default();
        let committed = self.committed.get(&partition).copied().unwrap_or(0);
        if all.is_empty() {
            return;
        }
        let seq = committed + self.random.below(all.len() as u64 - committed + 1);
        let epoch = if seq == 0 { 0 } else { all[seq as usize - 1].0 };
        let head = SnapshotHead {
            partition: PartitionId(partition),
            position: LogPosition::new(epoch, seq),
            replay_from: self.log.replay_from(PartitionId(partition), seq),
            hlc: Hlc(seq << 16),
            loss_generation: 3,
            sessions: vec![partition as u8; 5],
        };
        // What the snapshot may hold is committed: nothing replaces it meanwhile.
        self.committed.insert(partition, all.len() as u64);
        let Ok(mut writer) = SnapshotWriter::create(&self.disk, STORAGE, head) else { return };
        if self.random.one_in(2)
            && (!self.append_some() || !self.committed.contains_key(&partition))
        {
            return;
        }
        let all = self.state()[&partition].clone();
        for page in all.chunks(3) {
            if writer.block(&encode(page), page.len() as u32).is_err() {
                return;
            }
        }
        let end = SnapshotEnd {
            complete_at: LogPosition::new(all[all.len() - 1].0, all.len() as u64),
            log_end: self.log.end(),
        };
        self.committed.insert(partition, all.len() as u64);
        if self.random.one_in(3) {
            let refused = WalError::Refused { why: String::new() };
            let is_early = self.log.synced() < self.log.end();
            if is_early {
                let outcome = writer.publish(end, self.log.synced()).unwrap_err();
                let same = std::mem::discriminant(&outcome) == std::mem::discriminant(&refused);
                assert!(same, "{}: {outcome}", self.label);
            }
            return;
        }
        if self.sync() {
            let _ = writer.publish(end, self.log.synced());
        }
    }

    /// Snapshots of all partitions, then the log is pruned.
    fn prune(&mut self) {
        (0..PARTITIONS as u16).for_each(|partition| self.snapshot(partition));
        if !self.sync() {
            return;
        }
        let found = verify(&self.disk).unwrap();
        assert_eq!(found.damages, self.known_damages(), "{}", self.label);
        let from = |p: &crate::Recovered| p.snapshot.as_ref().map_or(0, |s| s.replay_from.segment);
        let before = found.partitions.iter().map(from).min().unwrap_or(0);
        let _ = self.log.prune(before);
    }

    /// Damage that a loss of power left behind the synced part stays until it is pruned.
    fn known_damages(&self) -> Vec<crate::Damage> {
        let damages = verify(&self.disk).unwrap().damages;
        if self.label.contains("power") { damages } else { Vec::new() }
    }

    fn faults(&mut self) {
        let seed = self.random.below(u64::MAX);
        let mut random = Random(seed);
        let mut left = 1 + random.below(3);
        let kinds = [
            vec![Operation::Write],
            vec![Operation::Write, Operation::SetLen],
            vec![Operation::Sync],
            vec![Operation::Create, Operation::Rename, Operation::SyncFolder, Operation::Remove],
            vec![Operation::Write, Operation::SetLen, Operation::Create],
        ];
        let kinds = kinds[random.below(kinds.len() as u64) as usize].clone();
        let error = [io::ErrorKind::StorageFull, io::ErrorKind::Other][random.below(2) as usize];
        self.disk.set_decider(Some(Box::new(move |call: &Call<'_>| {
            if left == 0 || !kinds.contains(&call.operation) || random.one_in(3) {
                return Fault::None;
            }
            left -= 1;
            match call.operation {
                Operation::Write => {
                    Fault::Torn(random.below(call.bytes as u64 + 1) as usize, error)
                }
                _ => Fault::Fails(error),
            }
        })));
    }

    /// The file of the next segment is begun, or there.
    fn make_next(&mut self) {
        match self.next.take() {
            Some(job) => self.log.finish_next(job.run()),
            None => self.next = self.log.begin_next(),
        }
    }

    fn step(&mut self) {
        if self.random.one_in(2) {
            self.make_next();
        }
        match self.random.below(20) {
            0..=9 => drop(self.append_some()),
            10..=12 => drop(self.sync()),
            13 => {
                let partition = self.random.below(PARTITIONS) as u16;
                self.snapshot(partition);
            }
            14 => self.prune(),
            15 => self.faults(),
            16 => self.disk.set_decider(None),
            17 => {
                let used: usize = self
                    .disk
                    .paths()
                    .iter()
                    .filter_map(|p| self.disk.content(p))
                    .map(|c| c.len())
                    .sum();
                let room = self.random.below(200);
                self.disk.set_capacity(Some(used as u64 + room));
                for _ in 0..3 {
                    self.append_some();
                }
                self.disk.set_capacity(None);
            }
            18 => self.restart(false),
            _ => {
                let loses_power = self.random.one_in(2);
                self.restart(loses_power);
            }
        }
        if self.log.is_failed() {
            self.restart(false);
        }
    }

    /// The process ends, or the power; then the folder is opened again.
    fn restart(&mut self, loses_power: bool) {
        self.disk.set_decider(None);
        self.next = None;
        if loses_power {
            self.label.push_str(", power");
            let random = &mut self.random;
            self.disk.crash(|steps| match random.below(4) {
                0 => 0,
                1 => steps,
                _ => random.below(steps as u64 + 1) as usize,
            });
        }
        let (log, recovery) = open(&self.disk, STORAGE, SETTINGS).unwrap();
        let found = contents(&recovery);
        let least = if loses_power { 0 } else { self.changes.len() };
        let written = self.changes.len();
        let mut states: Vec<State> =
            (least..=written).map(|count| self.state_after(count, &[])).collect();
        for refused in &self.maybe {
            let more = 1..=refused.len();
            states.extend(more.map(|count| self.state_after(written + count, refused)));
        }
        for partition in 0..PARTITIONS as u16 {
            let none = Entries::new();
            let have = found.get(&partition).unwrap_or(&none);
            let is_one = states.iter().any(|state| state.get(&partition).unwrap_or(&none) == have);
            assert!(
                is_one,
                "{}: partition {partition} has {have:?}, not of {states:?}",
                self.label
            );
        }
        let is_damaged = recovery.partitions().iter().any(|p| p.damage.is_some());
        assert!(loses_power || !is_damaged, "{}: {:?}", self.label, recovery.partitions());
        self.log = log;
        self.synced = found;
        self.changes.clear();
        self.maybe.clear();
        for (partition, entries) in &self.synced {
            // A reset may be lost, and what was committed before it is there again.
            let synced = self.synced_committed.get(partition).copied().unwrap_or(0);
            let committed = self.committed.entry(*partition).or_default();
            *committed = (*committed).max(synced).min(entries.len() as u64);
        }
        self.committed.retain(|partition, _| self.synced.contains_key(partition));
        self.synced_committed = self.committed.clone();
        for damaged in recovery.partitions().iter().filter(|p| p.damage.is_some()) {
            let partition = damaged.partition.0;
            assert!(self.append(vec![Change::Reset { partition }]) && self.sync());
            remove_snapshots(&self.disk, damaged.partition, None).unwrap();
            self.committed.remove(&partition);
        }
    }

    /// Every flipped bit is harmless or told.
    fn flips(&mut self) {
        let expected = self.state();
        for _ in 0..FLIPS {
            let disk = self.disk.copy();
            let paths = disk.paths();
            let path = &paths[self.random.below(paths.len() as u64) as usize];
            let length = disk.content(path).unwrap().len() as u64;
            if length == 0 {
                continue;
            }
            let (offset, bit) = (self.random.below(length) as usize, self.random.below(8) as u8);
            disk.flip(path, offset, bit);
            let label = format!("{}, {path} byte {offset} bit {bit}", self.label);
            let (_, recovery) = match open(&disk, STORAGE, SETTINGS) {
                Ok(opened) => opened,
                Err(error) => panic!("{label}: {error}"),
            };
            let found = contents(&recovery);
            let is_cut = !recovery.lost().is_empty();
            for partition in 0..PARTITIONS as u16 {
                let none = Entries::new();
                let want = expected.get(&partition).unwrap_or(&none);
                let have = found.get(&partition).unwrap_or(&none);
                let listed = recovery.partitions().iter().find(|p| p.partition.0 == partition);
                let is_told = match listed {
                    Some(listed) => listed.damage.is_some() || is_cut,
                    None => !recovery.lost().is_empty() || is_cut,
                };
                assert!(have == want || is_told, "{label}: {partition} has {have:?}, not {want:?}");
            }
        }
    }
}

/// What the folder has of each partition that can be used.
fn contents(recovery: &Recovery<FaultyDisk>) -> State {
    let mut state = State::new();
    let mut bases = BTreeMap::new();
    for partition in recovery.partitions().iter().filter(|p| p.is_usable) {
        let mut all = Entries::new();
        if let Some(mut reader) = recovery.snapshot(partition).unwrap() {
            assert_eq!(reader.head().sessions, vec![partition.partition.0 as u8; 5]);
            bases.insert(partition.partition, reader.head().position.seq);
            while let Some(block) = reader.next_block().unwrap() {
                all.extend(decode(block.bytes));
            }
        }
        state.insert(partition.partition.0, all);
    }
    let fuzzy = state.clone();
    for (partition, base) in &bases {
        state.get_mut(&partition.0).unwrap().truncate(*base as usize);
    }
    // Two threads would take a half each.
    for half in 0..2 {
        let wants = |partition: PartitionId| partition.0 % 2 == half;
        let replayed = recovery.replay(wants, |partition, run| {
            let Some(all) = state.get_mut(&partition.0) else { return };
            let base = bases.get(&partition).copied().unwrap_or(0);
            let skip = (base + 1).saturating_sub(run.first.seq) as usize;
            let entries = decode(run.entries);
            assert_eq!(run.first.seq + entries.len() as u64 - 1, run.last.seq);
            let keep = (run.first.seq - 1).max(base) as usize;
            assert!(keep <= all.len(), "a gap");
            all.truncate(keep);
            all.extend(entries.iter().skip(skip));
        });
        replayed.unwrap();
    }
    for partition in recovery.partitions().iter().filter(|p| p.is_usable) {
        let all = &state[&partition.partition.0];
        assert_eq!(all.len() as u64, partition.last.seq, "{partition:?}");
        let whole = fuzzy[&partition.partition.0].len();
        assert_eq!(
            all[..whole.min(all.len())],
            fuzzy[&partition.partition.0][..],
            "what {partition:?} held"
        );
    }
    state
}

#[test]
fn what_was_written_is_there_whatever_happens() {
    for seed in 0..SEEDS {
        let mut world = World::new(seed);
        for _ in 0..STEPS {
            world.step();
        }
        world.disk.set_decider(None);
        world.restart(false);
        world.flips();
    }
}
