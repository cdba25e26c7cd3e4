//! `isogrid sim`: seeds, schedules, traces and what a failure looks like.

mod common;

use common::{Ran, isogrid, isogrid_fed};
use serde_json::Value;

/// A small run: tests are built without optimization.
const SMALL: [&str; 6] = ["--operations", "600", "--duration", "10s", "--fault-count", "12"];

/// The rule whose absence shows soonest.
const BROKEN: [&str; 2] = ["--break-rule", "shrink-before-ack"];

fn sim(arguments: &[&str]) -> Ran {
    isogrid(&[&["sim"], arguments, &SMALL].concat())
}

fn passing(arguments: &[&str]) -> Value {
    let ran = sim(&[arguments, &["-o", "json"]].concat());
    assert_eq!((ran.code, ran.stderr.as_str()), (0, ""), "{}", ran.text());
    ran.json()
}

fn strings(list: &Value) -> Vec<String> {
    let texts = list.as_array().expect("a list").iter();
    texts.map(|text| text.as_str().expect("a text").to_owned()).collect()
}

#[test]
fn a_seed_passes_and_says_what_it_was_worth() {
    let ran = sim(&["--seed", "1", "--nodes", "5", "--faults", "all"]);
    assert_eq!((ran.code, ran.stderr.as_str()), (0, ""), "{}", ran.text());
    for said in
        ["seed 1: 5 nodes", "12 faults", "FAULT", "PATH", "violations", "seed 1 passes; the hash"]
    {
        assert!(ran.text().contains(said), "{said}: {}", ran.text());
    }
    let object = passing(&["--seed", "1"]);
    assert_eq!((object["good"].as_bool(), object["seed"].as_u64()), (Some(true), Some(1)));
    assert!(object["operations"]["acknowledged"].as_u64() > Some(0), "{object}");
    assert!(object["checks"].as_u64() > Some(0), "{object}");
    assert_eq!(object["plan"]["nodes"], 5);
    assert_eq!(object["trace"], Value::Null, "nobody asked for it");
}

#[test]
fn seeds_add_up_whatever_the_number_of_threads() {
    let one = passing(&["--seeds", "3", "--threads", "1"]);
    assert_eq!(
        (one["seeds"].as_u64(), one["failed_seeds"].as_array().map(Vec::len)),
        (Some(3), Some(0))
    );
    assert_eq!(passing(&["--seeds", "3", "--threads", "2"]), one);
    let second = passing(&["--seeds", "1", "--first", "2"])["operations"].clone();
    assert_eq!(second, passing(&["--seed", "2"])["operations"]);
}

#[test]
fn a_seed_does_the_same_twice() {
    let ran = sim(&["--seed", "4", "--check-replay"]);
    assert_eq!(ran.code, 0, "{}", ran.text());
    assert!(ran.text().contains("passes twice, and does the same twice"), "{}", ran.text());
    assert_eq!(passing(&["--seeds", "2", "--check-replay"])["good"], true);
}

#[test]
fn the_trace_is_printed_whole_or_its_end() {
    let whole = strings(&passing(&["--seed", "1", "--trace"])["trace"]);
    assert!(whole.len() > 1_000, "{} lines", whole.len());
    assert!(whole.iter().any(|line| line.contains("fault")), "faults are events too");
    let end = strings(&passing(&["--seed", "1", "--trace", "5"])["trace"]);
    assert_eq!(end[1..], whole[whole.len() - 5..], "the first line says how many came before");
    assert!(end[0].ends_with("events before"), "{}", end[0]);
}

#[test]
fn a_printed_schedule_can_be_run_edited_and_refused() {
    let printed = sim(&["--seed", "1", "--print-schedule"]);
    assert_eq!((printed.code, printed.text().lines().count()), (0, 12), "{}", printed.stderr);
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("faults");
    std::fs::write(&path, &printed.stdout).expect("the folder can be written");
    let from_file = passing(&["--seed", "1", "--schedule", path.to_str().expect("text")]);
    assert_eq!(from_file, passing(&["--seed", "1"]), "it is the seed's own");

    let fed = |text: &str| {
        let arguments = [&["sim", "--seed", "1", "--schedule", "-", "-o", "json"], &SMALL[..]];
        isogrid_fed(&arguments.concat(), text.as_bytes())
    };
    let edited = fed("# one is enough\nat 3s crash n1 keep-disk for 1s\n");
    assert_eq!((edited.code, edited.stderr.as_str()), (0, ""), "{}", edited.text());
    assert_eq!(edited.json()["faults"].to_string(), r#"{"crash keep-disk":1}"#);
    assert_ne!(edited.json()["trace_hash"], from_file["trace_hash"]);

    for (text, why) in [
        ("at 3s explode n1", "line 1: \"explode n1\" is not a fault"),
        ("at 3s join n1", "n1 is there already, take n5 or above"),
        ("at 3s drift-clock n1 +200000ppm", "a clock drifts by 100000ppm at most"),
    ] {
        let refused = fed(text);
        assert_eq!((refused.code, refused.stdout.len()), (2, 0), "{text}");
        let told = ["--schedule standard input", why, "next:"];
        assert!(told.iter().all(|said| refused.stderr.contains(said)), "{}", refused.stderr);
    }
    let strange = fed("at 3s pause n8 for 1s");
    assert_eq!(strange.code, 0, "{}", strange.stderr);
    assert!(strange.stderr.contains("there is no n8"), "{}", strange.stderr);
}

#[test]
fn a_wrong_command_line_is_explained_and_runs_nothing() {
    for (arguments, why) in [
        (&[] as &[&str], "--seed <N>|--seeds <N>"),
        (&["--seed", "1", "--seeds", "2"], "cannot be used with"),
        (&["--seed", "-1"], "--seed"),
        (&["--seed", "one"], "a seed is a whole number from 0"),
        (&["--seed", "1", "--threads", "2"], "cannot be used with"),
        (&["--seed", "1", "--first", "2"], "cannot be used with"),
        (&["--seeds", "2", "--trace"], "cannot be used with"),
        (&["--seeds", "0"], "0 is not in 1.."),
        (&["--seed", "1", "--nodes", "1"], "1 is not in 2..=9"),
        (&["--seed", "1", "--nodes", "10"], "10 is not in 2..=9"),
        (&["--seed", "1", "--faults", "floods"], "calm, network, crashes, clocks, membership, all"),
        (&["--seed", "1", "--partitions", "12"], "a power of two from 1 to 256"),
        (&["--seed", "1", "--copies", "3", "--nodes", "2"], "fewer copies or more nodes"),
        (&["--seed", "1", "--storage", "tape"], "memory, files, mixed, synced"),
        (&["--seed", "1", "--loss-policy", "hope"], "block, reset, available"),
        (&["--seed", "1", "--duration", "2h"], "from 1s to 1h"),
        (&["--seed", "1", "--trace", "0"], "a number of lines above zero"),
        (&["--seed", "1", "--schedule", "/nowhere/at/all"], "No such file"),
        (&["--seed", "1", "--print-schedule", "--trace"], "cannot be used with"),
        (&["--seeds", "2", "--first", "18446744073709551615"], "the last seed is"),
        (&["--seed", "1", "--break-rule", "gravity"], "match-epochs"),
    ] {
        let ran = isogrid(&[&["sim"], arguments].concat());
        assert_eq!((ran.code, ran.stdout.len()), (2, 0), "{arguments:?}: {}", ran.stderr);
        assert!(ran.stderr.contains(why), "{arguments:?}: {}", ran.stderr);
    }
    let help = isogrid(&["sim", "--help"]);
    assert!(!help.text().contains("--break-rule"), "a rule is broken by those who know");
}

#[test]
fn every_kind_of_cluster_runs() {
    for arguments in [
        &["--nodes", "2", "--storage", "memory", "--faults", "network"] as &[&str],
        &["--nodes", "3", "--copies", "3", "--storage", "synced", "--loss-policy", "block"],
        &["--nodes", "9", "--partitions", "1", "--loss-policy", "available", "--faults", "clocks"],
        &["--nodes", "4", "--copies", "1", "--faults", "calm", "--partitions", "32"],
    ] {
        let object = passing(&[&["--seed", "3", "--shrink-tries", "0"], arguments].concat());
        assert!(object["operations"]["acknowledged"].as_u64() > Some(0), "{arguments:?}: {object}");
    }
}

#[test]
fn a_broken_rule_is_found_made_small_and_fails_again() {
    let few_tries = ["--failures-max", "1", "--shrink-tries", "60", "-o", "json"];
    let found = sim(&[&["--seeds", "60", "--threads", "2"], &BROKEN[..], &few_tries].concat());
    assert_eq!(found.code, 6, "{} {}", found.text(), found.stderr);
    assert!(found.stderr.contains(" fails: "), "it is told when it happens: {}", found.stderr);
    let failure = &found.json()["failure"];
    let seed = failure["seed"].to_string();
    let rule = &failure["violations"][0]["rule"];
    let schedule = strings(&failure["schedule"]);
    assert!(schedule.len() < 12, "{failure}");
    assert!(strings(&failure["trace"]).len() > 1, "{failure}");
    let again = failure["again"].as_str().expect("a command");
    assert!(again.starts_with(&format!("isogrid sim --seed {seed} ")), "{again}");

    // The command that was printed, with the lines that were printed.
    let arguments: Vec<&str> = again.split(' ').skip(1).chain(["--shrink-tries", "0"]).collect();
    let ran = isogrid_fed(&arguments, schedule.join("\n").as_bytes());
    assert_eq!(ran.code, 6, "{}", ran.stderr);
    for said in
        [rule.as_str().expect("a name"), "to run it again", "its trace before the first of these"]
    {
        assert!(ran.text().contains(said), "{said}: {}", ran.text());
    }
    assert!(schedule.iter().all(|line| ran.text().contains(line)), "{}", ran.text());
}
