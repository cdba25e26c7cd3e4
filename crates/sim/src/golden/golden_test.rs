//! Tests of golden scripts: commands, output, differences and rewriting.

use super::*;

fn echo(command: &Command) -> String {
    match command.name.as_str() {
        "silent" => String::new(),
        "lines" => "one\n\nthree\n".to_owned(),
        _ => {
            let arguments = command.arguments.iter().map(|argument| match &argument.key {
                Some(key) => format!(" {key}->{}", argument.value),
                None => format!(" {}", argument.value),
            });
            format!("{}:{}", command.name, arguments.collect::<String>())
        }
    }
}

const SCRIPT: &str = "\
# A comment.

put k1 v1 node=n2 # another
get k1 level=\"at least\"
---
put: k1 v1 node->n2
get: k1 level->at least

silent
---
ok

lines
---
> one
>
> three
";

fn in_file<T>(name: &str, script: &str, test: impl FnOnce(&Path) -> T) -> T {
    let path = env::temp_dir().join(format!("isogrid-golden-{}-{name}", std::process::id()));
    fs::write(&path, script).unwrap();
    let result = test(&path);
    fs::remove_file(&path).unwrap();
    result
}

#[test]
fn a_good_script_is_as_it_was() {
    assert_eq!(fill(SCRIPT, &mut echo).as_deref(), Ok(SCRIPT));
    in_file("good", SCRIPT, |path| run_file(path, false, &mut echo).unwrap());
}

#[test]
fn another_output_is_a_difference_with_its_line() {
    let script = SCRIPT.replace("put: k1 v1", "put: k1 v2");
    let error = in_file("differs", &script, |path| run_file(path, false, &mut echo).unwrap_err());
    let GoldenError::Differs { line, difference } = &error else { panic!("{error}") };
    assert_eq!(*line, 6);
    let lines: Vec<&str> = difference.lines().collect();
    assert_eq!(lines[3..5], ["- put: k1 v2 node->n2", "+ put: k1 v1 node->n2"]);
    assert!(format!("{error:?}").contains("UPDATE_GOLDEN=1"));
}

#[test]
fn missing_and_surplus_output_are_differences() {
    for script in [
        SCRIPT.replace("ok\n", ""),
        SCRIPT.replace("ok\n", "ok\nmore\n"),
        SCRIPT.replace("> three\n", ""),
    ] {
        let actual = fill(&script, &mut echo).unwrap();
        assert_eq!(actual, SCRIPT);
        let GoldenError::Differs { difference, .. } = difference(&script, &actual) else {
            panic!("another error")
        };
        assert!(difference.contains("\n- more") || difference.contains("\n+ "), "{difference}");
    }
}

#[test]
fn a_new_script_is_filled() {
    let filled = fill("a x=1\nb\n---\n\nc\n---\n", &mut echo).unwrap();
    assert_eq!(filled, "a x=1\nb\n---\na: x->1\nb:\n\nc\n---\nc:\n");
}

#[test]
fn an_update_writes_what_was_printed() {
    let script = SCRIPT.replace("put: k1 v1", "put: k1 v2");
    let written = in_file("update", &script, |path| {
        run_file(path, true, &mut echo).unwrap();
        fs::read_to_string(path).unwrap()
    });
    assert_eq!(written, SCRIPT);
}

#[test]
fn what_is_not_a_script_is_refused_with_its_line() {
    let refused = |script: &str| fill(script, &mut echo).unwrap_err().to_string();
    assert_eq!(refused("a\n"), "line 1: commands without --- at the end");
    assert_eq!(refused("\n---\n"), "line 2: --- without a command before it");
    assert_eq!(refused("a\n\nb\n---\n"), "line 2: an empty line between commands and their ---");
    assert_eq!(refused("a \"b\n---\n"), "line 1: a quote is not closed");
    assert_eq!(refused("a \"b\"c\n---\n"), "line 1: a space is missing before \"c\"");
    assert_eq!(refused("a=b\n---\n"), "line 1: a command begins with its name");
    assert_eq!(refused("a =b\n---\n"), "line 1: a key is a bare word, not \"\"");
    assert_eq!(refused("a \"\\x\"\n---\n"), "line 1: only \\\", \\\\ and \\n are known");
    assert!(run("no/such.golden", &mut echo).unwrap_err().to_string().contains("no/such.golden"));
}

#[test]
fn arguments_are_found_by_place_and_by_key() {
    let line = r#"put k1 ttl=5 "a \"b\"\n" ttl=7 empty="" number=x"#;
    let command = Command::parse(line, 3).unwrap().unwrap();
    assert_eq!(command.word(0), Some("k1"));
    assert_eq!(command.word(1), Some("a \"b\"\n"));
    assert_eq!(command.word(2), None);
    assert_eq!(command.get("ttl"), Some("7"));
    assert_eq!(command.get("empty"), Some(""));
    assert_eq!(command.parse_key::<u64>("ttl"), Ok(Some(7)));
    assert_eq!(command.parse_key::<u64>("absent"), Ok(None));
    assert_eq!(command.parse_key::<u64>("number"), Err("line 3: number has a wrong value".into()));
    assert_eq!(command.parse_word::<u64>(0), Err("line 3: argument 1 has a wrong value".into()));
    assert_eq!(command.parse_word::<String>(5), Err("line 3: argument 6 is missing".into()));
    assert_eq!(Command::parse("  # only a comment", 1).unwrap(), None);
}

#[test]
fn every_script_of_a_folder_is_run_with_an_executor_of_its_own() {
    let folder = env::temp_dir().join(format!("isogrid-golden-{}", std::process::id()));
    fs::create_dir_all(&folder).unwrap();
    let script = "count\n---\n1\n";
    for name in ["a.golden", "b.golden", "c.txt"] {
        fs::write(folder.join(name), script).unwrap();
    }
    let mut fresh = || {
        let mut count = 0;
        move |_: &Command| {
            count += 1;
            count.to_string()
        }
    };
    assert_eq!(run_all(&folder, &mut fresh), Ok(2));
    fs::write(folder.join("b.golden"), "count\n---\n2\n").unwrap();
    let (path, _) = run_all(&folder, &mut fresh).unwrap_err();
    assert!(path.ends_with("b.golden"));
    fs::remove_dir_all(&folder).unwrap();
}
