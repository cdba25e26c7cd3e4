//! [`Walk`]: a walk under way, by an index where there is one and page by page where there is none.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;
use datafusion::arrow::record_batch::RecordBatch;
use datafusion::common::Result;
use datafusion::error::DataFusionError;
use datafusion::physical_plan::metrics::{
    BaselineMetrics, Count, ExecutionPlanMetricsSet, MetricBuilder,
};
use isogrid_core::PartitionId;

use super::reading::Reading;
use crate::access::Access;
use crate::advice::SAMPLED_PAGE;
use crate::budget::Budget;
use crate::columns::Builder;
use crate::fault;
use crate::seeking::Seeking;
use crate::source::Row;
use crate::table::Grid;

/// About how many bytes of keys and values make a batch, however few rows they are.
const BATCH_BYTES: usize = 4 << 20;

/// About how many records are taken at once: for so many the partition is held up.
const PAGE_ROWS: u32 = 512;

/// So many records are asked for at once by their keys.
const KEYS_AT_ONCE: usize = 64;

/// A walk under way.
pub(super) struct Walk {
    pub(super) grid: Grid,
    pub(super) map: Arc<str>,
    pub(super) builder: Builder,
    /// The keys that are asked for, what is asked of an index, and what was found that is not in a batch yet.
    pub(super) keys: VecDeque<(PartitionId, Vec<u8>)>,
    pub(super) seeking: Option<Seeking>,
    pub(super) sought: VecDeque<(PartitionId, Row)>,
    /// The partitions still to walk over, the next one last.
    pub(super) left: Vec<PartitionId>,
    /// How many pages there were, and what is said of one of them.
    pub(super) pages: usize,
    pub(super) access: Arc<Access>,
    pub(super) part: (ExecutionPlanMetricsSet, usize),
    /// The one of them that has begun.
    pub(super) reading: Option<Reading>,
    /// How many rows are still wanted.
    pub(super) wanted: usize,
    /// How many make a batch.
    pub(super) rows_max: usize,
    pub(super) output: BaselineMetrics,
    pub(super) scanned: Count,
    /// What all walks of the statement at this node have together.
    pub(super) budget: Option<Arc<Budget>>,
}

impl Walk {
    /// Says in the figures of the walk, once, which index should be there.
    fn advise(&mut self, rows: &[Row]) {
        self.pages += 1;
        let advice = self.access.advice.as_ref().filter(|_| self.pages == SAMPLED_PAGE);
        if let Some((advice, spared)) = advice.and_then(|one| Some((one, one.spares(rows)?))) {
            let (metrics, part) = &self.part;
            let name = format!("advice: {}", advice.statement(&self.map));
            MetricBuilder::new(metrics).counter(name, *part).add(spared);
        }
    }

    /// Takes a row that an index found, or looks for more. Says whether there is anything to go on with.
    async fn take_sought(&mut self) -> Result<bool> {
        if let Some((partition, row)) = self.sought.pop_front() {
            self.builder.push(partition, &row).map_err(DataFusionError::Execution)?;
            return Ok(true);
        }
        if !self.keys.is_empty() {
            self.take_keys().await?;
            return Ok(true);
        }
        let Some(seeking) = self.seeking.as_mut().filter(|seeking| !seeking.is_done()) else {
            return Ok(false);
        };
        let found = seeking.next(&self.grid, &self.map).await.map_err(fault::of_grid)?;
        self.left.extend(found.without);
        for (partition, rows) in found.rows {
            self.grid.counts.seeks();
            self.count(rows.len())?;
            self.sought.extend(rows.into_iter().map(|row| (partition, row)));
        }
        Ok(true)
    }

    /// Asks for the records of some keys.
    async fn take_keys(&mut self) -> Result<()> {
        let asked: Vec<(PartitionId, Vec<u8>)> =
            self.keys.drain(..self.keys.len().min(KEYS_AT_ONCE)).collect();
        let keys: Vec<Bytes> = asked.iter().map(|(_, key)| Bytes::from(key.clone())).collect();
        let records = self.grid.source.records(&self.map, &keys).await.map_err(fault::of_grid)?;
        let found = asked.into_iter().zip(records);
        let before = self.sought.len();
        self.sought.extend(found.filter_map(|((partition, _), row)| Some((partition, row?))));
        self.count(self.sought.len() - before)
    }

    /// Counts records that were looked at.
    fn count(&self, rows: usize) -> Result<()> {
        self.scanned.add(rows);
        self.grid.counts.scans_rows(rows);
        self.budget.as_ref().map_or(Ok(()), |budget| budget.take(rows)).map_err(fault::of_grid)
    }

    /// Reads on in a partition, and gives its rows on when they are all or a batch. Says whether there was anything to read.
    async fn read_on(&mut self) -> Result<bool> {
        let mut reading = match (self.reading.take(), self.left.last()) {
            (Some(reading), _) => reading,
            (None, None) => return Ok(false),
            (None, Some(partition)) => {
                self.grid.counts.scans_partition();
                self.budget.iter().for_each(|budget| budget.enters_partition());
                Reading::new(Arc::clone(&self.grid.source), Arc::clone(&self.map), *partition)
            }
        };
        let filter = self.access.pushed.as_ref().map_or(&[][..], |pushed| &pushed.filter);
        let (came, goes_on) = reading.read(filter, PAGE_ROWS).await.map_err(fault::of_grid)?;
        self.count(came)?;
        self.advise(reading.newest(came));
        let room = self.wanted.min(self.rows_max).saturating_sub(self.builder.rows());
        let (rows, bytes) = reading.held();
        if !goes_on || rows >= room || bytes >= BATCH_BYTES {
            let rows = reading.give();
            for row in rows.iter().take(self.wanted - self.builder.rows()) {
                self.builder.push(reading.partition, row).map_err(DataFusionError::Execution)?;
            }
        }
        if goes_on {
            self.reading = Some(reading);
        } else {
            self.left.pop();
        }
        Ok(true)
    }

    /// The next rows; none when all were given.
    pub(super) async fn next(&mut self) -> Result<Option<RecordBatch>> {
        // Pages of this node come at once: without a rest nobody would see that time is over, or that the client is gone.
        tokio::task::yield_now().await;
        let is_full =
            |builder: &Builder, most| builder.rows() >= most || builder.bytes() >= BATCH_BYTES;
        while !is_full(&self.builder, self.wanted.min(self.rows_max)) {
            if self.take_sought().await? {
                continue;
            }
            if !self.read_on().await? {
                break;
            }
        }
        if self.builder.rows() == 0 {
            return Ok(None);
        }
        self.wanted -= self.builder.rows();
        let batch = self.builder.finish()?;
        self.output.record_output(batch.num_rows());
        Ok(Some(batch))
    }
}
