//! Appending bytes to a value, in one step on the node.

use std::borrow::Cow;

use super::{Decode, Operation, Received, Writes, mismatch};
use crate::codec::Raw;
use crate::error::Result;
use crate::key::Key;
use crate::lane::OwnedReply;
use crate::map::Map;
use crate::prepared::{Action, Prepared};

/// An append; gives the new length.
#[derive(Debug)]
pub enum Append {}

impl<K: Key, V> Map<K, V, Raw> {
    /// Adds bytes to the end of a value and gives its new length; an absent key counts as empty. Keeps the expiry. Only
    /// for [`Raw`] maps: other codecs' values cannot be continued.
    ///
    /// Never retried once it may have happened. Dropping the future may leave it done or not done.
    ///
    /// ```
    /// # use isogrid_client::testing::Cluster;
    /// use isogrid_client::Raw;
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> isogrid_client::Result<()> {
    /// # let cluster = Cluster::start(1).await?;
    /// # let grid = cluster.grid().await?;
    /// let logs = grid.map_with::<String, String, _>("logs", Raw);
    /// assert_eq!(logs.append("today", "rain ").await?, 5);
    /// assert_eq!(logs.append("today", "sun").await?, 8);
    /// assert_eq!(logs.get("today").await?.as_deref(), Some("rain sun"));
    /// # Ok(())
    /// # }
    /// ```
    pub fn append<'a, Q, B>(&'a self, key: &'a Q, bytes: &'a B) -> Operation<'a, Raw, Append>
    where
        Q: Key<Form = K::Form> + ?Sized,
        B: AsRef<[u8]> + ?Sized,
    {
        let prepared = Prepared::new(key.key_bytes(), Action::Append);
        Operation::new(self, prepared.with_value(Cow::Borrowed(bytes.as_ref())))
    }
}

impl Writes for Append {}

impl Decode<Raw> for Append {
    type Output = u64;

    fn decode(Received(reply): Received, _codec: &Raw) -> Result<u64> {
        match reply {
            OwnedReply::Integer(length, _) => Ok(length.unsigned_abs()),
            other => Err(mismatch(&other)),
        }
    }
}
