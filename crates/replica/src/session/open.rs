//! [`Session`]: what one open session has executed in this partition: its records in the order of their numbers, and how
//! far its client has finished.
//!
//! What an entry says about finished requests counts for lookups at once, but nothing is forgotten before that entry is
//! settled: if it is truncated, the session is again what it was.

use std::collections::VecDeque;

use crate::entry::Tag;
use crate::session::record::Record;

/// An entry that moved `first_incomplete`.
#[derive(Clone, Copy, Debug)]
struct Move {
    seq: u64,
    first_incomplete: u64,
}

/// One session.
#[derive(Clone, Debug, Default)]
pub(super) struct Session {
    /// As the settled entries say; zero before the first that says something.
    first_incomplete: u64,
    /// Moves that were not settled when they were recorded, each larger than the one before.
    moves: VecDeque<Move>,
    /// In the order of their numbers.
    records: VecDeque<Record>,
    /// The memory that the records take.
    bytes: usize,
}

impl Session {
    /// A session from a snapshot.
    pub(super) fn restore(first_incomplete: u64, records: VecDeque<Record>) -> Self {
        let bytes = records.iter().map(Record::bytes).sum();
        Session { first_incomplete, moves: VecDeque::new(), records, bytes }
    }

    /// The smallest number that the client may still wait for, as the newest entry says.
    #[inline]
    pub(super) fn first_incomplete(&self) -> u64 {
        self.moves.back().map_or(self.first_incomplete, |newest| newest.first_incomplete)
    }

    /// The same, as the entries up to `seq` say.
    pub(super) fn first_incomplete_at(&self, seq: u64) -> u64 {
        let after = self.moves.partition_point(|step| step.seq <= seq);
        match after.checked_sub(1) {
            Some(newest) => self.moves[newest].first_incomplete,
            None => self.first_incomplete,
        }
    }

    /// The record of the request with this number.
    #[inline]
    pub(super) fn find(&self, number: u64) -> Option<&Record> {
        if self.records.back().is_none_or(|newest| newest.number < number) {
            return None;
        }
        let index = self.records.binary_search_by_key(&number, |record| record.number).ok()?;
        self.records.get(index)
    }

    /// How many records there are of requests that the client has not finished.
    pub(super) fn open_records(&self, first_incomplete: u64) -> usize {
        let first = first_incomplete.max(self.first_incomplete());
        self.records.len() - self.records.partition_point(|record| record.number < first)
    }

    /// How many records there are, with those that wait to be forgotten.
    #[inline]
    pub(super) fn len(&self) -> usize {
        self.records.len()
    }

    /// The records that stand after the entries up to `seq`, all of which are settled.
    pub(super) fn records_at(&self, seq: u64) -> impl Iterator<Item = &Record> {
        let first = self.first_incomplete_at(seq);
        self.records.iter().filter(move |record| record.number >= first && record.seq <= seq)
    }

    /// The memory that the records take.
    #[inline]
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Adds the record of an executed request.
    #[inline]
    pub(super) fn add(&mut self, tag: &Tag, record: Record) {
        if tag.first_incomplete > self.first_incomplete() {
            let step = Move { seq: record.seq, first_incomplete: tag.first_incomplete };
            self.moves.push_back(step);
        }
        if self.records.back().is_none_or(|newest| newest.number < record.number) {
            self.bytes += record.bytes();
            self.records.push_back(record);
            return;
        }
        match self.records.binary_search_by_key(&record.number, |record| record.number) {
            Ok(_) => debug_assert!(false, "a request is executed once"),
            Err(index) => {
                self.bytes += record.bytes();
                self.records.insert(index, record);
            }
        }
    }

    /// Forgets what the client has finished, as the entries up to `settled` say.
    #[inline]
    pub(super) fn forget_finished(&mut self, settled: u64) {
        while let Some(oldest) = self.moves.front()
            && oldest.seq <= settled
        {
            self.first_incomplete = oldest.first_incomplete;
            self.moves.pop_front();
        }
        while let Some(oldest) = self.records.front()
            && oldest.number < self.first_incomplete
        {
            self.bytes -= oldest.bytes();
            self.records.pop_front();
        }
    }

    /// Takes back what the entries after `seq` did.
    pub(super) fn forget_after(&mut self, seq: u64) {
        while self.moves.back().is_some_and(|newest| newest.seq > seq) {
            self.moves.pop_back();
        }
        self.records.retain(|record| record.seq <= seq);
        self.bytes = self.records.iter().map(Record::bytes).sum();
    }

    /// Whether nothing is known of the session.
    pub(super) fn is_blank(&self) -> bool {
        self.records.is_empty() && self.first_incomplete() == 0
    }

    /// The same, after the entries up to `seq`, all of which are settled.
    pub(super) fn is_blank_at(&self, seq: u64) -> bool {
        self.first_incomplete_at(seq) == 0 && self.records_at(seq).next().is_none()
    }
}
