//! The file under a voter: damaged, on a failing disk, without power.

use std::fs;
use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use isogrid_cluster::Council;
use isogrid_cluster::council::{Command, Outcome};
use isogrid_core::ErrorCode;
use tokio::time::timeout;

use crate::snapshot;
use crate::store::{Store, Write, path};
use crate::testing::{Disk, Group, PATIENCE, count, create};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_damaged_file_is_a_clear_error() {
    let mut group = Group::on_disk();
    let node = group.start("a").await;
    node.form(create()).await.expect("formed");
    for _ in 0..20 {
        node.propose(count()).await.expect("counted");
    }
    drop(node);
    group.kill("a").await;
    let path = path(group.folder("a").as_deref());
    let sound = fs::read(&path).expect("read");
    let mut refused = 0;
    let mut try_with = |what: &str, bytes: &[u8]| {
        fs::write(&path, bytes).expect("written");
        let folder = group.folder("a");
        // What the service does: a panic of the storage engine is an error too.
        match std::thread::spawn(move || Store::open(folder.as_deref())).join() {
            Ok(Ok(_)) => {}
            Ok(Err(error)) => {
                assert_eq!(error.code(), ErrorCode::DataDirUnusable, "{what}: {error}");
                assert!(error.to_string().contains("council.redb"), "{what}: {error}");
                refused += 1;
            }
            Err(_) => panic!("{what}: a panic"),
        }
    };
    let half = sound.len() / 2;
    try_with("the first half", &sound[..half]);
    try_with("a stump", &sound[..100]);
    try_with("something else", b"{\"this\": \"is no database\"}");
    let mut zeros = sound.clone();
    zeros[4_096..].fill(0);
    try_with("zeros", &zeros);
    let refused_so_far = 4;
    for at in (0..sound.len().min(1 << 18)).step_by(4_093) {
        let mut flipped = sound.clone();
        flipped[at] ^= 0xff;
        try_with(&format!("byte {at} is another one"), &flipped);
    }
    assert!(refused > refused_so_far, "{refused} refused");
    fs::write(&path, &sound).expect("written");
    let started = crate::CouncilService::start(group.settings("a"), group.transport("a")).await;
    let node = started.expect("the sound file is good as ever");
    let second = crate::CouncilService::start(group.settings("a"), group.transport("a")).await;
    let error = second.err().expect("two voters on one file");
    assert_eq!(error.code(), ErrorCode::DataDirUnusable);
    node.stop().await;
}

#[test]
fn a_log_with_a_hole_is_refused() {
    let disk = Disk::default();
    let (store, _) = disk.open();
    let entry = |index: u64| {
        let id = crate::types::LogId::new(
            openraft::impls::leader_id_adv::LeaderId { term: 1, node_id: 1 },
            index,
        );
        let entry = openraft::Entry { log_id: id, payload: openraft::EntryPayload::Blank };
        let record = crate::record::Record::from(&entry);
        (index, crate::record::encode(&record).expect("encoded"))
    };
    store.commit(&[Write::Append(vec![entry(0), entry(1), entry(3)])]).expect("written");
    drop(store);
    let database = redb::Builder::new().create_with_backend(disk.clone()).expect("opened");
    let error = Store::load(database).expect_err("a hole");
    assert!(error.to_string().contains("missing"), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_proposals_share_syncs() {
    let mut group = Group::in_memory();
    let disk = Disk::default();
    group.start_on("a", &disk).await;
    let node = Arc::clone(&group.nodes["a"]);
    node.form(create()).await.expect("formed");
    let (before, commits) = (disk.syncs(), node.syncs());
    let done = join_all((0..64).map(|_| node.propose(count()))).await;
    assert!(done.iter().all(|outcome| matches!(outcome, Ok(Outcome::SessionsOpened { .. }))));
    let (syncs, commits) = (disk.syncs() - before, node.syncs() - commits);
    assert!(syncs <= 16, "{syncs} syncs in {commits} commits");
    drop(node);
    group.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_disk_that_fails_ends_the_service_and_says_so() {
    let mut group = Group::in_memory();
    let disk = Disk::default();
    group.start_on("a", &disk).await;
    let node = Arc::clone(&group.nodes["a"]);
    node.form(create()).await.expect("formed");
    let mut failed = node.failed();
    assert_eq!(*failed.borrow_and_update(), None);
    disk.fail();
    let lost = node.propose(count()).await;
    assert!(lost.is_err(), "{lost:?}");
    let said = timeout(PATIENCE, failed.wait_for(Option::is_some)).await;
    let why = said.expect("in time").expect("it is there").clone().expect("a reason");
    assert!(why.contains("broken"), "{why}");
    assert!(!node.has_quorum());
    assert!(node.propose(count()).await.is_err());
    drop(node);
    group.stop().await;
}

/// Which of the writes since the last sync reach the disk all the same.
type Survives = fn(usize) -> bool;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_acknowledged_survives_a_power_loss() {
    let survivals: [(&str, Survives); 4] = [
        ("nothing more", |_| false),
        ("all", |_| true),
        ("every other write", |number| number % 2 == 0),
        ("the last writes", |number| number > 3),
    ];
    for (what, survives) in survivals {
        let mut group = Group::in_memory();
        let disk = Disk::default();
        group.start_on("a", &disk).await;
        let node = Arc::clone(&group.nodes["a"]);
        node.form(create()).await.expect("formed");
        for _ in 0..40 {
            node.propose(count()).await.expect("counted");
        }
        let applied = node.state().borrow().applied();
        let going_on = join_all((0..32).map(|_| node.propose(count())));
        // The power goes while more is written.
        let _ = timeout(Duration::from_millis(1), going_on).await;
        let left = disk.after_power_loss(survives);
        let voter = node.voter();
        drop(node);
        group.kill("a").await;
        group.start_on("a", &left).await;
        group.leader().await;
        let node = Arc::clone(&group.nodes["a"]);
        node.confirm().await.expect("confirmed");
        assert_eq!(node.voter(), voter, "{what}");
        let after = node.state().borrow().applied();
        assert!(after >= applied, "{what}: {after} of {applied} commands");
        drop(node);
        group.stop().await;
    }
}

#[test]
fn a_snapshot_says_its_format() {
    let mut council = Council::new();
    council.apply(&Command::CreateCluster(create()));
    council.apply(&count());
    let bytes = snapshot::pack(&council).expect("packed");
    assert_eq!(snapshot::unpack(&bytes).expect("unpacked"), council);
    let mut newer = bytes.clone();
    newer[4] = 9;
    let error = snapshot::unpack(&newer).expect_err("a newer format");
    assert!(error.to_string().contains("format 9"), "{error}");
    assert!(snapshot::unpack(b"IGC").is_err());
    assert!(snapshot::unpack(&bytes[..bytes.len() - 1]).is_err());
}
