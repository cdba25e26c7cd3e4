//! Gets what the comparison needs: redis from the distribution, and the binary `isogrid` from this workspace.

use std::fs;
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};
use serde::Deserialize;

use super::progress;
use crate::step::cargo;

const PACKAGES: [&str; 2] = ["redis-server", "redis-tools"];

/// Debian's package scripts ask this script before they start a service; 101 forbids it.
const POLICY: &str = "/usr/sbin/policy-rc.d";

/// Makes sure that redis is there, and says which.
pub(super) fn redis() -> Result<String> {
    if !is_runnable("redis-server") || !is_runnable("redis-benchmark") {
        install_redis()?;
    }
    let output = Command::new("redis-server").arg("--version").output()?;
    let text = String::from_utf8_lossy(&output.stdout);
    version_of(&text).with_context(|| format!("redis-server says: {text}"))
}

fn is_runnable(program: &str) -> bool {
    Command::new(program).arg("--version").output().is_ok_and(|output| output.status.success())
}

/// `Redis server v=7.0.15 sha=00000000:0 malloc=jemalloc-5.3.0 bits=64 build=…`
fn version_of(text: &str) -> Option<String> {
    text.split_whitespace().find_map(|word| word.strip_prefix("v=")).map(str::to_owned)
}

fn install_redis() -> Result<()> {
    let by_hand = format!("run: apt-get install {}", PACKAGES.join(" "));
    ensure!(is_runnable("apt-get"), "redis is missing, and so is apt-get: install redis 7 by hand");
    ensure!(is_root(), "redis is missing; as root, {by_hand}");
    progress(&format!("installing {}", PACKAGES.join(" and ")));
    let _no_service = NoServices::while_alive()?;
    if !apt_get(&install_arguments())? {
        // The lists of packages may be missing or too old.
        ensure!(apt_get(&["update"])?, "apt-get update failed; {by_hand}");
        ensure!(apt_get(&install_arguments())?, "apt-get install failed; {by_hand}");
    }
    if is_runnable("systemctl") {
        // Or the service that was not started now would be at the next boot.
        let _ = Command::new("systemctl").args(["disable", "redis-server"]).output();
    }
    Ok(())
}

fn install_arguments() -> Vec<&'static str> {
    [&["install", "--yes", "--no-install-recommends"], &PACKAGES[..]].concat()
}

fn apt_get(arguments: &[&str]) -> Result<bool> {
    let mut command = Command::new("apt-get");
    command.args(arguments).env("DEBIAN_FRONTEND", "noninteractive");
    // Standard output is for the table.
    let status = command.stdin(Stdio::null()).stdout(io::stderr()).status()?;
    Ok(status.success())
}

fn is_root() -> bool {
    fs::metadata("/proc/self").is_ok_and(|own| own.uid() == 0)
}

/// While it lives, no package starts a service. A policy that was there before is left alone.
struct NoServices {
    is_ours: bool,
}

impl NoServices {
    fn while_alive() -> Result<Self> {
        if Path::new(POLICY).exists() {
            return Ok(NoServices { is_ours: false });
        }
        fs::write(POLICY, "#!/bin/sh\nexit 101\n").with_context(|| format!("write {POLICY}"))?;
        let guard = NoServices { is_ours: true };
        fs::set_permissions(POLICY, fs::Permissions::from_mode(0o755))?;
        Ok(guard)
    }
}

impl Drop for NoServices {
    fn drop(&mut self) {
        if self.is_ours && fs::remove_file(POLICY).is_err() {
            progress(&format!("{POLICY} could not be removed: it keeps services from starting"));
        }
    }
}

/// Builds the binary `isogrid` as it is shipped, and says where it is.
pub(super) fn isogrid(root: &Path) -> Result<PathBuf> {
    progress("building the release binary of isogrid");
    let mut build = cargo(root, &["build", "--release", "--package", "isogrid"]);
    build.arg("--message-format=json-render-diagnostics").stderr(Stdio::inherit());
    let output = build.output().context("cannot run cargo build")?;
    if !output.status.success() {
        bail!("the build of isogrid failed");
    }
    executable_in(&String::from_utf8_lossy(&output.stdout))
        .context("cargo build names no executable of isogrid")
}

/// Finds the executable among the messages of cargo, one JSON object per line.
fn executable_in(messages: &str) -> Option<PathBuf> {
    #[derive(Deserialize)]
    struct Message {
        target: Option<Target>,
        executable: Option<PathBuf>,
    }
    #[derive(Deserialize)]
    struct Target {
        name: String,
    }
    messages.lines().find_map(|line| {
        let message: Message = serde_json::from_str(line).ok()?;
        if message.target?.name == "isogrid" { message.executable } else { None }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_of_redis_is_found() {
        let text = "Redis server v=7.0.15 sha=00000000:0 malloc=jemalloc-5.3.0 bits=64 build=c8\n";
        assert_eq!(version_of(text).as_deref(), Some("7.0.15"));
        assert_eq!(version_of("Valkey"), None);
    }

    #[test]
    fn the_executable_is_found_among_the_messages() {
        let messages = r#"{"reason":"compiler-artifact","target":{"name":"isogrid_core"},"executable":null}
{"reason":"build-script-executed"}
{"reason":"compiler-artifact","target":{"name":"other"},"executable":"/t/release/other"}
{"reason":"compiler-artifact","target":{"name":"isogrid"},"executable":"/t/release/isogrid"}
{"reason":"build-finished","success":true}"#;
        assert_eq!(executable_in(messages), Some(PathBuf::from("/t/release/isogrid")));
        assert_eq!(executable_in(""), None);
    }
}
