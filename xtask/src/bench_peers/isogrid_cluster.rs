//! Three nodes of Isogrid on one machine, one core each.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use serde::Deserialize;

use super::isogrid::Isogrid;
use super::processes::free_udp_address;

/// How many nodes there are.
pub(super) const NODES: usize = 3;

/// How long the nodes may take until every partition has its primary and its backups.
const READY_TIMEOUT: Duration = Duration::from_secs(60);

/// How often they are asked meanwhile.
const READY_PAUSE: Duration = Duration::from_millis(200);

/// What the node of one core is told beside how it finds the others.
const ONE_CORE: &str = "node.cores=1";

/// A cluster of one node is whole without backups.
pub(super) const NO_BACKUPS: &str = "cluster.backups=0";

/// Starts a node of one core, which is a cluster by itself.
pub(super) fn start_one(binary: &Path) -> Result<Isogrid> {
    let settings = [ONE_CORE.to_owned(), NO_BACKUPS.to_owned()];
    let node = Isogrid::start_with(binary, free_udp_address()?, &settings)?;
    await_whole(&node, 1, 0)?;
    Ok(node)
}

/// Starts three nodes with so many backups of each partition, and waits until the cluster is whole.
pub(super) fn start(binary: &Path, backups: u8) -> Result<Vec<Isogrid>> {
    let mut gossip = Vec::new();
    for _ in 0..NODES {
        gossip.push(free_udp_address()?);
    }
    let seeds: Vec<String> = gossip.iter().map(ToString::to_string).collect();
    let settings = [
        ONE_CORE.to_owned(),
        format!("cluster.expect={NODES}"),
        format!("cluster.backups={backups}"),
        format!("cluster.seeds={}", seeds.join(",")),
    ];
    let mut nodes = Vec::new();
    for (number, address) in gossip.into_iter().enumerate() {
        let mut settings = settings.to_vec();
        settings.push(format!("node.name=node-{number}"));
        nodes.push(Isogrid::start_with(binary, address, &settings)?);
    }
    await_whole(&nodes[0], NODES, backups)?;
    Ok(nodes)
}

/// Waits until the cluster has so many nodes and every partition so many backups.
pub(super) fn await_whole(node: &Isogrid, nodes: usize, backups: u8) -> Result<()> {
    let began = Instant::now();
    while let Err(reason) = node.status().and_then(|status| check(&status, nodes, backups)) {
        ensure!(began.elapsed() < READY_TIMEOUT, "{nodes} nodes do not become a cluster: {reason}");
        std::thread::sleep(READY_PAUSE);
    }
    Ok(())
}

/// What of `isogrid status` says whether the cluster is whole.
#[derive(Deserialize)]
struct Status {
    health: String,
    copies: u32,
    members: Vec<Member>,
}

#[derive(Deserialize)]
struct Member {
    primaries: u32,
    backups: u32,
    learners: u32,
}

fn check(status: &str, nodes: usize, backups: u8) -> Result<()> {
    let status: Status = serde_json::from_str(status)?;
    let sum = |of: fn(&Member) -> u32| status.members.iter().map(of).sum::<u32>();
    let backups_wanted = sum(|member| member.primaries) * u32::from(backups);
    let is_whole = status.health == "healthy"
        && status.members.len() == nodes
        && status.members.iter().all(|member| member.primaries > 0)
        && status.copies == u32::from(backups) + 1
        && sum(|member| member.backups) == backups_wanted
        && sum(|member| member.learners) == 0;
    ensure!(is_whole, "it is {} with {} members", status.health, status.members.len());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(members: &[(u32, u32, u32)]) -> String {
        let members: Vec<String> = members
            .iter()
            .map(|(primaries, backups, learners)| {
                format!(
                    r#"{{"primaries":{primaries},"backups":{backups},"learners":{learners},"x":1}}"#
                )
            })
            .collect();
        format!(r#"{{"health":"healthy","copies":2,"members":[{}]}}"#, members.join(","))
    }

    #[test]
    fn a_cluster_is_whole_when_every_partition_has_its_copies() {
        let whole = status(&[(2, 1, 0), (1, 2, 0), (1, 1, 0)]);
        assert!(check(&whole, NODES, 1).is_ok());
        assert!(check(&whole, NODES, 0).is_err(), "other copies than wanted");
        assert!(check(&status(&[(2, 1, 0), (1, 1, 0), (1, 1, 0)]), NODES, 1).is_err(), "one lacks");
        assert!(
            check(&status(&[(2, 1, 0), (1, 2, 1), (1, 1, 0)]), NODES, 1).is_err(),
            "one learns"
        );
        assert!(check(&status(&[(2, 2, 0), (2, 2, 0)]), NODES, 1).is_err(), "two nodes");
    }
}
