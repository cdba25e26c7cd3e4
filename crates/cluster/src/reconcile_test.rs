//! Tests of `reconcile`.

use isogrid_core::PartitionCount;
use proptest::prelude::*;

use super::*;
use crate::testing::{P, life, lives, node};

fn entry(ver: u32, primary: &str, in_sync: &str, learners: &str) -> PartitionEntry {
    PartitionEntry {
        epoch: isogrid_core::Epoch(u64::from(ver)),
        ver,
        primary: (!primary.is_empty()).then(|| node(primary)),
        in_sync: lives(in_sync),
        learners: lives(learners),
        ..PartitionEntry::default()
    }
}

fn table(entry: PartitionEntry) -> Table {
    let table = Table::unassigned(PartitionCount::new(1).unwrap());
    table.apply(&table.change(vec![(P, entry)])).unwrap()
}

fn own(text: &str) -> Own {
    let life = life(text);
    let registered = Some(TableVersion(1));
    Own { node: life.node, incarnation: life.incarnation, registered }
}

fn actions(table: &Table, text: &str, replica: Option<LocalReplica>, now: u64) -> Vec<Action> {
    let replicas = replica.into_iter().map(|replica| (P, replica)).collect();
    reconcile(table, &own(text), &replicas, Millis(now))
}

#[test]
fn a_node_opens_what_it_holds_by_its_role() {
    let entry = entry(1, "a", "a1 b1", "c1");
    let table = table(entry.clone());
    for (text, role) in [("a1", Role::Primary), ("b1", Role::Backup), ("c1", Role::Learner)] {
        let open = Action::Open { partition: P, role, entry: entry.clone() };
        assert_eq!(actions(&table, text, None, 0), [open]);
    }
    assert_eq!(actions(&table, "d1", None, 0), []);
    assert_eq!(actions(&table, "a2", None, 0), [], "another life");
}

#[test]
fn before_its_registration_a_node_does_nothing() {
    let table = table(entry(1, "a", "a1", ""));
    for registered in [None, Some(TableVersion(2))] {
        let early = Own { registered, ..own("a1") };
        assert_eq!(reconcile(&table, &early, &BTreeMap::new(), Millis(0)), []);
    }
}

#[test]
fn a_changed_entry_is_an_update_and_an_old_one_is_not() {
    let old = entry(1, "a", "a1 b1", "");
    let new = entry(2, "b", "a1 b1", "");
    let update = Action::Update { partition: P, role: Role::Backup, entry: new.clone() };
    let open = |entry: &PartitionEntry| Some(LocalReplica::Open(entry.clone()));
    assert_eq!(actions(&table(new.clone()), "a1", open(&old), 0), [update]);
    assert_eq!(actions(&table(new.clone()), "a1", open(&new), 0), []);
    assert_eq!(actions(&table(old), "a1", open(&new), 0), [], "never back");
}

#[test]
fn data_are_deleted_a_minute_after_a_table_that_excludes_the_node() {
    let table = table(entry(2, "b", "b1", ""));
    let open = LocalReplica::Open(entry(1, "a", "a1 b1", ""));
    assert_eq!(actions(&table, "a1", Some(open), 100), [Action::Close { partition: P }]);
    let closed = || Some(LocalReplica::Closed { since: Millis(100) });
    assert_eq!(actions(&table, "a1", closed(), 100 + KEEP_MS - 1), []);
    let delete = [Action::Delete { partition: P }];
    assert_eq!(actions(&table, "a1", closed(), 100 + KEEP_MS), delete);
}

#[test]
fn the_last_copy_of_another_life_is_closed_and_kept() {
    let stranded = table(entry(2, "", "a1", ""));
    let closed = LocalReplica::Closed { since: Millis(0) };
    assert_eq!(actions(&stranded, "a2", Some(closed.clone()), KEEP_MS * 9), []);
    let unassigned = Table::unassigned(PartitionCount::new(1).unwrap());
    let early = Own { registered: Some(TableVersion(0)), ..own("a1") };
    let replicas = BTreeMap::from([(P, closed)]);
    assert_eq!(reconcile(&unassigned, &early, &replicas, Millis(KEEP_MS * 9)), []);
}

#[test]
fn a_closed_replica_opens_again_with_its_data() {
    let entry = entry(3, "b", "b1", "a1");
    let closed = Some(LocalReplica::Closed { since: Millis(0) });
    let open = Action::Open { partition: P, role: Role::Learner, entry: entry.clone() };
    assert_eq!(actions(&table(entry), "a1", closed, KEEP_MS * 2), [open]);
}

/// What the node has after it did all that.
fn done(
    mut replicas: BTreeMap<PartitionId, LocalReplica>,
    actions: Vec<Action>,
    now: Millis,
) -> BTreeMap<PartitionId, LocalReplica> {
    for action in actions {
        match action {
            Action::Open { partition, entry, .. } | Action::Update { partition, entry, .. } => {
                replicas.insert(partition, LocalReplica::Open(entry));
            }
            Action::Close { partition } => {
                replicas.insert(partition, LocalReplica::Closed { since: now });
            }
            Action::Delete { partition } => {
                replicas.remove(&partition);
            }
        }
    }
    replicas
}

#[test]
fn a_suspect_says_of_what_it_has_nothing() {
    let (one, two) = (PartitionId(1), PartitionId(2));
    let held = vec![(P, LogPosition::new(1, 7)), (two, LogPosition::new(2, 9))];
    let all = positions_to_report(held.clone(), &BTreeSet::from([one, two]));
    assert_eq!(all, [held[0], (one, LogPosition::START), held[1]]);
}

proptest! {
    #[test]
    fn once_done_there_is_nothing_to_do(
        entries in proptest::collection::vec((0usize..4, 1u32..4), 4),
        has in proptest::collection::vec((0usize..6, 1u32..4), 4),
        now in 0u64..200_000,
    ) {
        let shapes = [("a", "a1 b1", ""), ("b", "a1 b1", ""), ("b", "b1", "a1"), ("b", "b1", "")];
        let shaped = |shape: usize, ver| entry(ver, shapes[shape].0, shapes[shape].1, shapes[shape].2);
        let table = Table::unassigned(PartitionCount::new(4).unwrap());
        let changes = (0..4).map(PartitionId).zip(entries.iter().map(|(s, v)| shaped(*s, *v)));
        let table = table.apply(&table.change(changes.collect())).unwrap();
        let mut replicas = BTreeMap::new();
        for (number, (shape, ver)) in has.into_iter().enumerate() {
            let replica = match shape {
                0..4 => LocalReplica::Open(shaped(shape, ver)),
                4 => LocalReplica::Closed { since: Millis(1_000) },
                _ => continue,
            };
            replicas.insert(PartitionId(number as u16), replica);
        }
        let now = Millis(now);
        let actions = reconcile(&table, &own("a1"), &replicas, now);
        prop_assert_eq!(&actions, &reconcile(&table, &own("a1"), &replicas, now));
        let replicas = done(replicas, actions, now);
        prop_assert_eq!(reconcile(&table, &own("a1"), &replicas, now), []);
    }
}
