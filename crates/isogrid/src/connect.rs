//! From `--endpoint` to a connected grid, or to the admin service of a node.

use isogrid_client::{Grid, GridBuilder, Operator, Retry};
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

/// Connects to the admin service of a node.
pub(crate) async fn operator(endpoint: &str) -> Result<Operator, Failure> {
    Ok(Operator::connect(address(endpoint)).await?)
}

fn builder(endpoint: &str) -> GridBuilder {
    Grid::builder().seeds([address(endpoint)]).client_name("isogrid")
}

/// `dev` and the client's documentation show URLs, so one that is pasted here is understood.
fn address(endpoint: &str) -> &str {
    let address = endpoint.strip_prefix("isogrid://").unwrap_or(endpoint);
    address.trim_end_matches('/')
}

/// Connects and runs a command on the grid.
pub(crate) fn with_grid<F>(global: &Global, command: impl FnOnce(Grid) -> F) -> CommandResult
where
    F: Future<Output = CommandResult>,
{
    in_runtime(async || command(grid(&global.endpoint).await?).await)
}

/// Connects and runs a command with the admin service of the node.
pub(crate) fn with_operator<F>(
    global: &Global,
    command: impl FnOnce(Operator) -> F,
) -> CommandResult
where
    F: Future<Output = CommandResult>,
{
    in_runtime(async || command(operator(&global.endpoint).await?).await)
}

/// Runs a command that connects by itself.
pub(crate) fn in_runtime(command: impl AsyncFnOnce() -> CommandResult) -> CommandResult {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(command())
}
