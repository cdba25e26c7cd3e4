//! Tests of the partition table and its deltas.

use super::*;
use proptest::prelude::*;

fn count(partitions: u16) -> PartitionCount {
    PartitionCount::new(partitions).expect("a power of two")
}

fn replica(node: &str) -> Replica {
    Replica { node: NodeId::new(node), incarnation: Incarnation(1) }
}

fn entry(epoch: u64, ver: u32, primary: &str, in_sync: &[&str]) -> PartitionEntry {
    PartitionEntry {
        epoch: Epoch(epoch),
        ver,
        primary: (!primary.is_empty()).then(|| NodeId::new(primary)),
        in_sync: in_sync.iter().map(|node| replica(node)).collect(),
        ..PartitionEntry::default()
    }
}

fn changed(table: &Table, partition: u16, entry: PartitionEntry) -> Table {
    table.apply(&table.change(vec![(PartitionId(partition), entry)])).expect("a good change")
}

fn why_refused(table: &Table, entry: PartitionEntry) -> &'static str {
    match table.apply(&table.change(vec![(PartitionId(0), entry)])) {
        Err(DeltaRefused::Broken { partition: Some(PartitionId(0)), why }) => why,
        other => panic!("not refused: {other:?}"),
    }
}

#[test]
fn a_single_node_owns_everything() {
    let member = Member::new("a");
    let table = Table::single_node(&member, count(256));
    assert_eq!(table.version(), TableVersion(1));
    assert_eq!(table.owned_by(&member.id).count(), 256);
    assert_eq!(table.owner(PartitionId(255)), Some(&member.id));
    assert_eq!(table.owner(PartitionId(256)), None, "there is no such partition");
    assert_eq!(Table::unassigned(count(256)).owner(PartitionId(0)), None);
}

#[test]
fn a_change_makes_a_new_version_and_leaves_the_old_one_alone() {
    let first = Table::single_node(&Member::new("a"), count(4));
    let second = changed(&first, 2, entry(1, 2, "a", &["a", "b"]));
    let third = changed(&second, 2, entry(2, 3, "b", &["a", "b"]));
    assert_eq!(third.version(), TableVersion(3));
    assert_eq!(third.owner(PartitionId(2)), Some(&NodeId::new("b")));
    assert_eq!(third.owned_by(&NodeId::new("a")).count(), 3);
    assert_eq!(first.owner(PartitionId(2)), Some(&NodeId::new("a")));
    assert!(Arc::ptr_eq(&first.places[1].entry, &third.places[1].entry), "shared");
}

#[test]
fn broken_entries_are_refused() {
    let unassigned = Table::unassigned(count(1));
    assert!(why_refused(&unassigned, entry(1, 1, "b", &["a"])).contains("not in sync"));
    let table = changed(&unassigned, 0, entry(5, 5, "a", &["a", "b"]));
    assert!(why_refused(&table, entry(5, 6, "", &[])).contains("became empty"));
    assert!(why_refused(&table, entry(5, 6, "a", &["a", "a"])).contains("twice"));
    assert!(why_refused(&table, entry(4, 6, "a", &["a"])).contains("epoch went back"));
    assert!(why_refused(&table, entry(5, 5, "a", &["a"])).contains("ver did not grow"));
    assert!(why_refused(&table, entry(5, 4, "a", &["a", "b"])).contains("ver did not grow"));
    assert!(why_refused(&table, entry(5, 6, "b", &["a", "b"])).contains("epoch did not grow"));
    let both = PartitionEntry { learners: vec![replica("a")], ..entry(5, 6, "a", &["a"]) };
    assert!(why_refused(&table, both).contains("twice"));
    let lost = PartitionEntry { loss_generation: 1, ..entry(6, 6, "b", &["b"]) };
    let after_loss = changed(&table, 0, lost);
    assert!(why_refused(&after_loss, entry(7, 7, "b", &["b"])).contains("loss generation"));
}

#[test]
fn a_partition_may_lose_its_primary_but_not_its_last_in_sync_member() {
    let table = Table::single_node(&Member::new("a"), count(1));
    let headless = changed(&table, 0, entry(2, 2, "", &["a"]));
    assert_eq!(headless.owner(PartitionId(0)), None);
    assert_eq!(headless.entry(PartitionId(0)).map(|entry| entry.in_sync.len()), Some(1));
}

#[test]
fn stale_gapped_and_foreign_deltas_are_refused() {
    let first = Table::single_node(&Member::new("a"), count(4));
    let second = changed(&first, 0, entry(1, 2, "a", &["a", "b"]));
    let third = changed(&second, 0, entry(2, 3, "b", &["a", "b"]));
    assert_eq!(third.apply(&second.delta_since(TableVersion(0))), Err(DeltaRefused::Stale));
    assert_eq!(
        first.apply(&third.delta_since(TableVersion(2))),
        Err(DeltaRefused::Gap { have: TableVersion(1) })
    );
    let other = Table::unassigned(count(8)).apply(&third.delta_since(TableVersion(0)));
    assert!(matches!(other, Err(DeltaRefused::Broken { partition: None, .. })));
    let outside = first.change(vec![(PartitionId(4), PartitionEntry::default())]);
    assert!(matches!(
        first.apply(&outside),
        Err(DeltaRefused::Broken { partition: Some(PartitionId(4)), .. })
    ));
}

#[test]
fn a_delta_carries_only_what_changed() {
    let first = Table::single_node(&Member::new("a"), count(4));
    let second = changed(&first, 2, entry(1, 2, "a", &["a", "b"]));
    let third = changed(&second, 3, entry(1, 2, "a", &["a", "c"]));
    let carried = |since: &Table| -> Vec<u16> {
        let delta = third.delta_since(since.version());
        delta.entries.iter().map(|(partition, _)| partition.0).collect()
    };
    assert_eq!(carried(&first), [2, 3]);
    assert_eq!(carried(&second), [3]);
    assert!(carried(&third).is_empty());
    assert_eq!(carried(&Table::unassigned(count(4))), [0, 1, 2, 3]);
}

#[test]
fn a_delta_read_from_bytes_shares_its_names() {
    let table = Table::single_node(&Member::new("a"), count(256));
    let text = serde_json::to_string(&table.delta_since(TableVersion(0))).expect("serialises");
    let delta: TableDelta = serde_json::from_str(&text).expect("and reads back");
    let copy = Table::unassigned(count(256)).apply(&delta).expect("a whole table applies");
    assert_eq!(copy, table);
    let names = (0..256).filter_map(|partition| copy.owner(PartitionId(partition)));
    let addresses: BTreeSet<*const u8> = names.map(|name| name.as_str().as_ptr()).collect();
    assert_eq!(addresses.len(), 1);
}

#[test]
fn the_hash_is_frozen_and_sees_every_field() {
    let table = Table::single_node(&Member::new("a"), count(2));
    let frozen = 12_095_704_425_502_035_636;
    assert_eq!(table.hash(), frozen, "nodes of different builds compare this");
    let base = entry(3, 3, "a", &["a", "b"]);
    let variants = [
        base.clone(),
        PartitionEntry { epoch: Epoch(4), ..base.clone() },
        PartitionEntry { ver: 4, ..base.clone() },
        PartitionEntry { loss_generation: 1, ..base.clone() },
        PartitionEntry { primary: Some(NodeId::new("b")), ..base.clone() },
        PartitionEntry { in_sync: vec![replica("a")], ..base.clone() },
        PartitionEntry { in_sync: vec![replica("b"), replica("a")], ..base.clone() },
        PartitionEntry { learners: vec![replica("c")], ..base.clone() },
        PartitionEntry { primary: None, ..base },
    ];
    let hashes: BTreeSet<u64> = variants.iter().map(PartitionEntry::hash).collect();
    assert_eq!(hashes.len(), variants.len());
}

proptest! {
    /// Whatever the history, any earlier version plus the delta since it is the present, and so is a copy that
    /// took a different road through the versions.
    #[test]
    fn any_version_and_the_delta_since_it_make_the_present(
        changes in proptest::collection::vec((0u16..8, 0usize..3), 1..24),
        middle in 0usize..24,
    ) {
        let nodes = ["a", "b", "c"];
        let mut history = vec![Table::single_node(&Member::new("a"), count(8))];
        for (partition, primary) in changes {
            let table = history.last().expect("never empty");
            let old = table.entry(PartitionId(partition)).expect("in range");
            let next = entry(old.epoch.0 + 1, old.ver + 1, nodes[primary], &nodes);
            history.push(changed(table, partition, next));
        }
        let present = history.last().expect("never empty");
        let middle = &history[middle % history.len()];
        for earlier in &history[..history.len() - 1] {
            let direct = earlier.apply(&present.delta_since(earlier.version()));
            prop_assert_eq!(direct.as_ref().map(Table::hash), Ok(present.hash()));
            prop_assert_eq!(direct.as_ref(), Ok(present));
            if earlier.version() < middle.version() && middle.version() < present.version() {
                let halfway = earlier.apply(&middle.delta_since(earlier.version()));
                let halfway = halfway.expect("a good delta");
                let detour = halfway.apply(&present.delta_since(halfway.version()));
                prop_assert_eq!(detour.as_ref(), Ok(present));
                // What a copy tells others is at least what changed.
                let told = halfway.delta_since(history[0].version()).entries.len();
                prop_assert!(told >= middle.delta_since(history[0].version()).entries.len());
            }
        }
    }
}
