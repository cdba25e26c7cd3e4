//! Values as JSON, and as bodies. A map knows only bytes; what they are is guessed from how they begin, or said by who asks.

use axum::http::StatusCode;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use isogrid_core::{Error, ErrorCode};
use isogrid_value::from_message_pack;
use serde::Serialize;
use serde_json::Value;
use serde_json::value::RawValue;

use super::answer::Failure;
use super::ask::Ask;

/// How a value is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Codec {
    Json,
    MessagePack,
    /// Text that is no JSON.
    Text,
    Bytes,
}

/// The names, as parameters and answers have them.
const NAMES: [(&str, Codec); 4] = [
    ("json", Codec::Json),
    ("msgpack", Codec::MessagePack),
    ("text", Codec::Text),
    ("base64", Codec::Bytes),
];

impl Codec {
    fn name(self) -> &'static str {
        NAMES.iter().find(|(_, codec)| *codec == self).map_or("", |(name, _)| name)
    }

    /// The codec of this name.
    pub(super) fn named(name: &str) -> Result<Codec, Failure> {
        let found = NAMES.iter().find(|(known, _)| *known == name).map(|(_, codec)| *codec);
        found.ok_or_else(|| {
            let known = NAMES.map(|(name, _)| name).join(", ");
            Failure::malformed(format!("{name:?} is none of {known}"))
        })
    }

    /// What the parameter `codec` says.
    pub(super) fn asked(ask: &Ask) -> Result<Option<Codec>, Failure> {
        ask.text("codec")?.map(Codec::named).transpose()
    }

    /// What a value probably is. Numbers alone are ambiguous: `5` is one byte of JSON, and another number in MessagePack.
    pub(super) fn guess(value: &[u8]) -> Codec {
        let text = std::str::from_utf8(value).ok();
        if text.is_some_and(|text| serde_json::from_str::<&RawValue>(text).is_ok()) {
            return Codec::Json;
        }
        let is_readable = |text: &str| !text.chars().any(|c| c.is_control() && !c.is_whitespace());
        if text.is_some_and(is_readable) {
            return Codec::Text;
        }
        match from_message_pack(value) {
            Some(_) => Codec::MessagePack,
            None => Codec::Bytes,
        }
    }

    /// What bodies of it are called.
    pub(super) fn media_type(self) -> &'static str {
        match self {
            Codec::Json => "application/json",
            Codec::MessagePack => "application/msgpack",
            Codec::Text => "text/plain; charset=utf-8",
            Codec::Bytes => "application/octet-stream",
        }
    }

    /// What a body of this type is; what nobody knows is bytes.
    pub(super) fn of_media_type(name: &str) -> Codec {
        match name {
            "application/json" => Codec::Json,
            "application/msgpack" | "application/x-msgpack" | "application/vnd.msgpack" => {
                Codec::MessagePack
            }
            "text/plain" => Codec::Text,
            _ => Codec::Bytes,
        }
    }
}

/// A value in an answer, with how it is to be understood.
#[derive(Debug, Serialize)]
pub(super) struct Told {
    encoding: &'static str,
    value: Shown,
}

#[derive(Debug, Serialize)]
#[serde(untagged)]
enum Shown {
    /// To the last digit.
    Raw(Box<RawValue>),
    Json(Value),
    Text(String),
}

/// A value for an answer. What is not what it is said to be is told as bytes.
pub(super) fn told(value: &[u8], codec: Option<Codec>) -> Told {
    let codec = codec.unwrap_or_else(|| Codec::guess(value));
    let shown = match codec {
        Codec::Json => json(value),
        Codec::MessagePack => from_message_pack(value).map(Shown::Json),
        Codec::Text => std::str::from_utf8(value).ok().map(|text| Shown::Text(text.to_owned())),
        Codec::Bytes => None,
    };
    match shown {
        Some(value) => Told { encoding: codec.name(), value },
        None => Told { encoding: "base64", value: Shown::Text(STANDARD.encode(value)) },
    }
}

/// JSON as it stands there; in one line.
fn json(value: &[u8]) -> Option<Shown> {
    if value.iter().any(|byte| matches!(byte, b'\n' | b'\r')) {
        return serde_json::from_slice(value).ok().map(Shown::Json);
    }
    serde_json::from_slice(value).ok().map(Shown::Raw)
}

/// The bytes of a value that stands in a request: what is written is what was told.
pub(super) fn bytes_of(value: &RawValue, codec: Codec) -> Result<Bytes, Failure> {
    let text = || -> Result<String, Failure> {
        let wrong = |_| Failure::malformed(format!("a value of {}: it is text", codec.name()));
        serde_json::from_str(value.get()).map_err(wrong)
    };
    Ok(match codec {
        Codec::Json => Bytes::copy_from_slice(value.get().as_bytes()),
        Codec::MessagePack => to_message_pack(value.get().as_bytes())?,
        Codec::Text => text()?.into(),
        Codec::Bytes => {
            let wrong = |error| Failure::malformed(format!("a value of base64: {error}"));
            STANDARD.decode(text()?).map_err(wrong)?.into()
        }
    })
}

/// A body as the map's values are written: `said` is what it is, `wanted` what is to be stored.
pub(super) fn stored(body: Bytes, said: Codec, wanted: Option<Codec>) -> Result<Bytes, Failure> {
    let cannot = |error: String| Failure::from(Error::new(ErrorCode::EncodeFailed, error));
    match said {
        Codec::Json => {
            let read: Result<&RawValue, _> = serde_json::from_slice(&body);
            read.map_err(|error| Failure::malformed(format!("the body is no JSON: {error}")))?;
            match wanted {
                Some(Codec::MessagePack) => to_message_pack(&body),
                _ => Ok(body),
            }
        }
        Codec::MessagePack => {
            let read = from_message_pack(&body);
            let json = read.ok_or_else(|| Failure::malformed("the body is no MessagePack"))?;
            match wanted {
                Some(Codec::Json) => {
                    let text = serde_json::to_vec(&json).map_err(|e| cannot(e.to_string()))?;
                    Ok(text.into())
                }
                _ => Ok(body),
            }
        }
        Codec::Text | Codec::Bytes => Ok(body),
    }
}

fn to_message_pack(json: &[u8]) -> Result<Bytes, Failure> {
    let cannot = |error: String| Failure::from(Error::new(ErrorCode::EncodeFailed, error));
    let json: Value = serde_json::from_slice(json).map_err(|e| cannot(e.to_string()))?;
    let packed = rmp_serde::to_vec_named(&json).map_err(|e| cannot(e.to_string()))?;
    Ok(packed.into())
}

/// A value as a body, in the first of the types that are accepted and that it can be.
pub(super) fn as_body(
    value: Bytes,
    codec: Option<Codec>,
    accepted: Option<&str>,
) -> Result<(Bytes, &'static str), Failure> {
    let is = codec.unwrap_or_else(|| Codec::guess(&value));
    let wanted = accepted.unwrap_or("*/*").split(',');
    let wanted = wanted.map(|one| one.split(';').next().unwrap_or_default().trim());
    for wanted in wanted {
        match (wanted, Codec::of_media_type(wanted)) {
            ("*/*" | "application/*", _) => return Ok((value, is.media_type())),
            ("text/*" | "text/plain", _) if matches!(is, Codec::Text | Codec::Json) => {
                return Ok((value, Codec::Text.media_type()));
            }
            ("application/octet-stream", _) => return Ok((value, Codec::Bytes.media_type())),
            ("application/json", _) if is == Codec::MessagePack => {
                if let Some(json) = from_message_pack(&value) {
                    return Ok((json.to_string().into(), Codec::Json.media_type()));
                }
            }
            (_, Codec::MessagePack) if is == Codec::Json => {
                return Ok((to_message_pack(&value)?, Codec::MessagePack.media_type()));
            }
            (_, wanted) if wanted == is && wanted != Codec::Bytes => {
                return Ok((value, is.media_type()));
            }
            _ => {}
        }
    }
    let why = format!("Accept: the value is {}, which is not accepted", is.media_type());
    Err(Failure::malformed(why).with_status(StatusCode::NOT_ACCEPTABLE))
}

/// A key in an answer: text, or bytes in base64.
#[derive(Debug, Serialize)]
pub(super) struct ToldKey {
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    key_base64: Option<String>,
}

pub(super) fn told_key(key: &[u8]) -> ToldKey {
    match std::str::from_utf8(key) {
        Ok(text) => ToldKey { key: Some(text.to_owned()), key_base64: None },
        Err(_) => ToldKey { key: None, key_base64: Some(STANDARD.encode(key)) },
    }
}

/// A key in a request.
pub(super) fn key_of(key: Option<&str>, base64: Option<&str>) -> Result<Bytes, Failure> {
    match (key, base64) {
        (Some(text), None) => Ok(Bytes::copy_from_slice(text.as_bytes())),
        (None, Some(base64)) => {
            let wrong = |error| Failure::malformed(format!("key_base64: {error}"));
            Ok(STANDARD.decode(base64).map_err(wrong)?.into())
        }
        _ => Err(Failure::malformed("an operation has key or key_base64, and one of them")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_told_as_what_they_probably_are() {
        let cases: [(&[u8], &str); 8] = [
            (br#"{"a": 1.50}"#, r#"{"encoding":"json","value":{"a": 1.50}}"#),
            (b"\x81\xa1a\x01", r#"{"encoding":"msgpack","value":{"a":1}}"#),
            (b"plain text", r#"{"encoding":"text","value":"plain text"}"#),
            (b"\xff\x00\xfe", r#"{"encoding":"base64","value":"/wD+"}"#),
            (b"\xa3abc", r#"{"encoding":"msgpack","value":"abc"}"#),
            (b"{\n}", r#"{"encoding":"json","value":{}}"#),
            (b"12345678901234567890123", r#"{"encoding":"json","value":12345678901234567890123}"#),
            (b"", r#"{"encoding":"text","value":""}"#),
        ];
        for (value, expected) in cases {
            assert_eq!(serde_json::to_string(&told(value, None)).expect("JSON"), expected);
        }
        let wrong = serde_json::to_string(&told(b"no", Some(Codec::Json))).expect("JSON");
        assert_eq!(wrong, r#"{"encoding":"base64","value":"bm8="}"#);
    }

    #[test]
    fn what_was_told_can_be_written_again() {
        for value in [&br#"{"a":[1, 2]}"#[..], b"\x81\xa1a\x01", b"text", b"\xff\x00", b""] {
            let told = serde_json::to_value(told(value, None)).expect("JSON");
            let codec = Codec::named(told["encoding"].as_str().expect("a name")).expect("known");
            let raw: Box<RawValue> =
                serde_json::from_str(&told["value"].to_string()).expect("JSON");
            let back = bytes_of(&raw, codec).expect("it can be written");
            match codec {
                // The spaces may differ.
                Codec::Json => assert_eq!(&back[..], br#"{"a":[1,2]}"#),
                _ => assert_eq!(back, value),
            }
        }
    }

    #[test]
    fn bodies_are_what_is_accepted() {
        let packed = Bytes::from_static(b"\x81\xa1a\x01");
        let body = |accepted| as_body(packed.clone(), None, accepted).map(|(body, _)| body);
        assert_eq!(body(None).expect("as it is"), packed);
        assert_eq!(body(Some("text/html, application/json;q=0.9")).expect("JSON"), "{\"a\":1}");
        assert_eq!(body(Some("application/msgpack")).expect("as it is"), packed);
        assert!(body(Some("text/plain")).is_err());
        let json = Bytes::from_static(b"{\"a\":1}");
        let (body, name) =
            as_body(json.clone(), None, Some("application/msgpack")).expect("packed");
        assert_eq!((body, name), (packed, "application/msgpack"));
        assert!(as_body(json, Some(Codec::Bytes), Some("application/json")).is_err());
    }

    #[test]
    fn bodies_that_are_not_what_they_say_are_refused() {
        let store = |body: &'static [u8], said, wanted| stored(body.into(), said, wanted);
        assert!(store(b"{", Codec::Json, None).is_err());
        assert!(store(b"\x81", Codec::MessagePack, None).is_err());
        assert_eq!(&store(b"{", Codec::Bytes, None).expect("any bytes")[..], b"{");
        let packed = store(b"{\"a\":1}", Codec::Json, Some(Codec::MessagePack)).expect("packed");
        assert_eq!(&packed[..], b"\x81\xa1a\x01");
    }
}
