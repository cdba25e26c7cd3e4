//! [`Blueprint`]: what each node of a local cluster is started with: its name, ports, folder, and whom it asks.

use std::path::{Path, PathBuf};

use crate::exit::{Failure, wrong_argument};

use super::ports::Ports;

/// How many nodes a local cluster can have: enough for anything that fits on one machine.
pub(super) const NODES_MAX: u16 = 32;

/// How many nodes a cluster has unless something else is said.
const NODES_DEFAULT: u16 = 3;

/// What all nodes of a local cluster have in common.
#[derive(Clone, Debug)]
pub(super) struct Blueprint {
    /// The gRPC port of the first node; 0 for free ones.
    pub(super) port_base: u16,
    /// How many nodes form the cluster.
    pub(super) nodes: u16,
    /// Where their folders are.
    pub(super) data_dir: Option<PathBuf>,
    /// Further settings, as KEY=VALUE.
    pub(super) set: Vec<String>,
    /// Whether the log's level is left alone.
    pub(super) keeps_log_level: bool,
}

/// The name of a node.
pub(super) fn name(index: u16) -> String {
    format!("node-{index}")
}

/// How many nodes: as many as were asked for, else as many as the folder has, else the usual number.
pub(super) fn node_count(asked: Option<u16>, data_dir: Option<&Path>) -> Result<u16, Failure> {
    let in_folder = || data_dir.map(count_folders).filter(|count| *count > 0);
    match asked.or_else(in_folder).unwrap_or(NODES_DEFAULT) {
        0 => Err(wrong_argument("--nodes 0; a cluster has at least one node")),
        nodes if nodes > NODES_MAX => {
            Err(wrong_argument(format!("--nodes {nodes}; at most {NODES_MAX} run on one machine")))
        }
        nodes => Ok(nodes),
    }
}

/// How many nodes have a folder there: counted from the first one on.
fn count_folders(data_dir: &Path) -> u16 {
    let count = (0..NODES_MAX).take_while(|index| data_dir.join(name(*index)).is_dir()).count();
    count as u16
}

impl Blueprint {
    /// The arguments of `isogrid start` for a node. `ports`: those of all nodes, this one's included.
    pub(super) fn arguments(&self, index: u16, ports: &[Ports]) -> Vec<String> {
        let mut arguments: Vec<String> = Vec::new();
        let mut set = |pair: String| arguments.extend(["--set".into(), pair]);
        // A developer wants to see what goes wrong, not every connection; whoever says otherwise is heard.
        if !self.keeps_log_level {
            set("log.level=warn".into());
        }
        for (key, value) in self.cluster_settings(index, ports) {
            set(format!("{key}={value}"));
        }
        self.set.iter().cloned().for_each(set);
        if let Some(folder) = &self.data_dir {
            let folder = folder.join(name(index));
            arguments.extend(["--data-dir".into(), folder.to_string_lossy().into_owned()]);
        }
        arguments.extend(["--name".into(), name(index)]);
        let own = ports[usize::from(index)];
        arguments.extend(["--grpc-addr".into(), own.grpc_addr()]);
        arguments.extend(["--gossip-addr".into(), own.grpc_addr()]);
        arguments.extend(["--http-addr".into(), own.http_addr()]);
        if cfg!(feature = "sql") {
            arguments.extend(["--pg-addr".into(), own.pg_addr()]);
        }
        arguments
    }

    /// What makes nodes one cluster: whom they ask first, how many they wait for, how many copies they make.
    fn cluster_settings(&self, index: u16, ports: &[Ports]) -> Vec<(&'static str, String)> {
        let others = (0u16..).zip(ports).filter(|(other, _)| *other != index);
        let seeds: Vec<String> = others.map(|(_, ports)| ports.grpc_addr()).collect();
        let is_founder = index < self.nodes;
        let mut settings = vec![
            // A node that is added later never forms a cluster: it joins the one that is there.
            ("cluster.expect", if is_founder { self.nodes } else { 0 }.to_string()),
            ("cluster.backups", u16::from(self.nodes > 1).to_string()),
        ];
        // With seeds a node waits until it has heard of another one, and the first of one node never does.
        if !seeds.is_empty() {
            settings.push(("cluster.seeds", seeds.join(",")));
        }
        settings
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn blueprint() -> Blueprint {
        Blueprint {
            port_base: 7_800,
            nodes: 2,
            data_dir: Some("data".into()),
            set: vec!["node.cores=1".into()],
            keeps_log_level: false,
        }
    }

    fn ports() -> Vec<Ports> {
        (0..2).map(|index| Ports::of_node(7_800, index).expect("in range")).collect()
    }

    #[test]
    fn each_node_has_its_name_ports_and_folder() {
        let line = blueprint().arguments(1, &ports()).join(" ");
        let line = line.trim_end_matches(" --pg-addr 127.0.0.1:7841");
        assert!(
            line.ends_with(
                "--set node.cores=1 --data-dir data/node-1 --name node-1 --grpc-addr 127.0.0.1:7801 --gossip-addr \
                 127.0.0.1:7801 --http-addr 127.0.0.1:7881"
            ),
            "{line}"
        );
        assert!(line.starts_with("--set log.level=warn"), "{line}");
    }

    #[test]
    fn nodes_ask_each_other_and_only_founders_form_a_cluster() {
        let of = |blueprint: &Blueprint, index, count| {
            let ports: Vec<Ports> =
                (0..count).map(|i| Ports::of_node(7_800, i).expect("in range")).collect();
            let settings = blueprint.cluster_settings(index, &ports);
            settings
                .iter()
                .map(|(key, value)| format!("{key}={value}"))
                .collect::<Vec<_>>()
                .join(" ")
        };
        let two = blueprint();
        assert_eq!(
            of(&two, 1, 2),
            "cluster.expect=2 cluster.backups=1 cluster.seeds=127.0.0.1:7800"
        );
        assert_eq!(
            of(&two, 2, 3),
            "cluster.expect=0 cluster.backups=1 cluster.seeds=127.0.0.1:7800,127.0.0.1:7801"
        );
        let alone = Blueprint { nodes: 1, ..blueprint() };
        assert_eq!(of(&alone, 0, 1), "cluster.expect=1 cluster.backups=0");
        assert_eq!(
            of(&alone, 0, 2),
            "cluster.expect=1 cluster.backups=0 cluster.seeds=127.0.0.1:7801"
        );
    }

    #[test]
    fn a_folder_says_how_many_nodes_there_are() {
        let folder = tempfile::tempdir().expect("a folder");
        assert_eq!(count_folders(folder.path()), 0);
        for index in [0, 1, 3] {
            std::fs::create_dir(folder.path().join(name(index))).expect("made");
        }
        assert_eq!(count_folders(folder.path()), 2);
        assert_eq!(node_count(Some(1), Some(folder.path())).ok(), Some(1));
        for wrong in [0, NODES_MAX + 1] {
            assert!(node_count(Some(wrong), None).is_err());
        }
    }
}
