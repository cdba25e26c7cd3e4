//! Adding to numbers, in one step on the node.

use isogrid_core::Expiry;

use super::{Decode, Expires, Operation, Received, Writes, mismatch};
use crate::codec::Codec;
use crate::error::Result;
use crate::key::Key;
use crate::lane::OwnedReply;
use crate::map::Map;
use crate::prepared::{Action, Prepared};

/// An increment; gives the new integer.
#[derive(Debug)]
pub enum Increment {}

/// A floating-point increment; gives the new number.
#[derive(Debug)]
pub enum IncrementFloat {}

impl<K: Key, V, C: Codec<V>> Map<K, V, C> {
    /// Adds to an integer and gives the result; an absent key counts as zero. The number is read and written as the map's
    /// codec writes numbers. Keeps the record's expiry unless told otherwise.
    ///
    /// Never retried once it may have happened. Dropping the future may leave it done or not done.
    ///
    /// ```
    /// # use isogrid_client::testing::Cluster;
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> isogrid_client::Result<()> {
    /// # let cluster = Cluster::start(1).await?;
    /// # let grid = cluster.grid().await?;
    /// let visits = grid.map::<String, i64>("visits");
    /// assert_eq!(visits.incr("home", 1).await?, 1);
    /// assert_eq!(visits.incr("home", 41).await?, 42);
    /// assert_eq!(visits.get("home").await?, Some(42));
    /// # Ok(())
    /// # }
    /// ```
    pub fn incr<'a, Q>(&'a self, key: &'a Q, delta: i64) -> Operation<'a, C, Increment>
    where
        Q: Key<Form = K::Form> + ?Sized,
    {
        let format = self.codec.number_format();
        let action = Action::Increment { delta, format, expiry: Expiry::Keep };
        Operation::new(self, Prepared::new(key.key_bytes(), action))
    }

    /// Adds to a floating-point number and gives the result; an absent key counts as zero. Keeps the record's expiry
    /// unless told otherwise.
    ///
    /// Never retried once it may have happened. Dropping the future may leave it done or not done.
    ///
    /// ```
    /// # use isogrid_client::testing::Cluster;
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> isogrid_client::Result<()> {
    /// # let cluster = Cluster::start(1).await?;
    /// # let grid = cluster.grid().await?;
    /// let litres = grid.map::<String, f64>("litres");
    /// assert_eq!(litres.incr_float("milk", 0.5).await?, 0.5);
    /// assert_eq!(litres.incr_float("milk", -0.25).await?, 0.25);
    /// assert_eq!(litres.get("milk").await?, Some(0.25));
    /// # Ok(())
    /// # }
    /// ```
    pub fn incr_float<'a, Q>(&'a self, key: &'a Q, delta: f64) -> Operation<'a, C, IncrementFloat>
    where
        Q: Key<Form = K::Form> + ?Sized,
    {
        let format = self.codec.number_format();
        let action = Action::IncrementFloat { delta, format, expiry: Expiry::Keep };
        Operation::new(self, Prepared::new(key.key_bytes(), action))
    }
}

impl Writes for Increment {}
impl Writes for IncrementFloat {}

impl Expires for Increment {}
impl Expires for IncrementFloat {}

impl<C> Decode<C> for Increment {
    type Output = i64;

    fn decode(Received(reply): Received, _codec: &C) -> Result<i64> {
        match reply {
            OwnedReply::Integer(value, _) => Ok(value),
            other => Err(mismatch(&other)),
        }
    }
}

impl<C> Decode<C> for IncrementFloat {
    type Output = f64;

    fn decode(Received(reply): Received, _codec: &C) -> Result<f64> {
        match reply {
            OwnedReply::Float(value, _) => Ok(value),
            other => Err(mismatch(&other)),
        }
    }
}
