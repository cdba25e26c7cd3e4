//! [`Prepared`]: a statement with the types of its parameters and the columns of its answer, before it is run. It keeps its
//! plan, so that an answer has the columns that were told; a plan that is old is made anew, because maps get new fields.

use std::sync::Arc;
use std::time::{Duration, Instant};

use datafusion::arrow::datatypes::{DataType, SchemaRef};
use datafusion::catalog::SchemaProvider;
use datafusion::common::ScalarValue;
use datafusion::error::DataFusionError;
use datafusion::execution::context::SQLOptions;
use datafusion::logical_expr::LogicalPlan;
use datafusion::prelude::SessionContext;
use datafusion::sql::parser::Statement as Parsed;
use datafusion::sql::sqlparser::ast::Statement;
use isogrid_core::{Error, ErrorCode};

use super::refused::Refused;
use super::rewrite::{self, CATALOG};
use super::tables::PgCatalog;
use super::{DATABASE, PgSession, functions, names, parameters, routing as of_routing};
use crate::routing;
use crate::sql::{Answer, Sql, too_long};
use crate::table::GridSchema;

/// For how long a plan is good.
const PLAN_AGE_MAX: Duration = Duration::from_secs(10);

/// A statement that can be run.
#[derive(Clone, Debug)]
pub struct Prepared {
    statement: Arc<Statement>,
    given: Arc<[Option<DataType>]>,
    plan: LogicalPlan,
    planned: Instant,
    parameters: Vec<DataType>,
    /// Whether it is asked where it goes.
    is_routing: bool,
}

impl Prepared {
    /// The types of `$1`, `$2` and so on.
    pub fn parameters(&self) -> &[DataType] {
        &self.parameters
    }

    /// The columns of the answer. Their names are for [`Prepared::shown`].
    pub fn schema(&self) -> SchemaRef {
        match self.is_routing {
            true => routing::schema(),
            false => Arc::clone(self.plan.schema().inner()),
        }
    }

    /// The name of a column as clients see it.
    pub fn shown(name: &str) -> &str {
        names::shown(name)
    }
}

impl Sql {
    /// How long a statement may take.
    pub fn patience(&self) -> Duration {
        self.limits.timeout
    }

    /// Plans a statement that reads. `given`: the types of its parameters, as far as the client says them.
    ///
    /// # Errors
    /// The statement names what is not there, would change something, or takes too long to plan.
    pub async fn prepare(
        &self,
        statement: &Statement,
        given: Vec<Option<DataType>>,
        session: &PgSession,
    ) -> Result<Prepared, Refused> {
        let mut statement = statement.clone();
        names::give(&mut statement);
        rewrite::rewrite(&mut statement, &given)?;
        self.plan(Arc::new(statement), given.into(), session).await
    }

    /// Runs a prepared statement with values for its parameters.
    ///
    /// # Errors
    /// Those of [`Sql::prepare`], and its columns may have become others.
    pub async fn run_prepared(
        &self,
        prepared: &Prepared,
        values: Vec<ScalarValue>,
        session: &PgSession,
    ) -> Result<Answer, Refused> {
        let wishful = self.with(session.wishes());
        let until = tokio::time::Instant::now() + self.limits.timeout;
        self.grid.counts.begins();
        let begun = async {
            let plan = self.fresh(prepared, session).await?;
            let context = wishful.pg_context(session).map_err(|e| Refused::of_plan(&e))?;
            let frame = context.execute_logical_plan(plan).await;
            let frame = frame.and_then(|frame| frame.with_param_values(values));
            let stream = match frame {
                Ok(frame) => {
                    let (state, logical) = frame.into_parts();
                    match prepared.is_routing {
                        true => self.routing(&state, &logical).await,
                        false => wishful.stream(state, logical).await,
                    }
                }
                Err(error) => Err(error),
            };
            stream.map_err(|error| Refused::of_plan(&error))
        };
        let begun = tokio::time::timeout_at(until, begun).await;
        let stream = begun
            .unwrap_or_else(|_| Err(Refused::from(too_long(self.limits.timeout))))
            .inspect_err(|_| self.grid.counts.fails())?;
        Ok(self.answer(stream, until))
    }

    async fn fresh(
        &self,
        prepared: &Prepared,
        session: &PgSession,
    ) -> Result<LogicalPlan, Refused> {
        if prepared.planned.elapsed() < PLAN_AGE_MAX {
            return Ok(prepared.plan.clone());
        }
        let (statement, given) = (Arc::clone(&prepared.statement), Arc::clone(&prepared.given));
        let anew = self.plan(statement, given, session).await?;
        if anew.schema() != prepared.schema() || anew.parameters != prepared.parameters {
            let detail = "the columns of a prepared statement have become others: prepare it again";
            let error = Error::new(ErrorCode::QueryInvalid, detail);
            return Err(Refused { state: "0A000", error });
        }
        Ok(anew.plan)
    }

    async fn plan(
        &self,
        statement: Arc<Statement>,
        given: Arc<[Option<DataType>]>,
        session: &PgSession,
    ) -> Result<Prepared, Refused> {
        let inner = of_routing::inner(&statement);
        let is_routing = inner.is_some();
        let planning = async {
            let context = self.pg_context(session)?;
            let parsed = Parsed::Statement(Box::new(inner.unwrap_or(&*statement).clone()));
            let plan = context.state().statement_to_plan(parsed).await?;
            let options = SQLOptions::new().with_allow_ddl(false).with_allow_dml(false);
            options.with_allow_statements(false).verify_plan(&plan)?;
            let parameters = parameters::types(&plan, &given)?;
            Ok::<_, DataFusionError>((plan, parameters))
        };
        let planned = tokio::time::timeout(self.limits.timeout, planning).await;
        let planned = planned.map_err(|_| Refused::from(too_long(self.limits.timeout)))?;
        let (plan, parameters) = planned.map_err(|error| Refused::of_plan(&error))?;
        Ok(Prepared { statement, given, plan, planned: Instant::now(), parameters, is_routing })
    }

    /// Where PostgreSQL's catalogue and functions are known too.
    fn pg_context(&self, session: &PgSession) -> Result<SessionContext, DataFusionError> {
        let context = self.context()?;
        let zone = Some("UTC".to_owned());
        context.state_ref().write().config_mut().options_mut().execution.time_zone = zone;
        functions::register(&context, session, &self.grid.source);
        if let Some(catalog) = context.catalog(DATABASE) {
            let maps = Arc::new(GridSchema::new(self.grid.clone()));
            let pg: Arc<dyn SchemaProvider> = Arc::new(PgCatalog::new(maps, session.clone()));
            catalog.register_schema(CATALOG, pg)?;
        }
        Ok(context)
    }
}
