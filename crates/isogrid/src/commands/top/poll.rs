//! Asks the cluster how it is: the node that was named, and any other member when that does not answer.

use std::time::{Duration, Instant};

use isogrid_client::{History, Operator};
use tokio::sync::mpsc;

use super::model::Look;
use crate::connect::operator;
use crate::exit::Failure;

/// How long one node may take to answer before another is asked.
const ANSWER_WAIT_MAX: Duration = Duration::from_secs(2);

/// How much of the time before it was started is shown.
const PAST: Duration = Duration::from_secs(3_600);

/// How many hot keys of each map are looked at.
const HOT_KEYS: u32 = 5;

/// What came of a look.
pub(super) enum Looked {
    /// The cluster, and when.
    Seen(Box<Look>, Instant),
    /// Why nobody has answered.
    Failed(String),
}

/// Looks at the cluster.
pub(super) struct Poll {
    /// Whom to ask: the endpoint, then the members that were seen last.
    addresses: Vec<String>,
    asked: Option<Operator>,
}

impl Poll {
    pub(super) fn new(endpoint: &str) -> Poll {
        Poll { addresses: vec![endpoint.to_owned()], asked: None }
    }

    /// What the nodes know of the time before, from whoever answered last; nothing from one of an older version.
    pub(super) async fn history(&self) -> History {
        let Some(operator) = &self.asked else { return History::default() };
        let answer = tokio::time::timeout(ANSWER_WAIT_MAX, operator.history(PAST)).await;
        answer.ok().and_then(Result::ok).unwrap_or_default()
    }

    /// Looks again and again until nobody wants to know.
    pub(super) async fn run(mut self, interval: Duration, found: mpsc::Sender<Looked>) {
        loop {
            tokio::time::sleep(interval).await;
            let looked = match self.look().await {
                Ok(look) => Looked::Seen(Box::new(look), Instant::now()),
                Err(failure) => Looked::from(failure),
            };
            if found.send(looked).await.is_err() {
                return;
            }
        }
    }

    /// One look, at whoever answers first.
    pub(super) async fn look(&mut self) -> Result<Look, Failure> {
        if let Some(operator) = self.asked.take()
            && let Ok(look) = self.ask(operator).await
        {
            return Ok(look);
        }
        let mut failed = None;
        for address in self.addresses.clone() {
            let connecting = tokio::time::timeout(ANSWER_WAIT_MAX, operator(&address)).await;
            let outcome = match connecting {
                Ok(Ok(operator)) => self.ask(operator).await,
                Ok(Err(failure)) => Err(failure),
                Err(_) => Err(too_slow(&address)),
            };
            match outcome {
                Ok(look) => return Ok(look),
                // The first is the one that was named.
                Err(failure) => failed = failed.or(Some(failure)),
            }
        }
        Err(failed.unwrap_or_else(|| too_slow("the cluster")))
    }

    async fn ask(&mut self, operator: Operator) -> Result<Look, Failure> {
        let both = async { tokio::join!(operator.status(true), operator.hot_keys(None, HOT_KEYS)) };
        let answers = tokio::time::timeout(ANSWER_WAIT_MAX, both).await;
        let (status, hot) = answers.map_err(|_| too_slow(operator.address()))?;
        // A node of an older version knows no hot keys.
        let look = Look { status: status?, hot: hot.unwrap_or_default() };
        self.addresses.truncate(1);
        let members = look.status.members.iter().map(|member| member.grpc_addr.clone());
        self.addresses.extend(members.filter(|address| !address.is_empty()));
        self.asked = Some(operator);
        Ok(look)
    }
}

fn too_slow(address: &str) -> Failure {
    let detail = format!("{address}: no answer within {} s", ANSWER_WAIT_MAX.as_secs());
    isogrid_core::Error::new(isogrid_core::ErrorCode::CannotConnect, detail).into()
}
