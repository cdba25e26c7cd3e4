//! Random commands, half of them nonsense: whatever comes, the council keeps its promises, and the same commands make the
//! same council.

use std::collections::BTreeMap;

use isogrid_core::{
    Epoch, Incarnation, LogPosition, MapId, MapSettings, NodeId, PartitionEntry, PartitionId,
    Replica, SessionId, Table,
};
use proptest::prelude::*;

use super::*;
use crate::id::{BootId, StorageId};
use crate::testing::{create, member, node, proof, register};

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
        is_volatile: how % 5 == 4,
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
            0 => Command::RemoveNode { node: one.node, incarnation: one.incarnation },
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
                schema: None,
            },
            _ => {
                let name = NODES[usize::from(b) % 5].to_owned();
                let id = council.maps().get(&name).map_or(MapId(0), |map| map.id);
                Command::DropMap { name, id }
            }
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

/// A promise that was broken.
type Fault = Option<&'static str>;

/// What is wrong with an entry, whatever happened before.
fn entry_fault(council: &Council, partition: PartitionId, entry: &PartitionEntry) -> Fault {
    if entry.epoch == Epoch(0) {
        return None;
    }
    if entry.in_sync.is_empty() {
        return Some("R10: nobody is recorded");
    }
    let present = |node: &NodeId| council.node(node).map(NodeRecord::incarnation);
    if let Some(primary) = &entry.primary {
        let Some(member) = entry.in_sync.iter().find(|member| member.node == *primary) else {
            return Some("the primary is not in sync");
        };
        if present(primary) != Some(member.incarnation) {
            return Some("R2, R4: the primary is another life");
        }
        if council.is_suspect(partition, primary) {
            return Some("section 12: a suspect leads");
        }
    }
    if entry.learners.iter().any(|l| present(&l.node) != Some(l.incarnation)) {
        return Some("R5: a learner is another life");
    }
    let facts = council.facts(partition)?;
    let mut known = facts.suspects.iter().chain(facts.reports.keys()).chain(facts.stranded.keys());
    let is_member = |node: &NodeId| entry.in_sync.iter().any(|member| member.node == *node);
    (!known.all(is_member)).then_some("facts of a stranger")
}

/// What is wrong between an entry and its successor.
fn step_fault(command: &Command, old: &PartitionEntry, new: &PartitionEntry) -> Fault {
    if new.epoch < old.epoch || new.ver < old.ver || new.loss_generation < old.loss_generation {
        return Some("a number went back");
    }
    if new.loss_generation > old.loss_generation || old.in_sync.is_empty() {
        return None;
    }
    let was = |node: &NodeId| old.in_sync.iter().any(|member| member.node == *node);
    let stays = |node: &NodeId| new.in_sync.iter().any(|member| member.node == *node);
    let registers = match command {
        Command::Register { member, .. } => Some(&member.id),
        _ => None,
    };
    if new.epoch == old.epoch {
        let restarted = old.primary.as_ref() == registers && new.ver != old.ver;
        if restarted && old.primary.is_some() {
            return Some("R4, R8: a primary restarted within its epoch");
        }
        return (old.primary != new.primary).then_some("another primary in the same epoch");
    }
    if !new.primary.iter().all(was) || !new.in_sync.iter().all(|member| was(&member.node)) {
        return Some("R2: somebody leads, or is a member, who was none");
    }
    let kept = old.primary.as_ref().is_none_or(|p| stays(p) || Some(p) == registers);
    (!kept).then_some("R2: a promotion removed the old primary")
}

/// What is wrong after a command.
fn fault(before: &Council, command: &Command, outcome: &Outcome, after: &Council) -> Fault {
    if outcome.refusal() == Some(&Refusal::BreaksTable) {
        return Some("the council tried to break a rule of tables");
    }
    if outcome.refusal().is_some() || *outcome == Outcome::Unchanged {
        let same = Council { applied: before.applied + 1, ..before.clone() };
        if same != *after {
            return Some("refused, and yet something changed");
        }
    }
    let mut losses = 0;
    for (partition, entry) in after.table().iter() {
        let old = before.entry(partition).unwrap();
        let fault = entry_fault(after, partition, entry).or(step_fault(command, old, entry));
        if fault.is_some() {
            return fault;
        }
        losses += usize::from(entry.loss_generation > old.loss_generation);
    }
    let told = after.ledger_since(before.ledger.len() as u64).len();
    let declares = matches!(command, Command::PromoteSuspect { .. } | Command::Reset { .. });
    let silent = told != losses || (declares && *outcome == Outcome::Applied && told == 0);
    silent.then_some("a loss is not in the ledger")
}

/// Runs the recipes; returns the first fault, and how many commands of each outcome were seen.
fn run(rules: Rules, recipes: Vec<Recipe>) -> (Fault, BTreeMap<&'static str, usize>) {
    let mut council = fresh().with_rules(rules);
    let mut copy = Table::unassigned(council.table().partitions());
    let mut seen = BTreeMap::new();
    for recipe in recipes {
        let command = command(&council, recipe);
        let before = council.clone();
        let outcome = council.apply(&command);
        for what in visited(&command, &outcome) {
            *seen.entry(what).or_default() += 1;
        }
        if let Some(fault) = fault(&before, &command, &outcome, &council) {
            return (Some(fault), seen);
        }
        if council.table().version() > copy.version() {
            match copy.apply(&council.delta_since(copy.version())) {
                Ok(next) => copy = next,
                Err(_) => return (Some("a delta does not apply"), seen),
            }
        }
        if copy != *council.table() {
            return (Some("a copy that followed the deltas differs"), seen);
        }
    }
    (None, seen)
}

/// The rare paths that a command took.
fn visited(command: &Command, outcome: &Outcome) -> Vec<&'static str> {
    let paths = match (command, outcome) {
        (_, Outcome::Registered(r)) => vec![
            ("rebound", r.rebound > 0),
            ("removed", !r.removed.is_empty()),
            ("stranded", !r.stranded.is_empty()),
            ("suspect", !r.suspect.is_empty()),
        ],
        (_, Outcome::Fenced(f)) => {
            vec![("promoted", !f.promoted.is_empty()), ("blocked", !f.blocked.is_empty())]
        }
        (_, Outcome::Changes(changes)) => {
            let done = |change: &ChangeOutcome| matches!(change, ChangeOutcome::Done { .. });
            vec![("changed", changes.iter().any(done))]
        }
        (Command::PromoteSuspect { .. }, Outcome::Applied) => vec![("suspect promoted", true)],
        (Command::Reset { .. }, Outcome::Applied) => vec![("reset", true)],
        _ => Vec::new(),
    };
    paths.into_iter().filter(|(_, taken)| *taken).map(|(what, _)| what).collect()
}

/// Recipes of a seed, always the same.
fn seeded(seed: u64) -> Vec<Recipe> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut byte = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 32) as u8
    };
    (0..150).map(|_| (byte(), byte(), byte(), byte(), byte())).collect()
}

#[test]
fn rare_paths_are_visited() {
    let mut all: BTreeMap<&str, usize> = BTreeMap::new();
    for seed in 1..=100 {
        let (fault, seen) = run(Rules::default(), seeded(seed));
        assert_eq!(fault, None, "seed {seed}");
        seen.into_iter().for_each(|(what, count)| *all.entry(what).or_default() += count);
    }
    let paths = [
        "rebound",
        "removed",
        "stranded",
        "suspect",
        "promoted",
        "blocked",
        "changed",
        "suspect promoted",
        "reset",
    ];
    for path in paths {
        assert!(all.get(path).is_some_and(|count| *count >= 20), "{path}: {all:?}");
    }
}

/// Whether these checks see that a rule is off. The others need replicas to be seen: the simulator has them.
#[test]
fn without_a_rule_a_promise_is_broken() {
    let on = Rules::default();
    let off = [
        ("R2", Rules { promote_only_in_sync: false, ..on }),
        ("R2: a promotion", Rules { keep_old_primary: false, ..on }),
        ("R4, R8", Rules { new_epoch_on_primary_restart: false, ..on }),
        ("R2: somebody", Rules { losses_are_told: false, ..on }),
    ];
    for (expected, rules) in off {
        let found = (1..=100).find_map(|seed| run(rules, seeded(seed)).0);
        assert!(found.is_some_and(|fault| fault.starts_with(expected)), "{expected}: {found:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, ..ProptestConfig::default() })]

    #[test]
    fn whatever_is_proposed_the_council_keeps_its_promises(recipes in recipes()) {
        prop_assert_eq!(run(Rules::default(), recipes).0, None);
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
