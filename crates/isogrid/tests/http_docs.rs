//! The examples of docs/http.md, run as they stand there by a shell and curl.

mod common;

use std::process::Command;

use common::Node;

const DOCUMENT: &str = include_str!("../../../docs/http.md");

/// Where the examples say that the node is.
const ADDRESS: &str = "127.0.0.1:7780";

/// A command, and what it prints.
struct Example {
    command: &'static str,
    lines: Vec<&'static str>,
}

fn examples() -> Vec<Example> {
    let mut examples: Vec<Example> = Vec::new();
    let mut is_within = false;
    for line in DOCUMENT.lines() {
        match (line, line.strip_prefix("$ ")) {
            ("```console", _) => is_within = true,
            ("```", _) => is_within = false,
            (_, Some(command)) if is_within => {
                examples.push(Example { command, lines: Vec::new() });
            }
            (line, None) if is_within => {
                examples.last_mut().expect("a command first").lines.push(line);
            }
            _ => {}
        }
    }
    examples
}

/// Numbers differ from run to run.
fn without_numbers(line: &str) -> String {
    let mut plain = String::new();
    for character in line.trim_end().chars() {
        match character {
            '0'..='9' if plain.ends_with('#') => {}
            '0'..='9' => plain.push('#'),
            other => plain.push(other),
        }
    }
    plain
}

#[test]
fn the_examples_print_what_they_say() {
    let curl = Command::new("curl").arg("--version").output();
    assert!(curl.is_ok_and(|curl| curl.status.success()), "curl is needed");
    let node = Node::start(&[]);
    let examples = examples();
    assert!(examples.len() > 10, "{}", examples.len());
    for Example { command, lines } in examples {
        let here = command.replace(ADDRESS, &node.http);
        let ran = Command::new("sh").args(["-c", &here]).output().expect("there is a shell");
        let printed = String::from_utf8(ran.stdout).expect("text");
        let printed: Vec<String> = printed.lines().map(without_numbers).collect();
        let expected = lines.iter().filter(|line| **line != "…").map(|line| without_numbers(line));
        if lines.contains(&"…") {
            // These lines in this order, and whatever else.
            let mut rest = printed.iter();
            for line in expected {
                let line = line.split("\"cursor\"").next().unwrap_or_default().to_owned();
                assert!(rest.any(|one| one.starts_with(&line)), "{command}\n{line}\n{printed:#?}");
            }
        } else {
            assert_eq!(printed, expected.collect::<Vec<_>>(), "{command}");
        }
    }
}
