//! Each rule finds what is wrong, and nothing in a cluster that is fine.

use isogrid_client::{HotKey, HotMap, LagStatus};

use super::*;

fn member(name: &str, zone: &str) -> MemberStatus {
    let mut member = MemberStatus::default();
    (member.node_id, member.zone, member.state) = (name.into(), zone.into(), "active".into());
    (member.is_live, member.has_answered, member.weight) = (true, true, 100);
    (member.version, member.disk, member.primaries) = ("0.1.0".into(), "ok".into(), 85);
    (member.resident_bytes, member.memory_limit_bytes) = (1 << 20, 1 << 30);
    member
}

fn facts() -> ClusterFacts {
    let mut status = ClusterStatus::default();
    (status.health, status.safe, status.copies) = ("healthy".into(), true, 2);
    status.members = vec![member("a", "x"), member("b", "y"), member("c", "z")];
    status.council.voters = vec!["a".into(), "b".into(), "c".into()];
    (status.council.has_quorum, status.loss_policy) = (true, "block".into());
    let mut map = MapInfo::default();
    (map.name, map.backups, map.durability) = ("m".into(), 1, "os".into());
    let partitions = (0..8).map(|number| {
        let mut partition = PartitionStatus::default();
        (partition.partition, partition.bytes) = (number, Some(2 << 20));
        partition
    });
    let mut hot_map = HotMap::default();
    (hot_map.map, hot_map.samples) = ("m".into(), 1_000);
    let mut key = HotKey::default();
    key.samples = 10;
    hot_map.keys.push(key);
    let mut hot = HotKeys::default();
    hot.maps.push(hot_map);
    ClusterFacts { status: Ok(status), maps: vec![map], partitions: partitions.collect(), hot }
}

type Judged = fn(&ClusterFacts) -> Verdict;

const RULES: [Judged; 18] = [
    reachable,
    health,
    safe,
    members,
    clocks,
    versions,
    voters,
    backups,
    nodes,
    loss_policy,
    losses,
    memory,
    disks,
    persistence,
    zones,
    primaries,
    partitions,
    hot_keys,
];

#[track_caller]
fn finds(rule: Judged, spoil: impl FnOnce(&mut ClusterFacts, &mut ClusterStatus)) {
    let mut facts = facts();
    let mut status = facts.status.clone().expect("there is one");
    assert!(matches!(rule(&facts), Fine(_)), "nothing is wrong yet: {:?}", rule(&facts));
    spoil(&mut facts, &mut status);
    facts.status = facts.status.map(|_| status);
    assert!(matches!(rule(&facts), Found(_)), "{:?}", rule(&facts));
}

#[test]
fn a_cluster_that_is_fine_has_no_findings() {
    for rule in RULES.iter().chain(&[lag as Judged]) {
        assert!(matches!(rule(&facts()), Fine(_)), "{:?}", rule(&facts()));
    }
}

#[test]
fn how_the_cluster_is() {
    finds(reachable, |facts, _| facts.status = Err("refused".into()));
    finds(health, |_, status| status.health = "degraded".into());
    finds(safe, |_, status| status.safe = false);
    finds(members, |_, status| status.members[1].is_live = false);
    finds(members, |_, status| status.members[1].state = "down".into());
    finds(clocks, |_, status| status.members[2].clock_offset_ms = -300);
    finds(versions, |_, status| status.members[2].version = "0.2.0".into());
    finds(losses, |_, status| status.losses_total = 1);
    finds(lag, |_, status| {
        let mut behind = LagStatus::default();
        behind.ms = 5_000;
        status.lags.push(behind);
    });
}

#[test]
fn how_it_was_set_up() {
    finds(voters, |_, status| drop(status.council.voters.pop()));
    finds(voters, |_, status| status.council.has_quorum = false);
    finds(backups, |_, status| status.copies = 1);
    finds(backups, |facts, _| facts.maps[0].backups = 0);
    finds(nodes, |_, status| status.copies = 4);
    finds(nodes, |facts, _| facts.maps[0].backups = 3);
    finds(loss_policy, |_, status| status.loss_policy = "available".into());
    finds(loss_policy, |_, status| status.loss_policy = "reset".into());
    finds(persistence, |_, status| status.members[0].disk = "none".into());
    finds(zones, |_, status| status.members[0].zone.clear());
    finds(zones, |_, status| status.members.iter_mut().for_each(|one| one.zone = "x".into()));
}

#[test]
fn how_full_and_how_even_it_is() {
    finds(memory, |_, status| status.members[0].resident_bytes = 1 << 30);
    finds(disks, |_, status| status.members[0].disk = "over_budget".into());
    finds(primaries, |_, status| status.members[0].primaries = 200);
    finds(partitions, |facts, _| facts.partitions[3].bytes = Some(40 << 20));
    finds(hot_keys, |facts, _| facts.hot.maps[0].keys[0].samples = 300);
}

#[test]
fn one_node_alone_is_not_blamed_for_what_only_more_can_have() {
    let mut facts = facts();
    let mut status = facts.status.clone().expect("there is one");
    status.members.truncate(1);
    (status.copies, status.council.voters) = (1, vec!["a".into()]);
    facts.status = Ok(status);
    facts.maps[0].backups = 0;
    for rule in [clocks as Judged, voters, backups, nodes] {
        assert!(matches!(rule(&facts), Skipped(_)), "{:?}", rule(&facts));
    }
}

#[test]
fn without_an_answer_nothing_is_said() {
    for rule in &RULES[1..] {
        assert!(matches!(rule(&ClusterFacts::default()), Skipped(_)));
    }
}

#[test]
fn long_lists_are_cut() {
    assert_eq!(some_of(&["a", "b"]), "a, b");
    assert_eq!(some_of(&["a", "b", "c", "d", "e", "f", "g"]), "a, b, c, d, e and 2 more");
}
