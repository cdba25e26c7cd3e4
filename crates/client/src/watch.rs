//! Watching a map: what changes in it, as it is committed, in order for each partition. A watch survives the loss of nodes:
//! it goes on at the next owner, behind the last event it gave.

mod follow;
mod live;
mod token;

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use futures::Stream;
use isogrid_core::{Cause, Timestamp, Version};
use isogrid_proto::pb;
use isogrid_proto::pb::watch_event::Event as Wire;
use tokio::sync::mpsc;

use crate::codec::Codec;
use crate::error::Result;
use crate::key::{Key, OwnedKey};
use crate::lane::OwnedEntry;
use crate::map::Map;
use crate::scan::decode_key;
use crate::value::Versioned;
use follow::Watcher;
pub use live::{Live, LiveEvent, LiveStream, LiveTop};
#[cfg(feature = "sql")]
pub(crate) use live::{RawEntry, RawEvent, RawLive, Request, Sorted};
pub use token::WatchToken;

/// How many replies of nodes wait for a slow reader; behind them the nodes wait, and leave out what is too much.
const REPLIES_WAITING_MAX: usize = 64;

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
            filter: Bytes::new(),
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
            // Only who has a filter is told these.
            Wire::Unmatched(_) | Wire::SnapshotBegun(_) => return Ok(None),
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
