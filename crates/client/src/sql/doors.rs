//! [`Doors`]: the connections for statements, and which of them a statement takes: that to the node that leads the one partition it
//! reads, where a node said what names it.

use std::collections::HashMap;
use std::time::Duration;

use isogrid_core::PartitionId;
use isogrid_core::slot::slot_of_partition_key;
use isogrid_proto::pb;
use isogrid_proto::pb::sql_route::By;
use isogrid_proto::pb::sql_value::Value;
use parking_lot::Mutex;
use tonic::transport::Channel;

use super::SqlValue;
use crate::error::Result;
use crate::link::Link;
use crate::session;

/// As many answers as a node gives at once fit beside each other, read or not.
const STREAM_WINDOW_BYTES: u32 = 1 << 20;
const CONNECTION_WINDOW_BYTES: u32 = 64 << 20;

/// How many connections are kept, and of how many statements the way; beyond it they are learned anew.
const CHANNELS_MAX: usize = 256;
const WAYS_MAX: usize = 1_024;

/// The longest statement whose way is kept.
const STATEMENT_BYTES_MAX: usize = 8 << 10;

/// The connections for statements. Answers that nobody reads fill their windows, and must not fill those of operations.
#[derive(Debug, Default)]
pub(crate) struct Doors {
    channels: Mutex<HashMap<String, Channel>>,
    ways: Mutex<HashMap<String, By>>,
}

impl Doors {
    /// The connection to a node, made when it is used.
    pub(super) fn channel(&self, address: &str, connect_timeout: Duration) -> Result<Channel> {
        let mut open = self.channels.lock();
        if let Some(channel) = open.get(address) {
            return Ok(channel.clone());
        }
        let channel = session::endpoint(address, connect_timeout)?
            .initial_stream_window_size(STREAM_WINDOW_BYTES)
            .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
            .connect_lazy();
        if open.len() >= CHANNELS_MAX {
            open.clear();
        }
        open.insert(address.to_owned(), channel.clone());
        Ok(channel)
    }

    /// The node that leads the one partition which a statement reads, if that is known.
    pub(super) fn owner(
        &self,
        link: &Link,
        statement: &str,
        values: &[SqlValue],
    ) -> Option<String> {
        let by = *self.ways.lock().get(statement)?;
        let partition = partition(by, values, link)?;
        let nodes = link.nodes.lock();
        if !nodes.is_routed() {
            return None;
        }
        let primary = nodes.topology.entry(partition)?.primary.as_ref()?;
        nodes.topology.peer(primary).filter(|peer| !peer.is_down).map(|peer| peer.address.clone())
    }

    /// Keeps what a node said of the way of a statement.
    pub(super) fn learn(&self, statement: &str, route: pb::SqlRoute) {
        let Some(by) = route.by else { return };
        let mut ways = self.ways.lock();
        if statement.len() > STATEMENT_BYTES_MAX || ways.get(statement) == Some(&by) {
            return;
        }
        if ways.len() >= WAYS_MAX {
            ways.clear();
        }
        ways.insert(statement.to_owned(), by);
    }
}

/// The partition that a statement reads with these values.
fn partition(by: By, values: &[SqlValue], link: &Link) -> Option<PartitionId> {
    let count = link.routes.partitions();
    let value = |number: u32| values.get(usize::try_from(number).ok()?.checked_sub(1)?);
    match by {
        By::Partition(number) => u16::try_from(number).ok().map(PartitionId),
        By::KeyParameter(number) => match &value(number)?.0.value {
            Some(Value::Text(key)) => Some(count.partition_of_key(key.as_bytes())),
            _ => None,
        },
        By::PartitionKeyParameter(number) => {
            let key = match &value(number)?.0.value {
                Some(Value::Text(key)) => key.clone(),
                Some(Value::Bigint(key)) => key.to_string(),
                _ => return None,
            };
            Some(count.partition_of(slot_of_partition_key(key.as_bytes())))
        }
    }
}
