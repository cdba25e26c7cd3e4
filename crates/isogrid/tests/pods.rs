//! The pods of the chart, as processes: restarted one by one, made fewer, stopped and started, with what the chart renders for
//! their start, their probes and their end. A client works meanwhile; no request of it fails, and nothing is lost.

mod common;
#[path = "pods/kubelet.rs"]
mod kubelet;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;

use bytes::Bytes;
use common::data::{contents, runtime};
use common::{eventually, isogrid};
use isogrid_client::Grid;
use kubelet::StatefulSet;
use serde_json::Value;

const KEYS: u64 = 200;

/// A client that writes and reads until it is told to end.
struct Work {
    is_over: Arc<AtomicBool>,
    done: Arc<AtomicU64>,
    thread: JoinHandle<BTreeMap<String, u64>>,
}

impl Work {
    fn begin(set: &StatefulSet, pods: usize) -> Work {
        let (is_over, done) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let seeds: Vec<String> = (0..pods).map(|pod| set.grpc(pod)).collect();
        let (over, count) = (Arc::clone(&is_over), Arc::clone(&done));
        let thread = std::thread::spawn(move || runtime().block_on(work(seeds, &over, &count)));
        let work = Work { is_over, done, thread };
        work.goes_on();
        work
    }

    /// Waits until more has been done.
    fn goes_on(&self) {
        let before = self.done.load(Ordering::Relaxed);
        eventually("the client works", || {
            self.thread.is_finished() || self.done.load(Ordering::Relaxed) > before + KEYS
        });
    }

    /// What was acknowledged last for each key. A request that failed ends the test here.
    fn end(self) -> BTreeMap<String, u64> {
        self.is_over.store(true, Ordering::Relaxed);
        self.thread.join().expect("no request failed")
    }
}

async fn work(seeds: Vec<String>, over: &AtomicBool, done: &AtomicU64) -> BTreeMap<String, u64> {
    let grid = Grid::builder().seeds(seeds).build().await.expect("it is there");
    let map = grid.raw_map("work");
    let mut acknowledged = BTreeMap::new();
    for round in 1.. {
        for key in 0..KEYS {
            if over.load(Ordering::Relaxed) {
                return acknowledged;
            }
            let key = format!("key-{key}");
            let value = Bytes::from(round.to_string());
            map.put(key.as_bytes(), &value).await.unwrap_or_else(|e| panic!("put {key}: {e}"));
            acknowledged.insert(key.clone(), round);
            let found: Option<Bytes> =
                map.get(key.as_bytes()).await.unwrap_or_else(|e| panic!("get {key}: {e}"));
            assert_eq!(found, Some(value), "{key}");
            done.fetch_add(1, Ordering::Relaxed);
        }
    }
    acknowledged
}

/// Every key has what was acknowledged last.
fn check(set: &StatefulSet, pod: usize, acknowledged: &BTreeMap<String, u64>) {
    assert!(!acknowledged.is_empty());
    let found = runtime().block_on(contents(&set.grpc(pod), "work"));
    for (key, round) in acknowledged {
        let value = found.get(key).map(|(value, _)| String::from_utf8_lossy(value).into_owned());
        assert_eq!(value, Some(round.to_string()), "{key}");
    }
}

fn status(set: &StatefulSet, pod: usize) -> Value {
    let ran = isogrid(&["status", "-o", "json", "--endpoint", &set.grpc(pod)]);
    serde_json::from_slice(&ran.stdout).unwrap_or(Value::Null)
}

fn members(set: &StatefulSet, pod: usize) -> Vec<String> {
    let status = status(set, pod);
    let members = status["members"].as_array().cloned().unwrap_or_default();
    members.iter().map(|one| one["node"].as_str().unwrap_or_default().to_owned()).collect()
}

fn started(golden: &str, pods: usize) -> StatefulSet {
    let mut set = StatefulSet::rendered(golden, pods);
    begin(&mut set, 0..pods);
    set
}

fn begin(set: &mut StatefulSet, pods: std::ops::Range<usize>) {
    pods.clone().for_each(|pod| set.start(pod));
    pods.for_each(|pod| set.await_ready(pod));
}

#[test]
fn a_rolling_restart_loses_nothing_and_fails_nobody() {
    let mut set = started("prod", 3);
    let work = Work::begin(&set, 3);
    for pod in (0..3).rev() {
        // Where the node serves HTTP the command knows from the pod's variables.
        eventually("it may be restarted", || set.exec(pod, &["probe", "pre-restart"]) == Some(0));
        set.delete(&[pod]);
        assert!(!set.ready().contains(&pod));
        set.start(pod);
        set.await_ready(pod);
        work.goes_on();
    }
    let acknowledged = work.end();
    check(&set, 0, &acknowledged);
    assert_eq!(status(&set, 1)["safe"], true);
    assert_eq!(members(&set, 1).len(), 3);
}

#[test]
fn nodes_that_are_told_to_leave_before_their_pods_go_lose_nothing() {
    let mut set = StatefulSet::rendered("fewer", 5);
    begin(&mut set, 0..3);
    let work = Work::begin(&set, 3);
    begin(&mut set, 3..5);
    work.goes_on();
    set.job("isogrid-scale-in");
    eventually("those that leave take no new clients", || set.ready() == [0, 1, 2]);
    // A job that failed on its way is run again.
    set.job("isogrid-scale-in");
    set.delete(&[3, 4]);
    work.goes_on();
    let acknowledged = work.end();
    check(&set, 1, &acknowledged);
    let three = ["isogrid-0", "isogrid-1", "isogrid-2"];
    eventually("they are forgotten", || members(&set, 0) == three);
    eventually("it is safe", || status(&set, 0)["safe"] == true);
    set.job("isogrid-scale-in");
}

#[test]
fn nodes_that_leave_by_themselves_may_be_deleted_without_a_word() {
    let mut set = StatefulSet::rendered("prod", 5).with("ISOGRID__NODE__AT_END", "leave");
    begin(&mut set, 0..5);
    let work = Work::begin(&set, 5);
    set.delete(&[3, 4]);
    work.goes_on();
    let three = ["isogrid-0", "isogrid-1", "isogrid-2"];
    eventually("they are forgotten", || members(&set, 0) == three);
    eventually("it is safe", || status(&set, 0)["safe"] == true);
    // One that was only restarted joins anew.
    set.delete(&[2]);
    set.start(2);
    set.await_ready(2);
    work.goes_on();
    let acknowledged = work.end();
    check(&set, 2, &acknowledged);
    assert_eq!(members(&set, 0), three);
    // Nobody is left to give anything to: the last ones do not wait for that.
    set.delete(&[0, 1, 2]);
}

#[test]
fn all_pods_stop_and_start_with_what_they_have_on_their_volumes() {
    let mut set = started("persistent", 3);
    for is_told in [true, false] {
        let work = Work::begin(&set, 3);
        work.goes_on();
        let acknowledged = work.end();
        if is_told {
            set.job("isogrid-stop");
        }
        set.delete(&[0, 1, 2]);
        begin(&mut set, 0..3);
        check(&set, 2, &acknowledged);
        assert_eq!(members(&set, 0).len(), 3);
    }
}

#[test]
fn a_pod_that_stands_still_is_dead_and_others_are_not() {
    let mut set = started("prod", 3);
    set.signal(1, "STOP");
    let http = set.http(1);
    let live = ["probe", "live", "--timeout", "300ms", "--http", &http];
    assert_eq!(isogrid(&live).code, 3);
    eventually("it is missed", || set.probe(0, "startupProbe").is_some());
    for pod in [0, 2] {
        assert_eq!(set.probe(pod, "readinessProbe"), None);
        assert_eq!(set.probe(pod, "livenessProbe"), None);
        let may = isogrid(&["probe", "pre-restart", "--http", &set.http(pod)]);
        assert_eq!(may.code, 3, "{}", may.stderr);
    }
    set.signal(1, "CONT");
    set.await_ready(1);
    eventually("all are back", || set.probe(0, "startupProbe").is_none());
}
