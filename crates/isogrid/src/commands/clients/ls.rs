//! `isogrid clients ls`: who is connected.

use std::time::Duration;

use clap::Args;
use isogrid_client::{ClientInfo, Operator};
use serde_json::{Value, json};

use crate::exit::{CommandResult, Exit};
use crate::output::{Format, print_json, print_within, tell};
use crate::text::{escaped, size};

/// The columns, and those that are left out where a terminal is too narrow.
const COLUMNS: [&str; 11] =
    ["id", "door", "name", "library", "address", "age", "idle", "last", "in flight", "in", "out"];
const LEFT_OUT: [&str; 5] = ["library", "age", "in", "out", "door"];

/// Of which nodes, and which of them.
#[derive(Debug, Args)]
pub(crate) struct LsArgs {
    /// Only those of the asked node
    #[arg(long)]
    here: bool,

    /// Connections between nodes too
    #[arg(long)]
    nodes: bool,
}

pub(super) async fn run(operator: &Operator, args: &LsArgs, format: Format) -> CommandResult {
    let mut list = operator.clients(!args.here).await?;
    if !list.missing.is_empty() {
        tell(format!("not listed: clients of {}", list.missing.join(", ")));
    }
    list.clients.retain(|client| args.nodes || client.door != "node");
    let exit = if list.missing.is_empty() { Exit::Ok } else { Exit::Partial };
    if format == Format::Json {
        print_json(&list.clients.iter().map(object).collect::<Vec<Value>>())?;
        return Ok(exit);
    }
    let mut rows = Vec::new();
    let or_dash = |text: &str| if text.is_empty() { "-".to_owned() } else { escaped_text(text) };
    for client in &list.clients {
        let library = format!("{} {}", client.library, client.version);
        rows.push(vec![
            client.id.clone(),
            client.door.clone(),
            or_dash(&client.name),
            or_dash(library.trim()),
            client.address.clone(),
            short(client.age),
            short(client.idle),
            or_dash(&client.last_operation),
            client.in_flight.to_string(),
            size(client.bytes_in),
            size(client.bytes_out),
        ]);
    }
    print_within(&COLUMNS, &rows, &LEFT_OUT)?;
    Ok(exit)
}

/// What a client says of itself must not write to the terminal.
fn escaped_text(text: &str) -> String {
    escaped(text.as_bytes())
}

/// A time for people.
fn short(time: Duration) -> String {
    let seconds = time.as_secs();
    match seconds {
        0..60 => format!("{:.1}s", time.as_secs_f64()),
        60..3_600 => format!("{}m {}s", seconds / 60, seconds % 60),
        3_600..86_400 => format!("{}h {}m", seconds / 3_600, seconds / 60 % 60),
        _ => format!("{}d {}h", seconds / 86_400, seconds / 3_600 % 24),
    }
}

fn object(client: &ClientInfo) -> Value {
    json!({
        "id": client.id,
        "node": client.node,
        "door": client.door,
        "name": client.name,
        "library": client.library,
        "version": client.version,
        "address": client.address,
        "age_ms": client.age.as_millis() as u64,
        "idle_ms": client.idle.as_millis() as u64,
        "last_operation": client.last_operation,
        "in_flight": client.in_flight,
        "bytes_in": client.bytes_in,
        "bytes_out": client.bytes_out,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_short() {
        for (seconds, shown) in
            [(0.25, "0.2s"), (61.0, "1m 1s"), (7_260.0, "2h 1m"), (90_000.0, "1d 1h")]
        {
            assert_eq!(short(Duration::from_secs_f64(seconds)), shown);
        }
    }
}
