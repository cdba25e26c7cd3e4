//! No link of a document is dead: files, folders and anchors within the repository.

use super::Finding;
use super::markdown::{anchors, links};
use super::tree::Tree;

pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    tree.documents()
        .flat_map(|document| {
            links(&document.text).into_iter().filter_map(|(line, link)| {
                let why = fault(tree, &document.path, &link)?;
                Some(Finding::new(&document.path, line, format!("dead link {link}: {why}")))
            })
        })
        .collect()
}

/// Why a link of a document is dead, if it is.
fn fault(tree: &Tree, from: &str, link: &str) -> Option<&'static str> {
    if link.contains("://") || link.starts_with("mailto:") {
        return None;
    }
    let (path, anchor) = match link.split_once('#') {
        Some((path, anchor)) => (path, Some(anchor)),
        None => (link, None),
    };
    let Some(target) = resolve(from, path) else {
        return Some("it leaves the repository");
    };
    if !tree.contains(&target) {
        return Some("no such file or folder");
    }
    let anchor = anchor?;
    let document = tree.documents().find(|document| document.path == target)?;
    (!anchors(&document.text).contains(anchor)).then_some("no such heading")
}

/// The path that a relative link of a document means; `None` when it leaves the repository.
fn resolve(from: &str, path: &str) -> Option<String> {
    if path.is_empty() {
        return Some(from.to_owned());
    }
    if path.starts_with('/') {
        return None;
    }
    let mut parts: Vec<&str> = from.split('/').collect();
    parts.pop();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()?),
            name => parts.push(name),
        }
    }
    Some(parts.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn findings(text: &str) -> Vec<String> {
        let tree = Tree::of_files(&[
            ("docs/a.md", text),
            ("docs/b.md", "# Title\n## One section\n"),
            ("crates/core/src/lib.rs", ""),
        ]);
        check(&tree).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn dead_links_are_found() {
        assert_eq!(
            findings("# A\n[b](c.md)\n"),
            ["docs/a.md:2: dead link c.md: no such file or folder"]
        );
        assert_eq!(
            findings("[b](b.md#another-section)"),
            ["docs/a.md:1: dead link b.md#another-section: no such heading"]
        );
        assert_eq!(findings("[b](#nothing)").len(), 1);
        assert_eq!(
            findings("[b](../../b.md)"),
            ["docs/a.md:1: dead link ../../b.md: it leaves the repository"]
        );
        assert_eq!(findings("[b](/docs/b.md)").len(), 1, "a forge has another root than a disk");
    }

    #[test]
    fn good_links_are_fine() {
        let text = "# A\n[b](b.md) [b](./b.md#one-section) [c](../crates/core) [d](#a)\n\
                    [e](https://example.org/x.md) [f](mailto:a@example.org)\n[g]: ../docs/b.md\n";
        assert_eq!(findings(text).len(), 0);
    }
}
