//! What happens at the bounds of the council's content, and at the end of its numbers.

use isogrid_core::{MapSettings, Member, SessionId};

use super::limits::{
    MAPS_MAX, NODES_MAX, SESSIONS_OPEN_MAX, SESSIONS_OPENED_AT_ONCE_MAX, TEXT_BYTES_MAX,
};
use super::*;
use crate::testing::{council, create, down, member, proof, refused, register};

#[test]
fn a_node_with_texts_that_are_too_long_is_refused() {
    let register = |member: Member| {
        let command = Command::Register { member, storage: proof("a1") };
        council("a1", "").apply(&command).refusal().copied()
    };
    let fits = "x".repeat(TEXT_BYTES_MAX);
    let long = "x".repeat(TEXT_BYTES_MAX + 1);
    assert_eq!(register(Member::new(&fits)), None);
    let zoned = |zone: &str| Member { zone: Some(zone.into()), ..Member::new("b") };
    assert_eq!(register(zoned(&fits)), None);
    let address = Member { gossip_addr: long.clone(), ..Member::new("b") };
    for bad in [Member::new(""), Member::new(&long), zoned(&long), address] {
        assert_eq!(register(bad.clone()), Some(Refusal::OutOfBounds));
        let Command::CreateCluster(mut create) = create(1, 1, LossPolicy::Block) else { panic!() };
        create.members = vec![bad];
        let mut empty = Council::new();
        let outcome = empty.apply(&Command::CreateCluster(create));
        assert_eq!((outcome, empty.cluster()), (refused(Refusal::OutOfBounds), None));
    }
}

#[test]
fn there_is_an_end_of_nodes_but_not_for_those_that_are_known() {
    let mut council = council("", "");
    let storage = proof("a1");
    for number in 0..NODES_MAX {
        let member = Member::new(format!("node-{number}"));
        council.apply(&Command::Register { member, storage: storage.clone() });
    }
    assert_eq!(register(&mut council, "a1", proof("a1")), Err(Refusal::OutOfBounds));
    let again = Member { incarnation: member("a2").incarnation, ..Member::new("node-0") };
    let outcome = council.apply(&Command::Register { member: again, storage });
    assert!(matches!(outcome, Outcome::Registered(_)));
}

#[test]
fn a_map_has_a_name_that_nodes_take_and_there_is_an_end_of_maps() {
    let mut council = council("a1", "");
    let mut put = |name: &str| {
        let (settings, mode) = (MapSettings::default(), MapMode::default());
        let outcome =
            council.apply(&Command::PutMap { name: name.into(), settings, mode, schema: None });
        outcome.refusal().copied()
    };
    for bad in ["", "a map", &"x".repeat(129)] {
        assert_eq!(put(bad), Some(Refusal::OutOfBounds));
    }
    assert!((0..MAPS_MAX).all(|number| put(&format!("map-{number}")).is_none()));
    assert_eq!(put("one-more"), Some(Refusal::OutOfBounds));
    assert_eq!(put("map-0"), None, "a map that is known gets other settings");
}

#[test]
fn there_is_an_end_of_open_sessions() {
    let mut council = council("a1", "");
    let open = |council: &mut Council, count| {
        council.apply(&Command::OpenSessions { count }).refusal().copied()
    };
    let times = SESSIONS_OPEN_MAX / SESSIONS_OPENED_AT_ONCE_MAX as usize;
    for _ in 0..times {
        assert_eq!(open(&mut council, SESSIONS_OPENED_AT_ONCE_MAX), None);
    }
    assert_eq!(open(&mut council, 1), Some(Refusal::OutOfBounds));
    council.apply(&Command::EndSessions { numbers: vec![SessionId(7)] });
    assert_eq!(open(&mut council, 2), Some(Refusal::OutOfBounds));
    assert_eq!(open(&mut council, 1), None);
}

#[test]
fn at_the_end_of_numbers_a_refused_command_changes_nothing() {
    let text = serde_json::to_string(&council("a1 b1", "")).unwrap();
    let last = text.replace(r#""ver":1,"#, &format!(r#""ver":{},"#, u32::MAX));
    let before: Council = serde_json::from_str(&last).unwrap();
    let unchanged = |after: Council| {
        assert_eq!(after, Council { applied: before.applied + 1, ..before.clone() });
    };
    let mut after = before.clone();
    assert_eq!(down(&mut after, "a1"), refused(Refusal::BreaksTable));
    unchanged(after);
    let mut after = before.clone();
    assert_eq!(register(&mut after, "b2", proof("b2")), Err(Refusal::BreaksTable));
    unchanged(after);
}
