//! A local cluster of three nodes, as `isogrid dev` runs it.

use serde_json::Value;

use super::{Ran, Running, isogrid};

/// A cluster of `isogrid dev`.
pub(crate) struct Local {
    dev: Running,
    /// What was announced of each node.
    pub(crate) nodes: Vec<Value>,
}

impl Local {
    /// Starts three nodes that have one core each, and these settings.
    pub(crate) fn start(settings: &[&str]) -> Local {
        let mut all = vec!["dev", "--port-base", "0", "-o", "json", "--set", "node.cores=1"];
        for setting in settings {
            all.extend(["--set", setting]);
        }
        let (mut dev, line) = Running::start(&all);
        let Ok(announced) = serde_json::from_str::<Value>(&line) else {
            dev.wait();
            panic!("the cluster does not start: {}", dev.stderr());
        };
        let nodes = announced["nodes"].as_array().expect("a list").clone();
        Local { dev, nodes }
    }

    /// The process of a node.
    pub(crate) fn pid(&self, node: usize) -> u32 {
        self.nodes[node]["pid"].as_u64().and_then(|pid| pid.try_into().ok()).expect("a number")
    }

    /// Where clients connect to a node.
    pub(crate) fn endpoint(&self, node: usize) -> &str {
        self.nodes[node]["grpc"].as_str().expect("an address")
    }

    /// Runs a command against a node.
    pub(crate) fn at(&self, node: usize, arguments: &[&str]) -> Ran {
        isogrid(&[arguments, &["--endpoint", self.endpoint(node)]].concat())
    }

    /// Waits until any node may go.
    pub(crate) fn safe(&self) {
        let wait = ["status", "--exit-when-safe", "--timeout", "60s", "--interval", "100ms"];
        let ran = self.at(0, &wait);
        assert_eq!(ran.code, 0, "{} {}", ran.text(), ran.stderr);
    }

    /// Ends all nodes.
    pub(crate) fn stop(mut self) {
        self.dev.signal("TERM");
        assert_eq!(self.dev.wait().code(), Some(0), "{}", self.dev.stderr());
    }
}
