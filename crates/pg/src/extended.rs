//! Extended queries: a statement is parsed once, bound to values, described, and executed, all of its rows at once or some
//! at a time.

use std::collections::HashMap;
use std::sync::Arc;

use isogrid_query::arrow::datatypes::{DataType, SchemaRef};
use isogrid_query::pg::{Command, PgDefinition, PgStatement, Prepared, Refused, oids};
use isogrid_query::{ScalarValue, Statement};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::command;
use crate::connection::Connection;
use crate::decode;
use crate::fault::{Fault, refused};
use crate::limits::{
    COLUMNS_MAX, HELD_BYTES_MAX, PORTALS_MAX, STATEMENT_BYTES_MAX, STATEMENT_WEIGHT,
    STATEMENTS_MAX, SUSPENDED_MAX,
};
use crate::message::{Bind, Formats, Target, is_too_many};
use crate::reply;
use crate::rows::{Running, earlier};
use crate::simple::tag;

/// A statement that was parsed.
pub(crate) struct Known {
    what: What,
    /// The numbers of the types of its parameters.
    types: Vec<u32>,
    bytes: usize,
}

/// What a statement is.
enum What {
    Nothing,
    Session(Command),
    Definition(PgDefinition),
    Query(Box<Statement>, Arc<Prepared>),
}

/// A statement with values.
pub(crate) struct Portal {
    known: Arc<Known>,
    values: Vec<ScalarValue>,
    formats: Formats,
    state: State,
    /// How long the message with its values was.
    bytes: usize,
}

/// How far a portal is.
enum State {
    Bound,
    /// Some rows were taken, the last of them then.
    Suspended(Box<Running>, Instant),
    Done,
    /// Nobody took the rest for too long.
    Expired,
}

impl Portal {
    /// When its rows will have waited too long.
    pub(crate) fn expires_at(&self) -> Option<Instant> {
        match &self.state {
            State::Suspended(running, since) => {
                earlier(running.until(), Some(*since + SUSPENDED_MAX))
            }
            _ => None,
        }
    }

    /// Ends what has waited too long: a statement that waits keeps others out.
    pub(crate) fn expire(&mut self, now: Instant) {
        if self.expires_at().is_some_and(|at| at <= now) {
            self.state = State::Expired;
        }
    }
}

impl Known {
    fn schema(&self) -> Option<SchemaRef> {
        match &self.what {
            What::Nothing => None,
            What::Session(command) => command::columns(command),
            What::Definition(definition) => definition.schema(),
            What::Query(_, prepared) => Some(prepared.schema()),
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Connection<'_, S> {
    pub(crate) async fn parse(
        &mut self,
        name: String,
        text: &str,
        types: &[u32],
    ) -> Result<(), Fault> {
        if is_too_many(types.len()) {
            return Err(refused("54000", format!("{} parameters", types.len())).into());
        }
        if text.len() > STATEMENT_BYTES_MAX {
            let (bytes, most) = (text.len(), STATEMENT_BYTES_MAX);
            let detail = format!("a prepared statement of {bytes} bytes, at most {most}");
            return Err(refused("54000", detail).into());
        }
        let mut statements = PgStatement::parse(text)?;
        if statements.len() > 1 {
            let detail = format!("{} statements where one is prepared", statements.len());
            return Err(refused("42601", detail).into());
        }
        if !name.is_empty() && self.statements.contains_key(&name) {
            return Err(refused("42P05", format!("{name:?} is prepared already")).into());
        }
        self.statements.remove(&name);
        let bytes = text.len() * STATEMENT_WEIGHT;
        if self.statements.len() >= STATEMENTS_MAX || self.held(None) + bytes > HELD_BYTES_MAX {
            let count = self.statements.len();
            let detail = format!("{count} statements are prepared here: close some of them");
            return Err(refused("53400", detail).into());
        }
        let (what, types) = match statements.pop() {
            None => (What::Nothing, Vec::new()),
            Some(PgStatement::Session(command)) => (What::Session(command), Vec::new()),
            Some(PgStatement::Definition(definition)) => (What::Definition(definition), Vec::new()),
            Some(PgStatement::Query(statement)) => {
                self.check_standing()?;
                let token = self.cancel.begin();
                let given = types.iter().map(|oid| decode::given(*oid)).collect();
                let prepared = self.prepare(&statement, given, &token).await?;
                self.cancel.end();
                let numbers = numbers(types, prepared.parameters());
                (What::Query(statement, Arc::new(prepared)), numbers)
            }
        };
        let known = Known { what, types, bytes };
        self.statements.insert(name, Arc::new(known));
        reply::plain(&mut self.wire.outbox, b'1');
        Ok(())
    }

    /// Plans a statement, while it is waited for.
    pub(crate) async fn prepare(
        &mut self,
        statement: &Statement,
        given: Vec<Option<DataType>>,
        token: &CancellationToken,
    ) -> Result<Prepared, Fault> {
        let (session, until) = (self.session(), self.until());
        let (runner, stopping) = (Arc::clone(&self.runner), self.stopping().clone());
        let preparing = runner.prepare(statement, given, &session);
        let prepared = Self::wait(self.wire, (token, &stopping), until, preparing).await??;
        let columns = prepared.schema().fields().len();
        if columns > COLUMNS_MAX {
            let detail = format!("an answer of {columns} columns, at most {COLUMNS_MAX}");
            return Err(refused("54011", detail).into());
        }
        Ok(prepared)
    }

    /// How many bytes are held: by values, and by statements, of which a portal may be the last to know. `without`: the
    /// portal that is about to go.
    fn held(&self, without: Option<&str>) -> usize {
        let portals = || {
            let stays = |(name, _): &(&String, &Portal)| Some(name.as_str()) != without;
            self.portals.iter().filter(stays).map(|(_, portal)| portal)
        };
        let values: usize = portals().map(|portal| portal.bytes).sum();
        let known = self.statements.values().chain(portals().map(|portal| &portal.known));
        let known: HashMap<*const Known, usize> =
            known.map(|known| (Arc::as_ptr(known), known.bytes)).collect();
        values + known.values().sum::<usize>()
    }

    fn known(&self, name: &str) -> Result<Arc<Known>, Refused> {
        let known = self.statements.get(name).map(Arc::clone);
        known.ok_or_else(|| refused("26000", format!("no statement {name:?} is prepared")))
    }

    pub(crate) fn bind(&mut self, bind: Bind) -> Result<(), Fault> {
        let known = self.known(&bind.statement)?;
        if bind.values.len() != known.types.len() {
            let (given, wanted) = (bind.values.len(), known.types.len());
            return Err(refused("08P01", format!("{given} values for {wanted} parameters")).into());
        }
        if self.portals.len() >= PORTALS_MAX && !self.portals.contains_key(&bind.portal) {
            return Err(refused("53400", format!("{PORTALS_MAX} portals are open")).into());
        }
        if self.held(Some(&bind.portal)) + bind.bytes > HELD_BYTES_MAX {
            let detail = "what is prepared and bound here is too much: close some of it";
            return Err(refused("53400", detail).into());
        }
        let wanted = match &known.what {
            What::Query(_, prepared) => prepared.parameters(),
            _ => &[],
        };
        let value = |(place, wanted): (usize, &DataType)| {
            let written = (known.types[place], bind.formats.is_binary(place));
            decode::value(bind.values[place].as_ref(), written, wanted)
        };
        let values = wanted.iter().enumerate().map(value).collect::<Result<Vec<_>, _>>()?;
        let (formats, bytes) = (bind.results, bind.bytes);
        let portal = Portal { known, values, formats, state: State::Bound, bytes };
        self.portals.insert(bind.portal, portal);
        reply::plain(&mut self.wire.outbox, b'2');
        Ok(())
    }

    pub(crate) fn describe(&mut self, target: Target, name: &str) -> Result<(), Fault> {
        let (schema, formats) = match target {
            Target::Statement => {
                let known = self.known(name)?;
                reply::parameters(&mut self.wire.outbox, &known.types);
                (known.schema(), Formats::default())
            }
            Target::Portal => {
                let portal = self.portals.get(name).ok_or_else(|| no_portal(name))?;
                (portal.known.schema(), portal.formats.clone())
            }
        };
        match schema {
            Some(schema) => reply::columns(&mut self.wire.outbox, &schema, &formats),
            None => reply::plain(&mut self.wire.outbox, b'n'),
        }
        Ok(())
    }

    pub(crate) async fn execute(&mut self, name: &str, rows_max: usize) -> Result<(), Fault> {
        // Taken out while it runs: what fails is gone.
        let mut portal = self.portals.remove(name).ok_or_else(|| no_portal(name))?;
        let known = Arc::clone(&portal.known);
        match &known.what {
            What::Nothing => reply::plain(&mut self.wire.outbox, b'I'),
            What::Session(command) => {
                let told = self.command(command)?;
                if let Some(rows) = told.rows {
                    self.write_fixed(&rows, &portal.formats)?;
                }
                reply::complete(&mut self.wire.outbox, told.tag);
            }
            What::Definition(definition) => self.define(definition, &portal.formats).await?,
            What::Query(statement, prepared) => {
                self.check_standing()?;
                self.execute_query((statement, prepared), &mut portal, rows_max).await?;
            }
        }
        self.portals.insert(name.to_owned(), portal);
        Ok(())
    }

    async fn execute_query(
        &mut self,
        (statement, prepared): (&Statement, &Arc<Prepared>),
        portal: &mut Portal,
        rows_max: usize,
    ) -> Result<(), Fault> {
        let token = self.cancel.begin();
        let mut running = match std::mem::replace(&mut portal.state, State::Done) {
            State::Suspended(running, _) => running,
            State::Bound => {
                let values = std::mem::take(&mut portal.values);
                let formats = portal.formats.clone();
                Box::new(self.begin_statement(prepared, values, formats, &token).await?)
            }
            State::Done => {
                reply::complete(&mut self.wire.outbox, &tag(statement, 0));
                return Ok(());
            }
            State::Expired => {
                let detail = "nobody took the rest of the rows in time";
                return Err(refused("57014", detail).into());
            }
        };
        let (rows, is_done) = self.write_rows(&mut running, rows_max, &token).await?;
        self.cancel.end();
        if is_done {
            reply::complete(&mut self.wire.outbox, &tag(statement, rows));
        } else {
            portal.state = State::Suspended(running, Instant::now());
            reply::plain(&mut self.wire.outbox, b's');
        }
        Ok(())
    }

    pub(crate) fn close(&mut self, target: Target, name: &str) {
        match target {
            Target::Statement => drop(self.statements.remove(name)),
            Target::Portal => drop(self.portals.remove(name)),
        }
        reply::plain(&mut self.wire.outbox, b'3');
    }
}

fn no_portal(name: &str) -> Refused {
    refused("34000", format!("there is no portal {name:?}"))
}

/// The types of parameters as the client hears of them: what it said itself, else what the statement takes.
fn numbers(said: &[u32], wanted: &[DataType]) -> Vec<u32> {
    let number = |(place, wanted): (usize, &DataType)| {
        let said = said.get(place).copied().filter(|oid| decode::given(*oid).is_some());
        said.unwrap_or_else(|| match oids::type_of(wanted) {
            (pg_type, true) => pg_type.array,
            (pg_type, false) => pg_type.oid,
        })
    };
    wanted.iter().enumerate().map(number).collect()
}
