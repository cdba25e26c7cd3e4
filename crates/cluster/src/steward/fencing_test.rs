//! Whom the steward declares down, and whom not.

use std::collections::BTreeMap;

use isogrid_core::{MemberState, NodeId};

use super::world::World;
use crate::council::{Command, LossPolicy};
use crate::id::Millis;
use crate::testing::node;

fn fenced(world: &World) -> Vec<&str> {
    let commands = world.commands.iter();
    let down = commands.filter_map(|command| match command {
        Command::NodeDown { node, .. } => Some(node.as_str()),
        _ => None,
    });
    down.collect()
}

/// One step in which these consider `dead` dead since always, and these have just heard of it.
fn judge(world: &mut World, dead: &str, against: &str, in_favour: &str) -> bool {
    world.now = world.now.plus(100);
    let now = world.now;
    let words = |names: &str, at: Millis| -> BTreeMap<NodeId, Millis> {
        names.split_whitespace().map(|name| (node(name), at)).collect()
    };
    world.evidence.suspicions = BTreeMap::from([(node(dead), words(against, Millis(1)))]);
    world.evidence.contacts = BTreeMap::from([(node(dead), words(in_favour, now))]);
    let orders = world.steward.step(now, &world.council, &world.evidence);
    let down = |command: &Command| matches!(command, Command::NodeDown { node: n, .. } if *n == node(dead));
    orders.commands.iter().any(down)
}

fn world(nodes: &str) -> World {
    World::new(16, 2, LossPolicy::Block, nodes)
}

#[test]
fn it_takes_two_others_or_all_where_there_are_fewer() {
    let mut five = world("a1 b1 c1 d1 e1");
    assert!(!judge(&mut five, "e", "", ""));
    assert!(!judge(&mut five, "e", "a", ""));
    assert!(!judge(&mut five, "e", "a e", ""), "its own word does not count");
    assert!(!judge(&mut five, "e", "a x", ""), "nor that of a stranger");
    assert!(judge(&mut five, "e", "a b", ""));
    let mut three = world("a1 b1 c1");
    assert!(!judge(&mut three, "c", "a", ""));
    assert!(judge(&mut three, "c", "a b", ""));
    let mut two = world("a1 b1");
    assert!(judge(&mut two, "b", "a", ""));
    let mut one = world("a1");
    assert!(!judge(&mut one, "a", "a", ""));
}

#[test]
fn those_who_hear_from_it_speak_against_it() {
    let mut five = world("a1 b1 c1 d1 e1");
    assert!(!judge(&mut five, "e", "a b", "c d"), "two against two");
    assert!(judge(&mut five, "e", "a b c", "d"));
}

#[test]
fn a_fresh_suspicion_is_waited_out() {
    let mut three = world("a1 b1 c1");
    let now = three.now.plus(100);
    let fresh = BTreeMap::from([(node("a"), now), (node("b"), now)]);
    three.evidence.suspicions = BTreeMap::from([(node("c"), fresh)]);
    let orders = three.steward.step(now, &three.council, &three.evidence);
    assert!(!orders.commands.iter().any(|command| matches!(command, Command::NodeDown { .. })));
}

#[test]
fn a_dead_node_is_down_within_a_second() {
    let mut world = world("a1 b1 c1");
    world.run(500);
    world.kill("b");
    world.run(1_000);
    assert_eq!(world.council.node(&node("b")).unwrap().member.state, MemberState::Down);
    assert_eq!(fenced(&world), ["b"]);
    world.run(5_000);
    assert_eq!(fenced(&world), ["b"], "once");
}

#[test]
fn never_more_than_about_a_third_in_ten_seconds() {
    let mut world = world("a1 b1 c1 d1 e1 f1 g1");
    world.run(500);
    for name in ["d", "e", "f", "g"] {
        world.kill(name);
    }
    world.run(2_000);
    assert_eq!(fenced(&world), ["d", "e", "f"], "a third of seven, rounded up");
    world.run(8_000);
    assert_eq!(fenced(&world).len(), 3);
    world.run(2_500);
    assert_eq!(fenced(&world).len(), 4, "one of four");
}

#[test]
fn the_limit_is_always_a_minority() {
    let limits = [1, 2, 3, 4, 5, 6, 7, 9, 10, 30].map(super::fencing::fenced_max);
    assert_eq!(limits, [1, 1, 1, 1, 2, 2, 3, 3, 4, 10]);
}

#[test]
fn the_smaller_side_of_five_is_down_within_a_second() {
    let mut world = world("a1 b1 c1 d1 e1");
    world.run(500);
    world.kill("d");
    world.kill("e");
    world.run(1_000);
    assert_eq!(fenced(&world), ["d", "e"]);
}

#[test]
fn an_operator_lifts_the_limit() {
    let mut world = world("a1 b1 c1 d1 e1 f1 g1");
    world.run(500);
    world.evidence.fence_without_limit = true;
    for name in ["d", "e", "f", "g"] {
        world.kill(name);
    }
    world.run(1_500);
    assert_eq!(fenced(&world).len(), 4);
}
