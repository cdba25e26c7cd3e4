//! Read, change, write back: again, until nobody else wrote in between.

use std::fmt;
use std::marker::PhantomData;
use std::pin::Pin;
use std::time::{Duration, Instant};

use isogrid_core::{ErrorCode, Version};

use crate::codec::Codec;
use crate::error::{Error, Result};
use crate::key::{Key, KeyBytes};
use crate::map::Map;
use crate::retry::random_share;
use crate::value::{Delete, Put, Versioned};

/// The bound of the pause after lost races: doubles from the first to the second.
const PAUSE_BASE: Duration = Duration::from_micros(200);
const PAUSE_MAX: Duration = Duration::from_millis(20);

/// An update: set its options, then `.await` it. Made by [`Map::update`].
#[must_use = "an update does nothing unless it is awaited"]
pub struct Update<'a, K, V, C, F> {
    map: &'a Map<K, V, C>,
    key: KeyBytes<'a>,
    change: F,
    timeout: Option<Duration>,
    ttl: Option<Duration>,
}

impl<K: Key, V, C: Codec<V>> Map<K, V, C> {
    /// Changes a value with a function, and gives back the new one. The function gets the present value and says the new
    /// one; `None` means absent, on both sides. Unless told otherwise the record keeps its expiry.
    ///
    /// Nothing is locked: the value is read, changed here, and written back if nobody wrote it meanwhile; otherwise all
    /// of it happens again after a short pause. So the function may run several times and must not have effects of its
    /// own.
    ///
    /// Dropping the future may leave the change done or not done; it is never done twice.
    ///
    /// ```
    /// # use isogrid_client::testing::Cluster;
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> isogrid_client::Result<()> {
    /// # let cluster = Cluster::start(1).await?;
    /// # let grid = cluster.grid().await?;
    /// let carts = grid.map::<String, Vec<String>>("carts");
    /// let add = |item: &'static str| move |cart: Option<Vec<String>>| {
    ///     let mut cart = cart.unwrap_or_default();
    ///     cart.push(item.into());
    ///     Some(cart)
    /// };
    /// carts.update("ann", add("tea")).await?;
    /// assert_eq!(carts.update("ann", add("milk")).await?.unwrap().len(), 2);
    /// assert_eq!(carts.update("ann", |_| None).await?, None);
    /// assert!(!carts.contains("ann").await?);
    /// # Ok(())
    /// # }
    /// ```
    pub fn update<'a, Q, F>(&'a self, key: &'a Q, change: F) -> Update<'a, K, V, C, F>
    where
        Q: Key<Form = K::Form> + ?Sized,
        F: FnMut(Option<V>) -> Option<V> + Send + 'a,
    {
        Update { map: self, key: key.key_bytes(), change, timeout: None, ttl: None }
    }
}

impl<K, V, C, F> Update<'_, K, V, C, F> {
    /// How long the update may take, all its attempts included.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// The record expires this long after the update.
    pub fn ttl(mut self, ttl: Duration) -> Self {
        self.ttl = Some(ttl);
        self
    }
}

/// What one attempt came to.
enum Attempt<V> {
    Done(Option<V>),
    /// Somebody was faster; this stands there now.
    Lost(Option<Versioned<V>>),
}

/// The key of an update, encoded once for all attempts.
struct EncodedKey<'k, F: ?Sized> {
    bytes: KeyBytes<'k>,
    form: PhantomData<fn(&F)>,
}

impl<F: ?Sized> Key for EncodedKey<'_, F> {
    type Form = F;

    fn key_bytes(&self) -> KeyBytes<'_> {
        KeyBytes::borrowed(self.bytes.as_ref())
    }
}

impl<'a, K, V, C, F> Update<'a, K, V, C, F>
where
    K: Key,
    V: Send,
    C: Codec<V>,
    F: FnMut(Option<V>) -> Option<V> + Send + 'a,
{
    async fn run(self) -> Result<Option<V>> {
        let Update { map, key, mut change, timeout, ttl } = self;
        let timeout = timeout.unwrap_or(map.target.grid.link().settings.request_timeout);
        let begun = Instant::now();
        let left = || timeout.saturating_sub(begun.elapsed());
        let key = EncodedKey::<K::Form> { bytes: key, form: PhantomData };
        let mut races_lost = 0u32;
        let mut current = map.get(&key).versioned().timeout(left()).await?;
        loop {
            let (value, version) = match current {
                Some(current) => (Some(current.value), Some(current.version)),
                None => (None, None),
            };
            let new = change(value);
            match write_back(map, &key, version, new, (ttl, left())).await? {
                Attempt::Done(value) => return Ok(value),
                Attempt::Lost(now) => current = now,
            }
            races_lost += 1;
            if left().is_zero() {
                let detail = format!("{races_lost} writes of others came in between");
                return Err(Error::new(ErrorCode::DeadlineBeforeStart, detail));
            }
            if races_lost > 1 {
                let bound = PAUSE_BASE.saturating_mul(1 << races_lost.min(10)).min(PAUSE_MAX);
                tokio::time::sleep(bound.mul_f64(random_share()).min(left())).await;
                // After a pause the value has probably changed again.
                current = map.get(&key).versioned().timeout(left()).await?;
            }
        }
    }
}

/// Writes a changed value if the record still has the version that it was read with.
async fn write_back<K: Key, V: Send, C: Codec<V>>(
    map: &Map<K, V, C>,
    key: &EncodedKey<'_, K::Form>,
    version: Option<Version>,
    new: Option<V>,
    (ttl, left): (Option<Duration>, Duration),
) -> Result<Attempt<V>> {
    let Some(new) = new else {
        let Some(version) = version else { return Ok(Attempt::Done(None)) };
        return Ok(match map.delete(key).if_version(version).timeout(left).await? {
            Delete::Deleted(_) => Attempt::Done(None),
            Delete::Missing => Attempt::Lost(None),
            Delete::Conflict(current) => Attempt::Lost(Some(current)),
        });
    };
    let put = map.put(key, &new).timeout(left);
    let put = match ttl {
        Some(ttl) => put.ttl(ttl),
        None => put.keep_ttl(),
    };
    let put = match version {
        Some(version) => put.if_version(version),
        None => put.if_absent(),
    };
    Ok(match put.await? {
        Put::Stored(_) => Attempt::Done(Some(new)),
        Put::Conflict(current) => Attempt::Lost(current),
    })
}

impl<'a, K, V, C, F> IntoFuture for Update<'a, K, V, C, F>
where
    K: Key + 'a,
    V: Send + 'a,
    C: Codec<V>,
    F: FnMut(Option<V>) -> Option<V> + Send + 'a,
    K::Form: 'a,
{
    type Output = Result<Option<V>>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send + 'a>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.run())
    }
}

impl<K, V, C, F> fmt::Debug for Update<'_, K, V, C, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Update").field("map", &self.map.name()).finish_non_exhaustive()
    }
}
