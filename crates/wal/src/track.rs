//! [`Track`]: what recovery knows of one partition while it goes through the log.

use isogrid_core::{LogPosition, PartitionId};

use crate::error::Damage;
use crate::place::Place;
use crate::snapshot::SnapshotInfo;

/// One partition on the way through the log.
#[derive(Clone, Debug)]
pub(crate) struct Track {
    pub(crate) snapshot: Option<SnapshotInfo>,
    /// Records before this place say nothing any more.
    pub(crate) start: Place,
    /// The position of the snapshot, or before the first entry.
    pub(crate) base: LogPosition,
    /// The last entry that follows the base without a gap.
    pub(crate) last: LogPosition,
    /// Whether the log reached what the snapshot needs.
    pub(crate) is_complete: bool,
    /// What follows is for an image that is not here.
    pub(crate) is_detached: bool,
    /// From where on the partition's records are not to be trusted.
    pub(crate) damage: Option<(Place, Damage)>,
}

impl Track {
    /// A partition with this snapshot, or with none.
    pub(crate) fn new(snapshot: Option<SnapshotInfo>) -> Self {
        let base = snapshot.as_ref().map_or(LogPosition::START, |snapshot| snapshot.position);
        Track {
            start: snapshot.as_ref().map_or(Place::default(), |snapshot| snapshot.replay_from),
            is_complete: snapshot.as_ref().is_none_or(|s| s.complete_at <= base),
            base,
            last: base,
            is_detached: false,
            damage: None,
            snapshot,
        }
    }

    /// Takes a run; says whether it changes what the partition has.
    pub(crate) fn take_run(
        &mut self,
        at: Place,
        file: &str,
        run: (LogPosition, LogPosition),
    ) -> bool {
        let (first, last) = run;
        if at < self.start {
            return false;
        }
        if self.snapshot.is_none() && first.seq == 1 {
            // All the partition has, whatever was there before.
            *self = Track { start: at, ..Track::new(None) };
        }
        if self.damage.is_some() || self.is_detached {
            return false;
        }
        if first.seq > self.last.seq + 1 {
            let why =
                format!("entries {} to {} are missing before", self.last.seq + 1, first.seq - 1);
            self.damage = Some((at, Damage { file: file.to_owned(), offset: at.offset, why }));
            return false;
        }
        let adds = last.seq > self.base.seq;
        let cuts = first.seq <= self.last.seq && self.last.seq > self.base.seq;
        self.last = if adds { last } else { self.base };
        self.is_complete |= self.reaches_its_snapshot();
        adds || cuts
    }

    /// Whether the log, as it is here, has all that the snapshot may hold. A log with an entry of the same epoch or a later
    /// one has all that was committed before; a tail that was replaced later can have the number, and not the epoch.
    fn reaches_its_snapshot(&self) -> bool {
        self.snapshot.as_ref().is_none_or(|snapshot| {
            let needed = snapshot.complete_at;
            self.last.seq >= needed.seq && self.last.epoch >= needed.epoch
        })
    }

    /// What comes after a record is for an image that begins there.
    pub(crate) fn detach(&mut self, at: Place) {
        self.is_detached |= at >= self.start;
    }

    /// All before a record is void.
    pub(crate) fn reset(&mut self, at: Place, after: Place) {
        if at >= self.start {
            *self = Track { start: after, ..Track::new(None) };
        }
    }

    /// Records at a place, or those that may have been there, are lost.
    pub(crate) fn lose(&mut self, at: Place, damage: &Damage) {
        if at >= self.start && self.damage.is_none() && !self.is_detached {
            self.damage = Some((at, damage.clone()));
        }
    }

    /// Whether all is there that should be.
    pub(crate) fn is_whole(&self) -> bool {
        self.damage.is_none() && self.is_complete
    }
}

/// One partition as its disk has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recovered {
    /// Which.
    pub partition: PartitionId,
    /// Its data begin with this; with none, the log has them from the first entry on.
    pub snapshot: Option<SnapshotInfo>,
    /// The last entry that can be replayed.
    pub last: LogPosition,
    /// What is wrong with it, if something is: entries after `last` may have been there.
    pub damage: Option<Damage>,
    /// Whether snapshot and log make the data as they were at `last`. They do not when the log ends, by damage, before it reaches
    /// what the snapshot needs, or when no snapshot can be read.
    pub is_usable: bool,
}
