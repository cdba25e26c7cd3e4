//! The data door: sessions, typed batches, unary calls and scans. A unary call is a batch of one.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use futures::Stream;
use isogrid_core::{Error, ErrorCode, Op, Outcome, PartitionId, Reply, Result, Scan};
use isogrid_proto::operation::page_to_pb;
use isogrid_proto::pb::{self, grid_server::Grid, operation::Operation, operation_reply};
use isogrid_proto::status::{error_from_pb, error_to_status};
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status, Streaming};

use super::session::Session;
use super::{admitted, batch};
use crate::engine::{Batch, Deadline, Engine};
use crate::node::Shared;

pub(super) struct DataService {
    shared: Arc<Shared>,
    core: usize,
    stopping: CancellationToken,
}

type Answer = Result<Response<pb::OperationReply>, Status>;

impl DataService {
    pub(super) fn new(shared: Arc<Shared>, core: usize, stopping: CancellationToken) -> Self {
        Self { shared, core, stopping }
    }

    fn engine(&self) -> &Engine {
        &self.shared.host.engine
    }

    /// Executes one typed operation; its failure becomes the call's status.
    fn one<T>(&self, request: Request<T>, operation: impl FnOnce(T) -> Operation) -> Answer {
        admitted(&request)?;
        let deadline = deadline(&request);
        let operation = pb::Operation { operation: Some(operation(request.into_inner())) };
        let replies = batch::execute(self.engine(), self.core, &[operation], deadline);
        let reply = replies.map_err(|error| error_to_status(&error))?.pop().unwrap_or_default();
        match &reply.reply {
            Some(operation_reply::Reply::Error(error)) => {
                Err(error_to_status(&error_from_pb(error)))
            }
            _ => Ok(Response::new(reply)),
        }
    }

    /// Executes an operation on one partition or on all, and adds up what each counted.
    fn count<T>(
        &self,
        request: &Request<T>,
        map: &str,
        partition: Option<u32>,
        op: impl Fn(PartitionId) -> Op<'static>,
    ) -> Answer {
        admitted(request)?;
        let total = self
            .count_partitions(map, partition, op, deadline(request))
            .map_err(|error| error_to_status(&error))?;
        let reply = Some(operation_reply::Reply::Count(total));
        Ok(Response::new(pb::OperationReply { reply, receipt: None }))
    }

    fn count_partitions(
        &self,
        map: &str,
        partition: Option<u32>,
        op: impl Fn(PartitionId) -> Op<'static>,
        deadline: Deadline,
    ) -> Result<u64> {
        isogrid_core::limits::check_map_name(map)?;
        let partitions = partitions(self.engine(), partition)?;
        let changes = partitions.iter().any(|partition| !op(*partition).is_read());
        let mut batch = Batch::new(self.engine(), [map], partitions.len());
        for partition in partitions {
            batch.push(0, op(partition));
        }
        let mut total = 0;
        let mut failure: Option<Error> = None;
        self.engine().execute(self.core, batch, deadline, |_, reply| {
            match reply {
                Reply::Count(count) => total += count,
                Reply::Failed(error) => failure = Some(error.clone()),
                _ => {}
            }
            0
        });
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
    let all = engine.partitions();
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
    type TopologyStream = Pin<Box<dyn Stream<Item = Result<pb::TopologyUpdate, Status>> + Send>>;
    type WatchStream = Pin<Box<dyn Stream<Item = Result<pb::WatchReply, Status>> + Send>>;

    async fn open_session(
        &self,
        _request: Request<pb::OpenSessionRequest>,
    ) -> Result<Response<pb::OpenSessionReply>, Status> {
        Err(Status::unimplemented("sessions come with the cluster"))
    }

    async fn topology(
        &self,
        _request: Request<pb::TopologyRequest>,
    ) -> Result<Response<Self::TopologyStream>, Status> {
        Err(Status::unimplemented("the topology comes with the cluster"))
    }

    async fn watch(
        &self,
        _request: Request<pb::WatchRequest>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        Err(Status::unimplemented("watching comes with the cluster"))
    }

    async fn session(
        &self,
        request: Request<Streaming<pb::SessionRequest>>,
    ) -> Result<Response<Session>, Status> {
        let connection = admitted(&request)?;
        let stopping = self.stopping.clone().cancelled_owned();
        let host = Arc::clone(&self.shared.host);
        Ok(Response::new(Session::new(host, connection, request.into_inner(), stopping)))
    }

    async fn batch(
        &self,
        request: Request<pb::BatchRequest>,
    ) -> Result<Response<pb::BatchReply>, Status> {
        admitted(&request)?;
        let deadline = deadline(&request);
        let operations = &request.get_ref().operations;
        let replies = batch::execute(self.engine(), self.core, operations, deadline);
        let replies = replies.map_err(|error| error_to_status(&error))?;
        Ok(Response::new(pb::BatchReply { replies }))
    }

    async fn get(&self, request: Request<pb::GetRequest>) -> Answer {
        self.one(request, Operation::Get)
    }

    async fn exists(&self, request: Request<pb::ExistsRequest>) -> Answer {
        self.one(request, Operation::Exists)
    }

    async fn touch(&self, request: Request<pb::TouchRequest>) -> Answer {
        self.one(request, Operation::Touch)
    }

    async fn put(&self, request: Request<pb::PutRequest>) -> Answer {
        self.one(request, Operation::Put)
    }

    async fn delete(&self, request: Request<pb::DeleteRequest>) -> Answer {
        self.one(request, Operation::Delete)
    }

    async fn compare_and_set(&self, request: Request<pb::CompareAndSetRequest>) -> Answer {
        self.one(request, Operation::CompareAndSet)
    }

    async fn expire(&self, request: Request<pb::ExpireRequest>) -> Answer {
        self.one(request, Operation::Expire)
    }

    async fn increment(&self, request: Request<pb::IncrementRequest>) -> Answer {
        self.one(request, Operation::Increment)
    }

    async fn increment_float(&self, request: Request<pb::IncrementFloatRequest>) -> Answer {
        self.one(request, Operation::IncrementFloat)
    }

    async fn append(&self, request: Request<pb::AppendRequest>) -> Answer {
        self.one(request, Operation::Append)
    }

    async fn scan(
        &self,
        request: Request<pb::ScanRequest>,
    ) -> Result<Response<Self::ScanStream>, Status> {
        admitted(&request)?;
        let deadline = deadline(&request);
        let walk = Walk::new(Arc::clone(&self.shared), self.core, request.into_inner(), deadline)
            .map_err(|error| error_to_status(&error))?;
        let pages = futures::stream::unfold(walk, |mut walk| async move {
            let page = walk.next_page().await?;
            Some((page.map_err(|error| error_to_status(&error)), walk))
        });
        Ok(Response::new(Box::pin(pages)))
    }

    async fn len(&self, request: Request<pb::LenRequest>) -> Answer {
        let (map, partition) = (&request.get_ref().map, request.get_ref().partition);
        self.count(&request, map, partition, |partition| Op::Len { partition })
    }

    async fn clear(&self, request: Request<pb::ClearRequest>) -> Answer {
        let (map, partition) = (&request.get_ref().map, request.get_ref().partition);
        self.count(&request, map, partition, |partition| Op::Clear { partition })
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
        let mut partitions = partitions(&shared.host.engine, request.partition)?;
        partitions.reverse();
        let page_max = shared.host.engine.limits().scan_entries_max as u32;
        let asked = if request.page_entries_max == 0 { page_max } else { request.page_entries_max };
        request.page_entries_max = asked.min(page_max);
        Ok(Self { shared, core, request, partitions, cursor: 0, deadline })
    }

    /// The next page that has entries; `None` at the end. A scan that finds little lets others work in between.
    async fn next_page(&mut self) -> Option<Result<pb::Page>> {
        while let Some(&partition) = self.partitions.last() {
            match self.page_of(partition) {
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

    fn page_of(&mut self, partition: PartitionId) -> Result<pb::Page> {
        let engine = &self.shared.host.engine;
        let mut batch = Batch::new(engine, [self.request.map.as_str()], 1);
        let scan = Scan {
            partition,
            cursor: self.cursor,
            entries_max: self.request.page_entries_max,
            prefix: &self.request.prefix,
            glob: &self.request.glob,
            with_values: self.request.with_values,
        };
        batch.push(0, Op::Scan(scan));
        let mut result = Err(Error::new(ErrorCode::Internal, "a scan without a page"));
        let mut next = None;
        engine.execute(self.core, batch, self.deadline, |_, reply| {
            match reply {
                Reply::Page(page) => {
                    next = page.next;
                    result = Ok(page_to_pb(page));
                }
                Reply::Failed(error) => result = Err(error.clone()),
                _ => {}
            }
            0
        });
        match next {
            Some(cursor) => self.cursor = cursor,
            None => {
                self.partitions.pop();
                self.cursor = 0;
            }
        }
        result
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
