//! What the chart makes of each profile, and of values that switch on everything, stands in helm/golden; what those without
//! Helm take stands in deploy. Both must be what the chart makes today.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

use super::tools::Tools;

/// A set of values, and where what comes of it stands.
pub(super) struct Case {
    pub(super) name: &'static str,
    /// The file with the values, if there is one.
    file: Option<&'static str>,
    /// What comes of it.
    pub(super) golden: &'static str,
    /// What is said to helm beside the values.
    flags: &'static [&'static str],
}

const fn case(
    name: &'static str,
    file: Option<&'static str>,
    golden: &'static str,
    flags: &'static [&'static str],
) -> Case {
    Case { name, file, golden, flags }
}

/// An upgrade is rendered where hooks of it are wanted: they are rendered anyhow, but rules of an install do not hold.
pub(super) const CASES: &[Case] = &[
    case("default", None, "helm/golden/default.yaml", &[]),
    case("dev", Some("helm/isogrid/values-dev.yaml"), "helm/golden/dev.yaml", &[]),
    case("prod", Some("helm/isogrid/values-prod.yaml"), "helm/golden/prod.yaml", &[]),
    case(
        "persistent",
        Some("helm/isogrid/values-persistent.yaml"),
        "helm/golden/persistent.yaml",
        &[],
    ),
    case(
        "multizone",
        Some("helm/isogrid/values-multizone.yaml"),
        "helm/golden/multizone.yaml",
        &[],
    ),
    case(
        "everything",
        Some("helm/golden/everything.values.yaml"),
        "helm/golden/everything.yaml",
        &[],
    ),
    case(
        "shrinking",
        Some("helm/golden/shrinking.values.yaml"),
        "helm/golden/shrinking.yaml",
        &["--is-upgrade"],
    ),
    case(
        "fewer",
        Some("helm/golden/fewer.values.yaml"),
        "helm/golden/fewer.yaml",
        &["--is-upgrade"],
    ),
    case(
        "deploy",
        Some("helm/isogrid/values-prod.yaml"),
        "deploy/isogrid.yaml",
        &["--no-hooks", "--skip-tests"],
    ),
];

impl Case {
    /// The arguments that name its values.
    pub(super) fn values(&self) -> Vec<&'static str> {
        self.file.map_or_else(Vec::new, |file| vec!["--values", file])
    }

    /// What comes of it, with more arguments and values from standard input.
    pub(super) fn render(&self, root: &Path, tools: &Tools, more: &[&str]) -> Result<String> {
        let mut arguments = vec!["template", "--namespace", "isogrid"];
        arguments.extend(self.flags);
        arguments.extend(self.values());
        arguments.extend(more);
        // The name of the release stands before the chart.
        arguments.push("isogrid");
        let said = tools.helm(root, &arguments, None)?;
        ensure!(said.is_good, "{}: {}", self.name, said.text);
        Ok(said.text)
    }

    fn path(&self, root: &Path) -> PathBuf {
        root.join(self.golden)
    }
}

/// The documents of a file with several.
pub(super) fn documents(text: &str) -> impl Iterator<Item = &str> {
    let parts = text.split("\n---\n").map(|part| part.trim_start_matches("---\n"));
    parts.filter(|part| part.lines().any(|line| line.starts_with("kind: ")))
}

/// Writes every golden file.
pub(super) fn write(root: &Path, tools: &Tools) -> Result<()> {
    for case in CASES {
        let text = case.render(root, tools, &[])?;
        std::fs::write(case.path(root), text).with_context(|| case.golden.to_owned())?;
    }
    Ok(())
}

/// Whether the golden files are what the chart makes.
pub(super) fn check(root: &Path, tools: &Tools) -> Result<Vec<String>> {
    let mut findings = Vec::new();
    for case in CASES {
        let wanted = std::fs::read_to_string(case.path(root)).unwrap_or_default();
        let made = case.render(root, tools, &[])?;
        if let Some(difference) = first_difference(&wanted, &made) {
            findings.push(format!(
                "{}: {difference}; if that is meant: cargo xtask chart --write",
                case.golden
            ));
        }
    }
    Ok(findings)
}

/// More nodes, or fewer, must not restart those that are there: their pods are the same to the letter.
pub(super) fn scaling(root: &Path, tools: &Tools) -> Result<Vec<String>> {
    let case = &CASES[0];
    let pod = |text: &str| -> Option<String> {
        let set = documents(text).find(|document| document.contains("\nkind: StatefulSet\n"))?;
        let (_, pod) = set.split_once("\n  template:\n")?;
        Some(pod.to_owned())
    };
    let three = pod(&case.render(root, tools, &[])?).context("a StatefulSet")?;
    let five = ["--is-upgrade", "--set", "replicas=5"];
    let five = pod(&case.render(root, tools, &five)?).context("a StatefulSet")?;
    let difference = first_difference(&three, &five);
    Ok(difference.map(|what| format!("five replicas restart three: {what}")).into_iter().collect())
}

fn first_difference(wanted: &str, made: &str) -> Option<String> {
    if wanted == made {
        return None;
    }
    let (mut wanted, mut made, mut number) = (wanted.lines(), made.lines(), 0);
    loop {
        number += 1;
        let (left, right) = (wanted.next(), made.next());
        if left != right || left.is_none() {
            let shown =
                |line: Option<&str>| line.map_or("nothing".into(), |line| format!("{line:?}"));
            return Some(format!("line {number} is {}, not {}", shown(left), shown(right)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_line_that_differs_is_named() {
        assert_eq!(first_difference("a\nb\n", "a\nb\n"), None);
        let said = first_difference("a\nb\n", "a\nc\n").expect("they differ");
        assert_eq!(said, "line 2 is \"b\", not \"c\"");
        assert!(first_difference("a\n", "a\nb\n").expect("longer").contains("nothing"));
    }

    #[test]
    fn documents_are_told_apart() {
        let text = "---\n# Source: a\nkind: A\n---\n# nothing\n---\nkind: B\n";
        let kinds: Vec<&str> =
            documents(text).filter_map(|document| document.lines().last()).collect();
        assert_eq!(kinds, ["kind: A", "kind: B"]);
    }
}
