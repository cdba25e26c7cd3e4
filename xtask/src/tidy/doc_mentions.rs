//! A document that code, messages or other documents mention by its path exists: `docs/….md` is a promise.

use super::Finding;
use super::tree::Tree;

/// Put together here so that this file does not find itself.
const FOLDER: &str = concat!("do", "cs/");

pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    tree.own_files()
        .filter(|file| !file.path.starts_with("xtask/src/tidy/doc_"))
        .flat_map(|file| file.numbered_lines().map(move |(number, line)| (file, number, line)))
        .flat_map(|(file, number, line)| {
            mentions(line).filter(|mention| !tree.contains(mention)).map(move |mention| {
                Finding::new(&file.path, number, format!("{mention} does not exist"))
            })
        })
        .collect()
}

/// The paths of documents in a line that start at the root of the repository.
fn mentions(line: &str) -> impl Iterator<Item = &str> {
    let is_path = |c: char| c.is_ascii_alphanumeric() || "/_-.".contains(c);
    line.match_indices(FOLDER).filter_map(move |(at, _)| {
        let end = line[at..].find(|c| !is_path(c)).map_or(line.len(), |length| at + length);
        let path = line[at..end].trim_end_matches('.');
        (!line[..at].ends_with(is_path) && path.ends_with(".md")).then_some(path)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn findings(text: &str) -> Vec<String> {
        let tree = Tree::of_files(&[("src/lib.rs", text), ("docs/real.md", "# Real\n")]);
        check(&tree).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_mention_of_nothing_is_found() {
        assert_eq!(
            findings("//! a\n//! See docs/dream.md."),
            ["src/lib.rs:2: docs/dream.md does not exist"]
        );
        assert_eq!(findings("\"layout in docs/adr/dream.md\"").len(), 1);
    }

    #[test]
    fn a_mention_of_something_is_fine() {
        assert_eq!(findings("//! See docs/real.md and docs/ and other-docs/dream.md.").len(), 0);
    }
}
