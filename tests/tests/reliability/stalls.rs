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

/// Watches the machine until it is dropped.
pub(crate) struct Stalls {
    stopping: Arc<AtomicBool>,
    late: Arc<Mutex<Vec<Duration>>>,
    watcher: Option<JoinHandle<()>>,
}

impl Stalls {
    /// Watches, with a file in this folder.
    pub(crate) fn watch(folder: &Path) -> Stalls {
        let stopping = Arc::new(AtomicBool::new(false));
        let late = Arc::new(Mutex::new(Vec::new()));
        let (is_over, noted) = (Arc::clone(&stopping), Arc::clone(&late));
        let mut file = File::create(folder.join("stalls")).expect("a file");
        let watcher = std::thread::spawn(move || {
            while !is_over.load(Ordering::Relaxed) {
                let begun = Instant::now();
                std::thread::sleep(PAUSE);
                file.write_all(&[0; BYTES]).expect("room for a little");
                noted.lock().push(begun.elapsed().saturating_sub(PAUSE));
            }
        });
        Stalls { stopping, late, watcher: Some(watcher) }
    }

    /// What one request in a hundred may have waited for the machine alone since this was asked last.
    pub(crate) fn p99(&self) -> Duration {
        let mut late = std::mem::take(&mut *self.late.lock());
        late.sort_unstable();
        late.get(late.len() * 99 / 100).copied().unwrap_or_default() * WAITS
    }
}

impl Drop for Stalls {
    fn drop(&mut self) {
        self.stopping.store(true, Ordering::Relaxed);
        let _ = self.watcher.take().map(JoinHandle::join);
    }
}
