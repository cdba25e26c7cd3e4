//! [`Live`]: what a filter means, kept up to date: records enter, change and leave. Which of them are shown is known here and nowhere else, so
//! that no owner has to remember it, and the loss of one loses nothing: see [`Members`] and [`Top`].

mod kept;
mod raw;

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use futures::Stream;
use isogrid_core::{Timestamp, Version};
use isogrid_value::{Change, Filter, Order, col};

use super::{Watch, WatchToken};
use crate::codec::Codec;
use crate::error::Result;
use crate::key::{Key, OwnedKey};
use crate::map::Map;
use crate::scan::decode_key;
use crate::value::Versioned;
pub(crate) use raw::{RawEntry, RawEvent, RawLive, Request, Sorted};

/// How many records may match unless set otherwise.
const KEYS_MAX_DEFAULT: usize = 1_000_000;

/// How many records a live top has unless set otherwise, and at most.
const LIMIT_DEFAULT: usize = 10;
pub(crate) const LIMIT_MAX: usize = 1_000;

/// A change of what a filter means.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum LiveEvent<K, V> {
    /// The record was not shown, and is.
    Enter(K, Versioned<V>),
    /// The record was shown, and is; it may be another one now.
    Update(K, Versioned<V>),
    /// The record was shown, and is not: it is gone, or is not meant any more.
    Leave(K),
    /// All that was there when the watch began has been told.
    Ready,
}

/// A watch of what a filter means, to be set up: made by [`Watch::filter`] and [`Watch::live`].
#[must_use = "nothing is watched before `stream`"]
pub struct Live<'a, K, V, C> {
    map: &'a Map<K, V, C>,
    request: Request,
}

/// A watch of the first few records in an order, to be set up: made by [`Live::order_by`].
#[must_use = "nothing is watched before `stream`"]
pub struct LiveTop<'a, K, V, C>(Live<'a, K, V, C>, Sorted);

impl<'a, K: OwnedKey, V, C: Codec<V>> Watch<'a, K, V, C> {
    /// What a filter means, kept up to date: all that is there enters first, then records enter, change and leave. The filter
    /// is looked at where the records are; of a write that it does not mean only the key travels.
    ///
    /// ```
    /// # use isogrid_client::testing::Cluster;
    /// use futures::TryStreamExt;
    /// use isogrid_client::{Json, LiveEvent, col};
    /// use serde_json::{Value, json};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> isogrid_client::Result<()> {
    /// # let cluster = Cluster::start(1).await?;
    /// # let grid = cluster.grid().await?;
    /// let users = grid.map_with::<String, Value, _>("users", Json);
    /// users.put("u1", &json!({"age": 41})).await?;
    /// let mut adults = users.watch().filter(col("age").ge(18)).stream();
    /// assert!(matches!(adults.try_next().await?, Some(LiveEvent::Enter(key, _)) if key == "u1"));
    /// assert_eq!(adults.try_next().await?, Some(LiveEvent::Ready));
    /// users.put("u1", &json!({"age": 14})).await?;
    /// assert_eq!(adults.try_next().await?, Some(LiveEvent::Leave("u1".into())));
    /// # Ok(())
    /// # }
    /// ```
    pub fn filter(self, filter: Filter) -> Live<'a, K, V, C> {
        self.live().filter(filter)
    }

    /// All records, kept up to date in the same way.
    pub fn live(self) -> Live<'a, K, V, C> {
        let target = &self.map.target;
        let request = Request {
            link: target.grid.link().clone(),
            map: target.name.to_string(),
            prefix: self.prefix,
            filter: Filter::All(Vec::new()),
            token: self.token,
            held: Vec::new(),
            keys_max: KEYS_MAX_DEFAULT,
            refused: target.check_name().err(),
        };
        Live { map: self.map, request }
    }
}

impl<'a, K: OwnedKey, V, C: Codec<V>> Live<'a, K, V, C> {
    /// Only records that this means too.
    pub fn filter(mut self, filter: Filter) -> Self {
        self.request.filter = match self.request.filter {
            Filter::All(all) if all.is_empty() => filter,
            other => other.and(filter),
        };
        self
    }

    /// At most so many records may match, a million unless set: their keys are kept in memory. One more ends the stream with
    /// an error.
    pub fn keys_max(mut self, keys: usize) -> Self {
        self.request.keys_max = keys;
        self
    }

    /// These keys were shown by the watch whose token is [resumed](Watch::resume), when it stood there. They are not told
    /// again, but what has changed of them is.
    pub fn holding<Q: Key<Form = K::Form>>(mut self, keys: impl IntoIterator<Item = Q>) -> Self {
        let key = |key: Q| Bytes::copy_from_slice(key.key_bytes().as_ref());
        self.request.held.extend(keys.into_iter().map(key));
        self
    }

    /// Only the first few in the order of a field, the smallest first: see [`LiveTop::limit`]. Records without the field come
    /// last.
    pub fn order_by(self, path: &str) -> LiveTop<'a, K, V, C> {
        let order = Order::default();
        LiveTop(self, Sorted { field: col(path), order, limit: LIMIT_DEFAULT })
    }

    /// Begins. The stream ends with the client, or with an error that trying again would not mend; the loss of nodes it
    /// survives.
    pub fn stream(self) -> LiveStream<K, V>
    where
        V: 'static,
    {
        LiveStream::new(self.map, RawLive::begin(self.request, None))
    }
}

impl<K: OwnedKey, V, C: Codec<V>> LiveTop<'_, K, V, C> {
    /// The greatest first. Records without the field still come last.
    pub fn descending(mut self) -> Self {
        self.1.order.is_descending = true;
        self
    }

    /// The first so many: ten unless set, at most 1,000. Those behind them are kept as a reserve, at least a hundred; when so
    /// many of the first have gone that it is used up, all records are looked at again.
    pub fn limit(mut self, records: usize) -> Self {
        self.1.limit = records;
        self
    }

    /// Begins; what is first enters once all that is there was looked at. Such a stream has no token: begin another one.
    pub fn stream(self) -> LiveStream<K, V>
    where
        V: 'static,
    {
        LiveStream::new(self.0.map, RawLive::begin(self.0.request, Some(self.1)))
    }
}

/// The events of a [`Live`] or a [`LiveTop`].
pub struct LiveStream<K, V> {
    raw: RawLive,
    decode: Box<dyn Fn(Bytes) -> Result<V> + Send>,
    keys: std::marker::PhantomData<fn() -> K>,
}

impl<K: OwnedKey, V: 'static> LiveStream<K, V> {
    fn new<C: Codec<V>>(map: &Map<K, V, C>, raw: RawLive) -> Self {
        let codec = map.codec.clone();
        let decode = Box::new(move |bytes| codec.decode(bytes));
        LiveStream { raw, decode, keys: std::marker::PhantomData }
    }
}

impl<K, V> LiveStream<K, V> {
    /// Where the watch stands, behind the last event that was taken: with the keys that are shown then, another watch
    /// [goes on](Live::holding) there.
    pub fn token(&self) -> WatchToken {
        self.raw.token()
    }
}

impl<K: OwnedKey, V> LiveStream<K, V> {
    fn event(&self, event: RawEvent) -> Result<LiveEvent<K, V>> {
        let record = |key: Box<[u8]>, entry: RawEntry| -> Result<(K, Versioned<V>)> {
            let value = (self.decode)(entry.value)?;
            let (version, expires_at) =
                (Version(entry.version), entry.expires_at_ms.map(Timestamp));
            Ok((decode_key(key.into_vec().into())?, Versioned { value, version, expires_at }))
        };
        Ok(match event {
            RawEvent::Ready => LiveEvent::Ready,
            RawEvent::Change(Change::Leave(key)) => {
                LiveEvent::Leave(decode_key(key.into_vec().into())?)
            }
            RawEvent::Change(Change::Enter(key, entry)) => {
                let (key, value) = record(key, entry)?;
                LiveEvent::Enter(key, value)
            }
            RawEvent::Change(Change::Update(key, entry)) => {
                let (key, value) = record(key, entry)?;
                LiveEvent::Update(key, value)
            }
        })
    }
}

impl<K: OwnedKey, V> Stream for LiveStream<K, V> {
    type Item = Result<LiveEvent<K, V>>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let live = self.get_mut();
        let event = ready!(live.raw.poll_event(cx));
        Poll::Ready(event.map(|event| event.and_then(|event| live.event(event))))
    }
}

impl<K, V, C> fmt::Debug for Live<'_, K, V, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (map, filter) = (self.map.name(), &self.request.filter);
        f.debug_struct("Live").field("map", &map).field("filter", filter).finish_non_exhaustive()
    }
}

impl<K, V, C> fmt::Debug for LiveTop<'_, K, V, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("LiveTop").field(&self.0).field(&self.1).finish()
    }
}

impl<K, V> fmt::Debug for LiveStream<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LiveStream").finish_non_exhaustive()
    }
}
