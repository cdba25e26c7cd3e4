//! A watch of a whole map, whoever leads its partitions: what is led here is followed here, the rest at its owners, and where an owner
//! is lost the watch goes on at the next one, behind what was told. For doors whose callers know of no partitions.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt;
use futures::stream::{self, BoxStream, SelectAll};
use isogrid_core::{Error, ErrorCode, ErrorKind, NodeId, PartitionId, Result};
use isogrid_proto::pb::grid_client::GridClient;
use isogrid_proto::pb::{self, watch_event::Event};
use isogrid_proto::status::error_from_status;
use parking_lot::Mutex;
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tonic::Status;
use tonic::transport::Channel;

use super::{peer_client, watch};
use crate::node::Shared;
use crate::peers::limits::PeerLimits;

/// How many messages of owners wait for a slow reader; behind them the owners wait, and leave out what is too much.
const REPLIES_WAITING_MAX: usize = 16;

/// How many watches share a connection to a node: a node takes no more calls than that at once over one.
const WATCHES_PER_CHANNEL_MAX: usize = 64;

/// The pauses between tries to go on.
const PAUSE_MIN: Duration = Duration::from_millis(20);
const PAUSE_MAX: Duration = Duration::from_secs(1);

/// After so long the next pause is a short one again.
const FORGET_AFTER: Duration = Duration::from_secs(5);

/// How long an owner may take to begin.
const OPEN_MAX: Duration = Duration::from_secs(5);

/// The core that watches of this node count to: the doors that gather are there.
const CORE: usize = 0;

/// What is to be watched.
pub(crate) struct Wanted {
    pub(crate) map: String,
    pub(crate) prefix: Bytes,
    /// Encoded; empty: none.
    pub(crate) filter: Bytes,
    pub(crate) with_snapshot: bool,
    pub(crate) places: Places,
}

/// Where a watch stands, partition by partition: the tokens that nodes give.
pub(crate) type Places = BTreeMap<u16, Bytes>;

/// Something that happened in a partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct MapEvent {
    pub(crate) partition: u16,
    /// Where to go on behind it; empty within a snapshot.
    pub(crate) token: Bytes,
    pub(crate) what: What,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum What {
    /// Nothing: this is where the watch of the partition begins.
    Begun,
    Put {
        key: Bytes,
        value: Bytes,
        version: u64,
        expires_at_ms: Option<u64>,
    },
    /// The word says why: deleted, expired or evicted.
    Removed {
        word: &'static str,
        key: Bytes,
        version: u64,
    },
    /// The record is one that the filter does not mean.
    Unmatched {
        key: Bytes,
        version: u64,
    },
    Cleared {
        version: u64,
    },
    SnapshotBegun,
    SnapshotDone,
    /// So many events were left out.
    Lagged {
        missed: u64,
    },
    Compacted,
}

/// A connection, and what is held by those that use it.
type Used = (Channel, Arc<()>);

/// Connections to other nodes, for watches.
#[derive(Default)]
pub(crate) struct Owners {
    /// By address: each with what is held by those that use it.
    open: Mutex<BTreeMap<String, Vec<Used>>>,
}

impl Owners {
    /// A connection that can take another watch, and a sign that it is used.
    async fn channel(&self, address: &str) -> Result<Used> {
        let found = {
            let mut open = self.open.lock();
            // Those that nobody uses any more are closed.
            open.values_mut().for_each(|all| all.retain(|(_, used)| Arc::strong_count(used) > 1));
            open.retain(|_, all| !all.is_empty());
            let has_room = |one: &&Used| Arc::strong_count(&one.1) <= WATCHES_PER_CHANNEL_MAX;
            open.get(address).and_then(|all| all.iter().find(has_room)).cloned()
        };
        if let Some(found) = found {
            return Ok(found);
        }
        let connected = peer_client::connect(address, &PeerLimits::default()).await;
        let channel = connected.map_err(|failed| {
            Error::new(ErrorCode::OwnerUnreachable, format!("{address}: {}", failed.why))
        })?;
        let one = (channel, Arc::new(()));
        self.open.lock().entry(address.to_owned()).or_default().push(one.clone());
        Ok(one)
    }
}

/// What comes from one owner.
enum Step {
    Events(Vec<MapEvent>),
    /// These partitions must be asked for elsewhere, or again.
    Ended(Vec<u32>, Option<Error>),
}

type Steps = BoxStream<'static, Step>;
type Told = mpsc::Sender<Result<Vec<MapEvent>>>;

/// Begins a watch. It ends when what is returned is dropped, with an error that trying again would not mend, or with the node.
pub(crate) fn gather(
    shared: &Arc<Shared>,
    owners: &Arc<Owners>,
    wanted: Wanted,
    stopping: CancellationToken,
) -> mpsc::Receiver<Result<Vec<MapEvent>>> {
    let (told, received) = mpsc::channel(REPLIES_WAITING_MAX);
    let (shared, owners) = (Arc::clone(shared), Arc::clone(owners));
    let gatherer = Gatherer { shared, owners, wanted, stopping: stopping.clone() };
    let closed = told.clone();
    tokio::spawn(async move {
        tokio::select! {
            () = gatherer.follow(told) => {}
            () = closed.closed() => {}
            () = stopping.cancelled() => {}
        }
    });
    received
}

struct Gatherer {
    shared: Arc<Shared>,
    owners: Arc<Owners>,
    wanted: Wanted,
    stopping: CancellationToken,
}

impl Gatherer {
    async fn follow(mut self, told: Told) {
        let Some(count) = self.shared.engine.partitions() else {
            let _ = told.send(Err(Error::new(ErrorCode::NotReady, ""))).await;
            return;
        };
        let mut idle: Vec<u32> = (0..u32::from(count.get())).collect();
        let mut streams: SelectAll<Steps> = SelectAll::new();
        let (mut pause, mut again_at) = (PAUSE_MIN, Instant::now());
        loop {
            let step = tokio::select! {
                Some(step) = streams.next() => step,
                () = tokio::time::sleep_until(again_at), if !idle.is_empty() => {
                    for (owner, partitions) in self.owners_of(std::mem::take(&mut idle)) {
                        streams.push(self.begin(owner, partitions));
                    }
                    continue;
                }
            };
            match step {
                Step::Events(events) => {
                    self.note(&events);
                    if told.send(Ok(events)).await.is_err() {
                        return;
                    }
                }
                Step::Ended(_, Some(error)) if is_final(&error) => {
                    let _ = told.send(Err(error)).await;
                    return;
                }
                Step::Ended(partitions, why) => {
                    tracing::debug!(?why, "a watch looks for another owner");
                    if idle.is_empty() {
                        let is_fresh = again_at.elapsed() > FORGET_AFTER;
                        pause = if is_fresh { PAUSE_MIN } else { (pause * 2).min(PAUSE_MAX) };
                        // Not at once: the owner that ended it may not know its successor yet.
                        again_at = Instant::now() + pause;
                    }
                    idle.extend(partitions);
                }
            }
        }
    }

    fn note(&mut self, events: &[MapEvent]) {
        for event in events.iter().filter(|event| !event.token.is_empty()) {
            self.wanted.places.insert(event.partition, event.token.clone());
        }
    }

    /// Who leads which partitions, as far as this node knows; those that nobody leads are asked for here, and refused.
    fn owners_of(&self, partitions: Vec<u32>) -> Vec<(Option<NodeId>, Vec<u32>)> {
        let view = self.shared.views.borrow();
        let mut owners: BTreeMap<Option<NodeId>, Vec<u32>> = BTreeMap::new();
        for partition in partitions {
            let owner = view.table.owner(PartitionId(partition as u16)).cloned();
            owners.entry(owner).or_default().push(partition);
        }
        owners.into_iter().collect()
    }

    /// Begins to follow one owner, while others are followed.
    fn begin(&self, owner: Option<NodeId>, partitions: Vec<u32>) -> Steps {
        let places = &self.wanted.places;
        let known = partitions.iter().filter_map(|partition| places.get(&(*partition as u16)));
        let request = pb::WatchRequest {
            map: self.wanted.map.clone(),
            key_prefix: self.wanted.prefix.clone(),
            resume_token: known.flat_map(|token| token.iter().copied()).collect::<Vec<u8>>().into(),
            with_snapshot: self.wanted.with_snapshot,
            partitions: partitions.clone(),
            filter: self.wanted.filter.clone(),
        };
        let (shared, owners) = (Arc::clone(&self.shared), Arc::clone(&self.owners));
        let stopping = self.stopping.clone();
        let beginning = async move {
            let owner = owner.filter(|owner| *owner != shared.node_id);
            let begun = match &owner {
                Some(owner) => follow_another(&shared, &owners, owner, request).await,
                None => watch::follow(&shared, CORE, &request, stopping).await,
            };
            match begun {
                Ok(replies) => steps(replies, partitions),
                Err(error) => {
                    let ended = Step::Ended(partitions, Some(error));
                    stream::once(std::future::ready(ended)).boxed()
                }
            }
        };
        stream::once(beginning).flatten().boxed()
    }
}

/// Asks another node.
async fn follow_another(
    shared: &Shared,
    owners: &Owners,
    owner: &NodeId,
    request: pb::WatchRequest,
) -> Result<watch::Events> {
    let address = {
        let view = shared.views.borrow();
        view.nodes.get(owner).map(|node| node.member.grpc_addr.clone())
    };
    let address = address.ok_or_else(|| Error::new(ErrorCode::NoPrimary, owner.as_str()))?;
    let (channel, used) = owners.channel(&address).await?;
    let mut client = GridClient::new(channel).max_decoding_message_size(usize::MAX);
    let late = |_| Error::new(ErrorCode::OwnerUnreachable, format!("{address}: no watch in time"));
    let opened = tokio::time::timeout(OPEN_MAX, client.watch(request)).await.map_err(late)?;
    let replies = opened.map_err(|status| error_of(&status))?.into_inner();
    Ok(Box::pin(replies.map(move |reply| {
        // The connection is used as long as the stream lives.
        let _used = &used;
        reply
    })))
}

/// The replies of an owner as steps, and its end as the last one.
fn steps(replies: watch::Events, partitions: Vec<u32>) -> Steps {
    let state = Some((replies, partitions));
    stream::unfold(state, |state| async move {
        let (mut replies, partitions) = state?;
        match replies.next().await {
            Some(Ok(reply)) => {
                let events = reply.events.into_iter().filter_map(plain).collect();
                Some((Step::Events(events), Some((replies, partitions))))
            }
            Some(Err(status)) => Some((Step::Ended(partitions, Some(error_of(&status))), None)),
            None => Some((Step::Ended(partitions, None), None)),
        }
    })
    .boxed()
}

fn error_of(status: &Status) -> Error {
    let lost = || Error::new(ErrorCode::ConnectionLost, status.message());
    error_from_status(status).unwrap_or_else(lost)
}

/// Whether trying again cannot help.
fn is_final(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::InvalidRequest | ErrorKind::Internal)
        || matches!(error.code(), ErrorCode::TooManyWatches | ErrorCode::MapUnknown)
}

/// An event in plain words; `None` for one from the future.
fn plain(event: pb::WatchEvent) -> Option<MapEvent> {
    let what = match event.event {
        None if event.token.is_empty() => return None,
        None => What::Begun,
        Some(Event::Put(put)) => {
            let entry = put.entry.unwrap_or_default();
            What::Put {
                key: put.key,
                value: entry.value,
                version: entry.version,
                expires_at_ms: entry.expires_at_ms,
            }
        }
        Some(Event::Removed(removed)) => {
            let word = match removed.cause() {
                pb::RemovalCause::Expired => "expired",
                pb::RemovalCause::Evicted => "evicted",
                _ => "deleted",
            };
            What::Removed { word, key: removed.key, version: removed.version }
        }
        Some(Event::Unmatched(one)) => What::Unmatched { key: one.key, version: one.version },
        Some(Event::Cleared(cleared)) => What::Cleared { version: cleared.version },
        Some(Event::SnapshotBegun(_)) => What::SnapshotBegun,
        Some(Event::SnapshotDone(_)) => What::SnapshotDone,
        Some(Event::Lagged(lagged)) => What::Lagged { missed: lagged.missed },
        Some(Event::Compacted(_)) => What::Compacted,
    };
    Some(MapEvent { partition: event.partition as u16, token: event.token, what })
}
