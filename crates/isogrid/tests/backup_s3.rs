//! Backup, verify and restore with an object store that speaks S3 and checks signatures: a server over a folder, within this
//! process.

mod common;

use std::net::SocketAddr;
use std::path::Path;
use std::thread::JoinHandle;

use axum::Router;
use axum::error_handling::HandleError;
use axum::http::StatusCode;
use common::data::{Contents, contents, grid, ok, put, runtime};
use common::{Node, Ran, command};
use s3s::HttpError;
use s3s::auth::SimpleAuth;
use s3s::service::S3ServiceBuilder;
use s3s_fs::FileSystem;
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

const ACCESS_KEY: &str = "keeper";
const SECRET: &str = "correct horse battery staple";
const BUCKET: &str = "shop";

/// An object store with one bucket. Dropped it ends.
struct Store {
    folder: TempDir,
    address: SocketAddr,
    stopping: CancellationToken,
    thread: Option<JoinHandle<()>>,
}

impl Store {
    fn start() -> Store {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::create_dir(folder.path().join(BUCKET)).expect("a bucket");
        let files = FileSystem::new(folder.path()).expect("the folder is there");
        let mut service = S3ServiceBuilder::new(files);
        service.set_auth(SimpleAuth::from_single(ACCESS_KEY, SECRET));
        let failed = |_: HttpError| async { StatusCode::INTERNAL_SERVER_ERROR };
        let router = Router::new().fallback_service(HandleError::new(service.build(), failed));
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
        listener.set_nonblocking(true).expect("a socket");
        let address = listener.local_addr().expect("bound");
        let stopping = CancellationToken::new();
        let stopped = stopping.clone().cancelled_owned();
        let thread = std::thread::spawn(move || {
            runtime().block_on(async {
                let listener = tokio::net::TcpListener::from_std(listener).expect("a socket");
                // What is open when the test is over is nobody's any more.
                tokio::select! {
                    served = axum::serve(listener, router) => served.expect("it serves"),
                    () = stopped => {}
                }
            });
        });
        Store { folder, address, stopping, thread: Some(thread) }
    }

    /// Runs a command that is given this key, and nothing else of the caller's about object stores.
    fn run_as(&self, secret: &str, arguments: &[&str]) -> Ran {
        let mut command = command(arguments);
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("AWS_") {
                command.env_remove(name);
            }
        }
        command
            .env("AWS_ACCESS_KEY_ID", ACCESS_KEY)
            .env("AWS_SECRET_ACCESS_KEY", secret)
            .env("AWS_REGION", "eu-central-1")
            .env("AWS_ENDPOINT", format!("http://{}", self.address));
        command.output().expect("the binary runs").into()
    }

    fn run(&self, arguments: &[&str]) -> Ran {
        self.run_as(SECRET, arguments)
    }

    fn bucket(&self) -> std::path::PathBuf {
        self.folder.path().join(BUCKET)
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        self.stopping.cancel();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// How many files are below a folder.
fn files(folder: &Path) -> usize {
    let entries = std::fs::read_dir(folder).expect("a folder");
    let count = |path: std::path::PathBuf| if path.is_dir() { files(&path) } else { 1 };
    entries.map(|entry| count(entry.expect("readable").path())).sum()
}

fn backup<'a>(place: &'a str, endpoint: &'a str) -> [&'a str; 8] {
    ["cluster", "backup", "--to", place, "-o", "json", "--endpoint", endpoint]
}

fn verify(place: &str) -> [&str; 6] {
    ["cluster", "verify", "--from", place, "-o", "json"]
}

fn restore<'a>(place: &'a str, endpoint: &'a str) -> [&'a str; 8] {
    ["cluster", "restore", "--from", place, "-o", "json", "--endpoint", endpoint]
}

async fn both(endpoint: &str) -> [Contents; 2] {
    [contents(endpoint, "users").await, contents(endpoint, "carts").await]
}

async fn fill(endpoint: &str, round: u32) {
    let grid = grid(endpoint).await;
    for number in 0..200 {
        let key = format!("k{}", round * 100 + number);
        put(&grid, "users", &key, format!("round {round}").as_bytes()).await;
        put(&grid, "carts", &key, &vec![round as u8; 2_000]).await;
    }
}

#[test]
fn a_chain_in_a_bucket_is_verified_and_restored_with_another_number_of_partitions() {
    let store = Store::start();
    let place = format!("s3://{BUCKET}/nightly/eu");
    let source = Node::start(&["--set", "node.partitions=8"]);
    let target = Node::start(&["--set", "node.partitions=2"]);
    let runtime = runtime();
    runtime.block_on(fill(&source.endpoint, 1));
    let full = ok(store.run(&backup(&place, &source.endpoint)));
    assert!(full["parent"].is_null(), "{full}");
    let of_full = files(&store.bucket().join("nightly/eu"));
    assert!(of_full >= 9, "eight partitions and a manifest, all below the prefix");

    runtime.block_on(fill(&source.endpoint, 2));
    let expected = runtime.block_on(both(&source.endpoint));
    let increment = ok(store.run(&backup(&place, &source.endpoint)));
    assert_eq!(increment["parent"], full["backup"], "it builds on the first");
    assert!(files(&store.bucket().join("nightly/eu")) > of_full);

    let listed = ok(store.run(&["cluster", "backup", "--list", "--to", &place, "-o", "json"]));
    assert_eq!(listed.as_array().map(Vec::len), Some(2));
    let verified = ok(store.run(&verify(&place)));
    let chain = verified["chain"].as_array().map(Vec::len);
    assert_eq!((&verified["sound"], chain), (&true.into(), Some(2)));
    let elsewhere = store.run(&verify(&format!("s3://{BUCKET}/nightly")));
    assert_eq!(elsewhere.code, 1, "no backup is above the prefix: {}", elsewhere.text());

    let restored = ok(store.run(&restore(&place, &target.endpoint)));
    assert_eq!(restored["entries"], expected.iter().map(Contents::len).sum::<usize>());
    assert!(runtime.block_on(both(&target.endpoint)) == expected, "what the source had");

    let objects = store.bucket().join("nightly/eu/objects");
    let newest = objects.join(increment["backup"].as_str().expect("a name"));
    std::fs::remove_dir_all(newest).expect("its objects");
    let damaged = store.run(&verify(&place));
    assert!(damaged.code == 1 && damaged.text().contains("is missing"), "{}", damaged.text());
}

#[test]
fn a_wrong_secret_and_a_bucket_that_is_not_there_are_named() {
    let store = Store::start();
    let node = Node::start(&["--set", "node.partitions=2"]);
    runtime().block_on(fill(&node.endpoint, 1));
    let place = format!("s3://{BUCKET}/p");
    ok(store.run(&backup(&place, &node.endpoint)));
    let before = files(store.folder.path());
    let commands = [
        backup(&place, &node.endpoint).to_vec(),
        verify(&place).to_vec(),
        restore(&place, &node.endpoint).to_vec(),
    ];
    for arguments in &commands {
        let ran = store.run_as("a guess", arguments);
        assert_eq!(ran.code, 1, "{arguments:?}: {}", ran.stderr);
        for part in ["IG-0609", &place, "SignatureDoesNotMatch"] {
            assert!(ran.stderr.contains(part), "{arguments:?}: {part} in {}", ran.stderr);
        }
        assert!(!ran.stderr.contains("a guess"), "no secret is shown: {}", ran.stderr);
    }
    let nowhere = "s3://nowhere/p";
    let commands = [
        backup(nowhere, &node.endpoint).to_vec(),
        verify(nowhere).to_vec(),
        restore(nowhere, &node.endpoint).to_vec(),
    ];
    for arguments in &commands {
        let ran = store.run(arguments);
        assert_eq!(ran.code, 1, "{arguments:?}: {}", ran.stderr);
        for part in ["IG-0609", nowhere, "there is no such bucket"] {
            assert!(ran.stderr.contains(part), "{arguments:?}: {part} in {}", ran.stderr);
        }
    }
    assert_eq!(files(store.folder.path()), before, "nothing was written");
}
