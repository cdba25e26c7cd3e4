//! `isogrid map export` and `isogrid map import` against real nodes: what goes out comes back, also after a kill.

mod common;

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use common::{Node, PATIENCE, Ran, Running, command, eventually, isogrid_fed};
use serde_json::Value;

const FORMATS: [&str; 3] = ["jsonl", "parquet", "csv"];

/// About as much as lies between two checkpoints.
const CHECKPOINT_BYTES: usize = 32 << 20;

struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Folder {
        Folder(tempfile::tempdir().expect("a folder"))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn file(&self, name: &str) -> String {
        self.path(name).to_str().expect("text").to_owned()
    }

    fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(self.0.path()).expect("a folder");
        let name = |entry: std::io::Result<fs::DirEntry>| {
            entry.expect("an entry").file_name().to_string_lossy().into_owned()
        };
        let mut names: Vec<String> = entries.map(name).collect();
        names.sort();
        names
    }
}

fn export(node: &Node, map: &str, file: &str, more: &[&str]) -> Ran {
    node.run(&[&["map", "export", map, "--to", file, "-o", "json"], more].concat())
}

fn import(node: &Node, map: &str, file: &str, more: &[&str]) -> Ran {
    node.run(&[&["map", "import", map, "--from", file, "-o", "json", "--create"], more].concat())
}

fn ok(ran: Ran) -> Value {
    assert_eq!(ran.code, 0, "{} {}", ran.text(), ran.stderr);
    assert_eq!(ran.json()["complete"], true);
    ran.json()
}

/// All entries of a map: what each line says but for its version.
fn entries(node: &Node, map: &str) -> BTreeMap<String, Value> {
    let ran = node.run(&["map", "export", map, "--to", "-"]);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    let mut all = BTreeMap::new();
    for line in ran.text().lines() {
        let mut object: Value = serde_json::from_str(line).expect("a line is an object");
        assert!(object["version"].as_u64().is_some());
        object["version"].take();
        let key = format!("{}{}", object["key"], object["key_base64"]);
        assert_eq!(all.insert(key, object), None, "no key comes twice");
    }
    all
}

/// A map with all that is hard: bytes, JSON, counters, expiry.
fn fill(node: &Node, map: &str) {
    let put = |arguments: &[&str]| {
        let ran = node.run(&[&["map", "put", map], arguments].concat());
        assert_eq!(ran.code, 0, "{}", ran.stderr);
    };
    put(&["json", "{\"name\": \"Ann\",  \"n\":1.50}"]);
    put(&["empty", ""]);
    put(&["brief", "gone in a day", "--ttl", "1d"]);
    put(&["lines", "a,\"b\"\r\nc\t"]);
    put(&["counter", "41"]);
    put(&["Käse 🧀", "ünï"]);
    let binary: Vec<u8> = (0..=255).collect();
    let ran = isogrid_fed(&node.with_endpoint(&["map", "put", map, "binary", "-"]), &binary);
    assert_eq!(ran.code, 0);
    let line = b"{\"key_base64\":\"/wAB\",\"value_base64\":\"AP8=\",\"expires_at\":\"2099-01-01T00:00:00.123Z\"}\n";
    let import = ["map", "import", map, "--from", "-"];
    assert_eq!(isogrid_fed(&node.with_endpoint(&import), line).code, 0);
}

#[test]
fn every_format_brings_everything_back() {
    let (folder, node) = (Folder::new(), Node::start(&[]));
    fill(&node, "from");
    let before = entries(&node, "from");
    assert_eq!(before.len(), 8);
    for format in FORMATS {
        let file = folder.file(&format!("a.{format}"));
        let exported = ok(export(&node, "from", &file, &[]));
        assert_eq!((&exported["rows"], &exported["map"]), (&8.into(), &"from".into()));
        let length = fs::metadata(&file).expect("written").len();
        assert_eq!(exported["bytes"].as_u64(), Some(length), "{format}");
        let imported = ok(import(&node, format, &file, &[]));
        assert_eq!((&imported["rows"], &imported["written"]), (&8.into(), &8.into()));
        assert_eq!(entries(&node, format), before, "{format}");
        let value = |map: &str| node.run(&["map", "get", map, "json"]).stdout;
        assert_eq!(value(format), value("from"), "JSON byte for byte");
        let at = |map: &str| node.run(&["map", "get", map, "brief", "-o", "json"]).json();
        assert!(at("from")["expires_at_ms"].is_u64());
        assert_eq!(at(format)["expires_at_ms"], at("from")["expires_at_ms"], "{format}");
    }
    assert_eq!(folder.names(), ["a.csv", "a.jsonl", "a.parquet"], "no checkpoint stays");
}

#[test]
fn a_counter_goes_on_counting() {
    let (folder, node) = (Folder::new(), Node::start(&[]));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("a runtime").block_on(async {
        let url = format!("isogrid://{}", node.endpoint);
        let grid = isogrid_client::Grid::connect(&url).await.expect("the node is there");
        let counts = |map: &str| grid.map::<String, i64>(map);
        let packed = counts("from");
        assert_eq!(packed.incr("small", 5).await.expect("counted"), 5);
        assert_eq!(packed.incr("large", -70_000).await.expect("counted"), -70_000);
        let text = grid.raw_map("text");
        assert_eq!(text.incr(b"n", 41).await.expect("counted"), 41);
        for format in FORMATS {
            for map in ["from", "text"] {
                let (file, to) =
                    (folder.file(&format!("{map}.{format}")), format!("{map}-{format}"));
                ok(export(&node, map, &file, &[]));
                ok(import(&node, &to, &file, &[]));
            }
            let packed = counts(&format!("from-{format}"));
            assert_eq!(packed.incr("small", 1).await.expect("a number"), 6, "{format}");
            assert_eq!(packed.incr("large", 1).await.expect("a number"), -69_999, "{format}");
            let text = grid.raw_map(&format!("text-{format}"));
            assert_eq!(text.incr(b"n", 1).await.expect("a number"), 42, "{format}");
        }
    });
}

#[test]
fn an_empty_map_is_an_empty_file_and_a_map_that_is_not_there_is_none() {
    let (folder, node) = (Folder::new(), Node::start(&[]));
    assert_eq!(node.run(&["map", "create", "empty"]).code, 0);
    for format in FORMATS {
        let file = folder.file(&format!("a.{format}"));
        assert_eq!(ok(export(&node, "empty", &file, &[]))["rows"], 0);
        assert_eq!(ok(import(&node, format, &file, &[]))["rows"], 0);
        assert_eq!(node.run(&["map", "info", format]).code, 0, "--create makes it all the same");
        let refused = node.run(&["map", "import", "other", "--from", &file]);
        assert_eq!(refused.code, 1);
        assert!(refused.stderr.contains("--create"), "{}", refused.stderr);
        assert_eq!(node.run(&["map", "info", "other"]).code, 1);
    }
    let refused = export(&node, "nobody", &folder.file("b.csv"), &[]);
    assert_eq!((refused.code, refused.stdout.len()), (1, 0));
    assert!(refused.stderr.contains("no map \"nobody\""), "{}", refused.stderr);
    assert!(!folder.path("b.csv").exists());
}

#[test]
fn keys_can_be_chosen_and_the_format_be_told() {
    let (folder, node) = (Folder::new(), Node::start(&[]));
    for key in ["u1", "u2", "v1"] {
        assert_eq!(node.run(&["map", "put", "m", key, "x"]).code, 0);
    }
    let file = folder.file("plain");
    assert_eq!(export(&node, "m", &file, &[]).code, 2, "no ending says the format");
    let told = ["--format", "csv", "--prefix", "u", "--glob", "*1"];
    assert_eq!(ok(export(&node, "m", &file, &told))["rows"], 1);
    let text = fs::read_to_string(&file).expect("text");
    let head = "key,key_base64,value,value_base64,expires_at,version\n";
    assert!(text.starts_with(&format!("{head}u1,,x,,,")), "{text}");
    assert_eq!(text.lines().count(), 2);
    let again = export(&node, "m", &file, &told);
    assert_eq!(again.code, 2);
    assert!(again.stderr.contains("--force replaces it"), "{}", again.stderr);
    assert_eq!(ok(export(&node, "m", &file, &["--format", "csv", "--force"]))["rows"], 3);
    assert_eq!(import(&node, "n", &file, &[]).code, 2);
    assert_eq!(ok(import(&node, "n", &file, &["--format", "csv"]))["written"], 3);
    let piped = node.run(&["map", "export", "m", "--to", "-", "--format", "parquet", "-o", "json"]);
    assert_eq!((&piped.stdout[..4], piped.code), (&b"PAR1"[..], 0));
    let summary: Value = serde_json::from_str(&piped.stderr).expect("the summary is beside it");
    assert_eq!(summary["bytes"].as_u64(), Some(piped.stdout.len() as u64));
    for pipe in [
        &["map", "export", "m", "--to", "-", "--resume"][..],
        &["map", "import", "m", "--from", "-", "--resume"],
        &["map", "import", "m", "--from", "-", "--format", "parquet"],
    ] {
        assert_eq!(node.run(pipe).code, 2, "{pipe:?}");
    }
}

#[test]
fn what_is_there_stays_or_is_replaced() {
    let node = Node::start(&[]);
    assert_eq!(node.run(&["map", "put", "m", "a", "old"]).code, 0);
    let lines = b"{\"key\":\"a\",\"value\":\"new\"}\n{\"key\":\"b\",\"value\":\"first\"}\n\
                  {\"key\":\"b\",\"value\":\"second\"}\n{\"key\":\"c\",\"value\":\"x\",\"expires_at\":1}\n";
    let run = |more: &[&str]| {
        let import = [&["map", "import", "m", "--from", "-", "-o", "json"], more].concat();
        ok(isogrid_fed(&node.with_endpoint(&import), lines))
    };
    let get = |key: &str| node.run(&["map", "get", "m", key]).text().to_owned();
    let kept = run(&["--if-absent"]);
    assert_eq!(
        (&kept["written"], &kept["present"], &kept["expired"]),
        (&1.into(), &2.into(), &1.into())
    );
    assert_eq!((get("a").as_str(), get("b").as_str()), ("old", "first"));
    for more in [&["--overwrite"][..], &[]] {
        assert_eq!(run(more)["written"], 3);
        assert_eq!(
            (get("a").as_str(), get("b").as_str()),
            ("new", "second"),
            "the later row stays"
        );
    }
    assert_eq!(node.run(&["map", "get", "m", "c"]).code, 1, "what has expired is not written");
    let both = node.run(&["map", "import", "m", "--from", "-", "--if-absent", "--overwrite"]);
    assert_eq!(both.code, 2);
}

#[test]
fn a_bad_line_stops_the_import_and_the_mended_file_is_gone_on_with() {
    let (folder, node) = (Folder::new(), Node::start(&[]));
    let file = folder.file("a.jsonl");
    let line = |n: usize| format!("{{\"key\":\"k{n}\",\"value\":\"v{n}\"}}\n");
    let text: String = (1..=5_000).map(line).collect();
    let bad = text.replace(&line(4_000), "{\"key\":\"k4000\"}\n");
    fs::write(&file, &bad).expect("written");
    let stopped = import(&node, "m", &file, &[]);
    assert_eq!(stopped.code, 4, "{}", stopped.stderr);
    assert!(stopped.stderr.contains("a.jsonl:4000: there is no value"), "{}", stopped.stderr);
    assert!(stopped.stderr.contains("stopped: 3,999 rows into \"m\""), "{}", stopped.stderr);
    assert_eq!(
        (&stopped.json()["written"], &stopped.json()["complete"]),
        (&3_999.into(), &false.into())
    );
    assert_eq!(entries(&node, "m").len(), 3_999);
    assert_eq!(folder.names(), ["a.jsonl", "a.jsonl.import-progress"]);

    let skipped = import(&node, "skipped", &file, &["--skip-bad"]);
    assert_eq!((skipped.code, &skipped.json()["bad"]), (4, &1.into()));
    assert!(skipped.stderr.contains("left out: "), "{}", skipped.stderr);
    assert_eq!(entries(&node, "skipped").len(), 4_999);

    assert_eq!(import(&node, "m", &file, &[]).code, 4);
    fs::write(&file, &text).expect("mended");
    assert_eq!(import(&node, "other", &file, &["--resume"]).code, 2, "it is of another map");
    let rest = ok(import(&node, "m", &file, &["--resume"]));
    assert_eq!((&rest["resumed_rows"], &rest["written"]), (&3_999.into(), &1_001.into()));
    assert_eq!(entries(&node, "m").len(), 5_000);
    assert_eq!(folder.names(), ["a.jsonl"]);
}

#[test]
fn what_the_grid_does_not_take_is_a_bad_row() {
    let node = Node::start(&["--set", "limits.value_bytes_max=1KiB"]);
    let long = "x".repeat(2_000);
    let text = format!("key,value\na,1\nb,{long}\nc,3\n");
    let run = |more: &[&str]| {
        let import =
            ["map", "import", "m", "--from", "-", "--format", "csv", "--create", "-o", "json"];
        isogrid_fed(&node.with_endpoint(&[&import, more].concat()), text.as_bytes())
    };
    let stopped = run(&[]);
    assert_eq!(stopped.code, 4, "{}", stopped.stderr);
    assert!(stopped.stderr.contains("error: -:3: IG-0102"), "{}", stopped.stderr);
    let skipped = run(&["--skip-bad"]);
    assert_eq!(
        (skipped.code, &skipped.json()["written"], &skipped.json()["bad"]),
        (4, &2.into(), &1.into())
    );
    assert_eq!(skipped.json()["complete"], true);
}

/// Fills a map with more than lies between two checkpoints.
fn fill_large(node: &Node, folder: &Folder) -> usize {
    let (file, count) = (folder.path("large.jsonl"), 5 * CHECKPOINT_BYTES / 2 / 16_384);
    let mut out = std::io::BufWriter::new(fs::File::create(&file).expect("created"));
    // Text that does not compress, so that Parquet is large as well.
    let mut state = 1_u64;
    let mut text = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        format!("{:016x}", state ^ (state >> 29))
    };
    for n in 0..count {
        let value: String = (0..1_024).map(|_| text()).collect();
        writeln!(out, "{{\"key\":\"key {n}\",\"value\":\"{value}\"}}").expect("written");
    }
    out.flush().expect("written");
    drop(out);
    ok(import(node, "large", file.to_str().expect("text"), &[]));
    count
}

/// All lines of a map but for their versions, in an order: as [`entries`], for large maps.
fn lines(node: &Node, map: &str) -> Vec<String> {
    let ran = node.run(&["map", "export", map, "--to", "-"]);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    let without_version =
        |line: &str| line.rsplit_once(",\"version\":").map(|(line, _)| line.to_owned());
    let mut lines: Vec<String> = ran.text().lines().filter_map(without_version).collect();
    lines.sort_unstable();
    lines
}

/// The rows that a checkpoint tells of; none while there is no checkpoint.
fn saved_rows(path: &Path) -> u64 {
    let point = fs::read(path).ok().and_then(|bytes| serde_json::from_slice::<Value>(&bytes).ok());
    point.and_then(|point| point["rows"].as_u64()).unwrap_or(0)
}

#[test]
fn a_killed_export_goes_on_and_no_row_is_missing_or_doubled() {
    let (folder, node) = (Folder::new(), Node::start(&[]));
    let count = fill_large(&node, &folder);
    let before = lines(&node, "large");
    assert_eq!(before.len(), count);
    for format in FORMATS {
        let name = format!("a.{format}");
        let (file, beside) = (folder.file(&name), folder.path(&format!("{name}.progress")));
        // A file that must not grow further: the system kills who writes on.
        let blocks = if format == "parquet" { 25_000 } else { 50_000 };
        let export_there = ["map", "export", "large", "--to", &file];
        let line = format!("ulimit -f {blocks}; ulimit -c 0; exec \"$@\"");
        let mut shell = Command::new("bash");
        shell.args(["-c", &line, "bash", env!("CARGO_BIN_EXE_isogrid")]);
        shell.args(node.with_endpoint(&export_there)).stdin(Stdio::null());
        let killed = Ran::from(shell.output().expect("there is a shell"));
        assert_eq!((killed.code, killed.stdout.len()), (-1, 0), "{}", killed.stderr);
        let saved = saved_rows(&beside);
        assert!(saved > 0 && saved < count as u64, "{format}: {saved}");

        let plain = export(&node, "large", &file, &[]);
        assert_eq!(plain.code, 2, "what is unfinished is not replaced unasked");
        assert!(plain.stderr.contains("--resume goes on"), "{}", plain.stderr);
        let early = import(&node, "early", &file, &[]);
        assert_eq!(early.code, 2, "what is unfinished is not imported: {}", early.stderr);
        let differs = export(&node, "large", &file, &["--resume", "--prefix", "k"]);
        assert_eq!(differs.code, 2);
        assert!(differs.stderr.contains("was begun with --prefix"), "{}", differs.stderr);
        let rest = ok(export(&node, "large", &file, &["--resume"]));
        assert_eq!(rest["resumed_rows"].as_u64(), Some(saved), "{format}");
        assert!(!beside.exists());
        let back = ok(import(&node, format, &file, &[]));
        assert_eq!(back["rows"].as_u64(), Some(count as u64), "no row is doubled");
        assert!(lines(&node, format) == before, "{format}: other entries");
        let whole = export(&node, "large", &file, &["--resume"]);
        assert_eq!(whole.code, 2);
        assert!(whole.stderr.contains("is whole"), "{}", whole.stderr);
        fs::remove_file(&file).expect("removed");
        assert_eq!(node.run(&["map", "drop", format, "--yes"]).code, 0);
    }
}

/// Runs a command until it has written a checkpoint, and sends it a signal then; its exit code. What is quicker than the
/// signal is tried again.
fn cut_off(node: &Node, arguments: &[&str], beside: &Path, signal: &str) -> Option<i32> {
    let mut binary = command(&node.with_endpoint(arguments));
    binary.stdout(Stdio::null()).stderr(Stdio::null());
    let mut running = Running(binary.spawn().expect("the binary runs"));
    let mut is_over = false;
    eventually("a checkpoint is written", || {
        is_over = running.0.try_wait().expect("it is our child").is_some();
        is_over || saved_rows(beside) > 0
    });
    if !is_over {
        running.signal(signal);
    }
    running.wait().code()
}

#[test]
fn an_interrupted_export_says_so_and_goes_on() {
    let (folder, node) = (Folder::new(), Node::start(&[]));
    let count = fill_large(&node, &folder);
    let (file, beside) = (folder.file("a.jsonl"), folder.path("a.jsonl.progress"));
    let begun = std::time::Instant::now();
    while cut_off(&node, &["map", "export", "large", "--to", &file, "--force"], &beside, "INT")
        != Some(4)
    {
        assert!(begun.elapsed() < PATIENCE, "it is always whole before the signal");
    }
    let saved = saved_rows(&beside);
    let text = fs::read_to_string(&file).expect("text");
    assert_eq!((text.lines().count() as u64, text.ends_with('\n')), (saved, true));
    let rest = ok(export(&node, "large", &file, &["--resume"]));
    assert_eq!(rest["resumed_rows"].as_u64(), Some(saved));
    assert_eq!(rest["rows"].as_u64(), Some(count as u64));
}

#[test]
fn a_killed_import_goes_on() {
    let (folder, node) = (Folder::new(), Node::start(&[]));
    let count = fill_large(&node, &folder);
    let before = lines(&node, "large");
    assert_eq!(before.len(), count);
    for format in FORMATS {
        let name = format!("a.{format}");
        let (file, beside) = (folder.file(&name), folder.path(&format!("{name}.import-progress")));
        ok(export(&node, "large", &file, &[]));
        let begun = std::time::Instant::now();
        let arguments = ["map", "import", format, "--from", &file, "--create"];
        while cut_off(&node, &arguments, &beside, "KILL").is_some() {
            assert!(begun.elapsed() < PATIENCE, "it is always whole before the signal");
        }
        let saved = saved_rows(&beside);
        assert!(saved > 0 && saved < count as u64, "{format}: {saved}");
        let rest = ok(import(&node, format, &file, &["--resume"]));
        assert_eq!(rest["resumed_rows"].as_u64(), Some(saved));
        assert_eq!(rest["rows"].as_u64(), Some(count as u64 - saved), "{format}");
        assert!(lines(&node, format) == before, "{format}: other entries");
        assert!(!beside.exists());
        assert_eq!(node.run(&["map", "drop", format, "--yes"]).code, 0);
    }
}
