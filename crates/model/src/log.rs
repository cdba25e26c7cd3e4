//! A partition's log, and the rule by which a backup takes a piece of it: log matching (R7).

use std::fmt;

use crate::nodes::Epoch;

/// What a log entry carries. Each model has its own.
pub trait Content: Copy + Eq + Ord + std::hash::Hash + fmt::Debug + fmt::Display {
    /// The no-op with which a primary opens its epoch (R9).
    const BARRIER: Self;
}

/// A barrier or a client's write: all that the models of writes, leases and disks need.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Change {
    /// The no-op of a new epoch (R9).
    Barrier,
    /// A client's write, by its number. Each is given to a primary once.
    Write(u8),
}

impl Content for Change {
    const BARRIER: Self = Change::Barrier;
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Change::Barrier => write!(f, "barrier"),
            Change::Write(number) => write!(f, "write{number}"),
        }
    }
}

/// One entry. Its `seq` is its place in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Entry<C> {
    /// The epoch of the primary that made it.
    pub epoch: Epoch,
    /// What it carries.
    pub content: C,
}

/// A piece of a log: its entries from `start`, and the epoch of the entry before (zero at the beginning).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Chunk<C> {
    /// How many entries lie before the piece: `prev_seq`.
    pub start: u8,
    /// The epoch of the last of those: `prev_epoch`.
    pub previous_epoch: Epoch,
    /// The entries.
    pub entries: Vec<Entry<C>>,
}

impl<C> Chunk<C> {
    /// The length of a log that ends with this piece.
    pub fn end(&self) -> u8 {
        self.start + length_of(&self.entries)
    }
}

impl<C: fmt::Display> fmt::Display for Chunk<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.start > 0 {
            write!(f, "after {}.{}: ", self.previous_epoch, self.start)?;
        }
        write_entries(f, &self.entries)
    }
}

/// What became of a piece that matched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Accepted {
    /// The length of the prefix now known to be the primary's: all that may be acknowledged (R7).
    pub matched: u8,
    /// Where the log was cut because the entry there was another one.
    pub first_conflict: Option<u8>,
}

/// The log of one replica.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Log<C>(Vec<Entry<C>>);

impl<C> Default for Log<C> {
    fn default() -> Self {
        Log(Vec::new())
    }
}

impl<C: Content> Log<C> {
    /// The number of entries.
    pub fn length(&self) -> u8 {
        length_of(&self.0)
    }

    /// The entries.
    pub fn entries(&self) -> &[Entry<C>] {
        &self.0
    }

    /// The first entries, `length` of them.
    pub fn prefix(&self, length: u8) -> &[Entry<C>] {
        &self.0[..usize::from(length)]
    }

    /// What the entry at `index` carries.
    pub fn content(&self, index: u8) -> Option<C> {
        self.0.get(usize::from(index)).map(|entry| entry.content)
    }

    /// The epoch of the last of the first `length` entries; zero if there is none.
    pub fn epoch_at(&self, length: u8) -> Epoch {
        self.prefix(length).last().map_or(0, |entry| entry.epoch)
    }

    /// `(epoch of the last entry, seq)`: the position by which logs are compared.
    pub fn position(&self) -> (Epoch, u8) {
        (self.epoch_at(self.length()), self.length())
    }

    /// Appends an entry.
    pub fn push(&mut self, epoch: Epoch, content: C) {
        self.0.push(Entry { epoch, content });
    }

    /// Cuts everything after the first `length` entries.
    pub fn truncate(&mut self, length: u8) {
        self.0.truncate(usize::from(length));
    }

    /// The piece from `start` to `end`.
    pub fn chunk(&self, start: u8, end: u8) -> Chunk<C> {
        let entries = self.0[usize::from(start)..usize::from(end)].to_vec();
        Chunk { start, previous_epoch: self.epoch_at(start), entries }
    }

    /// Whether the log has the very entries of the piece where they belong.
    pub fn holds(&self, chunk: &Chunk<C>) -> bool {
        self.0.get(usize::from(chunk.start)..usize::from(chunk.end()))
            == Some(chunk.entries.as_slice())
    }

    /// R7: takes the piece iff the entry before it has the epoch that the primary says. Cuts only at the first entry that
    /// is another one; what follows a piece that matched stays. Without a match nothing changes: the primary walks back.
    pub fn accept(&mut self, chunk: &Chunk<C>) -> Option<Accepted> {
        let matches =
            chunk.start <= self.length() && self.epoch_at(chunk.start) == chunk.previous_epoch;
        if matches { self.accept_contiguous(chunk) } else { None }
    }

    /// What R7 forbids: asks only that the piece leaves no gap, not what lies before it.
    pub fn accept_contiguous(&mut self, chunk: &Chunk<C>) -> Option<Accepted> {
        if chunk.start > self.length() {
            return None;
        }
        let mut first_conflict = None;
        for (index, entry) in (chunk.start..).zip(&chunk.entries) {
            match self.0.get(usize::from(index)) {
                Some(own) if own.epoch == entry.epoch => continue,
                Some(_) => {
                    self.truncate(index);
                    first_conflict = Some(index);
                }
                None => {}
            }
            self.0.push(*entry);
        }
        Some(Accepted { matched: chunk.end(), first_conflict })
    }

    /// What R7 forbids: takes entries of the same seq to be the same, whatever their epoch, and adds what lies beyond.
    pub fn accept_by_seq(&mut self, chunk: &Chunk<C>) -> Option<Accepted> {
        if chunk.start > self.length() {
            return None;
        }
        let known = usize::from(self.length() - chunk.start);
        self.0.extend(chunk.entries.iter().skip(known));
        Some(Accepted { matched: self.length(), first_conflict: None })
    }
}

impl<C: Content> fmt::Display for Log<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_entries(f, &self.0)
    }
}

fn length_of<C>(entries: &[Entry<C>]) -> u8 {
    u8::try_from(entries.len()).expect("the bounds of a model keep logs short")
}

fn write_entries<C: fmt::Display>(f: &mut fmt::Formatter<'_>, entries: &[Entry<C>]) -> fmt::Result {
    let words: Vec<String> =
        entries.iter().map(|entry| format!("{}@{}", entry.content, entry.epoch)).collect();
    write!(f, "[{}]", words.join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log(entries: &[(Epoch, u8)]) -> Log<Change> {
        let mut log = Log::default();
        entries.iter().for_each(|(epoch, number)| log.push(*epoch, Change::Write(*number)));
        log
    }

    #[test]
    fn a_piece_without_a_match_changes_nothing() {
        let mut backup = log(&[(1, 0)]);
        assert_eq!(backup.accept(&log(&[(2, 1), (2, 2)]).chunk(1, 2)), None, "another epoch");
        assert_eq!(backup.accept(&log(&[(1, 0), (1, 1), (1, 2)]).chunk(2, 3)), None, "a gap");
        assert_eq!(backup, log(&[(1, 0)]));
    }

    #[test]
    fn the_log_is_cut_only_at_the_first_conflict() {
        let mut backup = log(&[(1, 0), (1, 1), (1, 2)]);
        let partial = log(&[(1, 0), (1, 1)]).chunk(0, 1);
        assert_eq!(backup.accept(&partial), Some(Accepted { matched: 1, first_conflict: None }));
        assert_eq!(backup.length(), 3, "what follows a partial piece stays");
        let other = log(&[(1, 0), (2, 5)]).chunk(0, 2);
        assert_eq!(backup.accept(&other), Some(Accepted { matched: 2, first_conflict: Some(1) }));
        assert_eq!(backup, log(&[(1, 0), (2, 5)]));
    }
}
