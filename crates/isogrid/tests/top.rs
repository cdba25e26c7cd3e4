//! `isogrid top`: one frame as text, and on a pseudo terminal: keys, a node that dies, an end that leaves the terminal as it was.

mod common;

use std::fs::File;
use std::io::{Read, Write};
use std::process::Stdio;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use common::data::{grid, runtime};
use common::local::Local;
use common::{Running, command, eventually, isogrid, signal};
use nix::pty::{Winsize, openpty};
use nix::sys::termios::{LocalFlags, tcgetattr};

/// A terminal with `top` in it.
struct Terminal {
    top: Running,
    keys: File,
    shown: Arc<Mutex<String>>,
}

impl Terminal {
    fn open(endpoint: &str, rows: u16, columns: u16) -> Terminal {
        let size = Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
        let pty = openpty(&size, None).expect("there are terminals");
        let end = || Stdio::from(pty.slave.try_clone().expect("it is open"));
        let mut top = command(&["top", "--interval", "100ms", "--endpoint", endpoint]);
        let top = top.env("TERM", "xterm").stdin(end()).stdout(end()).stderr(end());
        let top = Running(top.spawn().expect("the binary runs"));
        let shown = Arc::new(Mutex::new(String::new()));
        let (told, mut output) =
            (Arc::clone(&shown), File::from(pty.master.try_clone().expect("it is open")));
        std::thread::Builder::new()
            .spawn(move || {
                let mut bytes = [0; 4096];
                // It ends with an error when nobody holds the other end any more.
                while let Ok(count @ 1..) = output.read(&mut bytes) {
                    let text = String::from_utf8_lossy(&bytes[..count]).into_owned();
                    told.lock().expect("nobody panics with it").push_str(&text);
                }
            })
            .expect("a thread");
        drop(pty.slave);
        Terminal { top, keys: File::from(pty.master), shown }
    }

    /// Waits until something was drawn since it was last forgotten.
    fn awaits(&self, text: &str) {
        eventually(text, || self.shown.lock().expect("nobody panics with it").contains(text));
    }

    fn forget(&self) {
        self.shown.lock().expect("nobody panics with it").clear();
    }

    fn types(&mut self, keys: &str) {
        self.keys.write_all(keys.as_bytes()).expect("it is open");
    }

    /// Ends with this, and has given the terminal back.
    fn ends(mut self, how: impl FnOnce(&mut Terminal)) {
        how(&mut self);
        assert_eq!(self.top.wait().code(), Some(0));
        self.awaits("\u{1b}[?1049l");
        let flags = tcgetattr(&self.keys).expect("it is a terminal").local_flags;
        assert!(flags.contains(LocalFlags::ICANON | LocalFlags::ECHO), "{flags:?}");
    }
}

#[test]
fn one_frame_is_printed_with_what_the_cluster_does() {
    let cluster = Local::start(&[]);
    cluster.safe();
    let endpoint = cluster.endpoint(0).to_owned();
    let load = std::thread::spawn(move || {
        runtime().block_on(async {
            let grid = grid(&endpoint).await;
            let map = grid.raw_map("orders");
            let value = Bytes::from_static(b"v");
            let begun = std::time::Instant::now();
            while begun.elapsed() < std::time::Duration::from_secs(4) {
                let entries = (0..1_000_u32).map(|n| match n % 2 {
                    0 => (Bytes::from_static(b"hot"), value.clone()),
                    _ => (Bytes::from(format!("k{n}")), value.clone()),
                });
                map.put_many(entries).await.expect("it takes writes").all().expect("all");
            }
        });
    });
    let mut frame = String::new();
    eventually("the load is seen", || {
        let ran = cluster.at(1, &["top", "--once", "--interval", "300ms"]);
        assert_eq!(ran.code, 0, "{}", ran.stderr);
        frame = ran.text().to_owned();
        frame.lines().any(|line| line.starts_with("hot ") && line.contains("orders"))
    });
    assert_eq!(frame.lines().count(), 24, "{frame}");
    assert!(frame.lines().all(|line| line.chars().count() <= 80), "{frame}");
    for part in
        ["healthy, safe", "node-0", "node-1", "node-2", "OPS/Sv", "HOT KEY", "nothing moves"]
    {
        assert!(frame.contains(part), "no {part:?} in\n{frame}");
    }
    let ops = frame.lines().nth(1).and_then(|line| line.split_whitespace().nth(1));
    let ops: f64 = ops.expect("a figure").replace(',', "").parse().expect("a number");
    assert!(ops > 100.0, "{frame}");
    load.join().expect("it ends");
    let wide = cluster.at(2, &["top", "--once", "--size", "160x50"]);
    assert_eq!(wide.text().lines().count(), 50);
    assert!(wide.text().contains("VERSION"), "{}", wide.text());
    cluster.stop();
}

#[test]
fn it_goes_on_when_the_node_dies_that_it_asked_and_ends_when_it_is_told() {
    let cluster = Local::start(&[]);
    cluster.safe();
    let mut terminal = Terminal::open(cluster.endpoint(0), 24, 80);
    terminal.awaits("OPS/Sv");
    terminal.forget();
    terminal.types("\u{1b}[C");
    terminal.awaits("MEMORYv");
    terminal.forget();
    terminal.types("s");
    // Only what differs is drawn.
    terminal.awaits("^");
    terminal.forget();
    signal(cluster.pid(0), "KILL");
    terminal.awaits("down");
    terminal.types("\u{1b}[B\u{1b}[A");
    // Ctrl-C is a key here.
    terminal.ends(|terminal| terminal.types("\u{3}"));

    let terminal = Terminal::open(cluster.endpoint(1), 50, 160);
    terminal.awaits("VERSION");
    terminal.ends(|terminal| terminal.types("q"));
    let terminal = Terminal::open(cluster.endpoint(1), 24, 80);
    terminal.awaits("OPS/Sv");
    terminal.ends(|terminal| terminal.top.signal("TERM"));
}

#[test]
fn without_a_node_or_a_terminal_it_says_so_in_a_line() {
    let nobody = isogrid(&["top", "--once", "--endpoint", "127.0.0.1:1"]);
    assert_eq!(nobody.code, 3, "{}", nobody.stderr);
    assert!(nobody.stderr.contains("IG-0307"), "{}", nobody.stderr);
    for arguments in [
        &["top", "--endpoint", "127.0.0.1:1"] as &[&str],
        &["top", "--once", "--size", "wide"],
        &["top", "--size", "80x24"],
        &["top", "--once", "-o", "json"],
    ] {
        let ran = isogrid(arguments);
        assert_eq!(ran.code, 2, "{arguments:?} {}", ran.stderr);
        assert!(ran.stdout.is_empty(), "{}", ran.text());
    }
}
