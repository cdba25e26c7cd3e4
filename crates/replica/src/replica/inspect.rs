//! What a replica shows of itself.

use std::sync::Arc;

use isogrid_core::{
    Epoch, Hlc, LogPosition, MapId, MapSettings, NodeId, PartitionEntry, Replica as Name,
};
use isogrid_store::{MapUsage, Partition};

use super::{Replica, Role, RoleName};
use crate::copy::Progress;
use crate::learner;
use crate::log::Log;
use crate::notice::CopyKind;
use crate::primary::target::Target;
use crate::readers::Readers;
use crate::session::Sessions;
use crate::settings::Settings;
use crate::time::Now;

/// How far a follower is, as its primary knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FollowerLag {
    /// Which life of which node.
    pub replica: Name,
    /// Its log is the primary's up to here.
    pub matched: LogPosition,
    /// Whether its data are whole: no copy or repair is under way.
    pub is_complete: bool,
    /// How many entries it lacks.
    pub ops: u64,
    /// How many bytes of entries it lacks.
    pub bytes: u64,
    /// For how long it has been behind or silent, in milliseconds.
    pub ms: u64,
}

impl Replica {
    /// Whether nothing is under way: no request waits, and everyone who follows has everything and knows so. Time may pass
    /// in larger steps then.
    pub fn is_at_rest(&self) -> bool {
        let is_at_rest = match &self.role {
            Role::Primary(primary) => primary.is_at_rest(&self.state),
            Role::Backup(_) => true,
            Role::Learner(_) => false,
        };
        is_at_rest && self.state.counted() == self.state.log.last().seq
    }

    /// Other settings from now on.
    pub fn configure(&mut self, settings: Arc<Settings>) {
        self.state.settings = settings;
    }

    /// The settings of a map, and where its size is counted.
    pub fn configure_map(&mut self, map: MapId, settings: &MapSettings, usage: Arc<MapUsage>) {
        self.state.store.configure(map, settings, usage);
    }

    /// Goes on building indexes, for about so many records. Says whether there was anything to do. All replicas have them, each of
    /// its own records: nothing of it is in the log.
    pub fn build_indexes(&mut self, records_max: usize) -> bool {
        self.state.store.build_indexes(records_max)
    }

    /// As a primary: how far each follower is.
    pub fn follower_lags(&self, now: Now) -> Vec<FollowerLag> {
        let Role::Primary(primary) = &self.role else { return Vec::new() };
        let log = &self.state.log;
        let lag = |target: &Target| {
            let ops = log.last().seq.saturating_sub(target.matched);
            FollowerLag {
                replica: target.replica.clone(),
                matched: log.position_of(target.matched).unwrap_or_default(),
                is_complete: target.is_complete,
                ops,
                bytes: log.bytes_after(target.matched),
                ms: if ops == 0 { 0 } else { target.trouble_ms(now) },
            }
        };
        primary.targets.iter().map(lag).collect()
    }

    /// Its node and life.
    pub fn me(&self) -> &Name {
        &self.state.me
    }

    /// What it is.
    pub fn role(&self) -> RoleName {
        match &self.role {
            Role::Primary(_) => RoleName::Primary,
            Role::Backup(_) => RoleName::Backup,
            Role::Learner(_) => RoleName::Learner,
        }
    }

    /// Whether it is a primary that answers.
    pub fn is_open(&self) -> bool {
        matches!(&self.role, Role::Primary(primary) if primary.is_open())
    }

    /// Whether what the disk has of this partition is worth nothing: until an image is there
    /// ([`Event::Imaged`](crate::Event::Imaged)) its entries have nothing to follow.
    pub fn lacks_image(&self) -> bool {
        self.state.disk_voided != self.state.imaged_for
    }

    /// How often what the disk had became worthless.
    pub fn disk_voided(&self) -> u32 {
        self.state.disk_voided
    }

    /// Whether its data are whole: no copy or repair is under way.
    pub fn is_complete(&self) -> bool {
        match &self.role {
            Role::Primary(_) => true,
            Role::Backup(_) => !self.state.needs_repair,
            Role::Learner(learner) => learner.is_complete(&self.state),
        }
    }

    /// The epoch below which it accepts nothing.
    pub fn promised(&self) -> Epoch {
        self.state.promised
    }

    /// Its hybrid clock: not behind any entry that it has applied, nor behind what it has observed.
    #[inline]
    pub fn hlc(&self) -> Hlc {
        self.state.hlc
    }

    /// Somebody who writes next has seen this clock: later entries come behind it.
    #[inline]
    pub fn observe(&mut self, clock: Hlc) {
        self.state.hlc = self.state.hlc.max(clock);
    }

    /// How far it knows the log to be committed.
    pub fn commit(&self) -> u64 {
        self.state.commit
    }

    /// The window of its log.
    pub fn log(&self) -> &Log {
        &self.state.log
    }

    /// Its data.
    pub fn store(&self) -> &Partition {
        &self.state.store
    }

    /// The requests it remembers.
    pub fn sessions(&self) -> &Sessions {
        &self.state.sessions
    }

    /// Who reads its log, and how far each has come.
    pub fn readers(&self) -> &Readers {
        &self.state.readers
    }

    /// The newest entry of the table that it has read.
    pub fn view(&self) -> &PartitionEntry {
        &self.state.view
    }

    /// How often its history was declared lost.
    pub fn loss_generation(&self) -> u32 {
        self.state.loss_generation
    }

    /// What it copies, and how far that is.
    pub fn copying(&self) -> Option<(CopyKind, Progress)> {
        match &self.role {
            Role::Learner(learner) => learner::kind_of(learner).zip(learner.progress()),
            _ => None,
        }
    }

    /// As a primary: its followers, how far the log of each is known to be its own, and whether their data are whole.
    pub fn followers(&self) -> Vec<(NodeId, LogPosition, bool)> {
        let Role::Primary(primary) = &self.role else { return Vec::new() };
        let position = |seq| self.state.log.position_of(seq).unwrap_or_default();
        let targets = primary.targets.iter();
        targets
            .map(|target| {
                (target.replica.node.clone(), position(target.matched), target.is_complete)
            })
            .collect()
    }

    /// Notes that a message of a node pair was acknowledged on behalf of this partition too. Says whether that is true:
    /// nothing above the epoch was promised.
    pub fn grant_lease(&mut self, epoch: Epoch, now: Now) -> bool {
        let is_held = self.state.promised <= epoch;
        if is_held {
            self.state.last_acked = self.state.last_acked.max(now.ticks);
        }
        is_held
    }
}
