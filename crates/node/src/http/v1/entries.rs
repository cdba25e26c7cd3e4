//! One entry: read, written and removed, with the version as the tag that HTTP knows.

use axum::extract::{Request, State};
use axum::http::header::{CONTENT_TYPE, ETAG};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use isogrid_core::{
    Condition, Error, ErrorCode, Expiry, Op, Receipt, Reply, Timestamp, TraceParent, Version,
};
use serde_json::json;

use super::Api;
use super::answer::{Answer, Failure, etag, ok};
use super::ask::{Ask, media_type};
use super::value::{Codec, as_body, stored};
use crate::clients::Did;
use crate::engine::Deadline;
use crate::grpc::batch::{self, Destination, Typed};

/// When a record expires, in milliseconds since 1970.
const EXPIRES_AT: &str = "isogrid-expires-at-ms";

/// For how long a record is to live; the parameter is called the same without the first word.
const TTL_HEADER: &str = "isogrid-ttl-ms";

/// The core whose share operations over HTTP count to: the door is there.
pub(super) const CORE: usize = 0;

/// What an owner says of one operation.
#[derive(Debug)]
enum Said {
    Missing,
    Found { value: Bytes, version: Version, expires_at: Option<Timestamp> },
    Done(Version),
    Conflict(Option<Version>),
}

/// Brings one operation to its owner.
async fn one(
    api: &Api,
    map: &str,
    op: Op<'_>,
    (deadline, parent): (Deadline, TraceParent),
) -> Result<Said, Failure> {
    let relay = &api.shared.relay;
    let to = Destination::new(relay, CORE, deadline).within(&parent);
    let mut said = batch::run(to, &[Typed::plain(map, op)], said).await?;
    Ok(said.pop().unwrap_or(Ok(Said::Missing))?)
}

fn said(reply: &Reply<'_>, _: Option<&Receipt>) -> Result<Said, Error> {
    Ok(match reply {
        Reply::Missing => Said::Missing,
        Reply::Found(entry) => Said::Found {
            value: Bytes::copy_from_slice(entry.value),
            version: entry.version,
            expires_at: entry.expires_at,
        },
        Reply::Written { version, .. } | Reply::Deleted { version, .. } => Said::Done(*version),
        Reply::Conflict { current } => Said::Conflict(current.map(|entry| entry.version)),
        Reply::Failed(error) => return Err(error.clone()),
        other => return Err(Error::new(ErrorCode::Internal, format!("an answer {other:?}"))),
    })
}

/// `GET /v1/maps/{map}/entries/{key}`
pub(super) async fn get(State(api): State<Api>, request: Request) -> Answer {
    let ask = Ask::new(request, Did::Get, &["codec"])?;
    let (map, codec) = (ask.map()?, Codec::asked(&ask)?);
    let _call = ask.call();
    let said = one(&api, &map, Op::Get { key: ask.key() }, (ask.deadline()?, ask.parent())).await?;
    let Said::Found { value, version, expires_at } = said else {
        return Err(no_key(&ask, &map));
    };
    let mut response = if is_known(&ask, version)? {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        let (body, name) = as_body(value, codec, ask.header("accept")?)?;
        ([(CONTENT_TYPE, HeaderValue::from_static(name))], body).into_response()
    };
    let headers = response.headers_mut();
    headers.insert(ETAG, etag(version));
    if let Some(at) = expires_at {
        headers.insert(EXPIRES_AT, at.0.into());
    }
    Ok(response)
}

/// `PUT /v1/maps/{map}/entries/{key}`
pub(super) async fn put(State(api): State<Api>, request: Request) -> Answer {
    let mut ask = Ask::new(request, Did::Put, &["codec", "ttl_ms"])?;
    let (map, codec) = (ask.map()?, Codec::asked(&ask)?);
    let (condition, expiry, deadline) = (condition(&ask)?, expiry(&ask)?, ask.deadline()?);
    let said = media_type(&ask.parts.headers)?;
    let said = Codec::of_media_type(said.as_deref().unwrap_or_default());
    let limits = api.shared.engine.limits();
    limits.check_key(ask.key())?;
    let body = ask.body(limits.value_bytes_max).await?;
    let value = stored(body, said, codec)?;
    let _call = ask.call();
    let key = ask.key();
    let op = Op::Put { key, value: &value, condition, expiry, return_old: false };
    written(one(&api, &map, op, (deadline, ask.parent())).await?, "stored")
}

/// `DELETE /v1/maps/{map}/entries/{key}`
pub(super) async fn delete(State(api): State<Api>, request: Request) -> Answer {
    let ask = Ask::new(request, Did::Delete, &[])?;
    let (map, condition) = (ask.map()?, condition(&ask)?);
    if condition == Condition::IfAbsent {
        return Err(Failure::malformed("If-None-Match: *: what is not there cannot be removed"));
    }
    let _call = ask.call();
    let op = Op::Delete { key: ask.key(), condition, return_old: false };
    match (one(&api, &map, op, (ask.deadline()?, ask.parent())).await?, condition) {
        (Said::Missing, Condition::Always) => Err(no_key(&ask, &map)),
        (said, _) => written(said, "removed"),
    }
}

/// The answer to a write.
fn written(said: Said, word: &str) -> Answer {
    match said {
        Said::Done(version) => {
            let mut response: Response = ok(&json!({ word: true, "version": version.0 }));
            response.headers_mut().insert(ETAG, etag(version));
            Ok(response)
        }
        Said::Missing => Err(Failure::conflict(None)),
        Said::Conflict(current) => Err(Failure::conflict(current)),
        Said::Found { .. } => Err(Error::new(ErrorCode::Internal, "a value for a write").into()),
    }
}

fn no_key(ask: &Ask, map: &str) -> Failure {
    let key: String = String::from_utf8_lossy(ask.key()).chars().take(200).collect();
    Error::new(ErrorCode::NothingThere, format!("no key {key:?} in map {map}")).into()
}

/// Whether the caller has this version already.
fn is_known(ask: &Ask, version: Version) -> Result<bool, Failure> {
    let Some(tags) = ask.header("if-none-match")? else { return Ok(false) };
    let is_it = |tag: &str| {
        let tag = tag.trim();
        tag == "*" || tag.trim_start_matches("W/") == format!("\"{}\"", version.0)
    };
    Ok(tags.split(',').any(is_it))
}

/// What a write expects.
fn condition(ask: &Ask) -> Result<Condition, Failure> {
    match (ask.header("if-match")?, ask.header("if-none-match")?) {
        (None, None) => Ok(Condition::Always),
        (Some("*"), None) => Ok(Condition::IfPresent),
        (None, Some("*")) => Ok(Condition::IfAbsent),
        (Some(tag), None) => {
            let digits = tag.trim().strip_prefix('"').and_then(|tag| tag.strip_suffix('"'));
            let version = digits.and_then(|digits| digits.parse().ok()).map(Version);
            let wrong =
                || Failure::malformed(format!("If-Match: {tag}: it is * or one \"version\""));
            version.map(Condition::IfVersion).ok_or_else(wrong)
        }
        (None, Some(tag)) => {
            Err(Failure::malformed(format!("If-None-Match: {tag}: of a write it is *")))
        }
        (Some(_), Some(_)) => Err(Failure::malformed("If-Match and If-None-Match: one of them")),
    }
}

/// What becomes of the record's expiry.
fn expiry(ask: &Ask) -> Result<Expiry, Failure> {
    let said = match ask.text("ttl_ms")? {
        Some(said) => Some(said),
        None => ask.header(TTL_HEADER)?,
    };
    match said {
        None => Ok(Expiry::Never),
        Some("keep") => Ok(Expiry::Keep),
        Some(text) => match text.parse() {
            Ok(ms) if ms > 0 => Ok(Expiry::AfterMs(ms)),
            _ => {
                Err(Failure::malformed(format!("ttl_ms = {text:?}: milliseconds from 1, or keep")))
            }
        },
    }
}
