//! Which records a scan gives, by what is in them, and which partitions can have such.

use std::collections::BTreeSet;

use isogrid_core::{PartitionCount, PartitionId};
use isogrid_value::Filter;

use super::Scan;
use crate::codec::Codec;
use crate::error::Result;
use crate::key::OwnedKey;

impl<K: OwnedKey, V, C: Codec<V>> Scan<'_, K, V, C> {
    /// Only records that a filter means; another filter before it holds too. It is looked at where the records are: what it
    /// leaves out does not travel.
    ///
    /// Values are looked into if they are objects of JSON or of MessagePack with named fields. A comparison with a field that
    /// is not there, or holds something of another type, is unknown, as in SQL, and so is its opposite.
    ///
    /// ```
    /// # use isogrid_client::testing::Cluster;
    /// use futures::TryStreamExt;
    /// use isogrid_client::{Json, col};
    /// use serde_json::{Value, json};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> isogrid_client::Result<()> {
    /// # let cluster = Cluster::start(1).await?;
    /// # let grid = cluster.grid().await?;
    /// let users = grid.map_with::<String, Value, _>("users", Json);
    /// users.put("u1", &json!({"age": 41, "home": {"city": "Oslo"}})).await?;
    /// users.put("u2", &json!({"age": 12, "home": {"city": "Oslo"}})).await?;
    /// let adults = col("age").ge(18).and(col("home.city").eq("Oslo"));
    /// let found: Vec<(String, Value)> = users.scan().filter(adults).stream().try_collect().await?;
    /// assert_eq!(found.len(), 1);
    /// # Ok(())
    /// # }
    /// ```
    pub fn filter(mut self, filter: Filter) -> Self {
        self.filter = Some(match self.filter {
            Some(other) => other.and(filter),
            None => filter,
        });
        self.request.filter = encoded(self.filter.as_ref());
        let partitions = self.request.target.grid.link().routes.partitions();
        let named = named_partitions(partitions, self.filter.as_ref());
        self.walk_only(named)
    }

    /// Only the partition of keys with this between their braces, as in `{t1}:42`: no other one is asked.
    pub fn partition_key(self, key: &str) -> Self {
        let partitions = self.request.target.grid.link().routes.partitions();
        self.walk_only(BTreeSet::from([partitions.partition_of_key(key.as_bytes())]))
    }

    fn walk_only(mut self, mut named: BTreeSet<PartitionId>) -> Self {
        if let Some(only) = &self.request.only {
            named.retain(|partition| only.contains(partition));
        }
        self.request.only = Some(named);
        self
    }
}

/// The partitions in which a filter can mean records: those of the keys that it names, or all.
pub(crate) fn named_partitions(
    partitions: PartitionCount,
    filter: Option<&Filter>,
) -> BTreeSet<PartitionId> {
    match filter.and_then(Filter::keys) {
        Some(keys) => keys.iter().map(|key| partitions.partition_of_key(key.as_bytes())).collect(),
        None => partitions.iter().collect(),
    }
}

/// A filter as it is sent.
pub(crate) fn encoded(filter: Option<&Filter>) -> Result<bytes::Bytes> {
    match filter {
        Some(filter) => Ok(filter.encode()?.into()),
        None => Ok(bytes::Bytes::new()),
    }
}
