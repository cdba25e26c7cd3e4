//! Schedules drawn from a seed. A profile says which kinds of faults, the settings how many and what must not coincide.

use std::ops::RangeInclusive;
use std::time::Duration;

use super::Schedule;
use super::profile::{Kind, Profile};
use crate::faults::{DiskFate, Fault, Forgery, TimedFault};
use crate::network::{Disturbance, LinkEffect, Links, NodeIndex};
use crate::random::{Random, Rate};
use crate::time::{ClockJump, SimTime};

/// What a drawn schedule looks like.
#[derive(Clone, Debug)]
pub struct GenerateSettings {
    /// Which kinds of faults.
    pub profile: Profile,
    /// How many faults.
    pub faults: usize,
    /// The nodes at the beginning: `n0` and on.
    pub nodes: u16,
    /// The most nodes there are at any time. Those that join get the next numbers.
    pub nodes_max: u16,
    /// The fewest that stay when nodes leave.
    pub nodes_min: u16,
    /// When the first fault may begin.
    pub from: SimTime,
    /// When all have ended.
    pub until: SimTime,
    /// How long a fault with a duration lasts, on average.
    pub lasts_mean: Duration,
    /// The most nodes that are down or stopped at one time, whole-cluster crashes aside.
    pub down_max: usize,
    /// Which fates of a disk are allowed. Without disks: only [`DiskFate::Lost`].
    pub disks: Vec<DiskFate>,
    /// The least time from the end of one crash that loses memory for good to the beginning of the next: the copies are
    /// whole again by then. With less, data is lost and must stand in the loss ledger.
    pub loss_gap: Duration,
    /// Whether the whole cluster may crash at once.
    pub crash_all: bool,
    /// Whether nodes have disks, which fail, fill up and rot.
    pub has_disks: bool,
}

impl Default for GenerateSettings {
    fn default() -> Self {
        GenerateSettings {
            profile: Profile::All,
            faults: 40,
            nodes: 5,
            nodes_max: 9,
            nodes_min: 3,
            from: SimTime::from_secs(2),
            until: SimTime::from_secs(60),
            lasts_mean: Duration::from_millis(1_500),
            down_max: 2,
            disks: DiskFate::ALL.to_vec(),
            loss_gap: Duration::from_secs(20),
            crash_all: true,
            has_disks: true,
        }
    }
}

impl Schedule {
    /// A schedule drawn from this stream. The same stream and settings give the same schedule.
    pub fn generate(settings: &GenerateSettings, random: &Random) -> Schedule {
        assert!(settings.nodes >= 2, "one node alone has nothing to disagree with");
        assert!(settings.from < settings.until, "faults need some time to happen in");
        let kinds = settings.profile.kinds();
        if kinds.is_empty() {
            return Schedule::default();
        }
        let span = settings.until.0 - settings.from.0;
        let mut times = random.fork("times");
        let mut begins: Vec<SimTime> =
            (0..settings.faults).map(|_| SimTime(settings.from.0 + times.below(span))).collect();
        begins.sort();
        let mut draft = Draft::new(settings);
        for (number, at) in begins.into_iter().enumerate() {
            // Whole milliseconds read better.
            let at = SimTime(at.0 / 1_000_000 * 1_000_000).max(settings.from);
            let mut random = random.fork_numbered("fault", number as u64);
            if let Some(fault) = draft.draw(&kinds, at, &mut random) {
                draft.keep(fault);
            }
        }
        Schedule::new(draft.faults)
    }
}

/// A schedule in the making, and what it has done to the nodes so far.
struct Draft<'a> {
    settings: &'a GenerateSettings,
    faults: Vec<TimedFault>,
    present: Vec<NodeIndex>,
    next_node: u16,
    /// Who is down or stopped until when.
    down: Vec<(NodeIndex, SimTime)>,
    /// Before this no memory is lost for good again.
    loss_from: SimTime,
}

impl<'a> Draft<'a> {
    /// How often another kind is tried when the drawn one does not fit at this time.
    const TRIES: u32 = 20;

    fn new(settings: &'a GenerateSettings) -> Self {
        Draft {
            settings,
            faults: Vec::new(),
            present: (0..settings.nodes).map(NodeIndex).collect(),
            next_node: settings.nodes,
            down: Vec::new(),
            loss_from: SimTime::ZERO,
        }
    }

    fn draw(
        &mut self,
        kinds: &[(u32, Kind)],
        at: SimTime,
        random: &mut Random,
    ) -> Option<TimedFault> {
        self.down.retain(|(_, until)| *until > at);
        for _ in 0..Self::TRIES {
            let kind = *random.pick_weighted(kinds)?;
            let Some(fault) = self.fault_of(kind, at, random) else { continue };
            if !fault.has_duration() {
                return Some(TimedFault::once(at, fault));
            }
            let lasts = random.delay(self.settings.lasts_mean).max(Duration::from_millis(20));
            let lasts = Duration::from_millis(lasts.as_millis() as u64);
            let lasts = lasts.min(self.settings.until.since(at)).max(Duration::from_millis(1));
            return Some(TimedFault::lasting(at, fault, lasts));
        }
        None
    }

    fn keep(&mut self, timed: TimedFault) {
        let until = timed.ends().unwrap_or(timed.at);
        match &timed.fault {
            Fault::Crash { node, .. } | Fault::Pause { node } => self.down.push((*node, until)),
            // Nobody knows yet who that will be: a place that is no node's.
            Fault::CrashCouncilLeader { .. } => self.down.push((NodeIndex(u16::MAX), until)),
            Fault::CrashAll { .. } => {
                self.down.extend(self.present.iter().map(|node| (*node, until)));
            }
            Fault::Join { node } => {
                self.present.push(*node);
                self.next_node += 1;
            }
            Fault::Leave { node } => self.present.retain(|present| present != node),
            _ => {}
        }
        if timed.fault.loses_memory_for_good() {
            self.loss_from = until + self.settings.loss_gap;
        }
        self.faults.push(timed);
    }

    /// A fault of this kind, if one fits at this time.
    fn fault_of(&self, kind: Kind, at: SimTime, random: &mut Random) -> Option<Fault> {
        let node = *random.pick(&self.present)?;
        let is_down = self.down.iter().any(|(down, _)| *down == node);
        let may_stop = !is_down && self.down.len() < self.settings.down_max;
        Some(match kind {
            Kind::CrashKeepingDisk => self.crash(node, DiskFate::Kept, at, may_stop)?,
            Kind::PowerLoss => self.crash(node, DiskFate::UnsyncedLost, at, may_stop)?,
            Kind::LoseDisk => self.crash(node, DiskFate::Lost, at, may_stop)?,
            Kind::CouncilLeader => {
                let disk = self.disk_kept_or_lost(at)?;
                (may_stop && self.settings.down_max > 0)
                    .then_some(Fault::CrashCouncilLeader { disk })?
            }
            Kind::CrashAll => self.crash_all(at, random)?,
            Kind::Pause => may_stop.then_some(Fault::Pause { node })?,
            Kind::SlowNode => Fault::SlowNode { node, factor: 1 << random.within(1..=6) },
            Kind::SlowDisk => Fault::SlowDisk { node, factor: 1 << random.within(2..=10) },
            Kind::FailDisk => self.settings.has_disks.then_some(Fault::FailDisk { node })?,
            Kind::FillDisk => self.settings.has_disks.then_some(Fault::FillDisk { node })?,
            Kind::FailSync => self.settings.has_disks.then_some(Fault::FailSync { node })?,
            Kind::FlipBit => self.settings.has_disks.then_some(Fault::FlipBit { node })?,
            Kind::CorruptRecord => Fault::CorruptRecord { node },
            Kind::MemoryPressure => Fault::MemoryPressure { node, share: percent(random, 30..=90) },
            Kind::JumpClock => Fault::JumpClock { node, by: draw_jump(random) },
            Kind::DriftClock => {
                let ppm = random.within(1..=2_000) as i32;
                Fault::DriftClock { node, ppm: if random.chance(HALF) { -ppm } else { ppm } }
            }
            Kind::Join => {
                let has_room = self.present.len() < usize::from(self.settings.nodes_max);
                has_room.then_some(Fault::Join { node: NodeIndex(self.next_node) })?
            }
            Kind::Leave => {
                let is_enough = self.present.len() > usize::from(self.settings.nodes_min);
                (is_enough && !is_down).then_some(Fault::Leave { node })?
            }
            Kind::Drain => Fault::Drain { node },
            Kind::Flap => {
                Fault::Flap { node, every: Duration::from_millis(random.within(50..=500)) }
            }
            Kind::ForgeGossip => {
                Fault::ForgeGossip { about: node, forgery: *random.pick(&Forgery::ALL)? }
            }
            _ => Fault::Network(Disturbance::new(
                draw_effect(kind, random),
                self.draw_links(kind, node, random)?,
            )),
        })
    }

    fn crash(&self, node: NodeIndex, disk: DiskFate, at: SimTime, may_stop: bool) -> Option<Fault> {
        let is_due = disk == DiskFate::Kept || at >= self.loss_from;
        let is_allowed = self.settings.disks.contains(&disk);
        (may_stop && is_due && is_allowed).then_some(Fault::Crash { node, disk })
    }

    fn crash_all(&self, at: SimTime, random: &mut Random) -> Option<Fault> {
        // Nobody survives a whole cluster without disks; that is not a fault but an end.
        let survivable = [DiskFate::Kept, DiskFate::UnsyncedLost];
        let fates: Vec<DiskFate> = survivable
            .into_iter()
            .filter(|fate| self.settings.disks.contains(fate))
            .filter(|fate| *fate == DiskFate::Kept || at >= self.loss_from)
            .collect();
        let disk = *random.pick(&fates)?;
        (self.settings.crash_all && self.down.is_empty()).then_some(Fault::CrashAll { disk })
    }

    fn disk_kept_or_lost(&self, at: SimTime) -> Option<DiskFate> {
        if self.settings.disks.contains(&DiskFate::Kept) {
            return Some(DiskFate::Kept);
        }
        let is_due = at >= self.loss_from && self.settings.disks.contains(&DiskFate::Lost);
        is_due.then_some(DiskFate::Lost)
    }

    fn draw_links(&self, kind: Kind, node: NodeIndex, random: &mut Random) -> Option<Links> {
        let mut others: Vec<NodeIndex> = self.present.clone();
        random.shuffle(&mut others);
        let other = *others.iter().find(|other| **other != node)?;
        Some(match kind {
            Kind::Halves => {
                let split = random.within(1..=others.len() as u64 - 1) as usize;
                let (mut one, mut two) = (others[..split].to_vec(), others[split..].to_vec());
                one.sort();
                two.sort();
                Links::Across(vec![one, two])
            }
            Kind::Isolate => Links::Of(node),
            Kind::Ring if others.len() >= 4 => Links::BeyondRing(others),
            Kind::Ring => return None,
            Kind::OneWay => match random.below(4) {
                0 => Links::From(node),
                1 => Links::To(node),
                _ => Links::OneWay(node, other),
            },
            _ => match random.below(4) {
                0 => Links::All,
                1 => Links::Of(node),
                2 => Links::Both(node, other),
                _ => Links::OneWay(node, other),
            },
        })
    }
}

const HALF: Rate = Rate::percent(50);

fn percent(random: &mut Random, range: RangeInclusive<u64>) -> Rate {
    Rate::percent(random.within(range) as u32)
}

fn draw_effect(kind: Kind, random: &mut Random) -> LinkEffect {
    match kind {
        Kind::Clog => LinkEffect::Clog,
        Kind::Loss => LinkEffect::Loss(percent(random, 1..=40)),
        Kind::Duplicate => LinkEffect::Duplicate(percent(random, 1..=40)),
        Kind::Reorder => LinkEffect::Reorder(percent(random, 1..=60)),
        Kind::Delay => LinkEffect::Delay(Duration::from_millis(random.within(1..=400))),
        Kind::Bandwidth => LinkEffect::Bandwidth(random.within(10..=1_000) * 1_000),
        _ => LinkEffect::Cut,
    }
}

/// From a millisecond to some minutes, each size as likely as the next.
fn draw_jump(random: &mut Random) -> ClockJump {
    let millis = (1i64 << random.within(0..=17)) + random.below(100) as i64;
    let nanos = millis * 1_000_000;
    ClockJump(if random.chance(HALF) { -nanos } else { nanos })
}
