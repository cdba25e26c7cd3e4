//! [`Folder`]: what a machine keeps when its process ends: a disk in memory that fails as it is told to, and which lives used
//! it. What a node writes of itself is little and synced: it is lost with everything else or not at all.

mod mood;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use isogrid_cluster::StorageId;
use isogrid_core::Incarnation;
use isogrid_wal::LogSettings;
use isogrid_wal::faulty_disk::FaultyDisk;
use isogrid_wal::place::LOG_FOLDER;

use mood::Mood;

use crate::random::Random;

/// A full disk takes so many bytes more, at the most.
const SPARE_BYTES_MAX: u64 = 2_000;

/// So many bytes at the end of the log are what was written last.
const NEWEST_BYTES: u64 = 300;

/// What a machine keeps.
pub(crate) struct Folder {
    pub(crate) id: StorageId,
    /// Which lives used it.
    pub(crate) lives: Vec<Incarnation>,
    /// Whether one of them belonged to the cluster.
    pub(crate) is_known: bool,
    /// How long a segment of the log gets.
    pub(crate) log: LogSettings,
    disk: FaultyDisk,
    mood: Arc<Mutex<Mood>>,
    /// How many faults say that the disk is full.
    full: u32,
    has_flipped: bool,
    /// The power has failed since a process last found everything.
    has_lost_power: bool,
}

impl Folder {
    /// An empty folder.
    pub(crate) fn new(id: StorageId, mut random: Random) -> Self {
        let segment_bytes_max = *random.pick(&[2 << 10, 8 << 10, 32 << 10]).unwrap_or(&8_192);
        let disk = FaultyDisk::default();
        let mood = Arc::new(Mutex::new(Mood::new(random)));
        let decides = Arc::clone(&mood);
        disk.set_decider(Some(Box::new(move |call| lock(&decides).decide(call))));
        let log = LogSettings { segment_bytes_max };
        Folder {
            id,
            lives: Vec::new(),
            is_known: false,
            log,
            disk,
            mood,
            full: 0,
            has_flipped: false,
            has_lost_power: false,
        }
    }

    /// Another handle on the disk.
    pub(crate) fn disk(&self) -> FaultyDisk {
        self.disk.clone()
    }

    /// The process has ended. When the power fails, of what is not synced a part remains, which is all or nothing now and then.
    pub(crate) fn end_process(&mut self, power_fails: bool, random: &mut Random) {
        lock(&self.mood).begin_anew();
        if power_fails {
            self.has_lost_power = true;
            self.disk.crash(|steps| match random.below(3) {
                0 => 0,
                1 => steps,
                _ => random.below(steps as u64 + 1) as usize,
            });
        }
    }

    /// The process ends in the middle of one of its next changes.
    pub(crate) fn end_soon(&self) {
        lock(&self.mood).end_soon();
    }

    /// Whether the process has ended in the middle of a change.
    pub(crate) fn is_over(&self) -> bool {
        lock(&self.mood).is_over()
    }

    /// A bit of a file flips: every third time in what was written to the log last. Says where.
    pub(crate) fn flip(&mut self, random: &mut Random) -> Option<String> {
        let paths = self.disk.paths();
        let last = paths.iter().rfind(|path| path.starts_with(LOG_FOLDER));
        let is_last = random.below(3) == 0;
        let path = last.filter(|_| is_last).or_else(|| random.pick(&paths))?;
        let bytes = self.disk.content(path)?.len() as u64;
        let newest = if is_last { bytes.min(NEWEST_BYTES) } else { bytes };
        let offset = bytes - newest + random.below(newest.max(1));
        self.disk.flip(path, offset as usize, random.below(8) as u8);
        self.has_flipped |= bytes > 0;
        (bytes > 0).then(|| format!("{path} at byte {offset} of {bytes}"))
    }

    /// A process has begun with it, and found damages or none. Says whether they can be: what a loss of power left stays until
    /// images and a shorter log have taken its place.
    pub(crate) fn explains(&mut self, has_damages: bool) -> bool {
        self.has_lost_power &= has_damages;
        !has_damages || self.has_lost_power || self.has_flipped
    }

    /// Calls but syncs begin to fail, or do not any more.
    pub(crate) fn set_failing(&self, fails: bool) {
        lock(&self.mood).set_failing(fails);
    }

    /// The next sync fails.
    pub(crate) fn fail_sync(&self) {
        lock(&self.mood).fail_sync();
    }

    /// The disk takes hardly anything more, or all again.
    pub(crate) fn set_full(&mut self, is_full: bool, random: &mut Random) {
        self.full = if is_full { self.full + 1 } else { self.full.saturating_sub(1) };
        if self.full == 0 {
            self.disk.set_capacity(None);
        } else if is_full {
            self.disk.set_capacity(Some(self.disk.used_bytes() + random.below(SPARE_BYTES_MAX)));
        }
    }

    /// Nothing is wrong with the disk any more.
    pub(crate) fn heal(&mut self) {
        self.full = 0;
        self.disk.set_capacity(None);
        lock(&self.mood).heal();
    }
}

fn lock(mood: &Mutex<Mood>) -> MutexGuard<'_, Mood> {
    mood.lock().unwrap_or_else(PoisonError::into_inner)
}
