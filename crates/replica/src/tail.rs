//! [`Tail`]: one partition's entries as a log on disk has them, put together again.

use isogrid_core::LogPosition;

use crate::entry::{DecodeError, Entries};

/// Entries in their order, as they stood in a log when its last write ended. A log on disk is only appended to: where an entry
/// comes that stands at a place that was taken, the log in memory was cut there, and what was written behind it is gone.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tail {
    bytes: Vec<u8>,
    /// Where each entry stands, and where it begins.
    entries: Vec<(LogPosition, usize)>,
}

impl Tail {
    /// The next entries that were written.
    ///
    /// # Errors
    /// The bytes are no entries, or do not follow what came before.
    pub fn put(&mut self, run: &[u8]) -> Result<(), DecodeError> {
        for encoded in Entries::new(run) {
            let encoded = encoded?;
            let position = encoded.entry.position;
            if self.entries.first().is_some_and(|(first, _)| position.seq < first.seq) {
                // All that is here is behind the cut.
                self.clear();
            }
            let taken = self.index_of(position.seq);
            if taken.is_some_and(|index| self.entries[index].0 == position) {
                continue;
            }
            if let Some(index) = taken {
                self.bytes.truncate(self.entries[index].1);
                self.entries.truncate(index);
            }
            if self.entries.last().is_some_and(|(last, _)| !follows(*last, position)) {
                return Err(DecodeError::Malformed("an entry does not follow the one before"));
            }
            self.entries.push((position, self.bytes.len()));
            self.bytes.extend_from_slice(encoded.bytes);
        }
        Ok(())
    }

    /// The entries behind an image at this position.
    ///
    /// # Errors
    /// There is a gap between the two.
    pub fn after(&self, image: LogPosition) -> Result<&[u8], DecodeError> {
        let Some((first, _)) = self.entries.first() else { return Ok(&[]) };
        if first.seq > image.seq + 1 {
            return Err(DecodeError::Malformed("entries are missing behind the image"));
        }
        // Another entry at the image's place is one of a history that the image replaced.
        let is_other = self.index_of(image.seq).is_some_and(|at| self.entries[at].0 != image);
        match self.index_of(image.seq + 1).map(|index| self.entries[index]) {
            Some((next, begin)) if !is_other && next.epoch >= image.epoch => {
                Ok(&self.bytes[begin..])
            }
            _ => Ok(&[]),
        }
    }

    fn clear(&mut self) {
        self.bytes.clear();
        self.entries.clear();
    }

    fn index_of(&self, seq: u64) -> Option<usize> {
        let first = self.entries.first()?.0.seq;
        let index = usize::try_from(seq.checked_sub(first)?).ok()?;
        (index < self.entries.len()).then_some(index)
    }
}

fn follows(last: LogPosition, next: LogPosition) -> bool {
    next.seq == last.seq + 1 && next.epoch >= last.epoch
}

#[cfg(test)]
mod tests {
    use isogrid_core::{Effect, Hlc};

    use super::*;
    use crate::entry::{Answer, Entry};

    fn run(positions: &[(u64, u64)]) -> Vec<u8> {
        let mut bytes = Vec::new();
        for (epoch, seq) in positions {
            let position = LogPosition::new(*epoch, *seq);
            let effect = Effect::Nothing;
            Entry { position, hlc: Hlc::default(), request: None, answer: Answer::None, effect }
                .encode(&mut bytes);
        }
        bytes
    }

    fn tail(runs: &[&[(u64, u64)]]) -> Tail {
        let mut tail = Tail::default();
        for positions in runs {
            tail.put(&run(positions)).unwrap();
        }
        tail
    }

    #[test]
    fn a_log_that_was_cut_goes_on_where_it_was_cut() {
        let tail = tail(&[&[(1, 1), (1, 2), (1, 3)], &[(2, 2)], &[(2, 3), (2, 4)]]);
        let whole = run(&[(1, 1), (2, 2), (2, 3), (2, 4)]);
        assert_eq!(tail.after(LogPosition::START), Ok(&whole[..]));
    }

    #[test]
    fn what_is_written_again_is_there_once_and_cuts_nothing() {
        let tail = tail(&[&[(1, 5), (1, 6), (2, 7)], &[(1, 5), (1, 6)]]);
        assert_eq!(tail.after(LogPosition::new(1, 5)), Ok(&run(&[(1, 6), (2, 7)])[..]));
    }

    #[test]
    fn an_image_is_followed_by_its_own_history_or_by_nothing() {
        let entries: &[(u64, u64)] = &[(1, 5), (1, 6), (2, 7)];
        let of = |epoch, seq| tail(&[entries]).after(LogPosition::new(epoch, seq)).map(<[u8]>::len);
        let one = run(&[(1, 1)]).len();
        assert_eq!(of(1, 4), Ok(3 * one));
        assert_eq!(of(2, 7), Ok(0));
        assert_eq!(of(2, 9), Ok(0), "a newer image");
        assert_eq!(of(3, 6), Ok(0), "another history");
        assert!(of(1, 3).is_err(), "entry 4 is missing");
        assert_eq!(Tail::default().after(LogPosition::new(1, 4)), Ok(&[][..]));
    }

    #[test]
    fn what_does_not_follow_is_refused() {
        let mut torn = tail(&[&[(2, 5)]]);
        assert!(torn.put(&run(&[(2, 7)])).is_err(), "entry 6 is missing");
        let mut back = tail(&[&[(2, 5)]]);
        assert!(back.put(&run(&[(1, 6)])).is_err(), "epochs never go back");
        assert!(back.put(&[1, 2, 3]).is_err());
    }

    #[test]
    fn a_cut_before_the_first_entry_leaves_nothing_of_before() {
        // An image at 4, entries behind it, and then a cut whose run begins where the window in memory did.
        let tail = tail(&[&[(1, 5), (1, 6)], &[(1, 3), (1, 4), (2, 5)]]);
        assert_eq!(tail.after(LogPosition::new(1, 4)), Ok(&run(&[(2, 5)])[..]));
    }

    #[test]
    fn entries_of_an_earlier_epoch_do_not_follow_an_image() {
        let tail = tail(&[&[(1, 5), (1, 6)]]);
        assert_eq!(tail.after(LogPosition::new(2, 4)), Ok(&[][..]));
    }
}
