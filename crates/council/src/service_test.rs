//! One to three voters in one process, on real files.

use std::sync::Arc;
use std::time::Duration;

use isogrid_cluster::council::{Command, Outcome};
use isogrid_core::SessionId;
use tokio::time::Instant;

use crate::testing::{Group, count, create, until};
use crate::*;

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
    assert!(node.is_initialized() && node.is_voter());
    group.leader().await;
    node.confirm().await.expect("confirmed");
    assert_eq!(node.state().borrow().as_ref(), before.as_ref());
    group.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_voters_outlive_their_leader() {
    let mut group = Group::on_disk().three().await;
    until("all three are known", || group.nodes["b"].voters().len() == 3).await;
    let mut applied = 0;
    let mut elections = Vec::new();
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
        elections.push(took);
        group.nodes[next].confirm().await.expect("confirmed");
        assert!(group.nodes[next].state().borrow().applied() >= applied, "a command is lost");
        group.start(leader).await;
        until("everybody is back", || group.nodes.values().all(|n| n.is_voter())).await;
    }
    // One may be late on a machine that has other things to do.
    elections.sort();
    assert!(elections[3] < Duration::from_secs(1), "{elections:?} until another one led");
    for node in ["a", "b", "c"] {
        group.applied(node, applied).await;
    }
    group.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_three_restart_from_their_files() {
    let mut group = Group::on_disk().three().await;
    for _ in 0..30 {
        group.propose(count()).await;
    }
    let applied = group.nodes[group.leader().await].state().borrow().applied();
    let voters = group.voters(&["a", "b", "c"]);
    for node in ["a", "b", "c"] {
        group.kill(node).await;
    }
    for node in ["a", "b", "c"] {
        group.start(node).await;
    }
    let leader = group.leader().await;
    group.nodes[leader].confirm().await.expect("confirmed");
    assert!(group.nodes[leader].state().borrow().applied() >= applied);
    assert_eq!(group.voters(&["a", "b", "c"]), voters);
    group.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cut_off_leader_loses_its_quorum_and_acknowledges_nothing() {
    let group = Group::on_disk().three().await;
    group.propose(count()).await;
    let old = group.leader().await;
    group.net.cut(old);
    let cut = Instant::now();
    let service = Arc::clone(&group.nodes[old]);
    let proposals: Vec<_> = (0..4)
        .map(|_| {
            let service = Arc::clone(&service);
            tokio::spawn(async move { service.propose(count()).await })
        })
        .collect();
    // A machine that has other things to do looks later than it wanted to.
    let looked_late = until("the quorum is gone", || !service.has_quorum()).await;
    let took = cut.elapsed();
    assert!(took < Duration::from_millis(600) + looked_late, "{took:?}, late {looked_late:?}");
    let confirmed = service.confirm().await;
    assert!(matches!(confirmed, Err(ProposeFailed::NotLeader(_))), "{confirmed:?}");
    let next = group.leader_but(old).await;
    assert!(group.nodes[next].propose(count()).await.is_ok());
    for proposal in proposals {
        match proposal.await.expect("no panic") {
            Err(ProposeFailed::NotLeader(_) | ProposeFailed::Unknown(_)) => {}
            other => panic!("a leader without a quorum answers {other:?}"),
        }
    }
    group.net.heal(old);
    until("the old leader follows", || {
        service.leader().borrow().as_ref().is_some_and(|leader| !leader.is_me)
    })
    .await;
    let applied = group.nodes[next].state().borrow().applied();
    group.applied(old, applied).await;
    group.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_voter_that_was_away_deposes_nobody() {
    let group = Group::on_disk().three().await;
    let leader = group.leader().await;
    let term = |node: &str| group.nodes[node].leader().borrow().as_ref().map(|l| l.term);
    let before = term(leader);
    let away = ["a", "b", "c"].into_iter().find(|node| *node != leader).expect("a follower");
    group.net.cut(away);
    tokio::time::sleep(Duration::from_millis(1_000)).await;
    group.net.heal(away);
    group.propose(count()).await;
    let applied = group.nodes[leader].state().borrow().applied();
    group.applied(away, applied).await;
    assert_eq!(term(leader), before, "the leader stays, in its term");
    group.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_voter_far_behind_gets_a_snapshot_in_pieces() {
    let mut group = Group::on_disk();
    group.compact_entries = 20;
    let mut group = group.three().await;
    let leader = group.leader().await;
    let behind = ["a", "b", "c"].into_iter().find(|node| *node != leader).expect("a follower");
    group.kill(behind).await;
    // Each session is a few bytes of the snapshot: some megabytes in all.
    for _ in 0..130 {
        group.propose(Command::OpenSessions { count: 4_096 }).await;
    }
    *group.net.largest.lock() = 0;
    group.start(behind).await;
    let leader = group.leader().await;
    let applied = group.nodes[leader].state().borrow().applied();
    group.applied(behind, applied).await;
    assert_eq!(*group.nodes[behind].state().borrow(), *group.nodes[leader].state().borrow());
    let largest = *group.net.largest.lock();
    assert!(largest > 1 << 20, "a snapshot was sent: {largest} bytes at most");
    assert!(largest < 3 << 20, "{largest} bytes in one message");
    // The file holds the snapshot too.
    group.kill(behind).await;
    group.start(behind).await;
    group.applied(behind, applied).await;
    group.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leader_that_goes_with_its_service_gives_the_file_back() {
    let mut group = Group::on_disk();
    let node = group.start("a").await;
    node.form(create()).await.expect("formed");
    let voter = node.voter();
    // Not stopped, only dropped.
    drop(node);
    group.nodes.clear();
    let deadline = Instant::now() + crate::testing::PATIENCE;
    let again = loop {
        match CouncilService::start(group.settings("a"), group.transport("a")).await {
            Ok(again) => break again,
            Err(error) => assert!(Instant::now() < deadline, "{error}"),
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    assert_eq!(again.voter(), voter);
    again.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_folder_every_start_is_another_voter() {
    let mut group = Group::in_memory();
    let node = group.start("a").await;
    node.form(create()).await.expect("formed");
    assert!(matches!(node.propose(count()).await, Ok(Outcome::SessionsOpened { .. })));
    let voter = node.voter();
    drop(node);
    group.kill("a").await;
    let node = group.start("a").await;
    assert_ne!(node.voter(), voter);
    assert!(!node.is_initialized());
    drop(node);
    group.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_command_that_is_too_large_is_refused() {
    let mut group = Group::in_memory();
    let node = group.start("a").await;
    node.form(create()).await.expect("formed");
    let command = Command::EndSessions { numbers: vec![SessionId(u64::MAX); 1 << 18] };
    assert!(matches!(node.propose(command).await, Err(ProposeFailed::TooLarge(_))));
    // Large ones go through, one by one.
    let command = Command::EndSessions { numbers: vec![SessionId(u64::MAX); 200_000] };
    for _ in 0..3 {
        assert_eq!(node.propose(command.clone()).await, Ok(Outcome::Unchanged));
    }
    drop(node);
    group.stop().await;
}
