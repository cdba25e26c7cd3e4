//! [`Error`]: the core's error as a caller of the client meets it, with the node and the attempts it took.

use std::fmt;
use std::sync::Arc;

use isogrid_core::{ErrorCode, ErrorKind, NextStep, Outcome};

/// A result with the client's error.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why an operation failed. One word wide.
///
/// Decide by [`kind`](Error::kind), [`outcome`](Error::outcome) and [`next_step`](Error::next_step); show the text to
/// people: it says what happened, why, and what to do next.
///
/// ```
/// # use isogrid_client::{testing::Cluster, Error, ErrorKind, Outcome};
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> isogrid_client::Result<()> {
/// # let cluster = Cluster::start(1).await?;
/// # let grid = cluster.grid().await?;
/// let notes = grid.map::<String, String>("notes");
/// let error: Error = notes.get("k".repeat(100_000).as_str()).await.unwrap_err();
/// assert_eq!(error.kind(), ErrorKind::InvalidRequest);
/// assert_eq!(error.outcome(), Outcome::NotApplied);
/// assert!(error.to_string().starts_with("IG-0101 key too long"));
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Error(Box<Inner>);

#[derive(Clone)]
struct Inner {
    error: isogrid_core::Error,
    cause: Option<Error>,
    node: Option<Arc<str>>,
    attempts: u32,
}

impl Error {
    /// An error with the outcome its code usually has; `detail` says what exactly was wrong.
    pub(crate) fn new(code: ErrorCode, detail: impl Into<String>) -> Self {
        isogrid_core::Error::new(code, detail).into()
    }

    /// For codecs: the value cannot be turned into bytes.
    pub fn encode(detail: impl Into<String>) -> Self {
        Self::new(ErrorCode::EncodeFailed, detail)
    }

    /// For codecs: the bytes are not a value of this codec.
    pub fn decode(detail: impl Into<String>) -> Self {
        Self::new(ErrorCode::DecodeFailed, detail)
    }

    /// The same error, found after so many attempts.
    pub(crate) fn after(mut self, attempts: u32, node: Option<Arc<str>>) -> Self {
        self.0.attempts = attempts;
        if node.is_some() {
            self.0.node = node;
        }
        self
    }

    /// Says that the retry budget is spent, with this error beneath; the outcome stays what it was.
    pub(crate) fn without_budget(self) -> Self {
        let outcome = self.outcome();
        let detail = format!("the last failure was {}", self.0.error);
        let error =
            isogrid_core::Error::new(ErrorCode::RetryBudgetSpent, detail).with_outcome(outcome);
        let (node, attempts) = (self.0.node.clone(), self.0.attempts);
        Error(Box::new(Inner { error, cause: Some(self), node, attempts }))
    }

    /// The family of the error: what most callers match on.
    pub fn kind(&self) -> ErrorKind {
        self.0.error.kind()
    }

    /// The number of the error, shown as `IG-nnnn`; `isogrid error IG-nnnn` explains it.
    pub fn code(&self) -> ErrorCode {
        self.0.error.code()
    }

    /// Whether the failed operation changed anything: never more than is known.
    pub fn outcome(&self) -> Outcome {
        self.0.error.outcome()
    }

    /// What to do about it.
    pub fn next_step(&self) -> NextStep {
        self.0.error.next_step()
    }

    /// What exactly was wrong this time, without the explanation around it.
    pub fn detail(&self) -> &str {
        self.0.error.detail()
    }

    /// Whether the same call may succeed later and certainly changed nothing so far. The client has then tried already,
    /// within the call's deadline and its retry budget.
    pub fn is_retryable(&self) -> bool {
        self.outcome() == Outcome::NotApplied && self.next_step() == NextStep::RetryLater
    }

    /// The same error with another outcome.
    pub(crate) fn with_outcome(mut self, outcome: Outcome) -> Self {
        self.0.error = self.0.error.with_outcome(outcome);
        self
    }

    /// The node that answered, or on whose connection the operation was, if there was one.
    pub fn node(&self) -> Option<&str> {
        self.0.node.as_deref()
    }

    /// How often the operation was tried.
    pub fn attempts(&self) -> u32 {
        self.0.attempts
    }
}

impl From<isogrid_core::Error> for Error {
    fn from(error: isogrid_core::Error) -> Self {
        Error(Box::new(Inner { error, cause: None, node: None, attempts: 1 }))
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.error.fmt(f)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (outcome: {:?}", self.0.error, self.outcome())?;
        if let Some(node) = self.node() {
            write!(f, ", node: {node}")?;
        }
        write!(f, ", attempts: {})", self.attempts())?;
        match &self.0.cause {
            Some(cause) => write!(f, " caused by {cause:?}"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.cause.as_ref().map(|cause| cause as _)
    }
}

#[cfg(test)]
mod tests {
    use std::error::Error as _;

    use super::*;

    #[test]
    fn an_error_is_one_word() {
        assert_eq!(std::mem::size_of::<Error>(), std::mem::size_of::<usize>());
        assert_eq!(std::mem::size_of::<Result<()>>(), std::mem::size_of::<usize>());
    }

    #[test]
    fn a_spent_budget_keeps_the_outcome_and_names_its_cause() {
        let lost = Error::new(ErrorCode::ConnectionLost, "reset").after(3, Some("n1".into()));
        let error = lost.without_budget();
        assert_eq!(error.code(), ErrorCode::RetryBudgetSpent);
        assert_eq!((error.outcome(), error.is_retryable()), (Outcome::Unknown, false));
        assert_eq!((error.node(), error.attempts()), (Some("n1"), 3));
        assert!(error.source().expect("a cause").to_string().contains("IG-0403"));
        assert!(error.to_string().contains("reset"), "what was wrong is in its own words: {error}");
    }
}
