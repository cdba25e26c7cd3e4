//! Time in the simulation. [`SimTime`] is the true one, which only the simulator sees. Each node reads its own
//! [`NodeClock`], which drifts, jumps and may stand still.

use std::fmt;
use std::ops::{Add, Sub};
use std::str::FromStr;
use std::time::Duration;

/// Virtual time: nanoseconds since the beginning of the run. Written in seconds: `1.250s`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SimTime(pub u64);

impl SimTime {
    /// The beginning of the run.
    pub const ZERO: SimTime = SimTime(0);
    /// Later than everything that happens.
    pub const MAX: SimTime = SimTime(u64::MAX);

    /// So many milliseconds after the beginning.
    pub const fn from_millis(millis: u64) -> SimTime {
        SimTime(millis * 1_000_000)
    }

    /// So many seconds after the beginning.
    pub const fn from_secs(seconds: u64) -> SimTime {
        SimTime(seconds * 1_000_000_000)
    }

    /// The time passed since `earlier`; zero when it lies ahead.
    pub fn since(self, earlier: SimTime) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }

    /// The time passed since the beginning.
    pub fn elapsed(self) -> Duration {
        Duration::from_nanos(self.0)
    }
}

impl Add<Duration> for SimTime {
    type Output = SimTime;

    fn add(self, by: Duration) -> SimTime {
        SimTime(self.0.saturating_add(u64::try_from(by.as_nanos()).unwrap_or(u64::MAX)))
    }
}

impl Sub for SimTime {
    type Output = Duration;

    fn sub(self, earlier: SimTime) -> Duration {
        self.since(earlier)
    }
}

impl fmt::Display for SimTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (seconds, nanos) = (self.0 / 1_000_000_000, self.0 % 1_000_000_000);
        if nanos.is_multiple_of(1_000_000) {
            return write!(f, "{seconds}.{:03}s", nanos / 1_000_000);
        }
        write!(f, "{seconds}.{}s", format!("{nanos:09}").trim_end_matches('0'))
    }
}

impl FromStr for SimTime {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Ok(SimTime::ZERO + parse_duration(text)?)
    }
}

/// A duration as text, in the largest unit that needs no more than three decimals, and always exactly: `1.5s`, `250ms`,
/// `17us`, `3ns`.
pub fn format_duration(duration: Duration) -> String {
    let nanos = duration.as_nanos();
    let units: [(u128, &str); 3] = [(1_000_000_000, "s"), (1_000_000, "ms"), (1_000, "us")];
    for (unit, name) in units {
        if nanos >= unit && nanos.is_multiple_of(unit / 1_000) {
            let (whole, rest) = (nanos / unit, nanos % unit / (unit / 1_000));
            if rest == 0 {
                return format!("{whole}{name}");
            }
            return format!("{whole}.{}{name}", format!("{rest:03}").trim_end_matches('0'));
        }
    }
    format!("{nanos}ns")
}

/// A duration from its text: a number with up to nine decimals and one of `ns`, `us`, `ms`, `s`.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    let wrong = || format!("{text:?} is not a duration, like 1.5s, 250ms or 17us");
    let split = text.find(|c: char| c.is_ascii_alphabetic()).ok_or_else(wrong)?;
    let (number, unit) = text.split_at(split);
    let unit: u128 = match unit {
        "ns" => 1,
        "us" => 1_000,
        "ms" => 1_000_000,
        "s" => 1_000_000_000,
        _ => return Err(wrong()),
    };
    let (whole, decimals) = number.split_once('.').unwrap_or((number, ""));
    let are_digits = decimals.len() <= 9 && decimals.bytes().all(|byte| byte.is_ascii_digit());
    if !are_digits || !whole.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(wrong());
    }
    let whole: u64 = whole.parse().map_err(|_| wrong())?;
    let billionths: u128 = format!("{decimals:0<9}").parse().map_err(|_| wrong())?;
    if !(billionths * unit).is_multiple_of(1_000_000_000) {
        return Err(wrong());
    }
    let nanos = u128::from(whole) * unit + billionths * unit / 1_000_000_000;
    u64::try_from(nanos).map(Duration::from_nanos).map_err(|_| wrong())
}

/// The two clocks of a node's machine: one that only goes forward and counts pauses (like `CLOCK_BOOTTIME`), and the wall
/// clock. Both follow the same oscillator, which drifts; only the wall clock jumps.
#[derive(Clone, Debug)]
pub struct NodeClock {
    /// The true time at which the readings below were taken.
    anchor: SimTime,
    monotonic_ns: u64,
    wall_ns: u64,
    /// How much faster than true time, in millionths; negative is slower.
    drift_ppm: i32,
    is_frozen: bool,
}

impl NodeClock {
    /// The most a clock can drift, in millionths: a tenth. Real ones stay below 200.
    pub const DRIFT_PPM_MAX: i32 = 100_000;

    /// Clocks that are right: the monotonic one at zero, the wall clock at `wall` since the Unix epoch.
    pub fn new(now: SimTime, wall: Duration) -> Self {
        let wall_ns = u64::try_from(wall.as_nanos()).expect("a wall clock fits 584 years");
        NodeClock { anchor: now, monotonic_ns: 0, wall_ns, drift_ppm: 0, is_frozen: false }
    }

    /// The monotonic clock: time since the machine started, as the machine measures it.
    pub fn monotonic(&self, now: SimTime) -> Duration {
        Duration::from_nanos(self.monotonic_ns + self.counted(now))
    }

    /// The wall clock: time since the Unix epoch, as the machine believes.
    pub fn wall(&self, now: SimTime) -> Duration {
        Duration::from_nanos(self.wall_ns.saturating_add(self.counted(now)))
    }

    /// When the monotonic clock will read `reading`, if nothing changes until then: for timers. `None` while frozen, and
    /// `now` when it reads that already.
    pub fn when_monotonic(&self, reading: Duration, now: SimTime) -> Option<SimTime> {
        let ahead = reading.saturating_sub(self.monotonic(self.anchor));
        if self.monotonic(now) >= reading {
            return Some(now);
        }
        if self.is_frozen {
            return None;
        }
        let needed = (ahead.as_nanos() * 1_000_000).div_ceil(self.speed());
        let due = self.anchor + Duration::from_nanos(u64::try_from(needed).unwrap_or(u64::MAX));
        Some(due.max(now))
    }

    /// From now on both clocks run this many millionths faster, or slower when negative.
    pub fn set_drift(&mut self, ppm: i32, now: SimTime) {
        assert!(ppm.abs() <= Self::DRIFT_PPM_MAX, "a clock drifts by a tenth at most");
        self.settle(now);
        self.drift_ppm = ppm;
    }

    /// The drift in millionths.
    pub fn drift_ppm(&self) -> i32 {
        self.drift_ppm
    }

    /// The wall clock jumps. It never shows a time before the Unix epoch.
    pub fn jump_wall(&mut self, by: ClockJump, now: SimTime) {
        self.settle(now);
        self.wall_ns = self.wall_ns.saturating_add_signed(by.0);
    }

    /// Sets the wall clock right: `wall` is the true time since the Unix epoch. What a time server does.
    pub fn set_wall(&mut self, wall: Duration, now: SimTime) {
        self.settle(now);
        self.wall_ns = u64::try_from(wall.as_nanos()).expect("a wall clock fits 584 years");
    }

    /// The machine stands still and its clocks do not notice, as with a virtual machine that is paused from outside. (A
    /// stopped *process* needs nothing here: its machine's clocks go on.)
    pub fn freeze(&mut self, now: SimTime) {
        self.settle(now);
        self.is_frozen = true;
    }

    /// The machine goes on where it stood.
    pub fn thaw(&mut self, now: SimTime) {
        self.settle(now);
        self.is_frozen = false;
    }

    /// The machine starts again: the monotonic clock begins at zero.
    pub fn reboot(&mut self, now: SimTime) {
        self.settle(now);
        self.monotonic_ns = 0;
        self.is_frozen = false;
    }

    /// What the oscillator has counted since the anchor.
    fn counted(&self, now: SimTime) -> u64 {
        assert!(now >= self.anchor, "true time never goes back");
        if self.is_frozen {
            return 0;
        }
        let passed = u128::from(now.0 - self.anchor.0);
        u64::try_from(passed * self.speed() / 1_000_000).expect("a run is shorter than 584 years")
    }

    /// Counted nanoseconds per true millisecond.
    fn speed(&self) -> u128 {
        (1_000_000 + i128::from(self.drift_ppm)).unsigned_abs()
    }

    fn settle(&mut self, now: SimTime) {
        let counted = self.counted(now);
        self.monotonic_ns += counted;
        self.wall_ns = self.wall_ns.saturating_add(counted);
        self.anchor = now;
    }
}

/// How far a wall clock jumps: nanoseconds, negative is back. Written with its sign: `+2s`, `-150ms`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ClockJump(pub i64);

impl fmt::Display for ClockJump {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.0 < 0 { '-' } else { '+' };
        write!(f, "{sign}{}", format_duration(Duration::from_nanos(self.0.unsigned_abs())))
    }
}

impl FromStr for ClockJump {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("{text:?} is not a jump, like +2s or -150ms");
        let length = text.strip_prefix(['+', '-']).ok_or_else(wrong)?;
        let nanos = parse_duration(length)?.as_nanos();
        let nanos = i64::try_from(nanos).map_err(|_| wrong())?;
        Ok(ClockJump(if text.starts_with('-') { -nanos } else { nanos }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const YEAR_2024: Duration = Duration::from_secs(1_704_067_200);

    fn at(millis: u64) -> SimTime {
        SimTime::from_millis(millis)
    }

    #[test]
    fn a_drifting_clock_gains_its_share_and_never_steps_when_the_drift_changes() {
        let mut clock = NodeClock::new(at(0), YEAR_2024);
        clock.set_drift(10_000, at(0));
        assert_eq!(clock.monotonic(at(1_000)), Duration::from_millis(1_010));
        clock.set_drift(-10_000, at(1_000));
        assert_eq!(clock.monotonic(at(1_000)), Duration::from_millis(1_010));
        assert_eq!(clock.monotonic(at(2_000)), Duration::from_millis(2_000));
        assert_eq!(clock.wall(at(2_000)), YEAR_2024 + Duration::from_secs(2));
    }

    #[test]
    fn only_the_wall_clock_jumps() {
        let mut clock = NodeClock::new(at(0), YEAR_2024);
        clock.jump_wall(ClockJump(-2_000_000_000), at(500));
        assert_eq!(clock.wall(at(500)), YEAR_2024 - Duration::from_millis(1_500));
        assert_eq!(clock.monotonic(at(500)), Duration::from_millis(500));
        clock.jump_wall(ClockJump(i64::MIN), at(500));
        assert_eq!(clock.wall(at(500)), Duration::ZERO, "not before the Unix epoch");
        clock.set_wall(YEAR_2024, at(600));
        assert_eq!(clock.wall(at(601)), YEAR_2024 + Duration::from_millis(1));
    }

    #[test]
    fn a_frozen_machine_counts_nothing_and_a_reboot_begins_at_zero() {
        let mut clock = NodeClock::new(at(0), YEAR_2024);
        clock.freeze(at(100));
        assert_eq!(clock.monotonic(at(900)), Duration::from_millis(100));
        assert_eq!(clock.when_monotonic(Duration::from_millis(101), at(900)), None);
        clock.thaw(at(900));
        assert_eq!(clock.monotonic(at(950)), Duration::from_millis(150));
        clock.reboot(at(1_000));
        assert_eq!(clock.monotonic(at(1_001)), Duration::from_millis(1));
        assert_eq!(clock.wall(at(1_001)), YEAR_2024 + Duration::from_millis(201));
    }

    #[test]
    fn a_timer_is_due_when_the_clock_reads_it() {
        for ppm in [-100_000, -333, 0, 7, 100_000] {
            let mut clock = NodeClock::new(at(0), YEAR_2024);
            clock.set_drift(ppm, at(3));
            let reading = Duration::from_nanos(1_234_567_891);
            let due = clock.when_monotonic(reading, at(5)).unwrap();
            assert!(clock.monotonic(due) >= reading, "{ppm}");
            assert!(clock.monotonic(SimTime(due.0 - 1)) < reading, "{ppm}");
            assert_eq!(clock.when_monotonic(Duration::from_millis(1), at(9)), Some(at(9)));
        }
    }

    #[test]
    fn times_durations_and_jumps_are_read_as_they_are_written() {
        for text in ["0.000s", "1.250s", "12.000000001s", "3.0005s"] {
            assert_eq!(text.parse::<SimTime>().map(|time| time.to_string()), Ok(text.to_owned()));
        }
        for text in ["0ns", "3ns", "17us", "1.5us", "250ms", "1.5s", "60s", "1000000.001us"] {
            assert_eq!(parse_duration(text).map(format_duration), Ok(text.to_owned()), "{text}");
        }
        for text in ["+2s", "-150ms", "+0ns"] {
            assert_eq!(text.parse::<ClockJump>().map(|jump| jump.to_string()), Ok(text.to_owned()));
        }
        for wrong in ["", "5", "s", "1.s5", "-1s", "0.5ns", "1h", "+1s", "1.0000000001s"] {
            assert!(parse_duration(wrong).is_err(), "{wrong}");
        }
        assert!("2s".parse::<ClockJump>().is_err());
    }
}
