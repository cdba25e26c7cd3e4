//! Counts, sums and extremes of groups of records, folded by the nodes that have them: what travels is a few figures per group and
//! partition.

use std::collections::BTreeSet;
use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use futures::stream::{self, BoxStream};
use futures::{StreamExt, TryStreamExt};
use isogrid_core::{ErrorCode, NodeId, PartitionId};
use isogrid_proto::pb;
use isogrid_proto::pb::grid_client::GridClient;
use isogrid_proto::scalar::{field_to_pb, group_from_pb};
use isogrid_value::{Cell, Constant, Extent, Field, Filter, Fold, col};
use tokio::time::Instant;
use tonic::Request;

use crate::codec::Codec;
use crate::error::{Error, Result};
use crate::key::{Key, OwnedKey};
use crate::map::Map;
use crate::owners;
use crate::retry::Retry;
use crate::scan::{encoded, named_partitions};
use crate::session::{REPLY_BYTES_MAX, call_error};

/// How long it may take unless set otherwise.
const TIMEOUT_DEFAULT: Duration = Duration::from_secs(30);

/// The pauses before what failed is asked for again.
const PAUSE_BASE: Duration = Duration::from_millis(20);
const PAUSE_MAX: Duration = Duration::from_secs(1);

/// Figures about the records of a map: set what is wanted, then ask for [`groups`](Aggregate::groups) or for one figure. Made by
/// [`Map::aggregate`].
#[must_use = "nothing is asked before `groups`, `count`, `sum`, `min`, `max` or `avg`"]
pub struct Aggregate<'a, K, V, C> {
    map: &'a Map<K, V, C>,
    prefix: Bytes,
    filter: Option<Filter>,
    partition: Option<PartitionId>,
    group_by: Vec<Field>,
    fields: Vec<Field>,
    timeout: Duration,
}

/// Records that share the fields they are grouped by, and what is known of them.
#[derive(Clone, Debug, PartialEq)]
pub struct Group {
    key: Vec<Option<Constant>>,
    count: u64,
    fields: Vec<(Field, Extent)>,
}

impl<K: OwnedKey, V, C: Codec<V>> Map<K, V, C> {
    /// Figures about the records, folded by the nodes that have them. Partitions are asked at about the same time, not at the
    /// same instant; each is walked over as by a [`scan`](Map::scan). Changes nothing.
    ///
    /// Values have fields if they are objects of JSON or of MessagePack with named fields. Sums and means are of the numbers in
    /// a field, extremes of all but lists and objects and of text of more than 64 KiB; what is of different types stands one
    /// behind the other. At most 100,000 groups.
    ///
    /// ```
    /// # use isogrid_client::testing::Cluster;
    /// use isogrid_client::{Json, col};
    /// use serde_json::{Value, json};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> isogrid_client::Result<()> {
    /// # let cluster = Cluster::start(1).await?;
    /// # let grid = cluster.grid().await?;
    /// let users = grid.map_with::<String, Value, _>("users", Json);
    /// for (key, city, age) in [("1", "Oslo", 41), ("2", "Bern", 30), ("3", "Oslo", 20), ("4", "Oslo", 9)] {
    ///     users.put(key, &json!({"city": city, "age": age})).await?;
    /// }
    /// let adults = || users.aggregate().filter(col("age").ge(18));
    /// assert_eq!(adults().count().await?, 3);
    /// assert_eq!(adults().max("age").await?, Some(41.into()));
    /// let cities = adults().group_by("city").of("age").groups().await?;
    /// assert_eq!(cities[1].key(), [Some("Oslo".into())]);
    /// assert_eq!((cities[1].count(), cities[1].avg("age")), (2, Some(30.5)));
    /// # Ok(())
    /// # }
    /// ```
    pub fn aggregate(&self) -> Aggregate<'_, K, V, C> {
        Aggregate {
            map: self,
            prefix: Bytes::new(),
            filter: None,
            partition: None,
            group_by: Vec::new(),
            fields: Vec::new(),
            timeout: TIMEOUT_DEFAULT,
        }
    }
}

impl<K: OwnedKey, V, C: Codec<V>> Aggregate<'_, K, V, C> {
    /// Only records that a filter means; another filter before it holds too.
    pub fn filter(mut self, filter: Filter) -> Self {
        self.filter = Some(match self.filter {
            Some(other) => other.and(filter),
            None => filter,
        });
        self
    }

    /// Only keys that start with this.
    pub fn prefix<Q: Key<Form = K::Form> + ?Sized>(mut self, prefix: &Q) -> Self {
        self.prefix = Bytes::copy_from_slice(prefix.key_bytes().as_ref());
        self
    }

    /// Only the partition of keys with this between their braces, as in `{t1}:42`: no other one is asked.
    pub fn partition_key(mut self, key: &str) -> Self {
        let partitions = self.map.target.grid.link().routes.partitions();
        self.partition = Some(partitions.partition_of_key(key.as_bytes()));
        self
    }

    /// Groups of records that share this field; of several, if it is said again.
    pub fn group_by(mut self, path: &str) -> Self {
        self.group_by.push(col(path));
        self
    }

    /// Of this field too figures are wanted beside the count of records.
    pub fn of(mut self, path: &str) -> Self {
        self.fields.push(col(path));
        self
    }

    /// How long it may take, 30 seconds unless set, retries included.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// The groups, in the order of what their records share. Without [`group_by`](Aggregate::group_by) there is one.
    ///
    /// # Errors
    ///
    /// `TooManyMatches` if there are too many groups, `FilterInvalid` if the filter is too large, or why a partition could not
    /// be asked in time.
    pub async fn groups(self) -> Result<Vec<Group>> {
        let fields = self.fields.clone();
        let folded = self.folded().await?;
        let group = |(key, group): (Vec<Cell<'static>>, isogrid_value::Group)| Group {
            key: key.into_iter().map(constant).collect(),
            count: group.count,
            fields: fields.iter().cloned().zip(group.extents).collect(),
        };
        Ok(folded.into_iter().map(group).collect())
    }

    /// How many records there are.
    ///
    /// # Errors
    ///
    /// Those of [`groups`](Aggregate::groups).
    pub async fn count(self) -> Result<u64> {
        Ok(self.whole().await?.count)
    }

    /// The sum of the numbers in a field; `None` if there are none.
    ///
    /// # Errors
    ///
    /// Those of [`groups`](Aggregate::groups).
    pub async fn sum(self, path: &str) -> Result<Option<Constant>> {
        Ok(self.of(path).whole().await?.sum(path))
    }

    /// The mean of the numbers in a field; `None` if there are none.
    ///
    /// # Errors
    ///
    /// Those of [`groups`](Aggregate::groups).
    pub async fn avg(self, path: &str) -> Result<Option<f64>> {
        Ok(self.of(path).whole().await?.avg(path))
    }

    /// The smallest in a field; `None` if nothing is there.
    ///
    /// # Errors
    ///
    /// Those of [`groups`](Aggregate::groups).
    pub async fn min(self, path: &str) -> Result<Option<Constant>> {
        Ok(self.of(path).whole().await?.min(path))
    }

    /// The greatest in a field; `None` if nothing is there.
    ///
    /// # Errors
    ///
    /// Those of [`groups`](Aggregate::groups).
    pub async fn max(self, path: &str) -> Result<Option<Constant>> {
        Ok(self.of(path).whole().await?.max(path))
    }

    /// All records as one group.
    async fn whole(mut self) -> Result<Group> {
        self.group_by.clear();
        let mut groups = self.groups().await?;
        groups.pop().ok_or_else(|| Error::new(ErrorCode::Internal, "no group of all"))
    }

    /// What all partitions have, folded together.
    async fn folded(self) -> Result<Vec<(Vec<Cell<'static>>, isogrid_value::Group)>> {
        self.map.target.check_name()?;
        let mut fold = Fold::new(self.group_by.clone(), self.fields.clone())?;
        let request = pb::AggregateRequest {
            map: self.map.target.name.to_string(),
            prefix: self.prefix.clone(),
            filter: encoded(self.filter.as_ref())?,
            group_by: self.group_by.iter().map(field_to_pb).collect(),
            fields: self.fields.iter().map(field_to_pb).collect(),
            partitions: Vec::new(),
        };
        let link = self.map.target.grid.link();
        let named = named_partitions(link.routes.partitions(), self.filter.as_ref());
        let mut left: BTreeSet<u32> = match self.partition {
            Some(one) => named.into_iter().filter(|partition| *partition == one).collect(),
            None => named,
        }
        .into_iter()
        .map(|partition: PartitionId| u32::from(partition.0))
        .collect();
        let until = Instant::now() + self.timeout;
        let (pauses, mut attempt) = (Retry::exponential(PAUSE_BASE, PAUSE_MAX), 0);
        while !left.is_empty() {
            let asked = owners::of(link, left.iter().copied().collect());
            let answers = asked.into_iter().map(|(node, partitions)| {
                self.ask(node, pb::AggregateRequest { partitions, ..request.clone() }, until)
            });
            let mut parts = stream::select_all(answers);
            let mut failure = None;
            while let Some(part) = parts.next().await {
                match part {
                    Ok(part) if left.remove(&part.partition) => {
                        for (key, group) in part.groups.into_iter().map(group_from_pb) {
                            fold.add(key, group)?;
                        }
                    }
                    Ok(_) => {}
                    Err(error) if owners::is_final(&error) => return Err(error),
                    Err(error) => failure = Some(error),
                }
            }
            attempt += 1;
            let again = Instant::now() + pauses.pause(attempt);
            if !left.is_empty() && again >= until {
                let late =
                    || Error::new(ErrorCode::DeadlineInFlight, "not all partitions were asked");
                return Err(failure.unwrap_or_else(late));
            }
            if !left.is_empty() {
                tokio::time::sleep_until(again).await;
            }
        }
        Ok(fold.finish())
    }

    /// What one node has of some partitions, until it fails or the time is over.
    fn ask(
        &self,
        node: Option<NodeId>,
        request: pb::AggregateRequest,
        until: Instant,
    ) -> BoxStream<'_, Result<pb::AggregateReply>> {
        let link = self.map.target.grid.link();
        let asking = async move {
            let (address, channel) = owners::channel(link, node.as_ref()).await?;
            let mut client = GridClient::new(channel).max_decoding_message_size(REPLY_BYTES_MAX);
            let mut request = Request::new(request);
            request.set_timeout(until.saturating_duration_since(Instant::now()));
            let answer = client.aggregate(request).await;
            let answer = answer.map_err(|status| Error::from(call_error(&address, &status)))?;
            let failed = move |status| Error::from(call_error(&address, &status));
            Ok::<_, Error>(answer.into_inner().map_err(failed))
        };
        let late = || Error::new(ErrorCode::DeadlineInFlight, "a node is silent");
        let parts = stream::once(asking).try_flatten();
        // The time ends the wait also for a node that says nothing.
        stream::unfold(Some(Box::pin(parts)), move |parts| async move {
            let mut parts = parts?;
            match tokio::time::timeout_at(until, parts.next()).await {
                Ok(part) => part.map(|part| (part, Some(parts))),
                Err(_) => Some((Err(late()), None)),
            }
        })
        .boxed()
    }
}

impl Group {
    /// What its records share, field by field; lists and objects as the text of their JSON.
    pub fn key(&self) -> &[Option<Constant>] {
        &self.key
    }

    /// How many records it has.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// In how many records something is in a field.
    pub fn count_of(&self, path: &str) -> u64 {
        self.extent(path).map_or(0, |extent| extent.count)
    }

    /// The sum of the numbers in a field that was [asked for](Aggregate::of); `None` if there are none.
    pub fn sum(&self, path: &str) -> Option<Constant> {
        self.extent(path).and_then(|extent| constant(extent.sum()))
    }

    /// The mean of the numbers in a field; `None` if there are none.
    pub fn avg(&self, path: &str) -> Option<f64> {
        self.extent(path).and_then(Extent::mean)
    }

    /// The smallest in a field; `None` if nothing is there.
    pub fn min(&self, path: &str) -> Option<Constant> {
        self.extent(path).and_then(|extent| constant(extent.least.clone()))
    }

    /// The greatest in a field; `None` if nothing is there.
    pub fn max(&self, path: &str) -> Option<Constant> {
        self.extent(path).and_then(|extent| constant(extent.greatest.clone()))
    }

    fn extent(&self, path: &str) -> Option<&Extent> {
        let field = col(path);
        self.fields.iter().find(|(known, _)| *known == field).map(|(_, extent)| extent)
    }
}

/// What stands somewhere, in the words of the program.
fn constant(cell: Cell<'_>) -> Option<Constant> {
    Some(match cell {
        Cell::Null => return None,
        Cell::Boolean(value) => Constant::Boolean(value),
        Cell::BigInt(value) => Constant::BigInt(value),
        Cell::Double(value) => Constant::Double(value),
        Cell::Text(value) => Constant::Text(value.into_owned()),
        Cell::Bytes(value) => Constant::Bytes(value.into_owned()),
        Cell::Nested(value) => Constant::Text(value.to_string()),
    })
}

impl<K, V, C> fmt::Debug for Aggregate<'_, K, V, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Aggregate")
            .field("map", &self.map.name())
            .field("filter", &self.filter)
            .field("group_by", &self.group_by)
            .finish_non_exhaustive()
    }
}
