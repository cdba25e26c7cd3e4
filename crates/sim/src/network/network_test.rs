//! Tests of the network: what arrives, when, and what disturbances do to it.

use super::*;
use crate::random::Rate;

const A: NodeIndex = NodeIndex(0);
const B: NodeIndex = NodeIndex(1);
const C: NodeIndex = NodeIndex(2);

fn envelope(from: NodeIndex, to: NodeIndex, payload: u64, at: SimTime) -> Envelope<u64> {
    Envelope { from, to, sent_at: at, bytes: 100, payload }
}

fn network(settings: LinkSettings) -> Network<u64> {
    Network::new(settings, Random::new(1).fork("network"))
}

/// Sends this many messages, one each microsecond, and returns what is to arrive, by time.
fn send_many(network: &mut Network<u64>, count: u64) -> Vec<(SimTime, u64)> {
    let mut arrivals = Vec::new();
    for payload in 0..count {
        let message = envelope(A, B, payload, SimTime(payload * 1_000));
        network.send(message, &mut |at, envelope| arrivals.push((at, envelope.payload)));
    }
    arrivals.sort();
    arrivals
}

fn reaches(network: &mut Network<u64>, from: NodeIndex, to: NodeIndex) -> bool {
    let mut count = 0;
    network.send(envelope(from, to, 0, SimTime::ZERO), &mut |_, _| count += 1);
    count > 0
}

#[test]
fn a_quiet_link_delivers_everything_once_and_in_order() {
    let mut network = network(LinkSettings::default());
    let arrivals = send_many(&mut network, 1_000);
    let order: Vec<u64> = arrivals.iter().map(|(_, payload)| *payload).collect();
    assert_eq!(order, (0..1_000).collect::<Vec<_>>());
    assert!(arrivals[0].0 >= SimTime::ZERO + LinkSettings::default().latency_least);
    assert_eq!((network.counts().sent, network.counts().bytes), (1_000, 100_000));
}

#[test]
fn the_same_seed_gives_the_same_arrivals_whatever_other_links_do() {
    let settings = LinkSettings { loss: Rate::percent(10), ..LinkSettings::default() };
    let alone = send_many(&mut network(settings), 500);
    let mut busy = network(settings);
    for payload in 0..50 {
        busy.send(envelope(C, B, payload, SimTime::ZERO), &mut |_, _| ());
    }
    assert_eq!(send_many(&mut busy, 500), alone);
}

#[test]
fn loss_duplicates_and_reordering_happen_at_their_rates() {
    let mut network = network(LinkSettings {
        loss: Rate::percent(10),
        duplicate: Rate::percent(10),
        reorder: Rate::percent(10),
        ..LinkSettings::default()
    });
    let arrivals = send_many(&mut network, 10_000);
    let counts = network.counts();
    assert!((900..1_100).contains(&counts.lost), "{counts:?}");
    assert!((800..1_000).contains(&counts.duplicated), "{counts:?}");
    assert!((800..1_000).contains(&counts.reordered), "{counts:?}");
    assert_eq!(arrivals.len() as u64, 10_000 - counts.lost + counts.duplicated);
    assert!(arrivals.windows(2).any(|pair| pair[0].1 > pair[1].1), "some were overtaken");
}

#[test]
fn a_small_link_takes_its_time_for_a_large_message() {
    let mut network = network(LinkSettings { bytes_per_second: 1_000, ..LinkSettings::default() });
    let mut arrivals = Vec::new();
    for payload in 0..2 {
        let large = Envelope { bytes: 500, ..envelope(A, B, payload, SimTime::ZERO) };
        network.send(large, &mut |at, _| arrivals.push(at));
    }
    assert!(arrivals[0] >= SimTime::from_millis(500) && arrivals[0] < SimTime::from_millis(510));
    assert!(arrivals[1] >= SimTime::from_secs(1), "the second waits for the first");
}

#[test]
fn a_cut_one_way_leaves_the_way_back() {
    let mut network = network(LinkSettings::default());
    let id = network.disturb(Disturbance::cut(Links::OneWay(A, B)));
    assert!(!reaches(&mut network, A, B));
    assert!(reaches(&mut network, B, A));
    assert!(!network.is_connected(A, B));
    network.calm(id, SimTime::ZERO, &mut |_, _| panic!("a cut holds nothing back"));
    assert!(reaches(&mut network, A, B));
    assert_eq!(network.counts().cut, 1);
}

#[test]
fn cuts_that_overlap_end_each_for_itself() {
    let mut network = network(LinkSettings::default());
    let one = network.disturb(Disturbance::cut(Links::Of(A)));
    let other = network.disturb(Disturbance::cut(Links::Both(A, B)));
    network.calm(one, SimTime::ZERO, &mut |_, _| ());
    network.calm(one, SimTime::ZERO, &mut |_, _| ());
    assert!(!network.is_connected(B, A));
    assert!(network.is_connected(A, C));
    network.calm(other, SimTime::ZERO, &mut |_, _| ());
    assert!(network.is_connected(B, A));
}

#[test]
fn what_is_on_its_way_is_lost_when_the_link_is_cut() {
    let mut network = network(LinkSettings::default());
    let mut on_its_way = None;
    network.send(envelope(A, B, 1, SimTime::ZERO), &mut |_, envelope| on_its_way = Some(envelope));
    let on_its_way = on_its_way.unwrap();
    let id = network.disturb(Disturbance::cut(Links::All));
    assert!(!network.arrives(&on_its_way));
    network.calm(id, SimTime::ZERO, &mut |_, _| ());
    assert!(network.arrives(&on_its_way));
    assert_eq!((network.counts().cut, network.counts().delivered), (1, 1));
}

#[test]
fn a_clogged_link_holds_everything_and_lets_it_go_in_one_burst() {
    let mut network = network(LinkSettings::default());
    let id = network.disturb(Disturbance::new(LinkEffect::Clog, Links::From(A)));
    assert_eq!(send_many(&mut network, 3), []);
    let mut burst = Vec::new();
    let now = SimTime::from_secs(2);
    network.calm(id, now, &mut |at, envelope| burst.push((at, envelope.payload)));
    let at = now + LinkSettings::default().latency_least;
    assert_eq!(burst, [(at, 0), (at, 1), (at, 2)]);
    assert_eq!(network.counts().held, 3);

    network.disturb(Disturbance::new(LinkEffect::Clog, Links::All));
    send_many(&mut network, 3);
    network.forget(B);
    network.calm_all(now, &mut |_, _| panic!("what was held for a dead process is gone"));
}

#[test]
fn delay_and_bandwidth_are_disturbances_too() {
    let mut network = network(LinkSettings::default());
    network.disturb(Disturbance::new(LinkEffect::Delay(Duration::from_millis(20)), Links::To(B)));
    network.disturb(Disturbance::new(LinkEffect::Bandwidth(1_000), Links::All));
    let arrival = send_many(&mut network, 1)[0].0;
    assert!(arrival > SimTime::from_millis(120) && arrival < SimTime::from_millis(130));
}

#[test]
fn a_link_can_have_settings_of_its_own() {
    let mut network = network(LinkSettings::default());
    let slow = Duration::from_millis(80);
    let far = LinkSettings { latency_least: slow, latency_most: slow, ..Default::default() };
    network.set_link(A, B, far);
    assert!(send_many(&mut network, 1)[0].0 >= SimTime::from_millis(80));
}

#[test]
fn groups_and_rings_cut_what_they_should() {
    let nodes: Vec<NodeIndex> = (0..5).map(NodeIndex).collect();
    let seen_by = |links: &Links, from: NodeIndex| -> Vec<u16> {
        let others = nodes.iter().filter(|to| **to != from && !links.contain(from, **to));
        others.map(|node| node.0).collect()
    };
    let halves: Links = "n0,n1|n2,n3".parse().unwrap();
    assert_eq!(seen_by(&halves, NodeIndex(0)), [1, 4]);
    assert_eq!(seen_by(&halves, NodeIndex(4)), [0, 1, 2, 3], "in no group");
    let ring: Links = "ring:n0,n1,n2,n3,n4".parse().unwrap();
    assert_eq!(seen_by(&ring, NodeIndex(0)), [1, 4]);
    assert_eq!(seen_by(&ring, NodeIndex(2)), [1, 3]);
    let alone: Links = "n3".parse().unwrap();
    assert_eq!(seen_by(&alone, NodeIndex(3)), [0u16; 0]);
}

#[test]
fn links_are_read_as_they_are_written() {
    for text in
        ["all", "n0->n2", "n0<->n2", "n1->all", "all->n1", "n1", "n0,n1|n2|n3", "ring:n0,n1,n2"]
    {
        assert_eq!(text.parse::<Links>().map(|links| links.to_string()), Ok(text.to_owned()));
    }
    for wrong in ["", "x", "n", "n0->", "n0,n1", "n0|", "ring:", "all->all", "n99999", "n+1"] {
        assert!(wrong.parse::<Links>().is_err(), "{wrong}");
    }
}
