//! [`GridCodec`]: walks on their way to other nodes.

use std::fmt;
use std::sync::Arc;

use datafusion::common::{Result, internal_err};
use datafusion::error::DataFusionError;
use datafusion::execution::TaskContext;
use datafusion::physical_plan::ExecutionPlan;
use datafusion_proto::physical_plan::{PhysicalExtensionCodec, PhysicalProtoConverterExtension};
use isogrid_core::PartitionId;
use serde::{Deserialize, Serialize};

use crate::access::Access;
use crate::columns::Columns;
use crate::in_place::InPlace;
use crate::scan::GridScan;
use crate::table::Grid;

/// A walk as it travels.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Walk {
    pub(crate) map: String,
    pub(crate) columns: Columns,
    /// What each part of the plan walks over.
    pub(crate) parts: Vec<Vec<u16>>,
    pub(crate) pruned: u64,
    pub(crate) fetch: Option<u64>,
    #[serde(default)]
    pub(crate) access: Access,
}

/// Writes and reads walks. The other parts of a plan are DataFusion's.
pub(crate) struct GridCodec {
    grid: Grid,
}

impl GridCodec {
    pub(crate) fn new(grid: Grid) -> Self {
        GridCodec { grid }
    }
}

impl fmt::Debug for GridCodec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("GridCodec")
    }
}

impl PhysicalExtensionCodec for GridCodec {
    fn try_decode(
        &self,
        bytes: &[u8],
        inputs: &[Arc<dyn ExecutionPlan>],
        _: &TaskContext,
        _: &dyn PhysicalProtoConverterExtension,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        // A walk has no inputs, and rows in place have one.
        if let [input] = inputs {
            return Ok(Arc::new(InPlace::new(Arc::clone(input), read(bytes)?)?));
        }
        let walk: Walk = read(bytes)?;
        let count = self.grid.source.partitions().get();
        if walk.parts.is_empty() || walk.parts.iter().flatten().any(|partition| *partition >= count)
        {
            return internal_err!("a walk over partitions that are not there");
        }
        let parts = walk.parts.into_iter();
        let parts = parts.map(|part| part.into_iter().map(PartitionId).collect()).collect();
        let fetch = walk.fetch.map(|fetch| usize::try_from(fetch).unwrap_or(usize::MAX));
        let scan =
            GridScan::of_parts((self.grid.clone(), walk.map.into()), walk.columns, parts, fetch);
        Ok(Arc::new(scan.with_pruned(walk.pruned).by(Arc::new(walk.access))))
    }

    fn try_encode(
        &self,
        node: Arc<dyn ExecutionPlan>,
        bytes: &mut Vec<u8>,
        _: &dyn PhysicalProtoConverterExtension,
    ) -> Result<()> {
        if let Some(rows) = node.downcast_ref::<InPlace>() {
            return rmp_serde::encode::write(bytes, rows.columns())
                .map_err(|error| DataFusionError::External(Box::new(error)));
        }
        let Some(scan) = node.downcast_ref::<GridScan>() else {
            return internal_err!("{} is not known here", node.name());
        };
        rmp_serde::encode::write_named(bytes, &scan.walk())
            .map_err(|error| DataFusionError::External(Box::new(error)))
    }
}

fn read<'b, T: Deserialize<'b>>(bytes: &'b [u8]) -> Result<T> {
    rmp_serde::from_slice(bytes).map_err(|error| DataFusionError::External(Box::new(error)))
}
