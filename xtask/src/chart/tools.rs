//! Where helm and Kubernetes' schemas are. `.ci/run` installs them, by the hashes in helm/tools/requirements.txt.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result};

/// The chart, from the root of the repository.
pub(super) const CHART: &str = "helm/isogrid";

/// What was found.
pub(super) struct Tools {
    folder: PathBuf,
}

/// What a program said, and whether it was content.
pub(super) struct Said {
    pub(super) is_good: bool,
    pub(super) text: String,
}

/// The folder that has them: a Python environment in the cache.
pub(super) fn folder() -> PathBuf {
    let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let home = || std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".cache"));
    cache.or_else(home).unwrap_or_default().join("isogrid/tools/chart")
}

pub(super) fn find() -> Option<Tools> {
    let folder = folder();
    let is_there = |name: &str| folder.join("bin").join(name).is_file();
    (is_there("helm") && is_there("kubernetes-validate")).then_some(Tools { folder })
}

impl Tools {
    /// Runs helm on the chart. The first argument is its command; values may come over standard input.
    pub(super) fn helm(
        &self,
        root: &Path,
        arguments: &[&str],
        values: Option<&str>,
    ) -> Result<Said> {
        let mut command = self.command("helm", root);
        // Nothing of the user's own helm counts.
        for (variable, folder) in [
            ("HELM_CONFIG_HOME", "config"),
            ("HELM_CACHE_HOME", "cache"),
            ("HELM_DATA_HOME", "data"),
        ] {
            command.env(variable, self.folder.join("helm").join(folder));
        }
        command.env_remove("KUBECONFIG").args(arguments).arg(CHART);
        said(&mut command, values)
    }

    /// Holds files against the schemas of a version of Kubernetes; properties that it does not know are wrong.
    pub(super) fn validate(&self, root: &Path, version: &str, files: &[PathBuf]) -> Result<Said> {
        let mut command = self.command("kubernetes-validate", root);
        command.args(["--strict", "--quiet", "-k", version]).args(files);
        said(&mut command, None)
    }

    fn command(&self, name: &str, root: &Path) -> Command {
        let mut command = Command::new(self.folder.join("bin").join(name));
        command.current_dir(root);
        command
    }
}

fn said(command: &mut Command, input: Option<&str>) -> Result<Said> {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().with_context(|| format!("cannot run {command:?}"))?;
    // Dropped at the end of the line, which ends the input.
    child
        .stdin
        .take()
        .context("it has an input")?
        .write_all(input.unwrap_or_default().as_bytes())?;
    let output = child.wait_with_output()?;
    let bytes = [output.stdout, output.stderr].concat();
    Ok(Said {
        is_good: output.status.success(),
        text: String::from_utf8_lossy(&bytes).into_owned(),
    })
}
