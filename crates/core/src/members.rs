//! Who is in the cluster: a [`Member`] is one node with its addresses, zone and weight; [`Members`] is all of them,
//! ordered by name, so that every node that sees the same members computes the same placement.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::id::{Incarnation, NodeId};

/// The weight of a member that does not say otherwise; 50 is half a share, 200 two shares.
pub const WEIGHT_DEFAULT: u32 = 100;

/// Where a member stands in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MemberState {
    /// Known, not yet registered: it owns nothing and is not placed on.
    Joining,
    /// A full member.
    Active,
    /// Still serving what it owns, and to be emptied: it is not placed on.
    Draining,
    /// Declared down by the council: it serves nothing and is not placed on.
    Down,
}

impl MemberState {
    /// Whether partitions may be placed on a member in this state.
    pub fn is_placeable(self) -> bool {
        match self {
            MemberState::Active => true,
            MemberState::Joining | MemberState::Draining | MemberState::Down => false,
        }
    }

    /// Whether a member in this state may still answer for the partitions it owns.
    pub fn is_serving(self) -> bool {
        match self {
            MemberState::Active | MemberState::Draining => true,
            MemberState::Joining | MemberState::Down => false,
        }
    }
}

impl fmt::Display for MemberState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            MemberState::Joining => "joining",
            MemberState::Active => "active",
            MemberState::Draining => "draining",
            MemberState::Down => "down",
        })
    }
}

/// One node of the cluster, as the others know it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    /// The name: the identity of the node.
    pub id: NodeId,
    /// Which of the node's lives this is.
    pub incarnation: Incarnation,
    /// `host:port` for clients and peers (gRPC).
    pub grpc_addr: String,
    /// `host:port` for gossip.
    pub gossip_addr: String,
    /// `host:port` for metrics, health and the HTTP API.
    pub http_addr: String,
    /// What fails together: a data centre, a rack. Members without a zone share one nameless zone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub zone: Option<String>,
    /// The share of the data it takes, relative to the others; zero for none.
    #[serde(default = "weight_default")]
    pub weight: u32,
    /// Where it stands in its life.
    pub state: MemberState,
}

fn weight_default() -> u32 {
    WEIGHT_DEFAULT
}

impl Member {
    /// An active member of default weight, in its first life, with neither zone nor addresses.
    pub fn new(id: impl AsRef<str>) -> Self {
        Self {
            id: NodeId::new(id),
            incarnation: Incarnation(1),
            grpc_addr: String::new(),
            gossip_addr: String::new(),
            http_addr: String::new(),
            zone: None,
            weight: WEIGHT_DEFAULT,
            state: MemberState::Active,
        }
    }

    /// Whether partitions may be placed on it.
    pub fn is_placeable(&self) -> bool {
        self.state.is_placeable() && self.weight > 0
    }
}

/// The members of a cluster, ordered by name. Written down as a list.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Vec<Member>", into = "Vec<Member>")]
pub struct Members {
    by_id: BTreeMap<NodeId, Member>,
}

impl Members {
    /// No members.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes in what is known of a member. News of an earlier life than the known one are old, and change nothing.
    /// Returns whether anything changed.
    pub fn upsert(&mut self, member: Member) -> bool {
        match self.by_id.get_mut(&member.id) {
            Some(known) if member.incarnation < known.incarnation || member == *known => false,
            Some(known) => {
                *known = member;
                true
            }
            None => {
                self.by_id.insert(member.id.clone(), member);
                true
            }
        }
    }

    /// Forgets a member.
    pub fn remove(&mut self, id: &NodeId) -> Option<Member> {
        self.by_id.remove(id)
    }

    /// The member of this name.
    pub fn get(&self, id: &NodeId) -> Option<&Member> {
        self.by_id.get(id)
    }

    /// Whether there is a member of this name.
    pub fn contains(&self, id: &NodeId) -> bool {
        self.by_id.contains_key(id)
    }

    /// The member that listens for clients and peers at this address.
    pub fn at_grpc_addr(&self, grpc_addr: &str) -> Option<&Member> {
        self.iter().find(|member| member.grpc_addr == grpc_addr)
    }

    /// All members, in the order of their names.
    pub fn iter(&self) -> impl Iterator<Item = &Member> {
        self.by_id.values()
    }

    /// The members on which partitions may be placed, in the order of their names.
    pub fn placeable(&self) -> impl Iterator<Item = &Member> {
        self.iter().filter(|member| member.is_placeable())
    }

    /// How many members there are.
    pub fn len(&self) -> usize {
        self.by_id.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.by_id.is_empty()
    }
}

impl From<Vec<Member>> for Members {
    fn from(members: Vec<Member>) -> Self {
        members.into_iter().collect()
    }
}

impl From<Members> for Vec<Member> {
    fn from(members: Members) -> Self {
        members.by_id.into_values().collect()
    }
}

impl FromIterator<Member> for Members {
    fn from_iter<I: IntoIterator<Item = Member>>(members: I) -> Self {
        let mut all = Members::new();
        for member in members {
            all.upsert(member);
        }
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_are_ordered_by_name_whatever_order_they_came_in() {
        let names = |members: &Members| -> Vec<String> {
            members.iter().map(|member| member.id.to_string()).collect()
        };
        let forward: Members = ["a", "b", "c"].map(Member::new).into_iter().collect();
        let backward: Members = ["c", "b", "a"].map(Member::new).into_iter().collect();
        assert_eq!(forward, backward);
        assert_eq!(names(&backward), ["a", "b", "c"]);
        assert_eq!(backward.len(), 3);
        assert!(!backward.is_empty() && Members::new().is_empty());
    }

    #[test]
    fn news_of_an_earlier_life_change_nothing() {
        let mut members = Members::new();
        let second = Member { incarnation: Incarnation(2), ..Member::new("a") };
        assert!(members.upsert(second.clone()));
        assert!(!members.upsert(second.clone()), "known already");
        assert!(!members.upsert(Member::new("a")), "an earlier life");
        assert_eq!(members.get(&second.id), Some(&second));

        let draining = Member { state: MemberState::Draining, ..second.clone() };
        assert!(members.upsert(draining), "news of the same life");
        assert!(members.upsert(Member { incarnation: Incarnation(3), ..second.clone() }));
        assert_eq!(members.len(), 1);
        assert!(members.remove(&second.id).is_some());
        assert!(!members.contains(&second.id));
    }

    #[test]
    fn only_active_members_with_a_weight_are_placed_on() {
        let with = |id: &str, state| Member { state, ..Member::new(id) };
        let members: Members = [
            with("active", MemberState::Active),
            with("joining", MemberState::Joining),
            with("draining", MemberState::Draining),
            with("down", MemberState::Down),
            Member { weight: 0, ..Member::new("witness") },
        ]
        .into_iter()
        .collect();
        let placeable: Vec<&str> = members.placeable().map(|member| member.id.as_str()).collect();
        assert_eq!(placeable, ["active"]);
        assert!(MemberState::Draining.is_serving() && !MemberState::Down.is_serving());
    }

    #[test]
    fn a_member_is_found_by_its_address() {
        let member = Member { grpc_addr: "10.0.0.1:7700".into(), ..Member::new("a") };
        let members: Members = [member.clone(), Member::new("b")].into_iter().collect();
        assert_eq!(members.at_grpc_addr("10.0.0.1:7700"), Some(&member));
        assert_eq!(members.at_grpc_addr("10.0.0.2:7700"), None);
    }

    #[test]
    fn members_are_written_as_a_list_and_read_back() {
        let members: Members = [
            Member { zone: Some("east".into()), ..Member::new("b") },
            Member { state: MemberState::Draining, ..Member::new("a") },
        ]
        .into_iter()
        .collect();
        let text = serde_json::to_string(&members).expect("members serialise");
        assert!(text.starts_with(r#"[{"id":"a","incarnation":1,"#), "{text}");
        assert!(text.contains(r#""state":"draining""#) && text.contains(r#""zone":"east""#));
        assert_eq!(serde_json::from_str::<Members>(&text).expect("and read back"), members);
    }
}
