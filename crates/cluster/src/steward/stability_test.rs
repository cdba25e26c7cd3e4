//! What becomes of a node that comes back: how long it waits, what counts as a return, and how long others wait for it.

use isogrid_core::PartitionEntry;

use super::stability::Stability;
use super::world::World;
use super::{Steward, StewardSettings};
use crate::council::{Command, Council, Intent, LossPolicy};
use crate::id::Millis;
use crate::testing::{council, down, node, proof, register};

fn world(nodes: &str) -> World {
    World::new(16, 2, LossPolicy::Block, nodes)
}

fn holds(world: &World, name: &str) -> usize {
    let is_held = |entry: &PartitionEntry| entry.holders().any(|holder| holder.node == node(name));
    world.council.table().iter().filter(|(_, entry)| is_held(entry)).count()
}

/// Lets a node come back again and again, each time until it is ready, until its next return makes it wait for 21 s.
fn flap(world: &mut World, name: &str) {
    for life in 2..6 {
        world.kill(name);
        world.run(3_000);
        world.join(&format!("{name}{life}"));
        world.run(15_000);
    }
}

#[test]
fn a_node_that_flaps_waits_longer_each_time() {
    let mut world = world("a1 b1 c1");
    // Longer than it waits.
    world.steward = Steward::with_settings(world.now, StewardSettings::default());
    world.run(500);
    let mut waits = Vec::new();
    for life in 2..6 {
        world.kill("c");
        world.run(3_000);
        world.join(&format!("c{life}"));
        let back = world.now;
        let before = world.moves;
        while world.moves == before {
            world.run(100);
            assert!(world.now.since(back) < 60_000);
        }
        waits.push(world.now.since(back));
        world.settle(60_000);
    }
    assert!(waits[0] >= 6_000 && waits[0] < 6_500, "{waits:?}");
    assert!(waits.windows(2).all(|pair| pair[0] < pair[1]), "{waits:?}");
    assert!(waits[3] >= 13_000 && waits[3] < 13_500, "{waits:?}");
}

#[test]
fn a_node_that_waits_for_long_loses_its_place_until_it_is_ready() {
    let mut world = world("a1 b1 c1 d1");
    world.run(500);
    flap(&mut world, "d");
    world.settle(60_000);
    let held = holds(&world, "d");
    world.kill("d");
    world.run(3_000);
    world.join("d6");
    let before = world.moves;
    world.run(9_500);
    assert_eq!((world.moves, world.is_whole()), (before, false), "its place is kept for a while");
    world.run(8_000);
    assert!(world.is_whole(), "others have taken its copies");
    assert_eq!(holds(&world, "d"), 0);
    world.run(4_000);
    world.settle(60_000);
    assert_eq!(holds(&world, "d"), held, "it is ready, and has its place again");
}

#[test]
fn a_node_that_comes_and_goes_is_not_waited_for() {
    let mut world = world("a1 b1 c1 d1");
    world.run(500);
    let mut whole_after = None;
    for life in 2..7 {
        world.kill("d");
        for _ in 0..30 {
            world.run(100);
            let is_gone = holds(&world, "d") == 0;
            whole_after = whole_after.or((is_gone && world.is_whole()).then_some(world.now));
        }
        world.join(&format!("d{life}"));
        world.run(3_000);
    }
    // It was never down for as long as a dead node is waited for, and began to come back after three seconds.
    let whole_after = whole_after.expect("others have taken its copies").since(Millis(1_500));
    assert!((13_000..20_000).contains(&whole_after), "{whole_after}");
}

#[test]
fn a_node_in_place_of_which_there_is_nobody_keeps_its_place() {
    let mut world = world("a1 b1");
    world.run(500);
    for _ in 0..5 {
        world.fence_wrongly("b1");
        world.run(6_000);
    }
    world.fewest = usize::MAX;
    world.run(15_000);
    assert_eq!((world.fewest, world.moves), (2, 0), "two copies, on the only two nodes");
}

#[test]
fn copies_move_away_from_a_node_that_flaps_and_back_when_it_is_ready() {
    let mut world = world("a1 b1 c1");
    world.run(500);
    for _ in 0..5 {
        world.fence_wrongly("c1");
        world.run(6_000);
    }
    world.fewest = usize::MAX;
    world.run(10_000);
    assert_eq!((world.fewest, holds(&world, "c")), (2, 0));
    world.run(20_000);
    assert!(world.fewest == 2 && holds(&world, "c") > 5);
}

/// A steward's watch over node b, looked at whenever something happens to it.
struct Watched {
    now: Millis,
    council: Council,
    stability: Stability,
}

impl Watched {
    fn new() -> Self {
        let mut watched = Watched {
            now: Millis(0),
            council: council("a1 b1", ""),
            stability: Stability::default(),
        };
        watched.after(0);
        watched
    }

    fn after(&mut self, ms: u64) {
        self.now = self.now.plus(ms);
        self.stability.look(self.now, &self.council, &StewardSettings::default());
    }

    fn fence(&mut self, text: &str) {
        down(&mut self.council, text);
        self.after(100);
    }

    fn register(&mut self, text: &str) {
        register(&mut self.council, text, proof(text)).unwrap();
        self.after(0);
    }

    /// For how long it will have to be up from now on.
    fn wait_ms(&self) -> Option<u64> {
        let settings = StewardSettings::default();
        let ready = |ms: &u64| self.stability.is_ready(self.now.plus(*ms), &node("b"), &settings);
        (0..=70_000).step_by(500).find(ready)
    }
}

#[test]
fn one_return_counts_once() {
    let mut watched = Watched::new();
    assert_eq!(watched.wait_ms(), Some(0));
    watched.fence("b1");
    assert_eq!(watched.wait_ms(), None, "it is down");
    watched.register("b2");
    assert_eq!(watched.wait_ms(), Some(6_000));
    // The others have not heard of its new life yet.
    watched.after(500);
    watched.fence("b2");
    watched.register("b2");
    assert_eq!(watched.wait_ms(), Some(6_000), "from now on, and not longer");
    watched.after(1_000);
    watched.register("b3");
    assert_eq!(watched.wait_ms(), Some(6_000), "it restarted once more");
    watched.after(5_000);
    watched.fence("b3");
    watched.register("b3");
    assert_eq!(watched.wait_ms(), Some(7_000), "that is another one");
    for _ in 0..10 {
        watched.after(2_000);
        watched.fence("b3");
        watched.register("b3");
    }
    assert!(watched.wait_ms() > Some(9_000), "whoever comes back all the time waits longer still");
}

#[test]
fn a_planned_return_that_is_taken_for_a_death_is_no_return() {
    let mut watched = Watched::new();
    watched.council.apply(&Command::SetIntent { node: node("b"), intent: Intent::Restart });
    watched.after(1_000);
    watched.fence("b1");
    watched.register("b2");
    assert_eq!(watched.wait_ms(), Some(0));
    watched.fence("b2");
    watched.register("b2");
    assert_eq!(watched.wait_ms(), Some(0));
}
