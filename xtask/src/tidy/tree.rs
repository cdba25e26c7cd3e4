//! What the rules look at: every file that is or would be tracked, and the packages of the workspace.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde::Deserialize;

use crate::step::cargo;

/// The workspace as the rules see it.
#[derive(Default)]
pub(super) struct Tree {
    /// The text files.
    pub(super) files: Vec<TextFile>,
    /// All files, also those that are no text.
    pub(super) paths: BTreeSet<String>,
    /// The packages of the workspace.
    pub(super) packages: Vec<Package>,
}

/// A file and its text.
pub(super) struct TextFile {
    /// The path from the root of the workspace, with `/`.
    pub(super) path: String,
    /// The content.
    pub(super) text: String,
}

/// A package of the workspace, as `cargo metadata` describes it.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Package {
    /// The name.
    pub(super) name: String,
    /// What it depends on directly.
    pub(super) dependencies: Vec<Dependency>,
}

/// A direct dependency.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Dependency {
    /// The name of the package.
    pub(super) name: String,
    /// `None` for a normal one, else "dev" or "build".
    pub(super) kind: Option<String>,
}

impl Tree {
    /// Reads the workspace. Files that git ignores do not count; files that are new and not yet tracked do.
    pub(super) fn load(root: &Path) -> Result<Self> {
        let mut tree = Tree { packages: packages(root)?, ..Tree::default() };
        for path in listed_files(root)? {
            // Listed and gone: deleted, and the deletion not yet committed.
            let Ok(bytes) = std::fs::read(root.join(&path)) else { continue };
            if let Ok(text) = String::from_utf8(bytes) {
                tree.files.push(TextFile { path: path.clone(), text });
            }
            tree.paths.insert(path);
        }
        Ok(tree)
    }

    /// The Rust sources.
    pub(super) fn rust_files(&self) -> impl Iterator<Item = &TextFile> {
        self.files.iter().filter(|file| file.path.ends_with(".rs"))
    }

    /// The documents.
    pub(super) fn documents(&self) -> impl Iterator<Item = &TextFile> {
        self.files.iter().filter(|file| file.path.ends_with(".md"))
    }

    /// The files somebody of this project wrote: neither the lock file nor the licence.
    pub(super) fn own_files(&self) -> impl Iterator<Item = &TextFile> {
        self.files.iter().filter(|file| !["Cargo.lock", "LICENSE"].contains(&file.path.as_str()))
    }

    /// Whether there is such a file or folder.
    pub(super) fn contains(&self, path: &str) -> bool {
        let inside = format!("{path}/");
        path.is_empty()
            || self.paths.contains(path)
            || self.paths.range(inside.clone()..).next().is_some_and(|p| p.starts_with(&inside))
    }
}

impl TextFile {
    /// The lines with their numbers, from one.
    pub(super) fn numbered_lines(&self) -> impl Iterator<Item = (usize, &str)> {
        self.text.lines().enumerate().map(|(index, line)| (index + 1, line))
    }
}

fn listed_files(root: &Path) -> Result<Vec<String>> {
    let mut git = Command::new("git");
    git.current_dir(root).args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"]);
    let output = git.output().context("cannot run git, which lists the files")?;
    ensure!(output.status.success(), "git: {}", String::from_utf8_lossy(&output.stderr));
    let list = String::from_utf8(output.stdout).context("a path is not UTF-8")?;
    Ok(list.split_terminator('\0').map(str::to_owned).collect())
}

fn packages(root: &Path) -> Result<Vec<Package>> {
    #[derive(Deserialize)]
    struct Metadata {
        packages: Vec<Package>,
    }
    let arguments = ["metadata", "--format-version", "1", "--no-deps", "--locked"];
    let output = cargo(root, &arguments).output().context("cannot run cargo metadata")?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: Metadata = serde_json::from_slice(&output.stdout)?;
    Ok(metadata.packages)
}

#[cfg(test)]
impl Tree {
    /// A workspace of these files, for the tests of the rules.
    pub(super) fn of_files(files: &[(&str, &str)]) -> Self {
        let paths = files.iter().map(|(path, _)| (*path).to_owned()).collect();
        let with = |&(path, text): &(&str, &str)| TextFile { path: path.into(), text: text.into() };
        Tree { files: files.iter().map(with).collect(), paths, packages: Vec::new() }
    }

    /// A workspace of these packages; a dependency is written `name` or `kind:name`.
    pub(super) fn of_packages(packages: &[(&str, &[&str])]) -> Self {
        let dependency = |text: &&str| match text.split_once(':') {
            Some((kind, name)) => Dependency { name: name.into(), kind: Some(kind.into()) },
            None => Dependency { name: (*text).into(), kind: None },
        };
        let with = |&(name, dependencies): &(&str, &[&str])| Package {
            name: name.into(),
            dependencies: dependencies.iter().map(dependency).collect(),
        };
        Tree { packages: packages.iter().map(with).collect(), ..Tree::default() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_count_as_paths() {
        let tree = Tree::of_files(&[("guide/adr/README.md", ""), ("guide/adr-index.md", "")]);
        assert!(tree.contains("guide") && tree.contains("guide/adr") && tree.contains(""));
        assert!(tree.contains("guide/adr/README.md"));
        assert!(!tree.contains("guide/ad") && !tree.contains("gui"));
    }

    #[test]
    fn the_metadata_of_cargo_is_understood() {
        let text = r#"{"name":"a","version":"1","dependencies":[{"name":"b","kind":null,"path":"x"},
            {"name":"c","kind":"dev"}]}"#;
        let package: Package = serde_json::from_str(text).expect("understood");
        assert_eq!(package.dependencies[0].kind, None);
        assert_eq!(package.dependencies[1].kind.as_deref(), Some("dev"));
    }
}
