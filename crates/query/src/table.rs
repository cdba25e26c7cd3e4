//! [`GridTable`]: a map as a table, and [`GridSchema`]: all maps.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::catalog::{SchemaProvider, Session, TableProvider};
use datafusion::common::Result;
use datafusion::datasource::TableType;
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown};
use datafusion::physical_plan::ExecutionPlan;
use futures::{StreamExt, stream};
use isogrid_core::{MapColumn, MapSchema, View};

use crate::access::Access;
use crate::columns::Columns;
use crate::counts::QueryCounts;
use crate::fault;
use crate::prune;
use crate::sample::Sample;
use crate::scan::GridScan;
use crate::source::{MapDefinition, PagePlace, Source};

/// How many values of a map are looked at to see which columns it has, and how many partitions are asked at once.
const SAMPLE_ROWS: usize = 256;
const SAMPLE_PARTITIONS: usize = 16;
const SAMPLE_PAGE_ROWS: u32 = 32;

/// A map as a table.
#[derive(Debug)]
pub(crate) struct GridTable {
    grid: Grid,
    pub(crate) map: Arc<str>,
    columns: Columns,
    schema: SchemaRef,
    /// What the map was when the statement was planned.
    pub(crate) definition: MapDefinition,
}

impl GridTable {
    /// The column by which the records are spread.
    pub(crate) fn partition_by(&self) -> Option<&MapColumn> {
        let schema = self.definition.schema.as_ref()?;
        schema.column(schema.partition_by.as_ref()?)
    }
}

/// What holds the maps, and where what was done is counted.
#[derive(Clone, Debug)]
pub(crate) struct Grid {
    pub(crate) source: Arc<dyn Source>,
    pub(crate) counts: Arc<QueryCounts>,
}

impl GridTable {
    /// The walk to the rows that all of these predicates leave, in so many parts at the most.
    pub(crate) async fn walk(
        &self,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
        parts_max: usize,
    ) -> GridScan {
        let by = self.partition_by();
        let partitions = prune::partitions(filters, self.grid.source.partitions(), by);
        let access = Access::of(filters, (&self.grid, self), &partitions).await;
        let parts_max = if access.is_few { 1 } else { parts_max };
        let scan = GridScan::new(
            (self.grid.clone(), Arc::clone(&self.map)),
            self.columns.project(projection),
            &partitions,
            parts_max,
            limit,
        );
        let by = by.map(|column| column.name.as_str());
        scan.partitioned_by(by).by(Arc::new(access))
    }

    /// Its columns.
    pub(crate) fn columns(&self) -> &Columns {
        &self.columns
    }
}

#[async_trait]
impl TableProvider for GridTable {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    /// A predicate says which partitions are walked over; whether a row meets it is looked at later.
    fn supports_filters_pushdown(
        &self,
        filters: &[&Expr],
    ) -> Result<Vec<TableProviderFilterPushDown>> {
        Ok(vec![TableProviderFilterPushDown::Inexact; filters.len()])
    }

    async fn scan(
        &self,
        session: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let parts_max = session.config().target_partitions();
        Ok(Arc::new(self.walk(projection, filters, limit, parts_max).await))
    }
}

/// All maps, as tables.
pub(crate) struct GridSchema {
    grid: Grid,
    /// The map whose records are written: it shows their bytes too.
    written: Option<String>,
}

impl GridSchema {
    pub(crate) fn new(grid: Grid) -> Self {
        GridSchema { grid, written: None }
    }

    /// The same, for a statement that changes records of this map.
    pub(crate) fn writing(grid: Grid, map: &str) -> Self {
        GridSchema { grid, written: Some(map.to_owned()) }
    }
}

/// The columns of a map: those that were given to it, or else those of some of its values.
pub(crate) async fn columns_of(
    grid: &Grid,
    map: &str,
    definition: &MapDefinition,
) -> isogrid_core::Result<Columns> {
    match &definition.schema {
        Some(schema) => Ok(of_schema(schema)),
        None => sampled(grid, map).await,
    }
}

fn of_schema(schema: &MapSchema) -> Columns {
    Columns::of_fields(schema.columns.iter().map(|column| (column.name.clone(), column.holds)))
}

async fn sampled(grid: &Grid, map: &str) -> isogrid_core::Result<Columns> {
    let mut sample = Sample::default();
    let mut rows = 0;
    let pages = stream::iter(grid.source.partitions().iter())
        .map(|partition| {
            let place = PagePlace { partition, cursor: 0, view: View::Latest };
            grid.source.page(map, place, &[], SAMPLE_PAGE_ROWS)
        })
        .buffer_unordered(SAMPLE_PARTITIONS);
    futures::pin_mut!(pages);
    let mut failed = None;
    while rows < SAMPLE_ROWS
        && let Some(page) = pages.next().await
    {
        match page {
            Ok(page) => {
                rows += page.rows.len();
                page.rows.iter().for_each(|row| sample.look(row));
            }
            Err(error) => failed = Some(error),
        }
    }
    // A partition that nobody leads does not matter where others have values to look at.
    match failed {
        Some(error) if rows == 0 => Err(error),
        _ => Ok(sample.columns()),
    }
}

impl fmt::Debug for GridSchema {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("GridSchema")
    }
}

#[async_trait]
impl SchemaProvider for GridSchema {
    fn table_names(&self) -> Vec<String> {
        self.grid.source.maps()
    }

    async fn table(&self, name: &str) -> Result<Option<Arc<dyn TableProvider>>> {
        if !self.table_exist(name) {
            return Ok(None);
        }
        let definition = self.grid.source.map(name).unwrap_or_default();
        let columns = columns_of(&self.grid, name, &definition).await;
        let mut columns = columns.map_err(fault::of_grid)?;
        if self.written.as_deref() == Some(name) {
            columns = columns.with_bytes();
        }
        let (grid, schema) = (self.grid.clone(), columns.schema());
        Ok(Some(Arc::new(GridTable { grid, map: name.into(), columns, schema, definition })))
    }

    async fn table_type(&self, name: &str) -> Result<Option<TableType>> {
        Ok(self.table_exist(name).then_some(TableType::Base))
    }

    fn table_exist(&self, name: &str) -> bool {
        self.grid.source.maps().iter().any(|map| map == name)
    }
}
