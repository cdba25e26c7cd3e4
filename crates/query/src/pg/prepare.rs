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
use futures::future::BoxFuture;
use isogrid_core::{Error, ErrorCode};

use super::refused::Refused;
use super::rewrite::{self, CATALOG};
use super::tables::PgCatalog;
use super::{DATABASE, PgSession, functions, names, parameters, routing as of_routing};
use crate::routing;
use crate::sql::{Answer, Sql, too_long};
use crate::table::GridSchema;
use crate::unvalued::unvalued;
use crate::write::{Plan, Writing};

/// For how long a plan is good.
const PLAN_AGE_MAX: Duration = Duration::from_secs(10);

/// A statement that can be run.
#[derive(Clone, Debug)]
pub struct Prepared {
    statement: Arc<Statement>,
    given: Arc<[Option<DataType>]>,
    plan: LogicalPlan,
    /// What is done with the rows of that plan, if they are written.
    writing: Option<Plan>,
    /// What the plan explains, if that is a statement that writes.
    explained: Option<Arc<Writing>>,
    planned: Instant,
    parameters: Vec<DataType>,
    /// Whether it is asked where it goes.
    is_routing: bool,
    /// As its client wrote it, without values.
    unvalued: Arc<str>,
}

impl Prepared {
    /// The types of `$1`, `$2` and so on.
    pub fn parameters(&self) -> &[DataType] {
        &self.parameters
    }

    /// The columns of the answer. Their names are for [`Prepared::shown`].
    pub fn schema(&self) -> SchemaRef {
        match &self.writing {
            Some(plan) => plan.writing.schema(),
            None if self.is_routing => routing::schema(),
            None => Arc::clone(self.plan.schema().inner()),
        }
    }

    /// Whether it writes.
    pub fn writes(&self) -> bool {
        self.writing.is_some()
    }

    /// Whether no row is told of it, but only how many were written.
    pub fn is_silent(&self) -> bool {
        self.writing.as_ref().is_some_and(|plan| !plan.writing.returns_rows())
    }

    /// The statement as its client wrote it, with `?` for the values in it.
    pub fn unvalued(&self) -> &str {
        &self.unvalued
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

    /// Plans a statement that reads or writes. `given`: the types of its parameters, as far as the client says them.
    ///
    /// # Errors
    /// The statement names what is not there, or takes too long to plan.
    pub fn prepare<'a>(
        &'a self,
        statement: &Statement,
        given: Vec<Option<DataType>>,
        session: &'a PgSession,
    ) -> BoxFuture<'a, Result<Prepared, Refused>> {
        let unvalued = unvalued(statement).into();
        let mut statement = statement.clone();
        Box::pin(async move {
            names::give(&mut statement);
            rewrite::rewrite(&mut statement, &given)?;
            let plan = self.plan(Arc::new(statement), given.into(), session).await?;
            Ok(Prepared { unvalued, ..plan })
        })
    }

    /// Runs a prepared statement with values for its parameters.
    ///
    /// # Errors
    /// Those of [`Sql::prepare`], and its columns may have become others.
    pub fn run_prepared<'a>(
        &'a self,
        prepared: &'a Prepared,
        values: Vec<ScalarValue>,
        session: &'a PgSession,
    ) -> BoxFuture<'a, Result<Answer, Refused>> {
        Box::pin(self.go_on_with(prepared, values, session))
    }

    async fn go_on_with(
        &self,
        prepared: &Prepared,
        values: Vec<ScalarValue>,
        session: &PgSession,
    ) -> Result<Answer, Refused> {
        let wishful = self.with(session.wishes());
        let until = tokio::time::Instant::now() + self.limits.timeout;
        self.grid.counts.begins();
        let begun = async {
            let prepared = self.fresh(prepared, session).await?;
            let begun = wishful.begin_prepared(&prepared, values, (session, until)).await;
            begun.map_err(|error| Refused::of_plan(&error))
        };
        let begun = tokio::time::timeout_at(until, begun).await;
        begun
            .unwrap_or_else(|_| Err(Refused::from(too_long(self.limits.timeout))))
            .inspect_err(|_| self.grid.counts.fails())
    }

    async fn begin_prepared(
        &self,
        prepared: &Prepared,
        values: Vec<ScalarValue>,
        (session, until): (&PgSession, tokio::time::Instant),
    ) -> Result<Answer, DataFusionError> {
        let context = self.pg_context(session)?;
        if let Some(plan) = &prepared.writing {
            let query = prepared.plan.clone().with_param_values(values)?;
            return Ok(self.run_writing(plan.with_query(query), context, until));
        }
        let plan = prepared.plan.clone().with_param_values(values)?;
        let stream = match prepared.is_routing {
            true => self.routing(&context.state(), &plan).await?,
            false => self.stream(context.state(), plan).await?,
        };
        Ok(match &prepared.explained {
            Some(writing) => self.answer(writing.told(stream), until),
            None => self.answer(stream, until),
        })
    }

    async fn fresh(&self, prepared: &Prepared, session: &PgSession) -> Result<Prepared, Refused> {
        if prepared.planned.elapsed() < PLAN_AGE_MAX {
            return Ok(prepared.clone());
        }
        let (statement, given) = (Arc::clone(&prepared.statement), Arc::clone(&prepared.given));
        let anew = self.plan(statement, given, session).await?;
        if anew.schema() != prepared.schema() || anew.parameters != prepared.parameters {
            let detail = "the columns of a prepared statement have become others: prepare it again";
            let error = Error::new(ErrorCode::QueryInvalid, detail);
            return Err(Refused { state: "0A000", error });
        }
        Ok(Prepared { unvalued: Arc::clone(&prepared.unvalued), ..anew })
    }

    async fn plan(
        &self,
        statement: Arc<Statement>,
        given: Arc<[Option<DataType>]>,
        session: &PgSession,
    ) -> Result<Prepared, Refused> {
        let inner = of_routing::inner(&statement);
        let is_routing = inner.is_some();
        let writing = match is_routing {
            true => Ok(None),
            false => Writing::of_statement(&statement),
        };
        let writing = writing.map_err(|error| Refused { state: "0A000", error })?;
        let planning = async {
            let context = self.pg_context(session)?;
            let (plan, writing, explained) = match writing {
                None => {
                    let one = inner.unwrap_or(&*statement).clone();
                    let parsed = Parsed::Statement(Box::new(one));
                    (context.state().statement_to_plan(parsed).await?, None, None)
                }
                Some(writing) => self.plan_pg_writing(&context, writing).await?,
            };
            let options = SQLOptions::new().with_allow_ddl(false).with_allow_dml(false);
            options.with_allow_statements(false).verify_plan(&plan)?;
            let parameters = parameters::types(&plan, &given)?;
            Ok::<_, DataFusionError>((plan, writing, explained, parameters))
        };
        let planned = tokio::time::timeout(self.limits.timeout, planning).await;
        let planned = planned.map_err(|_| Refused::from(too_long(self.limits.timeout)))?;
        let (plan, writing, explained, parameters) =
            planned.map_err(|error| Refused::of_plan(&error))?;
        let planned = Instant::now();
        let prepared = Prepared {
            statement,
            given,
            plan,
            writing,
            explained,
            planned,
            parameters,
            is_routing,
            unvalued: Arc::default(),
        };
        Ok(prepared)
    }

    /// What a statement that writes reads, and what is done with that or what it explains.
    async fn plan_pg_writing(
        &self,
        context: &SessionContext,
        mut writing: Writing,
    ) -> Result<(LogicalPlan, Option<Plan>, Option<Arc<Writing>>), DataFusionError> {
        self.show_bytes(context, &writing)?;
        self.type_parameters(&mut writing).await?;
        let writing = Arc::new(writing);
        if let Some(explained) = writing.explained() {
            let plan = context.state().statement_to_plan(explained).await?;
            return Ok((plan, None, Some(writing)));
        }
        let plan = self.plan_writing(context, writing).await?;
        Ok((plan.query.clone(), Some(plan), None))
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
