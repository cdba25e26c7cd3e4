//! The council's commands but registration, one by one.

use isogrid_core::{Epoch, MapId, MapSettings, MemberState, Replica, SessionId};

use super::*;
use crate::testing::{
    P, apply_change, change, council, council_with, create, down, entry, life, lives, member, node,
    present, proof, rebooted, refused, register, reset, wiped,
};

#[test]
fn nothing_applies_before_there_is_a_cluster_and_a_second_one_is_refused() {
    let mut council = Council::new();
    assert_eq!(down(&mut council, "a1"), refused(Refusal::NoCluster));
    let first = create(4, 2, LossPolicy::Block);
    for bad in [create(3, 2, LossPolicy::Block), create(4, 0, LossPolicy::Block)] {
        assert_eq!(council.apply(&bad), refused(Refusal::OutOfBounds));
    }
    assert_eq!(council.apply(&first), Outcome::Applied);
    assert_eq!(council.apply(&first), Outcome::Unchanged, "the same once more");
    let mut second = first.clone();
    if let Command::CreateCluster(create) = &mut second {
        create.id = crate::id::ClusterId(8);
    }
    assert_eq!(council.apply(&second), refused(Refusal::ClusterExists));
    assert_eq!(council.table().partitions().get(), 4);
    assert_eq!(council.applied(), 6);
}

#[test]
fn expected_members_are_joining_until_they_register() {
    let mut council = Council::new();
    let Command::CreateCluster(mut create) = create(1, 1, LossPolicy::Block) else { panic!() };
    create.members = vec![member("a1")];
    council.apply(&Command::CreateCluster(create));
    assert_eq!(council.node(&node("a")).unwrap().member.state, MemberState::Joining);
    register(&mut council, "a1", proof("a1")).unwrap();
    assert_eq!(council.node(&node("a")).unwrap().member.state, MemberState::Active);
}

#[test]
fn a_partition_is_assigned_once_and_only_to_live_nodes() {
    let mut council = council("", "a1 b1");
    let assign = |text: &str| ChangeKind::Assign(lives(text));
    assert_eq!(change(&mut council, assign("a2 b1")), Err(Refusal::NotCurrent));
    assert_eq!(change(&mut council, assign("a1 a1")), Err(Refusal::AlreadyListed));
    assert_eq!(change(&mut council, assign("")), Err(Refusal::AlreadyListed));
    change(&mut council, assign("a1 b1")).unwrap();
    assert_eq!(entry(&council), "e1 v1 a: a1 b1");
    assert_eq!(change(&mut council, assign("b1")), Err(Refusal::AlreadyListed));
}

#[test]
fn a_learner_becomes_a_member_and_a_member_leaves() {
    let mut council = council("a1 b1", "c1");
    let added = ChangeKind::AddMember(life("c1"));
    assert_eq!(change(&mut council, added.clone()), Err(Refusal::NotListed));
    change(&mut council, ChangeKind::AddLearner(life("c1"))).unwrap();
    let again = ChangeKind::AddLearner(life("c1"));
    assert_eq!(change(&mut council, again), Err(Refusal::AlreadyListed));
    change(&mut council, added).unwrap();
    assert_eq!(entry(&council), "e1 v3 a: a1 b1 c1");
    let primary = ChangeKind::RemoveMember(life("a1"));
    assert_eq!(change(&mut council, primary.clone()), Err(Refusal::Primary));
    change(&mut council, ChangeKind::RemoveMember(life("b1"))).unwrap();
    change(&mut council, ChangeKind::RemoveMember(life("c1"))).unwrap();
    assert_eq!(change(&mut council, primary), Err(Refusal::LastMember), "R10");
    assert_eq!(entry(&council), "e1 v5 a: a1");
}

#[test]
fn learners_come_and_go() {
    let mut council = council("a1", "c1");
    let unknown = ChangeKind::AddLearner(life("x1"));
    assert_eq!(change(&mut council, unknown), Err(Refusal::NotCurrent));
    change(&mut council, ChangeKind::AddLearner(life("c1"))).unwrap();
    let other_life = ChangeKind::DropLearner(life("c2"));
    assert_eq!(change(&mut council, other_life), Err(Refusal::NotListed));
    change(&mut council, ChangeKind::DropLearner(life("c1"))).unwrap();
    assert_eq!(entry(&council), "e1 v3 a: a1");
}

#[test]
fn an_addition_is_for_the_life_that_caught_up() {
    let addition = |rules: Rules| {
        let mut council = council_with(rules, LossPolicy::Block, "a1", "b1");
        change(&mut council, ChangeKind::AddLearner(life("b1"))).unwrap();
        register(&mut council, "b2", wiped("b2")).unwrap();
        let outcome = change(&mut council, ChangeKind::AddMember(life("b1")));
        (outcome, entry(&council))
    };
    let kept = addition(Rules::default());
    assert_eq!(kept, (Err(Refusal::NotCurrent), "e1 v3 a: a1 | b2".into()), "R5");
    let off = Rules { addition_checks_incarnation: false, ..Rules::default() };
    assert_eq!(addition(off), (Ok(()), "e1 v4 a: a1 b2".into()), "an empty member");
}

#[test]
fn a_node_that_is_down_is_not_added() {
    let mut council = council("a1", "b1");
    change(&mut council, ChangeKind::AddLearner(life("b1"))).unwrap();
    down(&mut council, "b1");
    let added = change(&mut council, ChangeKind::AddMember(life("b1")));
    assert_eq!(added, Err(Refusal::NotCurrent));
}

#[test]
fn a_change_is_for_the_entry_its_proposer_knew() {
    let late = |rules: Rules| {
        let mut council = council_with(rules, LossPolicy::Block, "a1 b1", "c1");
        let removal = present(&council, ChangeKind::RemoveMember(life("b1")));
        change(&mut council, ChangeKind::AddLearner(life("c1"))).unwrap();
        let outcome = apply_change(&mut council, removal);
        (outcome, entry(&council))
    };
    let moved = Refusal::Moved { epoch: Epoch(1), ver: 2 };
    assert_eq!(late(Rules::default()), (Err(moved), "e1 v2 a: a1 b1 | c1".into()), "R3");
    let off = Rules { compare_and_set: false, ..Rules::default() };
    assert_eq!(late(off), (Ok(()), "e1 v3 a: a1 | c1".into()));
}

#[test]
fn of_two_changes_in_one_batch_for_one_ver_the_second_is_refused() {
    let mut council = council("a1 b1", "c1");
    let batch = vec![
        present(&council, ChangeKind::AddLearner(life("c1"))),
        present(&council, ChangeKind::RemoveMember(life("b1"))),
    ];
    let version = council.table().version();
    let Outcome::Changes(outcomes) = council.apply(&Command::Changes(batch)) else { panic!() };
    assert_eq!(outcomes[0], ChangeOutcome::Done { epoch: Epoch(1), ver: 2 });
    let moved = Refusal::Moved { epoch: Epoch(1), ver: 2 };
    assert_eq!(outcomes[1], ChangeOutcome::Refused(moved));
    assert_eq!(council.table().version().0, version.0 + 1, "one version per command");
}

#[test]
fn a_handover_opens_an_epoch_and_keeps_the_old_primary() {
    let mut council = council("a1 b1", "c1");
    change(&mut council, ChangeKind::AddLearner(life("c1"))).unwrap();
    let to = |name| ChangeKind::Handover { to: node(name) };
    assert_eq!(change(&mut council, to("a")), Err(Refusal::AlreadyListed));
    assert_eq!(change(&mut council, to("c")), Err(Refusal::NotListed), "R2: a learner");
    assert_eq!(entry(&council), "e1 v4 a: a1 b1 | c1", "refusals that the primary can read");
    change(&mut council, to("b")).unwrap();
    assert_eq!(entry(&council), "e2 v5 b: a1 b1 | c1");
    down(&mut council, "a1");
    assert_eq!(change(&mut council, to("a")), Err(Refusal::NotCurrent), "it is down");
    assert_eq!(entry(&council), "e2 v6 b: a1 b1 | c1");
}

#[test]
fn a_node_down_promotes_a_member_and_keeps_the_old_primary() {
    let fence = |rules: Rules| {
        let mut council = council_with(rules, LossPolicy::Block, "a1 b1", "c1");
        change(&mut council, ChangeKind::AddLearner(life("c1"))).unwrap();
        let outcome = down(&mut council, "a1");
        assert_eq!(outcome, Outcome::Fenced(Fenced { promoted: vec![P], blocked: vec![] }));
        assert_eq!(down(&mut council, "a1"), Outcome::Unchanged);
        entry(&council)
    };
    assert_eq!(fence(Rules::default()), "e2 v3 b: a1 b1 | c1");
    let removed = Rules { keep_old_primary: false, ..Rules::default() };
    assert_eq!(fence(removed), "e2 v3 b: b1 | c1");
    let any = Rules { promote_only_in_sync: false, ..Rules::default() };
    assert_eq!(fence(any), "e2 v3 c: a1 b1 c1");
}

#[test]
fn a_node_down_of_another_life_or_node_changes_nothing() {
    let mut council = council("a1 b1", "");
    assert_eq!(down(&mut council, "a2"), refused(Refusal::NotCurrent));
    assert_eq!(down(&mut council, "x1"), refused(Refusal::Unknown));
    assert_eq!(entry(&council), "e1 v1 a: a1 b1");
}

#[test]
fn without_a_candidate_the_old_primary_stays_recorded() {
    let mut council = council("a1", "b1");
    let outcome = down(&mut council, "a1");
    assert_eq!(outcome, Outcome::Fenced(Fenced { promoted: vec![], blocked: vec![P] }));
    assert_eq!(entry(&council), "e1 v1 a: a1");
    // It was never gone: it goes on in the same epoch.
    register(&mut council, "a1", proof("a1")).unwrap();
    assert_eq!(council.node(&node("a")).unwrap().member.state, MemberState::Active);
    assert_eq!(entry(&council), "e1 v1 a: a1");
}

#[test]
fn the_partitions_of_a_node_that_is_down_are_spread() {
    let mut council = Council::new();
    council.apply(&create(64, 3, LossPolicy::Block));
    for text in ["a1", "b1", "c1"] {
        register(&mut council, text, proof(text)).unwrap();
    }
    let assign = |partition| Change {
        partition,
        epoch: Epoch(0),
        ver: 0,
        kind: ChangeKind::Assign(lives("a1 b1 c1")),
    };
    let all = council.table().partitions().iter().map(assign).collect();
    council.apply(&Command::Changes(all));
    down(&mut council, "a1");
    for name in ["b", "c"] {
        assert_eq!(council.table().owned_by(&node(name)).count(), 32, "{name}");
    }
}

#[test]
fn a_member_that_goes_is_the_last_choice() {
    let mut council = council("a1 b1 c1", "");
    council.apply(&Command::SetIntent { node: node("b"), intent: Intent::Leave });
    down(&mut council, "a1");
    assert_eq!(council.table().owner(P), Some(&node("c")));
    down(&mut council, "c1");
    assert_eq!(council.table().owner(P), Some(&node("b")), "better than nobody");
}

#[test]
fn a_reset_is_for_partitions_that_nobody_can_lead_and_is_in_the_ledger() {
    let mut council = council_with(Rules::default(), LossPolicy::Reset, "a1", "b1");
    assert_eq!(reset(&mut council, "b", false), refused(Refusal::SoundMember));
    down(&mut council, "a1");
    assert_eq!(reset(&mut council, "x", false), refused(Refusal::NotCurrent));
    council.apply(&Command::SetLossPolicy(LossPolicy::Block));
    assert_eq!(reset(&mut council, "b", false), refused(Refusal::LossPolicy));
    assert_eq!(reset(&mut council, "b", true), Outcome::Applied, "an operator may");
    assert_eq!(entry(&council), "e2 v2 b: b1");
    let [loss] = council.ledger_since(0) else { panic!("one loss") };
    assert_eq!((loss.number, loss.partition, loss.loss_generation), (1, P, 1));
    assert_eq!((loss.kept, loss.known.unwrap().seq), (None, 9));
    assert_eq!((loss.given_up.clone(), loss.cause), (lives("a1"), LossCause::Operator));
    assert!(council.ledger_since(1).is_empty() && council.ledger_since(u64::MAX).is_empty());
    assert_eq!(council.entry(P).unwrap().loss_generation, 1);
}

#[test]
fn a_loss_is_silent_only_with_the_rule_off() {
    let rules = Rules { losses_are_told: false, ..Rules::default() };
    let mut council = council_with(rules, LossPolicy::Reset, "a1", "b1");
    down(&mut council, "a1");
    reset(&mut council, "b", false);
    assert!(council.ledger_since(0).is_empty());
    assert_eq!(council.entry(P).unwrap().loss_generation, 0);
}

#[test]
fn intents_are_told_apart_and_forgotten_when_a_node_comes_back() {
    let mut council = council("a1 b1", "");
    let intend = |council: &mut Council, intent| {
        council.apply(&Command::SetIntent { node: node("a"), intent })
    };
    let state = |council: &Council| {
        let record = council.node(&node("a")).unwrap();
        (record.member.state, record.intent)
    };
    assert_eq!(intend(&mut council, Intent::Stay), Outcome::Unchanged);
    intend(&mut council, Intent::Leave);
    assert_eq!(state(&council), (MemberState::Draining, Intent::Leave));
    register(&mut council, "a2", proof("a2")).unwrap();
    assert_eq!(state(&council), (MemberState::Draining, Intent::Leave), "it still is to leave");
    intend(&mut council, Intent::Restart);
    assert_eq!(state(&council), (MemberState::Active, Intent::Restart));
    down(&mut council, "a2");
    register(&mut council, "a3", proof("a3")).unwrap();
    assert_eq!(state(&council), (MemberState::Active, Intent::Stay));
}

#[test]
fn only_a_node_that_is_down_and_holds_nothing_is_forgotten() {
    let mut council = council("a1", "b1");
    let remove = |text| {
        let Replica { node, incarnation } = life(text);
        Command::RemoveNode { node, incarnation }
    };
    assert_eq!(council.apply(&remove("b1")), refused(Refusal::StillServes));
    down(&mut council, "a1");
    down(&mut council, "b1");
    assert_eq!(council.apply(&remove("a1")), refused(Refusal::StillHolds));
    assert_eq!(council.apply(&remove("b1")), Outcome::Applied);
    assert_eq!(council.apply(&remove("b1")), refused(Refusal::Unknown));
    // That it leaves was done: whoever wants it again has it. Nothing else can be wanted of it, or of others.
    let intend = |name, intent| Command::SetIntent { node: node(name), intent };
    assert_eq!(council.apply(&intend("b", Intent::Leave)), Outcome::Unchanged);
    assert_eq!(council.apply(&intend("b", Intent::Stay)), refused(Refusal::Unknown));
    assert_eq!(council.apply(&intend("z", Intent::Leave)), refused(Refusal::Unknown));
    // Its lives are not: what was meant for the first must never reach another first.
    register(&mut council, "b4", proof("b4")).unwrap();
    down(&mut council, "b4");
    assert_eq!(council.apply(&remove("b1")), refused(Refusal::NotCurrent), "it came late");
    assert_eq!(council.apply(&remove("b4")), Outcome::Applied);
    let old = register(&mut council, "b3", proof("b3"));
    assert_eq!(old, Err(Refusal::OldIncarnation { registered: life("b4").incarnation }));
    register(&mut council, "b5", proof("b5")).unwrap();
}

#[test]
fn maps_are_numbered_and_numbers_are_not_used_again() {
    let mut council = council("a1", "");
    let put = |name: &str, min_in_sync| Command::PutMap {
        name: name.into(),
        settings: MapSettings::default(),
        mode: MapMode { min_in_sync, ..MapMode::default() },
        schema: None,
    };
    assert_eq!(council.apply(&put("", 1)), refused(Refusal::OutOfBounds));
    assert_eq!(council.apply(&put("x", 0)), refused(Refusal::OutOfBounds));
    assert_eq!(council.apply(&put("x", 3)), refused(Refusal::OutOfBounds), "of two copies");
    assert_eq!(council.apply(&put("x", 1)), Outcome::Map(MapId(0)));
    assert_eq!(council.apply(&put("y", 1)), Outcome::Map(MapId(1)));
    assert_eq!(council.min_in_sync(), 1);
    assert_eq!(council.apply(&put("x", 2)), Outcome::Map(MapId(0)), "other settings");
    assert_eq!((council.min_in_sync(), council.maps_version()), (2, 3));
    let drop_first = |id| Command::DropMap { name: "x".into(), id: MapId(id) };
    assert_eq!(council.apply(&drop_first(0)), Outcome::Applied);
    assert_eq!(council.apply(&put("x", 1)), Outcome::Map(MapId(2)));
    assert_eq!(council.apply(&drop_first(0)), refused(Refusal::Unknown), "it came twice");
    assert!(council.maps().contains_key("x"));
}

#[test]
fn sessions_are_numbered_and_end_for_good() {
    let mut council = council("a1", "");
    let first = |council: &mut Council, count| match council.apply(&Command::OpenSessions { count })
    {
        Outcome::SessionsOpened { first, .. } => first.0,
        other => panic!("{other:?}"),
    };
    assert_eq!((first(&mut council, 3), first(&mut council, 2)), (1, 4));
    let end = |numbers: &[u64]| Command::EndSessions {
        numbers: numbers.iter().map(|number| SessionId(*number)).collect(),
    };
    assert_eq!(council.apply(&end(&[2, 4, 77])), Outcome::Applied);
    let ended = |council: &Council| -> (u64, Vec<u64>) {
        let sessions = council.sessions();
        (sessions.watermark().0, sessions.ended_above().map(|session| session.0).collect())
    };
    assert_eq!(ended(&council), (1, vec![2, 4]));
    assert_eq!(council.apply(&end(&[2])), Outcome::Unchanged);
    council.apply(&end(&[1]));
    assert_eq!(ended(&council), (3, vec![4]));
    council.apply(&end(&[3, 5]));
    assert_eq!(ended(&council), (6, vec![]));
    for count in [0, u32::MAX] {
        let outcome = council.apply(&Command::OpenSessions { count });
        assert_eq!(outcome, refused(Refusal::OutOfBounds));
    }
    assert_eq!(first(&mut council, 1), 6);
}

#[test]
fn the_feature_level_never_goes_back() {
    let mut council = council("a1", "");
    assert_eq!(council.apply(&Command::RaiseFeatureLevel(3)), Outcome::Applied);
    assert_eq!(council.apply(&Command::RaiseFeatureLevel(2)), Outcome::Unchanged);
    assert_eq!(council.cluster().unwrap().feature_level, 3);
}

#[test]
fn a_snapshot_is_the_council() {
    let mut council = council("a1 b1", "c1");
    change(&mut council, ChangeKind::AddLearner(life("c1"))).unwrap();
    register(&mut council, "a2", rebooted("a2")).unwrap();
    council.apply(&Command::OpenSessions { count: 2 });
    let text = serde_json::to_string(&council).unwrap();
    let copy: Council = serde_json::from_str(&text).unwrap();
    assert_eq!(copy, council);
    assert_eq!(serde_json::to_string(&copy).unwrap(), text);
    let empty = serde_json::to_string(&Council::new()).unwrap();
    assert_eq!(serde_json::from_str::<Council>(&empty).unwrap(), Council::new());
}
