//! Writes messages.

use isogrid_core::LogPosition;
use isogrid_replica::lease::{Beat, BeatAck};
use isogrid_replica::message::{Ack, Append, Chunk, Content, Message, Mismatch, Offer, Piece};
use isogrid_store::WalkCursor;

use super::{HEADER_BYTES, append, content, kind, piece};
use crate::peers::message::LinkMessage;
use isogrid_council::packed;

/// Appends a message to a batch.
pub(crate) fn encode(message: &LinkMessage, batch: &mut Vec<u8>) {
    let start = batch.len();
    batch.extend_from_slice(&[0; HEADER_BYTES]);
    let kind = body(message, &mut Out(batch));
    let length = (batch.len() - start - HEADER_BYTES) as u32;
    batch[start] = kind;
    batch[start + 1..start + HEADER_BYTES].copy_from_slice(&length.to_le_bytes());
}

fn body(message: &LinkMessage, out: &mut Out<'_>) -> u8 {
    match message {
        LinkMessage::Replica { partition, to, message } => {
            if let Message::Append(append) = message {
                out.0.reserve(append.entries.len() + 128);
            }
            out.u16(partition.0);
            out.u64(to.0);
            replica(message, out)
        }
        LinkMessage::Beat { to, beat } => {
            out.u64(to.0);
            write_beat(beat, out);
            kind::BEAT
        }
        LinkMessage::BeatAck { to, ack } => {
            out.u64(to.0);
            write_beat_ack(ack, out);
            kind::BEAT_ACK
        }
        LinkMessage::News(news) => {
            packed::write_into(out.0, &**news).expect("news are plain data");
            kind::NEWS
        }
        LinkMessage::Directive(directive) => {
            packed::write_into(out.0, directive).expect("a directive is plain data");
            kind::DIRECTIVE
        }
        LinkMessage::Ping => kind::PING,
        LinkMessage::Traced { partition, to, mark } => {
            out.u16(partition.0);
            out.u64(to.0);
            out.position(mark.position);
            out.0.extend_from_slice(&mark.context.trace());
            out.0.extend_from_slice(&mark.context.span().unwrap_or_default());
            out.bytes(mark.context.state().unwrap_or_default().as_bytes());
            kind::TRACED
        }
    }
}

fn replica(message: &Message, out: &mut Out<'_>) -> u8 {
    match message {
        Message::Append(append) => {
            write_append(append, out);
            kind::APPEND
        }
        Message::Ack(ack) => {
            write_ack(ack, out);
            kind::ACK
        }
        Message::Mismatch(mismatch) => {
            write_mismatch(mismatch, out);
            kind::MISMATCH
        }
        Message::Refused { promised } => {
            out.u64(promised.0);
            kind::REFUSED
        }
        Message::Offer(offer) => {
            write_offer(offer, out);
            kind::OFFER
        }
        Message::Pull { epoch, piece } => {
            out.u64(epoch.0);
            write_piece(piece, out);
            kind::PULL
        }
        Message::Chunk(chunk) => {
            write_chunk(chunk, out);
            kind::CHUNK
        }
        Message::Differs { epoch, at } => {
            out.u64(epoch.0);
            out.position(*at);
            kind::DIFFERS
        }
    }
}

fn write_append(append: &Append, out: &mut Out<'_>) {
    let sessions = append.digest.and_then(|digest| digest.sessions);
    let flag = |is_set: bool, flag: u8| if is_set { flag } else { 0 };
    out.u8(flag(append.leads, append::LEADS)
        | flag(append.digest.is_some(), append::HAS_DIGEST)
        | flag(sessions.is_some(), append::HAS_SESSIONS_DIGEST));
    out.u64(append.epoch.0);
    out.position(append.prev);
    out.u64(append.commit);
    out.u64(append.sent_at.0);
    out.u64(append.echo.0);
    out.u64(append.round);
    out.u32(append.loss_generation);
    if let Some(digest) = append.digest {
        out.u64(digest.seq);
        out.u128(digest.data);
    }
    if let Some(sessions) = sessions {
        out.u128(sessions);
    }
    out.0.extend_from_slice(&append.entries);
}

fn write_ack(ack: &Ack, out: &mut Out<'_>) {
    out.u64(ack.epoch.0);
    out.position(ack.matched);
    out.u64(ack.applied);
    out.u64(ack.sent_at.0);
    out.u64(ack.stamp.0);
    out.u64(ack.round);
    out.flag(ack.complete);
}

fn write_mismatch(mismatch: &Mismatch, out: &mut Out<'_>) {
    out.u64(mismatch.epoch.0);
    out.position(mismatch.tail);
    out.position(mismatch.commit);
    out.u64(mismatch.sent_at.0);
    out.u64(mismatch.stamp.0);
}

fn write_offer(offer: &Offer, out: &mut Out<'_>) {
    out.u64(offer.epoch.0);
    out.u32(offer.loss_generation);
    out.position(offer.base);
    out.count(offer.runs.len());
    offer.runs.iter().for_each(|run| out.position(*run));
    out.position(offer.last);
}

fn write_piece(wanted: &Piece, out: &mut Out<'_>) {
    match wanted {
        Piece::Start => out.u8(piece::START),
        Piece::Records(cursor) => {
            out.u8(piece::RECORDS);
            out.cursor(*cursor);
        }
        Piece::Sessions => out.u8(piece::SESSIONS),
        Piece::Buckets => out.u8(piece::BUCKETS),
        Piece::Bucket(bucket, cursor) => {
            out.u8(piece::BUCKET);
            out.u8(*bucket);
            out.cursor(*cursor);
        }
        Piece::Keys(keys) => {
            out.u8(piece::KEYS);
            out.count(keys.len());
            for (map, key) in keys {
                out.u32(map.0);
                out.bytes(key);
            }
        }
    }
}

fn write_chunk(chunk: &Chunk, out: &mut Out<'_>) {
    out.u64(chunk.epoch.0);
    out.u32(chunk.loss_generation);
    write_piece(&chunk.piece, out);
    out.position(chunk.as_of);
    out.u64(chunk.total.0);
    out.u64(chunk.total.1);
    match &chunk.content {
        Content::Start { sessions, hlc } => {
            out.u8(content::START);
            out.u64(hlc.0);
            out.bytes(sessions);
        }
        Content::Records { records, next } => {
            out.u8(content::RECORDS);
            out.flag(next.is_some());
            if let Some(next) = next {
                out.cursor(*next);
            }
            out.bytes(records);
        }
        Content::Buckets(buckets) => {
            out.u8(content::BUCKETS);
            out.count(buckets.len());
            buckets.iter().for_each(|bucket| out.u128(*bucket));
        }
    }
}

fn write_beat(beat: &Beat, out: &mut Out<'_>) {
    out.u64(beat.number);
    out.u64(beat.sent_at.0);
    out.flag(beat.claims.is_some());
    if let Some(claims) = &beat.claims {
        out.count(claims.len());
        for (partition, epoch) in claims {
            out.u16(partition.0);
            out.u64(epoch.0);
        }
    }
}

fn write_beat_ack(ack: &BeatAck, out: &mut Out<'_>) {
    out.u64(ack.number);
    out.u64(ack.sent_at.0);
    out.flag(ack.has_claims);
    out.count(ack.excluded.len());
    ack.excluded.iter().for_each(|partition| out.u16(partition.0));
}

/// The end of a batch.
struct Out<'b>(&'b mut Vec<u8>);

impl Out<'_> {
    fn u8(&mut self, value: u8) {
        self.0.push(value);
    }

    fn flag(&mut self, value: bool) {
        self.0.push(u8::from(value));
    }

    fn u16(&mut self, value: u16) {
        self.0.extend_from_slice(&value.to_le_bytes());
    }

    fn u32(&mut self, value: u32) {
        self.0.extend_from_slice(&value.to_le_bytes());
    }

    fn u64(&mut self, value: u64) {
        self.0.extend_from_slice(&value.to_le_bytes());
    }

    fn u128(&mut self, value: u128) {
        self.0.extend_from_slice(&value.to_le_bytes());
    }

    fn position(&mut self, value: LogPosition) {
        self.u64(value.epoch.0);
        self.u64(value.seq);
    }

    fn cursor(&mut self, value: WalkCursor) {
        self.u32(value.map);
        self.u64(value.hash);
    }

    fn count(&mut self, value: usize) {
        self.u32(value as u32);
    }

    fn bytes(&mut self, value: &[u8]) {
        self.count(value.len());
        self.0.extend_from_slice(value);
    }
}
