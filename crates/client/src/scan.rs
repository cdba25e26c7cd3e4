//! Walking over a map: scan, and what counts or clears all of it. Page by page: [`pages`].

mod filtered;
mod pages;

use std::collections::{BTreeSet, VecDeque};
use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use futures::{Stream, StreamExt, stream};
use isogrid_core::{ErrorCode, Outcome, PartitionId};
use isogrid_value::Filter;

use crate::batch::count_of;
use crate::call::{Call, MapTarget, unexpected};
use crate::codec::Codec;
use crate::error::{Error, Result};
use crate::key::{Key, KeyBytes, OwnedKey};
use crate::lane::{OwnedEntry, OwnedPage, OwnedReply};
use crate::map::Map;
use crate::prepared::{Action, Prepared, ScanAction};

pub(crate) use filtered::{encoded, named_partitions};
pub use pages::{ScanPage, ScanPages, ScanToken};

/// How many partitions are walked at the same time; each holds at most one page.
const PARTITIONS_AT_ONCE: usize = 8;

/// How many entries a page has that does not say otherwise.
const PAGE_ENTRIES_DEFAULT: u32 = 256;

/// What a scan asks for.
#[derive(Clone, Debug)]
struct Request {
    target: MapTarget,
    prefix: Box<[u8]>,
    glob: Box<[u8]>,
    /// Encoded; empty: none.
    filter: Result<bytes::Bytes>,
    /// The partitions that are walked over; `None`: all.
    only: Option<BTreeSet<PartitionId>>,
    limit: Option<usize>,
    page_entries: u32,
    with_values: bool,
    timeout: Option<Duration>,
}

/// A walk over the entries of a map: set its options, then call [`stream`](Scan::stream). Made by [`Map::scan`].
#[must_use = "nothing is read before `stream`"]
pub struct Scan<'a, K, V, C> {
    map: &'a Map<K, V, C>,
    filter: Option<Filter>,
    request: Request,
}

/// A walk over the keys of a map: see [`Scan::keys_only`].
#[must_use = "nothing is read before `stream`"]
pub struct ScanKeys<'a, K, V, C>(Scan<'a, K, V, C>);

/// The entries that a scan finds, as they come.
#[must_use = "streams do nothing unless they are polled"]
pub struct ScanStream<T>(Pin<Box<dyn Stream<Item = Result<T>> + Send>>);

impl<K: OwnedKey, V, C: Codec<V>> Map<K, V, C> {
    /// Walks over the entries, in no order, while others may write. A key that is there all the time is found exactly
    /// once; one that comes or goes meanwhile may be found or not.
    ///
    /// A few pages are read ahead, and no more until the stream is polled: memory stays bounded, and dropping the stream
    /// ends the walk.
    ///
    /// ```
    /// # use isogrid_client::testing::Cluster;
    /// use futures::TryStreamExt;
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> isogrid_client::Result<()> {
    /// # let cluster = Cluster::start(1).await?;
    /// # let grid = cluster.grid().await?;
    /// let users = grid.map::<String, u32>("users");
    /// let report = users.put_many((0..100).map(|n| (format!("user:{n}"), n))).await?;
    /// assert!(report.is_complete());
    /// let some: Vec<(String, u32)> =
    ///     users.scan().prefix("user:1").limit(5).stream().try_collect().await?;
    /// assert_eq!(some.len(), 5);
    /// let keys: Vec<String> = users.scan().glob("user:?").keys_only().stream().try_collect().await?;
    /// assert_eq!(keys.len(), 10);
    /// # Ok(())
    /// # }
    /// ```
    pub fn scan(&self) -> Scan<'_, K, V, C> {
        let request = Request {
            target: self.target.clone(),
            prefix: Box::default(),
            glob: Box::default(),
            filter: Ok(bytes::Bytes::new()),
            only: None,
            limit: None,
            page_entries: PAGE_ENTRIES_DEFAULT,
            with_values: true,
            timeout: None,
        };
        Scan { map: self, filter: None, request }
    }
}

impl<K: Key, V, C: Codec<V>> Map<K, V, C> {
    /// How many entries the map has. Partitions are asked at about the same time, not at the same instant. Changes
    /// nothing; dropping the future is harmless.
    ///
    /// ```
    /// # use isogrid_client::testing::Cluster;
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> isogrid_client::Result<()> {
    /// # let cluster = Cluster::start(1).await?;
    /// # let grid = cluster.grid().await?;
    /// let users = grid.map::<u32, u32>("users");
    /// assert!(users.put_many((0..100u32).map(|n| (n, n))).await?.is_complete());
    /// assert_eq!(users.len().await?, 100);
    /// assert_eq!(users.clear().await?, 100);
    /// assert!(users.is_empty().await?);
    /// # Ok(())
    /// # }
    /// ```
    pub async fn len(&self) -> Result<u64> {
        self.count("len", |partition| Action::Len { partition }).await
    }

    /// Whether the map has no entries. Changes nothing; dropping the future is harmless.
    pub async fn is_empty(&self) -> Result<bool> {
        Ok(self.len().await? == 0)
    }

    /// Removes all entries and says how many there were. Partitions are cleared one by one: entries written meanwhile may
    /// stay. Dropping the future may leave some partitions cleared.
    pub async fn clear(&self) -> Result<u64> {
        self.count("clear", |partition| Action::Clear { partition }).await
    }

    async fn count(
        &self,
        name: &'static str,
        action: impl Fn(PartitionId) -> Action<'static>,
    ) -> Result<u64> {
        let partitions = self.target.grid.link().routes.partitions();
        let operations: Vec<Prepared<'_>> =
            partitions.iter().map(|partition| Prepared::on_partition(action(partition))).collect();
        let replies = self.run_many(name, &operations, None).await?;
        let mut total = 0;
        let mut failure = None;
        for count in replies.into_iter().map(count_of) {
            match count {
                Ok(count) => total += count,
                Err(error) => failure = Some(error),
            }
        }
        match failure {
            None => Ok(total),
            // Some partitions were cleared before: the whole is neither done nor undone.
            Some(error) if total > 0 && name == "clear" => {
                Err(error.with_outcome(Outcome::Unknown))
            }
            Some(error) => Err(error),
        }
    }
}

impl<'a, K: OwnedKey, V, C: Codec<V>> Scan<'a, K, V, C> {
    /// Only keys that start with this.
    pub fn prefix<Q: Key<Form = K::Form> + ?Sized>(mut self, prefix: &Q) -> Self {
        self.request.prefix = prefix.key_bytes().as_ref().into();
        self
    }

    /// Only keys that match this glob: `*`, `?`, `[a-z]`, `[^x]`, `\` escapes.
    pub fn glob(mut self, glob: impl AsRef<[u8]>) -> Self {
        self.request.glob = glob.as_ref().into();
        self
    }

    /// At most so many entries.
    pub fn limit(mut self, entries: usize) -> Self {
        self.request.limit = Some(entries);
        self
    }

    /// About how many entries are asked for at a time: 256 unless set. Smaller pages need less memory, larger ones fewer
    /// messages.
    pub fn page_size(mut self, entries: u32) -> Self {
        self.request.page_entries = entries.max(1);
        self
    }

    /// How long each page may take, retries included.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.request.timeout = Some(timeout);
        self
    }

    /// Only keys; moves no values.
    pub fn keys_only(mut self) -> ScanKeys<'a, K, V, C> {
        self.request.with_values = false;
        ScanKeys(self)
    }

    /// Begins the walk.
    pub fn stream(self) -> ScanStream<(K, V)>
    where
        V: Send + 'static,
    {
        let codec = self.map.codec.clone();
        let decode = move |(key, entry): (bytes::Bytes, OwnedEntry)| {
            Ok((decode_key(key)?, codec.decode(entry.value)?))
        };
        ScanStream(Box::pin(walk(self.request).map(move |entry| entry.and_then(&decode))))
    }
}

impl<K: OwnedKey, V, C> ScanKeys<'_, K, V, C> {
    /// Begins the walk.
    pub fn stream(self) -> ScanStream<K> {
        let entries = walk(self.0.request);
        ScanStream(Box::pin(entries.map(|entry| entry.and_then(|(key, _)| decode_key(key)))))
    }
}

impl<T> Stream for ScanStream<T> {
    type Item = Result<T>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.get_mut().0.as_mut().poll_next(cx)
    }
}

pub(crate) fn decode_key<K: OwnedKey>(bytes: bytes::Bytes) -> Result<K> {
    let shown = bytes.slice(..bytes.len().min(40));
    K::from_key_bytes(bytes).ok_or_else(|| {
        Error::decode(format!(
            "key {:?} is not of the map's key type",
            shown.escape_ascii().to_string()
        ))
    })
}

/// All entries of all partitions, a few partitions at a time.
fn walk(request: Request) -> impl Stream<Item = Result<(bytes::Bytes, OwnedEntry)>> + Send {
    let limit = request.limit.unwrap_or(usize::MAX);
    stream::iter(walks(&request))
        .map(|walk| stream::unfold(walk, Walk::next).boxed())
        .flatten_unordered(PARTITIONS_AT_ONCE)
        .take(limit)
}

/// A walk for each partition, from its beginning.
fn walks(request: &Request) -> Vec<Walk> {
    let link = request.target.grid.link();
    let (partitions, entries_max) =
        (link.routes.partitions(), link.routes.limits().scan_entries_max);
    let limit = request.limit.unwrap_or(usize::MAX);
    let wanted = u32::try_from(limit.max(1)).unwrap_or(u32::MAX);
    let page_entries = request.page_entries.min(wanted).min(entries_max as u32).max(1);
    let named =
        |partition: &PartitionId| request.only.as_ref().is_none_or(|only| only.contains(partition));
    let walks = partitions.iter().map(move |partition| Walk {
        request: Request { page_entries, ..request.clone() },
        partition,
        cursor: named(&partition).then_some(0),
        page: VecDeque::new(),
    });
    walks.collect()
}

/// A walk over one partition.
struct Walk {
    request: Request,
    partition: PartitionId,
    /// Where the next page begins; `None` when there is none.
    cursor: Option<u64>,
    page: VecDeque<(bytes::Bytes, OwnedEntry)>,
}

impl Walk {
    async fn next(mut self) -> Option<(Result<(bytes::Bytes, OwnedEntry)>, Self)> {
        loop {
            if let Some(entry) = self.page.pop_front() {
                return Some((Ok(entry), self));
            }
            let cursor = self.cursor.take()?;
            match self.read(cursor).await {
                Ok(page) => {
                    self.cursor = page.next;
                    self.page = page.entries.into();
                }
                // Without its page the walk cannot go on.
                Err(error) => return Some((Err(error), self)),
            }
        }
    }

    async fn next_page(mut self) -> Option<(Result<(PartitionId, OwnedPage)>, Self)> {
        let cursor = self.cursor.take()?;
        let page = self.read(cursor).await;
        self.cursor = page.as_ref().ok().and_then(|page| page.next);
        Some((page.map(|page| (self.partition, page)), self))
    }

    async fn read(&self, cursor: u64) -> Result<OwnedPage> {
        let scan = Box::new(ScanAction {
            partition: self.partition,
            cursor,
            entries_max: self.request.page_entries,
            prefix: self.request.prefix.clone(),
            glob: self.request.glob.clone(),
            filter: self.request.filter.clone()?,
            with_values: self.request.with_values,
        });
        let prepared = Prepared::new(KeyBytes::borrowed(&[]), Action::Scan(scan));
        let mut call = Call::new(&self.request.target, prepared);
        if let Some(timeout) = self.request.timeout {
            call.set_timeout(timeout);
        }
        match std::future::poll_fn(|cx| call.poll_reply(cx)).await? {
            OwnedReply::Page(page) => {
                if page.next == Some(cursor) && page.entries.is_empty() {
                    let detail = "a scan does not advance";
                    return Err(Error::new(ErrorCode::Internal, detail));
                }
                Ok(*page)
            }
            other => Err(unexpected(&other)),
        }
    }
}

impl<K, V, C> fmt::Debug for Scan<'_, K, V, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Scan").field(&self.request).finish()
    }
}

impl<K, V, C> fmt::Debug for ScanKeys<'_, K, V, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ScanKeys").field(&self.0.request).finish()
    }
}

impl<T> fmt::Debug for ScanStream<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ScanStream").finish_non_exhaustive()
    }
}
