//! The heartbeat: this node tells the council's leader that it lives and what it sees. The answer gives a lease, and says
//! how much there is to know.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use isogrid_cluster::heartbeat::{Contact, Heartbeat, Lead};
use isogrid_core::{NodeId, PartitionId};
use isogrid_replica::Ticks;
use tokio::time::{MissedTickBehavior, interval};
use tracing::debug;

use super::news::Leader;
use super::question::{Beat, BeatAnswer, LeaderAnswer, pack, unpack};
use super::shared::Control;
use crate::peers::message::AskKind;
use crate::peers::pulse::Heard;

/// Everything is told again after so many heartbeats, whatever the leader knows.
const WHOLE_EVERY: u32 = 50;

/// How long a node may take to speak for the first time.
const UNHEARD_MS_MAX: u64 = 4_000;

/// What the leader was told of the partitions that are led here.
#[derive(Default)]
struct Told {
    to: Option<NodeId>,
    term: u64,
    leads: BTreeMap<PartitionId, Lead>,
    beats: u32,
}

pub(super) async fn run(control: Arc<Control>) {
    let mut told = Told::default();
    let mut evidence = control.faces.peers.evidence();
    let mut ticks = interval(control.settings.pace.heartbeat);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = ticks.tick() => {}
            () = control.wake.heartbeat.notified() => {}
            Ok(()) = evidence.changed() => {}
        }
        if control.now_known().registered.is_some() {
            control.beat(&mut told).await;
        }
    }
}

/// What is told of a node. One that never spoke since this process knows its address may be about to; after a while it is
/// as silent as one that stopped, or a node that did not come back with the others would be missed by nobody.
fn contact(heard: &Heard, ms_ago: u64) -> Contact {
    let has_spoken = heard.incarnation.0 != 0;
    Contact {
        ms_ago: (has_spoken || ms_ago > UNHEARD_MS_MAX).then_some(ms_ago),
        is_refused: heard.is_refused,
        life: has_spoken.then_some(heard.incarnation),
    }
}

impl Told {
    /// What of this the leader does not know yet.
    fn fresh(&mut self, to: &NodeId, leads: Vec<Lead>) -> Vec<Lead> {
        self.beats += 1;
        if self.to.as_ref() != Some(to) || self.beats >= WHOLE_EVERY {
            *self = Told { to: Some(to.clone()), term: self.term, ..Told::default() };
        }
        let is_fresh = |lead: &Lead| self.leads.get(&lead.partition) != Some(lead);
        let fresh: Vec<Lead> = leads.into_iter().filter(is_fresh).collect();
        self.leads.extend(fresh.iter().map(|lead| (lead.partition, lead.clone())));
        fresh
    }
}

impl Control {
    async fn beat(&self, told: &mut Told) {
        let Some(to) = self.leader_to_ask() else { return };
        let now = self.faces.engine.now();
        self.own.lock().sessions.extend(self.faces.engine.kept_alive());
        let sessions: Vec<_> = self.own.lock().sessions.iter().copied().collect();
        let heartbeat = Heartbeat {
            from: self.settings.me(),
            sent_at_us: now.ticks.0,
            wall: now.wall,
            heard: self.heard(),
            leads: told.fresh(&to, self.faces.engine.leads()),
            sessions: sessions.clone(),
            is_flushed: self.faces.engine.is_flushed(),
        };
        let beat = Beat { heartbeat, known: self.now_known().known() };
        match self.send_beat(&to, &beat).await {
            Some(answer) => {
                {
                    let mut own = self.own.lock();
                    own.sessions.retain(|session| !sessions.contains(session));
                    own.answered = Some(Instant::now());
                }
                if told.term != answer.term {
                    *told = Told { term: answer.term, ..Told::default() };
                }
                self.beat_answered(&to, now.ticks, answer);
            }
            None => *told = Told::default(),
        }
    }

    /// What is heard of the other nodes over links.
    fn heard(&self) -> Vec<(NodeId, Contact)> {
        let view = self.now_known();
        let now = Instant::now();
        let known = |(node, _): &(NodeId, _)| view.nodes.contains_key(node);
        let told = |(node, heard): (NodeId, Heard)| {
            let ms_ago = now.saturating_duration_since(heard.last).as_millis() as u64;
            (node, contact(&heard, ms_ago))
        };
        self.faces.peers.heard().into_iter().filter(known).map(told).collect()
    }

    async fn send_beat(&self, to: &NodeId, beat: &Beat) -> Option<BeatAnswer> {
        let answer = if to == self.node() {
            self.answer_beat(beat)
        } else {
            let patience = self.settings.pace.heartbeat_timeout;
            let asked = self.faces.peers.ask(to, AskKind::Heartbeat, pack(beat), patience).await;
            match asked.map(|bytes| unpack(&bytes)) {
                Ok(Ok(answer)) => answer,
                Ok(Err(error)) => {
                    debug!(%to, %error, "an answer to a heartbeat cannot be read");
                    LeaderAnswer::NotLeader(None)
                }
                Err(failed) => {
                    debug!(%to, %failed, "a heartbeat was not answered");
                    LeaderAnswer::NotLeader(None)
                }
            }
        };
        match answer {
            LeaderAnswer::Done(answer) => Some(answer),
            LeaderAnswer::NotLeader(hint) => {
                self.not_leader(to, hint);
                None
            }
            LeaderAnswer::Unknown(_) | LeaderAnswer::Impossible(_) => None,
        }
    }

    fn beat_answered(&self, from: &NodeId, sent_at: Ticks, answer: BeatAnswer) {
        {
            let mut own = self.own.lock();
            own.voters = answer.voters;
            own.voters_present = answer.voters_present;
        }
        if !answer.serves {
            return self.must_register();
        }
        self.faces.engine.council_answered(sent_at);
        let view = self.now_known();
        if !view.known().covers(answer.known) || view.cluster != answer.cluster {
            self.own.lock().ahead = Some(from.clone());
            self.wake.pull.notify_one();
        }
    }

    /// A node's heartbeat, at the leader.
    pub(super) fn answer_beat(&self, beat: &Beat) -> LeaderAnswer<BeatAnswer> {
        let not_leader = || LeaderAnswer::NotLeader(self.hint(None));
        if !self.faces.council.has_quorum() {
            return not_leader();
        }
        let now = self.faces.engine.now();
        let council = Arc::clone(&self.faces.council.state().borrow());
        let mut stewardship = self.stewardship.lock();
        // Before its term is confirmed a leader may not have heard what the last one acknowledged.
        let Some(stewardship) = stewardship.as_mut().filter(|s| self.leads_as(&s.leader)) else {
            return not_leader();
        };
        let silent_ms = self.settings.pace.silent_ms;
        let millis = self.millis();
        let serves =
            stewardship.evidence.hear(&beat.heartbeat, &council, millis, now.wall, silent_ms);
        if beat.heartbeat.heard.iter().any(|(_, contact)| contact.is_refused) {
            self.wake.steward.notify_one();
        }
        self.note_reach(&beat.heartbeat.from, beat.known);
        let known = super::news::Known::of(&council);
        let (term, cluster) = (stewardship.leader.term, council.cluster().cloned());
        let voters = self.faces.council.voters().into_values().collect();
        let voters_present = self.voters_present().into_values().collect();
        LeaderAnswer::Done(BeatAnswer { serves, term, known, cluster, voters, voters_present })
    }

    /// Whether this node leads the council as that leader.
    pub(super) fn leads_as(&self, leader: &Leader) -> bool {
        let leading = self.faces.council.leader();
        let leading = leading.borrow();
        leading.as_ref().is_some_and(|now| now.is_me && now.term == leader.term)
    }
}

#[cfg(test)]
mod tests {
    use isogrid_core::{Incarnation, LogPosition};

    use super::*;

    #[test]
    fn a_node_that_never_spoke_is_not_silent_at_once() {
        let heard = |life, is_refused| Heard {
            last: Instant::now(),
            incarnation: Incarnation(life),
            is_refused,
        };
        assert_eq!(contact(&heard(0, false), UNHEARD_MS_MAX), Contact::default());
        let silent = Contact::heard(UNHEARD_MS_MAX + 1);
        assert_eq!(contact(&heard(0, false), UNHEARD_MS_MAX + 1), silent);
        let spoke = Contact { life: Some(Incarnation(7)), ..Contact::heard(5) };
        assert_eq!(contact(&heard(7, false), 5), spoke);
        assert!(contact(&heard(0, true), 5).is_refused);
    }

    #[test]
    fn the_leader_is_told_what_is_new_to_it() {
        let lead = |partition, bytes| Lead {
            partition: PartitionId(partition),
            bytes,
            commit: LogPosition::START,
            followers: Vec::new(),
        };
        let (a, b) = (NodeId::new("a"), NodeId::new("b"));
        let mut told = Told::default();
        assert_eq!(told.fresh(&a, vec![lead(0, 1), lead(1, 1)]).len(), 2);
        assert_eq!(told.fresh(&a, vec![lead(0, 1), lead(1, 2)]), [lead(1, 2)]);
        assert_eq!(told.fresh(&b, vec![lead(0, 1)]).len(), 1, "another leader knows nothing");
        let again = (0..WHOLE_EVERY).map(|_| told.fresh(&b, vec![lead(0, 1)]).len());
        assert_eq!(again.sum::<usize>(), 1, "and once in a while everything");
    }
}
