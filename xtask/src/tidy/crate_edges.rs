//! Dependencies point one way, and the crates that decide stay pure: the edges of docs/architecture.md, as a table.

use super::Finding;
use super::tree::{Dependency, Package, Tree};

/// What each package may depend on within the workspace. A new crate gets a line here and a place in the picture of
/// docs/architecture.md.
const EDGES: &[(&str, &[&str])] = &[
    ("isogrid-core", &[]),
    ("isogrid-store", &["isogrid-value", "isogrid-core"]),
    ("isogrid-replica", &["isogrid-store", "isogrid-core"]),
    ("isogrid-cluster", &["isogrid-core"]),
    ("isogrid-council", &["isogrid-cluster", "isogrid-core"]),
    ("isogrid-wal", &["isogrid-core"]),
    ("isogrid-persist", &["isogrid-replica", "isogrid-store", "isogrid-wal", "isogrid-core"]),
    // The entries that a backup is made of are encoded by the replica.
    ("isogrid-backup", &["isogrid-replica", "isogrid-core"]),
    ("isogrid-proto", &["isogrid-value", "isogrid-core"]),
    ("isogrid-otlp", &["isogrid-core"]),
    // The node only for the client's feature `testing`: docs/adr/0004-testing-cluster-in-the-client.md.
    (
        "isogrid-client",
        &["isogrid-proto", "isogrid-otlp", "isogrid-value", "isogrid-core", "isogrid-node"],
    ),
    ("isogrid-value", &["isogrid-core"]),
    ("isogrid-query", &["isogrid-value", "isogrid-core"]),
    ("isogrid-pg", &["isogrid-query", "isogrid-core"]),
    ("isogrid-resp", &["isogrid-core"]),
    ("isogrid-console", &["isogrid-core"]),
    (
        "isogrid-node",
        &[
            "isogrid-pg",
            "isogrid-query",
            "isogrid-value",
            "isogrid-resp",
            "isogrid-console",
            "isogrid-council",
            "isogrid-replica",
            "isogrid-cluster",
            "isogrid-store",
            "isogrid-wal",
            "isogrid-persist",
            "isogrid-proto",
            "isogrid-otlp",
            "isogrid-core",
        ],
    ),
    (
        "isogrid",
        &[
            "isogrid-node",
            "isogrid-client",
            "isogrid-backup",
            "isogrid-sim",
            "isogrid-core",
            // To look at a node's data without the node.
            "isogrid-replica",
            "isogrid-wal",
        ],
    ),
    (
        "isogrid-sim",
        &[
            "isogrid-replica",
            "isogrid-cluster",
            "isogrid-store",
            "isogrid-wal",
            "isogrid-persist",
            "isogrid-core",
        ],
    ),
    (
        "isogrid-benches",
        &[
            "isogrid-replica",
            "isogrid-cluster",
            "isogrid-store",
            "isogrid-wal",
            "isogrid-query",
            "isogrid-proto",
            "isogrid-client",
            "isogrid-value",
            "isogrid-core",
        ],
    ),
    // Knows only the protocol, not the code: that is the point of it.
    ("isogrid-model", &[]),
    ("isogrid-tests", &["isogrid-client", "isogrid-proto", "isogrid-core"]),
    ("xtask", &[]),
];

/// The crates that decide: no runtime, no network, no randomness.
const PURE: &[&str] =
    &["isogrid-core", "isogrid-store", "isogrid-replica", "isogrid-cluster", "isogrid-persist"];

/// What a pure crate must not depend on: these, and everything named after them with a hyphen or underscore.
const IMPURE: &[&str] = &["tokio", "tonic", "rand", "getrandom", "fastrand", "hyper", "axum"];

pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    tree.packages.iter().flat_map(|package| faults_of(package, &tree.packages)).collect()
}

fn faults_of(package: &Package, workspace: &[Package]) -> Vec<Finding> {
    let finding = |what: String| Finding::new("Cargo.toml", None, what);
    let name = package.name.as_str();
    let Some((_, allowed)) = EDGES.iter().find(|(listed, _)| *listed == name) else {
        return vec![finding(format!("{name} has no line in xtask/src/tidy/crate_edges.rs"))];
    };
    let is_own = |dependency: &Dependency| workspace.iter().any(|own| own.name == dependency.name);
    let is_impure = |dependency: &Dependency| {
        IMPURE.iter().any(|impure| match dependency.name.strip_prefix(impure) {
            Some(rest) => rest.is_empty() || rest.starts_with(['-', '_']),
            None => false,
        })
    };
    package
        .dependencies
        .iter()
        // Tests may look the other way: the client's start a node.
        .filter(|dependency| dependency.kind.as_deref() != Some("dev"))
        .filter_map(|dependency| {
            let other = &dependency.name;
            if is_own(dependency) && !allowed.contains(&other.as_str()) {
                Some(finding(format!(
                    "{name} must not depend on {other}: see docs/architecture.md"
                )))
            } else if PURE.contains(&name) && is_impure(dependency) {
                Some(finding(format!("{name} decides and must stay pure: no {other}")))
            } else {
                None
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn findings(packages: &[(&str, &[&str])]) -> Vec<String> {
        check(&Tree::of_packages(packages)).iter().map(|finding| finding.what.clone()).collect()
    }

    #[test]
    fn a_dependency_that_points_the_wrong_way_is_found() {
        let packages: [(&str, &[&str]); 2] =
            [("isogrid-core", &["isogrid-store"]), ("isogrid-store", &["isogrid-core"])];
        assert_eq!(
            findings(&packages),
            ["isogrid-core must not depend on isogrid-store: see docs/architecture.md"]
        );
        let packages: [(&str, &[&str]); 2] =
            [("isogrid-proto", &["build:isogrid-node"]), ("isogrid-node", &[])];
        assert_eq!(findings(&packages).len(), 1, "build dependencies count");
    }

    #[test]
    fn a_runtime_in_a_pure_crate_is_found() {
        for impure in ["tokio", "tokio-util", "tonic", "rand", "rand_core"] {
            assert_eq!(findings(&[("isogrid-store", &[impure])]).len(), 1, "{impure}");
            assert_eq!(findings(&[("isogrid-node", &[impure])]).len(), 0, "{impure}");
        }
        assert_eq!(findings(&[("isogrid-store", &["random-thing"])]).len(), 0, "another name");
    }

    #[test]
    fn an_unlisted_crate_is_found() {
        assert_eq!(
            findings(&[("isogrid-new", &[])]),
            ["isogrid-new has no line in xtask/src/tidy/crate_edges.rs"]
        );
    }

    #[test]
    fn the_right_way_and_test_dependencies_are_fine() {
        let packages: [(&str, &[&str]); 3] = [
            ("isogrid-core", &["bytes", "dev:tokio"]),
            ("isogrid-node", &["isogrid-core", "tokio"]),
            ("isogrid-client", &["isogrid-core", "dev:isogrid-node"]),
        ];
        assert_eq!(findings(&packages).len(), 0);
    }
}
