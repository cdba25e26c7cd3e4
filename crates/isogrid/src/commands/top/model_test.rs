//! What `top` shows after which looks and keys; and a cluster to show, for the frames.

use isogrid_client::{HistoryPoint, HotKey, HotMap, LagStatus, NodeHistory};

use super::*;

pub(crate) fn member(name: &str, operations: u64, memory: u64) -> MemberStatus {
    let mut member = MemberStatus::default();
    (member.node_id, member.state) = (name.into(), "active".into());
    (member.is_live, member.has_answered) = (true, true);
    (member.operations_total, member.resident_bytes) = (operations, memory);
    (member.memory_limit_bytes, member.primaries, member.backups) = (4 << 30, 86, 85);
    (member.connections, member.entries) = (12, 250_000);
    (member.version, member.disk, member.zone) = ("0.1.0".into(), "ok".into(), "eu-1".into());
    member.p99 = Some(Duration::from_micros(1_840));
    (member.disk_log_bytes, member.uptime) = (300 << 20, Duration::from_secs(3_725));
    member
}

pub(crate) fn look(operations: [u64; 3]) -> Look {
    let mut status = ClusterStatus::default();
    (status.health, status.safe, status.cluster_name) = ("healthy".into(), true, "blue".into());
    (status.partitions_total, status.answered_by) = (256, "node-0".into());
    status.members =
        (0..3).map(|n| member(&format!("node-{n}"), operations[n], (n as u64 + 1) << 30)).collect();
    let mut lag = LagStatus::default();
    (lag.from, lag.to, lag.ops, lag.ms) = ("node-0".into(), "node-1".into(), 12, 4);
    status.lags.push(lag);
    let mut copy = MoveStatus::default();
    (copy.partition, copy.from, copy.to) = (17, "node-0".into(), "node-2".into());
    (copy.bytes_done, copy.bytes_total) = (30 << 20, 120 << 20);
    copy.eta = Some(Duration::from_secs(3));
    status.moves.push(copy);
    let mut map = HotMap::default();
    (map.map, map.samples) = ("orders".into(), 1_000);
    for (name, samples) in [("user:7", 250), ("user:\u{1b}[31m", 20)] {
        let mut key = HotKey::default();
        (key.key, key.key_bytes) = (name.as_bytes().to_vec().into(), name.len() as u32);
        (key.samples, key.node_id) = (samples, "node-2".into());
        map.keys.push(key);
    }
    let mut hot = HotKeys::default();
    hot.maps.push(map);
    Look { status, hot }
}

/// Two looks, a second apart.
pub(crate) fn model() -> Model {
    let begun = Instant::now();
    let mut model = Model::default();
    model.take(look([0, 0, 0]), begun);
    model.take(look([12_000, 34_000, 500]), begun + Duration::from_secs(1));
    model
}

fn names(model: &Model) -> Vec<String> {
    model.members().into_iter().map(|row| row.node).collect()
}

#[test]
fn rates_need_two_looks_and_add_up() {
    let mut model = model();
    assert_eq!(model.totals().ops_per_second, Some(46_500.0));
    assert_eq!(*model.history(), [46_500]);
    let later = Instant::now() + Duration::from_secs(5);
    let mut again = look([1, 35_000, 600]);
    again.status.members[2].has_answered = false;
    model.take(again, later);
    let rows = model.members();
    let ops =
        |name: &str| rows.iter().find(|row| row.node == name).expect("it is shown").ops_per_second;
    assert_eq!(ops("node-0"), None, "it was started anew");
    assert!(ops("node-1").is_some());
    assert_eq!(ops("node-2"), None, "it does not answer");
    assert!(rows.iter().any(|row| row.node == "node-2" && row.is_bad));
}

#[test]
fn the_line_begins_with_what_the_nodes_did_together_before() {
    let node = |points: &[(u64, f32)]| {
        let mut node = NodeHistory::default();
        for (at_s, operations) in points {
            let mut point = HistoryPoint::default();
            (point.at_s, point.figures) = (*at_s, vec![9.0, *operations]);
            node.points.push(point);
        }
        node
    };
    let mut history = History::default();
    history.names = vec!["errors_per_second".into(), "operations_per_second".into()];
    // A minute of which nobody knows anything, and one that one of them was not there.
    history.nodes = vec![
        node(&[(600, 100.0), (610, 300.0), (720, 50.0), (780, 7.0)]),
        node(&[(605, 1_000.0), (730, 50.0)]),
    ];
    let mut model = Model::default();
    model.begin_with(&history);
    assert_eq!(*model.history(), [1_200, 0, 100, 7]);
    let begun = Instant::now();
    model.take(look([0, 0, 0]), begun);
    model.take(look([10, 0, 0]), begun + Duration::from_secs(1));
    assert_eq!(*model.history(), [1_200, 0, 100, 7, 10], "and goes on with what it sees");
    history.nodes = vec![node(&[(0, 1.0), (86_400, 2.0)])];
    model.begin_with(&history);
    assert_eq!((model.history().len(), model.history().back()), (HISTORY_MAX, Some(&2)));
}

#[test]
fn members_are_sorted_as_one_likes() {
    let mut model = model();
    assert_eq!(names(&model), ["node-1", "node-0", "node-2"], "by operations");
    model.turn(Turn::Right);
    assert_eq!(names(&model), ["node-2", "node-1", "node-0"], "by memory");
    model.turn(Turn::Reverse);
    assert_eq!(names(&model), ["node-0", "node-1", "node-2"]);
    model.turn(Turn::Left);
    model.turn(Turn::Left);
    assert_eq!((model.sort, names(&model)[0].as_str()), (Column::Node, "node-2"));
    model.turn(Turn::Left);
    assert_eq!(model.sort, Column::Slow, "round and round");
}

#[test]
fn the_chosen_one_stays_within_the_list() {
    let mut model = model();
    (0..9).for_each(|_| model.turn(Turn::Down));
    assert_eq!(model.chosen(), 2);
    let mut fewer = look([0, 0, 0]);
    fewer.status.members.truncate(1);
    model.take(fewer, Instant::now() + Duration::from_secs(9));
    assert_eq!(model.chosen(), 0);
    model.turn(Turn::Up);
    assert_eq!(model.chosen(), 0);
}

#[test]
fn hot_keys_come_by_how_often_they_are_asked_for() {
    let rows = model().hot();
    assert_eq!((rows[0].key.as_str(), rows[0].ratio), ("user:7", 0.25));
    assert_eq!(rows[1].key, "user:\\x1b[31m", "safe for a terminal");
}

#[test]
fn a_failure_leaves_what_was_seen() {
    let mut model = model();
    model.fail("nobody answers".into());
    assert_eq!((model.members().len(), model.trouble.is_some()), (3, true));
    model.take(look([1, 1, 1]), Instant::now() + Duration::from_secs(9));
    assert!(model.trouble.is_none());
}
