//! What the world does for the disks: it writes what a step appended before anything is sent, lets syncs and images take their
//! time, and ends a process whose disk says so.

use std::time::Duration;

use super::{Event, World};
use crate::faults::DiskFate;
use crate::grid::paths;
use crate::grid::process::Wishes;
use crate::grid::storage::images::Wait;
use crate::network::NodeIndex;
use crate::random::Rate;
use crate::time::SimTime;

/// How long a sync takes, at the least, in microseconds.
const SYNC_US: u64 = 800;

/// How long it takes to write images, at the least, in microseconds.
const IMAGES_US: u64 = 2_000;

/// How often it is looked whether there is something to write.
const LOOK: Duration = Duration::from_millis(100);

/// Whoever is stopped is looked for again after so long.
const STOPPED: Duration = Duration::from_millis(10);

/// A process that ended by itself is started again after so long.
const RESTART: Duration = Duration::from_millis(500);

/// A process that is to end in the middle of what its disk does ends then at the latest.
const ENDS_AT_LAST: Duration = Duration::from_millis(60);

impl World {
    /// Writes what a step left for the disk. Says whether the process still runs then: if not nothing of the step gets out.
    pub(super) fn persist(&mut self, node: NodeIndex, wishes: &mut Wishes, at: SimTime) -> bool {
        let Some(machine) = self.machines.get_mut(&node) else { return true };
        let now = machine.now(at);
        let Some(process) = machine.process.as_mut() else { return true };
        process.persist(now, wishes);
        let Some(data) = &mut process.data else { return true };
        let (begins, has_failed) = (data.begin_sync(), data.has_failed());
        for path in std::mem::take(&mut data.paths) {
            self.paths.reached(path);
        }
        if machine.folder.as_ref().is_some_and(|folder| folder.is_over()) {
            let fate = machine.ends_soon.unwrap_or(DiskFate::Kept);
            self.trace.note(at, Some(node), "ends", "in the middle of a write");
            self.paths.reached(paths::MID_WRITE);
            self.crash(node, fate);
            return false;
        }
        if has_failed {
            self.trace.note(at, Some(node), "ends", "a sync failed");
            self.paths.reached(paths::SYNC_FAILED);
            self.crash(node, DiskFate::Kept);
            self.start_later(node, at);
            return false;
        }
        if begins {
            let (life, takes) = (machine.life, machine.disk_time(SYNC_US));
            self.queue.push(at + takes, Event::Synced(node, life));
        }
        true
    }

    /// A sync is done.
    pub(super) fn synced(&mut self, (node, life): (NodeIndex, u64), at: SimTime) {
        let Some(machine) = self.machines.get_mut(&node).filter(|one| one.life == life) else {
            return;
        };
        if machine.pauses > 0 {
            self.queue.push(at + STOPPED, Event::Synced(node, life));
            return;
        }
        let now = machine.now(at);
        let Some(process) = machine.process.as_mut() else { return };
        let mut wishes = Wishes::default();
        process.synced(now, &mut wishes);
        self.carry_out(node, wishes, at);
    }

    /// Images are written, or it is looked whether some should be.
    pub(super) fn keep_images(&mut self, (node, life): (NodeIndex, u64), at: SimTime) {
        let Some(machine) = self.machines.get_mut(&node).filter(|one| one.life == life) else {
            return;
        };
        if machine.pauses > 0 {
            self.queue.push(at + STOPPED, Event::Images(node, life));
            return;
        }
        let now = machine.now(at);
        let Some(process) = machine.process.as_mut() else { return };
        let mut wishes = Wishes::default();
        let takes = match process.keep_images(now, &mut wishes) {
            Wait::Look => LOOK,
            Wait::Sync => machine.disk_time(SYNC_US),
            Wait::Write => machine.disk_time(IMAGES_US),
        };
        self.queue.push(at + takes, Event::Images(node, life));
        self.carry_out(node, wishes, at);
    }

    /// A process ends: at once, or in the middle of what its disk does next.
    pub(crate) fn crash_somewhere(&mut self, node: NodeIndex, fate: DiskFate) {
        let at = self.queue.now();
        let Some(machine) = self.machines.get_mut(&node) else { return };
        let is_sudden = machine.random.chance(Rate::percent(50)) || !machine.is_running();
        match &machine.folder {
            Some(folder) if !is_sudden => {
                folder.end_soon();
                machine.ends_soon = Some(fate);
                self.queue.push(at + ENDS_AT_LAST, Event::Ends(node, machine.life));
            }
            _ => self.crash(node, fate),
        }
    }

    /// A process was to end in the middle of something, and nothing came.
    pub(crate) fn ends_at_last(&mut self, node: NodeIndex, life: Option<u64>) {
        let Some(machine) = self.machines.get(&node) else { return };
        if let Some(fate) = machine.ends_soon
            && life.is_none_or(|life| life == machine.life)
        {
            self.crash(node, fate);
        }
    }

    /// A process that ended by itself is started again.
    pub(crate) fn start_later(&mut self, node: NodeIndex, at: SimTime) {
        let Some(machine) = self.machines.get_mut(&node) else { return };
        machine.restarts += 1;
        self.queue.push(at + RESTART, Event::Start(node, machine.restarts));
    }
}
