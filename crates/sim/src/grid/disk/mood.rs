//! [`Mood`]: what is wrong with a disk at the moment. It decides what becomes of each call.

use std::io::ErrorKind;

use isogrid_wal::faulty_disk::{Call, Fault, Operation};

use crate::random::{Random, Rate};

/// How often a failing disk fails.
const FAILS: Rate = Rate::percent(70);

/// What is wrong with a disk.
pub(crate) struct Mood {
    random: Random,
    /// Calls fail, but for syncs: so many faults say so.
    errors: u32,
    /// The next sync fails.
    fails_sync: bool,
    /// The process ends in the middle of the change that comes after so many.
    ends_after: Option<u64>,
    /// It has ended, and does nothing any more.
    is_over: bool,
}

impl Mood {
    pub(super) fn new(random: Random) -> Self {
        Mood { random, errors: 0, fails_sync: false, ends_after: None, is_over: false }
    }

    /// Calls begin to fail, or one fault less says so.
    pub(super) fn set_failing(&mut self, fails: bool) {
        self.errors = if fails { self.errors + 1 } else { self.errors.saturating_sub(1) };
    }

    /// The next sync fails.
    pub(super) fn fail_sync(&mut self) {
        self.fails_sync = true;
    }

    /// The process ends in the middle of one of its next changes.
    pub(super) fn end_soon(&mut self) {
        self.ends_after = Some(self.random.below(8));
    }

    /// Whether the process has ended in the middle of a change.
    pub(super) fn is_over(&self) -> bool {
        self.is_over
    }

    /// There is another process, or will be.
    pub(super) fn begin_anew(&mut self) {
        self.ends_after = None;
        self.is_over = false;
    }

    /// All that was wrong is right.
    pub(super) fn heal(&mut self) {
        self.errors = 0;
        self.fails_sync = false;
    }

    pub(super) fn decide(&mut self, call: &Call<'_>) -> Fault {
        if self.is_over {
            return Fault::Fails(ErrorKind::Other);
        }
        let is_change = call.operation != Operation::Read;
        if is_change && let Some(left) = self.ends_after {
            self.ends_after = left.checked_sub(1);
            self.is_over = left == 0;
            if self.is_over {
                return self.torn(call);
            }
        }
        let is_sync = call.operation == Operation::Sync;
        if is_sync && std::mem::take(&mut self.fails_sync) {
            return Fault::Fails(ErrorKind::Other);
        }
        if self.errors > 0 && !is_sync && self.random.chance(FAILS) {
            return self.torn(call);
        }
        Fault::None
    }

    /// Of a write a part is done, of anything else nothing.
    fn torn(&mut self, call: &Call<'_>) -> Fault {
        Fault::Torn(self.random.below(call.bytes as u64 + 1) as usize, ErrorKind::Other)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WRITE: Call<'_> = Call { operation: Operation::Write, path: "log/a", bytes: 100 };
    const SYNC: Call<'_> = Call { operation: Operation::Sync, path: "log/a", bytes: 0 };

    fn mood() -> Mood {
        Mood::new(Random::new(1))
    }

    fn is_torn(fault: Fault) -> bool {
        matches!(fault, Fault::Torn(..))
    }

    #[test]
    fn a_process_ends_in_the_middle_of_a_change_and_does_nothing_more() {
        let mut mood = mood();
        mood.end_soon();
        let done = (0..8).take_while(|_| mood.decide(&WRITE) == Fault::None).count();
        assert!(done < 8 && mood.is_over());
        assert_eq!(mood.decide(&SYNC), Fault::Fails(ErrorKind::Other));
        mood.begin_anew();
        assert_eq!(mood.decide(&WRITE), Fault::None);
    }

    #[test]
    fn a_failing_disk_tears_writes_and_syncs_what_is_there() {
        let mut mood = mood();
        mood.set_failing(true);
        mood.set_failing(true);
        mood.set_failing(false);
        let torn = (0..100).filter(|_| is_torn(mood.decide(&WRITE))).count();
        assert!((50..90).contains(&torn), "{torn}");
        assert!((0..100).all(|_| mood.decide(&SYNC) == Fault::None));
        mood.heal();
        assert!((0..100).all(|_| mood.decide(&WRITE) == Fault::None));
    }

    #[test]
    fn one_sync_fails() {
        let mut mood = mood();
        mood.fail_sync();
        assert_eq!(mood.decide(&WRITE), Fault::None);
        assert_eq!(mood.decide(&SYNC), Fault::Fails(ErrorKind::Other));
        assert_eq!(mood.decide(&SYNC), Fault::None);
    }
}
