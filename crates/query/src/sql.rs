//! [`Sql`]: from a statement to a stream of batches.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use datafusion::arrow::datatypes::SchemaRef;
use datafusion::arrow::record_batch::RecordBatch;
use datafusion::common::ScalarValue;
use datafusion::error::DataFusionError;
use datafusion::execution::context::SQLOptions;
use datafusion::execution::{SendableRecordBatchStream, SessionState, TaskContext};
use datafusion::logical_expr::LogicalPlan;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{ExecutionPlan, execute_stream};
use datafusion::prelude::SessionContext;
use datafusion_distributed::Worker;
use futures::future::BoxFuture;
use futures::{Stream, StreamExt};
use isogrid_core::{Error, ErrorCode, Outcome, Result};
use tokio::time::Instant;

use crate::budget::OfStatement;
use crate::counts::QueryCounts;
use crate::ddl::Definition;
use crate::fault;
use crate::guard;
use crate::limits::{QueryLimits, Rows, Wishes};
use crate::parameter::Parameter;
use crate::parse::{self, Parsed};
use crate::plans::{Plan, Plans};
use crate::pruned;
use crate::route::Route;
use crate::routing;
use crate::session;
use crate::source::Source;
use crate::spread::{self, Peers, Spread};
use crate::subscribe;
use crate::table::Grid;
use crate::walked::Walked;
use crate::write::{Progress, Writing};

/// How many bytes a parameter of a small statement has at the most.
const SMALL_BYTES: usize = 1 << 10;

/// What answers statements.
#[derive(Clone)]
pub struct Sql {
    pub(crate) grid: Grid,
    pub(crate) limits: QueryLimits,
    spread: Option<Arc<Spread>>,
    common: Arc<SessionState>,
    /// The same for plans that read one partition.
    in_one_part: Arc<SessionState>,
    pub(crate) plans: Arc<Plans>,
    /// Who is told what statements walk over here.
    walked: Option<Arc<Walked>>,
}

/// The rows of an answer as they come.
pub struct Answer {
    /// The columns.
    pub schema: SchemaRef,
    /// The rows. Dropped, the statement ends.
    pub batches: Pin<Box<dyn Stream<Item = Result<RecordBatch>> + Send>>,
    /// What says which one partition the statement reads, if one and if that stays so.
    pub route: Option<Route>,
    /// How far a statement that writes is; it goes on as its rows are taken.
    pub progress: Option<Arc<Progress>>,
}

impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Answer").field("schema", &self.schema).finish_non_exhaustive()
    }
}

impl fmt::Debug for Sql {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sql").field("limits", &self.limits).finish_non_exhaustive()
    }
}

impl Sql {
    /// What answers statements about these maps.
    pub fn new(source: Arc<dyn Source>, counts: Arc<QueryCounts>, limits: QueryLimits) -> Self {
        let common = Arc::new(session::common());
        let in_one_part = Arc::new(session::in_one_part(&common));
        let grid = Grid { source, counts };
        Sql { grid, limits, spread: None, common, in_one_part, plans: Arc::default(), walked: None }
    }

    /// The same, and parts of statements run at these nodes.
    pub fn spread_over(self, peers: Arc<dyn Peers>) -> Self {
        let spread = Spread::new(peers, self.grid.clone(), self.limits);
        Sql { spread: Some(Arc::new(spread)), ..self }
    }

    /// The same with less, where that is wanted.
    #[must_use]
    pub fn with(&self, wishes: Wishes) -> Self {
        Sql { limits: self.limits.lowered(wishes), ..self.clone() }
    }

    /// The same, and this is told what statements walk over here.
    #[must_use]
    pub fn telling(&self, walked: &Arc<Walked>) -> Self {
        Sql { walked: Some(Arc::clone(walked)), ..self.clone() }
    }

    /// What runs parts of statements of other nodes, if statements are spread over nodes.
    pub fn worker(&self) -> Option<Worker> {
        self.spread.as_ref().map(|spread| spread.worker().clone())
    }

    /// Whether a statement is known to be planned in no time and to read little: its plan is there, and all of its rows are in one
    /// partition.
    pub fn is_small(&self, statement: &str, values: &[Parameter]) -> bool {
        self.plans.has_small(statement) && values.iter().all(|value| value.bytes() <= SMALL_BYTES)
    }

    /// Begins a statement that reads or writes, with values for `$1` and so on, or does what one wants that defines a map.
    ///
    /// # Errors
    /// The statement is not one, or names what is not there.
    pub fn run<'a>(
        &'a self,
        statement: &'a str,
        parameters: Vec<Parameter>,
    ) -> BoxFuture<'a, Result<Answer>> {
        // Boxed, here and in what else is public, so that plans are compiled in this crate and not again where they are awaited.
        Box::pin(self.begin_text(statement, parameters))
    }

    async fn begin_text(&self, statement: &str, parameters: Vec<Parameter>) -> Result<Answer> {
        let timeout = self.limits.timeout;
        let until = Instant::now() + timeout;
        let counts = &self.grid.counts;
        counts.begins();
        let values: Vec<ScalarValue> = parameters.into_iter().map(ScalarValue::from).collect();
        let known = self.plans.find(statement, &values, &*self.grid.source);
        if known.is_none() {
            guard::check(statement).inspect_err(|_| counts.fails())?;
            subscribe::refuse(statement).inspect_err(|_| counts.fails())?;
            if let Some(definition) = Definition::of(statement).inspect_err(|_| counts.fails())? {
                return self.defined(definition, until).await;
            }
            if let Some(writing) = Writing::of_text(statement).inspect_err(|_| counts.fails())? {
                let begun = self.write(writing, &values, until).await;
                return begun.inspect_err(|_| counts.fails());
            }
        }
        let begun = async {
            match known {
                Some(plan) => self.begin_again(&plan, values).await,
                None => self.begin(statement, values).await,
            }
        };
        let begun = tokio::time::timeout_at(until, begun).await;
        let begun = begun.map_err(|_| too_long(timeout));
        let begun = begun.and_then(|begun| begun.map_err(|error| fault::of_query(&error)));
        let (stream, route) = begun.inspect_err(|_| counts.fails())?;
        Ok(Answer { route, ..self.answer(stream, until) })
    }

    /// Does what a definition wants.
    pub(crate) async fn defined(&self, definition: Definition, until: Instant) -> Result<Answer> {
        let done = tokio::time::timeout_at(until, definition.run(&self.grid)).await;
        // The cluster may decide it yet.
        let unknown = || too_long(self.limits.timeout).with_outcome(Outcome::Unknown);
        let done = done.unwrap_or_else(|_| Err(unknown()));
        done.inspect_err(|_| self.grid.counts.fails())
    }

    /// The rows of a stream until the statement's time is over, counted.
    pub(crate) fn answer(&self, stream: SendableRecordBatchStream, until: Instant) -> Answer {
        let (timeout, counts) = (self.limits.timeout, Arc::clone(&self.grid.counts));
        let (schema, rows) = (stream.schema(), Rows::new(self.limits.rows_max));
        let batches =
            futures::stream::unfold(Some((stream, counts, rows)), move |left| async move {
                let (mut stream, counts, mut rows) = left?;
                let next = match tokio::time::timeout_at(until, stream.next()).await {
                    Ok(next) => next?
                        .map_err(|error| fault::of_query(&error))
                        .and_then(|batch| rows.pass(batch)),
                    Err(_) => Err(too_long(timeout)),
                };
                match &next {
                    Ok(batch) => counts.returns_rows(batch.num_rows()),
                    Err(_) => {
                        counts.fails();
                        return Some((next, None));
                    }
                }
                Some((next, Some((stream, counts, rows))))
            });
        Answer { schema, batches: Box::pin(batches), progress: None, route: None }
    }

    async fn begin(
        &self,
        statement: &str,
        values: Vec<ScalarValue>,
    ) -> Result<(SendableRecordBatchStream, Option<Route>), DataFusionError> {
        let context = self.context()?;
        let state = context.state();
        let depth_max = state.config_options().sql_parser.recursion_limit.get();
        let Parsed { statement: parsed, is_routing } = parse::parse(statement, depth_max)?;
        let plan = state.statement_to_plan(parsed).await?;
        let options = SQLOptions::new().with_allow_ddl(false).with_allow_dml(false);
        options.with_allow_statements(false).verify_plan(&plan)?;
        let (state, logical) = context.execute_logical_plan(plan).await?.into_parts();
        if is_routing {
            let logical = logical.with_param_values(values)?;
            return Ok((self.routing(&state, &logical).await?, None));
        }
        let kept = Plan::of(&logical, |plan| state.optimize(plan), &*self.grid.source)?;
        if let Some(plan) = kept.map(Arc::new) {
            self.plans.keep(statement, &plan);
            if plan.takes(&values) {
                return self.begin_again(&plan, values).await;
            }
        }
        let logical = logical.with_param_values(values)?;
        Ok((self.stream(state, logical).await?, None))
    }

    /// Begins a statement whose plan is there but for the values of its parameters.
    async fn begin_again(
        &self,
        plan: &Plan,
        values: Vec<ScalarValue>,
    ) -> Result<(SendableRecordBatchStream, Option<Route>), DataFusionError> {
        if let Some(pick) = &plan.pick {
            let within = (self.common.config().batch_size(), self.of_statement().budget());
            return Ok((pick.begin(&values, within).await?, plan.route));
        }
        let logical = plan.with(values)?;
        let common = if plan.route.is_some() { &self.in_one_part } else { &self.common };
        let physical = common.query_planner().create_physical_plan(&logical, &**common).await?;
        let stream = if self.spread.is_some() && spread::is_worthwhile(&physical) {
            self.stream(self.context()?.state(), logical).await?
        } else {
            pruned::check(&physical, &self.grid, self.limits.require_pruned)
                .map_err(fault::of_grid)?;
            let mut config = common.config().clone();
            self.of_statement().enter(&mut config);
            execute_stream(physical, session::task(config, self.limits.memory_bytes)?)?
        };
        Ok((stream, plan.route))
    }

    /// Where a planned statement would go.
    pub(crate) async fn routing(
        &self,
        state: &SessionState,
        logical: &LogicalPlan,
    ) -> Result<SendableRecordBatchStream, DataFusionError> {
        let plan = state.create_physical_plan(logical).await?;
        routing::stream(&plan, &self.grid)
    }

    /// The rows of a planned statement. It is spread over the nodes if several lead what it needs; if that fails before a row
    /// came, because a node cannot be reached or does not know a function, this node does all of it.
    pub(crate) async fn stream(
        &self,
        state: SessionState,
        logical: LogicalPlan,
    ) -> Result<SendableRecordBatchStream, DataFusionError> {
        let plan = state.create_physical_plan(&logical).await?;
        pruned::check(&plan, &self.grid, self.limits.require_pruned).map_err(fault::of_grid)?;
        let Some(spread) = &self.spread else { return execute_stream(plan, state.task_ctx()) };
        let begun = spread.run(state.clone(), (&logical, plan), &self.grid).await?;
        let Begun { mut stream, is_spread: true } = begun else { return Ok(begun.stream) };
        match stream.next().await {
            None => Ok(stream),
            Some(Ok(batch)) => Ok(with_first(batch, stream)),
            Some(Err(error)) if is_final(&fault::of_query(&error)) => Err(error),
            Some(Err(_)) => {
                drop(stream);
                let mut state = state;
                // What was walked over for nothing does not count.
                self.of_statement().enter(state.config_mut());
                let plan = state.create_physical_plan(&logical).await?;
                execute_stream(plan, state.task_ctx())
            }
        }
    }

    pub(crate) fn context(&self) -> Result<SessionContext, DataFusionError> {
        let context = session::context(&self.common, &self.grid, self.limits.memory_bytes)?;
        self.of_statement().enter(context.state_ref().write().config_mut());
        Ok(context)
    }

    /// What a statement is run with that begins now.
    fn of_statement(&self) -> OfStatement {
        match &self.spread {
            Some(spread) => spread.begin(self.limits, self.walked.clone()),
            None => OfStatement::begin(None, self.limits, self.walked.clone()),
        }
    }
}

/// Whether what failed at several nodes fails at one as well.
fn is_final(error: &Error) -> bool {
    use ErrorCode::{QueryTooLarge, QueryTooLong, QueryTooManyScanned};
    matches!(error.code(), QueryTooLarge | QueryTooLong | QueryTooManyScanned)
}

/// The rows of a plan.
pub(crate) struct Begun {
    pub(crate) stream: SendableRecordBatchStream,
    /// Whether parts of it run at other nodes.
    pub(crate) is_spread: bool,
}

impl Begun {
    pub(crate) fn new(
        plan: Arc<dyn ExecutionPlan>,
        context: Arc<TaskContext>,
        is_spread: bool,
    ) -> Result<Self, DataFusionError> {
        Ok(Begun { stream: execute_stream(plan, context)?, is_spread })
    }
}

/// Rows that have come, and those that follow.
fn with_first(first: RecordBatch, rest: SendableRecordBatchStream) -> SendableRecordBatchStream {
    let schema = rest.schema();
    let all = futures::stream::once(std::future::ready(Ok(first))).chain(rest);
    Box::pin(RecordBatchStreamAdapter::new(schema, all))
}

pub(crate) fn too_long(timeout: Duration) -> Error {
    let detail = format!("the statement took more than {} ms", timeout.as_millis());
    Error::new(ErrorCode::QueryTooLong, detail)
}

#[cfg(test)]
#[path = "sql_test.rs"]
mod tests;
