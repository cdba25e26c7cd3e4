//! Libraries have an error of their own: callers decide by its kind and outcome, which a catch-all error hides.

use super::Finding;
use super::tree::Tree;

/// The packages that may use a catch-all error: programs and tests, whose caller is a person.
const PROGRAMS: &[&str] = &["isogrid", "isogrid-sim", "isogrid-tests", "isogrid-benches", "xtask"];

/// Catch-all errors.
const CATCH_ALL: &[&str] = &["anyhow", "eyre", "color-eyre"];

/// Libraries that must name one because a trait of somebody else is written with it: docs/adr/0012-chitchat-version.md.
const EXCEPTIONS: &[(&str, &str)] = &[("isogrid-node", "anyhow")];

pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let libraries = tree.packages.iter().filter(|p| !PROGRAMS.contains(&p.name.as_str()));
    libraries
        .flat_map(|package| package.dependencies.iter().map(move |d| (package, d)))
        .filter(|(package, d)| !EXCEPTIONS.contains(&(&*package.name, &*d.name)))
        .filter(|(_, d)| d.kind.as_deref() != Some("dev") && CATCH_ALL.contains(&d.name.as_str()))
        .map(|(package, d)| {
            let what = format!("{} is a library: its own error, not {}", package.name, d.name);
            Finding::new("Cargo.toml", None, what)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_catch_all_error_in_a_library_is_found() {
        let tree = Tree::of_packages(&[("isogrid-client", &["bytes", "anyhow"])]);
        assert_eq!(check(&tree)[0].what, "isogrid-client is a library: its own error, not anyhow");
    }

    #[test]
    fn programs_and_tests_may() {
        let packages: [(&str, &[&str]); 2] =
            [("isogrid", &["anyhow"]), ("isogrid-client", &["dev:anyhow"])];
        assert_eq!(check(&Tree::of_packages(&packages)), []);
    }
}
