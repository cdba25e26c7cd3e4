//! The list of clients: every door's, at every node, through HTTP and the command line; and what becomes of one whose connection is ended.

mod common;

use common::data::{ok, runtime};
use common::web::{Events, ask, connect, get, put_json};
use common::{Node, Running, eventually, isogrid};
use isogrid_client::Grid;
use serde_json::Value;
use tokio_postgres::NoTls;

/// Those of a list that are as wanted.
fn find(list: &Value, is_wanted: impl Fn(&Value) -> bool) -> Vec<Value> {
    let clients = list.as_array().unwrap_or_else(|| list["clients"].as_array().expect("a list"));
    clients.iter().filter(|client| is_wanted(client)).cloned().collect()
}

#[test]
fn who_is_connected_is_told_with_what_it_does() {
    let node = Node::start(&["--set", "node.partitions=8"]);
    let http = &node.http;
    runtime().block_on(async {
        let seeds = [node.endpoint.as_str()];
        let grid = Grid::builder().seeds(seeds).client_name("billing").build().await;
        let grid = grid.expect("it is there");
        let map = grid.map::<String, String>("m");
        map.put("k", &"v".repeat(10_000)).await.expect("a write");
        let is_it =
            |client: &Value| client["name"] == "billing" && client["last_operation"] == "put";
        let list = get(http, "/v1/clients").json();
        let found = find(&list, is_it);
        assert_eq!(found.len(), 1, "{list}");
        let client = &found[0];
        assert_eq!(
            (&client["door"], &client["library"]),
            (&"grpc".into(), &"isogrid-client".into())
        );
        assert_eq!(client["version"], env!("CARGO_PKG_VERSION"));
        assert!(client["bytes_in"].as_u64() > Some(10_000), "{client}");
        assert!(client["bytes_out"].as_u64() > Some(0), "{client}");
        assert_eq!(client["in_flight"], 0);
        assert!(client["idle_ms"].as_u64() <= client["age_ms"].as_u64());
        map.get("k").await.expect("a read");
        let list = get(http, "/v1/clients").json();
        let id = &client["id"];
        assert_eq!(find(&list, |one| one["id"] == *id)[0]["last_operation"], "get");
    });
    eventually("who has gone is not there", || {
        find(&get(http, "/v1/clients").json(), |client| client["name"] == "billing").is_empty()
    });
}

#[test]
fn streams_are_in_the_list_and_end_when_they_are_ended() {
    let node = Node::start(&["--set", "node.partitions=8"]);
    let http = &node.http;
    put_json(http, "/v1/maps/m/entries/a", "1");
    let mut events = Events::begin(http, "/v1/maps/m/watch", "");
    events.until_begun();
    let is_watch = |client: &Value| client["last_operation"] == "watch";
    let watch = find(&get(http, "/v1/clients").json(), is_watch).pop().expect("it is there");
    assert_eq!((&watch["door"], &watch["in_flight"]), (&"http".into(), &1.into()), "{watch}");
    let path = format!("/v1/clients/{}", watch["id"].as_str().expect("text"));
    assert_eq!(ask(http, "DELETE", &path, &[], b"").status, 200);
    assert_eq!(events.next(), None, "it ends");
    eventually("it is not there", || find(&get(http, "/v1/clients").json(), is_watch).is_empty());
    assert_eq!(ask(http, "DELETE", &path, &[], b"").status, 404);

    // One that says nothing is there too, and can be ended.
    let silent = connect(http);
    let own = silent.local_addr().expect("connected").to_string();
    let is_it = |client: &Value| client["address"] == *own;
    eventually("it is there", || !find(&get(http, "/v1/clients").json(), is_it).is_empty());
    let id =
        find(&get(http, "/v1/clients").json(), is_it)[0]["id"].as_str().expect("text").to_owned();
    let killed = node.run(&["clients", "kill", &id, "nobody-9", "-o", "json"]);
    assert_eq!(killed.code, 4, "one of two: {}", killed.stderr);
    assert_eq!(killed.json()["ended"][0], *id);
    eventually("it is not there", || find(&get(http, "/v1/clients").json(), is_it).is_empty());
    let none = node.run(&["clients", "kill", "nobody-9"]);
    assert_eq!((none.code, none.stderr.contains("no client nobody-9")), (1, true));
}

#[test]
fn clients_of_postgresql_are_there_with_their_name_and_end_when_they_are_ended() {
    let node = Node::start(&["--pg-addr", "127.0.0.1:0", "--set", "node.partitions=8"]);
    let (host, port) = node.pg.as_deref().and_then(|pg| pg.rsplit_once(':')).expect("it is open");
    let settings = format!("host={host} port={port} user=ann dbname=any application_name=reports");
    let listed = || {
        let list = ok(node.run(&["clients", "ls", "-o", "json"]));
        find(&list, |client| client["door"] == "postgres")
    };
    runtime().block_on(async {
        let (client, connection) =
            tokio_postgres::connect(&settings, NoTls).await.expect("it listens");
        let connection = tokio::spawn(connection);
        client.batch_execute("SELECT 1").await.expect("it answers");
        let found = listed();
        assert_eq!(found.len(), 1, "{found:?}");
        assert_eq!(found[0]["name"], "reports", "{found:?}");
        assert_eq!(found[0]["last_operation"], "statement", "{found:?}");
        assert!(
            found[0]["bytes_in"].as_u64() > Some(0) && found[0]["bytes_out"].as_u64() > Some(0)
        );
        let id = found[0]["id"].as_str().expect("text").to_owned();
        assert_eq!(node.run(&["clients", "kill", &id]).code, 0);
        assert!(client.batch_execute("SELECT 1").await.is_err(), "it was ended");
        assert!(client.is_closed());
        // It may end in an error or without.
        let _ = connection.await.expect("it ends");
    });
    eventually("it is not there", || listed().is_empty());
}

#[test]
fn any_node_lists_those_of_all_and_ends_any() {
    let dev = ["dev", "--port-base", "0", "-o", "json", "--set", "node.cores=1"];
    let (_process, line) = Running::start(&dev);
    let announced: Value = serde_json::from_str(&line).expect("it starts");
    let of =
        |node: usize, what: &str| announced["nodes"][node][what].as_str().expect("text").to_owned();
    runtime().block_on(async {
        let seeds = [of(0, "grpc")];
        let grid = Grid::builder().seeds(seeds).client_name("reports").build().await;
        let grid = grid.expect("it is there");
        let map = grid.map::<u64, u64>("m");
        for n in 0..64 {
            map.put(&n, &n).await.expect("a write");
        }
        let arguments = |all: &[&str]| {
            [all, &["-o", "json", "--endpoint", &of(1, "grpc")]]
                .concat()
                .iter()
                .map(|one| (*one).to_owned())
                .collect::<Vec<_>>()
        };
        let run = |all: &[&str]| {
            let all = arguments(all);
            isogrid(&all.iter().map(String::as_str).collect::<Vec<_>>())
        };
        let is_it = |client: &Value| client["name"] == "reports";
        let list = ok(run(&["clients", "ls"]));
        let nodes: std::collections::BTreeSet<String> = find(&list, is_it)
            .iter()
            .map(|one| one["node"].as_str().expect("text").to_owned())
            .collect();
        assert_eq!(nodes.len(), 3, "it has sessions with all: {list}");
        assert!(find(&list, |one| one["door"] == "node").is_empty());
        let with_nodes = ok(run(&["clients", "ls", "--nodes"]));
        assert!(find(&with_nodes, |one| one["door"] == "node").len() >= 3, "{with_nodes}");
        let here = get(&of(1, "http"), "/v1/clients").json();
        let all = get(&of(1, "http"), "/v1/clients?cluster").json();
        assert!(find(&all, is_it).len() > find(&here, is_it).len());
        assert_eq!(all["missing"], Value::Array(Vec::new()));

        let ids: Vec<String> = find(&list, is_it)
            .iter()
            .map(|one| one["id"].as_str().expect("text").to_owned())
            .collect();
        let kill = ["clients", "kill"];
        let kill: Vec<&str> = kill.into_iter().chain(ids.iter().map(String::as_str)).collect();
        let killed = ok(run(&kill));
        assert_eq!(killed["ended"].as_array().map(Vec::len), Some(ids.len()));
        for n in 0..64 {
            assert_eq!(map.get(&n).await.expect("it connects again"), Some(n));
        }
    });
    let table = isogrid(&["clients", "ls", "--endpoint", &of(0, "grpc")]);
    assert_eq!(table.code, 0);
    assert!(table.text().contains("IN FLIGHT"), "{}", table.text());
}
