//! Nodes that speak over real sockets: order, restarts, back-pressure, signs of life, questions.

use std::time::Instant;

use super::message::AskFailed;
use super::testing::{CLUSTER, PATIENCE, TestNode, append, beat, news, numbers, wait_until};
use super::*;

const SECOND: Duration = Duration::from_secs(1);

fn wait_heard(node: &TestNode, count: usize) {
    wait_until("messages", || node.recorder.counts().1 >= count);
}

#[test]
fn a_lane_keeps_its_order() {
    let (a, b) = (TestNode::start("a", 1), TestNode::start("b", 1));
    a.knows(&[&b]);
    a.say(0, &b, &append(1, 0, 1));
    wait_heard(&b, 1);
    for number in 1..20_000 {
        a.peers.send(0, b.id(), &append(1, number, 20));
        if number % 64 == 0 {
            a.peers.flush(0);
        }
    }
    a.peers.flush(0);
    wait_heard(&b, 20_000);
    assert_eq!(numbers(&b.recorder.heard()), (0..20_000).collect::<Vec<_>>());
    let traffic = a.peers.traffic()[b.id()];
    assert_eq!(traffic.dropped_messages, 0, "{traffic:?}");
    let received = b.peers.pulse(a.id()).expect("heard").counts();
    assert!(received.1 >= 20_000 && received.0 > 20_000 * 20);
}

#[test]
fn what_gathers_before_a_flush_goes_together() {
    let (a, b) = (TestNode::start("a", 1), TestNode::start("b", 1));
    a.knows(&[&b]);
    a.say(0, &b, &append(1, 0, 1));
    wait_heard(&b, 1);
    // The link sleeps when a round begins: it sent all of the last one.
    for round in 1..=50 {
        for number in 0..64 {
            a.peers.send(0, b.id(), &append(1, number, 20));
        }
        a.peers.flush(0);
        wait_heard(&b, 1 + round * 64);
    }
    let traffic = a.peers.traffic()[b.id()];
    assert!(traffic.sent_batches < traffic.sent_messages / 8, "{traffic:?}");
}

#[test]
fn three_nodes_and_all_cores_speak_with_each_other() {
    let nodes = [TestNode::start("a", 1), TestNode::start("b", 1), TestNode::start("c", 1)];
    for node in &nodes {
        node.knows(&[&nodes[0], &nodes[1], &nodes[2]]);
    }
    for from in &nodes {
        for to in nodes.iter().filter(|to| to.id() != from.id()) {
            from.say(0, to, &append(1, 1, 10));
            from.say(1, to, &LinkMessage::News(Arc::new(news(CLUSTER))));
        }
    }
    for node in &nodes {
        wait_heard(node, 4);
        wait_until("signs of life of both others", || node.peers.heard().len() == 2);
        let heard = node.peers.heard();
        assert!(heard.values().all(|heard| !heard.is_refused && heard.incarnation.0 == 1));
    }
}

#[test]
fn a_node_that_starts_again_elsewhere_is_found_and_gets_nothing_of_its_former_life() {
    let (a, b) = (TestNode::start("a", 1), TestNode::start("b", 1));
    a.knows(&[&b]);
    a.say(0, &b, &append(1, 1, 10));
    wait_heard(&b, 1);
    let id = b.id().clone();
    drop(b);
    wait_until("a refusal", || a.peers.heard()[&id].is_refused);
    a.peers.send(0, &id, &append(1, 2, 10));
    a.peers.flush(0);
    let b = TestNode::start("b", 2);
    a.knows(&[&b]);
    assert!(!a.peers.heard()[&id].is_refused);
    a.say(0, &b, &append(2, 3, 10));
    wait_heard(&b, 1);
    assert_eq!(b.recorder.heard(), vec![append(2, 3, 10)]);
    assert!(a.peers.traffic()[&id].link_breaks >= 1);
}

#[test]
fn a_link_to_another_life_is_refused() {
    let (a, b) = (TestNode::start("a", 1), TestNode::start("b", 1));
    a.peers.set_addresses([(b.id().clone(), b.peer_address(9))].into());
    for _ in 0..20 {
        a.say(0, &b, &append(9, 1, 10));
        std::thread::sleep(Duration::from_millis(10));
    }
    assert_eq!(b.recorder.counts().1, 0);
    let failed = ask(&a, b.id(), AskKind::Raft, SECOND).expect_err("another life");
    assert!(matches!(&failed, AskFailed::Unreachable(why) if why.contains("life")), "{failed}");
    a.knows(&[&b]);
    a.say(0, &b, &append(1, 2, 10));
    wait_heard(&b, 1);
    assert_eq!(numbers(&b.recorder.heard()), [2]);
}

#[test]
fn who_does_not_read_costs_a_bounded_room_and_hears_beats_again() {
    let (a, b) = (TestNode::start("a", 1), TestNode::start("b", 1));
    a.knows(&[&b]);
    a.say(0, &b, &append(1, 0, 1));
    wait_heard(&b, 1);
    b.recorder.hold(true);
    for number in 1..1_600 {
        a.say(0, &b, &append(1, number, 64 << 10));
    }
    a.say(0, &b, &beat(1, 77));
    let traffic = a.peers.traffic()[b.id()];
    assert!(traffic.waiting_bytes <= (32 << 20) + 100, "{traffic:?}");
    assert!(traffic.dropped_messages > 0, "{traffic:?}");
    b.recorder.hold(false);
    wait_until("the beat", || b.recorder.heard().contains(&beat(1, 77)));
    let heard = numbers(&b.recorder.heard());
    assert!(heard.is_sorted(), "what was not dropped comes in order");
}

#[test]
fn a_death_is_seen_at_once() {
    let (a, b) = (TestNode::start("a", 1), TestNode::start("b", 1));
    a.knows(&[&b]);
    b.knows(&[&a]);
    a.say(0, &b, &append(1, 1, 10));
    wait_heard(&b, 1);
    wait_until("pings", || a.peers.heard()[b.id()].incarnation.0 == 1);
    let mut evidence = a.peers.evidence();
    evidence.mark_unchanged();
    let id = b.id().clone();
    let last = a.peers.heard()[&id].last;
    assert!(last.elapsed() < SECOND);
    drop(b);
    let took = wait_until("a refusal", || a.peers.heard()[&id].is_refused);
    assert!(took < Duration::from_millis(300), "{took:?}");
    assert!(evidence.has_changed().expect("the node lives"));
}

#[test]
fn silence_shows_how_long_it_lasts() {
    let (a, b) = (TestNode::start("a", 1), TestNode::start("b", 1));
    a.knows(&[&b]);
    b.knows(&[&a]);
    // Pings alone keep a node from seeming silent.
    let until = Instant::now() + SECOND;
    wait_until("a link", || a.peers.heard()[b.id()].incarnation.0 == 1);
    while Instant::now() < until {
        assert!(a.peers.heard()[b.id()].last.elapsed() < Duration::from_millis(900));
        std::thread::sleep(Duration::from_millis(10));
    }
    assert_eq!(a.recorder.counts().1, 0, "pings are for nobody else");
}

fn ask(from: &TestNode, to: &NodeId, kind: AskKind, timeout: Duration) -> Result<Bytes, AskFailed> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let body = Bytes::from_static(b"body");
    runtime.expect("a runtime").block_on(from.peers.ask(to, kind, body, timeout))
}

#[test]
fn questions_are_answered_refused_lost_or_not_asked() {
    let (a, b) = (TestNode::start("a", 1), TestNode::start("b", 1));
    let id = b.id().clone();
    let unknown = ask(&a, &id, AskKind::Heartbeat, SECOND).expect_err("no address");
    assert!(matches!(unknown, AskFailed::Unreachable(_)), "{unknown}");
    a.knows(&[&b]);
    wait_until("an answer", || ask(&a, &id, AskKind::Heartbeat, PATIENCE).is_ok());
    assert_eq!(ask(&a, &id, AskKind::Raft, PATIENCE), Ok(Bytes::from_static(b"body")));
    let refused = ask(&a, &id, AskKind::FindMap, PATIENCE).expect_err("no such map");
    assert!(matches!(refused, AskFailed::Refused(_)), "{refused}");
    let short = Duration::from_millis(100);
    let lost = ask(&a, &id, AskKind::Forward, short).expect_err("no answer");
    assert!(matches!(lost, AskFailed::Unknown(_)), "{lost}");
    drop(b);
    wait_until("a refusal", || a.peers.heard()[&id].is_refused);
    wait_until("that nothing is sent", || {
        matches!(ask(&a, &id, AskKind::Raft, SECOND), Err(AskFailed::Unreachable(_)))
    });
}

#[test]
fn a_question_under_way_when_its_node_dies_is_lost() {
    let (a, b) = (TestNode::start("a", 1), TestNode::start("b", 1));
    a.knows(&[&b]);
    let id = b.id().clone();
    let peers = Arc::clone(&a.peers);
    let to = id.clone();
    let asking = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let asked = peers.ask(&to, AskKind::Forward, Bytes::new(), PATIENCE);
        runtime.expect("a runtime").block_on(asked)
    });
    std::thread::sleep(Duration::from_millis(300));
    drop(b);
    let lost = asking.join().expect("no panic").expect_err("its node died");
    assert!(matches!(lost, AskFailed::Unknown(_)), "{lost}");
}

#[test]
fn before_there_is_a_cluster_only_what_makes_one_is_answered() {
    let a = TestNode::start("a", 1);
    let b = TestNode::start_stranger("b", 1, PeerLimits::default());
    let other = TestNode::start_stranger("c", 1, PeerLimits::default());
    other.peers.set_cluster(ClusterId(8));
    a.knows(&[&b, &other]);
    b.knows(&[&a]);
    for (from, to) in [(&a, &b), (&b, &a)] {
        let body = Bytes::from_static(b"body");
        assert_eq!(ask(from, to.id(), AskKind::PullNews, PATIENCE), Ok(body));
        let failed = ask(from, to.id(), AskKind::Heartbeat, PATIENCE).expect_err("strangers");
        assert!(matches!(failed, AskFailed::Unreachable(_)), "{failed}");
    }
    let failed = ask(&a, other.id(), AskKind::PullNews, PATIENCE).expect_err("another cluster");
    assert!(matches!(failed, AskFailed::Unreachable(_)), "{failed}");
    b.peers.set_cluster(CLUSTER);
    wait_until("a link", || {
        a.say(0, &b, &append(1, 1, 1));
        b.recorder.counts().1 > 0
    });
    a.say(0, &other, &append(1, 1, 1));
    assert_eq!(other.recorder.counts().1, 0);
}

#[test]
fn who_is_not_mentioned_any_more_is_told_nothing() {
    let (a, b) = (TestNode::start("a", 1), TestNode::start("b", 1));
    a.knows(&[&b]);
    a.say(0, &b, &append(1, 1, 1));
    wait_heard(&b, 1);
    a.knows(&[]);
    wait_until("forgetting", || a.peers.heard().is_empty() && a.peers.traffic().is_empty());
    a.say(0, &b, &append(1, 2, 1));
    a.knows(&[&b]);
    a.say(0, &b, &append(1, 3, 1));
    wait_heard(&b, 2);
    assert_eq!(numbers(&b.recorder.heard()), [1, 3]);
}

/// CPU time of this process in nanoseconds: both ends of the link.
fn cpu_ns() -> u64 {
    let tasks = std::fs::read_dir("/proc/self/task").expect("this needs Linux");
    let per_task = tasks.flatten().filter_map(|task| {
        let line = std::fs::read_to_string(task.path().join("schedstat")).ok()?;
        line.split(' ').next()?.parse::<u64>().ok()
    });
    per_task.sum()
}

/// How many messages the benchmark takes, and how many come to a flush.
const MESSAGES: u64 = 1_280_000;
const PER_FLUSH: u64 = 64;

/// CPU nanoseconds for each message.
fn cost(work: impl FnOnce()) -> u64 {
    let before = cpu_ns();
    work();
    (cpu_ns() - before) / MESSAGES
}

/// Run it optimised and alone: docs/links.md says how.
#[test]
#[ignore = "a benchmark"]
fn cost_of_small_appends_64_to_a_flush() {
    let message = append(1, 1, 130);
    let mut batch = Vec::new();
    let encoding = cost(|| {
        for number in 0..MESSAGES {
            if number % PER_FLUSH == 0 {
                batch.clear();
                batch.push(codec::BATCH_VERSION);
            }
            codec::encode(std::hint::black_box(&message), &mut batch);
        }
    });
    let decoding = cost(|| {
        for _ in 0..MESSAGES / PER_FLUSH {
            let read = codec::decode(std::hint::black_box(&batch)).expect("well made");
            assert_eq!(std::hint::black_box(read).len() as u64, PER_FLUSH);
        }
    });
    let (a, b) = (TestNode::start("a", 1), TestNode::start("b", 1));
    a.knows(&[&b]);
    b.recorder.count_only();
    a.say(0, &b, &append(1, 0, 1));
    wait_heard(&b, 1);
    // As the engine does it: on the core of the link, which sends after each flush.
    let runtime = a.peers.runtime.borrow().clone().expect("started");
    let (peers, to) = (Arc::clone(&a.peers), b.id().clone());
    let both_ends = cost(|| {
        runtime.spawn(async move {
            for number in 0..MESSAGES {
                peers.send(0, &to, &message);
                if number % PER_FLUSH == PER_FLUSH - 1 {
                    peers.flush(0);
                    tokio::task::yield_now().await;
                    while peers.traffic()[&to].waiting_bytes > 256 << 10 {
                        tokio::time::sleep(Duration::from_millis(1)).await;
                    }
                }
            }
        });
        while b.recorder.counts().1 as u64 <= MESSAGES {
            std::thread::sleep(Duration::from_millis(20));
        }
    });
    let traffic = a.peers.traffic()[b.id()];
    let per_batch = traffic.sent_messages / traffic.sent_batches;
    assert_eq!(traffic.dropped_messages, 0);
    eprintln!("CPU ns for each append of 130 bytes: encode {encoding}, decode {decoding},");
    eprintln!("  both ends with gRPC {both_ends}; {per_batch} in a batch");
}
