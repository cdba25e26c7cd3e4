//! A node that reads its data back from disk says how far it is, and takes operations when it is done.

mod common;

use std::io::{BufRead, BufReader};
use std::process::Stdio;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use common::data::{grid, runtime};
use common::{Node, PATIENCE, Running, command, http_get, isogrid};
use isogrid_client::{Grid, Operator, Retry};
use isogrid_core::ErrorCode;
use serde_json::Value;

const PARTITIONS: &str = "node.partitions=64";

/// So many that reading them back takes a moment.
const ENTRIES: u32 = 800_000;

/// How many go into one call.
const TOGETHER: u32 = 10_000;

fn key(number: u32) -> Bytes {
    Bytes::from(format!("k{number}"))
}

/// A node on these addresses, and its log as it is written.
fn start_again(addresses: &[(&str, &str)], folder: &str) -> (Running, mpsc::Receiver<String>) {
    let mut arguments = vec!["start", "--data-dir", folder, "--set", "log.format=json"];
    arguments.extend(["--set", "node.cores=1", "--set", PARTITIONS]);
    arguments.extend(["--gossip-addr", "127.0.0.1:0"]);
    arguments.extend(addresses.iter().flat_map(|(flag, address)| [*flag, *address]));
    let mut binary = command(&arguments);
    binary.stdout(Stdio::null()).stderr(Stdio::piped());
    let mut running = Running(binary.spawn().expect("the binary runs"));
    let log = BufReader::new(running.0.stderr.take().expect("piped"));
    let (sender, lines) = mpsc::channel();
    std::thread::spawn(move || {
        // Until the node ends, or the test is over.
        let mut lines = log.lines().map_while(Result::ok);
        while lines.next().is_some_and(|line| sender.send(line).is_ok()) {}
    });
    (running, lines)
}

/// Everything that is seen from outside while a node recovers.
#[derive(Default)]
struct Seen {
    json: Option<Value>,
    text: Option<String>,
    percents: Vec<u32>,
    ready: Option<String>,
    live: Option<String>,
    figures: Option<String>,
    refused: Option<isogrid_client::Error>,
}

impl Seen {
    /// Looks until the node is there.
    async fn watch(endpoint: &str, http: &str) -> Seen {
        let (begun, mut seen) = (Instant::now(), Seen::default());
        loop {
            assert!(begun.elapsed() < PATIENCE, "it is never there");
            let Ok(operator) = Operator::connect(endpoint).await else { continue };
            let Ok(status) = operator.status(true).await else { continue };
            if status.health == "healthy" {
                return seen;
            }
            let Some(recovery) = status.members.first().and_then(|one| one.recovery.clone()) else {
                continue;
            };
            assert_eq!((status.members[0].state.as_str(), status.safe), ("recovering", false));
            seen.percents.push(recovery.percent);
            seen.look(endpoint, http).await;
        }
    }

    /// One of the things that were not seen yet.
    async fn look(&mut self, endpoint: &str, http: &str) {
        if self.json.is_none() {
            let ran = isogrid(&["status", "-o", "json", "--endpoint", endpoint]);
            let recovers = || ran.json()["members"][0]["state"] == "recovering";
            if !ran.stdout.is_empty() && recovers() {
                assert_eq!(ran.code, 3, "it is not ready");
                self.json = Some(ran.json());
            }
        } else if self.refused.is_none() {
            let client = Grid::builder().seeds([endpoint]).retry(Retry::none());
            let client = client.request_timeout(Duration::from_secs(1)).build().await;
            let got = match client {
                Ok(grid) => grid.raw_map("m").get(&key(0)[..]).await.map(|_: Option<Bytes>| ()),
                Err(error) => Err(error),
            };
            self.refused = got.err();
        } else if self.ready.is_none() {
            self.ready =
                http_get(http, "/health/ready").filter(|answer| answer.contains("recovering"));
            self.live = http_get(http, "/health/live");
            self.figures = http_get(http, "/metrics");
        } else if self.text.is_none() {
            let ran = isogrid(&["status", "--endpoint", endpoint]);
            self.text = Some(ran.text().to_owned()).filter(|text| text.contains("recovering:"));
        }
    }
}

#[test]
fn a_node_that_recovers_tells_how_far_it_is_and_refuses_until_it_is_done() {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path().to_str().expect("text");
    let mut node = Node::start(&["--data-dir", folder, "--set", PARTITIONS, "--name", "anna"]);
    let runtime = runtime();
    runtime.block_on(async {
        let grid = grid(&node.endpoint).await;
        let map = grid.raw_map("m");
        for first in (0..ENTRIES).step_by(TOGETHER as usize) {
            let entries =
                (first..first + TOGETHER).map(|n| (key(n), Bytes::from(vec![n as u8; 64])));
            map.put_many(entries).await.expect("it takes writes").all().expect("all of them");
        }
    });
    let (endpoint, http) = (node.endpoint.clone(), node.http.clone());
    node.process.signal("KILL");
    node.process.wait();

    let addresses = [("--grpc-addr", endpoint.as_str()), ("--http-addr", http.as_str())];
    let (mut again, log) = start_again(&addresses, folder);
    let seen = runtime.block_on(Seen::watch(&endpoint, &http));

    let member = &seen.json.expect("it was seen")["members"][0];
    assert_eq!((&member["node"], &member["grpc"]), (&"anna".into(), &endpoint.as_str().into()));
    let recovery = &member["recovery"];
    assert!(recovery["bytes_total"].as_u64() > Some(20 << 20), "{recovery}");
    assert!(recovery["percent"].as_u64() <= Some(100), "{recovery}");
    assert!(["verifying", "loading"].contains(&recovery["stage"].as_str().expect("text")));
    assert!(seen.percents.is_sorted(), "it only goes on: {:?}", seen.percents);
    assert!(seen.percents.last() > seen.percents.first(), "it goes on: {:?}", seen.percents);
    let refused = seen.refused.expect("it was seen");
    assert_eq!(refused.code(), ErrorCode::NotReady, "{refused}");
    assert!(refused.to_string().contains("back from disk"), "{refused}");
    let ready = seen.ready.expect("it was seen");
    assert!(ready.contains("recovering: ") && ready.contains("% done"), "{ready}");
    assert!(seen.live.expect("it was seen").contains("200 OK"), "the process works");
    let figures = seen.figures.expect("it was seen");
    assert!(figures.contains("\nisogrid_disk_recovered_ratio 0."), "{figures}");
    let text = seen.text.expect("it was seen");
    assert!(text.contains("recovering: anna has ") && text.contains(" %"), "{text}");

    runtime.block_on(async {
        let grid = grid(&endpoint).await;
        let found: Option<Bytes> =
            grid.raw_map("m").get(&key(ENTRIES - 1)[..]).await.expect("it is there");
        assert_eq!(found, Some(Bytes::from(vec![(ENTRIES - 1) as u8; 64])));
        assert_eq!(grid.raw_map("m").len().await.expect("it is there"), u64::from(ENTRIES));
    });
    let after = isogrid(&["status", "-o", "json", "--endpoint", &endpoint]).json();
    assert!(after["members"][0]["recovery"].is_null() && after["members"][0]["state"] == "active");
    assert!(http_get(&http, "/health/ready").is_some_and(|answer| answer.contains("200 OK")));
    again.signal("TERM");
    assert_eq!(again.wait().code(), Some(0));
    let lines: Vec<Value> =
        log.iter().filter_map(|line| serde_json::from_str(&line).ok()).collect();
    let told: Vec<_> =
        lines.iter().filter(|line| line["message"] == "data are read back from disk").collect();
    assert!(told.iter().all(|line| line["bytes"].as_u64() > Some(20 << 20)), "{told:?}");
    for field in ["stage", "partitions", "of", "bytes_verified", "percent"] {
        assert!(told.first().is_some_and(|line| !line[field].is_null()), "{field} in {told:?}");
    }
}
