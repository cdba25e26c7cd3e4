//! [`Pipeline`]: different operations, also on different maps, sent together.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use isogrid_core::ErrorCode;

use crate::batch::{self, Maps, Work};
use crate::error::{Error, Result};
use crate::grid::Grid;
use crate::lane::OwnedReply;
use crate::ops::{Decode, Operation, Received};
use crate::prepared::Prepared;
use crate::span::{self, Seen};

/// Operations to be sent together, each answered by itself. There is no order among them and no transaction around them.
///
/// ```
/// # use isogrid_client::testing::Cluster;
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> isogrid_client::Result<()> {
/// # let cluster = Cluster::start(1).await?;
/// # let grid = cluster.grid().await?;
/// let names = grid.map::<u64, String>("names");
/// let visits = grid.map::<u64, i64>("visits");
/// names.put(&1, &"Ann".into()).await?;
///
/// let mut pipeline = grid.pipeline();
/// let name = pipeline.push(names.get(&1));
/// let count = pipeline.push(visits.incr(&1, 1));
/// let mut replies = pipeline.send().await?;
/// assert_eq!(replies.take(name)?.as_deref(), Some("Ann"));
/// assert_eq!(replies.take(count)?, 1);
/// # Ok(())
/// # }
/// ```
#[must_use = "nothing is sent before `send`"]
pub struct Pipeline<'a> {
    grid: &'a Grid,
    maps: Vec<Arc<str>>,
    operations: Vec<Prepared<'static>>,
    /// For each pushed operation its place among `operations`, or why it cannot be sent.
    places: Vec<Result<usize>>,
    timeout: Option<Duration>,
}

/// The claim to one reply of a pipeline.
#[must_use = "it is the only way to the reply"]
pub struct Ticket<T> {
    index: usize,
    decode: Box<dyn FnOnce(Received) -> Result<T> + Send>,
}

/// The replies of a pipeline.
pub struct Replies {
    replies: Vec<Option<Result<OwnedReply>>>,
}

impl<'a> Pipeline<'a> {
    pub(crate) fn new(grid: &'a Grid) -> Self {
        let (maps, operations, places) = (Vec::new(), Vec::new(), Vec::new());
        Self { grid, maps, operations, places, timeout: None }
    }

    /// Adds an operation with its options; its own timeout does not count here. Nothing is sent yet.
    pub fn push<C, D>(&mut self, operation: Operation<'_, C, D>) -> Ticket<D::Output>
    where
        C: Clone + Send + 'static,
        D: Decode<C> + 'static,
    {
        let codec = operation.codec.clone();
        let place = operation.call.into_parts().and_then(|(map, prepared)| {
            map.check_name()?;
            self.maps.push(Arc::clone(&map.name));
            self.operations.push(prepared.into_owned());
            Ok(self.operations.len() - 1)
        });
        self.places.push(place);
        let decode = Box::new(move |reply| D::decode(reply, &codec));
        Ticket { index: self.places.len() - 1, decode }
    }

    /// How many operations were pushed.
    pub fn len(&self) -> usize {
        self.places.len()
    }

    /// Whether none was pushed.
    pub fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    /// How long all of it may take, retries included.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// Sends all operations and waits for all replies. A failed operation fails alone, in [`Replies::take`].
    ///
    /// Dropping the future may leave any of the operations done or not done.
    pub async fn send(self) -> Result<Replies> {
        let link = self.grid.link();
        let timeout = self.timeout.unwrap_or(link.settings.request_timeout);
        let tracer = &link.settings.tracer;
        let first = self.maps.first();
        let seen = first.and_then(|map| span::of(tracer, "pipeline", map, self.maps.len()));
        let trace = seen.as_deref().and_then(Seen::trace);
        let work = Work { maps: Maps::Each(&self.maps), operations: &self.operations, trace };
        let mut results: Vec<Option<Result<OwnedReply>>> =
            batch::run(link, work, timeout).await.into_iter().map(Some).collect();
        if let Some(seen) = seen {
            let mut errors = results.iter().flatten().filter_map(|result| result.as_ref().err());
            seen.answered(errors.next());
        }
        let reply = |place: Result<usize>| match place {
            Ok(place) => results[place].take(),
            Err(error) => Some(Err(error)),
        };
        Ok(Replies { replies: self.places.into_iter().map(reply).collect() })
    }
}

impl Replies {
    /// The reply to one operation.
    ///
    /// # Errors
    ///
    /// The operation's own error; `ArgumentInvalid` for a ticket of another pipeline.
    pub fn take<T>(&mut self, ticket: Ticket<T>) -> Result<T> {
        let reply = self.replies.get_mut(ticket.index).and_then(Option::take);
        let reply = reply.ok_or_else(|| {
            Error::new(ErrorCode::ArgumentInvalid, "a ticket of another pipeline")
        })?;
        (ticket.decode)(Received(reply?))
    }
}

impl fmt::Debug for Pipeline<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pipeline").field("operations", &self.len()).finish_non_exhaustive()
    }
}

impl<T> fmt::Debug for Ticket<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ticket").field("index", &self.index).finish_non_exhaustive()
    }
}

impl fmt::Debug for Replies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Replies").field("operations", &self.replies.len()).finish_non_exhaustive()
    }
}
