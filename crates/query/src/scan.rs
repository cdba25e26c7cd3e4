//! [`GridScan`]: the walk over partitions of a map, the leaf of every plan.

mod reading;
mod walk;

use std::collections::{BTreeSet, VecDeque};
use std::fmt;
use std::sync::Arc;

use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{Result, internal_err};
use datafusion::error::DataFusionError;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::{EquivalenceProperties, PhysicalExpr};
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType};
use datafusion::physical_plan::metrics::{
    BaselineMetrics, ExecutionPlanMetricsSet, MetricBuilder, MetricsSet,
};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, Partitioning, PlanProperties,
};
use futures::stream;
use isogrid_core::PartitionId;

use crate::access::Access;
use crate::budget::Budget;
use crate::codec;
use crate::columns::{Builder, Columns};
use crate::seeking::Seeking;
use crate::table::Grid;
use walk::Walk;

/// Into how many parts a walk is split at the node that leads its partitions.
const PARTS_AT_OWNER: usize = 4;

/// A walk over some partitions of a map.
#[derive(Clone, Debug)]
pub(crate) struct GridScan {
    grid: Grid,
    map: Arc<str>,
    columns: Columns,
    /// What each part of the plan walks over.
    parts: Vec<Vec<PartitionId>>,
    /// How many partitions a predicate left out: told once, by the first of its parts.
    pruned: u64,
    /// The most rows that are wanted of each part.
    fetch: Option<usize>,
    /// The column by which the map is partitioned.
    partition_by: Option<String>,
    access: Arc<Access>,
    properties: Arc<PlanProperties>,
    metrics: ExecutionPlanMetricsSet,
}

impl GridScan {
    /// A walk over these partitions, in so many parts at the most.
    pub(crate) fn new(
        (grid, map): (Grid, Arc<str>),
        columns: Columns,
        partitions: &BTreeSet<PartitionId>,
        parts_max: usize,
        fetch: Option<usize>,
    ) -> Self {
        let count = partitions.len().clamp(1, parts_max.max(1));
        let all = usize::from(grid.source.partitions().get());
        let pruned = all.saturating_sub(partitions.len()) as u64;
        let parts = deal(partitions.iter().copied(), count);
        GridScan { pruned, ..GridScan::of_parts((grid, map), columns, parts, fetch) }
    }

    /// The same, as the one that tells how many partitions were left out.
    pub(crate) fn with_pruned(self, pruned: u64) -> Self {
        GridScan { pruned, ..self }
    }

    /// The same, and records are found like this.
    pub(crate) fn by(self, access: Arc<Access>) -> Self {
        GridScan { access, ..self }
    }

    /// A walk whose parts are these.
    pub(crate) fn of_parts(
        (grid, map): (Grid, Arc<str>),
        columns: Columns,
        parts: Vec<Vec<PartitionId>>,
        fetch: Option<usize>,
    ) -> Self {
        let properties = PlanProperties::new(
            EquivalenceProperties::new(columns.schema()),
            Partitioning::UnknownPartitioning(parts.len()),
            EmissionType::Incremental,
            Boundedness::Bounded,
        );
        let metrics = ExecutionPlanMetricsSet::new();
        GridScan {
            grid,
            map,
            columns,
            parts,
            pruned: 0,
            fetch,
            partition_by: None,
            access: Arc::default(),
            properties: Arc::new(properties),
            metrics,
        }
    }

    /// The same, of a map that is partitioned by this column.
    pub(crate) fn partitioned_by(self, column: Option<&str>) -> Self {
        GridScan { partition_by: column.map(str::to_owned), ..self }
    }

    /// Into how many parts it is split.
    pub(crate) fn parts(&self) -> usize {
        self.parts.len()
    }

    /// The same in so many parts. All walks in as many parts have the same partitions in a part.
    pub(crate) fn in_parts(&self, count: usize) -> Self {
        let of = (self.grid.clone(), Arc::clone(&self.map));
        let parts = deal(self.parts.iter().flatten().copied(), count);
        GridScan::of_parts(of, self.columns.clone(), parts, self.fetch)
            .with_pruned(self.pruned)
            .partitioned_by(self.partition_by.as_deref())
            .by(Arc::clone(&self.access))
    }

    /// Those of its columns by which rows are placed.
    pub(crate) fn placing_columns(&self) -> Vec<usize> {
        let schema = self.columns.schema();
        let by = self.partition_by.as_deref();
        let fields = schema.fields().iter().enumerate();
        let placing = fields.filter(|(_, field)| by == Some(field.name().as_str()));
        placing.map(|(index, _)| index).collect()
    }

    /// How many nodes lead its partitions now.
    pub(crate) fn leading_nodes(&self) -> usize {
        self.leaders(self.parts.iter().flatten().copied())
    }

    fn leaders(&self, partitions: impl Iterator<Item = PartitionId>) -> usize {
        let leader = |partition| self.grid.source.leader(partition);
        partitions.filter_map(leader).collect::<BTreeSet<_>>().len()
    }

    /// The map that is walked over.
    pub(crate) fn map(&self) -> &str {
        &self.map
    }

    /// How it finds the records.
    pub(crate) fn access(&self) -> &Access {
        &self.access
    }

    /// The partitions that are walked over, or sought in.
    pub(crate) fn partitions(&self) -> impl Iterator<Item = PartitionId> {
        self.parts.iter().flatten().copied()
    }

    /// The same in several walks. `place` says of a partition in which.
    pub(crate) fn dealt(&self, count: usize, place: impl Fn(PartitionId) -> usize) -> Vec<Self> {
        let mut piles = vec![Vec::new(); count];
        for partition in self.parts.iter().flatten() {
            piles[place(*partition)].push(*partition);
        }
        let scan = |pile: Vec<PartitionId>| {
            let of = (self.grid.clone(), Arc::clone(&self.map));
            let parts = deal(pile.into_iter(), PARTS_AT_OWNER);
            GridScan::of_parts(of, self.columns.clone(), parts, self.fetch)
                .by(Arc::clone(&self.access))
        };
        let mut scans: Vec<GridScan> = piles.into_iter().map(scan).collect();
        scans[0].pruned = self.pruned;
        scans
    }

    /// The rows of one of its parts, in batches of so many.
    pub(crate) fn stream(
        &self,
        partition: usize,
        rows_max: usize,
        budget: Option<Arc<Budget>>,
    ) -> SendableRecordBatchStream {
        let part = &self.parts[partition];
        let seeking = self.access.index.as_ref().map(|index| Seeking::new(index, part));
        // By an index nothing is walked over, until it is known where there is none.
        let is_sought = self.access.is_sought();
        let left = if is_sought { Vec::new() } else { part.iter().rev().copied().collect() };
        let keys = self.access.keys_in(part, self.grid.source.partitions());
        let asked: BTreeSet<PartitionId> = keys.iter().map(|(partition, _)| *partition).collect();
        for _ in &asked {
            self.grid.counts.scans_partition();
            budget.iter().for_each(|budget| budget.enters_partition());
        }
        if partition == 0 {
            self.grid.counts.prunes(self.pruned);
        }
        let walk = Walk {
            grid: self.grid.clone(),
            map: Arc::clone(&self.map),
            builder: Builder::new(&self.columns),
            keys: keys.into(),
            seeking,
            sought: VecDeque::new(),
            left,
            pages: 0,
            access: Arc::clone(&self.access),
            part: (self.metrics.clone(), partition),
            reading: None,
            wanted: self.fetch.unwrap_or(usize::MAX),
            rows_max,
            output: BaselineMetrics::new(&self.metrics, partition),
            scanned: MetricBuilder::new(&self.metrics).counter("rows_scanned", partition),
            budget,
        };
        let batches = stream::try_unfold(walk, |mut walk| async move {
            let batch = walk.next().await?;
            Ok::<_, DataFusionError>(batch.map(|batch| (batch, walk)))
        });
        Box::pin(RecordBatchStreamAdapter::new(self.columns.schema(), batches))
    }

    /// As it travels.
    pub(crate) fn walk(&self) -> codec::Walk {
        let part = |part: &Vec<PartitionId>| part.iter().map(|partition| partition.0).collect();
        codec::Walk {
            map: self.map.to_string(),
            columns: self.columns.clone(),
            parts: self.parts.iter().map(part).collect(),
            pruned: self.pruned,
            fetch: self.fetch.map(|fetch| fetch as u64),
            access: Access::clone(&self.access),
        }
    }
}

/// Partitions in so many parts: a partition is always in the same one of as many.
fn deal(partitions: impl Iterator<Item = PartitionId>, count: usize) -> Vec<Vec<PartitionId>> {
    let mut parts = vec![Vec::new(); count];
    for partition in partitions {
        parts[mixed(partition) % count].push(partition);
    }
    parts
}

/// A number of a partition that has nothing to do with who leads it.
fn mixed(partition: PartitionId) -> usize {
    (u32::from(partition.0).wrapping_mul(0x9E37_79B1) >> 16) as usize
}

impl DisplayAs for GridScan {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let walked: usize = self.parts.iter().map(Vec::len).sum();
        let all = self.grid.source.partitions().get();
        let (led, leading) =
            (self.leading_nodes(), self.leaders(self.grid.source.partitions().iter()));
        write!(
            f,
            "GridScan: map={}, partitions: {walked}/{all}, nodes: {led}/{leading}{}",
            self.map, self.access
        )?;
        self.fetch.map_or(Ok(()), |fetch| write!(f, ", limit={fetch}"))
    }
}

impl ExecutionPlan for GridScan {
    fn name(&self) -> &str {
        "GridScan"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        Vec::new()
    }

    fn apply_expressions(
        &self,
        _: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn with_new_children(
        self: Arc<Self>,
        children: Vec<Arc<dyn ExecutionPlan>>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        if children.is_empty() {
            Ok(self)
        } else {
            internal_err!("a walk over a map has no inputs")
        }
    }

    fn with_fetch(&self, limit: Option<usize>) -> Option<Arc<dyn ExecutionPlan>> {
        Some(Arc::new(GridScan { fetch: limit, ..self.clone() }))
    }

    fn fetch(&self) -> Option<usize> {
        self.fetch
    }

    fn metrics(&self) -> Option<MetricsSet> {
        Some(self.metrics.clone_inner())
    }

    fn execute(
        &self,
        partition: usize,
        context: Arc<TaskContext>,
    ) -> Result<SendableRecordBatchStream> {
        let rows_max = context.session_config().batch_size();
        Ok(self.stream(partition, rows_max, Budget::of(&context)))
    }
}
