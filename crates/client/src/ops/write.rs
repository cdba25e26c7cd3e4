//! Writes: put, compare and set, delete.

use std::borrow::Cow;
use std::marker::PhantomData;

use isogrid_core::{Condition, Expiry, Version};

use super::{
    Conditional, Decode, Expires, Operation, Received, Replaces, Writes, flag, mismatch, optional,
};
use crate::codec::Codec;
use crate::error::Result;
use crate::key::{Key, KeyBytes};
use crate::lane::OwnedReply;
use crate::map::Map;
use crate::prepared::{Action, Prepared};
use crate::value::{Delete, Previous, Put, Versioned};

/// A put; gives the new version.
#[derive(Debug)]
pub struct Store<V>(PhantomData<V>);

/// A put; gives the new version and the old value.
#[derive(Debug)]
pub struct StoreOld<V>(PhantomData<V>);

/// A conditional put; gives the new version or what stands in its way.
#[derive(Debug)]
pub struct StoreIf<V>(PhantomData<V>);

/// A conditional put; gives the new version and the old value, or what stands in its way.
#[derive(Debug)]
pub struct StoreIfOld<V>(PhantomData<V>);

/// A delete; says whether there was something.
#[derive(Debug)]
pub struct Remove<V>(PhantomData<V>);

/// A delete; gives what there was.
#[derive(Debug)]
pub struct RemoveOld<V>(PhantomData<V>);

/// A conditional delete; says whether it happened, or what stands in its way.
#[derive(Debug)]
pub struct RemoveIf<V>(PhantomData<V>);

impl<K: Key, V, C: Codec<V>> Map<K, V, C> {
    /// Writes a value and gives the record's new version. The record never expires unless
    /// [`ttl`](Operation::ttl), [`expires_at`](Operation::expires_at) or [`keep_ttl`](Operation::keep_ttl) says
    /// otherwise. A condition turns the result into a [`Put`], since a lost race is a value and not an error.
    ///
    /// Dropping the future may leave the write done or not done. After an error with an unknown outcome it may have
    /// happened: read the key, or write with [`if_version`](Operation::if_version).
    ///
    /// ```
    /// # use isogrid_client::testing::Cluster;
    /// use isogrid_client::Put;
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> isogrid_client::Result<()> {
    /// # let cluster = Cluster::start(1).await?;
    /// # let grid = cluster.grid().await?;
    /// let scores = grid.map::<String, u64>("scores");
    /// let first = scores.put("ann", &7).await?;
    /// let second = scores.put("ann", &8).if_version(first).await?;
    /// assert!(second.is_stored());
    /// let late = scores.put("ann", &9).if_version(first).await?;
    /// assert!(matches!(late, Put::Conflict(Some(now)) if now.value == 8));
    /// let replaced = scores.put("ann", &9).returning_old().await?;
    /// assert_eq!(replaced.old.map(|old| old.value), Some(8));
    /// # Ok(())
    /// # }
    /// ```
    #[inline]
    pub fn put<'a, Q>(&'a self, key: &'a Q, value: &'a V) -> Operation<'a, C, Store<V>>
    where
        Q: Key<Form = K::Form> + ?Sized,
    {
        let action =
            Action::Put { condition: Condition::Always, expiry: Expiry::Never, return_old: false };
        self.write(key.key_bytes(), self.codec.encode(value), action)
    }

    /// Writes `value` if the present value is `expected` (`None`: if the key is absent). Values are compared as bytes, so
    /// use it with codecs that write equal values equally; [`if_version`](Operation::if_version) is cheaper. Keeps the
    /// record's expiry unless told otherwise.
    ///
    /// Dropping the future may leave the write done or not done.
    ///
    /// ```
    /// # use isogrid_client::testing::Cluster;
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> isogrid_client::Result<()> {
    /// # let cluster = Cluster::start(1).await?;
    /// # let grid = cluster.grid().await?;
    /// let doors = grid.map::<String, String>("doors");
    /// let (open, shut) = ("open".to_string(), "shut".to_string());
    /// assert!(doors.compare_and_set("front", None, &open).await?.is_stored());
    /// assert!(doors.compare_and_set("front", Some(&open), &shut).await?.is_stored());
    /// assert!(!doors.compare_and_set("front", Some(&open), &shut).await?.is_stored());
    /// # Ok(())
    /// # }
    /// ```
    pub fn compare_and_set<'a, Q>(
        &'a self,
        key: &'a Q,
        expected: Option<&'a V>,
        value: &'a V,
    ) -> Operation<'a, C, StoreIf<V>>
    where
        Q: Key<Form = K::Form> + ?Sized,
    {
        let (expected, fault) = match expected.map(|expected| self.codec.encode(expected)) {
            None => (None, None),
            Some(Ok(bytes)) => (Some(bytes), None),
            Some(Err(error)) => (None, Some(error)),
        };
        let action = Action::CompareAndSet { expected, expiry: Expiry::Keep };
        let mut operation = self.write(key.key_bytes(), self.codec.encode(value), action);
        if let Some(error) = fault {
            operation.call.reject(error);
        }
        operation
    }

    /// Removes a key and says whether it was there; [`returning_old`](Operation::returning_old) gives back what was
    /// removed, [`if_version`](Operation::if_version) makes it conditional.
    ///
    /// Dropping the future may leave the removal done or not done.
    ///
    /// ```
    /// # use isogrid_client::testing::Cluster;
    /// use isogrid_client::{Delete, Version};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> isogrid_client::Result<()> {
    /// # let cluster = Cluster::start(1).await?;
    /// # let grid = cluster.grid().await?;
    /// let scores = grid.map::<String, u64>("scores");
    /// scores.put("ann", &7).await?;
    /// let guarded = scores.delete("ann").if_version(Version(1)).await?;
    /// assert!(matches!(guarded, Delete::Conflict(now) if now.value == 7) || guarded.is_deleted());
    /// scores.put("ann", &7).await?;
    /// assert_eq!(scores.delete("ann").returning_old().await?.map(|old| old.value), Some(7));
    /// assert!(!scores.delete("ann").await?);
    /// # Ok(())
    /// # }
    /// ```
    pub fn delete<'a, Q>(&'a self, key: &'a Q) -> Operation<'a, C, Remove<V>>
    where
        Q: Key<Form = K::Form> + ?Sized,
    {
        let action = Action::Delete { condition: Condition::Always, return_old: false };
        Operation::new(self, Prepared::new(key.key_bytes(), action))
    }

    /// An operation with a value; what the codec refused is told when it is awaited.
    #[inline]
    fn write<'a, D>(
        &'a self,
        key: KeyBytes<'a>,
        value: Result<Cow<'a, [u8]>>,
        action: Action<'a>,
    ) -> Operation<'a, C, D> {
        let prepared = Prepared::new(key, action);
        match value {
            Ok(value) => Operation::new(self, prepared.with_value(value)),
            Err(error) => {
                let mut operation = Operation::new(self, prepared);
                operation.call.reject(error);
                operation
            }
        }
    }
}

/// Puts, which can ask for a key to be absent or present.
pub trait Puts: Conditional {}

impl<'a, C, D: Puts> Operation<'a, C, D> {
    /// Only if the key is absent.
    pub fn if_absent(self) -> Operation<'a, C, D::If> {
        self.condition(Condition::IfAbsent)
    }

    /// Only if the key is present.
    pub fn if_present(self) -> Operation<'a, C, D::If> {
        self.condition(Condition::IfPresent)
    }
}

impl<V> Puts for Store<V> {}
impl<V> Puts for StoreOld<V> {}

impl<V> Writes for Store<V> {}
impl<V> Writes for StoreOld<V> {}
impl<V> Writes for StoreIf<V> {}
impl<V> Writes for StoreIfOld<V> {}
impl<V> Writes for Remove<V> {}
impl<V> Writes for RemoveOld<V> {}
impl<V> Writes for RemoveIf<V> {}

impl<V> Expires for Store<V> {}
impl<V> Expires for StoreOld<V> {}
impl<V> Expires for StoreIf<V> {}
impl<V> Expires for StoreIfOld<V> {}

impl<V> Conditional for Store<V> {
    type If = StoreIf<V>;
}

impl<V> Conditional for StoreOld<V> {
    type If = StoreIfOld<V>;
}

impl<V> Conditional for Remove<V> {
    type If = RemoveIf<V>;
}

impl<V> Conditional for RemoveOld<V> {
    type If = RemoveIf<V>;
}

impl<V> Replaces for Store<V> {
    type Old = StoreOld<V>;
}

impl<V> Replaces for StoreIf<V> {
    type Old = StoreIfOld<V>;
}

impl<V> Replaces for Remove<V> {
    type Old = RemoveOld<V>;
}

impl<V> Replaces for RemoveIf<V> {
    type Old = RemoveIf<V>;
}

impl<V, C> Decode<C> for Store<V> {
    type Output = Version;

    #[inline]
    fn decode(Received(reply): Received, _codec: &C) -> Result<Version> {
        match reply {
            OwnedReply::Written { version, .. } => Ok(version),
            other => Err(mismatch(&other)),
        }
    }
}

impl<V, C: Codec<V>> Decode<C> for StoreOld<V> {
    type Output = Previous<V>;

    fn decode(Received(reply): Received, codec: &C) -> Result<Previous<V>> {
        match reply {
            OwnedReply::Written { version, old, .. } => {
                Ok(Previous { version, old: optional(old, codec)? })
            }
            other => Err(mismatch(&other)),
        }
    }
}

impl<V, C: Codec<V>> Decode<C> for StoreIf<V> {
    type Output = Put<V>;

    fn decode(Received(reply): Received, codec: &C) -> Result<Put<V>> {
        match reply {
            OwnedReply::Written { version, .. } => Ok(Put::Stored(version)),
            OwnedReply::Conflict { current } => Ok(Put::Conflict(optional(current, codec)?)),
            OwnedReply::Missing => Ok(Put::Conflict(None)),
            other => Err(mismatch(&other)),
        }
    }
}

impl<V, C: Codec<V>> Decode<C> for StoreIfOld<V> {
    type Output = Put<V, Previous<V>>;

    fn decode(Received(reply): Received, codec: &C) -> Result<Put<V, Previous<V>>> {
        match reply {
            OwnedReply::Written { version, old, .. } => {
                Ok(Put::Stored(Previous { version, old: optional(old, codec)? }))
            }
            OwnedReply::Conflict { current } => Ok(Put::Conflict(optional(current, codec)?)),
            OwnedReply::Missing => Ok(Put::Conflict(None)),
            other => Err(mismatch(&other)),
        }
    }
}

impl<V, C> Decode<C> for Remove<V> {
    type Output = bool;

    fn decode(Received(reply): Received, _codec: &C) -> Result<bool> {
        flag(&reply)
    }
}

impl<V, C: Codec<V>> Decode<C> for RemoveOld<V> {
    type Output = Option<Versioned<V>>;

    fn decode(Received(reply): Received, codec: &C) -> Result<Option<Versioned<V>>> {
        match reply {
            OwnedReply::Deleted { old, .. } => optional(old, codec),
            OwnedReply::Missing => Ok(None),
            other => Err(mismatch(&other)),
        }
    }
}

impl<V, C: Codec<V>> Decode<C> for RemoveIf<V> {
    type Output = Delete<V>;

    fn decode(Received(reply): Received, codec: &C) -> Result<Delete<V>> {
        match reply {
            OwnedReply::Deleted { old, .. } => Ok(Delete::Deleted(optional(old, codec)?)),
            OwnedReply::Missing => Ok(Delete::Missing),
            OwnedReply::Conflict { current } => Ok(match optional(current, codec)? {
                Some(current) => Delete::Conflict(current),
                None => Delete::Missing,
            }),
            other => Err(mismatch(&other)),
        }
    }
}
