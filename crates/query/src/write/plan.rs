//! [`Plan`]: the query of a statement that writes, its columns as they are needed, and what each of them is for.

use std::collections::BTreeSet;
use std::sync::Arc;

use datafusion::arrow::datatypes::DataType;
use datafusion::catalog::default_table_source::source_as_provider;
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::common::{Column, Result, ScalarValue, plan_err};
use datafusion::execution::SendableRecordBatchStream;
use datafusion::execution::context::SQLOptions;
use datafusion::logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder, cast};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::prelude::SessionContext;
use datafusion::sql::parser::{ExplainStatement, Statement as Parsed};
use datafusion::sql::sqlparser::ast::{SetExpr, Statement};
use futures::{StreamExt, stream};
use isogrid_core::{ColumnType, MapSchema};

use super::{Present, What, Writing, set_name};
use crate::columns::{
    Columns, EXPIRES_AT, KEY, KEY_BYTES, VALUE, VALUE_BYTES, VERSION, data_type, time_type,
};
use crate::pg::names;
use crate::session::{CATALOG, SCHEMA};
use crate::spread::text_row;
use crate::sql::Sql;
use crate::table::{GridSchema, GridTable};

/// What a column of the query is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Use {
    /// The key, or its bytes.
    Key,
    /// The whole value as it was.
    OldValue,
    /// The version that was read.
    Version,
    /// A field of the value. A column of JSON takes text that is JSON.
    Field(String, Option<ColumnType>),
    /// The whole value as it is to be.
    Value,
    /// When the record is to expire.
    ExpiresAt,
    /// Nothing: it is there to be asked for again.
    Nothing,
}

/// A statement that can be run.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) writing: Arc<Writing>,
    /// What is read.
    pub(crate) query: LogicalPlan,
    /// What its columns are for.
    pub(super) uses: Arc<[Use]>,
    /// Whether all is read before the first record is written, because the query reads what is written.
    pub(super) is_read_first: bool,
    /// Whether a record may be found twice, because others move it in an index meanwhile.
    pub(super) may_repeat: bool,
}

impl Plan {
    /// The same with another query, whose parameters have values.
    pub(crate) fn with_query(&self, query: LogicalPlan) -> Plan {
        Plan { query, ..self.clone() }
    }

    /// The query, over records of these keys only.
    pub(super) fn of_keys(&self, keys: &[String]) -> Result<LogicalPlan> {
        let list = keys.iter().map(|key| Expr::Literal(ScalarValue::from(key.as_str()), None));
        let one = Expr::Column(Column::new_unqualified(KEY)).in_list(list.collect(), false);
        LogicalPlanBuilder::from(self.query.clone()).filter(one)?.build()
    }
}

/// Refuses a query that does anything but read.
pub(super) fn check(plan: &LogicalPlan) -> Result<()> {
    let options = SQLOptions::new().with_allow_ddl(false).with_allow_dml(false);
    options.with_allow_statements(false).verify_plan(plan)
}

impl Writing {
    /// What explains it: the same for its query.
    pub(crate) fn explained(&self) -> Option<Parsed> {
        let query = || Statement::Query(self.read.clone());
        match self.explain.as_deref()? {
            Parsed::Explain(explain) => Some(Parsed::Explain(ExplainStatement {
                options: explain.options.clone(),
                statement: Box::new(Parsed::Statement(Box::new(query()))),
            })),
            Parsed::Statement(one) => match (**one).clone() {
                Statement::Explain {
                    describe_alias,
                    analyze,
                    verbose,
                    query_plan,
                    estimate,
                    format,
                    options,
                    ..
                } => {
                    let statement = Box::new(query());
                    Some(Parsed::Statement(Box::new(Statement::Explain {
                        describe_alias,
                        analyze,
                        verbose,
                        query_plan,
                        estimate,
                        statement,
                        format,
                        options,
                    })))
                }
                _ => None,
            },
            _ => None,
        }
    }

    /// What EXPLAIN says of the query, behind a row that says what is written.
    pub(crate) fn told(&self, rows: SendableRecordBatchStream) -> SendableRecordBatchStream {
        let schema = rows.schema();
        let what = match &self.what {
            What::Insert { present: Present::Refused, .. } => {
                "insert: if the key is absent".to_owned()
            }
            What::Insert { present: Present::Skipped, .. } => {
                "insert: if the key is absent, else nothing".to_owned()
            }
            What::Insert { present: Present::Replaced, .. } => {
                "upsert: whatever is there".to_owned()
            }
            What::Update { columns } => {
                format!("update: {}, if the record is the one that was read", columns.join(", "))
            }
            What::Delete => "delete: if the record is the one that was read".to_owned(),
        };
        let line = format!("GridWrite: map={}, {what}", self.map);
        let first = text_row(&schema, "write_plan", &line);
        let all = stream::once(std::future::ready(first)).chain(rows);
        Box::pin(RecordBatchStreamAdapter::new(schema, all))
    }
}

impl Sql {
    /// Where a statement that writes is planned: the map shows its records' bytes too.
    pub(crate) fn writing_context(&self, writing: &Writing) -> Result<SessionContext> {
        let context = self.context()?;
        self.show_bytes(&context, writing)?;
        Ok(context)
    }

    /// Lets a map show its records' bytes, if it is one of which records are changed.
    pub(crate) fn show_bytes(&self, context: &SessionContext, writing: &Writing) -> Result<()> {
        if !matches!(writing.what, What::Insert { .. })
            && let Some(catalog) = context.catalog(CATALOG)
        {
            let schema = GridSchema::writing(self.grid.clone(), &writing.map);
            catalog.register_schema(SCHEMA, Arc::new(schema))?;
        }
        Ok(())
    }

    /// Plans what a statement reads.
    pub(crate) async fn plan_writing(
        &self,
        context: &SessionContext,
        writing: Arc<Writing>,
    ) -> Result<Plan> {
        let map = &writing.map;
        let Some(defined) = self.grid.source.map(map) else {
            return plan_err!("table '{map}' not found: there is no map of this name to write to");
        };
        let given = defined.schema.as_ref();
        let mut query = Statement::Query(writing.read.clone());
        let columns = inserted(&writing, given)?;
        if columns.is_some() {
            // What the columns of the query are called says nothing, and need not differ.
            names::give(&mut query);
        }
        let parsed = Parsed::Statement(Box::new(query));
        let plan = context.state().statement_to_plan(parsed).await?;
        check(&plan)?;
        let scans = scans(&plan, map)?;
        let (query, uses, others) = match &writing.what {
            What::Insert { .. } => {
                let (query, uses) = inserting(plan, map, given, columns)?;
                (query, uses, 0)
            }
            What::Update { columns } => {
                let (query, uses) = updating(plan, map, given, columns)?;
                (query, uses, 1)
            }
            What::Delete => (plan, vec![Use::Nothing, Use::Key, Use::Version], 1),
        };
        // A walk along an index would meet a record again whose place in it changes.
        let moves = matches!(writing.what, What::Update { .. }) && !defined.indexes.is_empty();
        let is_read_first = scans > others || moves;
        Ok(Plan { writing, query, uses: uses.into(), is_read_first, may_repeat: moves })
    }
}

/// How often a query reads a map.
fn scans(plan: &LogicalPlan, map: &str) -> Result<usize> {
    let mut count = 0;
    plan.apply_with_subqueries(|node| {
        if let LogicalPlan::TableScan(scan) = node {
            count += usize::from(scan.table_name.table() == map);
        }
        Ok(TreeNodeRecursion::Continue)
    })?;
    Ok(count)
}

/// The names of the columns that are inserted, as far as the statement or the map says them.
fn inserted(writing: &Writing, given: Option<&MapSchema>) -> Result<Option<Vec<String>>> {
    let What::Insert { columns, .. } = &writing.what else { return Ok(None) };
    match (columns, writing.read.body.as_ref(), given) {
        (Some(columns), ..) => Ok(Some(columns.clone())),
        (None, SetExpr::Values(_), Some(given)) => {
            let own = given.columns.iter().map(|column| column.name.clone());
            Ok(Some(std::iter::once(KEY.to_owned()).chain(own).collect()))
        }
        (None, SetExpr::Values(_), None) => {
            let map = &writing.map;
            plan_err!(
                "say what the values are, because {map} has no columns of its own: INSERT INTO {map} (_key, …) VALUES …"
            )
        }
        (None, ..) => Ok(None),
    }
}

fn inserting(
    plan: LogicalPlan,
    map: &str,
    given: Option<&MapSchema>,
    columns: Option<Vec<String>>,
) -> Result<(LogicalPlan, Vec<Use>)> {
    let schema = Arc::clone(plan.schema());
    let shown = |name: &str| names::shown(name).to_owned();
    let columns = columns
        .unwrap_or_else(|| schema.fields().iter().map(|field| shown(field.name())).collect());
    if columns.len() != schema.fields().len() {
        let (wanted, found) = (columns.len(), schema.fields().len());
        return plan_err!("{wanted} columns are named, and each row has {found} values");
    }
    let uses = columns
        .iter()
        .map(|name| match name.as_str() {
            KEY => Ok(Use::Key),
            name => of_name(name, map, given),
        })
        .collect::<Result<Vec<Use>>>()?;
    check_names(&columns, &uses)?;
    if !uses.contains(&Use::Key) {
        return plan_err!("a record needs a key: _key is not among the columns");
    }
    let mut exprs = Vec::with_capacity(uses.len());
    for (place, one) in uses.iter().enumerate() {
        let (qualifier, field) = schema.qualified_field(place);
        let expr = Expr::Column(Column::from((qualifier, field)));
        exprs.push(fitted(expr, field.data_type(), one).alias(set_name(place)));
    }
    Ok((LogicalPlanBuilder::from(plan).project(exprs)?.build()?, uses))
}

fn updating(
    plan: LogicalPlan,
    map: &str,
    given: Option<&MapSchema>,
    columns: &[String],
) -> Result<(LogicalPlan, Vec<Use>)> {
    let mut uses = vec![Use::Nothing, Use::Key, Use::Version, Use::OldValue];
    let mut exprs: Vec<Expr> = [KEY, KEY_BYTES, VERSION, VALUE_BYTES]
        .map(|name| Expr::Column(Column::new_unqualified(name)))
        .to_vec();
    let sampled = if given.is_none() { sampled(&plan, map)? } else { None };
    let mut set = Vec::with_capacity(columns.len());
    for (place, name) in columns.iter().enumerate() {
        if name == KEY {
            return plan_err!("_key cannot be set: INSERT another record, and DELETE this one");
        }
        if given.is_some_and(|given| given.partition_by.as_ref() == Some(name)) {
            return plan_err!(
                "{name} cannot be set: {map} is partitioned by it, so it is part of each record's key"
            );
        }
        let mut one = of_name(name, map, given)?;
        if let (Use::Field(_, holds), Some(sampled)) = (&mut one, &sampled) {
            // Fields of several types, lists and objects are shown as JSON, and set so.
            *holds = sampled.holds(name).filter(|holds| *holds == ColumnType::Json);
        }
        let expr = Expr::Column(Column::new_unqualified(set_name(place)));
        let field = plan.schema().field_with_unqualified_name(&set_name(place))?;
        exprs.push(fitted(expr, field.data_type(), &one).alias(set_name(place)));
        set.push(one);
    }
    check_names(columns, &set)?;
    uses.extend(set);
    Ok((LogicalPlanBuilder::from(plan).project(exprs)?.build()?, uses))
}

/// The columns of a map that was looked at to plan this.
fn sampled(plan: &LogicalPlan, map: &str) -> Result<Option<Columns>> {
    let mut columns = None;
    plan.apply(|node| {
        if let LogicalPlan::TableScan(scan) = node
            && scan.table_name.table() == map
            && let Ok(provider) = source_as_provider(&scan.source)
            && let Some(table) = provider.downcast_ref::<GridTable>()
        {
            columns = Some(table.columns().clone());
            return Ok(TreeNodeRecursion::Stop);
        }
        Ok(TreeNodeRecursion::Continue)
    })?;
    Ok(columns)
}

/// What a column of this name is for.
fn of_name(name: &str, map: &str, given: Option<&MapSchema>) -> Result<Use> {
    match (name, given) {
        (VALUE, _) => Ok(Use::Value),
        (EXPIRES_AT, _) => Ok(Use::ExpiresAt),
        (name, _) if name.starts_with('_') || name.is_empty() => {
            plan_err!(
                "{name:?} is the grid's own and cannot be written; _key, _value and _expires_at can be inserted"
            )
        }
        (name, None) => Ok(Use::Field(name.to_owned(), None)),
        (name, Some(given)) => match given.column(name) {
            Some(column) => Ok(Use::Field(name.to_owned(), Some(column.holds))),
            None => plan_err!("map {map} has no column {name:?}"),
        },
    }
}

fn check_names(columns: &[String], uses: &[Use]) -> Result<()> {
    let mut seen = BTreeSet::new();
    if let Some(twice) = columns.iter().find(|name| !seen.insert(*name)) {
        return plan_err!("the column {twice:?} is named twice");
    }
    let has_fields = uses.iter().any(|one| matches!(one, Use::Field(..)));
    match has_fields && uses.contains(&Use::Value) {
        true => plan_err!("_value is the whole value: it cannot be written together with fields"),
        false => Ok(()),
    }
}

/// A value as its column takes it. What would lose something is left as it is: the owner of the record refuses it.
fn fitted(expr: Expr, from: &DataType, what: &Use) -> Expr {
    let is_text = matches!(from, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View);
    let is_bytes = matches!(from, DataType::Binary | DataType::LargeBinary | DataType::BinaryView);
    let is_decimal = matches!(from, DataType::Decimal128(..) | DataType::Decimal256(..));
    let is_time = matches!(from, DataType::Timestamp(..) | DataType::Date32 | DataType::Date64);
    match what {
        Use::Key | Use::Value if is_text || is_bytes => expr,
        Use::Key | Use::Value => cast(expr, DataType::Utf8),
        Use::ExpiresAt => cast(expr, time_type()),
        Use::Field(_, Some(holds)) => {
            let is_wanted = match holds {
                ColumnType::Json => false,
                ColumnType::Text => !is_text && !is_bytes,
                ColumnType::BigInt | ColumnType::Boolean => is_text,
                ColumnType::Double => is_text || from.is_integer() || is_decimal,
                ColumnType::Bytes => is_text,
                ColumnType::Timestamp => is_text || is_time || from.is_integer(),
            };
            if is_wanted { cast(expr, data_type(*holds)) } else { expr }
        }
        Use::Field(_, None) | Use::OldValue | Use::Version | Use::Nothing => expr,
    }
}
