//! Gathers what the checks need to know, from the system, the configuration and the cluster. Nothing takes long: what does not
//! answer in time is said not to be known.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Resource, getrlimit};

use super::cluster::ClusterFacts;
use super::host::{DiskFacts, HostFacts};
use crate::commands::settings::SettingArgs;
use crate::connect::operator;

/// How long a name is looked up.
const LOOKUP_WAIT_MAX: Duration = Duration::from_secs(3);

/// How often the disk is written to, how much at a time, and for how long at most.
const SYNCS: usize = 20;
const SYNC_BYTES: usize = 4 << 10;
const SYNC_TIME_MAX: Duration = Duration::from_secs(3);

/// What there is to see of this machine.
pub(super) async fn host(settings: &SettingArgs) -> HostFacts {
    let config = settings.load().map(|loaded| loaded.config);
    let config = config.map_err(|failure| {
        let text = failure.text().unwrap_or_default();
        text.lines().next().unwrap_or_default().trim_start_matches("error: ").to_owned()
    });
    let (seeds, folder) = match &config {
        Ok(config) => (config.cluster.seeds.clone(), config.node.data_dir.clone()),
        Err(_) => (Vec::new(), None),
    };
    let mut found = Vec::new();
    for seed in seeds {
        let addresses = look_up(&seed).await;
        found.push((seed, addresses));
    }
    HostFacts {
        config,
        files_max: Some(getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX)),
        huge_pages: huge_pages(),
        clock: clock(),
        memory_bytes: memory_bytes(),
        swap_bytes: meminfo("SwapTotal:"),
        seeds: found,
        disk: folder.map(disk),
    }
}

async fn look_up(seed: &str) -> Result<usize, String> {
    match tokio::time::timeout(LOOKUP_WAIT_MAX, tokio::net::lookup_host(seed)).await {
        Err(_) => Err("no answer in time".into()),
        Ok(Err(error)) => Err(error.to_string()),
        Ok(Ok(addresses)) => match addresses.count() {
            0 => Err("the name stands for nothing".into()),
            count => Ok(count),
        },
    }
}

/// The word in brackets.
fn huge_pages() -> Option<String> {
    let text = fs::read_to_string("/sys/kernel/mm/transparent_hugepage/enabled").ok()?;
    Some(text.split_once('[')?.1.split_once(']')?.0.to_owned())
}

/// Whether somebody sets the clock, by whichever program is there to say.
fn clock() -> Option<(bool, String)> {
    let said = |program: &str, arguments: &[&str]| {
        let mut command = Command::new(program);
        let output = command.args(arguments).stdin(Stdio::null()).stderr(Stdio::null()).output();
        let output = output.ok().filter(|output| output.status.success())?;
        Some(String::from_utf8_lossy(&output.stdout).into_owned())
    };
    let systemd = said("timedatectl", &["show", "--property=NTPSynchronized", "--value"]);
    match systemd.as_deref().map(str::trim) {
        Some("yes") => return Some((true, "timedatectl".into())),
        Some("no") => return Some((false, "timedatectl".into())),
        _ => {}
    }
    let chrony = said("chronyc", &["-n", "tracking"])?;
    let status = chrony.lines().find_map(|line| line.strip_prefix("Leap status"))?;
    let is_set = !status.contains("Not synchronised");
    Some((is_set, "chronyc".into()))
}

/// What the control group may use, else what the machine has.
fn memory_bytes() -> Option<u64> {
    let group = ["/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"];
    let group = group.iter().find_map(|path| fs::read_to_string(path).ok()?.trim().parse().ok());
    match (group, meminfo("MemTotal:")) {
        (Some(group), Some(machine)) => Some(u64::min(group, machine)),
        (group, machine) => group.or(machine),
    }
}

fn meminfo(name: &str) -> Option<u64> {
    let text = fs::read_to_string("/proc/meminfo").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    Some(line.split_whitespace().next()?.parse::<u64>().ok()? << 10)
}

/// The data folder; one that is not there yet is judged by where it would be.
fn disk(folder: PathBuf) -> DiskFacts {
    let there = folder.ancestors().find(|path| path.is_dir()).unwrap_or(Path::new("."));
    let there = if there.as_os_str().is_empty() { Path::new(".") } else { there };
    let (free_bytes, total_bytes) = rustix::fs::statvfs(there)
        .map_or((0, 0), |state| (state.f_bavail * state.f_frsize, state.f_blocks * state.f_frsize));
    let (trouble, sync_ms) = match syncs(there) {
        Ok(taken) => (String::new(), Some(taken)),
        Err(error) => (error.to_string(), None),
    };
    DiskFacts { folder, trouble, free_bytes, total_bytes, sync_ms }
}

/// How long small writes with a sync take: as a rule, and at worst.
fn syncs(folder: &Path) -> std::io::Result<(f64, f64)> {
    let path = folder.join(format!(".isogrid-doctor-{}", std::process::id()));
    let taken = File::create_new(&path).and_then(|mut file| {
        let begun = Instant::now();
        let mut taken = Vec::with_capacity(SYNCS);
        while taken.len() < SYNCS && (begun.elapsed() < SYNC_TIME_MAX || taken.is_empty()) {
            let before = Instant::now();
            file.write_all(&[0; SYNC_BYTES])?;
            file.sync_data()?;
            taken.push(before.elapsed().as_secs_f64() * 1_000.0);
        }
        Ok(taken)
    });
    // It is not there if it could not be made.
    let _ = fs::remove_file(&path);
    let mut taken = taken?;
    taken.sort_by(f64::total_cmp);
    Ok((taken[taken.len() / 2], taken[taken.len() - 1]))
}

/// What there is to see of the cluster.
pub(super) async fn cluster(endpoint: &str) -> ClusterFacts {
    let mut facts = ClusterFacts::default();
    let first_line = |failure: crate::exit::Failure| {
        let text = failure.text().unwrap_or_default();
        text.lines().next().unwrap_or_default().trim_start_matches("error: ").to_owned()
    };
    let operator = match operator(endpoint).await {
        Ok(operator) => operator,
        Err(failure) => {
            facts.status = Err(first_line(failure));
            return facts;
        }
    };
    facts.status = operator.status(true).await.map_err(|error| first_line(error.into()));
    // A node of an older version does not know every question: what it does not answer is not checked.
    facts.maps = operator.maps().await.map(|list| list.maps).unwrap_or_default();
    facts.partitions =
        operator.partition_sizes().await.map(|list| list.partitions).unwrap_or_default();
    facts.hot = operator.hot_keys(None, 1).await.unwrap_or_default();
    facts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_measured_and_left_as_it_was() {
        let folder = tempfile::tempdir().expect("a folder");
        let facts = disk(folder.path().join("not/yet/there"));
        assert_eq!(facts.trouble, "");
        assert!(facts.total_bytes > 0 && facts.sync_ms.is_some_and(|(usual, _)| usual > 0.0));
        assert_eq!(fs::read_dir(folder.path()).expect("it is there").count(), 0);
    }

    #[test]
    fn where_nothing_can_be_written_that_is_said() {
        let facts = disk(PathBuf::from("/proc/nowhere"));
        assert!(!facts.trouble.is_empty() && facts.sync_ms.is_none());
    }

    #[tokio::test]
    async fn names_have_addresses_or_a_reason() {
        assert!(look_up("localhost:1").await.is_ok_and(|count| count > 0));
        assert!(look_up("no-such-host.invalid:1").await.is_err());
    }
}
