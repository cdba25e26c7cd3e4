//! Whom to ask for what all of a partition is needed for: calls beside the sessions, one per owner.

use std::collections::BTreeMap;

use isogrid_core::{ErrorCode, ErrorKind, NodeId, PartitionId};
use tonic::transport::Channel;

use crate::error::{Error, Result};
use crate::link::Link;
use crate::session::endpoint;

/// Whom to ask for which partitions; nobody in particular for those without a known owner.
pub(crate) fn of(link: &Link, partitions: Vec<u32>) -> Vec<(Option<NodeId>, Vec<u32>)> {
    let nodes = link.nodes.lock();
    let mut owners: BTreeMap<Option<NodeId>, Vec<u32>> = BTreeMap::new();
    for partition in partitions {
        let entry = nodes.topology.entry(PartitionId(partition as u16));
        let owner = entry.filter(|_| nodes.is_routed()).and_then(|entry| entry.primary.clone());
        owners.entry(owner).or_default().push(partition);
    }
    owners.into_iter().collect()
}

/// A connection to a node of its own, and its address; without a node that to whoever is there.
pub(crate) async fn channel(link: &Link, node: Option<&NodeId>) -> Result<(String, Channel)> {
    let address = {
        let nodes = link.nodes.lock();
        node.and_then(|node| nodes.topology.peer(node)).map(|peer| peer.address.clone())
    };
    let Some(address) = address else { return Ok((String::new(), link.channel())) };
    let connecting = endpoint(&address, link.settings.connect_timeout)?.connect().await;
    let channel = connecting
        .map_err(|error| Error::new(ErrorCode::CannotConnect, format!("{address}: {error}")))?;
    Ok((address, channel))
}

/// Whether trying again cannot help.
pub(crate) fn is_final(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::InvalidRequest | ErrorKind::Internal)
        || error.code() == ErrorCode::TooManyWatches
}
