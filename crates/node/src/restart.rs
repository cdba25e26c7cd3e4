//! Whether this node may be restarted now, and whether its restart is over: what the probes around a restart ask.

use isogrid_cluster::council::Intent;
use isogrid_cluster::steward::{BlockedBy, Blocker, CanStop};
use isogrid_core::{MemberState, NodeId};

use crate::control::ClusterFacts;
use crate::node::Shared;

impl Shared {
    /// Why this node should not be restarted now: others would miss it, or another node is on its way.
    pub(crate) async fn not_before_restart(&self) -> Option<String> {
        if let Some(why) = self.not_ready() {
            return Some(why);
        }
        let facts = self.control.facts();
        if let Some(why) = another_goes(&facts, &self.node_id) {
            return Some(why);
        }
        if !facts.has_quorum {
            return Some("missed: no leader of the council answers".to_owned());
        }
        match self.control.can_stop(&self.node_id).await {
            Ok(CanStop::Yes { .. }) => None,
            Ok(CanStop::No { blockers }) => in_the_way(&blockers, &facts, &self.node_id),
            Err(error) => Some(error.to_string()),
        }
    }

    /// Why the restart of this node is not over: it is not back, or the cluster is not yet as it should be.
    pub(crate) async fn not_after_restart(&self) -> Option<String> {
        if let Some(why) = self.not_ready() {
            return Some(why);
        }
        let (health, _) = self.health().await;
        let missing = || format!("{}: {}", health.word.as_str(), health.missing().join(", "));
        (!health.is_settled()).then(missing)
    }
}

/// That another node goes down, is down for a restart, or goes for good.
fn another_goes(facts: &ClusterFacts, own: &NodeId) -> Option<String> {
    let goes = facts.view.nodes.iter().filter(|(node, _)| *node != own).find_map(|(node, news)| {
        match (news.intent, news.member.state) {
            (Intent::Restart, MemberState::Down) => Some(format!("{node} is down for a restart")),
            (Intent::Restart, _) => Some(format!("{node} is about to restart")),
            (Intent::Leave, _) => Some(format!("{node} leaves the cluster")),
            (Intent::Stop, state) if state.is_serving() => Some(format!("{node} is about to stop")),
            (Intent::Stay | Intent::Drain | Intent::Stop, _) => None,
        }
    });
    goes.map(|what| format!("not alone: {what}"))
}

/// What stands in the way of a restart: all that stands in the way of a stop, but for what the node does by itself before it
/// ends. It hands over what it leads, and as the only voter its vote.
fn in_the_way(blockers: &[Blocker], facts: &ClusterFacts, own: &NodeId) -> Option<String> {
    let stays = |(node, news): (&NodeId, &crate::control::news::NodeNews)| {
        node != own && news.intent == Intent::Stay && news.member.state.is_serving()
    };
    let is_only_voter = facts.voters.len() == 1 && facts.voters.contains(own);
    let vote_can_go = is_only_voter && facts.view.nodes.iter().any(stays);
    let stands = |blocker: &&Blocker| match blocker.why {
        BlockedBy::Leads => false,
        BlockedBy::Quorum { .. } => !vote_can_go,
        BlockedBy::TooFewCopies { .. } | BlockedBy::StillMember | BlockedBy::NotFlushed => true,
    };
    let standing: Vec<&Blocker> = blockers.iter().filter(stands).collect();
    let first = standing.first()?;
    let what = match first.why {
        BlockedBy::TooFewCopies { have, need } => {
            let partitions = standing.iter().filter(|blocker| blocker.partition.is_some()).count();
            format!(
                "of {partitions} partitions too few other nodes have everything ({have} of {need})"
            )
        }
        BlockedBy::Quorum { have, need } => {
            format!("the council needs {need} voters without it, and {have} are up")
        }
        BlockedBy::StillMember | BlockedBy::Leads => "it still holds copies".to_owned(),
        BlockedBy::NotFlushed => "it has not written everything to disk yet".to_owned(),
    };
    Some(format!("missed: {what}"))
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};
    use std::sync::Arc;

    use isogrid_core::{Member, PartitionId};

    use super::*;
    use crate::control::news::NodeNews;
    use crate::control::view::View;

    fn facts(nodes: &[(&str, MemberState, Intent)], voters: &[&str]) -> ClusterFacts {
        let news = |(name, state, intent): &(&str, MemberState, Intent)| {
            let member = Member { state: *state, ..Member::new(name) };
            (NodeId::new(name), NodeNews { member, intent: *intent })
        };
        let nodes: BTreeMap<NodeId, NodeNews> = nodes.iter().map(news).collect();
        let voters: BTreeSet<NodeId> = voters.iter().map(NodeId::new).collect();
        ClusterFacts {
            view: Arc::new(View { nodes: Arc::new(nodes), ..View::empty() }),
            leader: None,
            has_quorum: true,
            voters_present: voters.clone(),
            voters,
            live: BTreeSet::new(),
        }
    }

    #[test]
    fn one_node_goes_at_a_time() {
        use Intent::{Drain, Leave, Restart, Stay, Stop};
        use MemberState::{Active, Down};
        for (state, intent, goes) in [
            (Active, Stay, false),
            (Active, Drain, false),
            (Down, Stay, false),
            (Active, Restart, true),
            (Down, Restart, true),
            (Active, Leave, true),
            (Active, Stop, true),
            (Down, Stop, false),
        ] {
            let facts = facts(&[("a", Active, Stay), ("b", state, intent)], &["a"]);
            let said = another_goes(&facts, &NodeId::new("a"));
            assert_eq!(said.is_some(), goes, "{state:?} {intent:?} {said:?}");
        }
        let own = facts(&[("a", Active, Restart), ("b", Active, Stay)], &["a"]);
        assert_eq!(another_goes(&own, &NodeId::new("a")), None, "its own restart is its own");
    }

    #[test]
    fn what_a_node_hands_over_by_itself_is_not_in_the_way() {
        let stay = |name| (name, MemberState::Active, Intent::Stay);
        let blocker = |partition: Option<u16>, why| Blocker {
            partition: partition.map(PartitionId),
            why,
            estimate_ms: 1,
        };
        let own = NodeId::new("a");
        let two = facts(&[stay("a"), stay("b")], &["a"]);
        let vote = blocker(None, BlockedBy::Quorum { have: 0, need: 1 });
        let leads = blocker(Some(1), BlockedBy::Leads);
        assert_eq!(in_the_way(&[leads.clone(), vote.clone()], &two, &own), None);
        let alone = facts(&[stay("a")], &["a"]);
        let said = in_the_way(&[leads.clone(), vote], &alone, &own).unwrap_or_default();
        assert!(said.contains("1 voters without it, and 0"), "{said}");
        let few =
            |partition| blocker(Some(partition), BlockedBy::TooFewCopies { have: 0, need: 1 });
        let said = in_the_way(&[leads, few(2), few(3)], &two, &own).unwrap_or_default();
        assert!(said.contains("of 2 partitions") && said.contains("(0 of 1)"), "{said}");
        let three = facts(&[stay("a"), stay("b"), stay("c")], &["a", "b", "c"]);
        let vote = blocker(None, BlockedBy::Quorum { have: 1, need: 2 });
        assert!(in_the_way(&[vote], &three, &own).is_some(), "three do not hand votes on");
    }
}
