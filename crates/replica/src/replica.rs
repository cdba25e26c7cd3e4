//! [`Replica`]: one copy of a partition on one node, as a state machine: `step(event, now, effects)`.
//!
//! A role changes in one place, `Replica::take_role`. The role follows the committed table; but a replica steps down at
//! the first word of a higher epoch, before it has read the table (R12), and never becomes primary twice in one epoch (R8).

mod ahead;
mod inspect;

pub use inspect::FollowerLag;

use std::sync::Arc;

use isogrid_core::{Epoch, Incarnation, LogPosition, PartitionEntry, Replica as Name};
use isogrid_store::Partition;

use crate::backup::{self, Backup};
use crate::effects::{Effects, Refusal, Response};
use crate::event::{Event, Request};
use crate::follower::Follower;
use crate::learner::Learner;
use crate::message::Message;
use crate::notice::Notice;
use crate::primary::Primary;
use crate::settings::Settings;
use crate::state::State;
use crate::time::{Now, Ticks};

/// What a replica is at present.
#[derive(Debug)]
enum Role {
    Primary(Box<Primary>),
    Backup(Backup),
    Learner(Box<Learner>),
}

/// What a replica is, for those who look at it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RoleName {
    /// It takes the writes.
    Primary,
    /// It is in the in-sync set.
    Backup,
    /// It catches up, or is not needed.
    Learner,
}

/// One copy of a partition.
pub struct Replica {
    state: State,
    role: Role,
}

impl Replica {
    /// An empty replica. It accepts nothing before it has read a table that its node was registered in.
    pub fn new(me: Name, store: Partition, settings: Arc<Settings>, now: Now) -> Self {
        let state = State::new(me, store, settings, now);
        Replica { state, role: Role::Learner(Box::default()) }
    }

    /// A replica from what its disk kept.
    pub(crate) fn from_state(state: State) -> Self {
        Replica { state, role: Role::Learner(Box::default()) }
    }

    /// Something happens.
    #[inline]
    pub fn step(&mut self, event: Event<'_>, now: Now, effects: &mut dyn Effects) {
        match event {
            Event::Request(ref request) => self.request(request, now, effects),
            Event::Flush => {
                if let Role::Primary(primary) = &mut self.role {
                    primary.flush(&mut self.state, now, effects);
                }
            }
            Event::Receive { from, to, message } => self.receive(from, to, message, now, effects),
            Event::Table(entry) => self.read_table(entry, now, effects),
            Event::Tick => self.tick(now, effects),
            other => self.step_rarely(other, now, effects),
        }
    }

    fn step_rarely(&mut self, event: Event<'_>, now: Now, effects: &mut dyn Effects) {
        if let Event::Persisted(position) = event {
            // Entries that follow nothing on the disk do not count.
            if !self.lacks_image() {
                self.persisted(position, now, effects);
            }
            return;
        }
        if let Event::Imaged { position, voided } = event {
            self.state.imaged_for = self.state.imaged_for.max(voided);
            if !self.lacks_image() {
                self.persisted(position, now, effects);
            }
            return;
        }
        if let Event::DiskVoided | Event::Damaged = event {
            self.state.disk_voided += 1;
            self.state.is_doubted |= matches!(event, Event::Damaged);
            return;
        }
        let Role::Primary(primary) = &mut self.role else { return };
        let state = &mut self.state;
        match event {
            Event::LeaseAck { from, epoch, sent_at } if epoch == primary.epoch => {
                let target = primary.targets.iter_mut().find(|target| target.replica == *from);
                if let Some(target) = target {
                    target.heard(sent_at, Ticks(0), now);
                }
            }
            Event::CouncilAnswered { sent_at } => primary.council_answered(sent_at),
            Event::HandOver { to } => primary.hand_over(state, to, now, effects),
            Event::Retire { replica } => primary.retire(replica),
            Event::Vouch { replica } => primary.vouch(state, replica, now, effects),
            Event::SessionsEnded { watermark, above } => {
                primary.end_sessions(state, watermark, above, now);
            }
            Event::Fence { clock } => primary.fence(state, clock, now),
            Event::Evict { map } => primary.evict(state, map, now),
            _ => {}
        }
    }

    #[inline]
    fn request(&mut self, request: &Request<'_>, now: Now, effects: &mut dyn Effects) {
        // A write that an earlier try has executed is answered however late it comes: its primary looks first.
        let may_be_known = matches!(self.role, Role::Primary(_)) && !request.op.is_read();
        if request.is_late(now) && !may_be_known {
            return effects.respond(request.ticket, Response::Refused(Refusal::TooLate));
        }
        let state = &mut self.state;
        match &mut self.role {
            Role::Primary(primary) if request.op.is_read() => {
                primary.read(state, request, now, effects);
            }
            Role::Primary(primary) => primary.write(state, request, now, effects),
            Role::Backup(backup) => {
                backup.follower.read(state, request, !state.needs_repair, now, effects);
            }
            Role::Learner(learner) => {
                let is_whole = learner.is_complete(state);
                learner.follower.read(state, request, is_whole, now, effects);
            }
        }
    }

    fn receive(
        &mut self,
        from: &Name,
        to: Incarnation,
        message: Message,
        now: Now,
        effects: &mut dyn Effects,
    ) {
        let rules = &self.state.settings.rules;
        if to != self.state.me.incarnation && rules.check_incarnation {
            return effects.notice(Notice::OtherLife);
        }
        if let Message::Refused { promised } = message {
            if promised > self.state.promised && rules.step_down_when_stale {
                self.promise(promised, now, effects);
            }
            return;
        }
        let epoch = message.epoch();
        if epoch < self.state.promised {
            effects.notice(Notice::Fenced { epoch });
            let is_from_primary = message.is_from_primary();
            if rules.fence || !is_from_primary {
                if is_from_primary {
                    let promised = self.state.promised;
                    effects.send(from, Message::Refused { promised });
                }
                return;
            }
        }
        if epoch > self.state.promised {
            // Otherwise it is an answer to a primary of an epoch that this replica never led.
            if !message.is_from_primary() || self.is_stubborn() {
                return;
            }
            self.promise(epoch, now, effects);
        }
        self.dispatch(from, message, now, effects);
    }

    /// A message of the promised epoch.
    fn dispatch(&mut self, from: &Name, message: Message, now: Now, effects: &mut dyn Effects) {
        let state = &mut self.state;
        match (&mut self.role, message) {
            (Role::Primary(primary), Message::Ack(ack)) => {
                primary.acked(state, from, &ack, now, effects);
            }
            (Role::Primary(primary), Message::Mismatch(mismatch)) => {
                primary.mismatched(state, from, &mismatch, now, effects);
            }
            (Role::Primary(primary), Message::Pull { piece, .. }) => {
                primary.pulled(state, from, piece, now, effects);
            }
            (Role::Primary(primary), Message::Differs { .. }) => primary.differs(from, effects),
            (Role::Backup(backup), Message::Append(append)) => {
                backup.append(state, from, &append, now, effects);
            }
            (Role::Learner(learner), Message::Append(append)) => {
                learner.append(state, from, &append, now, effects);
            }
            (Role::Learner(learner), Message::Offer(offer)) => {
                learner.offered(state, from, &offer, now, effects);
            }
            (Role::Learner(learner), Message::Chunk(chunk)) => {
                learner.take(state, *chunk, now, effects);
            }
            _ => {}
        }
    }

    fn tick(&mut self, now: Now, effects: &mut dyn Effects) {
        match &mut self.role {
            Role::Primary(primary) => primary.tick(&mut self.state, now, effects),
            Role::Learner(learner) => {
                learner.ask(&self.state, now, effects);
                self.state.prune(now);
            }
            Role::Backup(_) => self.state.prune(now),
        }
    }

    fn persisted(&mut self, position: LogPosition, now: Now, effects: &mut dyn Effects) {
        self.state.persist(position);
        let state = &mut self.state;
        match &mut self.role {
            Role::Primary(primary) => primary.flush(state, now, effects),
            Role::Backup(backup) => {
                let is_whole = backup::is_whole(state);
                backup.follower.acknowledge(state, is_whole, now, effects);
            }
            Role::Learner(learner) => {
                let is_whole = learner.is_complete(state) && state.is_kept();
                learner.follower.acknowledge(state, is_whole, now, effects);
            }
        }
    }

    /// Promises to accept nothing of an earlier epoch; a primary of one steps down at once.
    fn promise(&mut self, epoch: Epoch, now: Now, effects: &mut dyn Effects) {
        debug_assert!(epoch > self.state.promised, "a promise never goes back");
        self.state.promised = epoch;
        let standing = self.standing();
        self.take_role(standing, true, now, effects);
    }

    /// The committed table says something new.
    fn read_table(&mut self, entry: &PartitionEntry, now: Now, effects: &mut dyn Effects) {
        let is_old = entry.ver <= self.state.view.ver || entry.epoch < self.state.promised;
        if is_old || self.is_stubborn() {
            return;
        }
        self.state.view = entry.clone();
        let is_new_epoch = entry.epoch > self.state.promised;
        if is_new_epoch {
            self.state.promised = entry.epoch;
        }
        let leads = entry.primary.as_ref() == Some(&self.state.me.node)
            && entry.in_sync.contains(&self.state.me);
        match &mut self.role {
            Role::Primary(primary) if leads && !is_new_epoch => {
                primary.read_table(&mut self.state, entry, now, effects);
            }
            // It may have heard of the epoch already, from one who refused it; but nobody leads twice in one epoch (R8).
            _ if leads && entry.epoch > self.state.led => {
                self.take_role(RoleName::Primary, is_new_epoch, now, effects);
            }
            _ => {
                let standing = self.standing();
                if is_new_epoch || standing != self.role() {
                    self.take_role(standing, is_new_epoch, now, effects);
                }
            }
        }
    }

    /// Only with rule R12 switched off: a primary that never steps down.
    fn is_stubborn(&self) -> bool {
        !self.state.settings.rules.step_down_when_stale && matches!(self.role, Role::Primary(_))
    }

    /// What the table says this replica is, if it does not lead.
    fn standing(&self) -> RoleName {
        if self.state.view.in_sync.contains(&self.state.me) {
            RoleName::Backup
        } else {
            RoleName::Learner
        }
    }

    /// The one place where a role changes.
    fn take_role(
        &mut self,
        name: RoleName,
        is_new_epoch: bool,
        now: Now,
        effects: &mut dyn Effects,
    ) {
        // What is known of the primary stays known as long as it is the same one.
        let follower = match self.follower() {
            Some(follower) if !is_new_epoch => follower.clone(),
            Some(follower) => Follower::after(follower.fresh()),
            None => Follower::default(),
        };
        let predecessor = self.follower().and_then(|follower| follower.primary.clone());
        let role = std::mem::replace(&mut self.role, Role::Learner(Box::default()));
        let is_learning = matches!(&role, Role::Learner(learner) if learner.copy.is_some());
        self.role = match (role, name) {
            (Role::Primary(primary), _) => {
                primary.step_down(&mut self.state, effects);
                self.lead_or_follow(name, follower, now, effects)
            }
            // A copy goes on with the next primary, and whatever the table says until it is whole.
            (Role::Learner(learner), RoleName::Learner | RoleName::Backup) if is_learning => {
                Role::Learner(Box::new(Learner { follower, ..*learner }))
            }
            (_, name) => self.lead_or_follow(name, follower, now, effects),
        };
        if let (Role::Primary(primary), Some(predecessor)) = (&mut self.role, predecessor) {
            primary.succeed(&self.state, &predecessor, now);
        }
        self.assert_sound();
    }

    fn lead_or_follow(
        &mut self,
        name: RoleName,
        follower: Follower,
        now: Now,
        effects: &mut dyn Effects,
    ) -> Role {
        match name {
            RoleName::Primary => {
                Role::Primary(Box::new(Primary::take_over(&mut self.state, now, effects)))
            }
            RoleName::Backup => Role::Backup(Backup { follower }),
            RoleName::Learner => Role::Learner(Box::new(Learner { follower, copy: None })),
        }
    }

    /// What holds after every change of role.
    fn assert_sound(&self) {
        let state = &self.state;
        debug_assert!(state.commit <= state.log.last().seq, "only what is in the log is committed");
        debug_assert!(
            state.log.base().seq <= state.commit,
            "the window reaches back to the commit index"
        );
        match &self.role {
            Role::Primary(primary) => {
                debug_assert_eq!(
                    primary.epoch, state.promised,
                    "a primary leads in its promised epoch"
                );
                debug_assert_eq!(
                    state.store.last_version().0,
                    state.log.last().seq,
                    "a primary's data are those of its whole log"
                );
            }
            Role::Backup(_) => debug_assert_eq!(
                state.store.last_version().0,
                state.commit,
                "a backup's data are those of its commit index"
            ),
            Role::Learner(_) => {}
        }
    }

    pub(crate) fn state(&self) -> &State {
        &self.state
    }

    pub(crate) fn state_mut(&mut self) -> &mut State {
        &mut self.state
    }

    fn follower(&self) -> Option<&Follower> {
        match &self.role {
            Role::Primary(_) => None,
            Role::Backup(backup) => Some(&backup.follower),
            Role::Learner(learner) => Some(&learner.follower),
        }
    }
}
