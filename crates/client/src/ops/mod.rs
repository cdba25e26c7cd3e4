//! Operations on one key.
//!
//! [`Operation`] is the future of all of them. What it is about, and therefore what it gives back and which options it
//! has, is a marker type: a plain put gives a version, a conditional put may give a conflict.
//!
//! | module | operations |
//! |---|---|
//! | [`read`] | get, contains, touch |
//! | [`mod@write`] | put, compare and set, delete |
//! | [`expiry`] | expire, persist |
//! | [`number`] | increments |
//! | [`append`] | append |
//! | [`rename`] | rename |
//! | [`update`] | read, change, write back |

pub mod append;
pub mod expiry;
pub mod number;
pub mod read;
pub mod rename;
pub mod update;
pub mod write;

use std::fmt;
use std::marker::PhantomData;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use isogrid_core::{Condition, Expiry, Receipt, Timestamp, Version};

use crate::call::{Call, unexpected};
use crate::codec::Codec;
use crate::error::{Error, Result};
use crate::lane::{OwnedEntry, OwnedReply};
use crate::map::Map;
use crate::prepared::{Action, Prepared};
use crate::value::{ReadFrom, Receipted, Versioned};

/// An operation on one key: set its options, then `.await` it. Nothing is sent before.
///
/// Dropping it before it is done gives up the answer and frees its place. If it had been sent, it may still happen; a
/// connection is never harmed. Methods that change something say what that means for them.
#[must_use = "an operation does nothing unless it is awaited"]
pub struct Operation<'a, C, D> {
    pub(crate) call: Call<'a>,
    pub(crate) codec: &'a C,
    kind: PhantomData<fn() -> D>,
}

/// How the reply to an operation is read. Its implementors are the markers of this module's children.
pub trait Decode<C> {
    /// What the operation gives back.
    type Output;

    /// Reads the reply.
    #[doc(hidden)]
    fn decode(reply: Received, codec: &C) -> Result<Self::Output>;
}

/// A reply, as the client keeps it.
#[doc(hidden)]
pub struct Received(pub(crate) OwnedReply);

impl<'a, C, D> Operation<'a, C, D> {
    pub(crate) fn new<K, V>(map: &'a Map<K, V, C>, prepared: Prepared<'a>) -> Self {
        let call = Call::new(&map.target, prepared);
        Self { call, codec: &map.codec, kind: PhantomData }
    }

    /// How long the operation may take, retries included. Longer than the client's
    /// [`request_timeout`](crate::GridBuilder::request_timeout) or shorter.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.call.set_timeout(timeout);
        self
    }

    /// The same operation, giving back something else.
    fn turned_into<E>(self) -> Operation<'a, C, E> {
        Operation { call: self.call, codec: self.codec, kind: PhantomData }
    }
}

impl<C, D: Decode<C>> Future for Operation<'_, C, D> {
    type Output = Result<D::Output>;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let operation = self.get_mut();
        let reply = ready!(operation.call.poll_reply(cx))?;
        Poll::Ready(D::decode(Received(reply), operation.codec))
    }
}

impl<C, D> fmt::Debug for Operation<'_, C, D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Operation")
            .field("name", &self.call.prepared.name())
            .field("map", &self.call.map.name)
            .finish_non_exhaustive()
    }
}

/// Operations that change something, and whose answer comes with a receipt.
pub trait Writes {}

/// An operation that also gives its receipt.
#[derive(Debug)]
pub struct WithReceipt<D>(PhantomData<D>);

impl<'a, C, D: Writes> Operation<'a, C, D> {
    /// Also gives the receipt: what is known of the safety of the write. Hand it to a later read as
    /// [`at_least`](Operation::at_least), also through another client.
    ///
    /// ```
    /// # use isogrid_client::testing::Cluster;
    /// use isogrid_client::ReadFrom;
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> isogrid_client::Result<()> {
    /// # let cluster = Cluster::start(1).await?;
    /// # let grid = cluster.grid().await?;
    /// let scores = grid.map::<String, u64>("scores");
    /// let stored = scores.put("ann", &7).with_receipt().await?;
    /// let mut read = scores.get("ann").read_from(ReadFrom::Any);
    /// if let Some(receipt) = stored.receipt() {
    ///     read = read.at_least(receipt);
    /// }
    /// assert_eq!(read.await?, Some(7));
    /// # Ok(())
    /// # }
    /// ```
    pub fn with_receipt(self) -> Operation<'a, C, WithReceipt<D>> {
        self.turned_into()
    }
}

impl<C, D: Decode<C>> Decode<C> for WithReceipt<D> {
    type Output = Receipted<D::Output>;

    fn decode(received: Received, codec: &C) -> Result<Self::Output> {
        let receipt = received.0.receipt();
        Ok(Receipted { value: D::decode(received, codec)?, receipt })
    }
}

/// Operations that only read.
pub trait Reads {}

impl<C, D: Reads> Operation<'_, C, D> {
    /// Which replicas may answer; the map's setting decides unless this is said.
    pub fn read_from(mut self, from: ReadFrom) -> Self {
        self.call.prepared.read_choice().mode = Some(from.mode());
        self
    }

    /// The answer must not be older than this write, whichever replica gives it. The receipt must be of a key in the same
    /// partition, as that of the same key is.
    pub fn at_least(mut self, receipt: &Receipt) -> Self {
        self.call.prepared.read_choice().at_least = Some(*receipt);
        self
    }
}

/// Operations that write a record and so decide about its expiry.
pub trait Expires {}

impl<C, D: Expires> Operation<'_, C, D> {
    /// The record expires this long after the write.
    pub fn ttl(self, ttl: Duration) -> Self {
        self.expiry(Expiry::AfterMs(duration_ms(ttl)))
    }

    /// The record expires at this time; a time that has passed makes it vanish at once.
    pub fn expires_at(self, at: SystemTime) -> Self {
        self.expiry(Expiry::At(timestamp(at)))
    }

    /// The record keeps the expiry it has; a new record never expires.
    pub fn keep_ttl(self) -> Self {
        self.expiry(Expiry::Keep)
    }

    fn expiry(mut self, new: Expiry) -> Self {
        match &mut self.call.prepared.action {
            Action::Put { expiry, .. }
            | Action::CompareAndSet { expiry, .. }
            | Action::Increment { expiry, .. }
            | Action::IncrementFloat { expiry, .. } => *expiry = new,
            _ => debug_assert!(false, "only writes expire"),
        }
        self
    }
}

/// Operations that can ask for a version.
pub trait Conditional {
    /// The same operation, with a result for the case that the condition does not hold.
    type If;
}

impl<'a, C, D: Conditional> Operation<'a, C, D> {
    /// Only if the record has exactly this version: nobody has written it since it was read.
    pub fn if_version(self, version: Version) -> Operation<'a, C, D::If> {
        self.condition(Condition::IfVersion(version))
    }

    fn condition(mut self, new: Condition) -> Operation<'a, C, D::If> {
        match &mut self.call.prepared.action {
            Action::Put { condition, .. } | Action::Delete { condition, .. } => *condition = new,
            _ => debug_assert!(false, "only puts and deletes have conditions"),
        }
        self.turned_into()
    }
}

/// Operations that can give back the value that was there before.
pub trait Replaces {
    /// The same operation, with the old value in its result.
    type Old;
}

impl<'a, C, D: Replaces> Operation<'a, C, D> {
    /// Also gives back the value that was there before. Not the default, since it costs bandwidth.
    pub fn returning_old(mut self) -> Operation<'a, C, D::Old> {
        match &mut self.call.prepared.action {
            Action::Put { return_old, .. } | Action::Delete { return_old, .. } => {
                *return_old = true;
            }
            _ => debug_assert!(false, "only puts and deletes replace"),
        }
        self.turned_into()
    }
}

pub(crate) fn duration_ms(duration: Duration) -> u64 {
    // A time shorter than a millisecond is not none at all.
    let ms = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    if duration.is_zero() { 0 } else { ms.max(1) }
}

pub(crate) fn timestamp(at: SystemTime) -> Timestamp {
    let since_epoch = at.duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp(u64::try_from(since_epoch.as_millis()).unwrap_or(u64::MAX))
}

/// A value with its version, decoded.
pub(crate) fn versioned<V, C: Codec<V>>(entry: OwnedEntry, codec: &C) -> Result<Versioned<V>> {
    let OwnedEntry { value, version, expires_at } = entry;
    Ok(Versioned { value: codec.decode(value)?, version, expires_at })
}

fn optional<V, C: Codec<V>>(
    entry: Option<Box<OwnedEntry>>,
    codec: &C,
) -> Result<Option<Versioned<V>>> {
    entry.map(|entry| versioned(*entry, codec)).transpose()
}

/// Reads a yes or no; operations on absent keys answer "missing".
fn flag(reply: &OwnedReply) -> Result<bool> {
    match reply {
        OwnedReply::Flag(flag) => Ok(*flag),
        OwnedReply::Missing => Ok(false),
        OwnedReply::Written { .. } | OwnedReply::Deleted { .. } => Ok(true),
        other => Err(mismatch(other)),
    }
}

#[cold]
fn mismatch(reply: &OwnedReply) -> Error {
    unexpected(reply)
}
