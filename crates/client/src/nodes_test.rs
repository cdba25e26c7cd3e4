//! From the table and the members to lanes.

use isogrid_proto::pb;

use super::*;
use crate::clock::Clock;
use crate::lane::LaneShared;
use crate::retry::{Budget, Retry};
use crate::topology::tests::{delta, entry, member};

/// Three nodes in two zones; a owns partitions 0 and 1, b owns 2, c owns 3.
fn cluster() -> pb::TopologyUpdate {
    let entries = [
        (0, entry(1, &["a", "b", "c"])),
        (1, entry(1, &["a", "c"])),
        (2, entry(1, &["b", "a"])),
        (3, entry(1, &["c", "b"])),
    ];
    pb::TopologyUpdate {
        cluster_id: "k".into(),
        members_version: 1,
        members: vec![
            member("a", "east", "active"),
            member("b", "west", "active"),
            member("c", "west", "active"),
        ],
        table: delta(0, 1, &entries).into(),
        ..pb::TopologyUpdate::default()
    }
}

struct Bench {
    nodes: Nodes,
    routes: Routes,
}

impl Bench {
    /// Two lanes per node, opened in the order of the names.
    fn new() -> Bench {
        let budget = Arc::new(Budget::new(&Retry::default()));
        let shared = LaneShared::new(Arc::new(Clock::default()), budget, false);
        let mut bench = Bench { nodes: Nodes::default(), routes: Routes::new(Arc::new(shared)) };
        bench.nodes.topology.update(&cluster());
        assert!(bench.nodes.reconcile().opened.is_empty(), "the first node comes first");
        bench.nodes.has_begun = true;
        for group in bench.nodes.reconcile().opened {
            for core in 0..2 {
                let lane = bench.routes.take_lane().expect("there is room");
                group.add(lane);
                group.reached(lane, (core, 2), "x:1");
                bench.routes.lane(lane).connected("n".into(), &isogrid_core::Limits::default());
            }
        }
        bench
    }

    fn ways(&self, zone: &str) -> (Vec<usize>, Vec<usize>) {
        self.nodes.set_ways(&self.routes, zone, 0);
        let partitions = || (0..4).map(PartitionId);
        (
            partitions().map(|p| self.routes.to_primary(p)).collect(),
            partitions().map(|p| self.routes.to_nearest(p)).collect(),
        )
    }
}

#[test]
fn partitions_go_to_the_home_core_of_their_primary() {
    let bench = Bench::new();
    let (primary, _) = bench.ways("");
    assert_eq!(primary, [0, 1, 2, 5], "lanes 0 and 1 lead to a, 2 and 3 to b, 4 and 5 to c");
}

#[test]
fn a_reader_goes_to_a_backup_in_its_own_zone_first() {
    let bench = Bench::new();
    let node = |lane: &usize| ["a", "b", "c"][lane / 2];
    let (_, east) = bench.ways("east");
    assert_eq!(east.iter().map(node).collect::<Vec<_>>(), ["a", "a", "a", "b"]);
    let (_, west) = bench.ways("west");
    assert_eq!(west.iter().map(node).collect::<Vec<_>>()[1..], ["c", "b", "b"]);
    assert_ne!(node(&west[0]), "a", "one of the two in the zone");
}

#[test]
fn a_newer_table_moves_partitions_and_names_the_lanes_they_left() {
    let mut bench = Bench::new();
    bench.ways("");
    assert!(bench.nodes.topology.apply(&delta(1, 2, &[(0, entry(2, &["b", "c"]))])));
    assert_eq!(bench.nodes.set_ways(&bench.routes, "", 0), [0]);
    assert_eq!(bench.routes.to_primary(PartitionId(0)), 2);
}

#[test]
fn nodes_come_go_and_live_anew() {
    let mut bench = Bench::new();
    assert!(bench.nodes.reconcile().opened.is_empty(), "all are known");
    let mut update = cluster();
    update.members_version = 2;
    update.table = Default::default();
    update.members[1].state = "down".into();
    update.members[2].incarnation = 2;
    update.members[2].grpc_addr = "moved:7700".into();
    update.members.push(member("d", "", "joining"));
    bench.nodes.topology.update(&update);
    let steps = bench.nodes.reconcile();
    assert_eq!(steps.cut, [2, 3, 4, 5], "one is down, one was started anew");
    assert_eq!(steps.opened.len(), 1);
    let c = Arc::clone(&bench.nodes.groups[&NodeId::new("c")]);
    assert_eq!(bench.nodes.addresses_of(&c), ["moved:7700", "x:1"]);

    update.members_version = 3;
    update.members.truncate(1);
    bench.nodes.topology.update(&update);
    bench.nodes.reconcile();
    let names: Vec<&str> = bench.nodes.groups.keys().map(NodeId::as_str).collect();
    assert_eq!(names, ["a", "b", "c"], "b and c still hold copies as far as the table says");
}

#[test]
fn a_client_that_does_not_choose_sends_everything_through_one_group() {
    let mut bench = Bench::new();
    let any = Group::new(None);
    let lane = bench.routes.take_lane().expect("there is room");
    any.add(lane);
    any.reached(lane, (1, 4), "x:1");
    bench.nodes.set_any(&any);
    assert!(!bench.nodes.is_routed() && bench.nodes.reconcile().opened.is_empty());
    let partitions = PartitionCount::new(4).expect("a power of two");
    bench.routes.welcomed(partitions, &isogrid_core::Limits::default());
    let (primary, nearest) = bench.ways("west");
    assert_eq!((primary, nearest), (vec![lane; 4], vec![lane; 4]));
}
