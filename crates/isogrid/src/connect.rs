//! From `--endpoint` to a connected grid.

use isogrid_client::{Grid, GridBuilder, Retry};
use isogrid_core::Error;

use crate::cli::Global;
use crate::exit::{CommandResult, Failure};

impl From<isogrid_client::Error> for Failure {
    fn from(error: isogrid_client::Error) -> Self {
        let shown = Error::new(error.code(), error.detail()).with_outcome(error.outcome());
        Failure::Error(shown)
    }
}

/// Connects to a node.
pub(crate) async fn grid(endpoint: &str) -> Result<Grid, Failure> {
    Ok(builder(endpoint).build().await?)
}

/// Connects to a node with a client that tries nothing twice: what is measured is the node, and every refusal counts.
pub(crate) async fn grid_without_retries(endpoint: &str) -> Result<Grid, Failure> {
    Ok(builder(endpoint).retry(Retry::none()).build().await?)
}

fn builder(endpoint: &str) -> GridBuilder {
    // `dev` and the client's documentation show URLs, so one that is pasted here is understood.
    let address = endpoint.strip_prefix("isogrid://").unwrap_or(endpoint);
    Grid::builder().seeds([address.trim_end_matches('/')]).client_name("isogrid")
}

/// Connects and runs a command on the grid.
pub(crate) fn with_grid<F>(global: &Global, command: impl FnOnce(Grid) -> F) -> CommandResult
where
    F: Future<Output = CommandResult>,
{
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async { command(grid(&global.endpoint).await?).await })
}
