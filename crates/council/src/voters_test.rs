//! Voters come, go, and come back without their log.

use std::fs;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use isogrid_core::NodeId;
use tokio::time::sleep;

use crate::message::{Ask, Envelope, Reply};
use crate::record::{decode, encode};
use crate::testing::{Group, count, create, until};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wiped_voter_never_votes_as_the_old_one() {
    let mut group = Group::on_disk().three().await;
    let first = group.leader().await;
    let others: Vec<&str> = ["a", "b", "c"].into_iter().filter(|node| *node != first).collect();
    let (wiped, behind) = (others[0], others[1]);
    // One voter misses fifty commands: the leader and the other one have them.
    group.kill(behind).await;
    for _ in 0..50 {
        group.propose(count()).await;
    }
    let applied = group.nodes[first].state().borrow().applied();
    // The other one loses its disk, and the leader goes away: a majority of empty heads is left.
    let old = group.nodes[wiped].voter();
    group.kill(wiped).await;
    group.kill(first).await;
    fs::remove_dir_all(group.folder(wiped).expect("on disk")).expect("wiped");
    let wiped_again = group.start(wiped).await;
    group.start(behind).await;
    assert_ne!(wiped_again.voter(), old);
    for _ in 0..75 {
        let leads = |service: &Arc<crate::CouncilService>| service.has_quorum();
        assert!(!group.nodes.values().any(leads), "they lead without the fifty commands");
        sleep(Duration::from_millis(20)).await;
    }
    // The one that has them comes back: nothing is lost, and the wiped one joins under its new id.
    group.start(first).await;
    let leader = group.leader().await;
    assert_eq!(leader, first);
    group.nodes[leader].confirm().await.expect("confirmed");
    assert_eq!(group.nodes[leader].state().borrow().applied(), applied);
    let voters = group.voters(&["a", "b", "c"]);
    group.nodes[leader].change_voters(voters.clone()).await.expect("replaced");
    assert_eq!(group.nodes[leader].voters(), voters);
    group.applied(wiped, applied).await;
    until("it votes", || wiped_again.is_voter()).await;
    group.nodes[leader].change_voters(voters).await.expect("nothing left to change");
    drop(wiped_again);
    group.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_meant_for_another_log_is_refused() {
    let mut group = Group::on_disk();
    let node = group.start("a").await;
    let ask = |to: u64, to_log: u64, ask: Ask| {
        let node = Arc::clone(&node);
        async move {
            let envelope = Envelope { from: 1, to, to_log, ask };
            let body = Bytes::from(encode(&envelope).expect("encoded"));
            let reply = node.handle(&NodeId::new("z"), body).await.expect("an answer");
            decode::<Reply>(&reply).expect("decoded")
        }
    };
    let Reply::Me { voter, log } = ask(0, 0, Ask::Who).await else { panic!("it says who it is") };
    assert_eq!(voter, node.voter().0);
    let append = || {
        let vote = (&crate::types::Vote::new_committed(9, 1)).into();
        Ask::Append { vote, previous: None, entries: Vec::new(), committed: None }
    };
    let stranger = Reply::Stranger { voter, log };
    assert_eq!(ask(voter, log ^ 1, append()).await, stranger, "the same voter, another log");
    assert_eq!(ask(voter ^ 1, log, append()).await, stranger, "another voter");
    assert!(matches!(ask(voter, log, append()).await, Reply::Appended(_)));
    let broken = node.handle(&NodeId::new("z"), Bytes::from_static(b"\xc1nonsense")).await;
    assert!(broken.is_err());
    drop(node);
    group.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_removed_voter_learns_it_and_can_come_back() {
    let mut group = Group::on_disk().three().await;
    group.start("d").await;
    let leader = group.leader().await;
    let removed = ["a", "b", "c"].into_iter().find(|node| *node != leader).expect("a follower");
    let all = group.voters(&["a", "b", "c"]);
    // It does not even hear the last of it.
    group.net.cut(removed);
    let mut without = all.clone();
    without.remove(&group.nodes[removed].voter());
    without.extend(group.voters(&["d"]));
    group.nodes[leader].change_voters(without.clone()).await.expect("replaced");
    group.net.heal(removed);
    until("it knows", || !group.nodes[removed].is_voter()).await;
    until("it names no leader", || group.nodes[removed].leader().borrow().is_none()).await;
    assert_eq!(group.leader().await, leader, "it disturbs nobody");
    group.nodes[leader].change_voters(all.clone()).await.expect("back again");
    until("it votes again", || group.nodes[removed].is_voter()).await;
    // On the way there old and new voters decide together.
    until("it knows all voters", || group.nodes[removed].voters() == all).await;
    group.propose(count()).await;
    group.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leader_that_is_removed_hands_over() {
    let mut group = Group::on_disk().three().await;
    group.start("d").await;
    let leader = group.leader().await;
    let others: Vec<&str> =
        ["a", "b", "c", "d"].into_iter().filter(|node| *node != leader).collect();
    let voters = group.voters(&others);
    group.nodes[leader].change_voters(voters.clone()).await.expect("replaced");
    let next = group.leader_but(leader).await;
    until("the next leader knows the voters", || group.nodes[next].voters() == voters).await;
    group.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_to_a_voter_that_is_not_there_fails_and_can_be_mended() {
    let mut group = Group::on_disk();
    let first = group.start("a").await;
    first.form(create()).await.expect("formed");
    group.start("b").await;
    group.start("c").await;
    let three = group.voters(&["a", "b", "c"]);
    let old = group.nodes["c"].voter();
    group.kill("c").await;
    let error = first.change_voters(three.clone()).await.expect_err("c is away");
    assert!(error.to_string().contains(&old.0.to_string()), "{error}");
    fs::remove_dir_all(group.folder("c").expect("on disk")).expect("wiped");
    group.start("c").await;
    let error = first.change_voters(three).await.expect_err("c is another voter");
    assert!(error.to_string().contains("another voter"), "{error}");
    first.change_voters(group.voters(&["a", "b", "c"])).await.expect("three voters");
    let unled = group.nodes["b"].change_voters(group.voters(&["b"])).await;
    assert!(unled.is_err(), "only the leader changes voters");
    drop(first);
    group.stop().await;
}
