//! [`CHECKS`]: every check with its code, why it matters, and what to do. docs/operations/doctor.md is made from it. A code is never
//! used again for something else.

use super::cluster::{self, ClusterFacts};
use super::host::{self, HostFacts};

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Level {
    /// It is wrong now, or will be at the first occasion.
    Error,
    /// It may be wanted; somebody should know.
    Warning,
}

impl Level {
    pub(super) fn word(self) -> &'static str {
        match self {
            Level::Error => "error",
            Level::Warning => "warning",
        }
    }
}

/// What came of a check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Nothing is wrong; what was seen.
    Fine(String),
    /// What is wrong.
    Found(String),
    /// Why it could not be checked.
    Skipped(String),
}

/// What decides.
#[derive(Clone, Copy)]
pub(super) enum Rule {
    /// About the machine it runs on, and a node's configuration there.
    Host(fn(&HostFacts) -> Verdict),
    /// About the cluster of `--endpoint`.
    Cluster(fn(&ClusterFacts) -> Verdict),
}

/// A check.
pub(super) struct Check {
    pub(super) code: &'static str,
    pub(super) name: &'static str,
    pub(super) level: Level,
    pub(super) rule: Rule,
    /// Why a finding matters.
    pub(super) why: &'static str,
    /// What to do about it.
    pub(super) fix: &'static str,
}

impl Check {
    /// What it looks at.
    pub(super) fn scope(&self) -> &'static str {
        match self.rule {
            Rule::Host(_) => "host",
            Rule::Cluster(_) => "cluster",
        }
    }

    /// Whether this names it.
    pub(super) fn is_called(&self, name: &str) -> bool {
        self.code.eq_ignore_ascii_case(name) || self.scope() == name
    }
}

/// A code with its name.
type Named = (&'static str, &'static str);

const fn host(
    (code, name): Named,
    level: Level,
    rule: fn(&HostFacts) -> Verdict,
    (why, fix): (&'static str, &'static str),
) -> Check {
    Check { code, name, level, rule: Rule::Host(rule), why, fix }
}

const fn cluster(
    (code, name): Named,
    level: Level,
    rule: fn(&ClusterFacts) -> Verdict,
    (why, fix): (&'static str, &'static str),
) -> Check {
    Check { code, name, level, rule: Rule::Cluster(rule), why, fix }
}

/// Every check, in the order of the codes.
pub(super) const CHECKS: &[Check] = &[
    host(
        ("D-01", "configuration"),
        Level::Error,
        host::configuration,
        (
            "A node with this configuration does not start.",
            "mend it; `isogrid config validate` tells all that is wrong",
        ),
    ),
    host(
        ("D-02", "file limit"),
        Level::Warning,
        host::file_limit,
        (
            "Each connection needs a file. Without one, clients and other nodes are not let in.",
            "raise the limit of the service (LimitNOFILE of systemd, `ulimit -n`), or lower limits.connections_max",
        ),
    ),
    host(
        ("D-03", "transparent huge pages"),
        Level::Warning,
        host::huge_pages,
        (
            "With `always` the system gives 2 MiB where 4 KiB are needed: records take more memory than they are counted with, and \
             defragmentation stops the process now and then.",
            "echo madvise > /sys/kernel/mm/transparent_hugepage/enabled, at every start of the machine",
        ),
    ),
    host(
        ("D-04", "clock synchronised"),
        Level::Warning,
        host::clock,
        (
            "Expiry and the hybrid clocks go by the wall clocks of nodes. Clocks that nobody sets drift apart.",
            "run chrony, ntpd or systemd-timesyncd",
        ),
    ),
    host(
        ("D-05", "memory limit"),
        Level::Error,
        host::memory,
        (
            "The process needs memory beside its data. Where memory.limit leaves none, the system kills the node before it refuses \
             writes.",
            "set memory.limit to 80% or less of what the machine or the control group has",
        ),
    ),
    host(
        ("D-06", "swap"),
        Level::Warning,
        host::swap,
        (
            "Records that were swapped out take milliseconds to read, and leases run out meanwhile.",
            "swapoff -a, or vm.swappiness = 1",
        ),
    ),
    host(
        ("D-07", "seeds"),
        Level::Error,
        host::seeds,
        (
            "A node finds its cluster through the names in cluster.seeds. If none of them has an address it stays alone.",
            "mend the name or the DNS; one that comes later is looked up again by itself",
        ),
    ),
    host(
        ("D-08", "addresses"),
        Level::Error,
        host::addresses,
        (
            "Other machines cannot reach a node that listens on a loopback address.",
            "set node.grpc_addr and node.gossip_addr to an address of this machine",
        ),
    ),
    host(
        ("D-09", "data folder"),
        Level::Error,
        host::folder,
        (
            "A node that cannot write its data folder does not start.",
            "create the folder and give it to the user of the node",
        ),
    ),
    host(
        ("D-10", "free space"),
        Level::Warning,
        host::space,
        (
            "On a full disk writes are refused (IG-0312). Log and snapshots need about twice the data.",
            "free space, take a larger disk, or bound the node with disk.budget",
        ),
    ),
    host(
        ("D-11", "disk speed"),
        Level::Warning,
        host::speed,
        (
            "Writes to maps with durability fsync wait for a sync of the log, and all writes of a moment share one.",
            "take a disk with a power-safe cache, or durability os where backups are enough",
        ),
    ),
    cluster(
        ("D-20", "reachable"),
        Level::Error,
        cluster::reachable,
        (
            "Nobody answers at --endpoint: nothing can be said about the cluster.",
            "start a node, or name one that runs: --endpoint HOST:PORT; --only host looks at this machine alone",
        ),
    ),
    cluster(
        ("D-21", "health"),
        Level::Error,
        cluster::health,
        (
            "Partitions have fewer copies than wanted, or nobody who serves them.",
            "`isogrid status` says what is missing; start what is down, or `isogrid cluster remove` it",
        ),
    ),
    cluster(
        ("D-22", "safe"),
        Level::Warning,
        cluster::safe,
        (
            "If any one node were lost now, data or the council's quorum would be.",
            "wait until copies are whole (`isogrid status --exit-when-safe`), or add a node",
        ),
    ),
    cluster(
        ("D-23", "members"),
        Level::Error,
        cluster::members,
        (
            "A member that is not there does its share of nothing, and its copies are made elsewhere.",
            "start it, or `isogrid cluster remove NODE` if it never comes back",
        ),
    ),
    cluster(
        ("D-24", "clock skew"),
        Level::Error,
        cluster::clocks,
        (
            "Records expire at different times on different nodes, and a backup's cut is refused when clocks are far apart.",
            "run chrony, ntpd or systemd-timesyncd on all nodes (D-04 on each)",
        ),
    ),
    cluster(
        ("D-25", "version skew"),
        Level::Warning,
        cluster::versions,
        (
            "A cluster may have two versions during an upgrade; new features wait until the last node has it.",
            "finish the upgrade: docs/operations/rolling-restart.md",
        ),
    ),
    cluster(
        ("D-26", "voters"),
        Level::Warning,
        cluster::voters,
        (
            "The council decides by majority: two voters bear no loss, and four no more than three.",
            "have three nodes that can vote, or five; a witness (node.role) is enough for the third",
        ),
    ),
    cluster(
        ("D-27", "no backups"),
        Level::Warning,
        cluster::backups,
        (
            "What has no second copy is gone with its node.",
            "`isogrid map alter MAP --backups 1`; cluster.backups for a new cluster",
        ),
    ),
    cluster(
        ("D-28", "too few nodes"),
        Level::Error,
        cluster::nodes,
        (
            "More copies are wanted than there are nodes for: partitions stay under-replicated.",
            "add nodes, or want fewer backups",
        ),
    ),
    cluster(
        ("D-29", "loss policy"),
        Level::Warning,
        cluster::loss_policy,
        (
            "When nobody who holds a partition is there, this policy goes on without data that a disk may still have.",
            "form the cluster with cluster.loss_policy = \"block\" where data must come back",
        ),
    ),
    cluster(
        ("D-30", "losses"),
        Level::Warning,
        cluster::losses,
        (
            "Acknowledged writes may have been lost, and somebody should know.",
            "docs/operations/loss.md says which, and what to do",
        ),
    ),
    cluster(
        ("D-31", "memory of nodes"),
        Level::Warning,
        cluster::memory,
        (
            "At memory.limit, writes are refused (IG-0301) or records evicted. A lost node's share comes on top.",
            "add nodes or memory, or let maps evict",
        ),
    ),
    cluster(
        ("D-32", "disks refuse"),
        Level::Error,
        cluster::disks,
        (
            "A disk that is full, fails or is over its budget: writes are refused with IG-0312.",
            "docs/operations/runbooks/disk-refuses-writes.md, docs/operations/runbooks/disk-over-budget.md",
        ),
    ),
    cluster(
        ("D-33", "persistence"),
        Level::Error,
        cluster::persistence,
        (
            "Maps are to survive on disk, and some nodes have none: their copies are in memory alone.",
            "set node.data_dir on every node, or durability = memory for the map",
        ),
    ),
    cluster(
        ("D-34", "zones"),
        Level::Warning,
        cluster::zones,
        (
            "Backups are kept in another zone only where nodes say theirs; what fails together may hold all copies.",
            "set node.zone on every node, and have at least two zones",
        ),
    ),
    cluster(
        ("D-35", "skewed primaries"),
        Level::Warning,
        cluster::primaries,
        (
            "A node that leads more than its share does more than its share of the work.",
            "the cluster evens it out by itself, and `isogrid cluster rebalance --plan` shows what still moves; if nothing does, look at the weights in `isogrid cluster members`",
        ),
    ),
    cluster(
        ("D-36", "skewed partitions"),
        Level::Warning,
        cluster::partitions,
        (
            "A partition is served by one core and one node. One that is much larger than the others bounds them.",
            "`isogrid cluster partitions --by bytes` names it; look for a {hash tag} that most keys share, and for big keys: `isogrid map big-keys MAP`",
        ),
    ),
    cluster(
        ("D-37", "hot keys"),
        Level::Warning,
        cluster::hot_keys,
        (
            "A key that takes a large share of a map's operations is served by one core of one node.",
            "`isogrid map hot-keys MAP` names it; let clients keep it, or divide it into several keys",
        ),
    ),
    cluster(
        ("D-38", "backups behind"),
        Level::Warning,
        cluster::lag,
        (
            "Writes wait for backups that are behind, or are lost with the primary where acknowledge is async.",
            "look at the network, the disks and the load of the node that is behind",
        ),
    ),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_check_stands_once_and_in_order_and_says_why_and_what_to_do() {
        for pair in CHECKS.windows(2) {
            assert!(pair[0].code < pair[1].code, "{}", pair[1].code);
        }
        for check in CHECKS {
            let said = [check.name, check.why, check.fix];
            assert!(said.iter().all(|text| !text.is_empty()), "{}", check.code);
            assert!(check.why.ends_with('.') && !check.fix.ends_with('.'), "{}", check.code);
            assert!(!check.code.contains('|') && said.iter().all(|text| !text.contains('|')));
        }
    }
}
