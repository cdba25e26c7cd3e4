//! Typed operations, compiled to the same batches that frames become.

use isogrid_core::{Error, ErrorCode, Reply, Result};
use isogrid_proto::operation::{op_from_pb, reply_to_pb};
use isogrid_proto::pb;
use isogrid_proto::status::error_to_pb;

use crate::engine::{Batch, Deadline, Engine};

/// Executes typed operations and gives back their replies in the same order.
pub(super) fn execute(
    engine: &Engine,
    core: usize,
    operations: &[pb::Operation],
    deadline: Deadline,
) -> Result<Vec<pb::OperationReply>> {
    let limits = engine.limits();
    if operations.len() > limits.batch_ops_max {
        let detail = format!("{} operations, at most {}", operations.len(), limits.batch_ops_max);
        return Err(Error::new(ErrorCode::BatchTooLarge, detail));
    }
    let mut replies = vec![pb::OperationReply::default(); operations.len()];
    // An operation that cannot be read is answered here; the others go on, each remembering its place.
    let mut places = Vec::with_capacity(operations.len());
    let mut readable = Vec::with_capacity(operations.len());
    for (place, operation) in operations.iter().enumerate() {
        match op_from_pb(operation).and_then(|(map, op)| {
            isogrid_core::limits::check_map_name(map)?;
            Ok((map, op))
        }) {
            Ok(parts) => {
                places.push(place);
                readable.push(parts);
            }
            Err(error) => replies[place] = failed(&error),
        }
    }
    let names = readable.iter().map(|(map, _)| *map);
    let mut batch = Batch::new(engine, names, readable.len());
    for (index, (_, op)) in readable.iter().enumerate() {
        batch.push(index, *op);
    }
    let mut bytes = 0;
    engine.execute(core, batch, deadline, |index, reply| {
        replies[places[index]] = reply_to_pb(reply);
        bytes += reply_bytes(reply);
        bytes
    });
    Ok(replies)
}

/// The reply of an operation that failed.
fn failed(error: &Error) -> pb::OperationReply {
    let reply = Some(pb::operation_reply::Reply::Error(error_to_pb(error)));
    pb::OperationReply { reply, receipt: None }
}

/// About how many bytes a reply takes.
fn reply_bytes(reply: &Reply<'_>) -> usize {
    match reply {
        Reply::Found(entry)
        | Reply::Conflict { current: Some(entry) }
        | Reply::Written { old: Some(entry), .. }
        | Reply::Deleted { old: Some(entry), .. } => entry.value.len(),
        Reply::Page(page) => page.entries.iter().map(|e| e.key.len() + e.entry.value.len()).sum(),
        _ => 0,
    }
}
