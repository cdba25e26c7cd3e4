//! Typed operations and replies to and from the vocabulary of the core: one conversion per message.

use bytes::Bytes;
use isogrid_core::{
    Condition, Durability, Entry, Error, ErrorCode, Expiry, LogPosition, NumberFormat, Op, Page,
    Receipt, Reply, Result, SessionId, Timestamp, Version,
};

use crate::frame::{AtLeast, OpOptions, ReadMode, WriteTag};
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
        Wire::Rename(r) => {
            (&r.map, Op::Rename { from: &r.from, to: &r.to, if_absent: r.if_absent })
        }
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
        Reply::Sought(found) => Wire::Count(found.entries.len() as u64),
        Reply::Failed(error) => Wire::Error(error_to_pb(error)),
    };
    pb::OperationReply { reply: Some(reply), receipt: None }
}

fn durability_to_pb(durability: Durability) -> pb::Durability {
    match durability {
        Durability::Memory => pb::Durability::Memory,
        Durability::Os => pb::Durability::Os,
        Durability::Fsync => pb::Durability::Fsync,
    }
}

/// A receipt as a message.
pub fn receipt_to_pb(receipt: &Receipt) -> pb::Receipt {
    pb::Receipt {
        partition: u32::from(receipt.partition.0),
        epoch: receipt.position.epoch.0,
        seq: receipt.position.seq,
        loss_generation: receipt.loss_generation,
        replicas: u32::from(receipt.replicas),
        durability: durability_to_pb(receipt.durability).into(),
        lag_ops: receipt.lag_ops,
    }
}

/// What comes with a typed operation: the session of its request number, and its options.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TypedOptions {
    /// The session that the tag belongs to.
    pub session: Option<SessionId>,
    /// The tag, the read mode and how new the answer must be.
    pub options: OpOptions,
}

/// What is asked beside a typed operation.
pub fn options_from_pb(operation: &pb::Operation) -> Result<TypedOptions> {
    use pb::operation::Operation as Wire;
    let (request, read) = match &operation.operation {
        None => (None, None),
        Some(Wire::Get(r)) => (None, r.read.as_ref()),
        Some(Wire::Exists(r)) => (None, r.read.as_ref()),
        Some(Wire::Touch(r)) => (None, r.read.as_ref()),
        Some(Wire::Put(r)) => (r.request_id.as_ref(), None),
        Some(Wire::Delete(r)) => (r.request_id.as_ref(), None),
        Some(Wire::CompareAndSet(r)) => (r.request_id.as_ref(), None),
        Some(Wire::Expire(r)) => (r.request_id.as_ref(), None),
        Some(Wire::Increment(r)) => (r.request_id.as_ref(), None),
        Some(Wire::IncrementFloat(r)) => (r.request_id.as_ref(), None),
        Some(Wire::Append(r)) => (r.request_id.as_ref(), None),
        Some(Wire::Rename(r)) => (r.request_id.as_ref(), None),
    };
    let mut typed = TypedOptions { session: None, options: read_options_from_pb(read) };
    if let Some(request) = request {
        let (session, tag) = request_from_pb(request)?;
        (typed.session, typed.options.tag) = (Some(session), Some(tag));
    }
    Ok(typed)
}

/// The session and the tag of a typed write.
pub fn request_from_pb(request: &pb::RequestId) -> Result<(SessionId, WriteTag)> {
    let bad = |why: &str| Err(Error::new(ErrorCode::RequestIncomplete, why));
    if request.session == 0 || request.number == 0 {
        return bad("a request id needs a session and a number from one");
    }
    let first = request.first_incomplete.max(1);
    match request.number.checked_sub(first).map(u16::try_from) {
        Some(Ok(ahead)) => {
            Ok((SessionId(request.session), WriteTag { number: request.number, ahead }))
        }
        Some(Err(_)) => bad("a request id with too many unanswered ones before it"),
        None => bad("a request id below its own first_incomplete"),
    }
}

/// How certain and how new a typed read must be.
pub fn read_options_from_pb(read: Option<&pb::ReadOptions>) -> OpOptions {
    let Some(read) = read else { return OpOptions::NONE };
    let mode = match read.mode() {
        pb::ReadMode::Default => None,
        pb::ReadMode::Lease => Some(ReadMode::Lease),
        pb::ReadMode::Confirmed => Some(ReadMode::Confirmed),
        pb::ReadMode::Backup => Some(ReadMode::Backup { staleness_ms: read.staleness_ms }),
        pb::ReadMode::Any => Some(ReadMode::Any),
    };
    let at_least = read.at_least.as_ref().map(|receipt| AtLeast {
        position: LogPosition::new(receipt.epoch, receipt.seq),
        loss_generation: receipt.loss_generation,
    });
    OpOptions { tag: None, mode, at_least }
}

/// A scan's page as a message.
pub fn page_to_pb(page: &Page<'_>) -> pb::Page {
    let entries = page.entries.iter().map(|e| pb::PageEntry {
        key: Bytes::copy_from_slice(e.key),
        entry: Some(entry_to_pb(&e.entry)),
    });
    pb::Page { entries: entries.collect() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(session: u64, number: u64, first_incomplete: u64) -> pb::RequestId {
        pb::RequestId { session, number, first_incomplete }
    }

    #[test]
    fn a_request_id_says_which_requests_are_still_open() {
        let (session, tag) = request_from_pb(&request(7, 9, 4)).expect("a good id");
        assert_eq!((session, tag.number, tag.first_incomplete()), (SessionId(7), 9, 4));
        let (_, alone) = request_from_pb(&request(7, 1, 0)).expect("none said");
        assert_eq!(alone, WriteTag { number: 1, ahead: 0 });
        for bad in [request(0, 1, 1), request(7, 0, 0), request(7, 3, 4), request(7, 1 << 20, 1)] {
            let code = request_from_pb(&bad).map_err(|error| error.code());
            assert_eq!(code, Err(ErrorCode::RequestIncomplete), "{bad:?}");
        }
    }

    #[test]
    fn a_receipt_can_be_handed_back_as_it_came() {
        let receipt = Receipt {
            partition: isogrid_core::PartitionId(3),
            position: LogPosition::new(2, 40),
            loss_generation: 1,
            replicas: 3,
            durability: Durability::Fsync,
            lag_ops: 5,
        };
        let read = pb::ReadOptions {
            mode: pb::ReadMode::Backup.into(),
            staleness_ms: 250,
            at_least: Some(receipt_to_pb(&receipt)),
        };
        let get = pb::GetRequest { read: Some(read), ..pb::GetRequest::default() };
        let operation = pb::operation::Operation::Get(get);
        let typed = options_from_pb(&pb::Operation { operation: Some(operation) });
        let expected = OpOptions {
            tag: None,
            mode: Some(ReadMode::Backup { staleness_ms: 250 }),
            at_least: Some(AtLeast::from(&receipt)),
        };
        assert_eq!(typed, Ok(TypedOptions { session: None, options: expected }));
    }
}
