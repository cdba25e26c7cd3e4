//! Moving a record to another key, in one step on the node.

use std::marker::PhantomData;

use isogrid_core::Version;

use super::{Decode, Operation, Received, Writes, mismatch, optional};
use crate::codec::Codec;
use crate::error::Result;
use crate::key::Key;
use crate::lane::OwnedReply;
use crate::map::Map;
use crate::prepared::{Action, Prepared};
use crate::value::Rename;

/// A rename; gives the record's version at the new key, or nothing if there was no record.
#[derive(Debug)]
pub struct Move<V>(PhantomData<V>);

/// A rename that gives way to what stands at the new key.
#[derive(Debug)]
pub struct MoveIf<V>(PhantomData<V>);

impl<K: Key, V, C: Codec<V>> Map<K, V, C> {
    /// Moves a record to another key, with its value and its expiry, and gives its new version; `None` if there is no record
    /// at the old key. A record at the new key goes, unless [`if_absent`](Operation::if_absent) says otherwise.
    ///
    /// It is one change: no reader, no backup, no failure ever shows both keys or neither. For that both must lie in one
    /// partition, as keys with the same tag in braces do (`{user:7}:draft`, `{user:7}:final`). If they do not, the error is
    /// `KeysApart`, and nothing is sent. To copy across partitions, get the value, put it, and delete the old key.
    ///
    /// A rename to the same key leaves all as it is and gives the record a new version. Dropping the future may leave the
    /// rename done or not done.
    ///
    /// ```
    /// # use isogrid_client::testing::Cluster;
    /// use isogrid_client::{ErrorCode, Rename};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> isogrid_client::Result<()> {
    /// # let cluster = Cluster::start(1).await?;
    /// # let grid = cluster.grid().await?;
    /// let texts = grid.map::<String, String>("texts");
    /// texts.put("{7}draft", &"hello".into()).await?;
    /// assert!(texts.rename("{7}draft", "{7}final").await?.is_some());
    /// assert_eq!(texts.get("{7}final").await?.as_deref(), Some("hello"));
    /// assert_eq!(texts.rename("{7}draft", "{7}final").await?, None, "it has moved");
    /// texts.put("{7}draft", &"again".into()).await?;
    /// let kept = texts.rename("{7}draft", "{7}final").if_absent().await?;
    /// assert!(matches!(kept, Rename::Conflict(there) if there.value == "hello"));
    /// let apart = texts.rename("{7}draft", "{8}draft").await;
    /// assert_eq!(apart.map_err(|error| error.code()), Err(ErrorCode::KeysApart));
    /// # Ok(())
    /// # }
    /// ```
    pub fn rename<'a, Q, R>(&'a self, from: &'a Q, to: &'a R) -> Operation<'a, C, Move<V>>
    where
        Q: Key<Form = K::Form> + ?Sized,
        R: Key<Form = K::Form> + ?Sized,
    {
        let action = Action::Rename { to: to.key_bytes(), if_absent: false };
        Operation::new(self, Prepared::new(from.key_bytes(), action))
    }
}

impl<'a, C, V> Operation<'a, C, Move<V>> {
    /// Only if the new key is absent.
    pub fn if_absent(mut self) -> Operation<'a, C, MoveIf<V>> {
        if let Action::Rename { if_absent, .. } = &mut self.call.prepared.action {
            *if_absent = true;
        }
        self.turned_into()
    }
}

impl<V> Writes for Move<V> {}
impl<V> Writes for MoveIf<V> {}

impl<V, C> Decode<C> for Move<V> {
    type Output = Option<Version>;

    fn decode(Received(reply): Received, _codec: &C) -> Result<Option<Version>> {
        match reply {
            OwnedReply::Written { version, .. } => Ok(Some(version)),
            OwnedReply::Missing => Ok(None),
            other => Err(mismatch(&other)),
        }
    }
}

impl<V, C: Codec<V>> Decode<C> for MoveIf<V> {
    type Output = Rename<V>;

    fn decode(Received(reply): Received, codec: &C) -> Result<Rename<V>> {
        match reply {
            OwnedReply::Written { version, .. } => Ok(Rename::Renamed(version)),
            OwnedReply::Missing => Ok(Rename::Missing),
            OwnedReply::Conflict { current } => match optional(current, codec)? {
                Some(current) => Ok(Rename::Conflict(current)),
                None => Ok(Rename::Missing),
            },
            other => Err(mismatch(&other)),
        }
    }
}
