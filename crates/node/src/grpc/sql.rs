//! The SQL door over gRPC: answers go out in pieces as their client takes them.

pub(crate) mod definition;

use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::{Stream, StreamExt};
use isogrid_core::{Error, ErrorCode, Result};
use isogrid_proto::pb;
use isogrid_proto::pb::sql_route::By;
use isogrid_proto::pb::sql_server::{Sql as SqlDoor, SqlServer};
use isogrid_proto::pb::sql_value::Value;
use isogrid_proto::status::error_to_status;
use isogrid_query::{Parameter, Route, Sql, Subscription, Watched, Wishes, unvalued};
use isogrid_value::{Field, Order};
use tokio::sync::{mpsc, oneshot};
use tonic::{Request, Response, Status};

use super::admitted;
use crate::clients::Did;
use crate::sql::sending::{self, LATE_MAX, PIECES_WAITING, TAKEN_MAX};
use crate::sql::{Statements, Timed};

/// How often a client hears of a statement that goes on. It gives up after ten seconds of silence.
const WORD_INTERVAL: Duration = Duration::from_secs(3);

/// For how long a small statement is answered on the thread of its connection, which serves operations as well.
const HERE_MAX: Duration = Duration::from_micros(300);

/// A piece of an answer on its way out.
type Piece = Result<pb::SqlReply, Status>;

/// The service.
pub(crate) struct SqlService(Arc<Statements>);

impl SqlService {
    /// The service of a node.
    pub(crate) fn server(statements: &Arc<Statements>) -> SqlServer<SqlService> {
        SqlServer::new(SqlService(Arc::clone(statements)))
    }
}

#[tonic::async_trait]
impl SqlDoor for SqlService {
    type RunStream = Pin<Box<dyn Stream<Item = Piece> + Send>>;

    async fn run(
        &self,
        request: Request<pb::SqlRequest>,
    ) -> Result<Response<Self::RunStream>, Status> {
        let connection = admitted(&request, Did::Statement)?;
        let permit = self.0.admit().map_err(|error| error_to_status(&error))?;
        let client = connection.client.address;
        let request = request.into_inner();
        let wishes = wishes(&request);
        let pb::SqlRequest { statement, parameters, .. } = request;
        let statement: Arc<str> = statement.into();
        let values: Vec<Parameter> = parameters.into_iter().map(parameter).collect();
        let shown = Arc::clone(&statement);
        let timed = self.0.time(client, move || unvalued(&*shown));
        let sql = self.0.sql.with(wishes).telling(timed.walked());
        let (sender, receiver) = mpsc::channel(PIECES_WAITING);
        let patience = sql.patience() + LATE_MAX;
        let is_small = sql.is_small(&statement, &values);
        let answering = async move {
            let _permit = permit;
            let answering = answer((&sql, timed), &statement, values, &sender);
            sending::until_gone(answering, &sender, error_to_status).await;
        };
        let mut answering = Box::pin(answering);
        if !(is_small && ends_here(answering.as_mut()).await) {
            self.0.spawn(answering).map_err(|error| error_to_status(&error))?;
        }
        Ok(Response::new(Box::pin(pieces(receiver, patience, WORD_INTERVAL))))
    }

    async fn subscribe(
        &self,
        request: Request<pb::SqlRequest>,
    ) -> Result<Response<pb::SqlSubscription>, Status> {
        admitted(&request, Did::Statement)?;
        let permit = self.0.admit().map_err(|error| error_to_status(&error))?;
        let pb::SqlRequest { statement, parameters, .. } = request.into_inner();
        let values: Vec<Parameter> = parameters.into_iter().map(parameter).collect();
        let (sender, receiver) = oneshot::channel();
        let sql = self.0.sql.clone();
        // Where there is room for deep statements.
        let reading = async move {
            let _permit = permit;
            let _ = sender.send(sql.subscription(&statement, &values).await);
        };
        self.0.spawn(reading).map_err(|error| error_to_status(&error))?;
        let patience = self.0.sql.patience();
        let read = tokio::time::timeout(patience, receiver).await;
        let read = match read {
            Ok(Ok(read)) => read.and_then(subscription_to_pb),
            Ok(Err(_)) => Err(Error::new(ErrorCode::Internal, "a statement panicked")),
            Err(_) => Err(Error::new(ErrorCode::QueryTooLong, "the map's columns were not found")),
        };
        read.map(Response::new).map_err(|error| error_to_status(&error))
    }
}

/// Does work on the connection's thread, for a moment: to wake another one and to be woken by it takes longer than a small statement.
/// Says whether that was all of it.
async fn ends_here(mut work: Pin<&mut (impl Future<Output = ()> + Send)>) -> bool {
    let begun = Instant::now();
    while begun.elapsed() < HERE_MAX {
        if futures::poll!(work.as_mut()).is_ready() {
            return true;
        }
    }
    false
}

/// What a subscription is on the wire.
fn subscription_to_pb(subscription: Subscription) -> Result<pb::SqlSubscription> {
    let path = |field| match field {
        Field::Key => Vec::new(),
        Field::Path(names) => names,
    };
    let column = |column: Watched| pb::SqlColumn {
        name: column.name,
        path: path(column.field),
        r#type: column.holds.name().to_owned(),
    };
    let (order_by, order, limit) = subscription.first.unwrap_or((Field::Key, Order::default(), 0));
    Ok(pb::SqlSubscription {
        map: subscription.map,
        filter: subscription.filter.encode()?.into(),
        columns: subscription.columns.into_iter().map(column).collect(),
        limit: limit as u32,
        order_by: path(order_by),
        is_descending: order.is_descending,
        is_null_first: order.is_null_first,
    })
}

/// What a caller wants of its statement.
fn wishes(request: &pb::SqlRequest) -> Wishes {
    let said = |number: u64| (number > 0).then_some(number);
    let bytes = said(request.memory_bytes_max);
    Wishes {
        memory_bytes: bytes.map(|bytes| usize::try_from(bytes).unwrap_or(usize::MAX)),
        timeout: said(request.time_ms_max).map(Duration::from_millis),
        require_pruned: request.require_pruned,
    }
}

/// The pieces as they come, and empty ones while none does. It is looked at here, on the connection's thread, that the next one does not
/// take for ever.
fn pieces(
    receiver: mpsc::Receiver<Piece>,
    patience: Duration,
    interval: Duration,
) -> impl Stream<Item = Piece> {
    futures::stream::unfold(Some((receiver, patience)), move |state| async move {
        let (mut receiver, left) = state?;
        let wait = left.min(interval);
        match tokio::time::timeout(wait, receiver.recv()).await {
            Ok(piece) => Some((piece?, Some((receiver, patience)))),
            Err(_) if wait < left => {
                Some((Ok(pb::SqlReply::default()), Some((receiver, left - wait))))
            }
            Err(_) => Some((Err(error_to_status(&sending::late(patience))), None)),
        }
    })
}

/// Answers a statement, piece by piece.
async fn answer(
    (sql, timed): (&Sql, Timed),
    statement: &str,
    values: Vec<Parameter>,
    sender: &mpsc::Sender<Piece>,
) {
    let answer = timed.answer(sql.run(statement, values)).await;
    let mut route = answer.as_ref().ok().and_then(|answer| answer.route).map(told);
    let mut pieces = match answer.and_then(isogrid_query::Answer::into_ipc) {
        Ok(pieces) => std::pin::pin!(pieces),
        Err(error) => {
            let _ = sender.send_timeout(Err(error_to_status(&error)), TAKEN_MAX).await;
            return;
        }
    };
    while let Some(piece) = pieces.next().await {
        let piece =
            piece.map(|(arrow, is_last)| pb::SqlReply { arrow, is_last, route: route.take() });
        let piece = piece.map_err(|error| error_to_status(&error));
        // Without its last piece the client knows that the answer is not whole.
        if sender.send_timeout(piece, TAKEN_MAX).await.is_err() {
            return;
        }
    }
}

fn told(route: Route) -> pb::SqlRoute {
    let by = match route {
        Route::Partition(partition) => By::Partition(u32::from(partition.0)),
        Route::Key(parameter) => By::KeyParameter(parameter),
        Route::PartitionKey(parameter) => By::PartitionKeyParameter(parameter),
    };
    pb::SqlRoute { by: Some(by) }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_client_hears_of_a_statement_that_goes_on_and_of_one_that_does_not() {
        let (sender, receiver) = mpsc::channel(1);
        let word = Duration::from_millis(20);
        let mut pieces = std::pin::pin!(pieces(receiver, 10 * word, word));
        let said = pieces.next().await.expect("it goes on").expect("nothing is wrong");
        assert_eq!(said, pb::SqlReply::default());
        let first = pb::SqlReply { arrow: "rows".into(), ..pb::SqlReply::default() };
        sender.send(Ok(first.clone())).await.expect("there is room");
        let mut pieces = pieces.skip_while(|piece| {
            std::future::ready(piece.as_ref().is_ok_and(|piece| piece.arrow.is_empty()))
        });
        let piece = pieces.next().await.expect("it goes on").expect("nothing is wrong");
        assert_eq!(piece, first);
        let rest: Vec<Piece> = pieces.collect().await;
        let (last, words) = rest.split_last().expect("an end");
        assert!(words.len() >= 5 && words.iter().all(Result::is_ok), "{}", words.len());
        assert!(last.as_ref().is_err_and(|status| status.message().contains("200 ms")));
        drop(sender);
    }
}
