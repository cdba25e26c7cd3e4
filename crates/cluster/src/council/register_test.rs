//! Registration: who keeps a membership, who loses it, who is a suspect, and what comes of suspects.

use isogrid_core::LogPosition;

use super::*;
use crate::testing::{
    P, change, council, council_with, down, entry, life, lives, node, promote_suspect, proof,
    rebooted, refused, register, report, wiped,
};

fn with(rules: Rules, in_sync: &str) -> Council {
    council_with(rules, LossPolicy::Block, in_sync, "")
}

#[test]
fn a_backup_with_its_storage_keeps_its_membership() {
    let mut council = council("a1 b1", "");
    let registered = register(&mut council, "b2", proof("b2")).unwrap();
    assert_eq!((registered.rebound, registered.table), (1, council.table().version()));
    assert_eq!(entry(&council), "e1 v2 a: a1 b2");
}

#[test]
fn a_primary_with_its_storage_leads_on_in_a_new_epoch() {
    let restart = |rules| {
        let mut council = with(rules, "a1 b1");
        register(&mut council, "a2", proof("a2")).unwrap();
        entry(&council)
    };
    assert_eq!(restart(Rules::default()), "e2 v3 a: a2 b1", "R4, R8");
    let off = Rules { new_epoch_on_primary_restart: false, ..Rules::default() };
    assert_eq!(restart(off), "e1 v2 a: a2 b1");
}

#[test]
fn a_backup_without_its_storage_is_removed() {
    let lose = |rules| {
        let mut council = with(rules, "a1 b1");
        let registered = register(&mut council, "b2", wiped("b2")).unwrap();
        (registered.removed, entry(&council))
    };
    assert_eq!(lose(Rules::default()), (vec![P], "e1 v2 a: a1".into()));
    let off = Rules { rebind_requires_proof: false, ..Rules::default() };
    assert_eq!(lose(off), (vec![], "e1 v2 a: a1 b2".into()), "an empty member");
}

#[test]
fn a_primary_without_its_storage_is_replaced() {
    let mut council = council("a1 b1", "");
    register(&mut council, "a2", wiped("a2")).unwrap();
    assert_eq!(council.table().owner(P), Some(&node("b")));
    assert_eq!(entry(&council), "e2 v3 b: b1");
}

#[test]
fn a_folder_that_has_not_seen_the_last_life_proves_nothing() {
    let mut council = council("a1 b1", "");
    register(&mut council, "b2", proof("b2")).unwrap();
    let mut copy_of_the_first = proof("b3");
    copy_of_the_first.incarnations.retain(|incarnation| incarnation.0 != 2);
    register(&mut council, "b3", copy_of_the_first).unwrap();
    assert_eq!(entry(&council), "e1 v3 a: a1");
}

#[test]
fn the_last_member_stays_recorded_until_its_storage_comes_back() {
    let mut council = council("a1", "b1");
    let registered = register(&mut council, "a2", wiped("a2")).unwrap();
    assert_eq!(registered.stranded, [P]);
    assert_eq!(entry(&council), "e2 v2 -: a1", "R10: recorded, and nobody leads");
    assert_eq!(
        change(&mut council, ChangeKind::Promote { to: node("a") }),
        Err(Refusal::NotCurrent)
    );
    register(&mut council, "a3", wiped("a3")).unwrap();
    assert_eq!(entry(&council), "e2 v2 -: a1", "still not");
    let mut found = proof("a4");
    found.incarnations.retain(|incarnation| [1, 4].contains(&incarnation.0));
    register(&mut council, "a4", found).unwrap();
    assert_eq!(entry(&council), "e2 v3 -: a4");
    change(&mut council, ChangeKind::Promote { to: node("a") }).unwrap();
    assert_eq!(entry(&council), "e3 v4 a: a4");
    assert_eq!(council.facts(P), None);
}

#[test]
fn without_the_rule_an_empty_node_takes_the_last_place() {
    let mut council = with(Rules { never_empty: false, ..Rules::default() }, "a1");
    register(&mut council, "a2", wiped("a2")).unwrap();
    assert_eq!(entry(&council), "e2 v3 a: a2");
    assert!(council.ledger_since(0).is_empty(), "silently");
}

#[test]
fn learners_follow_their_node_whatever_it_has() {
    let mut council = council("a1", "c1");
    change(&mut council, ChangeKind::AddLearner(life("c1"))).unwrap();
    register(&mut council, "c2", wiped("c2")).unwrap();
    assert_eq!(entry(&council), "e1 v3 a: a1 | c2");
}

#[test]
fn old_and_doubled_registrations_change_nothing() {
    let mut council = council("a1 b1", "");
    register(&mut council, "b3", proof("b3")).unwrap();
    let before = entry(&council);
    let old = register(&mut council, "b2", proof("b2"));
    assert_eq!(old, Err(Refusal::OldIncarnation { registered: life("b3").incarnation }));
    assert_eq!(register(&mut council, "b3", proof("b3")).unwrap().rebound, 0);
    assert_eq!(register(&mut council, "b3", wiped("b3")), Err(Refusal::OtherStorage));
    assert_eq!(entry(&council), before);
}

#[test]
fn a_doubled_registration_says_again_where_positions_are_wanted() {
    let mut council = council("a1 b1", "");
    let first = register(&mut council, "b2", rebooted("b2")).unwrap();
    assert_eq!(first.suspect, [P]);
    let again = register(&mut council, "b2", rebooted("b2")).unwrap();
    assert_eq!((again.suspect, again.rebound), (vec![P], 0), "the first answer may be lost");
    let mut council = self::council("a1", "b1");
    register(&mut council, "a2", wiped("a2")).unwrap();
    assert_eq!(register(&mut council, "a2", wiped("a2")).unwrap().stranded, [P]);
}

#[test]
fn a_full_restart_needs_no_comparison_of_logs() {
    let mut council = council("a1 b1", "");
    register(&mut council, "b2", proof("b2")).unwrap();
    register(&mut council, "a2", proof("a2")).unwrap();
    assert_eq!(entry(&council), "e2 v4 a: a2 b2");
}

#[test]
fn a_backup_after_a_power_loss_is_a_suspect_and_required() {
    let mut council = council("a1 b1", "");
    let registered = register(&mut council, "b2", rebooted("b2")).unwrap();
    assert_eq!(registered.suspect, [P]);
    assert_eq!(entry(&council), "e1 v2 a: a1 b2");
    let handover = ChangeKind::Handover { to: node("b") };
    assert_eq!(change(&mut council, handover.clone()), Err(Refusal::Suspect));
    assert!(matches!(down(&mut council, "a1"), Outcome::Fenced(f) if f.blocked == [P]));
    register(&mut council, "a1", proof("a1")).unwrap();
    // The primary has compared the logs.
    change(&mut council, ChangeKind::AddMember(life("b2"))).unwrap();
    assert_eq!(entry(&council), "e1 v4 a: a1 b2");
    change(&mut council, ChangeKind::AddMember(life("b2"))).unwrap();
    assert_eq!(entry(&council), "e1 v5 a: a1 b2", "it was asked twice, and reads an outcome");
    change(&mut council, handover).unwrap();
}

#[test]
fn a_suspect_stays_one_through_further_restarts() {
    let mut council = council("a1 b1", "");
    register(&mut council, "b2", rebooted("b2")).unwrap();
    let again = StorageProof { boot_id: rebooted("b2").boot_id, ..proof("b3") };
    assert_eq!(register(&mut council, "b3", again).unwrap().suspect, [P]);
    assert!(council.is_suspect(P, &node("b")));
}

#[test]
fn what_was_synced_is_sound_after_a_power_loss() {
    let mut council = council("a1 b1", "");
    let synced = StorageProof { survives_power_loss: true, ..rebooted("b2") };
    assert!(register(&mut council, "b2", synced).unwrap().suspect.is_empty());
    let torn = StorageProof { is_intact: false, ..proof("b3") };
    assert_eq!(register(&mut council, "b3", torn).unwrap().suspect, [P], "a torn log");
}

#[test]
fn a_suspect_primary_is_replaced_by_a_sound_member() {
    let suspect = |rules| {
        let mut council = with(rules, "a1 b1");
        register(&mut council, "a2", rebooted("a2")).unwrap();
        entry(&council)
    };
    assert_eq!(suspect(Rules::default()), "e2 v3 b: a2 b1");
    let not_required = Rules { suspects_stay_required: false, ..Rules::default() };
    assert_eq!(suspect(not_required), "e2 v3 b: b1");
    let sound = Rules { suspects_wait: false, ..Rules::default() };
    assert_eq!(suspect(sound), "e2 v3 a: a2 b1");
}

#[test]
fn among_suspects_the_furthest_leads_once_all_have_reported() {
    let power_loss = |rules| {
        let mut council = with(rules, "a1 b1");
        register(&mut council, "a2", rebooted("a2")).unwrap();
        assert_eq!(
            promote_suspect(&mut council, Authority::AllReported),
            refused(Refusal::SoundMember)
        );
        down(&mut council, "b1");
        report(&mut council, "a2", (1, 9));
        assert_eq!(
            promote_suspect(&mut council, Authority::AllReported),
            refused(Refusal::SoundMember)
        );
        register(&mut council, "b2", rebooted("b2")).unwrap();
        assert_eq!(council.table().owner(P), None);
        assert_eq!(
            promote_suspect(&mut council, Authority::AllReported),
            refused(Refusal::NotAllReported)
        );
        assert_eq!(report(&mut council, "b1", (9, 9)), refused(Refusal::NotCurrent));
        assert_eq!(report(&mut council, "b2", (2, 3)), Outcome::Applied);
        assert_eq!(report(&mut council, "b2", (2, 3)), Outcome::Unchanged);
        assert_eq!(promote_suspect(&mut council, Authority::AllReported), Outcome::Applied);
        council
    };
    let council = power_loss(Rules::default());
    assert!(entry(&council).ends_with("b: b2 | a2"), "{}", entry(&council));
    let [loss] = council.ledger_since(0) else { panic!("one loss") };
    assert_eq!((loss.kept, loss.cause), (Some(LogPosition::new(2, 3)), LossCause::SuspectPromoted));
    assert_eq!(loss.given_up, lives("a2"));
    assert_eq!((loss.loss_generation, loss.epoch), (1, council.entry(P).unwrap().epoch));
    assert_eq!(council.facts(P), None);
    let first = power_loss(Rules { furthest_suspect: false, ..Rules::default() });
    assert!(entry(&first).ends_with("a: a2 | b2"), "{}", entry(&first));
}

#[test]
fn a_sound_member_that_is_away_is_given_up_only_by_policy_or_operator() {
    let half_back = |policy| {
        let mut council = council_with(Rules::default(), policy, "a1 b1", "");
        down(&mut council, "b1");
        register(&mut council, "a2", rebooted("a2")).unwrap();
        report(&mut council, "a2", (1, 9));
        council
    };
    let mut block = half_back(LossPolicy::Block);
    for authority in [Authority::AllReported, Authority::WaitPassed] {
        assert_eq!(promote_suspect(&mut block, authority), refused(Refusal::SoundMember));
    }
    assert_eq!(promote_suspect(&mut block, Authority::Operator), Outcome::Applied);
    assert_eq!(block.ledger_since(0)[0].cause, LossCause::Operator);
    let mut reset = half_back(LossPolicy::Reset);
    assert_eq!(promote_suspect(&mut reset, Authority::WaitPassed), Outcome::Applied);
    assert_eq!(reset.ledger_since(0)[0].given_up, lives("b1"));
}

#[test]
fn a_suspect_that_does_not_report_is_given_up_after_the_wait() {
    let mut council = council("a1 b1", "");
    register(&mut council, "a2", rebooted("a2")).unwrap();
    down(&mut council, "b1");
    register(&mut council, "b2", rebooted("b2")).unwrap();
    assert_eq!(
        promote_suspect(&mut council, Authority::WaitPassed),
        refused(Refusal::NotAllReported)
    );
    report(&mut council, "a2", (1, 4));
    assert_eq!(promote_suspect(&mut council, Authority::WaitPassed), Outcome::Applied);
    assert_eq!(council.table().owner(P), Some(&node("a")));
}
