//! The bytes of an entry. Little-endian, no padding, and one encoding for one entry: what decodes encodes to the same bytes.

use isogrid_core::limits::{KEY_BYTES_HARD_MAX, VALUE_BYTES_HARD_MAX};
use isogrid_core::{
    Cause, Effect, EndedSessions, Epoch, Hlc, LogPosition, MapId, RequestId, SessionId, Timestamp,
    Version,
};

use crate::entry::input::Input;
use crate::entry::{Answer, DecodeError, ENTRY_BYTES_MIN, ENTRY_FORMAT, Encoded, Entry, Tag};

/// The entry has a request: session u64, number u64, first_incomplete u64.
const FLAG_REQUEST: u8 = 1;
/// The record that a put or a rename writes expires.
const FLAG_EXPIRES: u8 = 2;

const AT_EPOCH: usize = 8;
const AT_SEQ: usize = 16;
const AT_HLC: usize = 24;
const TAG_BYTES: usize = 24;

/// The data dictionary of an entry. All numbers are frozen.
///
/// | bytes | field | |
/// |---|---|---|
/// | 4 | length | of the whole entry, these four bytes included |
/// | 1 | format | [`ENTRY_FORMAT`] |
/// | 1 | flags | 1: a request is there; 2: the record that is written expires; others are zero |
/// | 1 | effect | its kind |
/// | 1 | answer | its kind: see [`Answer`] |
/// | 8 | epoch | |
/// | 8 | seq | |
/// | 8 | hlc | |
/// | 24 | request | if flagged: session, number, first_incomplete |
/// | | answer | its body |
/// | | effect | its body, to the end of the entry |
///
/// | kind | effect | body |
/// |---|---|---|
/// | 0 | nothing | |
/// | 1 | put | map u32, expires_at u64 if flagged, key length u32, key, value |
/// | 2 | remove | map u32, cause u8, key |
/// | 3 | clear | map u32 |
/// | 4 | end sessions | watermark u64, numbers u64 each, strictly ascending, none below the watermark |
/// | 5 | rename | map u32, expires_at u64 if flagged, old key's length u32, new key's length u32, old key, new key, value |
///
/// | cause | |
/// |---|---|
/// | 0 | deleted |
/// | 1 | expired |
/// | 2 | evicted |
#[repr(u8)]
#[derive(Clone, Copy)]
enum EffectKind {
    Nothing = 0,
    Put = 1,
    Remove = 2,
    Clear = 3,
    EndSessions = 4,
    Rename = 5,
}

impl EffectKind {
    #[inline]
    fn of(effect: &Effect<'_>) -> Self {
        match effect {
            Effect::Nothing => EffectKind::Nothing,
            Effect::Put { .. } => EffectKind::Put,
            Effect::Remove { .. } => EffectKind::Remove,
            Effect::Clear { .. } => EffectKind::Clear,
            Effect::EndSessions(_) => EffectKind::EndSessions,
            Effect::Rename { .. } => EffectKind::Rename,
        }
    }
}

impl<'a> Entry<'a> {
    /// How many bytes the encoding takes.
    #[inline]
    pub fn encoded_len(&self) -> usize {
        let request = if self.request.is_some() { TAG_BYTES } else { 0 };
        ENTRY_BYTES_MIN + request + self.answer.body_len() + effect_len(&self.effect)
    }

    /// Appends the encoding.
    #[inline]
    pub fn encode(&self, out: &mut Vec<u8>) {
        self.encode_sized(self.encoded_len(), out);
    }

    /// Appends the encoding, whose length the caller has just asked for.
    #[inline]
    pub(crate) fn encode_sized(&self, len: usize, out: &mut Vec<u8>) {
        debug_assert_eq!(
            self.request.is_some(),
            self.answer != Answer::None,
            "a request and its answer come together"
        );
        let length = u32::try_from(len).expect("key and value are bounded by the limits");
        let start = out.len();
        out.reserve(len);
        let mut head = [0; ENTRY_BYTES_MIN];
        head[..4].copy_from_slice(&length.to_le_bytes());
        head[4] = ENTRY_FORMAT;
        head[5] = self.flags();
        head[6] = EffectKind::of(&self.effect) as u8;
        head[7] = self.answer.kind();
        head[AT_EPOCH..AT_SEQ].copy_from_slice(&self.position.epoch.0.to_le_bytes());
        head[AT_SEQ..AT_HLC].copy_from_slice(&self.position.seq.to_le_bytes());
        head[AT_HLC..].copy_from_slice(&self.hlc.0.to_le_bytes());
        out.extend_from_slice(&head);
        if let Some(tag) = &self.request {
            let mut request = [0; TAG_BYTES];
            request[..8].copy_from_slice(&tag.id.session.0.to_le_bytes());
            request[8..16].copy_from_slice(&tag.id.number.to_le_bytes());
            request[16..].copy_from_slice(&tag.first_incomplete.to_le_bytes());
            out.extend_from_slice(&request);
        }
        self.answer.encode_body(out);
        encode_effect(&self.effect, out);
        debug_assert_eq!(out.len(), start + len, "the length was foreseen");
    }

    #[inline]
    fn flags(&self) -> u8 {
        let expires = matches!(
            self.effect,
            Effect::Put { expires_at: Some(_), .. } | Effect::Rename { expires_at: Some(_), .. }
        );
        u8::from(self.request.is_some()) * FLAG_REQUEST + u8::from(expires) * FLAG_EXPIRES
    }

    /// Reads the entry at the beginning of these bytes; others may follow it.
    ///
    /// # Errors
    /// The bytes are no entry, or only a part of one.
    #[inline]
    pub fn decode(bytes: &'a [u8]) -> Result<Encoded<'a>, DecodeError> {
        let length = Input(bytes).u32()? as usize;
        if length < ENTRY_BYTES_MIN {
            return Err(DecodeError::Malformed("an entry shorter than its fixed part"));
        }
        let bytes = bytes.get(..length).ok_or(DecodeError::Truncated)?;
        let (head, rest) =
            bytes.split_first_chunk::<ENTRY_BYTES_MIN>().ok_or(DecodeError::Truncated)?;
        let [.., format, flags, effect, answer] = *head.first_chunk::<AT_EPOCH>().expect("shorter");
        if format != ENTRY_FORMAT {
            return Err(DecodeError::FormatUnknown(format));
        }
        if flags & !(FLAG_REQUEST | FLAG_EXPIRES) != 0 {
            return Err(DecodeError::Malformed("an unknown flag"));
        }
        let (position, hlc) = (position_at(head), hlc_at(head));
        if position.seq > Version::MAX.0 {
            return Err(DecodeError::Malformed("a number that no record can carry"));
        }
        let mut input = Input(rest);
        let request = if flags & FLAG_REQUEST != 0 { Some(decode_tag(&mut input)?) } else { None };
        let answer = Answer::decode_body(answer, &mut input)?;
        if request.is_some() != (answer != Answer::None) {
            return Err(DecodeError::Malformed("a request without an answer, or the reverse"));
        }
        let effect = decode_effect(effect, flags & FLAG_EXPIRES != 0, &mut input)?;
        input.end()?;
        Ok(Encoded { entry: Entry { position, hlc, request, answer, effect }, bytes })
    }
}

#[inline]
fn effect_len(effect: &Effect<'_>) -> usize {
    match *effect {
        Effect::Nothing => 0,
        Effect::Put { key, value, expires_at, .. } => {
            8 + if expires_at.is_some() { 8 } else { 0 } + key.len() + value.len()
        }
        Effect::Remove { key, .. } => 5 + key.len(),
        Effect::Clear { .. } => 4,
        Effect::EndSessions(ended) => 8 + ended.above.len(),
        Effect::Rename { from, to, value, expires_at, .. } => {
            let expiry = if expires_at.is_some() { 8 } else { 0 };
            12 + expiry + from.len() + to.len() + value.len()
        }
    }
}

#[inline]
fn encode_effect(effect: &Effect<'_>, out: &mut Vec<u8>) {
    match *effect {
        Effect::Nothing => {}
        Effect::Put { map, key, value, expires_at } => {
            out.extend_from_slice(&map.0.to_le_bytes());
            if let Some(at) = expires_at {
                out.extend_from_slice(&at.0.to_le_bytes());
            }
            let length = u32::try_from(key.len()).expect("a key is bounded by the limits");
            out.extend_from_slice(&length.to_le_bytes());
            out.extend_from_slice(key);
            out.extend_from_slice(value);
        }
        Effect::Remove { map, key, cause } => {
            out.extend_from_slice(&map.0.to_le_bytes());
            out.push(match cause {
                Cause::Deleted => 0,
                Cause::Expired => 1,
                Cause::Evicted => 2,
            });
            out.extend_from_slice(key);
        }
        Effect::Clear { map } => out.extend_from_slice(&map.0.to_le_bytes()),
        Effect::EndSessions(ended) => {
            debug_assert_eq!(check_ended(&ended), Ok(()));
            out.extend_from_slice(&ended.watermark.0.to_le_bytes());
            out.extend_from_slice(ended.above);
        }
        Effect::Rename { map, from, to, value, expires_at } => {
            debug_assert!(from != to, "a rename has two keys");
            out.extend_from_slice(&map.0.to_le_bytes());
            if let Some(at) = expires_at {
                out.extend_from_slice(&at.0.to_le_bytes());
            }
            for key in [from, to] {
                let length = u32::try_from(key.len()).expect("a key is bounded by the limits");
                out.extend_from_slice(&length.to_le_bytes());
            }
            for bytes in [from, to, value] {
                out.extend_from_slice(bytes);
            }
        }
    }
}

fn decode_tag(input: &mut Input<'_>) -> Result<Tag, DecodeError> {
    let session = SessionId(input.u64()?);
    let number = input.u64()?;
    Ok(Tag { id: RequestId { session, number }, first_incomplete: input.u64()? })
}

#[inline]
fn decode_effect<'a>(
    kind: u8,
    expires: bool,
    input: &mut Input<'a>,
) -> Result<Effect<'a>, DecodeError> {
    if expires && kind != EffectKind::Put as u8 && kind != EffectKind::Rename as u8 {
        return Err(DecodeError::Malformed("an expiry without a record"));
    }
    Ok(match kind {
        0 => Effect::Nothing,
        1 => {
            let map = MapId(input.u32()?);
            let expires_at = if expires { Some(Timestamp(input.u64()?)) } else { None };
            let length = input.u32()? as usize;
            let (key, value) = (input.take(length)?, input.take_rest());
            check_record(key, value)?;
            Effect::Put { map, key, value, expires_at }
        }
        2 => {
            let map = MapId(input.u32()?);
            let cause = match input.u8()? {
                0 => Cause::Deleted,
                1 => Cause::Expired,
                2 => Cause::Evicted,
                _ => return Err(DecodeError::Malformed("an unknown cause")),
            };
            Effect::Remove { map, key: input.take_rest(), cause }
        }
        3 => Effect::Clear { map: MapId(input.u32()?) },
        4 => Effect::EndSessions(decode_ended(input)?),
        5 => decode_rename(expires, input)?,
        _ => return Err(DecodeError::Malformed("an effect of an unknown kind")),
    })
}

fn decode_rename<'a>(expires: bool, input: &mut Input<'a>) -> Result<Effect<'a>, DecodeError> {
    let map = MapId(input.u32()?);
    let expires_at = if expires { Some(Timestamp(input.u64()?)) } else { None };
    let (from_len, to_len) = (input.u32()? as usize, input.u32()? as usize);
    let (from, to) = (input.take(from_len)?, input.take(to_len)?);
    let value = input.take_rest();
    check_record(from, value)?;
    check_record(to, value)?;
    if from == to {
        return Err(DecodeError::Malformed("a rename to the same key"));
    }
    Ok(Effect::Rename { map, from, to, value, expires_at })
}

#[inline]
fn check_record(key: &[u8], value: &[u8]) -> Result<(), DecodeError> {
    if key.len() > KEY_BYTES_HARD_MAX || value.len() > VALUE_BYTES_HARD_MAX {
        return Err(DecodeError::Malformed("a key or a value that no record can hold"));
    }
    Ok(())
}

fn decode_ended<'a>(input: &mut Input<'a>) -> Result<EndedSessions<'a>, DecodeError> {
    let watermark = SessionId(input.u64()?);
    let ended = EndedSessions { watermark, above: input.take_rest() };
    check_ended(&ended)?;
    Ok(ended)
}

/// Readers refuse what breaks these rules, so a primary must not write it.
fn check_ended(ended: &EndedSessions<'_>) -> Result<(), DecodeError> {
    if !ended.above.len().is_multiple_of(8) {
        return Err(DecodeError::Malformed("an ended session that is not eight bytes"));
    }
    if ended.iter().any(|session| session < ended.watermark) {
        return Err(DecodeError::Malformed("an ended session below the watermark"));
    }
    if !ended.iter().is_sorted_by(|left, right| left < right) {
        return Err(DecodeError::Malformed("ended sessions out of order"));
    }
    Ok(())
}

/// The position in an encoding that is known to be valid.
#[inline]
pub(crate) fn position_at(bytes: &[u8]) -> LogPosition {
    LogPosition { epoch: Epoch(number_at(bytes, AT_EPOCH)), seq: number_at(bytes, AT_SEQ) }
}

/// The clock in an encoding that is known to be valid.
#[inline]
pub(crate) fn hlc_at(bytes: &[u8]) -> Hlc {
    Hlc(number_at(bytes, AT_HLC))
}

#[inline]
fn number_at(bytes: &[u8], at: usize) -> u64 {
    let number = bytes[at..].first_chunk().expect("an entry has its fixed part");
    u64::from_le_bytes(*number)
}
