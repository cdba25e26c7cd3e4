//! `isogrid cluster members`: who is in the cluster, as the council knows it.

use isogrid_client::Operator;
use serde_json::Value;

use crate::commands::status::{json, table as status_table};
use crate::exit::{CommandResult, Exit};
use crate::output::{Format, print_json, print_within};

/// The columns, and those that are left out where a terminal is too narrow.
const COLUMNS: [&str; 13] = [
    "node", "state", "life", "zone", "weight", "council", "leads", "backups", "learners", "grpc",
    "gossip", "http", "version",
];
const LEFT_OUT: [&str; 7] = ["life", "weight", "gossip", "http", "version", "learners", "zone"];

pub(super) async fn run(operator: &Operator, format: Format) -> CommandResult {
    let status = operator.status(true).await?;
    if format == Format::Json {
        print_json(&status.members.iter().map(json::member).collect::<Vec<Value>>())?;
        return Ok(Exit::Ok);
    }
    let mut rows = Vec::new();
    let or_dash = |text: &str| if text.is_empty() { "-".to_owned() } else { text.to_owned() };
    for member in &status.members {
        let role = match (member.node_id == status.council.leader, member.is_voter) {
            (true, _) => "leader",
            (false, true) => "voter",
            (false, false) => "-",
        };
        rows.push(vec![
            member.node_id.clone(),
            status_table::state(member),
            member.incarnation.to_string(),
            or_dash(&member.zone),
            member.weight.to_string(),
            role.to_owned(),
            member.primaries.to_string(),
            member.backups.to_string(),
            member.learners.to_string(),
            member.grpc_addr.clone(),
            or_dash(&member.gossip_addr),
            or_dash(&member.http_addr),
            or_dash(&member.version),
        ]);
    }
    print_within(&COLUMNS, &rows, &LEFT_OUT)?;
    Ok(Exit::Ok)
}
