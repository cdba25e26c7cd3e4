//! What is seen of a cluster, and the rules about it.

use std::collections::BTreeSet;

use isogrid_client::{ClusterStatus, HotKeys, MapInfo, MemberStatus, PartitionStatus};

use super::checks::Verdict::{self, Fine, Found, Skipped};
use crate::text::{percent, size, thousands};

/// How far apart clocks may be, in milliseconds.
const CLOCKS_APART_MS_MAX: i64 = 250;

/// How much of its limit a node's memory may take, in hundredths.
const MEMORY_PERCENT_MAX: u64 = 85;

/// How many times its share a node may lead.
const PRIMARIES_RATIO_MAX: f64 = 1.5;

/// How many times the mean a partition may have, and from which mean on that counts.
const PARTITION_RATIO_MAX: u64 = 4;
const PARTITION_BYTES_MIN: u64 = 1 << 20;

/// Which share of a map's operations one key may have, in hundredths, and of how many samples at least.
const HOT_PERCENT_MAX: u64 = 20;
const HOT_SAMPLES_MIN: u64 = 256;

/// How far backups may be behind, in milliseconds.
const LAG_MS_MAX: u64 = 1_000;

/// What was seen of the cluster.
#[derive(Clone, Debug)]
pub(super) struct ClusterFacts {
    /// How it is, or why nobody says.
    pub(super) status: Result<ClusterStatus, String>,
    pub(super) maps: Vec<MapInfo>,
    pub(super) partitions: Vec<PartitionStatus>,
    pub(super) hot: HotKeys,
}

impl Default for ClusterFacts {
    /// Nobody was asked.
    fn default() -> Self {
        ClusterFacts {
            status: Err("nobody was asked".into()),
            maps: Vec::new(),
            partitions: Vec::new(),
            hot: HotKeys::default(),
        }
    }
}

fn with_status(facts: &ClusterFacts, look: impl FnOnce(&ClusterStatus) -> Verdict) -> Verdict {
    match &facts.status {
        Ok(status) => look(status),
        Err(_) => Skipped("no node answers (D-20)".into()),
    }
}

/// The members that have said how they are.
fn answered(status: &ClusterStatus) -> Vec<&MemberStatus> {
    status.members.iter().filter(|member| member.has_answered).collect()
}

/// The members that hold data.
fn holders(status: &ClusterStatus) -> Vec<&MemberStatus> {
    let holds = |member: &&MemberStatus| member.weight > 0 && member.state == "active";
    status.members.iter().filter(holds).collect()
}

/// Finds those of which something is so.
fn found_if_any(bad: Vec<String>, fine: impl FnOnce() -> String) -> Verdict {
    if bad.is_empty() { Fine(fine()) } else { Found(bad.join("; ")) }
}

pub(super) fn reachable(facts: &ClusterFacts) -> Verdict {
    match &facts.status {
        Ok(status) => Fine(format!("{} answers", status.answered_by)),
        Err(why) => Found(why.clone()),
    }
}

pub(super) fn health(facts: &ClusterFacts) -> Verdict {
    with_status(facts, |status| {
        if status.health == "healthy" {
            return Fine(format!("healthy, {} partitions", status.partitions_total));
        }
        Found(format!(
            "{}: {} partitions under-replicated, {} without primary, {} unassigned",
            status.health,
            status.partitions_under_replicated,
            status.partitions_without_primary,
            status.partitions_unassigned
        ))
    })
}

pub(super) fn safe(facts: &ClusterFacts) -> Verdict {
    with_status(facts, |status| match (status.safe, status.members.len()) {
        (true, _) => Fine("any one node may go".into()),
        (false, 1) => Found("there is one node".into()),
        (false, _) => Found("not every node may go".into()),
    })
}

pub(super) fn members(facts: &ClusterFacts) -> Verdict {
    with_status(facts, |status| {
        let bad = status.members.iter().filter_map(|member| {
            let name = &member.node_id;
            if member.state == "down" {
                Some(format!("{name} is down"))
            } else if !member.is_live {
                Some(format!("nothing is heard of {name}"))
            } else if !member.has_answered {
                Some(format!("{name} does not answer"))
            } else {
                None
            }
        });
        found_if_any(bad.collect(), || format!("all {} are there", status.members.len()))
    })
}

pub(super) fn clocks(facts: &ClusterFacts) -> Verdict {
    with_status(facts, |status| {
        let offsets: Vec<i64> =
            answered(status).iter().map(|member| member.clock_offset_ms).collect();
        let (Some(least), Some(most)) = (offsets.iter().min(), offsets.iter().max()) else {
            return Skipped("no node says what time it is".into());
        };
        let told = format!("{} ms apart, as {} sees it", most - least, status.answered_by);
        if offsets.len() < 2 {
            Skipped("there is one clock".into())
        } else if most - least > CLOCKS_APART_MS_MAX {
            Found(told)
        } else {
            Fine(told)
        }
    })
}

pub(super) fn versions(facts: &ClusterFacts) -> Verdict {
    with_status(facts, |status| {
        let versions: BTreeSet<&str> =
            answered(status).iter().map(|member| member.version.as_str()).collect();
        let told = versions.iter().copied().collect::<Vec<_>>().join(", ");
        if versions.len() > 1 { Found(told) } else { Fine(told) }
    })
}

pub(super) fn voters(facts: &ClusterFacts) -> Verdict {
    with_status(facts, |status| {
        let voters = status.council.voters.len();
        let told = format!("{voters} of {} members vote", status.members.len());
        match (voters, status.members.len()) {
            (_, 1) => Skipped("there is one node".into()),
            _ if !status.council.has_quorum => Found("they have no quorum".into()),
            (voters, _) if voters.is_multiple_of(2) => Found(told),
            _ => Fine(told),
        }
    })
}

pub(super) fn backups(facts: &ClusterFacts) -> Verdict {
    with_status(facts, |status| {
        if status.members.len() < 2 {
            return Skipped("there is one node".into());
        }
        if status.copies < 2 {
            return Found("the cluster keeps one copy of each partition".into());
        }
        let bare = facts.maps.iter().filter(|map| map.backups == 0);
        let bare: Vec<&str> = bare.map(|map| map.name.as_str()).collect();
        if bare.is_empty() {
            return Fine(format!("{} copies of each partition", status.copies));
        }
        Found(format!("maps without: {}", some_of(&bare)))
    })
}

pub(super) fn nodes(facts: &ClusterFacts) -> Verdict {
    with_status(facts, |status| {
        if status.members.len() < 2 {
            return Skipped("there is one node".into());
        }
        let nodes = holders(status).len() as u32;
        let mut bad = Vec::new();
        if status.copies > nodes {
            bad.push(format!("{} copies of each partition, {nodes} nodes", status.copies));
        }
        let greedy = facts.maps.iter().filter(|map| map.backups + 1 > nodes.max(status.copies));
        let greedy: Vec<&str> = greedy.map(|map| map.name.as_str()).collect();
        if !greedy.is_empty() {
            bad.push(format!("{nodes} nodes are too few for the backups of {}", some_of(&greedy)));
        }
        found_if_any(bad, || format!("{nodes} nodes, {} copies", status.copies))
    })
}

pub(super) fn loss_policy(facts: &ClusterFacts) -> Verdict {
    with_status(facts, |status| {
        let on_disk = answered(status).iter().any(|member| has_disk(member));
        match (status.loss_policy.as_str(), on_disk) {
            ("available", _) => Found("available: it does not wait for the best copy".into()),
            ("reset", true) => Found("reset, and there are data on disk".into()),
            (policy, _) => Fine(policy.to_owned()),
        }
    })
}

pub(super) fn losses(facts: &ClusterFacts) -> Verdict {
    with_status(facts, |status| match status.losses_total {
        0 => Fine("none".into()),
        total => Found(format!("{total} were declared")),
    })
}

pub(super) fn memory(facts: &ClusterFacts) -> Verdict {
    with_status(facts, |status| {
        let bad = answered(status).into_iter().filter_map(|member| {
            let used = member.resident_bytes.max(member.data_bytes);
            let limit = member.memory_limit_bytes;
            let is_full = limit > 0 && used >= limit / 100 * MEMORY_PERCENT_MAX;
            is_full.then(|| format!("{} has {} of {}", member.node_id, size(used), size(limit)))
        });
        found_if_any(bad.collect(), || format!("all below {MEMORY_PERCENT_MAX} %"))
    })
}

pub(super) fn disks(facts: &ClusterFacts) -> Verdict {
    with_status(facts, |status| {
        let bad = answered(status).into_iter().filter_map(|member| match member.disk.as_str() {
            "refuses" => Some(format!("{}'s refuses writes", member.node_id)),
            "over_budget" => Some(format!("{}'s is over its budget", member.node_id)),
            _ => None,
        });
        found_if_any(bad.collect(), || "all take writes".into())
    })
}

fn has_disk(member: &MemberStatus) -> bool {
    !matches!(member.disk.as_str(), "" | "none")
}

pub(super) fn persistence(facts: &ClusterFacts) -> Verdict {
    with_status(facts, |status| {
        let with_data = answered(status).into_iter().filter(|member| member.weight > 0);
        let (on_disk, bare): (Vec<_>, Vec<_>) = with_data.partition(|member| has_disk(member));
        let bare: Vec<&str> = bare.iter().map(|member| member.node_id.as_str()).collect();
        let lasting = facts.maps.iter().filter(|map| map.durability != "memory");
        let lasting: Vec<&str> = lasting.map(|map| map.name.as_str()).collect();
        if bare.is_empty() || (on_disk.is_empty() && lasting.is_empty()) {
            let what = if bare.is_empty() { "all nodes have a disk" } else { "all in memory" };
            return Fine(what.into());
        }
        let maps = if lasting.is_empty() {
            String::new()
        } else {
            format!("; maps that need one: {}", some_of(&lasting))
        };
        Found(format!("without a data folder: {}{maps}", some_of(&bare)))
    })
}

pub(super) fn zones(facts: &ClusterFacts) -> Verdict {
    with_status(facts, |status| {
        let holders = holders(status);
        let zones: BTreeSet<&str> = holders.iter().map(|member| member.zone.as_str()).collect();
        let unsaid = holders.iter().filter(|member| member.zone.is_empty()).count();
        match zones.len() {
            _ if unsaid == holders.len() => Skipped("no node says its zone".into()),
            _ if unsaid > 0 => Found(format!("{unsaid} of {} nodes say none", holders.len())),
            1 if status.copies > 1 => Found("all nodes are in one".into()),
            zones => Fine(format!("{zones} zones")),
        }
    })
}

pub(super) fn primaries(facts: &ClusterFacts) -> Verdict {
    with_status(facts, |status| {
        let holders = holders(status);
        let weights: u32 = holders.iter().map(|member| member.weight).sum();
        let total: u32 = holders.iter().map(|member| member.primaries).sum();
        let bad = holders.iter().filter_map(|member| {
            let share = f64::from(total) * f64::from(member.weight) / f64::from(weights.max(1));
            // One partition more or less is no skew.
            let is_skewed = f64::from(member.primaries) > share * PRIMARIES_RATIO_MAX + 1.0;
            is_skewed.then(|| {
                format!("{} leads {}, its share is {share:.0}", member.node_id, member.primaries)
            })
        });
        found_if_any(bad.collect(), || "every node leads about its share".into())
    })
}

pub(super) fn partitions(facts: &ClusterFacts) -> Verdict {
    let sizes = facts.partitions.iter().filter_map(|one| Some((one.bytes?, one)));
    let sizes: Vec<(u64, &PartitionStatus)> = sizes.collect();
    let Some((most, largest)) = sizes.iter().max_by_key(|(bytes, _)| bytes) else {
        return Skipped("no sizes are known".into());
    };
    let mean = sizes.iter().map(|(bytes, _)| bytes).sum::<u64>() / sizes.len() as u64;
    let told = format!("the largest has {}, the mean is {}", size(*most), size(mean));
    if mean >= PARTITION_BYTES_MIN && *most > mean * PARTITION_RATIO_MAX {
        return Found(format!("{told}: partition {} at {}", largest.partition, largest.primary));
    }
    Fine(told)
}

pub(super) fn hot_keys(facts: &ClusterFacts) -> Verdict {
    if facts.hot.maps.is_empty() {
        return Skipped("too few operations to tell".into());
    }
    let bad = facts.hot.maps.iter().filter(|map| map.samples >= HOT_SAMPLES_MIN);
    let bad = bad.filter_map(|map| {
        let hottest = map.keys.first()?.samples;
        let is_hot = hottest * 100 >= map.samples * HOT_PERCENT_MAX;
        is_hot.then(|| format!("one key has {} of map {}", percent(hottest, map.samples), map.map))
    });
    found_if_any(bad.collect(), || format!("no key has {HOT_PERCENT_MAX} % of a map"))
}

pub(super) fn lag(facts: &ClusterFacts) -> Verdict {
    with_status(facts, |status| {
        let bad = status.lags.iter().filter(|lag| lag.ms > LAG_MS_MAX);
        let bad = bad.map(|lag| {
            let (ops, ms) = (thousands(lag.ops), thousands(lag.ms));
            format!("{} is {ms} ms and {ops} operations behind {}", lag.to, lag.from)
        });
        found_if_any(bad.collect(), || format!("at most {} ms", status.worst_lag().ms))
    })
}

/// The first few names, and how many more there are.
fn some_of(names: &[&str]) -> String {
    const SHOWN: usize = 5;
    let shown = names.iter().take(SHOWN).copied().collect::<Vec<_>>().join(", ");
    match names.len().saturating_sub(SHOWN) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}

#[cfg(test)]
#[path = "cluster_test.rs"]
mod tests;
