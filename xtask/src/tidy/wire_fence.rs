//! Wire types stop at the edge: the generated code is named only where bytes are turned into the core's words.

use super::Finding;
use super::tree::Tree;

/// Where wire types may be named. Tests that send what no client would send are an edge too.
const EDGE: &[&str] =
    &["crates/proto/", "crates/client/", "crates/node/src/grpc", "crates/node/tests/", "tests/"];

/// The name of the generated code; put together here so that this file does not find itself.
const GENERATED: &str = concat!("pb", "::");

pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let inside = tree.rust_files().filter(|f| !EDGE.iter().any(|edge| f.path.starts_with(edge)));
    inside
        .flat_map(|file| file.numbered_lines().map(move |(number, line)| (file, number, line)))
        .filter(|(_, _, line)| names_generated_code(line))
        .map(|(file, number, _)| {
            let what =
                format!("`{GENERATED}` belongs to {}: use the core's types", EDGE.join(", "));
            Finding::new(&file.path, number, what)
        })
        .collect()
}

fn names_generated_code(line: &str) -> bool {
    let code = line.split("//").next().unwrap_or_default();
    code.match_indices(GENERATED).any(|(at, _)| {
        !code[..at].ends_with(|before: char| before.is_alphanumeric() || before == '_')
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(path: &str, code: &str) -> Vec<Finding> {
        check(&Tree::of_files(&[(path, &code.replace("PB", "pb"))]))
    }

    #[test]
    fn a_wire_type_inside_is_found() {
        let findings = sample("crates/node/src/router.rs", "fn f(op: PB::Op) {}\nfn g() {}\n");
        assert_eq!(findings.len(), 1);
        assert_eq!(findings[0].line, Some(1));
        assert_eq!(sample("crates/store/src/lib.rs", "use proto::PB::Op;").len(), 1);
    }

    #[test]
    fn the_edge_and_other_names_are_fine() {
        for path in ["crates/node/src/grpc/kv.rs", "crates/node/src/grpc.rs", "tests/tests/a.rs"] {
            assert_eq!(sample(path, "fn f(op: PB::Op) {}"), [], "{path}");
        }
        assert_eq!(sample("crates/core/src/lib.rs", "fn f(op: httPB::Op) {} // PB::Op"), []);
    }
}
