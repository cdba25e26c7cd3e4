//! The README's example: writes a user and reads it back. Start a node first: `cargo run --release -p isogrid -- dev`.
//! Another node than the local one can be given as `isogrid://HOST:PORT`.

#![allow(clippy::print_stdout, reason = "an example prints")]

use std::time::Duration;

use isogrid_client::{Grid, Result};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let address = std::env::args().nth(1).unwrap_or("isogrid://127.0.0.1:7700".to_string());
    let grid = Grid::connect(&address).await?;
    let users = grid.map::<String, String>("users");
    users.put("u1", &"Ann".to_string()).ttl(Duration::from_secs(3600)).await?;
    let ann = users.get("u1").await?;
    println!("{ann:?}");
    grid.close().await
}
