//! Random commands, half of them nonsense: whatever comes, the council keeps its promises, and the same commands make the
//! same council.

use isogrid_core::{
    Epoch, Incarnation, LogPosition, MapSettings, PartitionEntry, PartitionId, Replica, SessionId,
    Table,
};
use proptest::prelude::*;

use super::*;
use crate::id::{BootId, StorageId};
use crate::testing::*;

const NODES: [&str; 5] = ["a", "b", "c", "d", "e"];

/// A command in the making: numbers, read against the council that it meets.
type Recipe = (u8, u8, u8, u8, u8);

fn recipes() -> impl Strategy<Value = Vec<Recipe>> {
    proptest::collection::vec(any::<Recipe>(), 1..160)
}

fn replica(council: &Council, name: u8, off: u8) -> Replica {
    let node = node(NODES[usize::from(name) % NODES.len()]);
    let present = council.node(&node).map_or(1, |record| record.incarnation().0);
    let incarnation = match off % 6 {
        0 => present.saturating_sub(1),
        1 => present + 1,
        _ => present,
    };
    Replica { node, incarnation: Incarnation(incarnation) }
}

fn storage(life: &Replica, how: u8) -> StorageProof {
    let name = u128::from(life.node.as_str().as_bytes()[0]);
    let others = u128::from(how / 64);
    StorageProof {
        storage_id: StorageId(if how.is_multiple_of(3) { name + (others << 64) } else { name }),
        incarnations: (1..=life.incarnation.0)
            .filter(|number| how % 8 != 7 || number % 2 == 0)
            .map(Incarnation)
            .collect(),
        boot_id: BootId(others % 2),
        survives_power_loss: how.is_multiple_of(2),
        is_intact: how % 10 != 9,
    }
}

fn kind(council: &Council, (a, b, c): (u8, u8, u8)) -> ChangeKind {
    let one = replica(council, b, c);
    match a % 8 {
        0 => ChangeKind::Assign(vec![one, replica(council, b.wrapping_add(1), 3)]),
        1 | 2 => ChangeKind::AddMember(one),
        3 => ChangeKind::RemoveMember(one),
        4 | 5 => ChangeKind::AddLearner(one),
        6 if c.is_multiple_of(2) => ChangeKind::DropLearner(one),
        6 => ChangeKind::Handover { to: one.node },
        _ => ChangeKind::Promote { to: one.node },
    }
}

fn command(council: &Council, (what, a, b, c, d): Recipe) -> Command {
    let partition = PartitionId(u16::from(d) % 5);
    let entry = council.entry(partition).cloned().unwrap_or_default();
    let (epoch, ver) =
        if d > 240 { (Epoch(u64::from(c)), u32::MAX) } else { (entry.epoch, entry.ver) };
    let one = replica(council, b, c);
    match what % 16 {
        0..3 => {
            let life = Replica { incarnation: Incarnation(one.incarnation.0 + 1), ..one };
            let member = member(&format!("{}{}", life.node, life.incarnation.0));
            Command::Register { storage: storage(&life, a), member }
        }
        3 | 4 => Command::NodeDown { node: one.node, incarnation: one.incarnation },
        5..10 => {
            let change = |extra: u8| Change {
                partition,
                epoch,
                ver: ver.wrapping_add(u32::from(extra)),
                kind: kind(council, (a.wrapping_add(extra), b.wrapping_add(extra), c)),
            };
            Command::Changes(vec![change(0), change(1)])
        }
        10 => {
            let authorities = [Authority::AllReported, Authority::WaitPassed, Authority::Operator];
            let authority = authorities[usize::from(a) % 3];
            Command::PromoteSuspect { partition, epoch, ver, authority }
        }
        11 => {
            let known = Some(LogPosition::new(1, 2));
            let operator = a.is_multiple_of(2);
            Command::Reset { partition, epoch, ver, to: one.node, known, operator }
        }
        12 | 13 => {
            let position = LogPosition::new(u64::from(a), u64::from(b));
            let positions = (0..5).map(|number| (PartitionId(number), position)).collect();
            Command::ReportPositions { node: one.node, incarnation: one.incarnation, positions }
        }
        14 => match a % 4 {
            0 => Command::RemoveNode { node: one.node },
            1 => Command::SetIntent { node: one.node, intent: Intent::Leave },
            2 => Command::SetIntent { node: one.node, intent: Intent::Stay },
            _ => Command::SetLossPolicy(if b > 99 { LossPolicy::Reset } else { LossPolicy::Block }),
        },
        _ => match a % 4 {
            0 => Command::OpenSessions { count: u32::from(b) },
            1 => Command::EndSessions { numbers: vec![SessionId(b.into()), SessionId(c.into())] },
            2 => Command::PutMap {
                name: NODES[usize::from(b) % 5].into(),
                settings: MapSettings::default(),
                mode: MapMode { min_in_sync: c % 4, ..MapMode::default() },
            },
            _ => Command::DropMap { name: NODES[usize::from(b) % 5].into() },
        },
    }
}

fn fresh() -> Council {
    let mut council = Council::new();
    council.apply(&create(4, 2, LossPolicy::Reset));
    for name in &NODES[..4] {
        let text = format!("{name}1");
        register(&mut council, &text, proof(&text)).unwrap();
    }
    for partition in 0..4 {
        let kind = ChangeKind::Assign(vec![
            replica(&council, partition, 3),
            replica(&council, partition + 1, 3),
        ]);
        let partition = PartitionId(partition.into());
        council.apply(&Command::Changes(vec![Change { partition, epoch: Epoch(0), ver: 0, kind }]));
    }
    council
}

/// What must hold of every entry, whatever happened before.
fn check_entry(council: &Council, partition: PartitionId, entry: &PartitionEntry) {
    if entry.epoch == Epoch(0) {
        return;
    }
    assert!(!entry.in_sync.is_empty(), "R10: {}", short(entry));
    if let Some(primary) = &entry.primary {
        let member = entry.in_sync.iter().find(|member| member.node == *primary);
        let member = member.expect("the primary is in sync");
        let present = council.node(primary).expect("it is known").incarnation();
        assert_eq!(member.incarnation, present, "R2, R4: {}", short(entry));
        assert!(!council.is_suspect(partition, primary), "section 12: {}", short(entry));
    }
    for learner in &entry.learners {
        assert_eq!(council.node(&learner.node).unwrap().incarnation(), learner.incarnation);
    }
    if let Some(facts) = council.facts(partition) {
        let mut known =
            facts.suspects.iter().chain(facts.reports.keys()).chain(facts.stranded.keys());
        assert!(known.all(|node| entry.in_sync.iter().any(|member| member.node == *node)));
        assert!(facts.reports.keys().all(|node| facts.suspects.contains(node)));
    }
}

/// What must hold between an entry and its successor.
fn check_step(command: &Command, old: &PartitionEntry, new: &PartitionEntry) {
    assert!(new.epoch >= old.epoch && new.ver >= old.ver, "{} {}", short(old), short(new));
    assert!(new.loss_generation >= old.loss_generation);
    if new.loss_generation > old.loss_generation || old.in_sync.is_empty() {
        return;
    }
    let nodes = |entry: &PartitionEntry| -> Vec<_> {
        entry.in_sync.iter().map(|member| member.node.clone()).collect()
    };
    let (before, after) = (nodes(old), nodes(new));
    if new.epoch > old.epoch {
        assert!(new.primary.iter().all(|primary| before.contains(primary)), "R2");
        assert!(new.in_sync.iter().all(|member| before.contains(&member.node)), "R2");
        let kept = old.primary.iter().all(|primary| after.contains(primary));
        assert!(kept || matches!(command, Command::Register { .. }), "R2: {}", short(new));
    } else {
        assert_eq!(old.primary, new.primary);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_000, ..ProptestConfig::default() })]

    #[test]
    fn whatever_is_proposed_the_council_keeps_its_promises(recipes in recipes()) {
        let mut council = fresh();
        let mut copy = Table::unassigned(council.table().partitions());
        for recipe in recipes {
            let command = command(&council, recipe);
            let before = council.clone();
            let outcome = council.apply(&command);
            prop_assert!(outcome.refusal() != Some(&Refusal::BreaksTable), "{command:?}");
            if outcome.refusal().is_some() || outcome == Outcome::Unchanged {
                let mut same = before.clone();
                same.applied += 1;
                prop_assert_eq!(&same, &council, "refused, so nothing changed");
            }
            let mut losses = 0;
            for (partition, entry) in council.table().iter() {
                let old = before.entry(partition).unwrap();
                check_entry(&council, partition, entry);
                check_step(&command, old, entry);
                losses += usize::from(entry.loss_generation > old.loss_generation);
            }
            let told = council.ledger_since(before.ledger.len() as u64).len();
            prop_assert_eq!(told, losses, "never silent");
            if council.table().version() > copy.version() {
                copy = copy.apply(&council.delta_since(copy.version())).expect("a good delta");
            }
            prop_assert_eq!(&copy, council.table());
        }
    }

    #[test]
    fn the_same_commands_make_the_same_council(recipes in recipes(), middle in 0usize..160) {
        let mut first = fresh();
        let mut second = fresh();
        for (at, recipe) in recipes.into_iter().enumerate() {
            let command = command(&first, recipe);
            prop_assert_eq!(first.apply(&command), second.apply(&command));
            if at == middle {
                // One of them comes from a snapshot.
                let text = serde_json::to_string(&second).unwrap();
                second = serde_json::from_str(&text).unwrap();
            }
        }
        let texts = [&first, &second].map(|council| serde_json::to_string(council).unwrap());
        prop_assert_eq!(&texts[0], &texts[1]);
    }
}
