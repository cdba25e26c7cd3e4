//! What one statement is planned and run in: its catalogue, its functions and its memory.

use std::collections::HashMap;
use std::sync::Arc;

use datafusion::catalog::{CatalogProvider, MemoryCatalogProvider, MemoryCatalogProviderList};
use datafusion::common::{Result, plan_err};
use datafusion::execution::disk_manager::{DiskManagerBuilder, DiskManagerMode};
use datafusion::execution::object_store::ObjectStoreRegistry;
use datafusion::execution::runtime_env::{RuntimeEnv, RuntimeEnvBuilder};
use datafusion::execution::{SessionState, SessionStateBuilder, TaskContext};
use datafusion::prelude::{SessionConfig, SessionContext};
use object_store::ObjectStore;
use url::Url;

use crate::beside::Beside;
use crate::json::JsonHas;
use crate::nested::{self, NestedPlanner};
use crate::table::{Grid, GridSchema};

/// Statements, and parts of those of other nodes, read no files and write none.
#[derive(Debug)]
struct NoFiles;

impl ObjectStoreRegistry for NoFiles {
    fn register_store(&self, _: &Url, _: Arc<dyn ObjectStore>) -> Option<Arc<dyn ObjectStore>> {
        None
    }

    fn get_store(&self, url: &Url) -> Result<Arc<dyn ObjectStore>> {
        plan_err!("{url}: statements read no files")
    }
}

/// The one catalogue that there is.
pub(crate) const CATALOG: &str = "isogrid";

/// The one schema that there is.
pub(crate) const SCHEMA: &str = "public";

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

/// What all statements have in common: functions and rules. To make these takes longer than to run a small statement.
pub(crate) fn common() -> SessionState {
    let mut builder = SessionStateBuilder::new()
        .with_config(config())
        .with_default_features()
        .with_physical_optimizer_rule(Arc::new(Beside));
    builder.scalar_functions().get_or_insert_default().extend(nested::functions());
    builder.scalar_functions().get_or_insert_default().push(JsonHas::function());
    // Before that which takes every name within a column for one of a struct.
    builder.expr_planners().get_or_insert_default().insert(0, Arc::new(NestedPlanner::new()));
    let context = SessionContext::new_with_state(builder.build());
    GROWING_FUNCTIONS.iter().for_each(|name| context.deregister_udf(name));
    context.state()
}

/// The same for plans that read one partition: there is nothing to do side by side.
pub(crate) fn in_one_part(common: &SessionState) -> SessionState {
    let config = common.config().clone().with_target_partitions(1);
    SessionStateBuilder::new_from_existing(common.clone()).with_config(config).build()
}

/// What a statement runs in, with so much memory.
pub(crate) fn context(
    common: &SessionState,
    grid: &Grid,
    memory_bytes: usize,
) -> Result<SessionContext> {
    let state = SessionStateBuilder::new_from_existing(common.clone())
        .with_runtime_env(runtime(memory_bytes)?)
        .with_catalog_list(Arc::new(MemoryCatalogProviderList::new()))
        .build();
    let context = SessionContext::new_with_state(state);
    let catalog = MemoryCatalogProvider::new();
    catalog.register_schema(SCHEMA, Arc::new(GridSchema::new(grid.clone())))?;
    context.register_catalog(CATALOG, Arc::new(catalog));
    Ok(context)
}

/// What a plan of this node runs in, with so much memory. Functions are in the plan itself.
pub(crate) fn task(config: SessionConfig, memory_bytes: usize) -> Result<Arc<TaskContext>> {
    let none = TaskContext::new(
        None,
        String::new(),
        config,
        HashMap::new(),
        HashMap::new(),
        HashMap::new(),
        HashMap::new(),
        runtime(memory_bytes)?,
    );
    Ok(Arc::new(none))
}

fn config() -> SessionConfig {
    SessionConfig::new()
        .with_target_partitions(PARTS)
        .with_information_schema(true)
        .with_create_default_catalog_and_schema(false)
        .with_default_catalog_and_schema(CATALOG, SCHEMA)
        // What the planner says of NULL in `a IS NOT TRUE` differs from what it makes of it, and a group of that is refused.
        .set_bool("datafusion.execution.skip_physical_aggregate_schema_check", true)
        // Views keep all of a batch alive, and on the wire, for each piece of it.
        .set_bool("datafusion.sql_parser.map_string_types_to_utf8view", false)
        // A plan that waits for a part of itself cannot travel to other nodes.
        .set_bool("datafusion.optimizer.enable_physical_uncorrelated_scalar_subquery", false)
}

/// Memory for sorting, grouping and joining, and no disk.
pub(crate) fn runtime(memory_bytes: usize) -> Result<Arc<RuntimeEnv>> {
    let no_disk = DiskManagerBuilder::default().with_mode(DiskManagerMode::Disabled);
    RuntimeEnvBuilder::new()
        .with_memory_limit(memory_bytes, 1.0)
        .with_disk_manager_builder(no_disk)
        .with_object_store_registry(Arc::new(NoFiles))
        .build_arc()
}
