//! What is looked at on a machine, and the rules about it.

use std::path::PathBuf;

use isogrid_node::config::Config;

use super::checks::Verdict::{self, Fine, Found, Skipped};
use crate::text::{size, thousands};

/// Files that a node has open beside its connections.
const FILES_BESIDE: u64 = 256;

/// The most of the memory that the mark may be, in hundredths.
const MEMORY_PERCENT_MAX: u64 = 90;

/// How much of a disk should be free, in hundredths, and in bytes.
const FREE_PERCENT_MIN: u64 = 15;
const FREE_BYTES_MIN: u64 = 1 << 30;

/// How long a sync may take.
const SYNC_MS_MAX: f64 = 20.0;

/// What was seen on the machine. What could not be seen is `None`, or says why.
#[derive(Clone, Debug)]
pub(super) struct HostFacts {
    /// The configuration that a node here would have, or what is wrong with it.
    pub(super) config: Result<Config, String>,
    /// How many files a process may have open.
    pub(super) files_max: Option<u64>,
    /// When the system uses huge pages: always, madvise or never.
    pub(super) huge_pages: Option<String>,
    /// Whether somebody sets the clock, and who says so.
    pub(super) clock: Option<(bool, String)>,
    /// What the control group or the machine has.
    pub(super) memory_bytes: Option<u64>,
    pub(super) swap_bytes: Option<u64>,
    /// Seeds with how many addresses they have, or why they have none.
    pub(super) seeds: Vec<(String, Result<usize, String>)>,
    pub(super) disk: Option<DiskFacts>,
}

impl Default for HostFacts {
    /// Nothing was looked at.
    fn default() -> Self {
        HostFacts {
            config: Err("it was not looked at".into()),
            files_max: None,
            huge_pages: None,
            clock: None,
            memory_bytes: None,
            swap_bytes: None,
            seeds: Vec::new(),
            disk: None,
        }
    }
}

/// What was seen of the data folder.
#[derive(Clone, Debug)]
pub(super) struct DiskFacts {
    pub(super) folder: PathBuf,
    /// Why nothing can be written there; an empty text: it can.
    pub(super) trouble: String,
    pub(super) free_bytes: u64,
    pub(super) total_bytes: u64,
    /// How long a small write with a sync took, in milliseconds: as a rule, and at worst.
    pub(super) sync_ms: Option<(f64, f64)>,
}

fn with_config(facts: &HostFacts, look: impl FnOnce(&Config) -> Verdict) -> Verdict {
    match &facts.config {
        Ok(config) => look(config),
        Err(_) => Skipped("the configuration is wrong (D-01)".into()),
    }
}

pub(super) fn configuration(facts: &HostFacts) -> Verdict {
    match &facts.config {
        Ok(_) => Fine("it can be loaded".into()),
        Err(why) => Found(why.clone()),
    }
}

pub(super) fn file_limit(facts: &HostFacts) -> Verdict {
    let Some(files_max) = facts.files_max else {
        return Skipped("the system does not tell".into());
    };
    with_config(facts, |config| {
        let limits = &config.limits;
        let connections = (limits.connections_max + limits.pg_connections_max) as u64;
        let (has, needs) = (thousands(files_max), thousands(connections + FILES_BESIDE));
        if files_max < connections + FILES_BESIDE {
            return Found(format!("{has} open files, and {needs} may be needed"));
        }
        Fine(format!("{has} open files"))
    })
}

pub(super) fn huge_pages(facts: &HostFacts) -> Verdict {
    match facts.huge_pages.as_deref() {
        None => Skipped("the system does not tell".into()),
        Some("always") => Found("they are used always".into()),
        Some(other) => Fine(other.into()),
    }
}

pub(super) fn clock(facts: &HostFacts) -> Verdict {
    match &facts.clock {
        None => Skipped("neither timedatectl nor chronyc says whether it is set".into()),
        Some((true, by)) => Fine(format!("says {by}")),
        Some((false, by)) => Found(format!("it is not, says {by}")),
    }
}

pub(super) fn memory(facts: &HostFacts) -> Verdict {
    let Some(memory) = facts.memory_bytes else {
        return Skipped("the system does not tell".into());
    };
    with_config(facts, |config| {
        let limit = config.memory.limit.resolve(memory);
        let told = format!("memory.limit is {} of {}", size(limit), size(memory));
        if limit > memory / 100 * MEMORY_PERCENT_MAX { Found(told) } else { Fine(told) }
    })
}

pub(super) fn swap(facts: &HostFacts) -> Verdict {
    match facts.swap_bytes {
        None => Skipped("the system does not tell".into()),
        Some(0) => Fine("none".into()),
        Some(bytes) => Found(format!("{} of swap", size(bytes))),
    }
}

pub(super) fn seeds(facts: &HostFacts) -> Verdict {
    with_config(facts, |_| {
        if facts.seeds.is_empty() {
            return Skipped("cluster.seeds names none".into());
        }
        let bad: Vec<String> = facts
            .seeds
            .iter()
            .filter_map(|(seed, found)| {
                found.as_ref().err().map(|why| format!("{seed} has no address: {why}"))
            })
            .collect();
        if !bad.is_empty() {
            return Found(bad.join("; "));
        }
        let addresses: usize =
            facts.seeds.iter().filter_map(|(_, found)| found.as_ref().ok()).sum();
        Fine(format!("{} with {addresses} addresses", facts.seeds.len()))
    })
}

pub(super) fn addresses(facts: &HostFacts) -> Verdict {
    with_config(facts, |config| {
        let node = &config.node;
        let remote = config.cluster.seeds.iter().find(|seed| !is_loopback(seed));
        let listens = [&node.grpc_addr, &node.gossip_addr];
        let local = listens.into_iter().find(|address| is_loopback(address));
        match (remote, local) {
            (Some(seed), Some(local)) => {
                Found(format!("it listens at {local}, and {seed} is to find it"))
            }
            _ => Fine(format!("gRPC at {}, gossip at {}", node.grpc_addr, node.gossip_addr)),
        }
    })
}

fn is_loopback(address: &str) -> bool {
    ["127.", "localhost:", "[::1]:"].iter().any(|start| address.starts_with(start))
}

/// The data folder, if the node is to have one.
fn with_disk(facts: &HostFacts, look: impl FnOnce(&DiskFacts) -> Verdict) -> Verdict {
    with_config(facts, |_| match &facts.disk {
        None => Skipped("node.data_dir is not set: nothing is kept on disk".into()),
        Some(disk) => look(disk),
    })
}

pub(super) fn folder(facts: &HostFacts) -> Verdict {
    with_disk(facts, |disk| match disk.trouble.as_str() {
        "" => Fine(disk.folder.display().to_string()),
        why => Found(format!("{}: {why}", disk.folder.display())),
    })
}

pub(super) fn space(facts: &HostFacts) -> Verdict {
    with_disk(facts, |disk| {
        let told = format!("{} free of {}", size(disk.free_bytes), size(disk.total_bytes));
        let few = disk.total_bytes / 100 * FREE_PERCENT_MIN;
        match disk.total_bytes {
            0 => Skipped("the file system does not tell".into()),
            _ if disk.free_bytes < few.max(FREE_BYTES_MIN) => Found(told),
            _ => Fine(told),
        }
    })
}

pub(super) fn speed(facts: &HostFacts) -> Verdict {
    with_disk(facts, |disk| match disk.sync_ms {
        None => Skipped("nothing can be written there (D-09)".into()),
        Some((usual, worst)) => {
            let told = format!("a sync takes {usual:.1} ms, {worst:.1} ms at worst");
            if usual > SYNC_MS_MAX { Found(told) } else { Fine(told) }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts() -> HostFacts {
        HostFacts {
            config: Ok(Config::default()),
            files_max: Some(65_536),
            huge_pages: Some("madvise".into()),
            clock: Some((true, "timedatectl".into())),
            memory_bytes: Some(8 << 30),
            swap_bytes: Some(0),
            seeds: Vec::new(),
            disk: Some(DiskFacts {
                folder: "data".into(),
                trouble: String::new(),
                free_bytes: 50 << 30,
                total_bytes: 100 << 30,
                sync_ms: Some((1.0, 5.0)),
            }),
        }
    }

    type Judged = fn(&HostFacts) -> Verdict;

    fn is_found(rule: Judged, spoil: impl FnOnce(&mut HostFacts)) -> bool {
        let mut facts = facts();
        assert!(!matches!(rule(&facts), Found(_)), "nothing is wrong yet");
        spoil(&mut facts);
        matches!(rule(&facts), Found(_))
    }

    fn set(facts: &mut HostFacts, change: impl FnOnce(&mut Config)) {
        change(facts.config.as_mut().expect("a configuration"));
    }

    #[test]
    fn each_rule_finds_what_is_wrong_and_nothing_else() {
        assert!(is_found(configuration, |facts| facts.config = Err("bad".into())));
        assert!(is_found(file_limit, |facts| facts.files_max = Some(1_024)));
        assert!(is_found(huge_pages, |facts| facts.huge_pages = Some("always".into())));
        assert!(is_found(clock, |facts| facts.clock = Some((false, "chronyc".into()))));
        assert!(is_found(memory, |facts| set(facts, |config| {
            config.memory.limit = isogrid_node::config::MemoryLimit::Bytes(8 << 30);
        })));
        assert!(is_found(swap, |facts| facts.swap_bytes = Some(1 << 30)));
        let nowhere = || vec![("a:1".to_owned(), Err("no such name".to_owned()))];
        assert!(is_found(seeds, |facts| facts.seeds = nowhere()));
        assert!(is_found(addresses, |facts| set(facts, |config| {
            config.cluster.seeds = vec!["10.0.0.2:7700".into()];
        })));
        let disk = |facts: &mut HostFacts| facts.disk.clone().expect("there is one");
        assert!(is_found(folder, |facts| {
            facts.disk = Some(DiskFacts { trouble: "read only".into(), ..disk(facts) });
        }));
        assert!(is_found(space, |facts| {
            facts.disk = Some(DiskFacts { free_bytes: 10 << 30, ..disk(facts) });
        }));
        assert!(is_found(speed, |facts| {
            facts.disk = Some(DiskFacts { sync_ms: Some((30.0, 90.0)), ..disk(facts) });
        }));
    }

    #[test]
    fn seeds_on_this_machine_may_be_met_on_a_loopback_address() {
        let mut facts = facts();
        set(&mut facts, |config| config.cluster.seeds = vec!["127.0.0.1:7701".into()]);
        assert!(matches!(addresses(&facts), Fine(_)));
    }

    #[test]
    fn what_cannot_be_seen_is_skipped() {
        let blind = HostFacts::default();
        for rule in [file_limit as Judged, huge_pages, clock, memory, swap, seeds, folder, speed] {
            assert!(matches!(rule(&blind), Skipped(_)));
        }
    }
}
