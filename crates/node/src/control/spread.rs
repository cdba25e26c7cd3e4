//! News: how what was decided reaches every node. Voters read it off their own council; the leader pushes it to everybody
//! after each change; whoever hears that somebody knows more asks for it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use isogrid_cluster::Council;
use isogrid_cluster::council::Cluster;
use isogrid_cluster::gossip::{Heard, hear};
use isogrid_core::{Incarnation, NodeId, Replica};
use tokio::time::{sleep, timeout};
use tracing::{debug, error};

use super::news::{Known, Leader, News};
use super::question::{pack, unpack};
use super::shared::Control;
use crate::peers::message::{AskKind, LinkMessage};

/// Changes that come together are pushed together.
const COALESCE: Duration = Duration::from_millis(2);

/// Without a reason to pull, it is looked for one so often.
const LOOK: Duration = Duration::from_millis(500);

/// The pause after a pull, so that a node that cannot be brought up to date does not ask all the time.
const PULL_PAUSE: Duration = Duration::from_millis(20);

/// How far news have reached a node.
#[derive(Clone, Debug)]
pub(super) struct Reach {
    life: Incarnation,
    /// What it has by its own word, or was sent since.
    known: Known,
    cluster: Option<Cluster>,
}

/// What the own voter applies is known here.
pub(super) async fn follow_council(control: Arc<Control>) {
    let mut state = control.faces.council.state();
    loop {
        let council = Arc::clone(&state.borrow_and_update());
        let known = control.now_known().known();
        if let Some(news) = News::of(&council, known, None) {
            control.take(&news);
        }
        if state.changed().await.is_err() {
            return;
        }
    }
}

/// Who leads by the own voter's word is known here.
pub(super) async fn follow_leader(control: Arc<Control>) {
    let mut leader = control.faces.council.leader();
    loop {
        let leading = leader.borrow_and_update().clone();
        if let Some(leading) = leading {
            control.hear_leader(&Leader { term: leading.term, node: leading.node });
        }
        if leader.changed().await.is_err() {
            return;
        }
    }
}

/// The leader tells everybody.
pub(super) async fn push(control: Arc<Control>) {
    let mut state = control.faces.council.state();
    while state.changed().await.is_ok() {
        let council = Arc::clone(&state.borrow_and_update());
        let leader = control.stewardship.lock().as_ref().map(|s| s.leader.clone());
        if let Some(leader) = leader.filter(|leader| control.leads_as(leader)) {
            control.push(&council, &leader);
        }
        sleep(COALESCE).await;
    }
}

/// Asks whoever knows more.
pub(super) async fn pull(control: Arc<Control>) {
    let mut members = control.faces.gossip.members();
    loop {
        tokio::select! {
            () = control.wake.pull.notified() => {}
            Ok(()) = members.changed() => {}
            () = sleep(LOOK) => {}
        }
        if control.cluster().is_none() {
            continue;
        }
        let told = control.own.lock().ahead.take();
        if let Some(node) = told.or_else(|| control.ahead_by_gossip()) {
            control.pull(&node).await;
            sleep(PULL_PAUSE).await;
        }
    }
}

impl Control {
    fn push(&self, council: &Council, leader: &Leader) {
        let now = Known::of(council);
        let cluster = council.cluster();
        // Most nodes have the same: one piece of news for all of them.
        let mut made: Vec<(Known, Arc<News>)> = Vec::new();
        let others = council.nodes().values().filter(|record| record.is_serving());
        for record in others.filter(|record| record.member.id != *self.node()) {
            let life = record.incarnation();
            let mut reach = self.reach.lock();
            let fresh = || Reach { life, known: Known::default(), cluster: None };
            let to = reach.entry(record.member.id.clone()).or_insert_with(fresh);
            if to.life != life {
                *to = fresh();
            }
            if to.known.covers(now) && to.cluster.as_ref() == cluster {
                continue;
            }
            let known = std::mem::replace(&mut to.known, now);
            to.cluster = cluster.cloned();
            drop(reach);
            let ready = made.iter().find(|(of, _)| *of == known).map(|(_, news)| Arc::clone(news));
            let news = ready.or_else(|| {
                let news = Arc::new(News::of(council, known, Some(leader.clone()))?);
                made.push((known, Arc::clone(&news)));
                Some(news)
            });
            if let Some(news) = news {
                self.faces.peers.send(&record.member.id, &LinkMessage::News(news));
            }
        }
    }

    /// A node says how much it knows.
    pub(super) fn note_reach(&self, node: &Replica, known: Known) {
        let mut reach = self.reach.lock();
        match reach.get_mut(&node.node) {
            Some(to) if to.life == node.incarnation => to.known = to.known.or(known),
            _ => {
                let to = Reach { life: node.incarnation, known, cluster: None };
                reach.insert(node.node.clone(), to);
            }
        }
    }

    /// Who has a newer table, by gossip: the newest of all.
    fn ahead_by_gossip(&self) -> Option<NodeId> {
        let view = self.now_known();
        let cluster = self.cluster();
        let members = self.faces.gossip.members();
        let members = members.borrow();
        let mut ahead = BTreeMap::new();
        for seen in members.values().filter(|seen| seen.is_live) {
            let state = seen.state();
            match hear(cluster, &view.table, &state) {
                Heard::Nothing => {}
                Heard::Pull { from, .. } => drop(ahead.insert(state.table, from)),
                Heard::Defect { hash } => error!(
                    node = %state.node, table = state.table.0, hash, own = view.table.hash(),
                    "another node has this version of the table with other content: this is a defect"
                ),
                Heard::Foreign(other) => debug!(
                    node = %state.node, cluster = %format_args!("{:032x}", other.0),
                    "another cluster of the same name"
                ),
            }
        }
        // Who belongs to the cluster and was told nothing yet asks anybody who does.
        let any = view.cluster.is_none().then(|| self.leader_to_ask()).flatten();
        ahead.into_values().next_back().or(any)
    }

    async fn pull(&self, from: &NodeId) {
        if from == self.node() {
            return;
        }
        let known = self.now_known().known();
        let patience = self.settings.pace.answer;
        let asked = self.faces.peers.ask(from, AskKind::PullNews, pack(&known), patience).await;
        match asked.map(|bytes| unpack::<Option<News>>(&bytes)) {
            Ok(Ok(Some(news))) => self.take(&news),
            Ok(Ok(None)) => debug!(%from, "it has no news"),
            Ok(Err(error)) => error!(%from, %error, "news cannot be read"),
            Err(failed) => debug!(%from, %failed, "news could not be had"),
        }
    }

    /// Brings this node's view to at least this, as far as the leader has it, within a while.
    pub(super) async fn catch_up(&self, is_enough: impl Fn(&super::view::View) -> bool) -> bool {
        let mut view = self.view();
        let patience = self.settings.pace.patience;
        let waiting = async {
            while !is_enough(&view.borrow_and_update()) {
                if let Some(leader) = self.leader_to_ask() {
                    self.pull(&leader).await;
                }
                if is_enough(&view.borrow_and_update()) {
                    return;
                }
                let _ = timeout(PULL_PAUSE, view.changed()).await;
            }
        };
        timeout(patience, waiting).await.is_ok()
    }

    /// A node asks for news.
    pub(super) fn answer_pull(&self, body: &[u8]) -> isogrid_core::Result<Bytes> {
        let known: Known = unpack(body)?;
        Ok(pack(&self.now_known().news_since(known)))
    }
}
