//! Statements that write: how many rows were, and what became of each.

use arrow::array::Int64Array;
use arrow::datatypes::{DataType, SchemaRef};
use isogrid_core::{ErrorCode, Outcome};

use super::Sql;
use crate::error::{Error, Result};

/// What the one column of such an answer is called.
const COUNTS: [&str; 4] = ["inserted", "upserted", "updated", "deleted"];

impl Sql<'_> {
    /// Runs a statement that writes, and says how many rows it wrote. Rows are written one by one: when some could not be, the others stay
    /// written, and the error says how many, and names the first that failed. With `RETURNING _key, _outcome, _error` behind it a statement
    /// tells of every row: ask for these with [`fetch`](Sql::fetch).
    ///
    /// ```
    /// # use isogrid_client::testing::Cluster;
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> isogrid_client::Result<()> {
    /// # let cluster = Cluster::start(1).await?;
    /// # let grid = cluster.grid().await?;
    /// # grid.map::<String, String>("users").put("0", &"text".to_string()).await?;
    /// let insert = "INSERT INTO users (_key, name, visits) VALUES ($1, $2, 0)";
    /// assert_eq!(grid.sql(insert).bind("1").bind("Ann").execute().await?, 1);
    /// let visit = "UPDATE users SET visits = visits + 1 WHERE _key = $1";
    /// assert_eq!(grid.sql(visit).bind("1").execute().await?, 1);
    ///
    /// #[derive(serde::Deserialize)]
    /// struct Row {
    ///     _key: String,
    ///     _outcome: String,
    /// }
    /// let gone: Vec<Row> = grid.sql("DELETE FROM users WHERE visits = 1 RETURNING *").fetch().await?;
    /// assert_eq!((gone[0]._key.as_str(), gone[0]._outcome.as_str()), ("1", "deleted"));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// `KeyPresent` if an INSERT meets a key that is there; `RecordChanged` if others changed a record again and again; whatever else kept rows
    /// from being written. The error's [`outcome`](Error::outcome) is `NotApplied` if certainly none was. `QueryInvalid` if the statement does not
    /// write, or returns rows.
    pub async fn execute(self) -> Result<u64> {
        let mut answer = self.run().await?;
        if !is_count(answer.schema()) {
            let error = Error::new(
                ErrorCode::QueryInvalid,
                "it answers with rows: take them with run or fetch",
            );
            return Err(error.with_outcome(Outcome::Unknown));
        }
        let mut written = 0;
        while let Some(batch) = answer.next().await? {
            let counts = batch.column(0).as_any().downcast_ref::<Int64Array>();
            let count: i64 = counts.map_or(0, |counts| counts.values().iter().sum());
            written += count.unsigned_abs();
        }
        Ok(written)
    }
}

fn is_count(schema: &SchemaRef) -> bool {
    match schema.fields().as_ref() {
        [one] => *one.data_type() == DataType::Int64 && COUNTS.contains(&one.name().as_str()),
        _ => false,
    }
}
