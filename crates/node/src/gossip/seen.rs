//! [`Seen`]: what is known of another node.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use isogrid_cluster::bootstrap::Candidate;
use isogrid_cluster::gossip::GossipState;
use isogrid_core::{NodeId, Timestamp};

use super::news::OwnNews;

/// What is known of another node: the newest of its lives that was heard of. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    /// What it says of itself.
    pub(crate) news: Arc<OwnNews>,
    /// Where it gossips.
    pub(crate) address: SocketAddr,
    /// When its heartbeat last advanced here, whoever told of it; exact to a quarter of a gossip round.
    pub(crate) heard: Instant,
    /// Whether it is held for alive. A node that has said goodbye is not.
    pub(crate) is_live: bool,
    /// Whether it has said goodbye.
    pub(crate) is_leaving: bool,
    /// Its wall clock when it last said so.
    pub(crate) clock: Timestamp,
    /// By how many milliseconds its wall clock is ahead of this node's, as far as is known; less than the truth by the
    /// time that news take.
    pub(crate) clock_offset_ms: Option<i64>,
}

impl Seen {
    /// Whether somebody who waits for changes should look: not for a heartbeat or a tick of its clock.
    pub(super) fn is_news_after(&self, before: &Seen) -> bool {
        let same = |a: &Seen, b: &Seen| {
            a.news == b.news
                && (a.address, a.is_live, a.is_leaving) == (b.address, b.is_live, b.is_leaving)
        };
        !same(self, before)
    }

    /// As the decisions about tables need it.
    pub(crate) fn state(&self) -> GossipState {
        GossipState {
            node: self.news.member.id.clone(),
            incarnation: self.news.member.incarnation,
            cluster: self.news.cluster,
            table: self.news.table,
            table_hash: self.news.table_hash,
            clock: self.clock,
            load: self.news.load,
        }
    }

    /// As the decision about forming a cluster needs it.
    pub(crate) fn candidate(&self) -> Candidate {
        Candidate {
            node: self.news.member.id.clone(),
            cluster: self.news.cluster,
            is_empty: self.news.is_empty,
            expect: self.news.expect,
            names: self.news.names.clone(),
        }
    }
}

/// How far every live clock is off this node's, as far as is known.
pub(super) fn clock_offsets(members: &BTreeMap<NodeId, Seen>) -> BTreeMap<NodeId, i64> {
    let live = members.iter().filter(|(_, seen)| seen.is_live);
    live.filter_map(|(node, seen)| Some((node.clone(), seen.clock_offset_ms?))).collect()
}
