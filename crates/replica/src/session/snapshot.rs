//! The table of executed requests as bytes, for snapshots and for comparing replicas: the state after the last settled
//! entry, whatever was recorded since. Equal states have equal bytes.

use std::collections::{BTreeSet, VecDeque};

use isogrid_core::{Epoch, LogPosition, SessionId};
use xxhash_rust::xxh3::xxh3_128;

use crate::entry::input::Input;
use crate::entry::{Answer, DecodeError};
use crate::session::open::Session;
use crate::session::record::Record;
use crate::session::{SESSION_BYTES, Sessions};

/// The format of the encoding.
///
/// | bytes | field |
/// |---|---|
/// | 1 | format |
/// | 8 | settled: the entry after which this is the state |
/// | 8 | watermark |
/// | 4, 8 each | ended sessions from the watermark on, strictly ascending |
/// | 4 | number of open sessions; of each, strictly ascending: |
/// | 8, 8, 4 | session, first_incomplete, number of records; of each, strictly ascending: |
/// | 8, 8, 8, 1 | number, epoch and number of the entry, kind of the answer |
/// | | body of the answer |
const SESSIONS_FORMAT: u8 = 1;

impl Sessions {
    /// Appends the encoding.
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.push(SESSIONS_FORMAT);
        out.extend_from_slice(&self.settled.to_le_bytes());
        out.extend_from_slice(&self.watermark.0.to_le_bytes());
        put_count(self.ended.len(), out);
        for session in &self.ended {
            out.extend_from_slice(&session.0.to_le_bytes());
        }
        let mut open: Vec<(SessionId, &Session)> =
            self.open.iter().map(|(id, session)| (*id, session)).collect();
        open.retain(|(_, session)| !session.is_blank_at(self.settled));
        open.sort_unstable_by_key(|(id, _)| *id);
        put_count(open.len(), out);
        for (id, session) in open {
            out.extend_from_slice(&id.0.to_le_bytes());
            out.extend_from_slice(&session.first_incomplete_at(self.settled).to_le_bytes());
            put_count(session.records_at(self.settled).count(), out);
            for record in session.records_at(self.settled) {
                out.extend_from_slice(&record.number.to_le_bytes());
                out.extend_from_slice(&record.epoch.0.to_le_bytes());
                out.extend_from_slice(&record.seq.to_le_bytes());
                let answer = record.answer();
                out.push(answer.kind());
                answer.encode_body(out);
            }
        }
    }

    /// Reads an encoding; nothing may follow it.
    ///
    /// # Errors
    /// The bytes are no table.
    pub fn decode(bytes: &[u8]) -> Result<Sessions, DecodeError> {
        let mut input = Input(bytes);
        let format = input.u8()?;
        if format != SESSIONS_FORMAT {
            return Err(DecodeError::FormatUnknown(format));
        }
        let mut sessions = Sessions::new(input.u64()?);
        sessions.watermark = SessionId(input.u64()?);
        sessions.ended = decode_ended(sessions.watermark, &mut input)?;
        let mut before = None;
        for _ in 0..input.u32()? {
            let id = SessionId(input.u64()?);
            if before.is_some_and(|before| before >= id) || sessions.has_ended(id) {
                return Err(DecodeError::Malformed("open sessions out of order, or ended"));
            }
            before = Some(id);
            let session = decode_session(sessions.settled, &mut input)?;
            sessions.bytes += SESSION_BYTES + session.bytes();
            sessions.open.insert(id, session);
        }
        input.end()?;
        Ok(sessions)
    }

    /// A digest of the state after the last settled entry: equal on replicas that settled the same entries. Walks the whole
    /// table.
    pub fn digest(&self) -> u128 {
        let mut bytes = Vec::new();
        self.encode(&mut bytes);
        xxh3_128(&bytes)
    }
}

fn put_count(count: usize, out: &mut Vec<u8>) {
    let count = u32::try_from(count).expect("the caps keep the table small");
    out.extend_from_slice(&count.to_le_bytes());
}

fn decode_ended(
    watermark: SessionId,
    input: &mut Input<'_>,
) -> Result<BTreeSet<SessionId>, DecodeError> {
    let mut ended = BTreeSet::new();
    for _ in 0..input.u32()? {
        let session = SessionId(input.u64()?);
        if session < watermark || ended.last().is_some_and(|last| *last >= session) {
            return Err(DecodeError::Malformed("ended sessions out of order"));
        }
        ended.insert(session);
    }
    Ok(ended)
}

fn decode_session(settled: u64, input: &mut Input<'_>) -> Result<Session, DecodeError> {
    let first_incomplete = input.u64()?;
    let mut records: VecDeque<Record> = VecDeque::new();
    for _ in 0..input.u32()? {
        let (number, epoch) = (input.u64()?, Epoch(input.u64()?));
        let (seq, kind) = (input.u64()?, input.u8()?);
        let answer = Answer::decode_body(kind, input)?;
        if records.back().is_some_and(|last| last.number >= number) {
            return Err(DecodeError::Malformed("records out of order"));
        }
        if number < first_incomplete || seq > settled {
            return Err(DecodeError::Malformed("a record that cannot be in this state"));
        }
        records.push_back(Record::new(number, LogPosition { epoch, seq }, answer));
    }
    if first_incomplete == 0 && records.is_empty() {
        return Err(DecodeError::Malformed("a session of which nothing is known"));
    }
    Ok(Session::restore(first_incomplete, records))
}
