//! Waits until a node is empty, with a bar of what it still holds.

use std::time::{Duration, Instant};

use isogrid_client::{ClusterStatus, Intent, MemberStatus, Operator};
use serde_json::json;

use crate::exit::{CommandResult, Exit, Failure};
use crate::output::{Format, print_json, tell};
use crate::progress;

use super::{LOOK_INTERVAL, ask_patiently};

/// Waits until a node is empty, or is no member any more. `wanted`: what was asked of it, and how long it may take.
pub(super) async fn wait(
    operator: &Operator,
    node: &str,
    wanted: (Intent, Option<Duration>),
    format: Format,
) -> CommandResult {
    let (intent, timeout) = wanted;
    let begun = Instant::now();
    let ask = async || operator.status(false).await;
    let at_first = held(&ask_patiently(ask).await?, node).unwrap_or(0);
    let bar = progress::bar("copies moved away", Some(at_first));
    loop {
        let status = ask_patiently(ask).await?;
        check_intent(&status, node, intent)?;
        let left = held(&status, node);
        // It may hold more than at first: copies that were under way have arrived.
        bar.set_position(at_first.saturating_sub(left.unwrap_or(0)));
        if left.unwrap_or(0) == 0 {
            bar.finish_and_clear();
            told(node, intent, begun.elapsed(), format)?;
            return Ok(Exit::Ok);
        }
        if timeout.is_some_and(|timeout| begun.elapsed() >= timeout) {
            bar.abandon();
            tell(format!("{node} is not empty in time; it goes on being emptied"));
            return Ok(Exit::NotReady);
        }
        tokio::time::sleep(LOOK_INTERVAL).await;
    }
}

/// How many copies a node holds, whole or not; `None` when it is no member any more.
fn held(status: &ClusterStatus, node: &str) -> Option<u64> {
    let copies = |member: &MemberStatus| {
        u64::from(member.primaries) + u64::from(member.backups) + u64::from(member.learners)
    };
    status.members.iter().find(|member| member.node_id == node).map(copies)
}

/// Somebody else may have other plans for it: then waiting would never end.
fn check_intent(status: &ClusterStatus, node: &str, intent: Intent) -> Result<(), Failure> {
    let member = status.members.iter().find(|member| member.node_id == node);
    match member.map(|member| member.intent.as_str()) {
        // The node that answers may not have heard of it yet.
        None | Some("stay" | "drain" | "leave") => Ok(()),
        Some(other) => {
            let why = format!("{node} was to {intent}; now it is to {other}");
            Err(Failure::Io(std::io::Error::other(why)))
        }
    }
}

fn told(node: &str, intent: Intent, took: Duration, format: Format) -> Result<(), Failure> {
    if format == Format::Json {
        return print_json(&json!({
            "node": node,
            "intent": intent.as_str(),
            "is_empty": true,
            "took_ms": took.as_millis() as u64,
        }));
    }
    tell(match intent {
        Intent::Leave => format!("{node} is empty; once it is stopped it is forgotten"),
        _ => format!("{node} is empty; `isogrid cluster stay {node}` fills it again"),
    });
    Ok(())
}
