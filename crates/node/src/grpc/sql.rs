//! The SQL door: statements are answered on threads of their own, which give way to those that serve operations.

mod definition;
mod door;
mod peers;
mod source;

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures::{FutureExt, StreamExt};
use isogrid_core::{Error, ErrorCode, Result};
use isogrid_proto::pb;
use isogrid_proto::pb::sql_server::{Sql as SqlDoor, SqlServer};
use isogrid_proto::pb::sql_value::Value;
use isogrid_proto::status::error_to_status;
use isogrid_query::{Parameter, QueryLimits, Sql};
use tokio::runtime::{Handle, Runtime};
use tokio::sync::{Semaphore, mpsc};
use tokio_stream::wrappers::ReceiverStream;
use tonic::service::Routes;
use tonic::{Request, Response, Status};

use self::door::Door;
use super::admitted;
use crate::node::Shared;
use peers::GridPeers;
use source::GridSource;

/// How many statements run at once; others are refused.
const STATEMENTS_MAX: usize = 16;

/// How many pieces of an answer wait for their client.
const PIECES_WAITING: usize = 2;

/// For how long a piece waits for a client that does not read: statements that wait keep others out.
const TAKEN_MAX: Duration = Duration::from_secs(30);

/// By how much the threads give way: in the system's own measure.
const NICE: i32 = 10;

/// A piece of an answer on its way out.
type Piece = Result<pb::SqlReply, Status>;

/// The service.
pub(crate) struct SqlService {
    sql: Sql,
    threads: Threads,
    free: Arc<Semaphore>,
    shared: Arc<Shared>,
}

impl SqlService {
    /// Adds the services of a node: statements, and parts of those of other nodes.
    pub(crate) fn add_to(routes: Routes, shared: &Arc<Shared>) -> Routes {
        let source = Arc::new(GridSource::new(Arc::clone(shared)));
        let sql = Sql::new(source, Arc::clone(&shared.queries), QueryLimits::default())
            .spread_over(Arc::new(GridPeers::new(Arc::clone(shared))));
        let free = Arc::new(Semaphore::new(STATEMENTS_MAX));
        let (threads, shared) = (Threads::start(shared.cores), Arc::clone(shared));
        let worker = sql.worker().zip(threads.handle());
        let service = SqlService { sql, threads, free, shared };
        let peers = Arc::clone(&service.shared.peers);
        let routes = routes.add_service(SqlServer::new(service));
        match worker {
            None => routes,
            Some((worker, threads)) => {
                routes.add_service(Door::new(worker.into_worker_server(), threads, peers))
            }
        }
    }
}

#[tonic::async_trait]
impl SqlDoor for SqlService {
    type RunStream = ReceiverStream<Piece>;

    async fn run(
        &self,
        request: Request<pb::SqlRequest>,
    ) -> Result<Response<Self::RunStream>, Status> {
        admitted(&request)?;
        if self.shared.engine.partitions().is_none() {
            let detail = "the node has not joined its cluster yet";
            return Err(error_to_status(&Error::new(ErrorCode::StillJoining, detail)));
        }
        let Ok(permit) = Arc::clone(&self.free).try_acquire_owned() else {
            let detail = format!("{STATEMENTS_MAX} statements run");
            return Err(error_to_status(&Error::new(ErrorCode::TooManyQueries, detail)));
        };
        let pb::SqlRequest { statement, parameters } = request.into_inner();
        let values: Vec<Parameter> = parameters.into_iter().map(parameter).collect();
        let (sender, receiver) = mpsc::channel(PIECES_WAITING);
        let sql = self.sql.clone();
        self.threads.spawn(async move {
            let _permit = permit;
            let answered = AssertUnwindSafe(answer(&sql, &statement, values, &sender));
            tokio::select! {
                answered = answered.catch_unwind() => {
                    if answered.is_err() {
                        let broken = Error::new(ErrorCode::Internal, "a statement panicked");
                        let _ = sender.send_timeout(Err(error_to_status(&broken)), TAKEN_MAX).await;
                    }
                }
                () = sender.closed() => {}
            }
        })?;
        Ok(Response::new(ReceiverStream::new(receiver)))
    }
}

/// Answers a statement, piece by piece.
async fn answer(sql: &Sql, statement: &str, values: Vec<Parameter>, sender: &mpsc::Sender<Piece>) {
    let pieces = sql.run(statement, values).await.and_then(isogrid_query::Answer::into_ipc);
    let mut pieces = match pieces {
        Ok(pieces) => std::pin::pin!(pieces),
        Err(error) => {
            let _ = sender.send_timeout(Err(error_to_status(&error)), TAKEN_MAX).await;
            return;
        }
    };
    while let Some(piece) = pieces.next().await {
        let piece = piece.map(|(arrow, is_last)| pb::SqlReply { arrow, is_last });
        let piece = piece.map_err(|error| error_to_status(&error));
        // Without its last piece the client knows that the answer is not whole.
        if sender.send_timeout(piece, TAKEN_MAX).await.is_err() {
            return;
        }
    }
}

fn parameter(value: pb::SqlValue) -> Parameter {
    match value.value {
        None => Parameter::Null,
        Some(Value::Boolean(value)) => Parameter::Boolean(value),
        Some(Value::Bigint(value)) => Parameter::BigInt(value),
        Some(Value::Double(value)) => Parameter::Double(value),
        Some(Value::Text(value)) => Parameter::Text(value),
        Some(Value::Bytes(value)) => Parameter::Bytes(value),
    }
}

/// The threads on which statements are answered.
struct Threads(Option<Runtime>);

impl Threads {
    fn start(count: usize) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(count)
            .thread_name("query")
            .thread_stack_size(isogrid_query::STACK_BYTES)
            .enable_all()
            .on_thread_start(|| {
                // Where the system does not let it they are as important as others.
                let _ = rustix::process::nice(NICE);
            })
            .build();
        if let Err(error) = &runtime {
            tracing::error!(%error, "there are no threads for SQL: statements are refused");
        }
        Threads(runtime.ok())
    }

    fn handle(&self) -> Option<Handle> {
        self.0.as_ref().map(|runtime| runtime.handle().clone())
    }

    fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) -> Result<(), Status> {
        match &self.0 {
            Some(runtime) => {
                runtime.spawn(work);
                Ok(())
            }
            None => Err(Status::unavailable("this node could not start threads for SQL")),
        }
    }
}

impl Drop for Threads {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}
