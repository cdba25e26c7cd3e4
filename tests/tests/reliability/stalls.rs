//! [`Stalls`]: how long the machine makes anybody wait, so that what other programs do to it is not blamed on the grid.

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

/// How long the watcher sleeps before it writes a little.
const PAUSE: Duration = Duration::from_millis(5);

/// About what a batch of writes leaves in a log.
const BYTES: usize = 4 << 10;

/// How often a request with a backup waits for a processor or a disk: at its client twice, at the primary twice, at the backup.
const WAITS: u32 = 5;

/// How long the other watcher sleeps before it syncs a little.
const SYNC_PAUSE: Duration = Duration::from_millis(50);

/// How often the handover of a partition waits for a sync: at the leader of the council, and at the voter that makes a majority.
const SYNCS: u32 = 2;

/// Watches the machine until it is dropped.
pub(crate) struct Stalls {
    stopping: Arc<AtomicBool>,
    late: Arc<Mutex<Vec<Duration>>>,
    synced: Arc<Mutex<Vec<Duration>>>,
    watchers: Vec<JoinHandle<()>>,
}

impl Stalls {
    /// Watches, with files in this folder.
    pub(crate) fn watch(folder: &Path) -> Stalls {
        let stopping = Arc::new(AtomicBool::new(false));
        let (late, synced) = (Arc::default(), Arc::default());
        let file = |name| File::create(folder.join(name)).expect("a file");
        let watchers = vec![
            watch(&stopping, &late, PAUSE, file("stalls"), |_| Ok(())),
            watch(&stopping, &synced, SYNC_PAUSE, file("syncs"), File::sync_data),
        ];
        Stalls { stopping, late, synced, watchers }
    }

    /// What one request in a hundred may have waited for the machine alone since this was asked last.
    pub(crate) fn p99(&self) -> Duration {
        p99(&self.late) * WAITS
    }

    /// What a handover may have waited for syncs of the disk since this was asked last: the slowest of them.
    pub(crate) fn syncs(&self) -> Duration {
        std::mem::take(&mut *self.synced.lock()).into_iter().max().unwrap_or_default() * SYNCS
    }
}

impl Drop for Stalls {
    fn drop(&mut self) {
        self.stopping.store(true, Ordering::Relaxed);
        for watcher in self.watchers.drain(..) {
            let _ = watcher.join();
        }
    }
}

/// Writes a little again and again, and notes how long it takes.
fn watch(
    stopping: &Arc<AtomicBool>,
    taken: &Arc<Mutex<Vec<Duration>>>,
    pause: Duration,
    mut file: File,
    sync: fn(&File) -> std::io::Result<()>,
) -> JoinHandle<()> {
    let (is_over, taken) = (Arc::clone(stopping), Arc::clone(taken));
    std::thread::spawn(move || {
        while !is_over.load(Ordering::Relaxed) {
            let begun = Instant::now();
            std::thread::sleep(pause);
            file.write_all(&[0; BYTES]).expect("room for a little");
            sync(&file).expect("a disk that syncs");
            taken.lock().push(begun.elapsed().saturating_sub(pause));
        }
    })
}

fn p99(taken: &Mutex<Vec<Duration>>) -> Duration {
    let mut taken = std::mem::take(&mut *taken.lock());
    taken.sort_unstable();
    taken.get(taken.len() * 99 / 100).copied().unwrap_or_default()
}
