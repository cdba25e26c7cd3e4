//! The rules of the house that no ready-made tool knows. One rule per file, each with a test that shows it fail.
//!
//! A new rule is a file with `fn check(&Tree) -> Vec<Finding>` and a line in [`RULES`].

mod crate_edges;
mod doc_links;
mod doc_mentions;
mod doc_titles;
mod file_length;
mod library_errors;
mod machine_paths;
mod markdown;
mod markers;
mod module_docs;
mod tree;
mod wire_fence;

use std::fmt;
use std::path::Path;

use anyhow::Result;

use crate::step::{self, Verdict};
use tree::Tree;

/// A broken rule, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Finding {
    /// The file, from the root of the workspace.
    path: String,
    /// The line, from one; `None` when the file as a whole is meant.
    line: Option<usize>,
    /// What is wrong and what to do.
    what: String,
}

impl Finding {
    fn new(path: &str, line: impl Into<Option<usize>>, what: impl Into<String>) -> Self {
        Finding { path: path.to_owned(), line: line.into(), what: what.into() }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            Some(line) => write!(f, "{}:{line}: {}", self.path, self.what),
            None => write!(f, "{}: {}", self.path, self.what),
        }
    }
}

type Rule = fn(&Tree) -> Vec<Finding>;

const RULES: &[Rule] = &[
    module_docs::check,
    file_length::check,
    crate_edges::check,
    library_errors::check,
    wire_fence::check,
    markers::check,
    machine_paths::check,
    doc_titles::check,
    doc_links::check,
    doc_mentions::check,
];

/// `cargo xtask tidy`: returns whether every rule holds.
pub(crate) fn run(root: &Path) -> Result<bool> {
    step::run("tidy", || verdict(root))
}

/// Every finding of every rule.
pub(crate) fn verdict(root: &Path) -> Result<Verdict> {
    let tree = Tree::load(root)?;
    let findings: Vec<String> =
        RULES.iter().flat_map(|rule| rule(&tree)).map(|finding| finding.to_string()).collect();
    Ok(if findings.is_empty() { Verdict::Good } else { Verdict::Bad(findings.join("\n")) })
}
