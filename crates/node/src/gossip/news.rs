//! [`OwnNews`]: what a node says of itself, as a handful of short keys and values.
//!
//! One key for what changes together, so that a change resends little. Keys are ASCII and are never deleted; unknown keys
//! and fields are ignored, so versions can differ.
//!
//! | key | value |
//! |---|---|
//! | `member` | JSON: incarnation, grpc, http, zone, weight, state |
//! | `bootstrap` | JSON: cluster (hex), empty, expect, names |
//! | `table` | version `:` hash (hex) |
//! | `leader` | term `:` node, or `-` |
//! | `voter` | hex, or `-` |
//! | `load` | tenths of the memory `:` tenths of the processors |
//! | `clock` | milliseconds since 1970, once a second |
//! | `state` | `up` or `leaving` |

use std::net::SocketAddr;

use isogrid_cluster::gossip::Load;
use isogrid_cluster::{ClusterId, VoterId};
use isogrid_core::{
    Error, ErrorCode, Incarnation, Member, MemberState, NodeId, Result, TableVersion, Timestamp,
};
use serde::{Deserialize, Serialize};

/// The longest value. A value that does not fit into a datagram is never sent, and all later ones of the node wait
/// behind it for ever, without an error.
pub(super) const VALUE_BYTES_MAX: usize = 1_024;

const MEMBER: &str = "member";
const BOOTSTRAP: &str = "bootstrap";
const TABLE: &str = "table";
const LEADER: &str = "leader";
const VOTER: &str = "voter";
const LOAD: &str = "load";
const CLOCK: &str = "clock";
const STATE: &str = "state";

/// The value of an absent thing. Keys are never deleted: a deletion costs every node a tombstone.
const NONE: &str = "-";

/// What a node says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct OwnNews {
    /// Its name, life, addresses, zone, weight and state. Its gossip address is the one it gossips from.
    pub(crate) member: Member,
    /// Its cluster, once it has one.
    pub(crate) cluster: Option<ClusterId>,
    /// The version of its table.
    pub(crate) table: TableVersion,
    /// The hash of its table.
    pub(crate) table_hash: u64,
    /// Who leads the council as far as it knows, and in which term.
    pub(crate) leader: Option<(u64, NodeId)>,
    /// Whether it has never stored anything.
    pub(crate) is_empty: bool,
    /// How many nodes it waits for before a cluster is formed; zero: it never forms one.
    pub(crate) expect: u16,
    /// Whom it names to form the cluster.
    pub(crate) names: Option<NodeId>,
    /// The voter that its council log belongs to.
    pub(crate) voter: Option<VoterId>,
    /// How loaded it is, in the steps of [`isogrid_cluster::gossip::coarse`].
    pub(crate) load: Load,
}

impl OwnNews {
    /// What a node says that has no cluster and forms none.
    pub(crate) fn new(member: Member) -> Self {
        Self {
            member,
            cluster: None,
            table: TableVersion(0),
            table_hash: 0,
            leader: None,
            is_empty: false,
            expect: 0,
            names: None,
            voter: None,
            load: Load::default(),
        }
    }
}

/// The member's value. The name is the node's id in gossip, and so is the gossip address.
#[derive(Serialize, Deserialize)]
#[serde(default)]
struct MemberValue {
    incarnation: u64,
    grpc: String,
    http: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    zone: Option<String>,
    weight: u32,
    state: String,
}

impl Default for MemberValue {
    fn default() -> Self {
        Self {
            incarnation: 0,
            grpc: String::new(),
            http: String::new(),
            zone: None,
            weight: isogrid_core::members::WEIGHT_DEFAULT,
            state: MemberState::Joining.to_string(),
        }
    }
}

#[derive(Default, Serialize, Deserialize)]
#[serde(default)]
struct BootstrapValue {
    #[serde(skip_serializing_if = "Option::is_none")]
    cluster: Option<String>,
    empty: bool,
    expect: u16,
    #[serde(skip_serializing_if = "Option::is_none")]
    names: Option<String>,
}

/// The keys and values of a node's news, without its clock.
pub(super) fn values(news: &OwnNews, is_leaving: bool) -> Vec<(&'static str, String)> {
    let member = MemberValue {
        incarnation: news.member.incarnation.0,
        grpc: news.member.grpc_addr.clone(),
        http: news.member.http_addr.clone(),
        zone: news.member.zone.clone(),
        weight: news.member.weight,
        state: news.member.state.to_string(),
    };
    let bootstrap = BootstrapValue {
        cluster: news.cluster.map(|cluster| format!("{:032x}", cluster.0)),
        empty: news.is_empty,
        expect: news.expect,
        names: news.names.as_ref().map(NodeId::to_string),
    };
    let leader = news.leader.as_ref().map(|(term, node)| format!("{term}:{node}"));
    let voter = news.voter.map(|voter| format!("{:x}", voter.0));
    vec![
        (MEMBER, serde_json::to_string(&member).expect("plain fields are JSON")),
        (BOOTSTRAP, serde_json::to_string(&bootstrap).expect("plain fields are JSON")),
        (TABLE, format!("{}:{:x}", news.table.0, news.table_hash)),
        (LEADER, leader.unwrap_or_else(|| NONE.into())),
        (VOTER, voter.unwrap_or_else(|| NONE.into())),
        (LOAD, format!("{}:{}", news.load.memory.min(10), news.load.processor.min(10))),
        (STATE, if is_leaving { "leaving" } else { "up" }.into()),
    ]
}

/// The key and value of the node's clock.
pub(super) fn clock_value(clock: Timestamp) -> (&'static str, String) {
    (CLOCK, clock.0.to_string())
}

/// Whether all values can be published.
pub(super) fn check(news: &OwnNews) -> Result<()> {
    match values(news, false).iter().find(|(_, value)| !fits(value)) {
        None => Ok(()),
        Some((key, value)) => {
            let detail = format!(
                "what this node says of itself is too long: `{key}` has {} bytes, at most {VALUE_BYTES_MAX}; shorten \
                 its zone or its addresses",
                value.len()
            );
            Err(Error::new(ErrorCode::ConfigValueInvalid, detail))
        }
    }
}

/// Whether a value is short enough to be published.
pub(super) fn fits(value: &str) -> bool {
    value.len() <= VALUE_BYTES_MAX
}

/// What another node says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Read {
    pub(super) news: OwnNews,
    pub(super) clock: Option<Timestamp>,
    pub(super) is_leaving: bool,
}

/// Reads a node's values; `None` as long as it has not said who it is. What is missing or unreadable is as if it had not
/// been said: it forms no cluster, it names nobody, it knows of nothing.
pub(super) fn read<'a>(
    node: &NodeId,
    address: SocketAddr,
    value: impl Fn(&str) -> Option<&'a str>,
) -> Option<Read> {
    let member: MemberValue = serde_json::from_str(value(MEMBER)?).ok()?;
    let bootstrap: BootstrapValue =
        value(BOOTSTRAP).and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default();
    let hex = |text: &str| u64::from_str_radix(text, 16).ok();
    let pair = |key: &str| value(key).and_then(|text| text.split_once(':'));
    let (table, table_hash) = pair(TABLE)
        .and_then(|(version, hash)| Some((TableVersion(version.parse().ok()?), hex(hash)?)))
        .unwrap_or_default();
    let load = pair(LOAD)
        .and_then(|(memory, processor)| {
            let tenths = |text: &str| Some(text.parse::<u8>().ok()?.min(10));
            Some(Load { memory: tenths(memory)?, processor: tenths(processor)? })
        })
        .unwrap_or_default();
    let news = OwnNews {
        member: Member {
            id: node.clone(),
            incarnation: Incarnation(member.incarnation),
            grpc_addr: member.grpc,
            gossip_addr: address.to_string(),
            http_addr: member.http,
            zone: member.zone,
            weight: member.weight,
            state: state_of(&member.state),
        },
        cluster: bootstrap
            .cluster
            .and_then(|hex| Some(ClusterId(u128::from_str_radix(&hex, 16).ok()?))),
        table,
        table_hash,
        leader: pair(LEADER).and_then(|(term, node)| Some((term.parse().ok()?, NodeId::new(node)))),
        is_empty: bootstrap.empty,
        expect: bootstrap.expect,
        names: bootstrap.names.map(NodeId::new),
        voter: value(VOTER).and_then(hex).map(VoterId),
        load,
    };
    let clock = value(CLOCK).and_then(|text| text.parse().ok()).map(Timestamp);
    Some(Read { news, clock, is_leaving: value(STATE) == Some("leaving") })
}

/// A state that a later version may have is one that nothing is placed on.
fn state_of(word: &str) -> MemberState {
    let known = [MemberState::Active, MemberState::Draining, MemberState::Down];
    known.into_iter().find(|state| state.to_string() == word).unwrap_or(MemberState::Joining)
}

#[cfg(test)]
#[path = "news_test.rs"]
mod tests;
