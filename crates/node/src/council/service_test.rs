//! One to three voters in one process, on real files.

use std::time::Duration;

use isogrid_cluster::council::Outcome;
use tokio::time::Instant;

use super::testing::{Group, count, create, until};
use super::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_voter_forms_a_cluster_and_keeps_it() {
    let mut group = Group::on_disk();
    let node = group.start("a").await;
    assert!(!node.is_initialized());
    assert_eq!(node.propose(count()).await, Err(ProposeFailed::NotLeader(None)));
    node.form(create()).await.expect("formed");
    node.form(create()).await.expect("forming it again changes nothing");
    assert!(node.is_initialized() && node.has_quorum() && node.is_voter());
    assert!(matches!(node.propose(count()).await, Ok(Outcome::SessionsOpened { .. })));
    node.confirm().await.expect("confirmed");
    let before = node.state().borrow().clone();
    let voter = node.voter();
    drop(node);
    group.kill("a").await;
    let node = group.start("a").await;
    assert_eq!(node.voter(), voter);
    assert!(node.is_initialized());
    group.leader().await;
    node.confirm().await.expect("confirmed");
    assert_eq!(node.state().borrow().as_ref(), before.as_ref());
    group.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_voters_outlive_their_leader() {
    let mut group = Group::on_disk().three().await;
    assert_eq!(group.nodes["b"].voters().len(), 3);
    let mut applied = 0;
    for _ in 0..5 {
        for _ in 0..20 {
            group.propose(count()).await;
        }
        let leader = group.leader().await;
        applied = group.nodes[leader].state().borrow().applied();
        group.kill(leader).await;
        let killed = Instant::now();
        let next = group.leader().await;
        let took = killed.elapsed();
        assert!(took < Duration::from_secs(1), "{took:?} until {next} leads");
        group.nodes[next].confirm().await.expect("confirmed");
        assert!(group.nodes[next].state().borrow().applied() >= applied, "a command is lost");
        group.start(leader).await;
        until("everybody is back", || group.nodes.values().all(|n| n.is_voter())).await;
    }
    for node in ["a", "b", "c"] {
        group.applied(node, applied).await;
    }
    group.stop().await;
}
