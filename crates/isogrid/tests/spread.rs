//! Statements over several real nodes: where their parts run, what is told of what goes wrong there, and who may ask for parts.

mod common;

use common::data::{grid, runtime};
use common::{Node, Running, http_get, isogrid};
use serde_json::{Value, json};
use tonic::client::Grpc;
use tonic::codegen::http::uri::PathAndQuery;
use tonic::transport::Endpoint;
use tonic::{Code, Request};
use tonic_prost::ProstCodec;

/// Three nodes with 3,000 orders of 300 tenants.
struct Cluster {
    process: Running,
    grpc: Vec<String>,
    http: Vec<String>,
}

impl Cluster {
    fn start() -> Cluster {
        let dev = ["dev", "--port-base", "0", "-o", "json", "--set", "node.cores=1"];
        let (process, line) = Running::start(&dev);
        let announced: Value = serde_json::from_str(&line).expect("it starts");
        let each = |what: &str| -> Vec<String> {
            let nodes = announced["nodes"].as_array().expect("nodes").iter();
            nodes.map(|node| node[what].as_str().expect("an address").to_owned()).collect()
        };
        let cluster = Cluster { grpc: each("grpc"), http: each("http"), process };
        let columns = "CREATE MAP orders (tenant TEXT, n BIGINT, note TEXT) PARTITION BY tenant";
        assert_eq!(cluster.rows(0, columns), ["created"]);
        runtime().block_on(async {
            let grid = grid(&cluster.grpc[0]).await;
            let map = grid.map::<String, Value>("orders");
            let order = |n: i64| {
                let tenant = format!("t{}", n % 300);
                let order = json!({"tenant": tenant, "n": n, "note": format!("note {n}")});
                (format!("{{{tenant}}}:{n}"), order)
            };
            map.put_many((0..3_000).map(order)).await.expect("it answers").all().expect("all");
        });
        cluster
    }

    /// What a node answers, as CSV without its header line.
    fn rows(&self, node: usize, statement: &str) -> Vec<String> {
        let ran = isogrid(&["sql", statement, "--format", "csv", "--endpoint", &self.grpc[node]]);
        assert_eq!(ran.code, 0, "{statement}: {}", ran.stderr);
        ran.text().lines().skip(1).map(str::to_owned).collect()
    }

    /// How many records each node has looked at for statements.
    fn scanned(&self) -> Vec<u64> {
        self.figure("isogrid_query_rows_scanned_total")
    }

    /// What a counter says at each node.
    fn figure(&self, name: &str) -> Vec<u64> {
        let of_node = |http: &String| {
            let metrics = http_get(http, "/metrics").expect("it listens");
            let line = metrics.lines().find(|line| line.starts_with(&format!("{name} ")));
            let figure = line.and_then(|line| line.split_whitespace().next_back());
            figure.and_then(|figure| figure.parse::<f64>().ok()).expect("a figure") as u64
        };
        self.http.iter().map(of_node).collect()
    }

    /// The place of the node that leads the partition of a tenant.
    fn leader(&self, tenant: &str) -> usize {
        let asked = format!("EXPLAIN ROUTING SELECT n FROM orders WHERE tenant = '{tenant}'");
        let routing = self.rows(0, &asked);
        assert_eq!(routing.len(), 1, "{routing:?}");
        let is_leader = |address: &String| routing[0].split(',').any(|cell| cell == address);
        self.grpc.iter().position(is_leader).expect("one of the nodes")
    }

    fn stop(mut self) {
        self.process.signal("TERM");
        assert_eq!(self.process.wait().code(), Some(0), "{}", self.process.stderr());
    }
}

#[test]
fn each_node_looks_at_what_it_leads() {
    let cluster = Cluster::start();
    // Any rows will do, and a recursion cannot travel.
    let any = "SELECT count(*) FROM (SELECT n FROM orders LIMIT 70)";
    let recursion = "WITH RECURSIVE d(x) AS (SELECT 0 UNION ALL SELECT x + 1 FROM d WHERE x < 4) SELECT count(*) FROM d JOIN orders o ON o.n % 5 = d.x";
    let at_one_node = [any, recursion];
    for (statement, expected) in [
        (any, vec!["70"]),
        (recursion, vec!["3000"]),
        ("SELECT count(*), sum(n) FROM orders WHERE n >= 1000", vec!["2000,3999000"]),
        (
            "SELECT tenant, count(*), max(n) FROM orders GROUP BY tenant ORDER BY tenant LIMIT 2",
            vec!["t0,10,2700", "t1,10,2701"],
        ),
        ("SELECT note FROM orders ORDER BY n DESC LIMIT 2", vec!["note 2999", "note 2998"]),
        (
            "SELECT count(*) FROM orders a JOIN orders b ON a.n = b.n + 300 AND a.tenant = b.tenant",
            vec!["2700"],
        ),
        ("SELECT count(*) FROM orders WHERE n > (SELECT avg(n) FROM orders)", vec!["1500"]),
        ("SELECT count(DISTINCT tenant) FROM orders", vec!["300"]),
        (
            "SELECT sum(s) FROM (SELECT sum(n) OVER (PARTITION BY tenant) AS s FROM orders)",
            vec!["44985000"],
        ),
        // These have a walk in a stage of one task.
        (
            "SELECT count(*), sum(n) FROM (SELECT n FROM orders UNION ALL SELECT count(*) FROM orders)",
            vec!["3001,4501500"],
        ),
        (
            "SELECT count(*) FROM orders WHERE n NOT IN (SELECT n FROM orders WHERE n % 2 = 0)",
            vec!["1500"],
        ),
        (
            "SELECT count(*) FROM (SELECT n FROM orders UNION ALL SELECT n FROM (SELECT n FROM orders ORDER BY n DESC LIMIT 5) t)",
            vec!["3005"],
        ),
    ] {
        let before = cluster.scanned();
        assert_eq!(cluster.rows(1, statement), expected, "{statement}");
        let after = cluster.scanned();
        let looked_at = |node: usize| after[node] - before[node];
        let each_looked = (0..3).all(|node| looked_at(node) > 0);
        assert!(
            each_looked || at_one_node.contains(&statement),
            "{statement}: {before:?} {after:?}"
        );
    }
    let two =
        "SELECT n FROM orders WHERE tenant IN ('t1', 't2') UNION ALL SELECT count(*) FROM orders";
    assert_eq!(cluster.rows(0, two).len(), 21);
    let before = cluster.scanned();
    let pruned = "SELECT count(*) FROM orders WHERE tenant = 't7'";
    assert_eq!(cluster.rows(2, pruned), ["10"]);
    let after = cluster.scanned();
    assert!((0..2).all(|node| before[node] == after[node]), "one node is enough: {after:?}");
    let looked_at = after[2] - before[2];
    assert!((10..100).contains(&looked_at), "one partition of 3,000 records: {looked_at}");
    let plan = cluster.rows(0, "EXPLAIN SELECT n % 7, count(*) FROM orders GROUP BY n % 7");
    let plan = plan.join("\n");
    for part in ["distributed_plan", "NetworkShuffleExec", "t2: GridScan: map=orders"] {
        assert!(plan.contains(part), "{part}: {plan}");
    }
    let pruned = cluster.rows(0, &format!("EXPLAIN {pruned}")).join("\n");
    assert!(pruned.contains("partitions: 1/256, nodes: 1/3"), "{pruned}");
    assert!(!pruned.contains("distributed_plan"), "{pruned}");
    let measured = cluster.rows(0, "EXPLAIN ANALYZE SELECT count(*) FROM orders").join("\n");
    assert!(measured.contains("rows_scanned=3.00 K"), "{measured}");
    cluster.stop();
}

#[test]
fn a_statement_of_one_partition_is_asked_of_the_node_that_leads_it() {
    let cluster = Cluster::start();
    let tenants: Vec<String> = (0..12).map(|n| format!("t{n}")).collect();
    let leaders: Vec<usize> = tenants.iter().map(|tenant| cluster.leader(tenant)).collect();
    assert!(leaders.iter().any(|leader| *leader != leaders[0]), "{leaders:?}");
    let statements = || cluster.figure("isogrid_query_statements_total");
    let before = runtime().block_on(async {
        let grid = grid(&cluster.grpc[0]).await;
        let ask = async |tenant: &str| {
            let sql = grid.sql("SELECT n FROM orders WHERE tenant = $1").bind(tenant);
            sql.fetch::<Value>().await.expect("it answers").len()
        };
        // The first answer says what names the partition.
        assert_eq!(ask("t299").await, 10);
        let before = statements();
        for tenant in &tenants {
            assert_eq!(ask(tenant).await, 10);
        }
        before
    });
    let asked: Vec<u64> = statements().iter().zip(&before).map(|(now, was)| now - was).collect();
    let led = |node| leaders.iter().filter(|leader| **leader == node).count() as u64;
    assert_eq!(asked, (0..3).map(led).collect::<Vec<u64>>());
    cluster.stop();
}

#[test]
fn joins_and_groups_by_the_partition_key_send_no_rows_around() {
    let cluster = Cluster::start();
    let columns = "CREATE MAP notes (tenant TEXT, n BIGINT) PARTITION BY tenant";
    assert_eq!(cluster.rows(0, columns), ["created"]);
    runtime().block_on(async {
        let grid = grid(&cluster.grpc[0]).await;
        let map = grid.map::<String, Value>("notes");
        let note = |n: i64| {
            let tenant = format!("t{}", n % 300);
            (format!("{{{tenant}}}:{n}"), json!({"tenant": tenant, "n": n}))
        };
        map.put_many((0..600).map(note)).await.expect("it answers").all().expect("all");
    });
    let joined = "SELECT o.tenant, count(*), sum(n.n) FROM orders o JOIN notes n ON o.tenant = n.tenant GROUP BY o.tenant ORDER BY o.tenant";
    let mut expected: Vec<String> =
        (0..300).map(|n| format!("t{n},20,{}", 10 * (n + n + 300))).collect();
    expected.sort();
    let plan = cluster.rows(1, &format!("EXPLAIN {joined}")).join("\n");
    let spread = plan.split("DistributedExec").nth(1).expect("several nodes do it");
    assert!(spread.contains("InPlace") && !spread.contains("NetworkShuffle"), "{spread}");
    for node in 0..3 {
        assert_eq!(cluster.rows(node, joined), expected);
    }
    cluster.stop();
}

#[test]
fn what_goes_wrong_at_another_node_is_told_as_it_is() {
    let cluster = Cluster::start();
    let refused = |statement: &str| {
        let ran = isogrid(&["sql", statement, "--endpoint", &cluster.grpc[0]]);
        assert_ne!(ran.code, 0, "{statement}: {}", ran.text());
        ran.stderr
    };
    // A column that the records do not hold: each of them is wrong, whoever leads it.
    assert_eq!(cluster.rows(0, "ALTER MAP orders DROP COLUMN note"), ["changed"]);
    assert_eq!(cluster.rows(0, "ALTER MAP orders ADD COLUMN note BIGINT"), ["changed"]);
    let error = refused("SELECT max(note) FROM orders");
    for part in ["IG-0118", "the field note of key", "is TEXT"] {
        assert!(error.contains(part), "{part}: {error}");
    }
    let error = refused("SELECT sum(1 / (n - 5)) FROM orders");
    assert!(error.contains("IG-0118") && error.contains("zero"), "{error}");
    assert_eq!(cluster.rows(1, "SELECT count(*) FROM orders"), ["3000"], "others go on");
    cluster.stop();
}

#[test]
fn parts_are_run_for_nodes_of_the_same_cluster_only() {
    let node = Node::start(&[]);
    runtime().block_on(async {
        let endpoint = Endpoint::from_shared(format!("http://{}", node.endpoint)).expect("one");
        let mut client = Grpc::new(endpoint.connect().await.expect("it listens"));
        for cluster in [None, Some("00000000000000000000000000000000")] {
            client.ready().await.expect("it is connected");
            let mut request = Request::new(());
            if let Some(cluster) = cluster {
                let cluster = cluster.parse().expect("a value");
                request.metadata_mut().insert("isogrid-cluster", cluster);
            }
            let method = PathAndQuery::from_static("/worker.WorkerService/GetWorkerInfo");
            let answer = client.unary(request, method, ProstCodec::<(), ()>::default()).await;
            let refused = answer.expect_err("it is no node of the cluster");
            assert_eq!(refused.code(), Code::PermissionDenied, "{refused}");
        }
    });
}

#[test]
fn statements_see_one_moment() {
    const RECORDS: i64 = 6_000;
    const IN_RANGE: i64 = 1_000;
    let cluster = Cluster::start();
    for statement in [
        "CREATE MAP moved (tenant TEXT, n BIGINT) PARTITION BY tenant",
        "CREATE INDEX by_n ON moved USING ordered (n)",
    ] {
        assert_eq!(cluster.rows(0, statement).len(), 1, "{statement}");
    }
    runtime().block_on(async {
        let grid = grid(&cluster.grpc[0]).await;
        let map = grid.map::<String, Value>("moved");
        let record = |i: i64, n: i64| (format!("{{t}}:{i}"), json!({"tenant": "t", "n": n}));
        map.put_many((0..RECORDS).map(|i| record(i, i))).await.expect("it answers").all().unwrap();
        // Records change their keys and the order in the index, so that a walk in pages meets them twice or not at all.
        let moves = async |first: i64| {
            for round in 0.. {
                let i = (first + round * 8) % RECORDS;
                let (here, there) = (format!("{{t}}:{i}"), format!("{{t}}:away-{i}"));
                let moved = map.rename(&here, &there).await.expect("it answers");
                let back = map.rename(&there, &here).await.expect("it answers");
                assert!(moved.is_some() && back.is_some(), "{i}");
                let in_range = (first + round * 8) % IN_RANGE;
                let (key, value) = record(in_range, (in_range + round * 613) % IN_RANGE);
                map.put(&key, &value).await.expect("it answers");
            }
        };
        let reads = async {
            for _ in 0..60 {
                for (statement, expected) in [
                    (
                        "SELECT count(*) AS records, count(DISTINCT _key) AS different FROM moved",
                        RECORDS,
                    ),
                    (
                        "SELECT count(*) AS records, count(DISTINCT _key) AS different FROM moved
                         WHERE tenant = 't' AND n < 1000",
                        IN_RANGE,
                    ),
                ] {
                    let rows = grid.sql(statement).fetch::<Value>().await.expect("it reads");
                    // A key that is away has another name, and is there once all the same.
                    let seen = json!([{"records": expected, "different": expected}]);
                    assert_eq!(json!(rows), seen, "{statement}");
                }
            }
        };
        tokio::select! {
            () = reads => {}
            _ = futures::future::join_all((0..8).map(moves)) => unreachable!("they do not end"),
        }
    });
    let sought: u64 = cluster.figure("isogrid_query_index_seeks_total").iter().sum();
    assert!(sought > 60, "the index was not used: {sought}");
    cluster.stop();
}
