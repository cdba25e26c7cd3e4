//! What the tests of this crate share: a council of nodes with short names, and the ways to bring it somewhere.

use isogrid_core::{
    Epoch, Incarnation, LogPosition, Member, NodeId, PartitionEntry, PartitionId, Replica,
};

use crate::council::{
    Authority, Change, ChangeKind, ChangeOutcome, Command, Council, CreateCluster, LossPolicy,
    Outcome, Refusal, Registered, Rules, StorageProof,
};
use crate::id::{BootId, ClusterId, StorageId};

pub(crate) const P: PartitionId = PartitionId(0);

pub(crate) fn node(name: &str) -> NodeId {
    NodeId::new(name)
}

/// A life: `a2` is the second of `a`.
pub(crate) fn life(text: &str) -> Replica {
    let (name, number) = text.split_at(1);
    Replica { node: node(name), incarnation: Incarnation(number.parse().unwrap()) }
}

pub(crate) fn lives(text: &str) -> Vec<Replica> {
    text.split_whitespace().map(life).collect()
}

/// An entry in short: `e2 v3 a: a1 b1 | c1`.
pub(crate) fn short(entry: &PartitionEntry) -> String {
    let names = |replicas: &[Replica]| -> String {
        let all = replicas.iter().map(|r| format!(" {}{}", r.node, r.incarnation.0));
        all.collect()
    };
    let primary = entry.primary.as_ref().map_or("-", NodeId::as_str);
    let members = names(&entry.in_sync);
    let learners = names(&entry.learners);
    let bar = if learners.is_empty() { "" } else { " |" };
    format!("e{} v{} {primary}:{members}{bar}{learners}", entry.epoch.0, entry.ver)
}

/// What a node proves with: its name's storage, all lives so far, sound.
pub(crate) fn proof(text: &str) -> StorageProof {
    let life = life(text);
    let name = life.node.as_str().as_bytes()[0];
    StorageProof {
        storage_id: StorageId(u128::from(name)),
        incarnations: (1..=life.incarnation.0).map(Incarnation).collect(),
        boot_id: BootId(1),
        survives_power_loss: false,
        is_intact: true,
        is_volatile: false,
    }
}

/// The proof after a power loss.
pub(crate) fn rebooted(text: &str) -> StorageProof {
    StorageProof { boot_id: BootId(u128::from(life(text).incarnation.0) * 1_000), ..proof(text) }
}

/// The proof of an empty disk.
pub(crate) fn wiped(text: &str) -> StorageProof {
    let life = life(text);
    StorageProof {
        storage_id: StorageId(u128::from(life.incarnation.0) << 64),
        incarnations: vec![life.incarnation],
        ..proof(text)
    }
}

pub(crate) fn member(text: &str) -> Member {
    let life = life(text);
    Member { incarnation: life.incarnation, ..Member::new(life.node.as_str()) }
}

pub(crate) fn create(partitions: u16, copies: u8, loss_policy: LossPolicy) -> Command {
    let id = ClusterId(7);
    let members = Vec::new();
    Command::CreateCluster(CreateCluster { id, partitions, copies, loss_policy, members })
}

/// A council of one partition whose members are these, the first of them leading, and these nodes beside them.
pub(crate) fn council(in_sync: &str, others: &str) -> Council {
    council_with(Rules::default(), LossPolicy::Block, in_sync, others)
}

pub(crate) fn council_with(
    rules: Rules,
    policy: LossPolicy,
    in_sync: &str,
    others: &str,
) -> Council {
    let mut council = Council::new().with_rules(rules);
    assert_eq!(council.apply(&create(1, 2, policy)), Outcome::Applied);
    for text in in_sync.split_whitespace().chain(others.split_whitespace()) {
        register(&mut council, text, proof(text)).unwrap();
    }
    if !in_sync.is_empty() {
        change(&mut council, ChangeKind::Assign(lives(in_sync))).unwrap();
    }
    council
}

pub(crate) fn entry(council: &Council) -> String {
    short(council.entry(P).unwrap())
}

pub(crate) fn register(
    council: &mut Council,
    text: &str,
    storage: StorageProof,
) -> Result<Registered, Refusal> {
    match council.apply(&Command::Register { member: member(text), storage }) {
        Outcome::Registered(registered) => Ok(registered),
        Outcome::Refused { why } => Err(why),
        other => panic!("unexpected: {other:?}"),
    }
}

pub(crate) fn down(council: &mut Council, text: &str) -> Outcome {
    let Replica { node, incarnation } = life(text);
    council.apply(&Command::NodeDown { node, incarnation })
}

/// The change made for the entry as it is.
pub(crate) fn present(council: &Council, kind: ChangeKind) -> Change {
    let entry = council.entry(P).unwrap();
    Change { partition: P, epoch: entry.epoch, ver: entry.ver, kind }
}

pub(crate) fn change(council: &mut Council, kind: ChangeKind) -> Result<(), Refusal> {
    let change = present(council, kind);
    apply_change(council, change)
}

pub(crate) fn apply_change(council: &mut Council, change: Change) -> Result<(), Refusal> {
    match council.apply(&Command::Changes(vec![change])) {
        Outcome::Changes(outcomes) => match outcomes[..] {
            [ChangeOutcome::Done { epoch, ver }] => {
                let entry = council.entry(P).unwrap();
                assert_eq!((entry.epoch, entry.ver), (epoch, ver));
                Ok(())
            }
            [ChangeOutcome::Refused(why)] => Err(why),
            _ => panic!("one change, one outcome"),
        },
        other => panic!("unexpected: {other:?}"),
    }
}

pub(crate) fn report(council: &mut Council, text: &str, position: (u64, u64)) -> Outcome {
    let Replica { node, incarnation } = life(text);
    let positions = vec![(P, LogPosition::new(position.0, position.1))];
    council.apply(&Command::ReportPositions { node, incarnation, positions })
}

pub(crate) fn promote_suspect(council: &mut Council, authority: Authority) -> Outcome {
    let (epoch, ver) = at(council);
    council.apply(&Command::PromoteSuspect { partition: P, epoch, ver, authority })
}

pub(crate) fn reset(council: &mut Council, to: &str, operator: bool) -> Outcome {
    let (epoch, ver) = at(council);
    let (to, known) = (node(to), Some(LogPosition::new(1, 9)));
    council.apply(&Command::Reset { partition: P, epoch, ver, to, known, operator })
}

fn at(council: &Council) -> (Epoch, u32) {
    let entry = council.entry(P).unwrap();
    (entry.epoch, entry.ver)
}

pub(crate) fn refused(why: Refusal) -> Outcome {
    Outcome::Refused { why }
}
