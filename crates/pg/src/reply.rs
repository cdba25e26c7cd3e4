//! What clients are told: one function for each message.

use bytes::{BufMut, BytesMut};
use isogrid_query::arrow::datatypes::Schema;
use isogrid_query::pg::{Prepared, Refused, oids};

use crate::message::Formats;

/// The version that is spoken, as messages have it.
const PROTOCOL: u32 = 3 << 16;

/// Where a session stands: outside of a transaction, within one, or within one that failed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Standing {
    #[default]
    Idle,
    Within,
    Failed,
}

/// How bad an error is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Severity {
    Error,
    Fatal,
}

/// A message: its type, its length, and what `body` writes.
pub(crate) fn message(out: &mut BytesMut, letter: u8, body: impl FnOnce(&mut BytesMut)) {
    out.put_u8(letter);
    let begin = out.len();
    out.put_u32(0);
    body(out);
    let length = (out.len() - begin) as u32;
    out[begin..begin + 4].copy_from_slice(&length.to_be_bytes());
}

pub(crate) fn authenticated(out: &mut BytesMut) {
    message(out, b'R', |out| out.put_u32(0));
}

/// Which version of the protocol is spoken, and what of the client's wishes is not known.
pub(crate) fn negotiated(out: &mut BytesMut, unknown: &[&str]) {
    message(out, b'v', |out| {
        out.put_u32(PROTOCOL);
        out.put_u32(unknown.len() as u32);
        unknown.iter().for_each(|name| text(out, name));
    });
}

pub(crate) fn setting(out: &mut BytesMut, name: &str, value: &str) {
    message(out, b'S', |out| {
        text(out, name);
        text(out, value);
    });
}

pub(crate) fn key(out: &mut BytesMut, process: i32, secret: i32) {
    message(out, b'K', |out| {
        out.put_i32(process);
        out.put_i32(secret);
    });
}

pub(crate) fn ready(out: &mut BytesMut, standing: Standing) {
    let letter = match standing {
        Standing::Idle => b'I',
        Standing::Within => b'T',
        Standing::Failed => b'E',
    };
    message(out, b'Z', |out| out.put_u8(letter));
}

/// A message that says nothing but its type.
pub(crate) fn plain(out: &mut BytesMut, letter: u8) {
    message(out, letter, |_| {});
}

pub(crate) fn complete(out: &mut BytesMut, tag: &str) {
    message(out, b'C', |out| text(out, tag));
}

pub(crate) fn error(out: &mut BytesMut, severity: Severity, refused: &Refused) {
    let error = &refused.error;
    let explanation = error.code().explanation();
    let severity = match severity {
        Severity::Error => "ERROR",
        Severity::Fatal => "FATAL",
    };
    let what = format!("{} {}: {}", error.code(), explanation.what, error.detail());
    message(out, b'E', |out| {
        for (letter, said) in [
            (b'S', severity),
            (b'V', severity),
            (b'C', refused.state),
            (b'M', what.as_str()),
            (b'H', explanation.next),
        ] {
            out.put_u8(letter);
            text(out, said);
        }
        out.put_u8(0);
    });
}

pub(crate) fn parameters(out: &mut BytesMut, types: &[u32]) {
    message(out, b't', |out| {
        out.put_u16(types.len() as u16);
        types.iter().for_each(|oid| out.put_u32(*oid));
    });
}

pub(crate) fn columns(out: &mut BytesMut, schema: &Schema, formats: &Formats) {
    message(out, b'T', |out| {
        out.put_u16(schema.fields().len() as u16);
        for (place, field) in schema.fields().iter().enumerate() {
            let (pg_type, is_list) = oids::type_of(field.data_type());
            let (oid, length) =
                if is_list { (pg_type.array, -1) } else { (pg_type.oid, pg_type.length) };
            text(out, Prepared::shown(field.name()));
            // Of no table, and of no place in it.
            out.put_u32(0);
            out.put_u16(0);
            out.put_u32(oid);
            out.put_i16(length);
            out.put_i32(-1);
            out.put_u16(u16::from(formats.is_binary(place)));
        }
    });
}

/// Text ends with a zero, and so has none.
fn text(out: &mut BytesMut, text: &str) {
    out.extend(text.bytes().filter(|byte| *byte != 0));
    out.put_u8(0);
}
