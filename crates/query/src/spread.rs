//! Where the parts of a statement run: each walk at the nodes that lead its partitions, and what follows of it beside it, planned by
//! datafusion-distributed.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use datafusion::arrow::array::{ArrayRef, RecordBatch, StringArray};
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::catalog::Session;
use datafusion::common::{Result, exec_datafusion_err};
use datafusion::error::DataFusionError;
use datafusion::execution::context::QueryPlanner;
use datafusion::execution::{SendableRecordBatchStream, SessionState, SessionStateBuilder};
use datafusion::logical_expr::LogicalPlan;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion_distributed::{
    ChannelResolver, DesiredTaskCountEvent, DesiredTaskCountEventResponse, DistributedExt,
    DistributedLeafExec, NetworkBoundaryExt, RouteTasksEvent, RouteTasksEventResponse,
    ScaleUpLeafNodeEvent, ScaleUpLeafNodeEventResponse, SessionStateBuilderExt, Worker,
    WorkerQueryContext, WorkerResolver, display_plan_ascii,
};
use datafusion_proto::physical_plan::AsExecutionPlan;
use datafusion_proto::protobuf::PhysicalPlanNode;
use futures::StreamExt;
use isogrid_core::PartitionId;
use url::Url;

use crate::budget::{Budgets, OfStatement};
use crate::codec::GridCodec;
use crate::json::JsonHas;
use crate::limits::QueryLimits;
use crate::nested;
use crate::scan::GridScan;
use crate::sql::Begun;
use crate::table::Grid;
use crate::walked::Walked;

/// How much of a part's rows waits for who takes them. It counts as memory of the statement.
const BUFFER_BYTES: usize = 2 << 20;

/// In how many stages a statement may run. Each keeps streams to each node open, of which a connection has a limited number.
const STAGES_MAX: usize = 24;

/// A node that can run parts of statements.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeerNode {
    /// Its name.
    pub name: String,
    /// Where it listens for other nodes: `host:port`.
    pub address: String,
}

/// How parts of statements reach other nodes.
pub trait Peers: fmt::Debug + Send + Sync + 'static {
    /// The nodes that lead partitions, in an order that is the same for all parts of a statement.
    fn nodes(&self) -> Vec<PeerNode>;

    /// This node's own name.
    fn own(&self) -> String;

    /// Ways to the nodes for one statement, or one part of it: what nobody reads holds up no other.
    fn channels(&self) -> Arc<dyn ChannelResolver + Send + Sync>;
}

/// The nodes over which one statement is spread, as they were when it was planned.
#[derive(Clone, Debug)]
struct Nodes {
    names: Vec<String>,
    urls: Vec<Url>,
}

impl Nodes {
    fn of(peers: &dyn Peers) -> Result<Self> {
        let (mut names, mut urls) = (Vec::new(), Vec::new());
        for node in peers.nodes() {
            let url = Url::parse(&format!("http://{}", node.address))
                .map_err(|error| exec_datafusion_err!("{}: {error}", node.address))?;
            names.push(node.name);
            urls.push(url);
        }
        Ok(Nodes { names, urls })
    }
}

impl WorkerResolver for Nodes {
    fn get_urls(&self) -> Result<Vec<Url>> {
        Ok(self.urls.clone())
    }
}

/// What spreads statements over nodes.
#[derive(Clone)]
pub(crate) struct Spread {
    peers: Arc<dyn Peers>,
    worker: Worker,
    budgets: Arc<Budgets>,
}

impl fmt::Debug for Spread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Spread").field("peers", &self.peers).finish_non_exhaustive()
    }
}

impl Spread {
    /// What spreads statements over these nodes; a part of one may use so much.
    pub(crate) fn new(peers: Arc<dyn Peers>, grid: Grid, limits: QueryLimits) -> Self {
        let budgets = Arc::new(Budgets::default());
        let worker = worker(grid, Arc::clone(&peers), Arc::clone(&budgets), limits);
        Spread { peers, worker, budgets }
    }

    /// What a statement is run with that begins here.
    pub(crate) fn begin(&self, limits: QueryLimits, walked: Option<Arc<Walked>>) -> OfStatement {
        let name = self.budgets.name(&self.peers.own());
        OfStatement::begin(Some((&name, &self.budgets)), limits, walked)
    }

    /// What runs parts of statements.
    pub(crate) fn worker(&self) -> &Worker {
        &self.worker
    }

    /// Begins a plan, spread over the nodes if several of them lead what it walks over.
    pub(crate) async fn run(
        &self,
        state: SessionState,
        (logical, plan): (&LogicalPlan, Arc<dyn ExecutionPlan>),
        grid: &Grid,
    ) -> Result<Begun> {
        if let LogicalPlan::Explain(explain) = logical {
            let inner = state.create_physical_plan(&explain.plan).await?;
            let mut begun = Begun::new(plan, state.task_ctx(), false)?;
            let spread = self.plan(state, (&explain.plan, inner), grid).await;
            if let Ok(Some((inner, _))) = spread {
                begun.stream = with_row(
                    begun.stream,
                    "distributed_plan",
                    &display_plan_ascii(&*inner, false),
                )?;
            }
            return Ok(begun);
        }
        let (alone, context) = (Arc::clone(&plan), state.task_ctx());
        match self.plan(state, (logical, plan), grid).await {
            Ok(Some((plan, state))) => Begun::new(plan, state.task_ctx(), true),
            Ok(None) => Begun::new(alone, context, false),
            Err(error) => {
                tracing::warn!(%error, "a statement is not spread over the nodes");
                Begun::new(alone, context, false)
            }
        }
    }

    /// The same plan, spread over the nodes; `None` where one node does it better, or only one can.
    async fn plan(
        &self,
        state: SessionState,
        (logical, plan): (&LogicalPlan, Arc<dyn ExecutionPlan>),
        grid: &Grid,
    ) -> Result<Option<(Arc<dyn ExecutionPlan>, SessionState)>> {
        if !is_worthwhile(&plan) || !travels(&plan, grid) {
            return Ok(None);
        }
        let (ready, headers) = (Arc::new(Ready(plan)), OfStatement::headers(state.config()));
        let builder = SessionStateBuilder::new_from_existing(state)
            .with_query_planner(ready)
            .with_distributed_passthrough_headers(headers)?;
        let state = spread(builder, grid, &*self.peers, &self.worker)?.build();
        let plan = state.query_planner().create_physical_plan(logical, &state).await?;
        Ok((stages(&plan) <= STAGES_MAX).then_some((plan, state)))
    }
}

/// A plan that is there already.
#[derive(Debug)]
struct Ready(Arc<dyn ExecutionPlan>);

#[async_trait]
impl QueryPlanner for Ready {
    async fn create_physical_plan(
        &self,
        _: &LogicalPlan,
        _: &dyn Session,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        Ok(Arc::clone(&self.0))
    }
}

/// What EXPLAIN says, with one row more.
fn with_row(
    rows: SendableRecordBatchStream,
    kind: &str,
    text: &str,
) -> Result<SendableRecordBatchStream> {
    let schema = rows.schema();
    let row = text_row(&schema, kind, text)?;
    let all = rows.chain(futures::stream::once(std::future::ready(Ok(row))));
    Ok(Box::pin(RecordBatchStreamAdapter::new(schema, all)))
}

/// A row of what EXPLAIN says.
pub(crate) fn text_row(schema: &SchemaRef, kind: &str, text: &str) -> Result<RecordBatch> {
    let column = |text: &str| Arc::new(StringArray::from(vec![text])) as ArrayRef;
    Ok(RecordBatch::try_new(Arc::clone(schema), vec![column(kind), column(text)])?)
}

/// Whether a plan walks over partitions of several nodes, so that it is worth its way to them.
pub(crate) fn is_worthwhile(plan: &Arc<dyn ExecutionPlan>) -> bool {
    match plan.downcast_ref::<GridScan>() {
        Some(scan) => !scan.access().is_few && scan.leading_nodes() > 1,
        None => plan.children().into_iter().any(is_worthwhile),
    }
}

/// Whether all of a plan can be sent to another node. What cannot, such as a recursion, would be noticed by nobody before the statement's time is over.
fn travels(plan: &Arc<dyn ExecutionPlan>, grid: &Grid) -> bool {
    let codec = GridCodec::new(grid.clone());
    PhysicalPlanNode::try_from_physical_plan(Arc::clone(plan), &codec).is_ok()
}

/// In how many stages a plan runs.
fn stages(plan: &Arc<dyn ExecutionPlan>) -> usize {
    let below: usize = plan.children().into_iter().map(stages).sum();
    below + usize::from(plan.is_network_boundary())
}

/// What plans statements that are spread over the nodes.
fn spread(
    builder: SessionStateBuilder,
    grid: &Grid,
    peers: &dyn Peers,
    worker: &Worker,
) -> Result<SessionStateBuilder> {
    let nodes = Nodes::of(peers)?;
    let count = nodes.urls.len();
    let own = nodes.names.iter().position(|name| *name == peers.own());
    let local = own.map(|own| worker.to_local_worker_context(nodes.urls[own].clone()));
    let urls = nodes.urls.clone();
    let places = places(grid, &nodes.names);
    let builder = builder
        .with_distributed_user_codec(GridCodec::new(grid.clone()))
        .with_distributed_worker_resolver(nodes)
        .with_distributed_channel_resolver(peers.channels())
        .with_distributed_max_tasks_per_stage(count)?
        .with_distributed_children_isolator_unions(false)?
        .with_distributed_dynamic_task_count(false)?
        .with_distributed_compression(None)?
        .with_distributed_worker_connection_buffer_budget_bytes(BUFFER_BYTES)?
        .with_distributed_desired_task_count_handler(move |event: DesiredTaskCountEvent<'_>| {
            event.plan.downcast_ref::<GridScan>()?;
            Some(Ok(DesiredTaskCountEventResponse::desired(count)))
        })
        .with_distributed_scale_up_leaf_node_handler(move |event: ScaleUpLeafNodeEvent<'_>| {
            // One task may be run as a part of its consumer, where nobody chooses among variants.
            let scan = event.plan.downcast_ref::<GridScan>().filter(|_| event.task_count > 1)?;
            Some(variants(event.plan, scan, &places, event.task_count))
        })
        .with_distributed_route_tasks_handler(move |event: RouteTasksEvent<'_>| {
            let urls = urls.iter().cycle().take(event.task_count).cloned().collect();
            Some(Ok(RouteTasksEventResponse::new(urls)))
        })
        .with_distributed_planner();
    Ok(match local {
        Some(local) => builder.with_distributed_local_worker_context(local),
        None => builder,
    })
}

/// Of each partition the number of the node that leads it now, and of one that nobody leads, or another node, some number. All
/// walks of a statement go by this, so that the same partitions of two maps are read by the same task.
fn places(grid: &Grid, names: &[String]) -> Vec<usize> {
    let known: BTreeMap<&str, usize> =
        names.iter().enumerate().map(|(index, name)| (name.as_str(), index)).collect();
    let place = |partition: PartitionId| {
        let leader = grid.source.leader(partition);
        let place = leader.and_then(|leader| known.get(leader.as_str()).copied());
        place.unwrap_or(usize::from(partition.0))
    };
    grid.source.partitions().iter().map(place).collect()
}

/// A walk as its tasks have it: task after task what the node of that number leads.
fn variants(
    plan: &Arc<dyn ExecutionPlan>,
    scan: &GridScan,
    places: &[usize],
    tasks: usize,
) -> Result<ScaleUpLeafNodeEventResponse> {
    let place = |partition: PartitionId| places[usize::from(partition.0)] % tasks;
    let variants = scan.dealt(tasks, place).into_iter();
    let variants = variants.map(|one| Arc::new(one) as Arc<dyn ExecutionPlan>);
    let leaf = DistributedLeafExec::try_new(Arc::clone(plan), variants)?;
    Ok(ScaleUpLeafNodeEventResponse::new(Arc::new(leaf)))
}

/// What runs parts of statements of other nodes.
fn worker(grid: Grid, peers: Arc<dyn Peers>, budgets: Arc<Budgets>, limits: QueryLimits) -> Worker {
    Worker::from_session_builder(move |context: WorkerQueryContext| {
        let (grid, channels) = (grid.clone(), peers.channels());
        let budgets = Arc::clone(&budgets);
        async move {
            let WorkerQueryContext { mut builder, headers } = context;
            let config = builder.config().get_or_insert_default();
            let memory_bytes = budgets.receive(&headers, config, limits);
            builder.scalar_functions().get_or_insert_default().extend(nested::functions());
            builder.scalar_functions().get_or_insert_default().push(JsonHas::function());
            let builder = builder
                .with_runtime_env(crate::session::runtime(memory_bytes)?)
                .with_distributed_user_codec(GridCodec::new(grid))
                .with_distributed_channel_resolver(channels);
            Ok::<_, DataFusionError>(builder.build())
        }
    })
}
