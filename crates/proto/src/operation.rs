//! Typed operations and replies to and from the vocabulary of the core: one conversion per message.

use bytes::Bytes;
use isogrid_core::{
    Condition, Entry, Error, ErrorCode, Expiry, NumberFormat, Op, Page, Reply, Result, Timestamp,
    Version,
};

use crate::pb;
use crate::status::error_to_pb;

fn condition(condition: Option<&pb::Condition>) -> Condition {
    use pb::condition::Condition as Wire;
    match condition.and_then(|c| c.condition.as_ref()) {
        Some(Wire::IfAbsent(true)) => Condition::IfAbsent,
        Some(Wire::IfPresent(true)) => Condition::IfPresent,
        Some(Wire::IfVersion(version)) => Condition::IfVersion(Version(*version)),
        _ => Condition::Always,
    }
}

fn expiry(expiry: Option<&pb::Expiry>) -> Expiry {
    use pb::expiry::Expiry as Wire;
    match expiry.and_then(|e| e.expiry.as_ref()) {
        Some(Wire::Keep(true)) => Expiry::Keep,
        Some(Wire::AfterMs(ms)) => Expiry::AfterMs(*ms),
        Some(Wire::AtMs(at)) => Expiry::At(Timestamp(*at)),
        _ => Expiry::Never,
    }
}

fn number_format(format: i32) -> NumberFormat {
    match pb::NumberFormat::try_from(format) {
        Ok(pb::NumberFormat::MessagePack) => NumberFormat::MessagePack,
        _ => NumberFormat::Text,
    }
}

/// The map and the operation of a typed request.
pub fn op_from_pb(operation: &pb::Operation) -> Result<(&str, Op<'_>)> {
    use pb::operation::Operation as Wire;
    let Some(operation) = &operation.operation else {
        return Err(Error::new(ErrorCode::RequestIncomplete, "an operation without content"));
    };
    Ok(match operation {
        Wire::Get(r) => (&r.map, Op::Get { key: &r.key }),
        Wire::Exists(r) => (&r.map, Op::Exists { key: &r.key }),
        Wire::Touch(r) => (&r.map, Op::Touch { key: &r.key }),
        Wire::Put(r) => (
            &r.map,
            Op::Put {
                key: &r.key,
                value: &r.value,
                condition: condition(r.condition.as_ref()),
                expiry: expiry(r.expiry.as_ref()),
                return_old: r.return_old,
            },
        ),
        Wire::Delete(r) => (
            &r.map,
            Op::Delete {
                key: &r.key,
                condition: condition(r.condition.as_ref()),
                return_old: r.return_old,
            },
        ),
        Wire::CompareAndSet(r) => (
            &r.map,
            Op::CompareAndSet {
                key: &r.key,
                expected: r.expected.as_deref(),
                value: &r.value,
                expiry: expiry(r.expiry.as_ref()),
            },
        ),
        Wire::Expire(r) => (&r.map, Op::Expire { key: &r.key, expiry: expiry(r.expiry.as_ref()) }),
        Wire::Increment(r) => (
            &r.map,
            Op::Increment {
                key: &r.key,
                delta: r.delta,
                format: number_format(r.format),
                expiry: expiry(r.expiry.as_ref()),
            },
        ),
        Wire::IncrementFloat(r) => (
            &r.map,
            Op::IncrementFloat {
                key: &r.key,
                delta: r.delta,
                format: number_format(r.format),
                expiry: expiry(r.expiry.as_ref()),
            },
        ),
        Wire::Append(r) => (&r.map, Op::Append { key: &r.key, value: &r.value }),
    })
}

fn entry_to_pb(entry: &Entry<'_>) -> pb::Entry {
    pb::Entry {
        value: Bytes::copy_from_slice(entry.value),
        version: entry.version.0,
        expires_at_ms: entry.expires_at.map(|at| at.0),
    }
}

/// A reply as a message. Pages have a message of their own: see [`page_to_pb`].
pub fn reply_to_pb(reply: &Reply<'_>) -> pb::OperationReply {
    use pb::operation_reply::Reply as Wire;
    let reply = match reply {
        Reply::Missing => Wire::Missing(pb::Missing {}),
        Reply::Found(entry) => Wire::Found(entry_to_pb(entry)),
        Reply::Flag(flag) => Wire::Flag(*flag),
        Reply::Written { version, old } => {
            Wire::Written(pb::Written { version: version.0, old: old.as_ref().map(entry_to_pb) })
        }
        Reply::Conflict { current } => {
            Wire::Conflict(pb::Conflict { current: current.as_ref().map(entry_to_pb) })
        }
        Reply::Deleted { version, old } => {
            Wire::Deleted(pb::Deleted { version: version.0, old: old.as_ref().map(entry_to_pb) })
        }
        Reply::Integer { value, version } => {
            Wire::Integer(pb::Integer { value: *value, version: version.0 })
        }
        Reply::Float { value, version } => {
            Wire::Float(pb::Float { value: *value, version: version.0 })
        }
        Reply::Count(count) => Wire::Count(*count),
        Reply::Page(page) => Wire::Count(page.entries.len() as u64),
        Reply::Failed(error) => Wire::Error(error_to_pb(error)),
    };
    pb::OperationReply { reply: Some(reply) }
}

/// A scan's page as a message.
pub fn page_to_pb(page: &Page<'_>) -> pb::Page {
    let entries = page.entries.iter().map(|e| pb::PageEntry {
        key: Bytes::copy_from_slice(e.key),
        entry: Some(entry_to_pb(&e.entry)),
    });
    pb::Page { entries: entries.collect() }
}
