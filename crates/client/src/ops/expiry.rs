//! Changing when a record expires.

use std::time::{Duration, SystemTime};

use isogrid_core::Expiry;

use super::read::Ask;
use super::{Operation, duration_ms, timestamp};
use crate::codec::Codec;
use crate::key::Key;
use crate::map::Map;
use crate::prepared::{Action, Prepared};

impl<K: Key, V, C: Codec<V>> Map<K, V, C> {
    /// Makes a record expire after this time, and says whether the key is present. Dropping the future may leave it done
    /// or not done.
    ///
    /// ```
    /// # use isogrid_client::testing::Cluster;
    /// # use std::time::Duration;
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> isogrid_client::Result<()> {
    /// # let cluster = Cluster::start(1).await?;
    /// # let grid = cluster.grid().await?;
    /// let scores = grid.map::<String, u64>("scores");
    /// scores.put("ann", &7).await?;
    /// assert!(scores.expire("ann", Duration::from_secs(60)).await?);
    /// assert!(scores.get("ann").versioned().await?.is_some_and(|v| v.expires_at.is_some()));
    /// assert!(scores.persist("ann").await?);
    /// assert!(scores.get("ann").versioned().await?.is_some_and(|v| v.expires_at.is_none()));
    /// # Ok(())
    /// # }
    /// ```
    pub fn expire<'a, Q>(&'a self, key: &'a Q, ttl: Duration) -> Operation<'a, C, Ask>
    where
        Q: Key<Form = K::Form> + ?Sized,
    {
        self.change_expiry(key, Expiry::AfterMs(duration_ms(ttl)))
    }

    /// Makes a record expire at this time, and says whether the key is present. Dropping the future may leave it done or
    /// not done.
    pub fn expire_at<'a, Q>(&'a self, key: &'a Q, at: SystemTime) -> Operation<'a, C, Ask>
    where
        Q: Key<Form = K::Form> + ?Sized,
    {
        self.change_expiry(key, Expiry::At(timestamp(at)))
    }

    /// Makes a record never expire, and says whether the key is present. Dropping the future may leave it done or not
    /// done.
    pub fn persist<'a, Q>(&'a self, key: &'a Q) -> Operation<'a, C, Ask>
    where
        Q: Key<Form = K::Form> + ?Sized,
    {
        self.change_expiry(key, Expiry::Never)
    }

    fn change_expiry<'a, Q>(&'a self, key: &'a Q, expiry: Expiry) -> Operation<'a, C, Ask>
    where
        Q: Key<Form = K::Form> + ?Sized,
    {
        Operation::new(self, Prepared::new(key.key_bytes(), Action::Expire { expiry }))
    }
}
