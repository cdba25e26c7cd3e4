//! Reads messages. Nothing is believed: every length is held against what is left before anything is allocated.

use std::sync::Arc;

use isogrid_core::{Epoch, Hlc, Incarnation, LogPosition, MapId, PartitionId, TraceContext};
use isogrid_replica::Ticks;
use isogrid_replica::lease::{Beat, BeatAck};
use isogrid_replica::message::{
    Ack, Append, Chunk, Content, DigestAt, Message, Mismatch, Offer, Piece,
};
use isogrid_store::WalkCursor;

use super::{BATCH_VERSION, Malformed, append, content, kind, piece};
use crate::engine::Mark;
use crate::peers::message::LinkMessage;

/// What is wrong with a body.
type Read<T> = Result<T, &'static str>;

const SHORT: &str = "it ends early";

/// Reads a batch. Messages of unknown kinds are left out.
pub(crate) fn decode(batch: &[u8]) -> Result<Vec<LinkMessage>, Malformed> {
    let mut rest = In(batch);
    let version = rest.u8().map_err(|_| Malformed::Cut)?;
    if version != BATCH_VERSION {
        return Err(Malformed::Version(version));
    }
    let mut messages = Vec::new();
    while !rest.0.is_empty() {
        let cut = |_| Malformed::Cut;
        let kind = rest.u8().map_err(cut)?;
        let mut inside = In(rest.bytes().map_err(cut)?);
        let message = body(kind, &mut inside).and_then(|message| {
            let is_read = message.is_none() || inside.0.is_empty();
            if is_read { Ok(message) } else { Err("it goes on after its end") }
        });
        messages.extend(message.map_err(|why| Malformed::Body { kind, why })?);
    }
    Ok(messages)
}

fn body(kind: u8, from: &mut In<'_>) -> Read<Option<LinkMessage>> {
    let message = match kind {
        kind::APPEND..=kind::DIFFERS => {
            let partition = PartitionId(from.u16()?);
            let to = Incarnation(from.u64()?);
            LinkMessage::Replica { partition, to, message: replica(kind, from)? }
        }
        kind::BEAT => LinkMessage::Beat { to: Incarnation(from.u64()?), beat: beat(from)? },
        kind::BEAT_ACK => {
            LinkMessage::BeatAck { to: Incarnation(from.u64()?), ack: beat_ack(from)? }
        }
        kind::NEWS => LinkMessage::News(Arc::new(packed(from)?)),
        kind::DIRECTIVE => LinkMessage::Directive(packed(from)?),
        kind::PING => LinkMessage::Ping,
        kind::TRACED => return traced(from),
        _ => return Ok(None),
    };
    Ok(Some(message))
}

/// A trace is never a reason to end a link: what cannot be one is left out.
fn traced(from: &mut In<'_>) -> Read<Option<LinkMessage>> {
    let (partition, to) = (PartitionId(from.u16()?), Incarnation(from.u64()?));
    let (position, trace, span) = (from.position()?, from.take()?, from.take()?);
    let state = std::str::from_utf8(from.bytes()?).unwrap_or_default();
    Ok(TraceContext::new(trace, span).map(|context| {
        let mark = Mark { position, context: context.with_state(state) };
        LinkMessage::Traced { partition, to, mark }
    }))
}

fn packed<T: serde::de::DeserializeOwned>(from: &mut In<'_>) -> Read<T> {
    isogrid_council::packed::read(from.all()).map_err(|_| "its packed body cannot be read")
}

fn replica(kind: u8, from: &mut In<'_>) -> Read<Message> {
    Ok(match kind {
        kind::APPEND => Message::Append(read_append(from)?),
        kind::ACK => Message::Ack(Ack {
            epoch: from.epoch()?,
            matched: from.position()?,
            applied: from.u64()?,
            sent_at: from.ticks()?,
            stamp: from.ticks()?,
            round: from.u64()?,
            complete: from.flag()?,
        }),
        kind::MISMATCH => Message::Mismatch(Mismatch {
            epoch: from.epoch()?,
            tail: from.position()?,
            commit: from.position()?,
            sent_at: from.ticks()?,
            stamp: from.ticks()?,
        }),
        kind::REFUSED => Message::Refused { promised: from.epoch()? },
        kind::OFFER => Message::Offer(Offer {
            epoch: from.epoch()?,
            loss_generation: from.u32()?,
            base: from.position()?,
            runs: from.list(16, In::position)?,
            last: from.position()?,
        }),
        kind::PULL => Message::Pull { epoch: from.epoch()?, piece: read_piece(from)? },
        kind::CHUNK => Message::Chunk(Box::new(read_chunk(from)?)),
        kind::DIFFERS => Message::Differs { epoch: from.epoch()?, at: from.position()? },
        _ => return Err("it is of no kind"),
    })
}

fn read_append(from: &mut In<'_>) -> Read<Append> {
    let flags = from.u8()?;
    if flags & !append::ALL != 0 {
        return Err("it has an unknown flag");
    }
    let mut append = Append {
        leads: flags & append::LEADS != 0,
        epoch: from.epoch()?,
        prev: from.position()?,
        commit: from.u64()?,
        sent_at: from.ticks()?,
        echo: from.ticks()?,
        round: from.u64()?,
        loss_generation: from.u32()?,
        digest: None,
        entries: Vec::new(),
    };
    let has_sessions = flags & append::HAS_SESSIONS_DIGEST != 0;
    if flags & append::HAS_DIGEST != 0 {
        let (seq, data) = (from.u64()?, from.u128()?);
        let sessions = if has_sessions { Some(from.u128()?) } else { None };
        append.digest = Some(DigestAt { seq, data, sessions });
    } else if has_sessions {
        return Err("it has half a digest");
    }
    append.entries = from.all().to_vec();
    Ok(append)
}

fn read_piece(from: &mut In<'_>) -> Read<Piece> {
    Ok(match from.u8()? {
        piece::START => Piece::Start,
        piece::RECORDS => Piece::Records(from.cursor()?),
        piece::SESSIONS => Piece::Sessions,
        piece::BUCKETS => Piece::Buckets,
        piece::BUCKET => Piece::Bucket(from.u8()?, from.cursor()?),
        piece::KEYS => {
            let key = |from: &mut In<'_>| Ok((MapId(from.u32()?), from.bytes()?.to_vec()));
            Piece::Keys(from.list(8, key)?)
        }
        _ => return Err("it is about an unknown piece"),
    })
}

fn read_chunk(from: &mut In<'_>) -> Read<Chunk> {
    Ok(Chunk {
        epoch: from.epoch()?,
        loss_generation: from.u32()?,
        piece: read_piece(from)?,
        as_of: from.position()?,
        total: (from.u64()?, from.u64()?),
        content: match from.u8()? {
            content::START => {
                let hlc = Hlc(from.u64()?);
                Content::Start { sessions: from.bytes()?.to_vec(), hlc }
            }
            content::RECORDS => {
                let next = if from.flag()? { Some(from.cursor()?) } else { None };
                Content::Records { records: from.bytes()?.to_vec(), next }
            }
            content::BUCKETS => Content::Buckets(from.list(16, In::u128)?),
            _ => return Err("it has an unknown content"),
        },
    })
}

fn beat(from: &mut In<'_>) -> Read<Beat> {
    let (number, sent_at) = (from.u64()?, from.ticks()?);
    let claim = |from: &mut In<'_>| Ok((PartitionId(from.u16()?), from.epoch()?));
    let claims = if from.flag()? { Some(from.list(10, claim)?) } else { None };
    Ok(Beat { number, claims, sent_at })
}

fn beat_ack(from: &mut In<'_>) -> Read<BeatAck> {
    let (number, sent_at, has_claims) = (from.u64()?, from.ticks()?, from.flag()?);
    let excluded = from.list(2, |from| Ok(PartitionId(from.u16()?)))?;
    Ok(BeatAck { number, has_claims, excluded, sent_at })
}

/// What is left of a batch or of a body.
struct In<'b>(&'b [u8]);

impl<'b> In<'b> {
    fn take<const N: usize>(&mut self) -> Read<[u8; N]> {
        let (head, rest) = self.0.split_first_chunk::<N>().ok_or(SHORT)?;
        self.0 = rest;
        Ok(*head)
    }

    fn u8(&mut self) -> Read<u8> {
        self.take().map(u8::from_le_bytes)
    }

    fn flag(&mut self) -> Read<bool> {
        match self.u8()? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err("a flag is neither set nor clear"),
        }
    }

    fn u16(&mut self) -> Read<u16> {
        self.take().map(u16::from_le_bytes)
    }

    fn u32(&mut self) -> Read<u32> {
        self.take().map(u32::from_le_bytes)
    }

    fn u64(&mut self) -> Read<u64> {
        self.take().map(u64::from_le_bytes)
    }

    fn u128(&mut self) -> Read<u128> {
        self.take().map(u128::from_le_bytes)
    }

    fn epoch(&mut self) -> Read<Epoch> {
        self.u64().map(Epoch)
    }

    fn ticks(&mut self) -> Read<Ticks> {
        self.u64().map(Ticks)
    }

    fn position(&mut self) -> Read<LogPosition> {
        Ok(LogPosition { epoch: self.epoch()?, seq: self.u64()? })
    }

    fn cursor(&mut self) -> Read<WalkCursor> {
        Ok(WalkCursor { map: self.u32()?, hash: self.u64()? })
    }

    fn bytes(&mut self) -> Read<&'b [u8]> {
        let length = self.u32()? as usize;
        let (bytes, rest) = self.0.split_at_checked(length).ok_or(SHORT)?;
        self.0 = rest;
        Ok(bytes)
    }

    fn all(&mut self) -> &'b [u8] {
        std::mem::take(&mut self.0)
    }

    /// A counted list of items that have at least so many bytes each.
    fn list<T>(
        &mut self,
        item_bytes_min: usize,
        item: impl Fn(&mut Self) -> Read<T>,
    ) -> Read<Vec<T>> {
        let count = self.u32()? as usize;
        if count > self.0.len() / item_bytes_min {
            return Err("a list is longer than its message");
        }
        (0..count).map(|_| item(self)).collect()
    }
}
