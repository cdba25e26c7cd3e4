//! What moves replicas beside requests and messages: time, leases, and the steward's wishes.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;

use isogrid_cluster::Directive;
use isogrid_core::{Incarnation, NodeId, PartitionId, Replica as Name};
use isogrid_replica::lease::{Beat, BeatAck};
use isogrid_replica::{Event, RoleName, Ticks};

use super::Engine;
use super::slot::{Held, Place};
use crate::clock;
use crate::peers::message::LinkMessage;

/// Of so many records a core makes keys of new indexes in one tick, and of so many of one partition, for so long its requests wait.
const INDEXED_PER_TICK: usize = 4_000;
const INDEXED_AT_ONCE: usize = 1_000;

impl Engine {
    /// What the steward asks of a primary.
    pub(super) fn direct(&self, core: usize, directive: &Directive) {
        let event = match directive {
            Directive::HandOver { to, .. } => Event::HandOver { to },
            Directive::Retire { member, .. } => Event::Retire { replica: member },
            Directive::Vouch { member, .. } => Event::Vouch { replica: member },
        };
        self.step(core, directive.partition(), event);
    }

    /// Time has passed, for the partitions of one core: for all of them, or for those in which something is under way.
    pub(crate) fn tick(&self, core: usize, for_all: bool) {
        let Some(partitions) = self.partitions.get() else { return };
        let cores = self.operations.len();
        let mut indexed_left = INDEXED_PER_TICK;
        for index in (core..partitions.cells.len()).step_by(cores) {
            if !for_all && !partitions.is_stirred(index) {
                continue;
            }
            let partition = PartitionId(index as u16);
            let mut slot = partitions.cells[index].0.lock();
            let Some(held) = &mut slot.held else { continue };
            let now = clock::both();
            held.step(Place { engine: self, core, partition, now }, Event::Tick, None);
            held.waiters.end_late(now.ticks, |waiter| self.time_late(partition, waiter, now));
            let is_indexing =
                indexed_left > 0 && held.replica.build_indexes(INDEXED_AT_ONCE.min(indexed_left));
            if is_indexing {
                indexed_left = indexed_left.saturating_sub(INDEXED_AT_ONCE);
            }
            self.persist_one(core, partition, &mut slot);
            self.count(partition, &mut slot);
            let is_at_rest = |held: &Held| held.waiters.is_empty() && held.replica.is_at_rest();
            let is_busy = slot.held.as_ref().is_some_and(|held| !is_at_rest(held));
            partitions.stir(index, is_busy || is_indexing);
        }
        self.wire.flush(core);
    }

    /// What happens about once a second: ended sessions are told to the partitions, old data deleted.
    pub(crate) fn tick_slowly(&self, core: usize) {
        self.tidy();
        let Some(partitions) = self.partitions.get() else { return };
        let view = self.view();
        self.forget_leases(|node| view.nodes.contains_key(node));
        let watermark = view.watermark;
        if watermark.0 == 0 && view.ended.is_empty() {
            return;
        }
        for (partition, _) in partitions.iter() {
            let event = Event::SessionsEnded { watermark, above: &view.ended };
            self.step(core, partition, event);
        }
        self.wire.flush(core);
    }

    /// The council's leader answered the heartbeat that was sent at that moment: this life serves.
    pub(crate) fn council_answered(&self, core: usize, sent_at: Ticks) {
        let Some(partitions) = self.partitions.get() else { return };
        for (partition, cell) in partitions.iter() {
            self.tell((core, partition), &mut cell.0.lock(), Event::CouncilAnswered { sent_at });
        }
        if self.roles().open_primaries > 0 {
            self.is_leading.store(true, Ordering::Relaxed);
        }
    }

    /// Whether this node has led a partition with the council's consent.
    pub(crate) fn has_led(&self) -> bool {
        self.is_leading.load(Ordering::Relaxed)
    }

    /// Asks every node that follows a primary here for leases, one beat per node.
    pub(crate) fn beat(&self, core: usize) {
        let Some(partitions) = self.partitions.get() else { return };
        let mut claims: BTreeMap<Name, Vec<_>> = BTreeMap::new();
        for (partition, cell) in partitions.iter() {
            let slot = cell.0.lock();
            let primary = slot.held.as_ref().map(|held| &held.replica);
            let Some(primary) = primary.filter(|one| one.role() == RoleName::Primary) else {
                continue;
            };
            let view = primary.view();
            for other in view.in_sync.iter().chain(&view.learners) {
                if other.node != self.own.node {
                    let claim = (partition, primary.promised());
                    claims.entry(other.clone()).or_default().push(claim);
                }
            }
        }
        let now = clock::ticks();
        let mut leases = self.leases.lock();
        leases.claimants.retain(|other, _| claims.contains_key(other));
        for (other, claims) in claims {
            let claimant = leases.claimants.entry(other.clone()).or_default();
            if let Some(beat) = claimant.beat(claims, now) {
                self.wire.send(
                    core,
                    &other.node,
                    LinkMessage::Beat { to: other.incarnation, beat },
                );
            }
        }
        drop(leases);
        self.wire.flush(core);
    }

    /// Answers a beat: for which of the claimed partitions nothing newer was promised here.
    pub(super) fn vouch(&self, core: usize, from: &Name, to: Incarnation, beat: Beat) {
        let Some(partitions) = self.partitions.get() else { return };
        if to != self.own.incarnation {
            return;
        }
        let now = clock::both();
        let ack = self.leases.lock().voucher.answer(from, beat, |partition, epoch| {
            let cell = partitions.cells.get(usize::from(partition.0));
            cell.is_some_and(|cell| {
                let mut slot = cell.0.lock();
                slot.held.as_mut().is_some_and(|held| held.replica.grant_lease(epoch, now))
            })
        });
        let to = from.incarnation;
        self.wire.send(core, &from.node, LinkMessage::BeatAck { to, ack });
    }

    /// A beat was answered.
    pub(super) fn vouched(&self, core: usize, from: &Name, to: Incarnation, ack: &BeatAck) {
        let Some(partitions) = self.partitions.get() else { return };
        if to != self.own.incarnation {
            return;
        }
        let vouched = {
            let mut leases = self.leases.lock();
            leases.claimants.get_mut(from).map(|claimant| claimant.answered(ack))
        };
        for (partition, epoch) in vouched.unwrap_or_default() {
            let event = Event::LeaseAck { from, epoch, sent_at: ack.sent_at };
            let cell = partitions.cells.get(usize::from(partition.0));
            cell.inspect(|cell| self.tell((core, partition), &mut cell.0.lock(), event));
        }
    }

    /// Forgets the leases given to nodes that are gone.
    fn forget_leases(&self, is_known: impl Fn(&NodeId) -> bool) {
        self.leases.lock().voucher.forget(|from| is_known(&from.node));
    }
}
