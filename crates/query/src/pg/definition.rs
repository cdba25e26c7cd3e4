//! [`PgDefinition`]: a statement that makes, changes, drops or shows maps, as PostgreSQL's clients hear of it.

use datafusion::arrow::datatypes::SchemaRef;
use datafusion::sql::sqlparser::tokenizer::Token;
use futures::future::BoxFuture;
use isogrid_core::ErrorCode;

use super::refused::Refused;
use crate::ddl::{self, Definition};
use crate::sql::{Answer, Sql};

/// A statement about what maps there are.
#[derive(Clone, Debug)]
pub struct PgDefinition(Definition);

impl PgDefinition {
    /// What the tokens of a statement define; `None` when it is of another kind.
    pub(super) fn of(tokens: &[Token]) -> Result<Option<Self>, Refused> {
        let definition = Definition::of_tokens(tokens.to_vec()).map_err(Refused::syntax)?;
        Ok(definition.map(PgDefinition))
    }

    /// The columns of its answer, if it has one.
    pub fn schema(&self) -> Option<SchemaRef> {
        let names = self.0.shows();
        (!names.is_empty()).then(|| ddl::schema(names))
    }

    /// How its end is told.
    pub fn tag(&self) -> &'static str {
        match self.0 {
            Definition::Create { .. } => "CREATE TABLE",
            Definition::Alter { .. } => "ALTER TABLE",
            Definition::Drop { .. } => "DROP TABLE",
            Definition::Describe { .. } => "DESCRIBE",
            Definition::ShowCreate { .. }
            | Definition::ShowMaps
            | Definition::ShowIndexes { .. } => "SHOW",
            Definition::CreateIndex { .. } => "CREATE INDEX",
            Definition::DropIndex { .. } => "DROP INDEX",
        }
    }
}

impl Sql {
    /// Does what a statement about maps wants.
    ///
    /// # Errors
    /// There is no such map, or there is one already, or the cluster cannot decide now.
    pub fn define<'a>(
        &'a self,
        definition: &'a PgDefinition,
    ) -> BoxFuture<'a, Result<Answer, Refused>> {
        Box::pin(self.carry_out(definition))
    }

    async fn carry_out(&self, definition: &PgDefinition) -> Result<Answer, Refused> {
        self.grid.counts.begins();
        let until = tokio::time::Instant::now() + self.limits.timeout;
        let done = self.defined(definition.0.clone(), until).await;
        done.map_err(|error| {
            let detail = error.detail();
            let state = match error.code() {
                ErrorCode::QueryInvalid if detail.starts_with("there is no map") => "42P01",
                ErrorCode::QueryInvalid if detail.starts_with("there is a map") => "42P07",
                ErrorCode::ArgumentInvalid => "22023",
                _ => return Refused::from(error),
            };
            Refused { state, error }
        })
    }
}
