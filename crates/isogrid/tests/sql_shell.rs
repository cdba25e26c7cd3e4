//! The shell of `isogrid sql` on a pseudo terminal, and statements that are fed to it where there is none.

mod common;

use std::fs::File;
use std::io::{Read, Write};
use std::path::Path;
use std::process::Stdio;
use std::sync::{Arc, Mutex};

use common::data::{grid, put, runtime};
use common::{Node, Running, command, eventually, isogrid_fed};
use nix::pty::{Winsize, openpty};

/// A terminal with a shell in it.
struct Terminal {
    shell: Running,
    keys: File,
    screen: Arc<Mutex<String>>,
}

impl Terminal {
    fn open(node: &Node, home: &Path, arguments: &[&str]) -> Terminal {
        let size = Winsize { ws_row: 50, ws_col: 200, ws_xpixel: 0, ws_ypixel: 0 };
        let pty = openpty(&size, None).expect("there are terminals");
        let end = || Stdio::from(pty.slave.try_clone().expect("it is open"));
        let mut shell = command(&node.with_endpoint(&[&["sql"], arguments].concat()));
        shell.env("TERM", "xterm").env("XDG_STATE_HOME", home);
        let shell = shell.stdin(end()).stdout(end()).stderr(end()).spawn().expect("it runs");
        drop(pty.slave);
        let screen = Arc::new(Mutex::new(String::new()));
        let (shown, mut output) =
            (Arc::clone(&screen), File::from(pty.master.try_clone().expect("it is open")));
        std::thread::Builder::new()
            .spawn(move || {
                let mut bytes = [0; 4096];
                // It ends with an error when nobody holds the other end any more.
                while let Ok(count @ 1..) = output.read(&mut bytes) {
                    let text = String::from_utf8_lossy(&bytes[..count]).into_owned();
                    shown.lock().expect("nobody panics with it").push_str(&text);
                }
            })
            .expect("a thread");
        let mut terminal = Terminal { shell: Running(shell), keys: File::from(pty.master), screen };
        terminal.awaits("isogrid> ");
        terminal
    }

    /// Types, and forgets what was on the screen before.
    fn types(&mut self, keys: &str) {
        self.screen.lock().expect("nobody panics with it").clear();
        self.keys.write_all(keys.as_bytes()).expect("it is open");
    }

    /// Waits until the screen shows a text; gives all that it has shown since the last keys.
    fn awaits(&mut self, text: &str) -> String {
        let screen = Arc::clone(&self.screen);
        let shown = || screen.lock().expect("nobody panics with it").clone();
        let begun = std::time::Instant::now();
        while !shown().contains(text) {
            assert!(begun.elapsed() < common::PATIENCE, "no {text:?} in {:?}", shown());
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
        shown()
    }

    /// Types a line and waits for a text, and for the next prompt behind it.
    fn says(&mut self, line: &str, text: &str) -> String {
        self.types(&format!("{line}\r"));
        self.awaits(text);
        let screen = Arc::clone(&self.screen);
        eventually("the next prompt", || {
            let shown = screen.lock().expect("nobody panics with it");
            shown.rfind("isogrid> ") > shown.rfind(text)
        });
        self.awaits(text)
    }

    /// Waits for the end.
    fn ends(mut self) {
        assert_eq!(self.shell.wait().code(), Some(0));
    }
}

fn start() -> (Node, tempfile::TempDir) {
    let node = Node::start(&["--set", "limits.sql_time_ms_max=60000"]);
    runtime().block_on(async {
        let grid = grid(&node.endpoint).await;
        for n in 0..300 {
            let person = format!("{{\"nickname\": \"nick{n}\", \"n\": {n}}}");
            put(&grid, "people", &n.to_string(), person.as_bytes()).await;
        }
    });
    (node, tempfile::tempdir().expect("a folder"))
}

#[test]
fn statements_are_typed_and_errors_end_nothing() {
    let (node, home) = start();
    let mut terminal = Terminal::open(&node, home.path(), &[]);
    terminal.says("SELECT 41 + 1 AS answer;", "42");
    terminal.says("SELEC 1;", "IG-0115");
    terminal.says("SELECT nickname FROM people\r WHERE n = 7\r;", "nick7");
    let two = terminal.says("SELECT 100 + 11; SELECT 200 + 22;", "222");
    assert!(two.contains("111"), "{two}");
    terminal.says("\\d", "MAP");
    terminal.says("\\d people", "nickname");
    terminal.says("\\format json", "isogrid> ");
    terminal.says("SELECT n * 11 AS eleven FROM people WHERE n = 3;", "{\"eleven\":33}");
    terminal.says("\\timing on", "timing is on");
    terminal.says("SELECT 1;", " ms");
    terminal.says("\\nothing", "\\? lists what is");
    terminal.says("\\?", "Ctrl-C");
    // What was begun is cleared.
    terminal.types("SELECT 'begun\x03");
    terminal.awaits("isogrid> ");
    terminal.says("SELECT 50 + 5 AS x;", "{\"x\":55}");
    terminal.types("\x04");
    terminal.ends();
}

#[test]
fn a_statement_that_runs_is_cancelled() {
    let (node, home) = start();
    let mut terminal = Terminal::open(&node, home.path(), &["--format", "csv"]);
    let begun = std::time::Instant::now();
    terminal.types("SELECT count(*) FROM people a, people b, people c, people d, people e WHERE a.n + b.n + c.n + d.n + e.n < 0;\r");
    let metrics = || common::http_get(&node.http, "/metrics").expect("it listens");
    eventually("it runs", || {
        let metrics = metrics();
        let line = metrics.lines().find(|line| line.starts_with("isogrid_query_rows_scanned"));
        !line.expect("a figure").ends_with(" 0")
    });
    // What the terminal sends for Ctrl-C while nobody reads keys.
    terminal.shell.signal("INT");
    terminal.awaits("the statement was cancelled");
    assert!(begun.elapsed() < std::time::Duration::from_secs(30), "{:?}", begun.elapsed());
    terminal.says("SELECT 6 * 7 AS x;", "42");
    terminal.says("\\watch now", "from 0.1 to 86400");
    terminal.types("\\watch 0.1\r");
    let screen = Arc::clone(&terminal.screen);
    eventually("it is asked again", || {
        screen.lock().expect("nobody panics with it").matches("42").count() >= 3
    });
    terminal.shell.signal("INT");
    terminal.says("SELECT 5 * 5 AS x;", "25");
    terminal.types("\\q\r");
    terminal.ends();
}

#[test]
fn names_are_completed_and_lines_are_kept() {
    let (node, home) = start();
    let mut terminal = Terminal::open(&node, home.path(), &["--format", "csv"]);
    terminal.says("SELECT count(*) + 1000 FROM peop\t;", "1300");
    terminal.says("SELECT n + 1000 FROM people WHERE nickn\t = 'nick9';", "1009");
    terminal.says("selec\t 7 * 9;", "63");
    terminal.types("\x04");
    terminal.ends();
    let file = home.path().join("isogrid/sql_history");
    let kept = std::fs::read_to_string(&file).expect("it is kept");
    assert!(kept.contains("FROM people;"), "{kept}");
    use std::os::unix::fs::PermissionsExt;
    let mode = std::fs::metadata(&file).expect("it is there").permissions().mode();
    assert_eq!(mode & 0o077, 0, "nobody else reads it");
    let mut terminal = Terminal::open(&node, home.path(), &["--format", "csv"]);
    terminal.says("\x1b[A", "63");
    terminal.types("\\q\r");
    terminal.ends();
}

#[test]
fn statements_are_read_where_there_is_no_terminal() {
    let (node, home) = start();
    let fed = |arguments: &[&str], text: &str| {
        isogrid_fed(
            &node.with_endpoint(&[&["sql", "--format", "csv"], arguments].concat()),
            text.as_bytes(),
        )
    };
    let two = "SELECT 1 AS a; -- one; and\nSELECT ';' AS b\n";
    for arguments in [&[][..], &["-f", "-"]] {
        let ran = fed(arguments, two);
        assert_eq!((ran.code, ran.text()), (0, "a\n1\nb\n;\n"), "{}", ran.stderr);
    }
    let file = home.path().join("two.sql");
    std::fs::write(&file, two).expect("it is written");
    let ran = node.run(&["sql", "--format", "csv", "-f", file.to_str().expect("text")]);
    assert_eq!(ran.text(), "a\n1\nb\n;\n");
    let ran = fed(&[], "SELECT 1 AS a; SELEC 2; SELECT 3");
    assert_eq!((ran.code, ran.text()), (1, "a\n1\n"), "it ends at the first that fails");
    assert!(ran.stderr.contains("IG-0115"), "{}", ran.stderr);
    let ran = fed(&["--bind", "7"], "SELECT $1");
    assert_eq!((ran.code, ran.text().lines().nth(1)), (0, Some("7")), "{}", ran.stderr);
    let ran = fed(&["--bind", "7"], "SELECT $1; SELECT 2");
    assert!(ran.code == 2 && ran.stderr.contains("--bind is for one"), "{}", ran.stderr);
    let ran = fed(&[], " \n");
    assert!(ran.code == 1 && ran.stderr.contains("IG-0115"), "{} {}", ran.code, ran.stderr);
}
