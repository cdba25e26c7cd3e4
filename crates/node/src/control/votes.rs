//! Whose vote counts now. A voter is known by its log: a node that restarted without one has another vote, and what stands in
//! the council under its name is as good as dead until the leader has replaced it.

use std::collections::BTreeMap;

use isogrid_cluster::VoterId;
use isogrid_cluster::council::Intent;
use isogrid_core::NodeId;

use super::news::NodeNews;
use super::shared::Control;
use super::view::View;

impl Control {
    /// The voters whose nodes live with the very log that votes.
    pub(super) fn voters_present(&self) -> BTreeMap<VoterId, NodeId> {
        let members = self.faces.gossip.members();
        let members = members.borrow();
        let is_present = |voter: VoterId, node: &NodeId| {
            let is_own = node == self.node() && voter == self.faces.council.voter();
            let is_seen = || {
                members.get(node).is_some_and(|seen| seen.is_live && seen.news.voter == Some(voter))
            };
            is_own || is_seen()
        };
        let voters = self.faces.council.voters().into_iter();
        voters.filter(|(voter, node)| is_present(*voter, node)).collect()
    }

    /// How many voters would be left without a node, and how many decide; `None` if it does not vote.
    pub(super) fn votes_without(
        &self,
        node: &NodeId,
        serves: impl Fn(&NodeId) -> bool,
    ) -> Option<(usize, usize)> {
        let voters = self.faces.council.voters();
        let votes = voters.values().any(|voter| voter == node);
        let present = self.voters_present();
        let have = present.values().filter(|other| *other != node && serves(other)).count();
        votes.then_some((have, voters.len() / 2 + 1))
    }

    /// Whether the council could decide nothing without this node's vote, and another node stays that could take its place.
    pub(super) fn is_vote_missed(&self, view: &View) -> bool {
        let serves =
            |node: &NodeId| view.nodes.get(node).is_some_and(|news| news.member.state.is_serving());
        let stays = |news: &NodeNews| {
            news.member.id != *self.node() && serves(&news.member.id) && news.intent == Intent::Stay
        };
        let is_short =
            self.votes_without(self.node(), serves).is_some_and(|(have, need)| have < need);
        is_short && view.nodes.values().any(stays)
    }
}
