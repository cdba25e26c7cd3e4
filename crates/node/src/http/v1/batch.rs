//! Several operations on one map at once. One failing leaves the others alone: each has its own answer.

use axum::extract::{Request, State};
use bytes::Bytes;
use isogrid_core::{
    Condition, Error, ErrorCode, Expiry, NumberFormat, Op, Receipt, Reply, Version,
};
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

use super::Api;
use super::answer::{Answer, Failure, body, ok};
use super::ask::Ask;
use super::entries::CORE;
use super::value::{Codec, bytes_of, key_of, told};
use crate::clients::Did;
use crate::grpc::batch::{self as calls, Destination, Typed};

/// A batch.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Batch {
    operations: Vec<Operation>,
}

/// One operation.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Operation {
    op: String,
    key: Option<String>,
    key_base64: Option<String>,
    value: Option<Box<RawValue>>,
    encoding: Option<String>,
    ttl_ms: Option<u64>,
    #[serde(default)]
    keep_ttl: bool,
    #[serde(default)]
    if_absent: bool,
    #[serde(default)]
    if_present: bool,
    if_version: Option<u64>,
    delta: Option<i64>,
}

/// An operation with its bytes.
struct Read {
    what: What,
    key: Bytes,
    value: Bytes,
    condition: Condition,
    expiry: Expiry,
    delta: i64,
    format: NumberFormat,
}

#[derive(Clone, Copy)]
enum What {
    Get,
    Exists,
    Put,
    Delete,
    Expire,
    Increment,
}

/// `POST /v1/maps/{map}/batch`
pub(super) async fn batch(State(api): State<Api>, request: Request) -> Answer {
    let mut ask = Ask::new(request, Did::Batch, &["codec"])?;
    let (map, codec, deadline) = (ask.map()?, Codec::asked(&ask)?, ask.deadline()?);
    let relay = &api.shared.relay;
    let limits = relay.engine.limits();
    let batch: Batch = ask.json(limits.frame_bytes_max).await?;
    let count = batch.operations.len();
    if count > limits.batch_ops_max {
        let detail = format!("{count} operations, at most {}", limits.batch_ops_max);
        return Err(Error::new(ErrorCode::BatchTooLarge, detail).into());
    }
    // Nothing is done of a batch that is not understood.
    let place = |(index, operation): (usize, Operation)| {
        read(operation, codec).map_err(|why| why.of_operation(index))
    };
    let all = batch.operations.into_iter().enumerate().map(place);
    let all: Vec<Read> = all.collect::<Result<_, Failure>>()?;
    let _call = ask.call();
    let typed: Vec<Typed<'_>> = all.iter().map(|one| Typed::plain(&map, op(one))).collect();
    let parent = ask.parent();
    let to = Destination::new(relay, CORE, deadline).within(&parent);
    let convert = |reply: &Reply<'_>, _: Option<&Receipt>| Said::of(reply);
    let results: Vec<Value> =
        calls::run(to, &typed, convert).await?.into_iter().map(|said| said.told(codec)).collect();
    Ok(ok(&json!({ "results": results })))
}

fn read(operation: Operation, codec: Option<Codec>) -> Result<Read, Failure> {
    let what = match operation.op.as_str() {
        "get" => What::Get,
        "exists" => What::Exists,
        "put" => What::Put,
        "delete" => What::Delete,
        "expire" => What::Expire,
        "increment" => What::Increment,
        other => {
            let known = "get, exists, put, delete, expire and increment";
            return Err(Failure::malformed(format!("op {other:?}; there are {known}")));
        }
    };
    let is_write = matches!(what, What::Put | What::Delete);
    let is_timed = matches!(what, What::Put | What::Expire | What::Increment);
    let said = operation.encoding.as_deref().map(Codec::named).transpose()?;
    let encoding = said.or(codec).unwrap_or(Codec::Json);
    let value = match (what, &operation.value) {
        (What::Put, Some(value)) => bytes_of(value, encoding)?,
        (What::Put, None) => return Err(Failure::malformed("put without a value")),
        (_, Some(_)) => return Err(Failure::malformed("a value is for put")),
        (_, None) => Bytes::new(),
    };
    let conditions = (operation.if_absent, operation.if_present, operation.if_version);
    let condition = match conditions {
        (false, false, None) => Condition::Always,
        _ if !is_write => return Err(Failure::malformed("a condition is for put and delete")),
        (true, false, None) if matches!(what, What::Put) => Condition::IfAbsent,
        (false, true, None) => Condition::IfPresent,
        (false, false, Some(version)) => Condition::IfVersion(Version(version)),
        _ => return Err(Failure::malformed("if_absent, if_present, if_version: one of them")),
    };
    let expiry = match (operation.ttl_ms, operation.keep_ttl) {
        (None, false) => Expiry::Never,
        _ if !is_timed => {
            return Err(Failure::malformed("ttl_ms is for put, expire and increment"));
        }
        (Some(ms), false) if ms > 0 => Expiry::AfterMs(ms),
        (None, true) => Expiry::Keep,
        _ => return Err(Failure::malformed("ttl_ms from 1, or keep_ttl")),
    };
    let delta = match (what, operation.delta) {
        (What::Increment, delta) => delta.unwrap_or(1),
        (_, None) => 0,
        (_, Some(_)) => return Err(Failure::malformed("delta is for increment")),
    };
    let format = match encoding {
        Codec::MessagePack => NumberFormat::MessagePack,
        _ => NumberFormat::Text,
    };
    let key = key_of(operation.key.as_deref(), operation.key_base64.as_deref())?;
    Ok(Read { what, key, value, condition, expiry, delta, format })
}

fn op(read: &Read) -> Op<'_> {
    let Read { key, value, condition, expiry, delta, format, .. } = read;
    let (condition, expiry, delta, format) = (*condition, *expiry, *delta, *format);
    match read.what {
        What::Get => Op::Get { key },
        What::Exists => Op::Exists { key },
        What::Put => Op::Put { key, value, condition, expiry, return_old: false },
        What::Delete => Op::Delete { key, condition, return_old: false },
        What::Expire => Op::Expire { key, expiry },
        What::Increment => Op::Increment { key, delta, format, expiry },
    }
}

/// What an owner says of one operation.
enum Said {
    /// As it is told.
    Plain(Value),
    Found {
        value: Vec<u8>,
        version: u64,
        expires_at_ms: Option<u64>,
    },
}

impl Said {
    fn of(reply: &Reply<'_>) -> Said {
        Said::Plain(match reply {
            Reply::Missing => json!({ "result": "missing" }),
            Reply::Found(entry) => {
                return Said::Found {
                    value: entry.value.to_vec(),
                    version: entry.version.0,
                    expires_at_ms: entry.expires_at.map(|at| at.0),
                };
            }
            Reply::Flag(is_there) => json!({ "result": "flag", "flag": is_there }),
            Reply::Written { version, .. } => json!({ "result": "written", "version": version.0 }),
            Reply::Deleted { version, .. } => json!({ "result": "deleted", "version": version.0 }),
            Reply::Conflict { current } => {
                let version = current.map(|entry| entry.version.0);
                json!({ "result": "conflict", "version": version })
            }
            Reply::Integer { value, version } => {
                json!({ "result": "integer", "integer": value, "version": version.0 })
            }
            Reply::Failed(error) => json!({ "result": "failed", "error": body(error) }),
            other => {
                let defect = Error::new(ErrorCode::Internal, format!("an answer {other:?}"));
                json!({ "result": "failed", "error": body(&defect) })
            }
        })
    }

    fn told(self, codec: Option<Codec>) -> Value {
        let (value, version, expires_at_ms) = match self {
            Said::Plain(said) => return said,
            Said::Found { value, version, expires_at_ms } => (value, version, expires_at_ms),
        };
        let mut found = Map::new();
        found.insert("result".into(), "found".into());
        found.insert("version".into(), version.into());
        if let Some(at) = expires_at_ms {
            found.insert("expires_at_ms".into(), at.into());
        }
        if let Ok(Value::Object(told)) = serde_json::to_value(told(&value, codec)) {
            found.extend(told);
        }
        Value::Object(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn understood(text: &str) -> bool {
        let operation: Result<Operation, _> = serde_json::from_str(text);
        operation.is_ok_and(|operation| read(operation, None).is_ok())
    }

    #[test]
    fn operations_that_mean_something_are_understood_and_no_others() {
        for good in [
            r#"{"op": "get", "key": "a"}"#,
            r#"{"op": "put", "key": "a", "value": {"x": 1}, "ttl_ms": 5, "if_absent": true}"#,
            r#"{"op": "put", "key_base64": "/w==", "value": "AA==", "encoding": "base64"}"#,
            r#"{"op": "delete", "key": "a", "if_version": 3}"#,
            r#"{"op": "increment", "key": "a", "delta": -2}"#,
            r#"{"op": "expire", "key": "a", "ttl_ms": 1}"#,
        ] {
            assert!(understood(good), "{good}");
        }
        for wrong in [
            r#"{"op": "got", "key": "a"}"#,
            r#"{"op": "get"}"#,
            r#"{"op": "get", "key": "a", "key_base64": "YQ=="}"#,
            r#"{"op": "get", "key": "a", "if_version": 3}"#,
            r#"{"op": "get", "key": "a", "vlaue": 3}"#,
            r#"{"op": "put", "key": "a"}"#,
            r#"{"op": "put", "key": "a", "value": 1, "if_absent": true, "if_version": 1}"#,
            r#"{"op": "put", "key": "a", "value": 1, "encoding": "base64"}"#,
            r#"{"op": "put", "key": "a", "value": 1, "ttl_ms": 0}"#,
            r#"{"op": "delete", "key": "a", "ttl_ms": 1}"#,
            r#"{"op": "put", "key": "a", "value": 1, "delta": 1}"#,
        ] {
            assert!(!understood(wrong), "{wrong}");
        }
    }
}
