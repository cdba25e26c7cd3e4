//! The data door: sessions, typed batches, unary calls and scans. A unary call is a batch of one.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use futures::Stream;
use isogrid_core::{
    Error, ErrorCode, Op, Outcome, PartitionId, Receipt, Reply, Result, Scan, View,
};
use isogrid_proto::operation::page_to_pb;
use isogrid_proto::pb::{self, grid_server::Grid, operation::Operation, operation_reply};
use isogrid_proto::status::{error_from_pb, error_to_status};
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status, Streaming};

use super::batch::{Destination, Typed};
use super::session::Session;
use super::{admitted, aggregate, batch, topology, watch};
use crate::clients::Did;
use crate::engine::{Deadline, Engine};
use crate::node::Shared;

pub(super) struct DataService {
    shared: Arc<Shared>,
    core: usize,
    stopping: CancellationToken,
}

/// How many sessions one call can open.
const SESSIONS_PER_CALL_MAX: u32 = 64;

/// How long a session lives without a sign of life, as clients are told.
const SESSION_KEEP_ALIVE_MS: u32 = 60_000;

type Answer = Result<Response<pb::OperationReply>, Status>;

impl DataService {
    pub(super) fn new(shared: Arc<Shared>, core: usize, stopping: CancellationToken) -> Self {
        Self { shared, core, stopping }
    }

    /// Executes one typed operation; its failure becomes the call's status.
    async fn one<T>(
        &self,
        request: Request<T>,
        did: Did,
        operation: impl FnOnce(T) -> Operation,
    ) -> Answer {
        let _call = admitted(&request, did)?.client.begins(did);
        let (deadline, parent) = (deadline(&request), batch::parent_of(&request));
        let to = Destination::new(&self.shared.relay, self.core, deadline).within(&parent);
        let operation = pb::Operation { operation: Some(operation(request.into_inner())) };
        let replies = batch::execute(to, &[operation]).await;
        let reply = replies.map_err(|error| error_to_status(&error))?.pop().unwrap_or_default();
        match &reply.reply {
            Some(operation_reply::Reply::Error(error)) => {
                Err(error_to_status(&error_from_pb(error)))
            }
            _ => Ok(Response::new(reply)),
        }
    }

    /// Executes an operation on one partition or on all, and adds up what each counted.
    async fn count<T>(
        &self,
        request: Request<T>,
        which: impl Fn(&T) -> (String, Option<u32>),
        op: fn(PartitionId) -> Op<'static>,
    ) -> Answer {
        let did = Did::of(&op(PartitionId(0)));
        let _call = admitted(&request, did)?.client.begins(did);
        let (map, partition) = which(request.get_ref());
        let total = self
            .count_partitions(&map, partition, op, deadline(&request))
            .await
            .map_err(|error| error_to_status(&error))?;
        let reply = Some(operation_reply::Reply::Count(total));
        Ok(Response::new(pb::OperationReply { reply, ..pb::OperationReply::default() }))
    }

    async fn count_partitions(
        &self,
        map: &str,
        partition: Option<u32>,
        op: fn(PartitionId) -> Op<'static>,
        deadline: Deadline,
    ) -> Result<u64> {
        isogrid_core::limits::check_map_name(map)?;
        let relay = &self.shared.relay;
        let partitions = partitions(&relay.engine, partition)?;
        let ops: Vec<Typed<'_>> =
            partitions.into_iter().map(|partition| Typed::plain(map, op(partition))).collect();
        let changes = ops.iter().any(|typed| !typed.op.is_read());
        let counted = |reply: &Reply<'_>, _: Option<&Receipt>| match reply {
            Reply::Count(count) => Ok(*count),
            Reply::Failed(error) => Err(error.clone()),
            _ => Ok(0),
        };
        let to = Destination::new(relay, self.core, deadline);
        let mut total = 0;
        let mut failure: Option<Error> = None;
        for answer in batch::run(to, &ops, counted).await? {
            match answer {
                Ok(count) => total += count,
                Err(error) => failure = Some(error),
            }
        }
        match failure {
            None => Ok(total),
            // Some partitions were cleared before: the whole is neither done nor undone.
            Some(error) if changes && total > 0 => Err(error.with_outcome(Outcome::Unknown)),
            Some(error) => Err(error),
        }
    }
}

/// The partitions that a request names: one, or all.
fn partitions(engine: &Engine, partition: Option<u32>) -> Result<Vec<PartitionId>> {
    let all = engine.partitions().ok_or_else(|| {
        Error::new(ErrorCode::NotReady, "the node has not joined its cluster yet")
    })?;
    match partition {
        None => Ok(all.iter().collect()),
        Some(one) if one < u32::from(all.get()) => Ok(vec![PartitionId(one as u16)]),
        Some(one) => {
            let detail = format!("partition {one} of {}", all.get());
            Err(Error::new(ErrorCode::PartitionInvalid, detail))
        }
    }
}

/// Until when the caller waits, from the `grpc-timeout` header.
fn deadline<T>(request: &Request<T>) -> Deadline {
    let timeout = request.metadata().get("grpc-timeout").and_then(|value| value.to_str().ok());
    match timeout.and_then(parse_timeout) {
        Some(timeout) => {
            Deadline::after_ms(u32::try_from(timeout.as_millis()).unwrap_or(u32::MAX).max(1))
        }
        None => Deadline::none(),
    }
}

/// Reads a gRPC timeout: up to eight digits and a unit.
fn parse_timeout(text: &str) -> Option<Duration> {
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    if digits.len() > 8 {
        return None;
    }
    let number: u64 = digits.parse().ok()?;
    Some(match unit {
        "H" => Duration::from_secs(number * 3_600),
        "M" => Duration::from_secs(number * 60),
        "S" => Duration::from_secs(number),
        "m" => Duration::from_millis(number),
        "u" => Duration::from_micros(number),
        "n" => Duration::from_nanos(number),
        _ => return None,
    })
}

#[tonic::async_trait]
impl Grid for DataService {
    type SessionStream = Session;
    type ScanStream = Pin<Box<dyn Stream<Item = Result<pb::Page, Status>> + Send>>;

    async fn session(
        &self,
        request: Request<Streaming<pb::SessionRequest>>,
    ) -> Result<Response<Session>, Status> {
        let connection = admitted(&request, Did::Session)?;
        let stopping = self.stopping.clone().cancelled_owned();
        let shared = Arc::clone(&self.shared);
        Ok(Response::new(Session::new(shared, connection, request.into_inner(), stopping)))
    }

    type TopologyStream = topology::Updates;
    type WatchStream = watch::Events;
    type AggregateStream = aggregate::Parts;

    async fn open_session(
        &self,
        request: Request<pb::OpenSessionRequest>,
    ) -> Result<Response<pb::OpenSessionReply>, Status> {
        let connection = admitted(&request, Did::Session)?;
        connection.client.is_called(&request.get_ref().client_name);
        let count = request.get_ref().count.clamp(1, SESSIONS_PER_CALL_MAX);
        let opened = self.shared.control.open_sessions(count).await;
        let first = opened.map_err(|error| error_to_status(&error))?;
        Ok(Response::new(pb::OpenSessionReply {
            first_session: first.0,
            count,
            keep_alive_ms: SESSION_KEEP_ALIVE_MS,
        }))
    }

    async fn topology(
        &self,
        request: Request<pb::TopologyRequest>,
    ) -> Result<Response<Self::TopologyStream>, Status> {
        admitted(&request, Did::Topology)?;
        let asked = request.get_ref();
        let known =
            self.shared.views.borrow().cluster.as_ref().map(|cluster| topology::id(cluster.id));
        if !asked.cluster_id.is_empty() && known.is_some_and(|known| known != asked.cluster_id) {
            return Err(error_to_status(&Error::new(ErrorCode::WrongCluster, "")));
        }
        // Who knows nothing yet is better off with what may be old than with nothing.
        if asked.since_table > 0 && self.shared.control.is_cut_off() {
            return Err(error_to_status(&Error::new(ErrorCode::CutOff, "")));
        }
        let stopping = self.stopping.clone();
        Ok(Response::new(topology::follow(&self.shared, self.core, asked, stopping)))
    }

    async fn watch(
        &self,
        request: Request<pb::WatchRequest>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        admitted(&request, Did::Watch)?;
        let events =
            watch::follow(&self.shared, self.core, request.get_ref(), self.stopping.clone()).await;
        events.map(Response::new).map_err(|error| error_to_status(&error))
    }

    async fn batch(
        &self,
        request: Request<pb::BatchRequest>,
    ) -> Result<Response<pb::BatchReply>, Status> {
        let _call = admitted(&request, Did::Batch)?.client.begins(Did::Batch);
        let (deadline, parent) = (deadline(&request), batch::parent_of(&request));
        let to = Destination::new(&self.shared.relay, self.core, deadline).within(&parent);
        let replies = batch::execute(to, &request.get_ref().operations).await;
        let replies = replies.map_err(|error| error_to_status(&error))?;
        Ok(Response::new(pb::BatchReply { replies }))
    }

    async fn get(&self, request: Request<pb::GetRequest>) -> Answer {
        self.one(request, Did::Get, Operation::Get).await
    }

    async fn exists(&self, request: Request<pb::ExistsRequest>) -> Answer {
        self.one(request, Did::Exists, Operation::Exists).await
    }

    async fn touch(&self, request: Request<pb::TouchRequest>) -> Answer {
        self.one(request, Did::Touch, Operation::Touch).await
    }

    async fn put(&self, request: Request<pb::PutRequest>) -> Answer {
        self.one(request, Did::Put, Operation::Put).await
    }

    async fn delete(&self, request: Request<pb::DeleteRequest>) -> Answer {
        self.one(request, Did::Delete, Operation::Delete).await
    }

    async fn compare_and_set(&self, request: Request<pb::CompareAndSetRequest>) -> Answer {
        self.one(request, Did::CompareAndSet, Operation::CompareAndSet).await
    }

    async fn expire(&self, request: Request<pb::ExpireRequest>) -> Answer {
        self.one(request, Did::Expire, Operation::Expire).await
    }

    async fn increment(&self, request: Request<pb::IncrementRequest>) -> Answer {
        self.one(request, Did::Increment, Operation::Increment).await
    }

    async fn increment_float(&self, request: Request<pb::IncrementFloatRequest>) -> Answer {
        self.one(request, Did::IncrementFloat, Operation::IncrementFloat).await
    }

    async fn append(&self, request: Request<pb::AppendRequest>) -> Answer {
        self.one(request, Did::Append, Operation::Append).await
    }

    async fn rename(&self, request: Request<pb::RenameRequest>) -> Answer {
        self.one(request, Did::Rename, Operation::Rename).await
    }

    async fn scan(
        &self,
        request: Request<pb::ScanRequest>,
    ) -> Result<Response<Self::ScanStream>, Status> {
        admitted(&request, Did::Scan)?;
        let deadline = deadline(&request);
        let walk = Walk::new(Arc::clone(&self.shared), self.core, request.into_inner(), deadline)
            .map_err(|error| error_to_status(&error))?;
        let pages = futures::stream::unfold(walk, |mut walk| async move {
            let page = walk.next_page().await?;
            Some((page.map_err(|error| error_to_status(&error)), walk))
        });
        Ok(Response::new(Box::pin(pages)))
    }

    async fn aggregate(
        &self,
        request: Request<pb::AggregateRequest>,
    ) -> Result<Response<Self::AggregateStream>, Status> {
        admitted(&request, Did::Aggregate)?;
        let deadline = deadline(&request);
        let folded = aggregate::fold(&self.shared, self.core, request.into_inner(), deadline);
        folded.map(Response::new).map_err(|error| error_to_status(&error))
    }

    async fn len(&self, request: Request<pb::LenRequest>) -> Answer {
        let which = |r: &pb::LenRequest| (r.map.clone(), r.partition);
        self.count(request, which, |partition| Op::Len { partition }).await
    }

    async fn clear(&self, request: Request<pb::ClearRequest>) -> Answer {
        let which = |r: &pb::ClearRequest| (r.map.clone(), r.partition);
        self.count(request, which, |partition| Op::Clear { partition }).await
    }
}

/// A scan in progress: page after page, partition after partition. A page is made when the client takes it.
struct Walk {
    shared: Arc<Shared>,
    core: usize,
    request: pb::ScanRequest,
    /// The partitions still to walk, the next one last.
    partitions: Vec<PartitionId>,
    cursor: u64,
    deadline: Deadline,
}

impl Walk {
    fn new(
        shared: Arc<Shared>,
        core: usize,
        mut request: pb::ScanRequest,
        deadline: Deadline,
    ) -> Result<Self> {
        isogrid_core::limits::check_map_name(&request.map)?;
        let mut partitions = partitions(&shared.engine, request.partition)?;
        partitions.reverse();
        let page_max = shared.engine.limits().scan_entries_max as u32;
        let asked = if request.page_entries_max == 0 { page_max } else { request.page_entries_max };
        request.page_entries_max = asked.min(page_max);
        Ok(Self { shared, core, request, partitions, cursor: 0, deadline })
    }

    /// The next page that has entries; `None` at the end. A scan that finds little lets others work in between.
    async fn next_page(&mut self) -> Option<Result<pb::Page>> {
        while let Some(&partition) = self.partitions.last() {
            match self.page_of(partition).await {
                Ok(page) if page.entries.is_empty() => tokio::task::yield_now().await,
                Ok(page) => return Some(Ok(page)),
                Err(error) => {
                    self.partitions.clear();
                    return Some(Err(error));
                }
            }
        }
        None
    }

    async fn page_of(&mut self, partition: PartitionId) -> Result<pb::Page> {
        let scan = Scan {
            partition,
            cursor: self.cursor,
            entries_max: self.request.page_entries_max,
            prefix: &self.request.prefix,
            glob: &self.request.glob,
            filter: &self.request.filter,
            with_values: self.request.with_values,
            view: View::Latest,
        };
        let paged = |reply: &Reply<'_>, _: Option<&Receipt>| match reply {
            Reply::Page(page) => Ok((page.next, page_to_pb(page))),
            Reply::Failed(error) => Err(error.clone()),
            // The map does not exist.
            _ => Ok((None, pb::Page::default())),
        };
        let ops = [Typed::plain(&self.request.map, Op::Scan(scan))];
        let to = Destination::new(&self.shared.relay, self.core, self.deadline);
        let pages = batch::run(to, &ops, paged).await?;
        let page = pages.into_iter().next();
        let (next, page) = page.expect("one operation has one answer")?;
        match next {
            Some(cursor) => self.cursor = cursor,
            None => {
                self.partitions.pop();
                self.cursor = 0;
            }
        }
        Ok(page)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grpc_timeouts_are_read() {
        assert_eq!(parse_timeout("2S"), Some(Duration::from_secs(2)));
        assert_eq!(parse_timeout("150m"), Some(Duration::from_millis(150)));
        assert_eq!(parse_timeout("1H"), Some(Duration::from_secs(3_600)));
        for bad in ["", "S", "12", "1x", "ü", "999999999H"] {
            assert_eq!(parse_timeout(bad), None, "{bad:?}");
        }
    }
}
