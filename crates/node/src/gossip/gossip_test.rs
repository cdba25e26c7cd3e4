//! Gossip over real sockets on loopback. Every wait is for something, and has an end.

use std::time::Instant;

use isogrid_cluster::ClusterId;
use isogrid_cluster::bootstrap::{Bootstrap, Waiting, decide};
use isogrid_core::{Incarnation, Member, TableVersion};
use tokio::time::timeout;

use super::*;

/// Far more than anything here takes, also on a busy machine.
const PATIENCE: Duration = Duration::from_secs(20);

const LOOPBACK: SocketAddr =
    SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 0);

fn settings(name: &str, seeds: &[&Gossip]) -> GossipSettings {
    let mut settings = GossipSettings::new(NodeId::new(name), 1, "blue", LOOPBACK);
    settings.seeds = seeds.iter().map(|gossip| gossip.address().to_string()).collect();
    settings
}

fn news(name: &str) -> OwnNews {
    let mut member = Member::new(name);
    member.grpc_addr = format!("{name}.example:7700");
    OwnNews::new(member)
}

async fn start(settings: GossipSettings) -> Gossip {
    let news = news(settings.node.as_str());
    Gossip::start(settings, news).await.expect("the address is free")
}

fn key(secret: &str) -> Option<GossipKey> {
    Some(GossipKey::derive(secret.as_bytes()).expect("long enough"))
}

fn see(gossip: &Gossip, name: &str) -> Option<Seen> {
    gossip.shared.members.borrow().get(&NodeId::new(name)).cloned()
}

fn sees_live(gossip: &Gossip, name: &str) -> bool {
    see(gossip, name).is_some_and(|seen| seen.is_live)
}

fn live(gossip: &Gossip) -> usize {
    gossip.shared.members.borrow().values().filter(|seen| seen.is_live).count()
}

/// Waits until something holds; returns how long that took.
async fn until(what: &str, holds: impl Fn() -> bool) -> Duration {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < PATIENCE, "in vain: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    start.elapsed()
}

async fn all_see_all(nodes: &[Gossip]) -> Duration {
    until("all see all", || nodes.iter().all(|node| live(node) == nodes.len() - 1)).await
}

async fn cluster_of(size: usize) -> Vec<Gossip> {
    let mut nodes: Vec<Gossip> = Vec::new();
    for index in 0..size {
        let seeds: Vec<&Gossip> = nodes.iter().take(2).collect();
        nodes.push(start(settings(&format!("node-{index:02}"), &seeds)).await);
    }
    nodes
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_nodes_see_each_other_and_what_they_say() {
    let nodes = cluster_of(3).await;
    let took = all_see_all(&nodes).await;
    assert!(took < Duration::from_secs(2), "{took:?}");
    let seen = see(&nodes[0], "node-02").expect("seen");
    assert_eq!(seen.address, nodes[2].address());
    assert_eq!(seen.news.member.grpc_addr, "node-02.example:7700");
    assert!(see(&nodes[0], "node-00").is_none(), "a node does not see itself");

    let mut changed = news("node-02");
    changed.table = TableVersion(9);
    changed.names = Some(NodeId::new("node-00"));
    (changed.is_empty, changed.expect) = (true, 3);
    nodes[2].publish(changed);
    let has_it =
        |node: &Gossip| see(node, "node-02").is_some_and(|seen| seen.news.table == TableVersion(9));
    until("news reach all", || nodes[..2].iter().all(has_it)).await;

    let own = see(&nodes[1], "node-00").expect("seen").candidate();
    let others = [see(&nodes[0], "node-02").expect("seen").candidate()];
    let wait = Bootstrap::Wait { names: None, why: Waiting::ForItsCluster };
    assert_eq!(decide(&own, &others), wait, "what was not said forms no cluster");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn heartbeats_advance_and_wake_nobody() {
    // Patient, so that a busy machine does not make them lose sight of each other.
    let patient = |name, seeds: &[&Gossip]| GossipSettings { phi: 200.0, ..settings(name, seeds) };
    let first = start(patient("node-00", &[])).await;
    let second = start(patient("node-01", &[&first])).await;
    let nodes = [first, second];
    all_see_all(&nodes).await;
    let mut members = nodes[0].members();
    let first = members.borrow_and_update()[&NodeId::new("node-01")].heard;
    until("its heart beats", || see(&nodes[0], "node-01").expect("seen").heard > first).await;
    until("its clock is known", || {
        see(&nodes[0], "node-01").expect("seen").clock_offset_ms.is_some_and(|ms| ms.abs() < 5_000)
    })
    .await;
    assert!(!members.has_changed().expect("it runs"), "nothing is new");
    let offsets = nodes[0].clock_offsets();
    assert_eq!((offsets.len(), offsets[&NodeId::new("node-00")]), (2, 0));

    let mut changed = news("node-01");
    changed.cluster = Some(ClusterId(7));
    nodes[1].publish(changed);
    timeout(PATIENCE, members.changed()).await.expect("in time").expect("it runs");
    let seen = members.borrow()[&NodeId::new("node-01")].clone();
    assert_eq!(seen.state().cluster, Some(ClusterId(7)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crash_is_noticed_and_a_goodbye_at_once() {
    let mut nodes = cluster_of(4).await;
    all_see_all(&nodes).await;
    drop(nodes.pop());
    let is_dead = |name: &'static str| move |node: &Gossip| !sees_live(node, name);
    until("the crash is noticed", || nodes.iter().all(is_dead("node-03"))).await;
    assert!(!see(&nodes[0], "node-03").expect("remembered").is_leaving);

    let leaver = nodes.pop().expect("three are left");
    let goodbye = tokio::spawn(async move { leaver.stop().await });
    let has_left = |node: &Gossip| see(node, "node-02").is_some_and(|seen| seen.is_leaving);
    until("the goodbye is heard", || nodes.iter().all(has_left)).await;
    assert!(!sees_live(&nodes[0], "node-02"));
    timeout(PATIENCE, goodbye).await.expect("it ends").expect("it does not panic");
    assert!(sees_live(&nodes[0], "node-01"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_comes_back_at_another_address() {
    let mut nodes = cluster_of(3).await;
    all_see_all(&nodes).await;
    let before = nodes.pop().expect("three").address();
    let mut again = settings("node-02", &[&nodes[0]]);
    again.generation = 2;
    let mut news = news("node-02");
    news.member.incarnation = Incarnation(2);
    let again = Gossip::start(again, news).await.expect("the address is free");
    assert_ne!(again.address(), before);
    let has_moved = |node: &Gossip| {
        see(node, "node-02").is_some_and(|seen| seen.is_live && seen.address == again.address())
    };
    until("the new life is seen", || nodes.iter().all(has_moved)).await;
    let seen = see(&nodes[1], "node-02").expect("seen");
    assert_eq!(seen.news.member.incarnation, Incarnation(2));
    assert_eq!(seen.news.member.gossip_addr, again.address().to_string());
    until("it sees the others", || live(&again) == 2).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn strangers_are_not_seen_and_break_nothing() {
    const SECRET: &str = "the secret of the blue cluster";
    let with_key = |name: &str, seeds: &[&Gossip], key: Option<GossipKey>| GossipSettings {
        key,
        ..settings(name, seeds)
    };
    let a = start(with_key("a", &[], key(SECRET))).await;
    let replay = Replay::new(&a).await;
    let b = start(with_key("b", &[&a], key(SECRET))).await;
    let wrong = start(with_key("wrong", &[&a, &b], key("the secret of another one"))).await;
    let keyless = start(with_key("keyless", &[&a, &b], None)).await;
    let mut red = with_key("red", &[&a, &b], key(SECRET));
    red.cluster = "red".into();
    let red = start(red).await;
    GarbageGun::new(&a).await.fire(500).await;
    replay.fire(500).await;

    until("the two see each other", || live(&a) == 1 && live(&b) == 1).await;
    until("all strangers have called", || {
        let figures = a.figures();
        figures.unsealed > 3 && figures.wrongly_sealed > 10 && figures.malformed > 100
    })
    .await;
    for stranger in [&wrong, &keyless, &red] {
        assert!(stranger.shared.members.borrow().is_empty());
    }
    let names =
        |gossip: &Gossip| gossip.shared.members.borrow().keys().cloned().collect::<Vec<_>>();
    assert_eq!((names(&a), names(&b)), (vec![NodeId::new("b")], vec![NodeId::new("a")]));
    assert_eq!((a.figures().restarts, b.figures().restarts), (0, 0));
    let mut changed = news("b");
    changed.table = TableVersion(4);
    b.publish(changed);
    let has_it = || see(&a, "b").is_some_and(|seen| seen.news.table == TableVersion(4));
    until("the two still talk", has_it).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn plain_clusters_of_other_names_and_garbage_break_nothing() {
    let nodes = cluster_of(2).await;
    let mut red = settings("red", &[&nodes[0], &nodes[1]]);
    red.cluster = "red".into();
    let red = start(red).await;
    GarbageGun::new(&nodes[0]).await.fire(500).await;
    all_see_all(&nodes).await;
    until("the other cluster has called", || nodes[0].figures().foreign > 3).await;
    assert!(red.shared.members.borrow().is_empty());
    assert!(sees_live(&nodes[0], "node-01"));
    assert_eq!(nodes[0].figures().restarts, 0);
}

/// Sends random bytes, half of them in an envelope that is opened.
struct GarbageGun {
    socket: UdpSocket,
    to: SocketAddr,
}

impl GarbageGun {
    async fn new(target: &Gossip) -> Self {
        GarbageGun { socket: UdpSocket::bind(LOOPBACK).await.expect("free"), to: target.address() }
    }

    async fn fire(&self, rounds: usize) {
        let envelope = Envelope::new("blue", None);
        let random = ring::rand::SystemRandom::new();
        let mut datagram = Vec::new();
        for round in 0..rounds {
            let mut bytes = vec![0; 1 + round % 300];
            ring::rand::SecureRandom::fill(&random, &mut bytes).expect("randomness");
            if round % 4 == 1 {
                // As if it were a message of chitchat, so that its insides are reached.
                let head = [0x53, 0xb0, 0, (round / 4 % 4) as u8];
                bytes.splice(0..bytes.len().min(4), head);
            }
            if round % 2 == 1 {
                envelope.wrap(&bytes, &mut datagram).expect("short");
                std::mem::swap(&mut bytes, &mut datagram);
            }
            self.socket.send_to(&bytes, self.to).await.expect("loopback");
        }
    }
}

/// Records what a node sends and sends it again, to it and with its own face.
struct Replay {
    socket: UdpSocket,
    recorded: Vec<Vec<u8>>,
    to: SocketAddr,
}

impl Replay {
    async fn new(target: &Gossip) -> Self {
        let socket = UdpSocket::bind(LOOPBACK).await.expect("free");
        // The node calls whomever it is told to, so there is something to record.
        target.also_try(vec![socket.local_addr().expect("bound")]);
        let mut recorded = Vec::new();
        while recorded.len() < 3 {
            let mut buffer = vec![0; 1 << 16];
            let received = timeout(PATIENCE, socket.recv_from(&mut buffer)).await;
            let (length, _) = received.expect("it calls").expect("loopback");
            buffer.truncate(length);
            recorded.push(buffer);
        }
        Replay { socket, recorded, to: target.address() }
    }

    async fn fire(&self, rounds: usize) {
        for datagram in self.recorded.iter().cycle().take(rounds) {
            self.socket.send_to(datagram, self.to).await.expect("loopback");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn gossip_that_dies_comes_back_as_the_same_node() {
    let nodes = cluster_of(3).await;
    all_see_all(&nodes).await;
    let mut changed = news("node-01");
    changed.table = TableVersion(1);
    nodes[1].publish(changed.clone());
    for round in 1..=2_u64 {
        let members = nodes[1].members();
        nodes[1].shared.chitchat.lock().as_ref().expect("it runs").abort();
        changed.table = TableVersion(round * 10);
        nodes[1].publish(changed.clone());
        until("it was started again", || nodes[1].figures().restarts == round).await;
        let has_it = |node: &Gossip| {
            let seen = see(node, "node-01");
            seen.is_some_and(|seen| seen.is_live && seen.news.table == TableVersion(round * 10))
        };
        until("the others hear it again", || has_it(&nodes[0]) && has_it(&nodes[2])).await;
        until("it hears the others", || live(&nodes[1]) == 2).await;
        assert_eq!(members.borrow().len(), 2, "nobody was forgotten meanwhile");
    }
    assert_eq!(see(&nodes[0], "node-01").expect("seen").address, nodes[1].address());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broken_socket_is_bound_again() {
    let nodes = cluster_of(2).await;
    all_see_all(&nodes).await;
    let address = nodes[0].address();
    // What the session does when it cannot receive any more.
    *nodes[0].shared.socket.lock() = None;
    nodes[0].shared.chitchat.lock().as_ref().expect("it runs").abort();
    until("it was started again", || nodes[0].shared.socket.lock().is_some()).await;
    let bound = nodes[0].shared.socket.lock().as_ref().map(|socket| socket.local_addr());
    assert_eq!(bound.expect("bound").expect("it has one"), address);
    let first = see(&nodes[1], "node-00").expect("seen").heard;
    until("it is heard", || see(&nodes[1], "node-00").expect("seen").heard > first).await;
    all_see_all(&nodes).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn seeds_may_be_names_may_be_dead_and_may_come_later() {
    // An address that nobody listens on, and a name that does not exist.
    let closed = UdpSocket::bind(LOOPBACK).await.expect("free").local_addr().expect("bound");
    let late = std::net::UdpSocket::bind(LOOPBACK).expect("free").local_addr().expect("bound");
    let mut first = settings("first", &[]);
    first.seeds = vec![
        closed.to_string(),
        "no-such-name.invalid:7700".into(),
        format!("localhost:{}", late.port()),
    ];
    let first = start(first).await;
    until("it calls", || first.figures().sent > 2).await;
    let mut second = settings("second", &[]);
    second.listen = late;
    second.advertise = late;
    let second = start(second).await;
    until("they meet", || live(&first) == 1 && live(&second) == 1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_whose_seeds_are_all_dead_finds_those_it_knew() {
    let nodes = cluster_of(2).await;
    let lonely = start(settings("lonely", &[])).await;
    lonely.also_try(vec![nodes[1].address()]);
    until("it is seen", || nodes.iter().all(|node| sees_live(node, "lonely"))).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn twenty_nodes_meet() {
    let nodes = cluster_of(20).await;
    all_see_all(&nodes).await;
    let mut changed = news("node-19");
    changed.table = TableVersion(5);
    nodes[19].publish(changed);
    let has_it =
        |node: &Gossip| see(node, "node-19").is_some_and(|seen| seen.news.table == TableVersion(5));
    until("news reach all", || nodes[..19].iter().all(has_it)).await;
}

#[tokio::test]
async fn what_cannot_work_is_refused_at_the_start() {
    let refused = async |settings: GossipSettings, news: OwnNews| {
        Gossip::start(settings, news).await.err().expect("it is refused").code()
    };
    let unreachable =
        GossipSettings { advertise: SocketAddr::from(([0, 0, 0, 0], 7700)), ..settings("a", &[]) };
    assert_eq!(refused(unreachable, news("a")).await, ErrorCode::ConfigValueInvalid);
    let nameless = settings("", &[]);
    assert_eq!(refused(nameless, news("a")).await, ErrorCode::ConfigValueInvalid);
    let endless = GossipSettings { generation: u64::MAX, ..settings("a", &[]) };
    assert_eq!(refused(endless, news("a")).await, ErrorCode::ConfigValueInvalid);
    let mut long = news("a");
    long.member.zone = Some("z".repeat(2_000));
    assert_eq!(refused(settings("a", &[]), long).await, ErrorCode::ConfigValueInvalid);
    let taken = start(settings("a", &[])).await;
    let same = GossipSettings { listen: taken.address(), ..settings("b", &[]) };
    assert_eq!(refused(same, news("b")).await, ErrorCode::AddressUnavailable);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_value_that_grew_too_long_is_not_told_and_stops_nothing() {
    let nodes = cluster_of(2).await;
    all_see_all(&nodes).await;
    let mut long = news("node-00");
    long.member.zone = Some("z".repeat(2_000));
    long.table = TableVersion(8);
    nodes[0].publish(long);
    let has_it = || see(&nodes[1], "node-00").is_some_and(|s| s.news.table == TableVersion(8));
    until("the rest is told", has_it).await;
    assert_eq!(see(&nodes[1], "node-00").expect("seen").news.member.zone, None);
    assert!(nodes[0].figures().refused_values > 0);
}

/// The figures of docs/membership.md.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a measurement"]
async fn measure() {
    for (size, is_sealed) in [(3, false), (3, true), (20, false), (20, true)] {
        let started = Instant::now();
        let mut nodes: Vec<Gossip> = Vec::new();
        for index in 0..size {
            let seeds: Vec<&Gossip> = nodes.iter().take(2).collect();
            let mut settings = settings(&format!("node-{index:02}"), &seeds);
            settings.key = is_sealed.then(|| key("the secret of the blue cluster")).flatten();
            nodes.push(start(settings).await);
        }
        all_see_all(&nodes).await;
        let full_view = started.elapsed();
        let sent = |nodes: &[Gossip]| {
            let all = nodes.iter().map(|node| node.figures());
            all.fold((0, 0), |(n, b), f| (n + f.sent, b + f.sent_bytes))
        };
        let (before, cpu_before, second) = (sent(&nodes), cpu(), Instant::now());
        tokio::time::sleep(Duration::from_secs(10)).await;
        let (after, took) = (sent(&nodes), second.elapsed().as_secs_f64() * size as f64);
        let cpu = (cpu() - cpu_before) / took;
        let per_second = ((after.0 - before.0) as f64 / took, (after.1 - before.1) as f64 / took);
        let offsets: Vec<i64> = nodes[0].clock_offsets().into_values().collect();
        let mut spread = Vec::new();
        for version in 1..=10 {
            let mut changed = news("node-00");
            changed.table = TableVersion(version);
            nodes[0].publish(changed);
            let has_it = |node: &Gossip| {
                see(node, "node-00").is_some_and(|s| s.news.table == TableVersion(version))
            };
            spread.push(until("news", || nodes[1..].iter().all(has_it)).await);
        }
        spread.sort();
        drop(nodes.pop());
        let name = format!("node-{:02}", size - 1);
        let start = Instant::now();
        until("first", || nodes.iter().any(|node| !sees_live(node, &name))).await;
        let first = start.elapsed();
        until("all", || nodes.iter().all(|node| !sees_live(node, &name))).await;
        eprintln!(
            "{size} nodes, sealed {is_sealed}: full view {full_view:?}, {:.0} datagrams and {:.0} bytes sent per second \
             and node, {:.2} % of a core per node, news to all p50 {:?} max {:?}, death noticed first {first:?} all \
             {:?}, clocks {:?}..{:?} ms",
            per_second.0,
            per_second.1,
            cpu * 100.0,
            spread[5],
            spread[9],
            start.elapsed(),
            offsets.iter().min(),
            offsets.iter().max(),
        );
    }
}

/// Seconds that this process has computed.
fn cpu() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or("").split_whitespace().collect();
    let ticks = |at: usize| fields.get(at).and_then(|text| text.parse::<f64>().ok()).unwrap_or(0.0);
    (ticks(11) + ticks(12)) / 100.0
}
