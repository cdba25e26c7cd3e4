//! Tests of `gossip`.

use isogrid_core::{Member, PartitionCount};

use super::*;
use crate::testing::node;

fn news(table: u64, table_hash: u64, cluster: Option<ClusterId>) -> GossipState {
    GossipState {
        node: node("b"),
        incarnation: Incarnation(1),
        cluster,
        table: TableVersion(table),
        table_hash,
        clock: Timestamp(0),
        load: Load::default(),
    }
}

#[test]
fn news_of_a_table_make_a_node_ask_and_never_believe() {
    let own = Some(ClusterId(1));
    let table = Table::single_node(&Member::new("a"), PartitionCount::new(4).unwrap());
    let hash = table.hash();
    let hear = |other: &GossipState| hear(own, &table, other);
    assert_eq!(hear(&news(1, hash, own)), Heard::Nothing);
    assert_eq!(hear(&news(0, 9, own)), Heard::Nothing, "older");
    let pull = Heard::Pull { from: node("b"), since: TableVersion(1) };
    assert_eq!(hear(&news(7, 9, own)), pull);
    assert_eq!(hear(&news(1, 9, own)), Heard::Defect { hash: 9 });
    let foreign = Some(ClusterId(2));
    assert_eq!(hear(&news(7, 9, foreign)), Heard::Foreign(ClusterId(2)));
    assert_eq!(hear(&news(7, 9, None)), Heard::Nothing, "it has no cluster");
    assert_eq!(super::hear(None, &table, &news(7, 9, own)), Heard::Nothing, "not joined yet");
}

#[test]
fn clocks_are_judged_by_the_median() {
    let offsets = |values: &[(&str, i64)]| -> BTreeMap<NodeId, i64> {
        values.iter().map(|(name, offset)| (node(name), *offset)).collect()
    };
    let seen = offsets(&[("a", 0), ("b", -40), ("c", 90), ("d", 101), ("e", 502)]);
    let judge = |name| judge_clock(&node(name), &seen);
    assert_eq!(judge("a"), ClockVerdict::Good, "90 off the median");
    assert_eq!(judge("b"), ClockVerdict::Alarm);
    assert_eq!(judge("e"), ClockVerdict::Alarm);
    assert_eq!(judge("x"), ClockVerdict::Good, "nothing is known of it");
    let wrong_leader = offsets(&[("a", 0), ("b", 900), ("c", 905)]);
    assert_eq!(judge_clock(&node("a"), &wrong_leader), ClockVerdict::Refuse);
    assert_eq!(judge_clock(&node("b"), &wrong_leader), ClockVerdict::Good);
    let far = offsets(&[("a", i64::MIN), ("b", i64::MAX), ("c", 0)]);
    assert_eq!(judge_clock(&node("a"), &far), ClockVerdict::Refuse);
}

#[test]
fn load_is_told_in_tenths_that_do_not_swing() {
    assert_eq!(coarse(0, 100, 0), 0);
    assert_eq!(coarse(57, 100, 0), 6);
    assert_eq!(coarse(57, 100, 5), 5, "near the last step");
    assert_eq!(coarse(58, 100, 5), 6);
    assert_eq!(coarse(400, 100, 3), 10);
    assert_eq!(coarse(1, 0, 0), 10, "no divide by zero");
    assert_eq!(coarse(u64::MAX, u64::MAX, 200), 10);
}
