//! [`Image`]: what a replica keeps on disk besides its log: its data. With the log from there on it is everything a replica
//! needs to come back. [`walk`] takes it.

pub mod walk;

use std::sync::Arc;

use isogrid_core::{Effect, Hlc, LogPosition, MapId, Replica as Name, version_of};
use isogrid_store::Partition;

use crate::entry::{Answer, DecodeError, Entries, Entry};
use crate::replica::Replica;
use crate::session::Sessions;
use crate::settings::Settings;
use crate::state::State;
use crate::time::Now;

pub use walk::{ImageHead, ImageWalk, Standing};

/// A replica's data at a committed position of its log, or from one to another.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Image {
    /// Where it was begun: all entries up to here are in it.
    pub position: LogPosition,
    /// Where it ended: some of the records may be as entries up to here made them, and all of these are committed. With these
    /// entries the data are those of the end.
    pub complete_at: LogPosition,
    /// The hybrid clock.
    pub hlc: Hlc,
    /// How often the history was declared lost.
    pub loss_generation: u32,
    /// Encoded sessions.
    pub sessions: Vec<u8>,
    /// Records as encoded entries.
    pub records: Vec<u8>,
}

impl Image {
    /// An image from what a walk gave.
    pub fn new(head: ImageHead, complete_at: LogPosition, records: Vec<u8>) -> Self {
        let ImageHead { position, hlc, loss_generation, sessions } = head;
        Image { position, complete_at, hlc, loss_generation, sessions, records }
    }
}

impl Replica {
    /// A replica from what its disk kept: an image, and the log's entries after it.
    ///
    /// # Errors
    /// The bytes are not what an image or a log is made of.
    pub fn recover(
        me: Name,
        store: Partition,
        settings: Arc<Settings>,
        (image, log): (&Image, &[u8]),
        now: Now,
    ) -> Result<Replica, DecodeError> {
        let mut state = State::new(me, store, settings, now);
        for encoded in Entries::new(&image.records) {
            let entry = encoded?.entry;
            let Effect::Put { map, key, value, expires_at } = entry.effect else {
                return Err(DecodeError::Malformed("an image holds something else than records"));
            };
            let version = version_of(entry.position.seq);
            let hash = state.hash(key);
            let record = isogrid_core::Entry { value, version, expires_at };
            state.store.load(map, hash, key, &record);
        }
        if !image.sessions.is_empty() {
            state.sessions = Sessions::decode(&image.sessions)?;
        }
        if state.sessions.settled() != image.position.seq {
            return Err(DecodeError::Malformed(
                "the sessions are not those of the image's position",
            ));
        }
        state.restart_log(image.position);
        state.store.restart_at(version_of(image.position.seq));
        state.hlc = image.hlc;
        state.lose_history(image.loss_generation);
        for encoded in Entries::new(log) {
            let encoded = encoded?;
            let position = encoded.entry.position;
            if position.seq != state.log.last().seq + 1 || position.epoch < state.log.last().epoch {
                return Err(DecodeError::Malformed("an entry does not follow the one before"));
            }
            state.log.append_encoded(encoded.bytes);
        }
        let last = state.log.last();
        state.persist(last);
        complete(&mut state, image.complete_at)?;
        Ok(Replica::from_state(state))
    }
}

/// The records of an image that was taken page by page are of several positions: with the entries up to its end they are those
/// of the end, which is committed.
fn complete(state: &mut State, end: LogPosition) -> Result<(), DecodeError> {
    if end.seq <= state.commit {
        return Ok(());
    }
    if state.log.position_of(end.seq) != Some(end) {
        return Err(DecodeError::Malformed("the log does not reach the end of the image"));
    }
    for seq in state.commit + 1..=end.seq {
        state.apply_to_older(seq);
        state.sessions.settle(seq);
    }
    state.commit = end.seq;
    state.store.restart_at(version_of(end.seq));
    Ok(())
}

/// A record travels as the entry that wrote it, of an epoch that nobody looks at.
pub(crate) fn put_record(
    out: &mut Vec<u8>,
    map: MapId,
    key: &[u8],
    entry: &isogrid_core::Entry<'_>,
) {
    let effect = Effect::Put { map, key, value: entry.value, expires_at: entry.expires_at };
    let position = LogPosition::new(1, entry.version.0);
    Entry { position, hlc: Hlc::default(), request: None, answer: Answer::None, effect }
        .encode(out);
}

#[cfg(test)]
#[path = "image_test.rs"]
mod tests;
