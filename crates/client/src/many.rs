//! Many keys at once: get_many, put_many, delete_many. Keys are spread over the connections, share frames, and fail one by
//! one.

use std::borrow::Borrow;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use isogrid_core::{Condition, Expiry};

use crate::batch::{self, Maps, Work};
use crate::call::unexpected;
use crate::codec::Codec;
use crate::error::{Error, Result};
use crate::key::Key;
use crate::lane::OwnedReply;
use crate::map::Map;
use crate::ops::duration_ms;
use crate::prepared::{Action, Prepared};
use crate::span::{self, Seen};
use crate::value::ReadFrom;

type Boxed<'a, T> = Pin<Box<dyn Future<Output = Result<T>> + Send + 'a>>;

/// What became of many writes.
#[derive(Clone, Debug)]
#[must_use = "some of the writes may have failed"]
pub struct Report<Q> {
    /// How many succeeded.
    pub ok: usize,
    /// How many of those found no such key: only deletes do.
    pub missing: usize,
    /// The keys whose write failed, each with its error.
    pub failed: Vec<(Q, Error)>,
}

impl<Q> Report<Q> {
    /// Whether nothing failed.
    pub fn is_complete(&self) -> bool {
        self.failed.is_empty()
    }

    /// How many succeeded, or the first error.
    pub fn all(self) -> Result<usize> {
        match self.failed.into_iter().next() {
            None => Ok(self.ok),
            Some((_, error)) => Err(error),
        }
    }
}

/// Gets many keys: made by [`Map::get_many`].
#[must_use = "nothing is read unless it is awaited"]
pub struct GetMany<'a, K, V, C, Q> {
    map: &'a Map<K, V, C>,
    keys: Vec<Q>,
    timeout: Option<Duration>,
    from: Option<ReadFrom>,
}

/// Puts many entries: made by [`Map::put_many`].
#[must_use = "nothing is written unless it is awaited"]
pub struct PutMany<'a, K, V, C, Q, U> {
    map: &'a Map<K, V, C>,
    entries: Vec<(Q, U)>,
    expiry: Expiry,
    timeout: Option<Duration>,
}

/// Deletes many keys: made by [`Map::delete_many`].
#[must_use = "nothing is removed unless it is awaited"]
pub struct DeleteMany<'a, K, V, C, Q> {
    map: &'a Map<K, V, C>,
    keys: Vec<Q>,
    timeout: Option<Duration>,
}

impl<K: Key, V, C: Codec<V>> Map<K, V, C> {
    /// The values of many keys, in the order of the keys, each with its own result. Changes nothing; dropping the future
    /// is harmless.
    ///
    /// ```
    /// # use isogrid_client::testing::Cluster;
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> isogrid_client::Result<()> {
    /// # let cluster = Cluster::start(1).await?;
    /// # let grid = cluster.grid().await?;
    /// let scores = grid.map::<String, u64>("scores");
    /// scores.put("ann", &7).await?;
    /// for (name, score) in scores.get_many(["ann", "bob"]).await? {
    ///     assert_eq!(score?, if name == "ann" { Some(7) } else { None });
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn get_many<Q>(&self, keys: impl IntoIterator<Item = Q>) -> GetMany<'_, K, V, C, Q>
    where
        Q: Key<Form = K::Form>,
    {
        GetMany { map: self, keys: keys.into_iter().collect(), timeout: None, from: None }
    }

    /// Writes many entries and reports which failed. Values can be given or lent. There is no order among them: with the
    /// same key twice, either value may stay.
    ///
    /// Dropping the future may leave any of the writes done or not done.
    ///
    /// ```
    /// # use isogrid_client::testing::Cluster;
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> isogrid_client::Result<()> {
    /// # let cluster = Cluster::start(1).await?;
    /// # let grid = cluster.grid().await?;
    /// let squares = grid.map::<u64, u64>("squares");
    /// let report = squares.put_many((0..1_000u64).map(|n| (n, n * n))).await?;
    /// assert_eq!((report.ok, report.failed.len()), (1_000, 0));
    /// # Ok(())
    /// # }
    /// ```
    pub fn put_many<Q, U>(
        &self,
        entries: impl IntoIterator<Item = (Q, U)>,
    ) -> PutMany<'_, K, V, C, Q, U>
    where
        Q: Key<Form = K::Form>,
        U: Borrow<V>,
    {
        let entries = entries.into_iter().collect();
        PutMany { map: self, entries, expiry: Expiry::Never, timeout: None }
    }

    /// Removes many keys and reports which failed. Dropping the future may leave any of them removed or not.
    ///
    /// ```
    /// # use isogrid_client::testing::Cluster;
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> isogrid_client::Result<()> {
    /// # let cluster = Cluster::start(1).await?;
    /// # let grid = cluster.grid().await?;
    /// let scores = grid.map::<String, u64>("scores");
    /// scores.put("ann", &7).await?;
    /// let report = scores.delete_many(["ann", "bob"]).await?;
    /// assert_eq!((report.ok, report.missing), (2, 1));
    /// # Ok(())
    /// # }
    /// ```
    pub fn delete_many<Q>(&self, keys: impl IntoIterator<Item = Q>) -> DeleteMany<'_, K, V, C, Q>
    where
        Q: Key<Form = K::Form>,
    {
        DeleteMany { map: self, keys: keys.into_iter().collect(), timeout: None }
    }

    /// Does prepared operations on this map.
    pub(crate) async fn run_many(
        &self,
        name: &'static str,
        operations: &[Prepared<'_>],
        timeout: Option<Duration>,
    ) -> Result<Vec<Result<OwnedReply>>> {
        self.target.check_name()?;
        let link = self.target.grid.link();
        let map: &Arc<str> = &self.target.name;
        let timeout = timeout.unwrap_or(link.settings.request_timeout);
        let seen = span::of(&link.settings.tracer, name, map, operations.len());
        let trace = seen.as_deref().and_then(Seen::trace);
        let work = Work { maps: Maps::All(map), operations, trace };
        let results = batch::run(link, work, timeout).await;
        if let Some(seen) = seen {
            seen.answered(results.iter().find_map(|result| result.as_ref().err()));
        }
        Ok(results)
    }
}

impl<K, V, C, Q> GetMany<'_, K, V, C, Q> {
    /// Which replicas may answer; the map's setting decides unless this is said.
    pub fn read_from(mut self, from: ReadFrom) -> Self {
        self.from = Some(from);
        self
    }

    /// How long all of it may take, retries included.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }
}

impl<K, V, C, Q, U> PutMany<'_, K, V, C, Q, U> {
    /// How long all of it may take, retries included.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// The records expire this long after the write.
    pub fn ttl(mut self, ttl: Duration) -> Self {
        self.expiry = Expiry::AfterMs(duration_ms(ttl));
        self
    }

    /// The records keep the expiry they have; new ones never expire.
    pub fn keep_ttl(mut self) -> Self {
        self.expiry = Expiry::Keep;
        self
    }
}

impl<K, V, C, Q> DeleteMany<'_, K, V, C, Q> {
    /// How long all of it may take, retries included.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }
}

impl<'a, K, V, C, Q> IntoFuture for GetMany<'a, K, V, C, Q>
where
    K: Key + 'a,
    K::Form: 'a,
    V: Send + 'a,
    C: Codec<V>,
    Q: Key<Form = K::Form> + Send + Sync + 'a,
{
    type Output = Result<Vec<(Q, Result<Option<V>>)>>;
    type IntoFuture = Boxed<'a, Vec<(Q, Result<Option<V>>)>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            let replies = {
                let keys = self.keys.iter().map(Key::key_bytes);
                let mut operations: Vec<Prepared<'_>> =
                    keys.map(|key| Prepared::new(key, Action::Get)).collect();
                if let Some(from) = self.from {
                    let choose = |get: &mut Prepared<'_>| {
                        get.read_choice().mode = Some(from.mode());
                    };
                    operations.iter_mut().for_each(choose);
                }
                self.map.run_many("get_many", &operations, self.timeout).await?
            };
            let codec = &self.map.codec;
            let value = |reply: Result<OwnedReply>| match reply? {
                OwnedReply::Found(entry) => codec.decode(entry.value).map(Some),
                OwnedReply::Missing => Ok(None),
                other => Err(unexpected(&other)),
            };
            Ok(self.keys.into_iter().zip(replies.into_iter().map(value)).collect())
        })
    }
}

impl<'a, K, V, C, Q, U> IntoFuture for PutMany<'a, K, V, C, Q, U>
where
    K: Key + 'a,
    K::Form: 'a,
    V: 'a,
    C: Codec<V>,
    Q: Key<Form = K::Form> + Send + Sync + 'a,
    U: Borrow<V> + Send + Sync + 'a,
{
    type Output = Result<Report<Q>>;
    type IntoFuture = Boxed<'a, Report<Q>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            let action = Action::Put {
                condition: Condition::Always,
                expiry: self.expiry,
                return_old: false,
            };
            let mut refused: Vec<Option<Error>> = Vec::with_capacity(self.entries.len());
            let mut replies = {
                let mut operations: Vec<Prepared<'_>> = Vec::with_capacity(self.entries.len());
                for (key, value) in &self.entries {
                    match self.map.codec.encode(value.borrow()) {
                        Ok(value) => {
                            let put = Prepared::new(key.key_bytes(), action.clone());
                            operations.push(put.with_value(value));
                            refused.push(None);
                        }
                        Err(error) => refused.push(Some(error)),
                    }
                }
                self.map.run_many("put_many", &operations, self.timeout).await?.into_iter()
            };
            let mut report = Report { ok: 0, missing: 0, failed: Vec::new() };
            for ((key, _), refused) in self.entries.into_iter().zip(refused) {
                let reply = match refused {
                    Some(error) => Err(error),
                    None => replies.next().unwrap_or(Ok(OwnedReply::Awaited)),
                };
                report.add(key, reply);
            }
            Ok(report)
        })
    }
}

impl<'a, K, V, C, Q> IntoFuture for DeleteMany<'a, K, V, C, Q>
where
    K: Key + 'a,
    K::Form: 'a,
    V: 'a,
    C: Codec<V>,
    Q: Key<Form = K::Form> + Send + Sync + 'a,
{
    type Output = Result<Report<Q>>;
    type IntoFuture = Boxed<'a, Report<Q>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            let action = Action::Delete { condition: Condition::Always, return_old: false };
            let replies = {
                let keys = self.keys.iter().map(Key::key_bytes);
                let operations: Vec<Prepared<'_>> =
                    keys.map(|key| Prepared::new(key, action.clone())).collect();
                self.map.run_many("delete_many", &operations, self.timeout).await?
            };
            let mut report = Report { ok: 0, missing: 0, failed: Vec::new() };
            for (key, reply) in self.keys.into_iter().zip(replies) {
                report.add(key, reply);
            }
            Ok(report)
        })
    }
}

impl<Q> Report<Q> {
    fn add(&mut self, key: Q, reply: Result<OwnedReply>) {
        match reply {
            Ok(OwnedReply::Written { .. } | OwnedReply::Deleted { .. }) => self.ok += 1,
            Ok(OwnedReply::Missing) => {
                self.ok += 1;
                self.missing += 1;
            }
            Ok(other) => self.failed.push((key, unexpected(&other))),
            Err(error) => self.failed.push((key, error)),
        }
    }
}

impl<K, V, C, Q> fmt::Debug for GetMany<'_, K, V, C, Q> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GetMany").field("keys", &self.keys.len()).finish_non_exhaustive()
    }
}

impl<K, V, C, Q, U> fmt::Debug for PutMany<'_, K, V, C, Q, U> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PutMany").field("entries", &self.entries.len()).finish_non_exhaustive()
    }
}

impl<K, V, C, Q> fmt::Debug for DeleteMany<'_, K, V, C, Q> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DeleteMany").field("keys", &self.keys.len()).finish_non_exhaustive()
    }
}
