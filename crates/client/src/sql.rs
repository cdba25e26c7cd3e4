//! Statements of SQL, and their answers as record batches of Arrow or as values of the caller's types.

mod doors;
mod subscription;

use std::fmt;
use std::time::Duration;

use arrow::array::RecordBatch;
use arrow::buffer::Buffer;
use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;
use arrow::ipc::reader::StreamDecoder;
use isogrid_core::ErrorCode;
use isogrid_proto::pb;
use isogrid_proto::pb::sql_client::SqlClient;
use isogrid_proto::pb::sql_value::Value;
use serde::de::DeserializeOwned;
use tonic::{Code, Status, Streaming};

use crate::error::{Error, Result};
use crate::grid::Grid;
use crate::session::{REPLY_BYTES_MAX, call_error};
pub(crate) use doors::Doors;
pub use subscription::Subscription;

/// A node says that a statement goes on every three seconds; one that says nothing for so long will not answer.
const SILENCE_MAX: Duration = Duration::from_secs(10);

/// A statement that is not run yet. Made by [`Grid::sql`].
#[derive(Debug)]
#[must_use = "nothing is asked before `run` or `fetch`"]
pub struct Sql<'g> {
    grid: &'g Grid,
    statement: String,
    parameters: Vec<SqlValue>,
    /// What else the node is told.
    wishes: pb::SqlRequest,
}

/// A value for a statement: see [`Sql::bind`].
#[derive(Clone, Debug, PartialEq)]
pub struct SqlValue(pb::SqlValue);

impl SqlValue {
    /// NULL.
    pub const NULL: SqlValue = SqlValue(pb::SqlValue { value: None });
}

macro_rules! value_from {
    ($($from:ty => $kind:ident),+ $(,)?) => {$(
        impl From<$from> for SqlValue {
            fn from(value: $from) -> Self {
                SqlValue(pb::SqlValue { value: Some(Value::$kind(value.into())) })
            }
        }
    )+};
}

value_from! {
    bool => Boolean,
    i32 => Bigint,
    u32 => Bigint,
    i64 => Bigint,
    f64 => Double,
    &str => Text,
    String => Text,
    Vec<u8> => Bytes,
}

impl<T: Into<SqlValue>> From<Option<T>> for SqlValue {
    fn from(value: Option<T>) -> Self {
        value.map_or(SqlValue::NULL, Into::into)
    }
}

/// The rows of an answer as they come. Dropped, the statement ends.
pub struct Answer {
    address: String,
    schema: SchemaRef,
    /// What came with the schema.
    first: Option<RecordBatch>,
    pieces: Pieces,
}

impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Answer").field("schema", &self.schema).finish_non_exhaustive()
    }
}

impl Grid {
    /// A statement of SQL over the maps of the grid, which are its tables: the fields of their values are the columns, and beside
    /// them `_key`, `_value`, `_version`, `_expires_at` and `_partition`. Names that are not in small letters are written in
    /// double quotes.
    ///
    /// ```
    /// # use isogrid_client::testing::Cluster;
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> isogrid_client::Result<()> {
    /// # let cluster = Cluster::start(1).await?;
    /// # let grid = cluster.grid().await?;
    /// use serde::{Deserialize, Serialize};
    ///
    /// #[derive(Serialize, Deserialize)]
    /// struct User {
    ///     name: String,
    ///     city: String,
    /// }
    /// #[derive(Debug, PartialEq, Deserialize)]
    /// struct Count {
    ///     city: String,
    ///     users: u64,
    /// }
    ///
    /// let users = grid.map::<String, User>("users");
    /// for (key, name, city) in [("1", "Ann", "Oslo"), ("2", "Bo", "Bern"), ("3", "Cy", "Oslo")] {
    ///     users.put(key, &User { name: name.into(), city: city.into() }).await?;
    /// }
    /// let statement = "SELECT city, count(*) AS users FROM users WHERE name <> $1 GROUP BY city ORDER BY city";
    /// let counts: Vec<Count> = grid.sql(statement).bind("Bo").fetch().await?;
    /// assert_eq!(counts, [Count { city: "Oslo".into(), users: 2 }]);
    /// # Ok(())
    /// # }
    /// ```
    pub fn sql(&self, statement: impl Into<String>) -> Sql<'_> {
        let (statement, wishes) = (statement.into(), pb::SqlRequest::default());
        Sql { grid: self, statement, parameters: Vec::new(), wishes }
    }
}

impl Sql<'_> {
    /// The value of `$1`, then of `$2`, and so on. It is not read as SQL, whatever it is.
    pub fn bind(mut self, value: impl Into<SqlValue>) -> Self {
        self.parameters.push(value.into());
        self
    }

    /// How long the statement may take, if that is less than the node allows (`limits.sql_time_ms_max`).
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.wishes.time_ms_max = u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX).max(1);
        self
    }

    /// How much memory it may have, if that is less than the node allows (`limits.sql_memory_bytes_max`).
    pub fn memory_bytes_max(mut self, bytes: u64) -> Self {
        self.wishes.memory_bytes_max = bytes.max(1);
        self
    }

    /// Refuses the statement if it walks over all partitions of a map, which a forgotten condition makes it do.
    pub fn require_pruned(mut self) -> Self {
        self.wishes.require_pruned = true;
        self
    }

    /// Runs the statement. It changes nothing; dropping the future is harmless.
    ///
    /// # Errors
    ///
    /// `QueryInvalid` if the statement cannot be understood; `QueryTooLong`, `QueryTooLarge` and their like if it needs more than it may have; `ConnectionLost` if the node is silent; whatever happens while its first rows are looked for.
    pub async fn run(self) -> Result<Answer> {
        let (link, doors) = (self.grid.link(), self.grid.statements());
        let owner = doors.owner(link, &self.statement, &self.parameters);
        let parameters = self.parameters.into_iter().map(|value| value.0).collect();
        let statement = self.statement.clone();
        let request = pb::SqlRequest { statement, parameters, ..self.wishes };
        let ask = async |address: &str| -> Result<Streaming<pb::SqlReply>> {
            let channel = doors.channel(address, link.settings.connect_timeout)?;
            let mut client = SqlClient::new(channel).max_decoding_message_size(REPLY_BYTES_MAX);
            Ok(answered(address, client.run(request.clone())).await?.into_inner())
        };
        let current = || link.addresses.lock().current().to_owned();
        let (address, messages) = match owner {
            None => (current(), None),
            Some(owner) => match ask(&owner).await {
                // Any other node answers it too: of a statement that has a way nothing is changed.
                Err(error) if is_out_of_reach(&error) => (current(), None),
                asked => (owner, Some(asked?)),
            },
        };
        let messages = match messages {
            Some(messages) => messages,
            None => ask(&address).await?,
        };
        let mut pieces = Pieces {
            messages,
            decoder: StreamDecoder::new(),
            buffer: Buffer::from(Vec::<u8>::new()),
            is_last: false,
            route: None,
        };
        let first = pieces.next(&address).await?;
        pieces.route.take().inspect(|route| doors.learn(&self.statement, *route));
        let schema = pieces.decoder.schema().ok_or_else(|| {
            Error::new(ErrorCode::ConnectionLost, format!("{address}: an answer without columns"))
        })?;
        Ok(Answer { address, schema, first, pieces })
    }

    /// Follows a SUBSCRIBE statement: all that matches enters first, then records enter, change and leave.
    ///
    /// ```
    /// # use isogrid_client::testing::Cluster;
    /// use isogrid_client::Json;
    /// use serde_json::{Value, json};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> isogrid_client::Result<()> {
    /// # let cluster = Cluster::start(1).await?;
    /// # let grid = cluster.grid().await?;
    /// let users = grid.map_with::<String, Value, _>("users", Json);
    /// users.put("u1", &json!({"name": "Ann", "age": 41})).await?;
    /// let statement = "SUBSCRIBE SELECT name FROM users WHERE age >= $1";
    /// let mut adults = grid.sql(statement).bind(18).subscribe().await?;
    /// let entered = adults.next().await?.expect("the client is not closed");
    /// assert_eq!((entered.num_rows(), entered.num_columns()), (1, 3));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// `QueryInvalid` if the statement is none, or asks for what cannot be watched.
    pub async fn subscribe(self) -> Result<Subscription> {
        let (link, doors) = (self.grid.link(), self.grid.statements());
        let address = link.addresses.lock().current().to_owned();
        let channel = doors.channel(&address, link.settings.connect_timeout)?;
        let parameters = self.parameters.into_iter().map(|value| value.0).collect();
        let request = pb::SqlRequest { statement: self.statement, parameters, ..self.wishes };
        let read = answered(&address, SqlClient::new(channel).subscribe(request)).await?;
        Subscription::begin(self.grid, read.into_inner())
    }

    /// Runs the statement and takes all rows, each as a value whose fields are named like the columns.
    ///
    /// # Errors
    ///
    /// Those of [`run`](Sql::run) and [`Answer::next`]; `DecodeFailed` if a row is not such a value.
    pub async fn fetch<T: DeserializeOwned>(self) -> Result<Vec<T>> {
        let mut answer = self.run().await?;
        let mut rows = Vec::new();
        while let Some(batch) = answer.next().await? {
            let undecoded =
                |why: &dyn fmt::Display| Error::new(ErrorCode::DecodeFailed, why.to_string());
            let mut writer = arrow::json::WriterBuilder::new()
                .with_explicit_nulls(true)
                .build::<_, arrow::json::writer::LineDelimited>(Vec::new());
            writer.write(&batch).and_then(|()| writer.finish()).map_err(|e| undecoded(&e))?;
            let lines = writer.into_inner();
            for row in serde_json::Deserializer::from_slice(&lines).into_iter::<T>() {
                rows.push(row.map_err(|error| undecoded(&error))?);
            }
        }
        Ok(rows)
    }
}

impl Answer {
    /// The columns.
    pub fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// The next rows; `None` when there are no more. Dropping the future loses nothing.
    ///
    /// # Errors
    ///
    /// Whatever happens while the rows are looked for: those that came before are right, and there are more.
    pub async fn next(&mut self) -> Result<Option<RecordBatch>> {
        match self.first.take() {
            Some(first) => Ok(Some(first)),
            None => self.pieces.next(&self.address).await,
        }
    }
}

/// The pieces of an answer on their way in.
struct Pieces {
    messages: Streaming<pb::SqlReply>,
    decoder: StreamDecoder,
    /// What is left of the last piece.
    buffer: Buffer,
    /// Whether that piece was the answer's last.
    is_last: bool,
    /// What names the one partition that the statement reads.
    route: Option<pb::SqlRoute>,
}

impl Pieces {
    async fn next(&mut self, address: &str) -> Result<Option<RecordBatch>> {
        let broken = |error: ArrowError| {
            Error::new(
                ErrorCode::ConnectionLost,
                format!("{address}: an answer that ends early: {error}"),
            )
        };
        loop {
            while !self.buffer.is_empty() {
                if let Some(batch) = self.decoder.decode(&mut self.buffer).map_err(broken)? {
                    return Ok(Some(batch));
                }
            }
            match answered(address, self.messages.message()).await? {
                Some(piece) => {
                    self.buffer = Buffer::from(piece.arrow);
                    self.is_last = piece.is_last;
                    self.route = self.route.or(piece.route);
                }
                None if !self.is_last => {
                    let why = "the node ended the answer early, and there are more rows";
                    return Err(Error::new(ErrorCode::ConnectionLost, format!("{address}: {why}")));
                }
                None => {
                    self.decoder.finish().map_err(broken)?;
                    return Ok(None);
                }
            }
        }
    }
}

/// What a node answers, if it does before long.
async fn answered<T>(
    address: &str,
    answer: impl Future<Output = std::result::Result<T, Status>>,
) -> Result<T> {
    match tokio::time::timeout(SILENCE_MAX, answer).await {
        Ok(answer) => answer.map_err(|status| refused(address, &status)),
        Err(_) => {
            let why = format!("{address}: the node is silent for {} s", SILENCE_MAX.as_secs());
            Err(Error::new(ErrorCode::ConnectionLost, why))
        }
    }
}

/// What a node says that does not answer.
fn refused(address: &str, status: &Status) -> Error {
    if status.code() == Code::Unimplemented {
        let detail = format!("{address}: this node was built without SQL");
        return Error::new(ErrorCode::ProtocolUnknown, detail);
    }
    call_error(address, status).into()
}

fn is_out_of_reach(error: &Error) -> bool {
    matches!(error.code(), ErrorCode::ConnectionLost | ErrorCode::CannotConnect)
}
