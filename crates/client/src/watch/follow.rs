//! What follows the owners of a map's partitions for one watch: one call per owner, and another one when the owner is lost.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt;
use futures::stream::{self, BoxStream, SelectAll};
use isogrid_core::{ErrorCode, NodeId, PartitionId};
use isogrid_proto::pb;
use isogrid_proto::pb::grid_client::GridClient;
use tokio::sync::mpsc;
use tonic::{Code, Status};

use super::token::WatchToken;
use crate::error::{Error, Result};
use crate::link::Link;
use crate::owners;
use crate::retry::Retry;
use crate::session::call_error;

/// The pauses between attempts to go on.
const PAUSE_BASE: Duration = Duration::from_millis(20);
const PAUSE_MAX: Duration = Duration::from_secs(1);

/// What follows the owners of the partitions, for one watch.
pub(super) struct Watcher {
    pub(super) link: Arc<Link>,
    pub(super) map: String,
    pub(super) prefix: Bytes,
    /// Encoded; empty: none.
    pub(super) filter: Bytes,
    pub(super) with_snapshot: bool,
    /// Behind the last event that was handed over.
    pub(super) token: WatchToken,
}

/// What comes from one node.
enum Step {
    Reply(pb::WatchReply),
    /// These partitions must be asked for elsewhere, or again.
    Ended(Vec<u32>, Option<Status>),
}

type Replies = mpsc::Sender<Result<pb::WatchReply>>;

impl Watcher {
    pub(super) async fn run(mut self, replies: Replies) {
        let link = Arc::clone(&self.link);
        let closed = replies.clone();
        tokio::select! {
            () = self.follow(replies) => {}
            () = closed.closed() => {}
            () = link.until_closed() => {}
        }
    }

    async fn follow(&mut self, replies: Replies) {
        let partitions = self.link.routes.partitions();
        let mut idle: Vec<u32> =
            partitions.iter().map(|partition| u32::from(partition.0)).collect();
        let mut streams: SelectAll<BoxStream<'static, Step>> = SelectAll::new();
        let pauses = Retry::exponential(PAUSE_BASE, PAUSE_MAX);
        let mut attempt = 0;
        loop {
            for (node, partitions) in owners::of(&self.link, std::mem::take(&mut idle)) {
                match self.open(node.as_ref(), &partitions).await {
                    Ok(stream) => streams.push(stream),
                    Err(error) if owners::is_final(&error) => {
                        let _ = replies.send(Err(error)).await;
                        return;
                    }
                    Err(error) => {
                        tracing::debug!(%error, "a watch waits for an owner");
                        idle.extend(partitions);
                    }
                }
            }
            attempt = if idle.is_empty() { 0 } else { attempt + 1 };
            let again = tokio::time::sleep(pauses.pause(attempt.max(1)));
            let step = tokio::select! {
                Some(step) = streams.next() => step,
                () = again, if !idle.is_empty() => continue,
            };
            match step {
                Step::Reply(reply) => {
                    reply.events.iter().for_each(|event| self.token.note(&event.token));
                    if replies.send(Ok(reply)).await.is_err() {
                        return;
                    }
                }
                Step::Ended(partitions, status) => {
                    let error = status.map(|status| failure("", &status));
                    if let Some(error) = error.filter(owners::is_final) {
                        let _ = replies.send(Err(error)).await;
                        return;
                    }
                    idle.extend(partitions);
                    // Not at once: the owner that ended the stream may not know its successor yet.
                    tokio::time::sleep(pauses.pause(1)).await;
                }
            }
        }
    }

    /// Begins to follow one owner; or, for partitions without a known one, whoever is there.
    async fn open(
        &self,
        node: Option<&NodeId>,
        partitions: &[u32],
    ) -> Result<BoxStream<'static, Step>> {
        let wait = self.link.settings.connect_timeout;
        let (address, channel) = owners::channel(&self.link, node).await?;
        let positions = &self.token.positions;
        let resume: Vec<u8> = partitions
            .iter()
            .filter_map(|partition| positions.get(&PartitionId(*partition as u16)))
            .flat_map(|position| position.iter().copied())
            .collect();
        let request = pb::WatchRequest {
            map: self.map.clone(),
            key_prefix: self.prefix.clone(),
            resume_token: resume.into(),
            with_snapshot: self.with_snapshot,
            partitions: partitions.to_vec(),
            filter: self.filter.clone(),
        };
        let mut client = GridClient::new(channel).max_decoding_message_size(usize::MAX);
        let opened = tokio::time::timeout(wait, client.watch(request)).await;
        let opened =
            opened.map_err(|_| Error::new(ErrorCode::CannotConnect, "no watch in time"))?;
        let events = opened.map_err(|status| failure(&address, &status))?.into_inner();
        let partitions = partitions.to_vec();
        let steps = stream::unfold(Some((events, partitions)), |state| async move {
            let (mut events, partitions) = state?;
            match events.message().await {
                Ok(Some(reply)) => Some((Step::Reply(reply), Some((events, partitions)))),
                Ok(None) => Some((Step::Ended(partitions, None), None)),
                Err(status) => Some((Step::Ended(partitions, Some(status)), None)),
            }
        });
        Ok(steps.boxed())
    }
}

/// The error of a watch that could not begin, or broke.
fn failure(address: &str, status: &Status) -> Error {
    match status.code() {
        Code::Unimplemented => Error::new(ErrorCode::ProtocolUnknown, "the node cannot be watched"),
        _ => call_error(address, status).into(),
    }
}
