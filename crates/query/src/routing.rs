//! EXPLAIN ROUTING: which partitions of which maps a statement needs, and who leads them. Nothing is run.

use std::collections::BTreeSet;
use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, Int64Array, StringArray};
use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::arrow::record_batch::RecordBatch;
use datafusion::common::Result;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use isogrid_core::PartitionId;

use crate::scan::GridScan;
use crate::table::Grid;

/// The columns of the answer.
pub(crate) fn schema() -> SchemaRef {
    let field = |name: &str, kind, is_nullable| Field::new(name, kind, is_nullable);
    Arc::new(Schema::new(vec![
        field("map", DataType::Utf8, false),
        field("partition", DataType::Int64, false),
        field("node", DataType::Utf8, true),
        field("address", DataType::Utf8, true),
        field("zone", DataType::Utf8, true),
    ]))
}

/// The answer: a row for each partition of each map that the plan walks over.
pub(crate) fn stream(
    plan: &Arc<dyn ExecutionPlan>,
    grid: &Grid,
) -> Result<SendableRecordBatchStream> {
    let mut needed = BTreeSet::new();
    gather(plan, &mut needed);
    let batch = rows(&needed, grid)?;
    let rows = futures::stream::iter([Ok(batch)]);
    Ok(Box::pin(RecordBatchStreamAdapter::new(schema(), rows)))
}

fn gather<'p>(plan: &'p Arc<dyn ExecutionPlan>, needed: &mut BTreeSet<(&'p str, PartitionId)>) {
    if let Some(scan) = plan.downcast_ref::<GridScan>() {
        needed.extend(scan.partitions().map(|partition| (scan.map(), partition)));
    }
    plan.children().into_iter().for_each(|child| gather(child, needed));
}

fn rows(needed: &BTreeSet<(&str, PartitionId)>, grid: &Grid) -> Result<RecordBatch> {
    let source = &grid.source;
    let leader = |(_, partition): &(&str, PartitionId)| source.leader(*partition);
    let leaders: Vec<Option<String>> = needed.iter().map(leader).collect();
    let place = |leader: &Option<String>| source.place(leader.as_deref()?);
    let places: Vec<_> = leaders.iter().map(place).collect();
    let address = places.iter().map(|place| place.as_ref().map(|place| place.address.as_str()));
    let zone = places.iter().map(|place| place.as_ref().and_then(|place| place.zone.as_deref()));
    let partitions = needed.iter().map(|(_, partition)| i64::from(partition.0));
    let columns: Vec<ArrayRef> = vec![
        Arc::new(StringArray::from_iter_values(needed.iter().map(|(map, _)| *map))),
        Arc::new(Int64Array::from_iter_values(partitions)),
        Arc::new(leaders.iter().map(Option::as_deref).collect::<StringArray>()),
        Arc::new(address.collect::<StringArray>()),
        Arc::new(zone.collect::<StringArray>()),
    ];
    Ok(RecordBatch::try_new(schema(), columns)?)
}

#[cfg(test)]
#[path = "routing_test.rs"]
mod tests;
