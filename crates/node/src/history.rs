//! [`History`]: a node's key figures of the last day, one point each ten seconds, so that whoever looks sees a line and not
//! a dot. A node with a data folder has it again after a restart.
//!
//! | module | what it holds |
//! |---|---|
//! | `ring` | the points, and how they are thinned out and written |
//! | `balance` | how evenly partitions are used |
//! | `sampler` | takes a point now and then |

mod balance;
mod ring;
mod sampler;

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use isogrid_core::{PartitionId, Timestamp};
use parking_lot::Mutex;
use tracing::warn;

pub(crate) use balance::{Balance, Load};
pub(crate) use ring::{NAMES, Point};
pub(crate) use sampler::run;

use ring::Ring;

/// For how long the last point says how it is now.
const FRESH_SECONDS: u64 = 30;

/// Which figure of a point is the duration of all but the slowest operations.
const P99: usize = 2;

/// The file in the data folder.
const FILE: &str = "history";

/// A node's key figures of the last day.
pub(crate) struct History {
    /// Held for a push or a copy.
    ring: Mutex<Ring>,
    balance: Mutex<Balance>,
    /// Operations per second of each partition that the node leads, as last looked at.
    rates: Mutex<Vec<(PartitionId, u64)>>,
    file: Option<PathBuf>,
}

impl History {
    /// What the folder has of it. What cannot be read is begun anew: nobody's data depend on it.
    pub(crate) fn open(folder: Option<&Path>) -> Self {
        let file = folder.map(|folder| folder.join(FILE));
        let ring = file.as_deref().and_then(read).unwrap_or_default();
        let (balance, rates) = (Mutex::default(), Mutex::default());
        History { ring: Mutex::new(ring), balance, rates, file }
    }

    /// How evenly partitions are used, as it was last looked at.
    pub(crate) fn balance(&self) -> Balance {
        *self.balance.lock()
    }

    /// Operations per second of each partition that the node leads, between the last two looks.
    pub(crate) fn rates(&self) -> Vec<(PartitionId, u64)> {
        self.rates.lock().clone()
    }

    /// The points since a moment, in seconds since the epoch: no more than so many, each the mean of those that it stands for.
    pub(crate) fn since(&self, at_s: u64, points_max: usize) -> Vec<Point> {
        self.ring.lock().since(at_s, points_max)
    }

    /// In what time 99 of 100 operations were answered at the last look, if that was not long ago; nought if there were none.
    pub(crate) fn p99_seconds(&self, now: Timestamp) -> f64 {
        let ring = self.ring.lock();
        let is_new = |point: &&Point| now.0 / 1_000 <= point.at_s + FRESH_SECONDS;
        ring.newest().filter(is_new).map_or(0.0, |point| f64::from(point.figures[P99]))
    }

    /// Writes it to the data folder, if there is one.
    pub(crate) fn save(&self) {
        let Some(file) = &self.file else { return };
        let bytes = self.ring.lock().encode();
        if let Err(error) = write(file, &bytes) {
            warn!(file = %file.display(), %error, "the history cannot be written");
        }
    }
}

fn read(file: &Path) -> Option<Ring> {
    let bytes = fs::read(file).ok()?;
    let ring = Ring::decode(&bytes);
    if ring.is_none() {
        warn!(file = %file.display(), "the history cannot be read and begins anew");
    }
    ring
}

/// Beside the old one first, so that there is always one whole.
fn write(file: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let fresh = file.with_extension("new");
    fs::File::create(&fresh)?.write_all(bytes)?;
    fs::rename(fresh, file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_point_says_how_it_is_as_long_as_it_is_new() {
        assert_eq!(NAMES[P99], "p99_seconds");
        let history = History::open(None);
        assert!(history.p99_seconds(Timestamp(5_000)).abs() < 1e-9, "there is none");
        let mut figures = [0.0; NAMES.len()];
        figures[P99] = 0.25;
        history.ring.lock().push(Point { at_s: 1_000, figures });
        for (now_ms, p99) in [(1_000_000, 0.25), (1_030_000, 0.25), (1_031_000, 0.0)] {
            assert!((history.p99_seconds(Timestamp(now_ms)) - p99).abs() < 1e-9, "{now_ms}");
        }
    }

    #[test]
    fn it_is_there_again_after_a_restart() {
        let folder = tempfile::tempdir().expect("a folder");
        let history = History::open(Some(folder.path()));
        history.ring.lock().push(Point { at_s: 1_000, figures: [1.5; NAMES.len()] });
        history.save();
        let again = History::open(Some(folder.path()));
        assert_eq!(again.since(0, 10), history.since(0, 10));
        assert_eq!(again.since(0, 10).len(), 1);
    }

    #[test]
    fn a_damaged_file_is_no_reason_not_to_start() {
        let folder = tempfile::tempdir().expect("a folder");
        fs::write(folder.path().join(FILE), b"something else").expect("written");
        let history = History::open(Some(folder.path()));
        assert!(history.since(0, 10).is_empty());
        history.save();
    }

    #[test]
    fn without_a_folder_nothing_is_written() {
        History::open(None).save();
    }
}
