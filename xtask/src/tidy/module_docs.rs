//! Every Rust file opens with `//!`: what it is, in a line to five.

use super::Finding;
use super::tree::Tree;

pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    tree.rust_files()
        .filter(|file| !opens_with_docs(&file.text))
        .map(|file| Finding::new(&file.path, 1, "open the file with `//!`: what it is"))
        .collect()
}

fn opens_with_docs(text: &str) -> bool {
    let first = text.lines().find(|line| !line.trim().is_empty()).unwrap_or_default();
    first.strip_prefix("//!").is_some_and(|words| !words.trim().is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_without_docs_is_found() {
        for bad in ["use std::fmt;\n", "// A comment.\n", "", "//!\nfn f() {}", "/// An item.\n"] {
            let findings = check(&Tree::of_files(&[("crates/a/src/lib.rs", bad)]));
            assert_eq!(findings.len(), 1, "{bad:?}");
        }
    }

    #[test]
    fn a_file_with_docs_is_fine() {
        let tree =
            Tree::of_files(&[("a.rs", "\n//! What it is.\nfn f() {}"), ("a.py", "import a")]);
        assert_eq!(check(&tree), []);
    }
}
