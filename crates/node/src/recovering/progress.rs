//! [`Progress`]: how far a recovery is. Who recovers counts, who is asked looks.

use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::time::Instant;

/// To read the data again and find their entries takes about so many times as long as verifying them, and to make partitions
/// of those as long again.
const LOADING_COST: u128 = 4;

/// How far a recovery is.
#[derive(Debug)]
pub(crate) struct Progress {
    begun: Instant,
    bytes_total: u64,
    bytes_read: Arc<AtomicU64>,
    /// So much was read when all was verified. What is loaded is read once more.
    read_to_verify: AtomicU64,
    is_loading: AtomicBool,
    partitions_total: AtomicU32,
    partitions_done: AtomicU32,
}

/// How far it was at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Standing {
    pub(crate) is_loading: bool,
    pub(crate) partitions_done: u32,
    /// Nought while it is not known.
    pub(crate) partitions_total: u32,
    pub(crate) bytes_verified: u64,
    /// To load them.
    pub(crate) bytes_read_again: u64,
    pub(crate) bytes_total: u64,
    pub(crate) percent: u32,
    pub(crate) elapsed_ms: u64,
    pub(crate) eta_ms: Option<u64>,
}

impl Progress {
    /// Of the data in this folder, if they are in one.
    pub(crate) fn begin(folder: Option<&Path>) -> Arc<Self> {
        Arc::new(Progress {
            begun: Instant::now(),
            bytes_total: folder.map_or(0, bytes_in),
            bytes_read: Arc::default(),
            read_to_verify: AtomicU64::new(0),
            is_loading: AtomicBool::new(false),
            partitions_total: AtomicU32::new(0),
            partitions_done: AtomicU32::new(0),
        })
    }

    /// Where the disk counts what is read.
    pub(crate) fn bytes_read(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.bytes_read)
    }

    /// Everything is verified; so many partitions are made of it.
    pub(crate) fn verified(&self, partitions: usize) {
        let partitions = u32::try_from(partitions).unwrap_or(u32::MAX);
        self.partitions_total.store(partitions, Ordering::Relaxed);
        self.read_to_verify.store(self.bytes_read.load(Ordering::Relaxed), Ordering::Relaxed);
        self.is_loading.store(true, Ordering::Release);
    }

    /// A partition is back, or cannot be had.
    pub(crate) fn one_is_done(&self) {
        self.partitions_done.fetch_add(1, Ordering::Relaxed);
    }

    /// How far it is.
    pub(crate) fn standing(&self) -> Standing {
        let is_loading = self.is_loading.load(Ordering::Acquire);
        let read = self.bytes_read.load(Ordering::Relaxed);
        let read_again = read.saturating_sub(self.read_to_verify.load(Ordering::Relaxed));
        let (bytes_verified, bytes_read_again) = match is_loading {
            true => (self.bytes_total, read_again.min(self.bytes_total)),
            false => (read.min(self.bytes_total), 0),
        };
        let mut standing = Standing {
            is_loading,
            partitions_done: self.partitions_done.load(Ordering::Relaxed),
            partitions_total: self.partitions_total.load(Ordering::Relaxed),
            bytes_verified,
            bytes_read_again,
            bytes_total: self.bytes_total,
            percent: 0,
            elapsed_ms: self.begun.elapsed().as_millis() as u64,
            eta_ms: None,
        };
        standing.estimate();
        standing
    }
}

impl Standing {
    /// What is done now, in one word.
    pub(crate) fn stage(&self) -> &'static str {
        if self.is_loading { "loading" } else { "verifying" }
    }

    /// From what is done to how long the rest takes.
    fn estimate(&mut self) {
        let making = u128::from(self.bytes_total) * LOADING_COST;
        let partitions = u128::from(self.partitions_total);
        let made = match (making * u128::from(self.partitions_done)).checked_div(partitions) {
            Some(made) => made,
            None if self.is_loading => making,
            None => 0,
        };
        // Not all is read again of what is not needed any more.
        let is_made = partitions == u128::from(self.partitions_done) && self.is_loading;
        let read_again = if is_made { self.bytes_total } else { self.bytes_read_again };
        let all = u128::from(self.bytes_total) + making * 2;
        let done = u128::from(self.bytes_verified) + u128::from(read_again) * LOADING_COST + made;
        let done = done.min(all);
        self.percent = (done * 100).checked_div(all).map_or(0, |percent| percent as u32);
        let elapsed = u128::from(self.elapsed_ms);
        // Of less than a hundredth nobody can tell a pace.
        let eta_ms = (elapsed * (all - done)).checked_div(done);
        self.eta_ms = eta_ms.filter(|_| self.percent > 0).map(|ms| ms as u64);
    }
}

impl fmt::Display for Standing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Standing { percent, partitions_done, partitions_total, .. } = self;
        match self.is_loading {
            true => {
                write!(f, "{percent} % done, {partitions_done} of {partitions_total} partitions")?
            }
            false => write!(f, "{percent} % done, still {}", self.stage())?,
        }
        match self.eta_ms {
            Some(ms) => write!(f, ", about {} s to go", ms.div_ceil(1_000)),
            None => Ok(()),
        }
    }
}

/// How many bytes the files of a folder and of those in it have.
fn bytes_in(folder: &Path) -> u64 {
    let Ok(entries) = std::fs::read_dir(folder) else { return 0 };
    let bytes = |entry: std::fs::DirEntry| match entry.metadata() {
        Ok(found) if found.is_dir() => bytes_in(&entry.path()),
        Ok(found) => found.len(),
        Err(_) => 0,
    };
    entries.flatten().map(bytes).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(bytes_total: u64) -> Progress {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::create_dir(folder.path().join("log")).expect("made");
        std::fs::write(folder.path().join("log/1"), vec![0; bytes_total as usize])
            .expect("written");
        Arc::into_inner(Progress::begin(Some(folder.path()))).expect("its only owner")
    }

    #[test]
    fn bytes_are_verified_and_then_partitions_loaded() {
        let progress = of(1_000);
        assert_eq!((progress.standing().percent, progress.standing().eta_ms), (0, None));
        progress.bytes_read().fetch_add(9, Ordering::Relaxed);
        assert_eq!(progress.standing().eta_ms, None, "too little to tell a pace");
        progress.bytes_read().fetch_add(471, Ordering::Relaxed);
        let standing = progress.standing();
        assert_eq!((standing.stage(), standing.bytes_verified), ("verifying", 480));
        assert!(standing.to_string().starts_with("5 % done, still verifying"), "{standing}");
        assert_eq!(standing.percent, 5);
        // Some may be looked at twice.
        progress.bytes_read().fetch_add(900, Ordering::Relaxed);
        assert_eq!(progress.standing().bytes_verified, 1_000);
        progress.verified(4);
        let standing = progress.standing();
        assert_eq!((standing.stage(), standing.partitions_total), ("loading", 4));
        assert_eq!(standing.percent, 11);
        progress.bytes_read().fetch_add(800, Ordering::Relaxed);
        assert_eq!(progress.standing().percent, 46);
        progress.one_is_done();
        assert_eq!(progress.standing().percent, 57);
        (0..3).for_each(|_| progress.one_is_done());
        let standing = progress.standing();
        assert_eq!((standing.percent, standing.eta_ms), (100, Some(0)), "the rest was not needed");
    }

    #[test]
    fn the_rest_takes_as_long_as_the_pace_so_far_says() {
        let mut standing = of(1_000).standing();
        (standing.bytes_verified, standing.is_loading) = (1_000, true);
        (standing.bytes_read_again, standing.elapsed_ms) = (1_000, 800);
        (standing.partitions_done, standing.partitions_total) = (1, 4);
        standing.estimate();
        assert_eq!((standing.percent, standing.eta_ms), (66, Some(400)));
        assert_eq!(standing.to_string(), "66 % done, 1 of 4 partitions, about 1 s to go");
    }

    #[test]
    fn an_empty_folder_is_done_at_once() {
        let progress = of(0);
        progress.verified(0);
        assert_eq!((progress.standing().percent, progress.standing().eta_ms), (0, None));
    }
}
