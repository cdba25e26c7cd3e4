//! [`Syncer`]: a thread that syncs the log, and makes its next segment before it is needed. Whoever comes while a sync is under
//! way waits for the next one, so that one sync serves as many as come meanwhile.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use isogrid_core::{LogPosition, PartitionId, Result};
use isogrid_wal::WalError;
use parking_lot::{Condvar, Mutex};
use tracing::warn;

use super::Storage;
use crate::engine::Engine;

/// When a sync that could not be begun is tried again.
const AGAIN: Duration = Duration::from_millis(100);

/// Who waits for a sync.
#[derive(Default)]
pub(super) struct Queue {
    state: Mutex<Waiting>,
    news: Condvar,
}

#[derive(Default)]
struct Waiting {
    /// The last of each partition: it answers for those before it.
    requests: BTreeMap<PartitionId, LogPosition>,
    is_next_due: bool,
    is_over: bool,
}

impl Storage {
    /// Entries that are written are to be synced too; their partition hears of it.
    pub(crate) fn sync_later(&self, partition: PartitionId, position: LogPosition) {
        self.syncs.state.lock().requests.insert(partition, position);
        self.syncs.news.notify_one();
    }

    /// The log's next segment is to be made.
    pub(super) fn make_next_later(&self) {
        self.syncs.state.lock().is_next_due = true;
        self.syncs.news.notify_one();
    }

    /// Makes the log's next segment while the log goes on.
    fn make_next(&self) {
        let job = self.log.lock().begin_next();
        if let Some(job) = job {
            let done = job.run();
            self.log.lock().finish_next(done);
        }
    }

    /// Syncs what nobody waits for.
    pub(super) fn sync_in_passing(&self) {
        if let Err(error) = self.sync() {
            self.look_whether_over(&error);
            warn!(%error, "the log could not be synced");
        }
    }

    /// Syncs the log while it goes on.
    pub(super) fn sync(&self) -> Result<(), WalError> {
        let job = self.log.lock().begin_sync()?;
        let Some(job) = job else { return Ok(()) };
        let begun = Instant::now();
        let done = job.run();
        self.counts.syncs.record(begun.elapsed());
        let synced = self.log.lock().finish_sync(done);
        if synced.is_err() {
            self.counts.failed();
        }
        synced.map(|_| ())
    }
}

/// The thread that syncs.
pub(crate) struct Syncer {
    storage: Arc<Storage>,
    thread: Option<JoinHandle<()>>,
}

impl Syncer {
    /// Starts the thread.
    pub(crate) fn start(storage: Arc<Storage>, engine: Arc<Engine>) -> Result<Self> {
        let of_thread = Arc::clone(&storage);
        let thread = super::keep(&storage, "syncer", move || run(&of_thread, &engine))?;
        Ok(Syncer { storage, thread: Some(thread) })
    }
}

impl Drop for Syncer {
    fn drop(&mut self) {
        self.storage.syncs.state.lock().is_over = true;
        self.storage.syncs.news.notify_one();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn run(storage: &Storage, engine: &Engine) {
    loop {
        let requests = {
            let mut waiting = storage.syncs.state.lock();
            while waiting.requests.is_empty() && !waiting.is_next_due && !waiting.is_over {
                storage.syncs.news.wait(&mut waiting);
            }
            if waiting.is_over {
                return;
            }
            if std::mem::take(&mut waiting.is_next_due) {
                drop(waiting);
                storage.make_next();
                continue;
            }
            std::mem::take(&mut waiting.requests)
        };
        match storage.sync() {
            Ok(()) => engine.synced(&requests),
            Err(error) => {
                storage.look_whether_over(&error);
                warn!(%error, "the log could not be synced, and some wait for it");
                if matches!(error, WalError::Failed { .. }) {
                    return;
                }
                let mut waiting = storage.syncs.state.lock();
                for (partition, position) in requests {
                    waiting.requests.entry(partition).or_insert(position);
                }
                drop(waiting);
                std::thread::sleep(AGAIN);
            }
        }
    }
}
