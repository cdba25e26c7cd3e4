//! Watching a map: what changes in it, as it is committed, in order for each partition. A watch survives the loss of nodes:
//! it goes on at the next owner, behind the last event it gave.

use std::collections::BTreeMap;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use futures::stream::{self, BoxStream, SelectAll};
use futures::{Stream, StreamExt};
use isogrid_core::{Cause, ErrorCode, ErrorKind, NodeId, PartitionId, Timestamp, Version};
use isogrid_proto::pb;
use isogrid_proto::pb::grid_client::GridClient;
use isogrid_proto::pb::watch_event::Event as Wire;
use tokio::sync::mpsc;
use tonic::{Code, Status};

use crate::codec::Codec;
use crate::error::{Error, Result};
use crate::key::{Key, OwnedKey};
use crate::lane::OwnedEntry;
use crate::link::Link;
use crate::map::Map;
use crate::retry::Retry;
use crate::scan::decode_key;
use crate::session::{call_error, endpoint};
use crate::value::Versioned;

/// How many replies of nodes wait for a slow reader; behind them the nodes wait, and leave out what is too much.
const REPLIES_WAITING_MAX: usize = 64;

/// The length of a token's part for one partition.
const TOKEN_BYTES: usize = 16;

/// The pauses between attempts to go on.
const PAUSE_BASE: Duration = Duration::from_millis(20);
const PAUSE_MAX: Duration = Duration::from_secs(1);

/// Something that happened to a map.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event<K, V> {
    /// The record is now this.
    Put(K, Versioned<V>),
    /// The record is gone.
    Removed {
        /// The key.
        key: K,
        /// Why.
        cause: RemovalCause,
        /// The version of the removal.
        version: Version,
    },
    /// All records of one partition were removed.
    Cleared {
        /// The partition.
        partition: u16,
    },
    /// A partition has told all that was there when the watch began: what follows is new.
    SnapshotDone {
        /// The partition.
        partition: u16,
    },
    /// The reader was too slow, and so many events of a partition were left out.
    Lagged {
        /// The partition.
        partition: u16,
        /// How many.
        missed: u64,
    },
    /// What happened in a partition since the token is no longer kept: all that is there follows, as puts.
    Compacted {
        /// The partition.
        partition: u16,
    },
}

/// Why a record is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RemovalCause {
    /// A client removed it.
    Deleted,
    /// Its time was over.
    Expired,
    /// It made room.
    Evicted,
}

impl From<Cause> for RemovalCause {
    fn from(cause: Cause) -> Self {
        match cause {
            Cause::Deleted => RemovalCause::Deleted,
            Cause::Expired => RemovalCause::Expired,
            Cause::Evicted => RemovalCause::Evicted,
        }
    }
}

/// Where a watch stands: keep it, and a later watch goes on from there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WatchToken {
    positions: BTreeMap<PartitionId, Bytes>,
}

impl WatchToken {
    /// The token as bytes, to be stored.
    pub fn to_bytes(&self) -> Vec<u8> {
        self.positions.values().flat_map(|position| position.iter().copied()).collect()
    }

    /// A stored token.
    ///
    /// # Errors
    ///
    /// `DecodeFailed` if the bytes are not a token.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self> {
        let (positions, rest) = bytes.as_chunks::<TOKEN_BYTES>();
        if !rest.is_empty() {
            return Err(Error::decode(format!("{} bytes are no watch token", bytes.len())));
        }
        let mut token = WatchToken::default();
        positions.iter().for_each(|position| token.note(&Bytes::copy_from_slice(position)));
        Ok(token)
    }

    /// Goes behind an event.
    fn note(&mut self, position: &Bytes) {
        if let Some(&[low, high]) = position.first_chunk::<2>()
            && position.len() == TOKEN_BYTES
        {
            let partition = PartitionId(u16::from_le_bytes([low, high]));
            self.positions.insert(partition, position.clone());
        }
    }
}

/// A watch, to be set up: made by [`Map::watch`].
#[must_use = "nothing is watched before `stream`"]
pub struct Watch<'a, K, V, C> {
    map: &'a Map<K, V, C>,
    prefix: Bytes,
    with_snapshot: bool,
    token: WatchToken,
}

impl<K: OwnedKey, V, C: Codec<V>> Map<K, V, C> {
    /// Watches the map: see [`Watch`]. Nothing is sent before [`stream`](Watch::stream).
    pub fn watch(&self) -> Watch<'_, K, V, C> {
        let (prefix, token) = (Bytes::new(), WatchToken::default());
        Watch { map: self, prefix, with_snapshot: false, token }
    }
}

impl<K: OwnedKey, V, C: Codec<V>> Watch<'_, K, V, C> {
    /// Only keys that start with this.
    pub fn prefix<Q: Key<Form = K::Form> + ?Sized>(mut self, prefix: &Q) -> Self {
        self.prefix = Bytes::copy_from_slice(prefix.key_bytes().as_ref());
        self
    }

    /// Begins with all that is there, as puts, partition by partition, each followed by a `SnapshotDone`.
    pub fn with_snapshot(mut self) -> Self {
        self.with_snapshot = true;
        self
    }

    /// Goes on where another watch stood.
    pub fn resume(mut self, token: WatchToken) -> Self {
        self.token = token;
        self
    }

    /// Begins. The stream ends with the client, or with an error that trying again would not mend; the loss of nodes it
    /// survives. Dropping it ends the watch.
    pub fn stream(self) -> WatchStream<K, V>
    where
        V: 'static,
    {
        let target = &self.map.target;
        let link = target.grid.link();
        let (replies, received) = mpsc::channel(REPLIES_WAITING_MAX);
        let watcher = Watcher {
            link: Arc::clone(link),
            map: target.name.to_string(),
            prefix: self.prefix,
            with_snapshot: self.with_snapshot,
            token: self.token.clone(),
        };
        match target.check_name() {
            Ok(()) => link.spawn(watcher.run(replies)),
            Err(error) => drop(replies.try_send(Err(error))),
        }
        let codec = self.map.codec.clone();
        let decode = move |bytes| codec.decode(bytes);
        let (waiting, token) = (Vec::new().into_iter(), self.token);
        let (decode, keys) = (Box::new(decode), std::marker::PhantomData);
        WatchStream { received, waiting, token, decode, keys }
    }
}

/// The events of a watch.
pub struct WatchStream<K, V> {
    received: mpsc::Receiver<Result<pb::WatchReply>>,
    waiting: std::vec::IntoIter<pb::WatchEvent>,
    token: WatchToken,
    decode: Box<dyn Fn(Bytes) -> Result<V> + Send>,
    keys: std::marker::PhantomData<fn() -> K>,
}

impl<K, V> WatchStream<K, V> {
    /// Where the watch stands: behind the last event that was taken.
    pub fn token(&self) -> WatchToken {
        self.token.clone()
    }
}

impl<K: OwnedKey, V> WatchStream<K, V> {
    /// An event in the words of the program; `None` for one from the future.
    fn event(&self, event: pb::WatchEvent) -> Result<Option<Event<K, V>>> {
        let partition = event.partition as u16;
        let Some(event) = event.event else { return Ok(None) };
        Ok(Some(match event {
            Wire::Put(pb::PutEvent { key, entry }) => {
                let entry = entry.unwrap_or_default();
                let entry = OwnedEntry {
                    value: entry.value,
                    version: Version(entry.version),
                    expires_at: entry.expires_at_ms.map(Timestamp),
                };
                let value = (self.decode)(entry.value)?;
                let (version, expires_at) = (entry.version, entry.expires_at);
                Event::Put(decode_key(key)?, Versioned { value, version, expires_at })
            }
            Wire::Removed(removed) => Event::Removed {
                cause: match removed.cause() {
                    pb::RemovalCause::Expired => RemovalCause::Expired,
                    pb::RemovalCause::Evicted => RemovalCause::Evicted,
                    _ => RemovalCause::Deleted,
                },
                key: decode_key(removed.key)?,
                version: Version(removed.version),
            },
            Wire::Cleared(_) => Event::Cleared { partition },
            Wire::SnapshotDone(_) => Event::SnapshotDone { partition },
            Wire::Lagged(lagged) => Event::Lagged { partition, missed: lagged.missed },
            Wire::Compacted(_) => Event::Compacted { partition },
        }))
    }
}

impl<K: OwnedKey, V> Stream for WatchStream<K, V> {
    type Item = Result<Event<K, V>>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let watch = self.get_mut();
        loop {
            while let Some(event) = watch.waiting.next() {
                watch.token.note(&event.token);
                if let Some(event) = watch.event(event).transpose() {
                    return Poll::Ready(Some(event));
                }
            }
            match ready!(watch.received.poll_recv(cx)) {
                Some(Ok(reply)) => watch.waiting = reply.events.into_iter(),
                Some(Err(error)) => return Poll::Ready(Some(Err(error))),
                None => return Poll::Ready(None),
            }
        }
    }
}

/// What follows the owners of the partitions, for one watch.
struct Watcher {
    link: Arc<Link>,
    map: String,
    prefix: Bytes,
    with_snapshot: bool,
    /// Behind the last event that was handed over.
    token: WatchToken,
}

/// What comes from one node.
enum Step {
    Reply(pb::WatchReply),
    /// These partitions must be asked for elsewhere, or again.
    Ended(Vec<u32>, Option<Status>),
}

type Replies = mpsc::Sender<Result<pb::WatchReply>>;

impl Watcher {
    async fn run(mut self, replies: Replies) {
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
            for (node, partitions) in self.owners(std::mem::take(&mut idle)) {
                match self.open(node.as_ref(), &partitions).await {
                    Ok(stream) => streams.push(stream),
                    Err(error) if is_final(&error) => {
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
                    if let Some(error) = error.filter(is_final) {
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

    /// Whom to ask for which partitions.
    fn owners(&self, partitions: Vec<u32>) -> Vec<(Option<NodeId>, Vec<u32>)> {
        let nodes = self.link.nodes.lock();
        let mut owners: BTreeMap<Option<NodeId>, Vec<u32>> = BTreeMap::new();
        for partition in partitions {
            let entry = nodes.topology.entry(PartitionId(partition as u16));
            let owner = entry.filter(|_| nodes.is_routed()).and_then(|entry| entry.primary.clone());
            owners.entry(owner).or_default().push(partition);
        }
        owners.into_iter().collect()
    }

    /// Begins to follow one owner; or, for partitions without a known one, whoever is there.
    async fn open(
        &self,
        node: Option<&NodeId>,
        partitions: &[u32],
    ) -> Result<BoxStream<'static, Step>> {
        let address = {
            let nodes = self.link.nodes.lock();
            node.and_then(|node| nodes.topology.peer(node)).map(|peer| peer.address.clone())
        };
        let wait = self.link.settings.connect_timeout;
        let channel = match &address {
            None => self.link.channel(),
            Some(address) => endpoint(address, wait)?.connect().await.map_err(|error| {
                Error::new(ErrorCode::CannotConnect, format!("{address}: {error}"))
            })?,
        };
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
        };
        let mut client = GridClient::new(channel).max_decoding_message_size(usize::MAX);
        let opened = tokio::time::timeout(wait, client.watch(request)).await;
        let opened =
            opened.map_err(|_| Error::new(ErrorCode::CannotConnect, "no watch in time"))?;
        let address = address.unwrap_or_default();
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

/// Whether trying again cannot help.
fn is_final(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::InvalidRequest | ErrorKind::Internal)
}

impl<K, V, C> fmt::Debug for Watch<'_, K, V, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watch").field("map", &self.map.name()).finish_non_exhaustive()
    }
}

impl<K, V> fmt::Debug for WatchStream<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WatchStream").field("token", &self.token).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn position(partition: u16, seq: u8) -> Bytes {
        let mut bytes = vec![0; TOKEN_BYTES];
        bytes[..2].copy_from_slice(&partition.to_le_bytes());
        bytes[8] = seq;
        bytes.into()
    }

    #[test]
    fn a_token_keeps_the_newest_position_of_each_partition() {
        let mut token = WatchToken::default();
        for (partition, seq) in [(1, 1), (300, 1), (1, 2)] {
            token.note(&position(partition, seq));
        }
        token.note(&Bytes::from_static(b"short"));
        let bytes = token.to_bytes();
        assert_eq!(bytes, [position(1, 2), position(300, 1)].concat());
        assert_eq!(WatchToken::from_bytes(&bytes).ok(), Some(token));
        assert!(WatchToken::from_bytes(&bytes[1..]).is_err());
    }
}
