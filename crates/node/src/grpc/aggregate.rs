//! Groups of records, folded where the records are: a reply for each partition, as the caller takes them.

use std::pin::Pin;
use std::sync::Arc;

use futures::Stream;
use isogrid_core::{Error, ErrorCode, Op, PartitionId, Receipt, Reply, Result, Scan, View};
use isogrid_proto::pb;
use isogrid_proto::scalar::{field_from_pb, group_to_pb};
use isogrid_proto::status::error_to_status;
use isogrid_value::{Field, Fold};
use tonic::Status;

use super::batch::{self, Destination, Typed};
use crate::engine::Deadline;
use crate::node::Shared;

/// The replies to one call.
pub(super) type Parts = Pin<Box<dyn Stream<Item = Result<pb::AggregateReply, Status>> + Send>>;

/// How many fields a call may name.
const FIELDS_MAX: usize = 64;

/// Folds the partitions that are asked for, one after the other.
pub(super) fn fold(
    shared: &Arc<Shared>,
    core: usize,
    request: pb::AggregateRequest,
    deadline: Deadline,
) -> Result<Parts> {
    isogrid_core::limits::check_map_name(&request.map)?;
    let fields = |paths: &[pb::FieldPath]| -> Vec<Field> {
        paths.iter().map(|path| field_from_pb(path.clone())).collect()
    };
    let (group_by, fields) = (fields(&request.group_by), fields(&request.fields));
    if group_by.len() + fields.len() > FIELDS_MAX {
        let detail = format!("{} fields, at most {FIELDS_MAX}", group_by.len() + fields.len());
        return Err(Error::new(ErrorCode::FilterInvalid, detail));
    }
    let mut partitions = partitions(shared, &request.partitions)?;
    partitions.reverse();
    let empty = Fold::new(group_by, fields)?;
    let folding =
        Folding { shared: Arc::clone(shared), core, request, deadline, partitions, empty };
    Ok(Box::pin(futures::stream::unfold(folding, |mut folding| async move {
        let partition = folding.partitions.pop()?;
        let part = folding.partition(partition).await;
        if part.is_err() {
            folding.partitions.clear();
        }
        Some((part.map_err(|error| error_to_status(&error)), folding))
    })))
}

/// The partitions that a call names, each once; all if it names none.
fn partitions(shared: &Shared, named: &[u32]) -> Result<Vec<PartitionId>> {
    let count = shared.engine.partitions();
    let count = count.ok_or_else(|| Error::new(ErrorCode::NotReady, ""))?;
    let known = |number: &u32| {
        let partition = u16::try_from(*number).ok().filter(|number| *number < count.get());
        partition
            .map(PartitionId)
            .ok_or_else(|| Error::new(ErrorCode::PartitionInvalid, format!("partition {number}")))
    };
    let mut partitions: Vec<PartitionId> = match named {
        [] => count.iter().collect(),
        named => named.iter().map(known).collect::<Result<_>>()?,
    };
    partitions.sort_unstable();
    partitions.dedup();
    Ok(partitions)
}

/// A call that is being answered.
struct Folding {
    shared: Arc<Shared>,
    core: usize,
    request: pb::AggregateRequest,
    deadline: Deadline,
    /// Those still to be folded, the next one last.
    partitions: Vec<PartitionId>,
    empty: Fold,
}

/// A page's records in bytes, and where the next one begins.
type Page = (Option<u64>, Vec<(Box<[u8]>, Box<[u8]>)>);

impl Folding {
    async fn partition(&self, partition: PartitionId) -> Result<pb::AggregateReply> {
        let mut fold = self.empty.clone();
        let mut cursor = Some(0);
        while let Some(from) = cursor {
            let (next, records) = self.page(partition, from).await?;
            for (key, value) in records {
                fold.take(&key, &value)?;
            }
            cursor = next;
            // Others are served in between.
            tokio::task::yield_now().await;
        }
        let groups = fold.finish().into_iter().filter(|(_, group)| group.count > 0);
        let groups = groups.map(|(key, group)| group_to_pb(key, group)).collect();
        Ok(pb::AggregateReply { partition: u32::from(partition.0), groups })
    }

    async fn page(&self, partition: PartitionId, cursor: u64) -> Result<Page> {
        let scan = Scan {
            partition,
            cursor,
            entries_max: self.shared.engine.limits().scan_entries_max as u32,
            prefix: &self.request.prefix,
            glob: b"",
            filter: &self.request.filter,
            with_values: true,
            view: View::Latest,
        };
        let to = Destination::new(&self.shared.relay, self.core, self.deadline);
        let ops = [Typed::plain(&self.request.map, Op::Scan(scan))];
        let page = batch::run(to, &ops, page).await?.pop();
        page.expect("one operation has one answer")
    }
}

fn page(reply: &Reply<'_>, _: Option<&Receipt>) -> Result<Page> {
    match reply {
        Reply::Page(page) => {
            let record =
                |one: &isogrid_core::PageEntry<'_>| (one.key.into(), one.entry.value.into());
            Ok((page.next, page.entries.iter().map(record).collect()))
        }
        Reply::Failed(error) => Err(error.clone()),
        // The map does not exist.
        _ => Ok((None, Vec::new())),
    }
}
