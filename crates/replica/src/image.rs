//! [`Image`]: what a replica keeps on disk besides its log: its data at one position. With the log from there on it is
//! everything a replica needs to come back.

use std::sync::Arc;

use isogrid_core::{Effect, Hlc, LogPosition, MapId, Replica as Name, version_of};
use isogrid_store::{Partition, WalkCursor};

use crate::entry::{Answer, DecodeError, Entries, Entry};
use crate::replica::{Replica, RoleName};
use crate::session::Sessions;
use crate::settings::Settings;
use crate::state::State;
use crate::time::Now;

/// How many bytes of records are looked at in one go.
const WALK_BYTES: usize = 1 << 20;

/// A replica's data at a committed position of its log.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Image {
    /// Where.
    pub position: LogPosition,
    /// The hybrid clock.
    pub hlc: Hlc,
    /// How often the history was declared lost.
    pub loss_generation: u32,
    /// Encoded sessions.
    pub sessions: Vec<u8>,
    /// Records as encoded entries.
    pub records: Vec<u8>,
}

impl Replica {
    /// An image of the data as they are now; `None` while they are not those of a committed position. A primary that is the only
    /// member commits by being on disk, so its image may be of all it has when it leads without a whole copy, because data
    /// were declared lost: it has nothing on disk that entries could follow.
    pub fn image(&self) -> Option<Image> {
        let state = self.state();
        if self.role() != RoleName::Primary {
            return self.is_complete().then(|| self.image_at(state.commit_position()));
        }
        let is_alone = state.view.in_sync == [state.me.clone()] && self.lacks_image();
        let is_exact = is_alone || state.commit == state.log.last().seq;
        is_exact.then(|| self.image_at(state.log.last()))
    }

    /// An image of all that a primary has, committed or not: it is worth something once that is committed
    /// ([`Replica::has_committed`]).
    pub fn image_ahead(&self) -> Option<Image> {
        let leads = self.role() == RoleName::Primary;
        leads.then(|| self.image_at(self.state().log.last()))
    }

    /// Whether what this primary had up to this position is committed; `None` when it does not lead the epoch of its image any more,
    /// so that another history may have taken its place.
    pub fn has_committed(&self, position: LogPosition) -> Option<bool> {
        let state = self.state();
        let leads = self.role() == RoleName::Primary && state.led == position.epoch;
        leads.then_some(state.commit >= position.seq)
    }

    fn image_at(&self, position: LogPosition) -> Image {
        let state = self.state();
        let mut image = Image {
            position,
            hlc: state.hlc,
            loss_generation: state.loss_generation,
            ..Image::default()
        };
        let mut sessions = state.sessions.clone();
        sessions.settle(position.seq);
        sessions.encode(&mut image.sessions);
        let mut cursor = Some(WalkCursor::default());
        while let Some(from) = cursor {
            let page = state.store.walk(from, WALK_BYTES);
            for record in &page.records {
                put_record(&mut image.records, record.map, record.key, &record.entry);
            }
            cursor = page.next;
        }
        image
    }

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
        Ok(Replica::from_state(state))
    }
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
