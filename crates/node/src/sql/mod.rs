//! Statements of SQL, whichever door they come through: on threads of their own, so many at once, over the maps of the cluster.

mod asking;
mod door;
mod peers;
pub(crate) mod sending;
mod source;
mod threads;
mod timed;
mod write;

use std::sync::Arc;
use std::time::Duration;

use isogrid_core::{Error, ErrorCode, Limits, Result};
use isogrid_query::{QueryLimits, Sql};
use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tonic::service::Routes;

use self::door::Door;
use self::peers::GridPeers;
use crate::node::Shared;
use source::GridSource;
use threads::Threads;
pub(crate) use timed::Timed;

/// What runs statements.
pub(crate) struct Statements {
    pub(crate) sql: Sql,
    threads: Threads,
    free: Arc<Semaphore>,
    /// How many run at once; others are refused.
    statements_max: usize,
    shared: Arc<Shared>,
}

impl Statements {
    /// What runs the statements of a node with these cores.
    pub(crate) fn start(shared: &Arc<Shared>, cores: Vec<Handle>) -> Arc<Self> {
        let source = Arc::new(GridSource::new(Arc::clone(shared), cores));
        let limits = shared.engine.limits();
        let statements_max = limits.sql_statements_max;
        let sql = Sql::new(source, Arc::clone(&shared.queries), of_statement(limits))
            .spread_over(Arc::new(GridPeers::new(Arc::clone(shared))));
        let free = Arc::new(Semaphore::new(statements_max));
        let (threads, shared) = (Threads::start(shared.cores), Arc::clone(shared));
        Arc::new(Statements { sql, threads, free, statements_max, shared })
    }

    /// Lets one more statement run until what this gives is dropped.
    ///
    /// # Errors
    /// The node has no cluster yet, or too many statements run.
    pub(crate) fn admit(&self) -> Result<OwnedSemaphorePermit> {
        if self.shared.engine.partitions().is_none() {
            let detail = "the node has not joined its cluster yet";
            return Err(Error::new(ErrorCode::StillJoining, detail));
        }
        Arc::clone(&self.free).try_acquire_owned().map_err(|_| {
            let detail = format!("{} statements run", self.statements_max);
            Error::new(ErrorCode::TooManyQueries, detail)
        })
    }

    /// Adds the door for parts of statements of other nodes.
    pub(crate) fn add_door(&self, services: Routes) -> Routes {
        match self.sql.worker().zip(self.threads.handle()) {
            None => services,
            Some((worker, threads)) => {
                let peers = Arc::clone(&self.shared.peers);
                services.add_service(Door::new(worker.into_worker_server(), threads, peers))
            }
        }
    }

    /// Does something on the threads of statements.
    ///
    /// # Errors
    /// There are none.
    pub(crate) fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) -> Result<()> {
        self.threads.spawn(work)
    }
}

/// What one statement may use.
fn of_statement(limits: &Limits) -> QueryLimits {
    let limit = |most: u64| (most > 0).then_some(most);
    QueryLimits {
        memory_bytes: limits.sql_memory_bytes_max,
        timeout: Duration::from_millis(limits.sql_time_ms_max),
        rows_max: limit(limits.sql_rows_max),
        scanned_max: limit(limits.sql_scanned_entries_max),
        require_pruned: false,
    }
}
