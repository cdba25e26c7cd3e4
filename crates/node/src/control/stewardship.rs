//! What the council's leader does: it gathers evidence, lets the steward look at it, and carries out its orders. A new term
//! begins with nothing but what is committed.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures::StreamExt;
use isogrid_cluster::{Council, Directive, Evidence, Orders, Steward};
use isogrid_core::{Incarnation, NodeId};
use tokio::time::{Duration, MissedTickBehavior, interval, sleep};
use tracing::{debug, info};

use super::news::Leader;
use super::shared::Control;
use crate::peers::message::LinkMessage;

/// The least time between two looks: a look costs something with many partitions.
const PAUSE: Duration = Duration::from_millis(5);

/// The most proposals of the steward that are under way at once.
const PROPOSALS_MAX: usize = 64;

/// What only the leader of a term has.
pub(super) struct Stewardship {
    /// This node, in this term.
    pub(super) leader: Leader,
    pub(super) steward: Steward,
    pub(super) evidence: Evidence,
    /// The life of each node that the evidence is about.
    lives: BTreeMap<NodeId, Incarnation>,
}

pub(super) async fn run(control: Arc<Control>) {
    let mut ticks = interval(control.settings.pace.steward);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut leader = control.faces.council.leader();
    let mut state = control.faces.council.state();
    let mut is_steward = false;
    loop {
        tokio::select! {
            _ = ticks.tick(), if is_steward => {}
            () = control.wake.steward.notified() => {}
            Ok(()) = leader.changed() => {}
            Ok(()) = state.changed() => {}
        }
        is_steward = control.is_steward().await;
        if is_steward {
            let council = Arc::clone(&state.borrow_and_update());
            let orders = control.look(&council);
            control.carry_out(orders).await;
        }
        sleep(PAUSE).await;
    }
}

impl Control {
    /// Whether this node leads the council and a majority follows it. Takes up the office in a new term, and lays it down.
    async fn is_steward(&self) -> bool {
        let leading = self.faces.council.leader().borrow().clone();
        let Some(leading) = leading.filter(|leading| leading.is_me) else {
            if let Some(old) = self.stewardship.lock().take() {
                info!(term = old.leader.term, "this node leads the council no more");
            }
            return false;
        };
        let leader = Leader { term: leading.term, node: leading.node };
        if self.stewardship.lock().as_ref().is_some_and(|s| s.leader == leader) {
            return self.faces.council.has_quorum();
        }
        // What earlier leaders acknowledged must have been applied here first.
        if self.faces.council.confirm().await.is_err() {
            return false;
        }
        info!(term = leader.term, "this node leads the council");
        let steward = Steward::with_settings(self.millis(), self.settings.steward.clone());
        *self.stewardship.lock() = Some(Stewardship {
            leader: leader.clone(),
            steward,
            evidence: Evidence::default(),
            lives: BTreeMap::new(),
        });
        self.reach.lock().clear();
        self.hear_leader(&leader);
        self.wake.heartbeat.notify_one();
        self.faces.council.has_quorum()
    }

    fn look(&self, council: &Council) -> Orders {
        let now = self.millis();
        let mut stewardship = self.stewardship.lock();
        let Some(stewardship) = stewardship.as_mut() else { return Orders::default() };
        stewardship.meet(council);
        stewardship.steward.step(now, council, &stewardship.evidence)
    }

    async fn carry_out(&self, orders: Orders) {
        for directive in orders.directives {
            self.direct(directive);
        }
        // Many are under way at once, so that they share the council's writes to disk. Each says for which state it is meant:
        // one that comes too late is refused, and one that is lost is ordered again.
        let proposals = orders.commands.into_iter().map(|command| {
            debug!(?command, "the steward proposes");
            self.faces.council.propose(command)
        });
        let mut decided = futures::stream::iter(proposals).buffered(PROPOSALS_MAX);
        while let Some(outcome) = decided.next().await {
            if let Err(failed) = outcome {
                debug!(?failed, "the steward's command was not decided");
                return;
            }
        }
    }

    pub(super) fn direct(&self, directive: Directive) {
        let to = directive.primary().clone();
        debug!(?directive, "the steward asks a primary");
        if to == *self.node() {
            self.faces.engine.direct(&directive);
        } else {
            self.faces.peers.send(&to, &LinkMessage::Directive(directive));
        }
    }
}

impl Stewardship {
    /// What was said of an earlier life of a node says nothing of the present one.
    fn meet(&mut self, council: &Council) {
        for (node, record) in council.nodes() {
            let life = record.incarnation();
            if self.lives.insert(node.clone(), life).is_some_and(|before| before != life) {
                self.evidence.returned(node);
            }
        }
        self.lives.retain(|node, _| council.nodes().contains_key(node));
    }
}
