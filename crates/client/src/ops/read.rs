//! Reads: get, contains, touch. They change nothing, so the client retries them freely, also after a lost connection.

use std::marker::PhantomData;

use super::{Decode, Operation, Reads, Received, flag, mismatch, versioned};
use crate::codec::Codec;
use crate::error::Result;
use crate::key::Key;
use crate::lane::OwnedReply;
use crate::map::Map;
use crate::prepared::{Action, Prepared};
use crate::value::Versioned;

/// A get; gives the value.
#[derive(Debug)]
pub struct Get<V>(PhantomData<V>);

/// A get; gives the value with its version and expiry.
#[derive(Debug)]
pub struct GetVersioned<V>(PhantomData<V>);

/// A question about a key; gives yes or no.
#[derive(Debug)]
pub enum Ask {}

impl<K: Key, V, C: Codec<V>> Map<K, V, C> {
    /// The value of a key, or `None`. With [`versioned`](Operation::versioned) also its version and expiry. Changes
    /// nothing; dropping the future is harmless.
    ///
    /// ```
    /// # use isogrid_client::testing::Cluster;
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> isogrid_client::Result<()> {
    /// # let cluster = Cluster::start(1).await?;
    /// # let grid = cluster.grid().await?;
    /// let scores = grid.map::<String, u64>("scores");
    /// let version = scores.put("ann", &7).await?;
    /// assert_eq!(scores.get("ann").await?, Some(7));
    /// assert_eq!(scores.get("bob").await?, None);
    /// assert_eq!(scores.get("ann").versioned().await?.map(|v| v.version), Some(version));
    /// # Ok(())
    /// # }
    /// ```
    #[inline]
    pub fn get<'a, Q>(&'a self, key: &'a Q) -> Operation<'a, C, Get<V>>
    where
        Q: Key<Form = K::Form> + ?Sized,
    {
        Operation::new(self, Prepared::new(key.key_bytes(), Action::Get))
    }

    /// Whether a key is present; moves no value. Changes nothing; dropping the future is harmless.
    ///
    /// ```
    /// # use isogrid_client::testing::Cluster;
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> isogrid_client::Result<()> {
    /// # let cluster = Cluster::start(1).await?;
    /// # let grid = cluster.grid().await?;
    /// let scores = grid.map::<String, u64>("scores");
    /// scores.put("ann", &7).await?;
    /// assert!(scores.contains("ann").await? && !scores.contains("bob").await?);
    /// # Ok(())
    /// # }
    /// ```
    pub fn contains<'a, Q>(&'a self, key: &'a Q) -> Operation<'a, C, Ask>
    where
        Q: Key<Form = K::Form> + ?Sized,
    {
        Operation::new(self, Prepared::new(key.key_bytes(), Action::Exists))
    }

    /// Marks a key as recently used, so that eviction spares it, and says whether it is present. Changes no value;
    /// dropping the future is harmless.
    ///
    /// ```
    /// # use isogrid_client::testing::Cluster;
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> isogrid_client::Result<()> {
    /// # let cluster = Cluster::start(1).await?;
    /// # let grid = cluster.grid().await?;
    /// let scores = grid.map::<String, u64>("scores");
    /// scores.put("ann", &7).await?;
    /// assert!(scores.touch("ann").await? && !scores.touch("bob").await?);
    /// # Ok(())
    /// # }
    /// ```
    pub fn touch<'a, Q>(&'a self, key: &'a Q) -> Operation<'a, C, Ask>
    where
        Q: Key<Form = K::Form> + ?Sized,
    {
        Operation::new(self, Prepared::new(key.key_bytes(), Action::Touch))
    }
}

impl<V> Reads for Get<V> {}
impl<V> Reads for GetVersioned<V> {}
impl Reads for Ask {}

impl<'a, C, V> Operation<'a, C, Get<V>> {
    /// Also gives the version and expiry of the record.
    pub fn versioned(self) -> Operation<'a, C, GetVersioned<V>> {
        self.turned_into()
    }
}

impl<V, C: Codec<V>> Decode<C> for Get<V> {
    type Output = Option<V>;

    #[inline]
    fn decode(Received(reply): Received, codec: &C) -> Result<Option<V>> {
        match reply {
            OwnedReply::Found(entry) => codec.decode(entry.value).map(Some),
            OwnedReply::Missing => Ok(None),
            other => Err(mismatch(&other)),
        }
    }
}

impl<V, C: Codec<V>> Decode<C> for GetVersioned<V> {
    type Output = Option<Versioned<V>>;

    fn decode(Received(reply): Received, codec: &C) -> Result<Option<Versioned<V>>> {
        match reply {
            OwnedReply::Found(entry) => versioned(entry, codec).map(Some),
            OwnedReply::Missing => Ok(None),
            other => Err(mismatch(&other)),
        }
    }
}

impl<C> Decode<C> for Ask {
    type Output = bool;

    fn decode(Received(reply): Received, _codec: &C) -> Result<bool> {
        flag(&reply)
    }
}
