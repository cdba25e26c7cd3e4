//! How far other nodes are behind, and what goes between nodes and clients.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;

use isogrid_core::NodeId;

use super::page::{Labels, Page};
use crate::engine::Led;
use crate::node::Shared;
use crate::report::{LagReport, lags_of};

pub(super) fn show(page: &mut Page, shared: &Shared, led: &[Led]) {
    show_lags(page, &lags_of(led));
    let traffic = shared.peers.traffic();
    let received = shared.engine.received_bytes();
    page.counter(
        "isogrid_replication_received_bytes_total",
        "Bytes of entries of logs that came from primaries.",
        received.log,
    );
    let of_peers = |figure: fn(&crate::peers::PeerTraffic) -> u64| {
        traffic
            .iter()
            .map(move |(peer, traffic)| (Labels::of(&[("peer", peer.as_str())]), figure(traffic)))
    };
    page.counters(
        "isogrid_replication_sent_bytes_total",
        "Bytes of entries of logs that were sent to backups.",
        of_peers(|traffic| traffic.sent_append_bytes),
    );
    page.counters(
        "isogrid_moves_sent_bytes_total",
        "Bytes of records that were sent in copies of partitions.",
        of_peers(|traffic| traffic.sent_chunk_bytes),
    );
    page.counters(
        "isogrid_peer_sent_bytes_total",
        "Bytes of all that was said to another node over links.",
        of_peers(|traffic| traffic.sent_bytes),
    );
    page.counters(
        "isogrid_peer_received_bytes_total",
        "Bytes of all that another node said over links.",
        of_peers(|traffic| traffic.received_bytes),
    );
    page.counters(
        "isogrid_peer_dropped_messages_total",
        "Messages for another node that found no room, or whose link broke; they are repeated.",
        of_peers(|traffic| traffic.dropped_messages),
    );
    page.counters(
        "isogrid_peer_link_breaks_total",
        "Links to another node that broke.",
        of_peers(|traffic| traffic.link_breaks),
    );
    page.gauges(
        "isogrid_peer_waiting_bytes",
        "Bytes that wait to be sent to another node.",
        of_peers(|traffic| traffic.waiting_bytes).map(|(labels, bytes)| (labels, bytes as f64)),
    );
    show_doors(page, shared);
}

fn show_lags(page: &mut Page, lags: &BTreeMap<NodeId, LagReport>) {
    let of = |figure: fn(&LagReport) -> f64| {
        lags.iter().map(move |(peer, lag)| (Labels::of(&[("peer", peer.as_str())]), figure(lag)))
    };
    page.gauges(
        "isogrid_replication_lag_operations",
        "Writes that the copies of another node lack: the most of all partitions that this node leads.",
        of(|lag| lag.ops as f64),
    );
    page.gauges(
        "isogrid_replication_lag_bytes",
        "Bytes of these writes.",
        of(|lag| lag.bytes as f64),
    );
    page.gauges(
        "isogrid_replication_lag_seconds",
        "For how long the copies of another node have been behind.",
        of(|lag| lag.ms as f64 / 1e3),
    );
}

fn show_doors(page: &mut Page, shared: &Shared) {
    let mut open = vec![("grpc", shared.connections()), ("peer", shared.peers.links())];
    #[cfg(feature = "sql")]
    open.push(("pg", shared.pg.open()));
    open.sort_unstable();
    page.gauges(
        "isogrid_connections",
        "Open connections of clients by protocol, and links of other nodes.",
        open.into_iter()
            .map(|(protocol, count)| (Labels::of(&[("protocol", protocol)]), count as f64)),
    );
    let doors = &shared.doors;
    page.counter(
        "isogrid_connections_refused_total",
        "Connections that came when there were as many as there may be.",
        doors.refused.load(Ordering::Relaxed),
    );
    page.gauge(
        "isogrid_sessions",
        "Streams of frames that clients have open.",
        doors.sessions.now(),
    );
    let (maps, _) = super::operations::shown_maps(&shared.engine);
    let watched =
        maps.iter().map(|map| (Labels::of(&[("map", &map.name)]), map.counts.watchers().now()));
    page.gauges("isogrid_watchers", "Watchers of a map at this node.", watched);
    let bytes = doors.bytes();
    let of_plane = [
        ("in", "clients", bytes.from_clients),
        ("out", "clients", bytes.to_clients),
        ("in", "nodes", bytes.from_nodes),
        ("out", "nodes", bytes.to_nodes),
    ];
    page.counters(
        "isogrid_network_bytes_total",
        "Bytes over connections that clients and other nodes opened to this one.",
        of_plane.map(|(direction, plane, count)| {
            (Labels::of(&[("direction", direction), ("plane", plane)]), count)
        }),
    );
    let gossip = shared.gossip.figures();
    page.counters(
        "isogrid_gossip_bytes_total",
        "Bytes of datagrams of gossip.",
        [("in", gossip.received_bytes), ("out", gossip.sent_bytes)]
            .map(|(direction, count)| (Labels::of(&[("direction", direction)]), count)),
    );
    let refused = gossip.foreign + gossip.unsealed + gossip.wrongly_sealed + gossip.malformed;
    page.counter(
        "isogrid_gossip_refused_total",
        "Datagrams that were of another cluster, of another key, or unreadable.",
        refused,
    );
}
