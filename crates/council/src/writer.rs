//! The one thread that writes a voter's file. Everything that waits is written with one sync, in the order of asking, and
//! nobody who reads, votes or replicates waits for the disk unless they must.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread;
use std::time::Instant;

use openraft::storage::IOFlushed;
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

use crate::record::Place;
use crate::settings::{COMMITTED_FLUSH, WRITES_QUEUED_MAX};
use crate::store::{Kept, Store, Write};
use crate::types::Types;
use isogrid_core::Histogram;

/// Writes that are made durable with one sync, at most.
const WRITES_AT_ONCE_MAX: usize = 256;

/// What is to be done.
enum Job {
    /// Write, then say so.
    Write(Write, Done),
    /// The snapshot, after all writes that were asked for before.
    ReadSnapshot(oneshot::Sender<io::Result<Option<Kept>>>),
    /// Everything is written and the file closed.
    Stop(oneshot::Sender<()>),
}

/// Who is told that a write is durable.
enum Done {
    Nobody,
    Raft(IOFlushed<Types>),
    Caller(oneshot::Sender<io::Result<()>>),
}

/// The door to the thread.
#[derive(Clone, Debug)]
pub(crate) struct Writer {
    jobs: mpsc::Sender<Job>,
    syncs: Arc<Histogram>,
}

impl Writer {
    /// Starts the thread.
    pub(super) fn start(store: Store) -> io::Result<Writer> {
        let (jobs, queue) = mpsc::channel(WRITES_QUEUED_MAX);
        let syncs: Arc<Histogram> = Arc::default();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
        let thread = Thread { store, failed: None, syncs: Arc::clone(&syncs) };
        thread::Builder::new()
            .name("council-log".to_owned())
            .spawn(move || runtime.block_on(thread.run(queue)))?;
        Ok(Writer { jobs, syncs })
    }

    /// Writes and tells openraft when it is durable. Waits for nothing but room in the queue.
    pub(super) async fn append(&self, write: Write, flushed: IOFlushed<Types>) -> io::Result<()> {
        self.send(Job::Write(write, Done::Raft(flushed))).await
    }

    /// Writes some time after everything that was asked for before.
    pub(super) async fn queue(&self, write: Write) -> io::Result<()> {
        self.send(Job::Write(write, Done::Nobody)).await
    }

    /// Writes and returns when it is durable.
    pub(super) async fn write(&self, write: Write) -> io::Result<()> {
        let (done, durable) = oneshot::channel();
        self.send(Job::Write(write, Done::Caller(done))).await?;
        durable.await.map_err(|_| ended())?
    }

    /// The last snapshot.
    pub(super) async fn snapshot(&self) -> io::Result<Option<Kept>> {
        let (done, read) = oneshot::channel();
        self.send(Job::ReadSnapshot(done)).await?;
        read.await.map_err(|_| ended())?
    }

    /// Writes what is queued and closes the file.
    pub(super) async fn stop(&self) {
        let (done, stopped) = oneshot::channel();
        if self.send(Job::Stop(done)).await.is_ok() {
            // An error says that the thread has ended, which is what was asked for.
            let _ = stopped.await;
        }
    }

    /// How long syncs of the file took.
    pub(super) fn syncs(&self) -> &Histogram {
        &self.syncs
    }

    async fn send(&self, job: Job) -> io::Result<()> {
        self.jobs.send(job).await.map_err(|_| ended())
    }
}

struct Thread {
    store: Store,
    /// Why nothing can be written any more: what follows a failed write would leave a hole.
    failed: Option<String>,
    syncs: Arc<Histogram>,
}

impl Thread {
    async fn run(mut self, mut queue: mpsc::Receiver<Job>) {
        // How far is committed matters less than anything else: it waits for company.
        let mut committed: Option<Option<Place>> = None;
        loop {
            let first = match committed {
                None => queue.recv().await,
                Some(place) => match timeout(COMMITTED_FLUSH, queue.recv()).await {
                    Ok(job) => job,
                    Err(_) => {
                        self.commit(vec![Write::Committed(place)], Vec::new());
                        committed = None;
                        continue;
                    }
                },
            };
            let Some(first) = first else { break };
            let (mut writes, mut waiting) = (Vec::new(), Vec::new());
            let mut next = Some(first);
            let mut last = None;
            while let Some(job) = next.take() {
                match job {
                    Job::Write(Write::Committed(place), _) => committed = Some(place),
                    Job::Write(write, done) => {
                        writes.push(write);
                        waiting.push(done);
                    }
                    job => {
                        last = Some(job);
                        break;
                    }
                }
                if writes.len() < WRITES_AT_ONCE_MAX {
                    next = queue.try_recv().ok();
                }
            }
            if !writes.is_empty() || last.is_some() {
                writes.extend(committed.take().map(Write::Committed));
                self.commit(writes, waiting);
            }
            match last {
                Some(Job::ReadSnapshot(done)) => {
                    // The asker may have gone.
                    let _ = done.send(self.guarded(Store::snapshot));
                }
                Some(Job::Stop(done)) => {
                    drop(queue);
                    drop(self.store);
                    let _ = done.send(());
                    return;
                }
                Some(Job::Write(..)) | None => {}
            }
        }
        self.commit(committed.map(Write::Committed).into_iter().collect(), Vec::new());
    }

    /// Makes writes durable, then tells everybody who waits.
    fn commit(&mut self, writes: Vec<Write>, waiting: Vec<Done>) {
        if writes.is_empty() {
            return;
        }
        let began = Instant::now();
        let result = match &self.failed {
            Some(why) => Err(io::Error::other(why.clone())),
            None => self.guarded(|store| store.commit(&writes)),
        };
        self.syncs.record(began.elapsed());
        let result = result.map_err(|error| error.to_string());
        if let Err(error) = &result
            && self.failed.is_none()
        {
            tracing::error!(%error, "the council's log cannot be written");
            self.failed = Some(error.clone());
        }
        for done in waiting {
            let result = result.clone().map_err(io::Error::other);
            match done {
                Done::Nobody => {}
                Done::Raft(flushed) => flushed.io_completed(result),
                Done::Caller(caller) => {
                    let _ = caller.send(result);
                }
            }
        }
    }

    /// A panic in the storage engine is an error like any other: the raft must hear of it.
    fn guarded<T>(&self, work: impl FnOnce(&Store) -> io::Result<T>) -> io::Result<T> {
        catch_unwind(AssertUnwindSafe(|| work(&self.store)))
            .unwrap_or_else(|_| Err(io::Error::other("the storage engine panicked")))
    }
}

fn ended() -> io::Error {
    io::Error::other("the council's log is closed")
}
