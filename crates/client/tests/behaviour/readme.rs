//! The README's example is the one that is compiled, and it does what the README says.

use std::path::PathBuf;
use std::process::Command;

use isogrid_client::Result;
use isogrid_client::testing::Cluster;

fn file(path: &str) -> String {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(path);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

#[test]
fn the_readme_shows_the_example() {
    let readme = file("../../README.md");
    let block = readme.split("```rust\n").nth(1).and_then(|rest| rest.split("```").next());
    let example = file("examples/hello.rs");
    for line in block.expect("a block of Rust").lines() {
        let line = line.replace("\"isogrid://127.0.0.1:7700\"", "&address");
        assert!(example.contains(&line), "not in the example: {line}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_example_runs() -> Result<()> {
    let cluster = Cluster::start(1).await?;
    let address = format!("isogrid://{}", cluster.endpoints().remove(0));
    // `cargo test` builds examples beside the tests.
    let mut program = std::env::current_exe().expect("this program has a path");
    program.pop();
    program.pop();
    program.push("examples/hello");
    let output = tokio::task::spawn_blocking(move || Command::new(program).arg(address).output());
    let output = output.await.expect("no panic").expect("built by `cargo test`");
    assert_eq!(String::from_utf8_lossy(&output.stdout), "Some(\"Ann\")\n");
    Ok(())
}
