//! The figures of docs/council.md:
//! `cargo test -p isogrid-council --lib measure_test -- --ignored --nocapture --test-threads 1`

use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use isogrid_cluster::council::Command;
use tokio::time::Instant;

use crate::testing::{Group, count, create, until};

fn figures(mut times: Vec<Duration>) -> String {
    times.sort();
    let at = |share: usize| times[(times.len() - 1) * share / 100];
    format!("p50 {:?}, p99 {:?}, {} times", at(50), at(99), times.len())
}

async fn proposals(group: &Group) -> Vec<Duration> {
    let leader = Arc::clone(&group.nodes[group.leader().await]);
    let mut times = Vec::new();
    for _ in 0..500 {
        let begun = Instant::now();
        leader.propose(count()).await.expect("counted");
        times.push(begun.elapsed());
    }
    times
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "figures for the documentation"]
async fn proposals_on_disk() {
    let mut group = Group::on_disk();
    let first = group.start("a").await;
    first.form(create()).await.expect("formed");
    eprintln!("propose, one voter: {}", figures(proposals(&group).await));
    drop(first);
    group.stop().await;
    let group = Group::on_disk().three().await;
    eprintln!("propose, three voters: {}", figures(proposals(&group).await));
    let leader = Arc::clone(&group.nodes[group.leader().await]);
    let mut times = Vec::new();
    for _ in 0..500 {
        let begun = Instant::now();
        leader.confirm().await.expect("confirmed");
        times.push(begun.elapsed());
    }
    eprintln!("confirm, three voters: {}", figures(times));
    let mut times = Vec::new();
    let before = leader.syncs();
    for _ in 0..20 {
        let begun = Instant::now();
        join_all((0..64).map(|_| leader.propose(count()))).await;
        times.push(begun.elapsed());
    }
    let syncs = leader.syncs() - before;
    eprintln!("64 proposals at once: {}; {} commits in all", figures(times), syncs);
    drop(leader);
    group.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "figures for the documentation"]
async fn elections_after_a_kill() {
    let mut group = Group::on_disk().three().await;
    let mut times = Vec::new();
    for _ in 0..20 {
        group.propose(count()).await;
        let leader = group.leader().await;
        let killed = Instant::now();
        group.kill(leader).await;
        let next = group.leader().await;
        group.nodes[next].propose(count()).await.expect("counted");
        times.push(killed.elapsed());
        group.start(leader).await;
        let applied = group.nodes[next].state().borrow().applied();
        group.applied(leader, applied).await;
    }
    eprintln!("kill to the next leader's first write: {}", figures(times));
    group.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "figures for the documentation"]
async fn voters_and_snapshots() {
    let mut group = Group::on_disk();
    let first = group.start("a").await;
    first.form(create()).await.expect("formed");
    group.start("b").await;
    group.start("c").await;
    let begun = Instant::now();
    first.change_voters(group.voters(&["a", "b", "c"])).await.expect("three voters");
    eprintln!("one to three voters: {:?}", begun.elapsed());
    for sessions in [1_000_u32, 100_000, 500_000] {
        for _ in 0..sessions.div_ceil(4_000) {
            first.propose(Command::OpenSessions { count: 4_000 }).await.expect("opened");
        }
        let begun = Instant::now();
        let council = (**first.state().borrow()).clone();
        let cloned = begun.elapsed();
        let begun = Instant::now();
        let bytes = crate::snapshot::pack(&council).expect("packed").len();
        let packed = begun.elapsed();
        eprintln!("{sessions} sessions: clone {cloned:?}, snapshot {bytes} bytes, {packed:?}");
    }
    until("has a quorum", || first.has_quorum()).await;
    drop(first);
    group.stop().await;
}
