//! [`Held`]: states of a map that are still being read, page by page, while writes go on.
//!
//! A record that is not newer than a state is as it was then. Of one that goes or is written over, the old one is kept as long as
//! anybody reads a state that has it.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::atomic::{AtomicU32, Ordering};

use isogrid_core::{Error, ErrorCode, Moment, Result, Timestamp, Version, View};

use crate::content::Content;
use crate::hash::KeyHash;
use crate::raw::{Record, RecordRef};

/// So many bytes of old records are kept of a map in a partition. Whoever reads must begin anew when more are written over.
const KEPT_BYTES_MAX: usize = 32 << 20;

/// So many states are kept at once of a map in a partition.
const STATES_MAX: usize = 64;

/// After so long without a question for it a state is given up.
const IDLE_MS: u64 = 60_000;

/// The states of a map in a partition that are being read.
#[derive(Default)]
pub(crate) struct Held {
    /// As they were begun.
    states: Vec<State>,
    kept: BTreeMap<KeyHash, Vec<Kept>>,
    bytes: usize,
}

/// The state after a version.
struct State {
    at: Version,
    /// Those that are done go with the next change: a page that is still looked at may be the last.
    readers: AtomicU32,
    asked: Timestamp,
}

/// A record that is gone.
struct Kept {
    record: Record,
    /// The last state that has it.
    until: Version,
}

impl Kept {
    fn is_of(&self, at: Version) -> bool {
        self.record.borrow().version() <= at && at <= self.until
    }
}

impl Held {
    fn begin(&mut self, at: Version, now: Timestamp) {
        if let Some(state) = self.states.iter_mut().find(|state| state.at == at) {
            *state.readers.get_mut() += 1;
            state.asked = now;
            return;
        }
        if self.states.len() >= STATES_MAX {
            self.states.remove(0);
        }
        self.states.push(State { at, readers: AtomicU32::new(1), asked: now });
    }

    /// Gives up the states that are not wanted.
    fn retain(&mut self, is_wanted: impl Fn(&State) -> bool) {
        let before = self.states.len();
        self.states.retain(|state| state.readers.load(Ordering::Relaxed) > 0 && is_wanted(state));
        if self.states.len() < before && !self.kept.is_empty() {
            self.free();
        }
    }

    /// Keeps a record that goes or is written over, if a state that is read has it.
    pub(crate) fn keep(&mut self, hash: KeyHash, record: RecordRef<'_>) {
        self.retain(|_| true);
        let newest = self.states.iter().map(|state| state.at).max();
        let Some(until) = newest.filter(|newest| record.version() <= *newest) else { return };
        let record = record.to_owned();
        self.bytes += record.borrow().allocation();
        self.kept.entry(hash).or_default().push(Kept { record, until });
        if self.bytes > KEPT_BYTES_MAX {
            *self = Held::default();
        }
    }

    /// Of the records that are gone, those that a state has, from one hash on and before another.
    pub(crate) fn gone(
        &self,
        at: Version,
        from: KeyHash,
        end: Option<KeyHash>,
    ) -> impl Iterator<Item = (KeyHash, RecordRef<'_>)> {
        let end = end.map_or(Bound::Unbounded, Bound::Excluded);
        self.kept.range((Bound::Included(from), end)).flat_map(move |(hash, kept)| {
            let of_state = kept.iter().filter(move |kept| kept.is_of(at));
            of_state.map(|kept| (*hash, kept.record.borrow()))
        })
    }

    /// Frees what no state has.
    fn free(&mut self) {
        let states = &self.states;
        let bytes = &mut self.bytes;
        self.kept.retain(|_, all| {
            all.retain(|kept| {
                let is_read = states.iter().any(|state| kept.is_of(state.at));
                if !is_read {
                    *bytes -= kept.record.borrow().allocation();
                }
                is_read
            });
            !all.is_empty()
        });
    }
}

impl Content {
    /// Begins or goes on to read a state. Says at which version the records are meant; none means those that are here.
    ///
    /// # Errors
    /// The state is not kept, and what is here is another.
    pub(crate) fn show(
        &mut self,
        view: View,
        version: Version,
        now: Timestamp,
    ) -> Result<Option<Version>> {
        match view {
            View::Latest | View::Done(_) => Ok(None),
            View::Begin => {
                self.tidy_states(now);
                self.held.get_or_insert_default().begin(version, now);
                Ok(None)
            }
            View::At(moment) => self.show_again(moment, now).map(Some),
        }
    }

    fn show_again(&mut self, moment: Moment, now: Timestamp) -> Result<Version> {
        let at = moment.version;
        let states = self.held.iter_mut().flat_map(|held| &mut held.states);
        if let Some(state) = states.into_iter().find(|state| state.at == at) {
            state.asked = now;
            // Its last page is asked for again.
            *state.readers.get_mut() = (*state.readers.get_mut()).max(1);
            return Ok(at);
        }
        // It was begun at another replica: perhaps what is here is the same.
        let is_same = self.table.len() as u64 == moment.records
            && self.table.records().all(|record| record.version() <= at);
        if !is_same {
            return Err(Error::new(ErrorCode::ViewLost, format!("the state at version {at}")));
        }
        self.held.get_or_insert_default().begin(at, now);
        Ok(at)
    }

    /// What to call the state that the pages behind this one show, if there are any.
    pub(crate) fn next_moment(
        &self,
        view: View,
        version: Version,
        goes_on: bool,
    ) -> Option<Moment> {
        let moment = match view {
            View::Latest => return None,
            View::Begin => Moment { version, records: self.table.len() as u64 },
            View::At(moment) | View::Done(moment) => moment,
        };
        if goes_on {
            return Some(moment);
        }
        let states = self.held.iter().flat_map(|held| &held.states);
        if let Some(state) = states.into_iter().find(|state| state.at == moment.version) {
            let readers = state.readers.load(Ordering::Relaxed);
            state.readers.store(readers.saturating_sub(1), Ordering::Relaxed);
        }
        None
    }

    /// Gives up states that nobody has asked for in a while.
    pub(crate) fn tidy_states(&mut self, now: Timestamp) {
        if let Some(held) = &mut self.held {
            held.retain(|state| now.0 < state.asked.0.saturating_add(IDLE_MS));
            self.held.take_if(|held| held.states.is_empty());
        }
    }
}

#[cfg(test)]
#[path = "held_test.rs"]
mod tests;
