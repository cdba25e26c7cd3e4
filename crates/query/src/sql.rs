//! [`Sql`]: from a statement to a stream of batches.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use datafusion::arrow::datatypes::SchemaRef;
use datafusion::arrow::record_batch::RecordBatch;
use datafusion::catalog::{CatalogProvider, MemoryCatalogProvider};
use datafusion::common::ScalarValue;
use datafusion::error::DataFusionError;
use datafusion::execution::context::SQLOptions;
use datafusion::execution::disk_manager::{DiskManagerBuilder, DiskManagerMode};
use datafusion::execution::runtime_env::RuntimeEnvBuilder;
use datafusion::execution::{SendableRecordBatchStream, SessionStateBuilder};
use datafusion::prelude::{SessionConfig, SessionContext};
use futures::{Stream, StreamExt};
use isogrid_core::{Error, ErrorCode, Result};
use tokio::time::Instant;

use crate::counts::QueryCounts;
use crate::fault;
use crate::guard;
use crate::parameter::Parameter;
use crate::source::Source;
use crate::table::{Grid, GridSchema};

const CATALOG: &str = "isogrid";
const SCHEMA: &str = "public";

/// Into how many parts a plan is split. Parts wait for pages of other nodes, so there are more than cores.
const PARTS: usize = 8;

/// What makes something large of a small number: no limit of memory would count it.
const GROWING_FUNCTIONS: [&str; 9] = [
    "repeat",
    "lpad",
    "rpad",
    "array_repeat",
    "list_repeat",
    "array_resize",
    "list_resize",
    "range",
    "generate_series",
];

/// What one statement may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueryLimits {
    /// Memory for sorting, grouping and joining.
    pub memory_bytes: usize,
    /// How long it may take.
    pub timeout: Duration,
}

impl Default for QueryLimits {
    fn default() -> Self {
        QueryLimits { memory_bytes: 64 << 20, timeout: Duration::from_secs(5) }
    }
}

/// What answers statements.
#[derive(Clone, Debug)]
pub struct Sql {
    pub(crate) grid: Grid,
    pub(crate) limits: QueryLimits,
}

/// The rows of an answer as they come.
pub struct Answer {
    /// The columns.
    pub schema: SchemaRef,
    /// The rows. Dropped, the statement ends.
    pub batches: Pin<Box<dyn Stream<Item = Result<RecordBatch>> + Send>>,
}

impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Answer").field("schema", &self.schema).finish_non_exhaustive()
    }
}

impl Sql {
    /// What answers statements about these maps.
    pub fn new(source: Arc<dyn Source>, counts: Arc<QueryCounts>, limits: QueryLimits) -> Self {
        Sql { grid: Grid { source, counts }, limits }
    }

    /// Plans a statement that reads, with values for `$1` and so on, and begins it.
    ///
    /// # Errors
    /// The statement is not one, names what is not there, or would change something.
    pub async fn run(&self, statement: &str, parameters: Vec<Parameter>) -> Result<Answer> {
        let timeout = self.limits.timeout;
        let until = Instant::now() + timeout;
        let counts = Arc::clone(&self.grid.counts);
        counts.begins();
        guard::check(statement).inspect_err(|_| counts.fails())?;
        let begun = tokio::time::timeout_at(until, self.begin(statement, parameters)).await;
        let begun = begun.map_err(|_| too_long(timeout));
        let begun = begun.and_then(|begun| begun.map_err(|error| fault::of_query(&error)));
        let stream = begun.inspect_err(|_| counts.fails())?;
        Ok(self.answer(stream, until))
    }

    /// The rows of a stream until the statement's time is over, counted.
    pub(crate) fn answer(&self, stream: SendableRecordBatchStream, until: Instant) -> Answer {
        let (timeout, counts) = (self.limits.timeout, Arc::clone(&self.grid.counts));
        let schema = stream.schema();
        let batches = futures::stream::unfold(Some((stream, counts)), move |left| async move {
            let (mut stream, counts) = left?;
            let next = match tokio::time::timeout_at(until, stream.next()).await {
                Ok(next) => next?.map_err(|error| fault::of_query(&error)),
                Err(_) => Err(too_long(timeout)),
            };
            match &next {
                Ok(batch) => counts.returns_rows(batch.num_rows()),
                Err(_) => {
                    counts.fails();
                    return Some((next, None));
                }
            }
            Some((next, Some((stream, counts))))
        });
        Answer { schema, batches: Box::pin(batches) }
    }

    async fn begin(
        &self,
        statement: &str,
        parameters: Vec<Parameter>,
    ) -> Result<SendableRecordBatchStream, DataFusionError> {
        let context = self.context()?;
        let options = SQLOptions::new().with_allow_ddl(false).with_allow_dml(false);
        let frame =
            context.sql_with_options(statement, options.with_allow_statements(false)).await?;
        let values: Vec<ScalarValue> = parameters.into_iter().map(ScalarValue::from).collect();
        frame.with_param_values(values)?.execute_stream().await
    }

    pub(crate) fn context(&self) -> Result<SessionContext, DataFusionError> {
        let runtime = RuntimeEnvBuilder::new()
            .with_memory_limit(self.limits.memory_bytes, 1.0)
            .with_disk_manager_builder(
                DiskManagerBuilder::default().with_mode(DiskManagerMode::Disabled),
            )
            .build_arc()?;
        let config = SessionConfig::new()
            .with_target_partitions(PARTS)
            .with_information_schema(true)
            .with_create_default_catalog_and_schema(false)
            .with_default_catalog_and_schema(CATALOG, SCHEMA)
            // Views keep all of a batch alive, and on the wire, for each piece of it.
            .set_bool("datafusion.sql_parser.map_string_types_to_utf8view", false);
        let state = SessionStateBuilder::new()
            .with_config(config)
            .with_runtime_env(runtime)
            .with_default_features()
            .build();
        let context = SessionContext::new_with_state(state);
        GROWING_FUNCTIONS.iter().for_each(|name| context.deregister_udf(name));
        let catalog = MemoryCatalogProvider::new();
        catalog.register_schema(SCHEMA, Arc::new(GridSchema::new(self.grid.clone())))?;
        context.register_catalog(CATALOG, Arc::new(catalog));
        Ok(context)
    }
}

pub(crate) fn too_long(timeout: Duration) -> Error {
    let detail = format!("the statement took more than {} ms", timeout.as_millis());
    Error::new(ErrorCode::QueryTooLong, detail)
}

#[cfg(test)]
#[path = "sql_test.rs"]
mod tests;
