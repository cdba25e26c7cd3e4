//! SUBSCRIBE with real processes: what is folded from its events is what the same SELECT gives, also when a node is killed, and what the command line prints.

mod common;

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::process::{ChildStdout, Stdio};
use std::time::{Duration, Instant};

use common::data::{grid, runtime};
use common::{Node, PATIENCE, Running, command, signal};
use isogrid_client::arrow::array::{Array, AsArray, RecordBatch};
use isogrid_client::arrow::datatypes::Int64Type;
use isogrid_client::{Grid, Json, Map, Subscription};
use serde::Deserialize;
use serde_json::{Value, json};

const ADULTS: &str = "SELECT name, age FROM people WHERE age >= $1";
const OLDEST: &str =
    "SELECT name, age FROM people WHERE age >= $1 ORDER BY age DESC, _key LIMIT 10";

type People = Map<String, Value, Json>;
type Shown = BTreeMap<String, (String, i64)>;

/// Somebody, by chance that is the same every time.
fn person(chance: &mut u64) -> (String, Value) {
    let mut below = |end: u64| {
        *chance =
            chance.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (*chance >> 33) % end
    };
    let key = format!("p{}", below(200));
    (key.clone(), json!({"name": format!("n{key}{}", below(50)), "age": below(90)}))
}

async fn write(people: &People, chance: &mut u64, writes: usize) {
    for _ in 0..writes {
        let (key, person) = person(chance);
        if person["age"].as_u64() < Some(20) {
            people.delete(&key).await.expect("it takes writes");
        } else {
            people.put(&key, &person).await.expect("it takes writes");
        }
    }
}

/// What a statement gives now.
async fn selected(grid: &Grid, statement: &str) -> Shown {
    #[derive(Deserialize)]
    struct Row {
        _key: String,
        name: String,
        age: i64,
    }
    let statement = statement.replacen("SELECT", "SELECT _key,", 1);
    let begun = Instant::now();
    loop {
        match grid.sql(statement.clone()).bind(30).fetch::<Row>().await {
            Ok(rows) => {
                return rows.into_iter().map(|row| (row._key, (row.name, row.age))).collect();
            }
            Err(error) => assert!(begun.elapsed() < PATIENCE, "{error}"),
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

fn fold(shown: &mut Shown, batch: &RecordBatch) {
    let text = |place: usize| batch.column(place).as_string::<i32>();
    let (events, keys, names) = (text(0), text(1), text(2));
    let ages = batch.column(3).as_primitive::<Int64Type>();
    for row in 0..batch.num_rows() {
        let key = keys.value(row).to_owned();
        let now = || (names.value(row).to_owned(), ages.value(row));
        let was_shown = match events.value(row) {
            "enter" => shown.insert(key.clone(), now()).is_none(),
            "update" => shown.insert(key.clone(), now()).is_some(),
            "leave" => names.is_null(row) && shown.remove(&key).is_some(),
            other => panic!("{other}"),
        };
        assert!(was_shown, "{} of {key}", events.value(row));
    }
}

/// Takes events until what is folded is what the statement gives.
async fn until_right(events: &mut Subscription, shown: &mut Shown, expected: &Shown, when: &str) {
    let begun = Instant::now();
    while shown != expected {
        let left = PATIENCE.saturating_sub(begun.elapsed());
        match tokio::time::timeout(left, events.next()).await {
            Ok(batch) => fold(shown, &batch.expect("it goes on").expect("the client is open")),
            Err(_) => panic!("{when}: {shown:?} is not {expected:?}"),
        }
    }
}

#[test]
fn what_is_folded_is_what_the_statement_gives_also_when_a_node_is_killed() {
    let dev = ["dev", "--port-base", "0", "-o", "json", "--set", "node.cores=1"];
    let (mut dev, line) = Running::start(&dev);
    let announced: Value = serde_json::from_str(&line).expect("it starts");
    let node = |index: usize, what: &str| announced["nodes"][index][what].clone();
    let endpoints: Vec<String> =
        (0..3).map(|index| node(index, "grpc").as_str().expect("an address").to_owned()).collect();
    runtime().block_on(async {
        let grid = Grid::builder().seeds(endpoints).request_timeout(PATIENCE).build().await;
        let grid = grid.expect("it is there");
        let people = grid.map_with::<String, Value, _>("people", Json);
        let mut chance = 11;
        write(&people, &mut chance, 300).await;
        let subscribe = async |statement: &str| {
            // Equal ages stand in the order of their keys anyhow.
            let statement = format!("SUBSCRIBE {}", statement.replace(", _key", ""));
            grid.sql(statement).bind(30).subscribe().await.expect("it begins")
        };
        let (mut adults, mut oldest) = (subscribe(ADULTS).await, subscribe(OLDEST).await);
        let (mut all, mut first) = (Shown::new(), Shown::new());
        for round in 0..6 {
            write(&people, &mut chance, 100).await;
            if round == 3 {
                let pid = node(2, "pid").as_u64().and_then(|pid| u32::try_from(pid).ok());
                signal(pid.expect("a number"), "KILL");
                write(&people, &mut chance, 100).await;
            }
            let when = format!("round {round}");
            until_right(&mut adults, &mut all, &selected(&grid, ADULTS).await, &when).await;
            until_right(&mut oldest, &mut first, &selected(&grid, OLDEST).await, &when).await;
            assert_eq!(first.len(), 10);
        }
    });
    dev.signal("TERM");
    assert_eq!(dev.wait().code(), Some(0), "{}", dev.stderr());
}

/// A command whose lines come while it runs.
struct Lines {
    process: Running,
    lines: std::io::Lines<BufReader<ChildStdout>>,
}

impl Lines {
    fn of(arguments: &[&str]) -> Lines {
        let mut child = command(arguments)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("it starts");
        let lines = BufReader::new(child.stdout.take().expect("piped")).lines();
        Lines { process: Running(child), lines }
    }

    fn next(&mut self) -> String {
        self.lines.next().expect("it goes on").expect("text")
    }
}

#[test]
fn the_command_line_prints_events_as_they_come() {
    let node = Node::start(&[]);
    let put = |key: &str, age: u32| {
        let value = json!({"name": key.to_uppercase(), "age": age}).to_string();
        let ran = node.run(&["map", "put", "people", key, &value]);
        assert_eq!(ran.code, 0, "{}", ran.stderr);
    };
    put("ann", 41);
    put("bo", 7);
    let statement = "SUBSCRIBE SELECT name, age FROM people WHERE age >= $1";
    let follow = |format: &str| {
        let arguments = ["sql", statement, "--bind", "18", "--format", format];
        Lines::of(&node.with_endpoint(&arguments))
    };
    let (mut json, mut csv, mut table) = (follow("json"), follow("csv"), follow("table"));
    assert_eq!(json.next(), r#"{"_event":"enter","_key":"ann","name":"ANN","age":41}"#);
    assert_eq!(csv.next(), "_event,_key,name,age");
    assert_eq!(csv.next(), "enter,ann,ANN,41");
    assert_eq!(table.next(), "_event\t_key\tname\tage");
    assert_eq!(table.next(), "enter\tann\tANN\t41");
    put("bo", 18);
    assert_eq!(json.next(), r#"{"_event":"enter","_key":"bo","name":"BO","age":18}"#);
    put("bo", 19);
    assert_eq!(json.next(), r#"{"_event":"update","_key":"bo","name":"BO","age":19}"#);
    put("bo", 17);
    assert_eq!(json.next(), r#"{"_event":"leave","_key":"bo"}"#);
    for expected in ["enter,bo,BO,18", "update,bo,BO,19", "leave,bo,,"] {
        assert_eq!(csv.next(), expected);
    }
    for mut followed in [json, csv, table] {
        followed.process.signal("INT");
        assert!(!followed.process.wait().success(), "it was interrupted");
    }
}

#[test]
fn what_cannot_be_watched_is_refused_with_what_to_do() {
    let node = Node::start(&[]);
    runtime().block_on(async {
        let grid = grid(&node.endpoint).await;
        let people = grid.map_with::<String, Value, _>("people", Json);
        people.put("p", &json!({"age": 3})).await.expect("it takes writes");
        let ended = grid.sql("SUBSCRIBE SELECT age FROM people").run().await.map(|_| ());
        assert!(ended.expect_err("it has no end").to_string().contains("subscribe()"));
    });
    for (statement, why) in [
        ("SUBSCRIBE SELECT count(*) FROM people", "count(*)"),
        ("SUBSCRIBE SELECT age FROM nowhere", "nowhere"),
        ("SUBSCRIBE SELECT age FROM people ORDER BY age", "LIMIT"),
        ("SUBSCRIBE garbage", "garbage"),
        ("SUBSCRIBE", "SUBSCRIBE"),
    ] {
        let ran = node.run(&["sql", statement]);
        assert_eq!((ran.code, ran.stdout.len()), (1, 0), "{statement}: {}", ran.stderr);
        for part in ["IG-0115", why, "next:"] {
            assert!(ran.stderr.contains(part), "{statement}: {part}: {}", ran.stderr);
        }
    }
}
