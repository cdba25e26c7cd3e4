//! Refuses plans that walk over all partitions of a map, where that is wanted.

use std::sync::Arc;

use datafusion::physical_plan::ExecutionPlan;
use isogrid_core::{Error, ErrorCode, Result};

use crate::scan::GridScan;
use crate::table::Grid;

/// The setting of maps and sessions.
pub(crate) const SETTING: &str = "require_pruned";

/// Refuses a plan that walks over all of a map. `is_wanted`: of any map, and otherwise of those whose settings say so.
///
/// # Errors
/// `QueryNotPruned`, which names the map and what would say which partitions are needed.
pub(crate) fn check(plan: &Arc<dyn ExecutionPlan>, grid: &Grid, is_wanted: bool) -> Result<()> {
    if let Some(scan) = plan.downcast_ref::<GridScan>() {
        return check_scan(scan, grid, is_wanted);
    }
    plan.children().into_iter().try_for_each(|child| check(child, grid, is_wanted))
}

fn check_scan(scan: &GridScan, grid: &Grid, is_wanted: bool) -> Result<()> {
    let (walked, all) = (scan.partitions().count(), usize::from(grid.source.partitions().get()));
    if walked < all || all == 1 || scan.access().is_sought() {
        return Ok(());
    }
    let map = grid.source.map(scan.map()).unwrap_or_default();
    let is_of_map = map.settings.iter().any(|(name, value)| name == SETTING && value == "true");
    if !is_wanted && !is_of_map {
        return Ok(());
    }
    let by = map.schema.and_then(|schema| schema.partition_by);
    let columns = by.map(|by| format!("{by:?}, ")).unwrap_or_default();
    let detail = format!(
        "all {all} partitions of {:?}; nothing compares one of {columns}\"_key\" and \"_partition\" with values",
        scan.map()
    );
    Err(Error::new(ErrorCode::QueryNotPruned, detail))
}
