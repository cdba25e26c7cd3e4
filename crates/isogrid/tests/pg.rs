//! The door for PostgreSQL's clients with real processes, through a client that was written for PostgreSQL, and with bytes that no
//! client sends.

mod common;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant, SystemTime};

use common::data::{put, runtime};
use common::{Node, PATIENCE, eventually, http_get};
use futures::TryStreamExt;
use serde_json::json;
use tokio_postgres::error::SqlState;
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Client, NoTls, SimpleQueryMessage};

/// What psql and others ask of the catalogue: written down from them, one after the other.
const CATALOGUE: &str = include_str!("pg_catalogue.sql");

const ORDERS: i64 = 60;

fn start() -> Node {
    let node = Node::start(&["--pg-addr", "127.0.0.1:0"]);
    runtime().block_on(async {
        let grid = common::data::grid(&node.endpoint).await;
        for n in 0..ORDERS {
            let order = json!({
                "tenant": format!("t{}", n % 7),
                "total": n * 3,
                "weight": f64::from(n as i32) / 2.0,
                "is_paid": n % 2 == 0,
            });
            put(&grid, "orders", &format!("o{n:03}"), order.to_string().as_bytes()).await;
        }
    });
    node
}

fn address(node: &Node) -> &str {
    node.pg.as_deref().expect("it is open to them")
}

async fn connect(node: &Node) -> Client {
    try_connect(node).await.expect("it listens")
}

async fn try_connect(node: &Node) -> Result<Client, tokio_postgres::Error> {
    let (host, port) = address(node).rsplit_once(':').expect("a port");
    let settings = format!("host={host} port={port} user=ann dbname=any application_name=test");
    let (client, connection) = tokio_postgres::connect(&settings, NoTls).await?;
    tokio::spawn(async move {
        // It ends with its client, or the client tells.
        let _ = connection.await;
    });
    Ok(client)
}

/// The rows of an answer as text.
fn texts(messages: &[SimpleQueryMessage]) -> Vec<Vec<Option<String>>> {
    let row = |message: &SimpleQueryMessage| match message {
        SimpleQueryMessage::Row(row) => {
            Some((0..row.len()).map(|place| row.get(place).map(str::to_owned)).collect())
        }
        _ => None,
    };
    messages.iter().filter_map(row).collect()
}

async fn simple(client: &Client, text: &str) -> Vec<Vec<Option<String>>> {
    let answered = client.simple_query(text).await;
    texts(&answered.unwrap_or_else(|error| panic!("{text}: {error:?}")))
}

async fn one(client: &Client, text: &str) -> String {
    let rows = simple(client, text).await;
    rows[0][0].clone().unwrap_or_else(|| panic!("{text}: NULL"))
}

/// The code of an error, and what it says.
fn told(error: &tokio_postgres::Error) -> (String, String) {
    let told = error.as_db_error().unwrap_or_else(|| panic!("{error:?}"));
    let all = format!("{} hint: {}", told.message(), told.hint().unwrap_or_default());
    (told.code().code().to_owned(), all)
}

#[test]
fn texts_with_statements_are_answered_one_by_one() {
    let node = start();
    runtime().block_on(async {
        let client = connect(&node).await;
        let rows =
            simple(&client, "SELECT count(*), sum(total) FROM orders; SELECT NULL, 'b';;").await;
        assert_eq!(rows[0], [Some("60".to_owned()), Some("5310".to_owned())]);
        assert_eq!(rows[1], [None, Some("b".to_owned())]);
        assert!(simple(&client, "").await.is_empty() && simple(&client, " ; ").await.is_empty());
        let error = client.simple_query("SELECT 1; SELEC 2; SELECT 3").await.expect_err("a word");
        assert_eq!(told(&error).0, "42601");
        let names = client.simple_query("SELECT 1, 1, count(*) AS n, upper('a'), true").await;
        let Ok([SimpleQueryMessage::RowDescription(columns), ..]) = names.as_deref() else {
            panic!("{names:?}");
        };
        let names: Vec<&str> = columns.iter().map(|column| column.name()).collect();
        assert_eq!(names, ["?column?", "?column?", "n", "upper", "bool"]);
    });
}

#[test]
fn values_of_every_type_come_and_go_in_binary() {
    let node = start();
    runtime().block_on(async {
        let client = connect(&node).await;
        let at = SystemTime::UNIX_EPOCH + Duration::from_micros(1_704_164_645_123_456);
        let values: [&(dyn ToSql + Sync); 9] =
            [&true, &-2i16, &3i32, &4i64, &1.5f32, &2.5f64, &"tea", &b"\x00\xff".as_slice(), &at];
        let types = [
            Type::BOOL,
            Type::INT2,
            Type::INT4,
            Type::INT8,
            Type::FLOAT4,
            Type::FLOAT8,
            Type::TEXT,
            Type::BYTEA,
            Type::TIMESTAMPTZ,
        ];
        let text = "SELECT $1, $2, $3, $4, $5, $6, $7, $8, $9";
        let prepared = client.prepare_typed(text, &types).await.expect("it is prepared");
        assert_eq!(prepared.params(), types);
        let row = client.query_one(&prepared, &values).await.expect("a row");
        assert!(row.get::<_, bool>(0));
        assert_eq!((row.get::<_, i16>(1), row.get::<_, i32>(2), row.get::<_, i64>(3)), (-2, 3, 4));
        assert_eq!((row.get::<_, f32>(4), row.get::<_, f64>(5)), (1.5, 2.5));
        assert_eq!((row.get::<_, &str>(6), row.get::<_, &[u8]>(7)), ("tea", &b"\x00\xff"[..]));
        assert_eq!(row.get::<_, SystemTime>(8), at);
        let none: [&(dyn ToSql + Sync); 9] = [
            &None::<bool>,
            &None::<i16>,
            &None::<i32>,
            &None::<i64>,
            &None::<f32>,
            &None::<f64>,
            &None::<&str>,
            &None::<&[u8]>,
            &None::<SystemTime>,
        ];
        let row = client.query_one(&prepared, &none).await.expect("a row");
        assert!(row.get::<_, Option<i32>>(2).is_none() && row.get::<_, Option<&str>>(6).is_none());
        let lists = "SELECT array_agg(total), array_agg(tenant) FROM orders WHERE total < 4";
        let row = client.query_one(lists, &[]).await.expect("a row");
        let (mut totals, tenants): (Vec<i64>, Vec<String>) = (row.get(0), row.get(1));
        totals.sort_unstable();
        assert_eq!((totals, tenants.len()), (vec![0, 3], 2));
        let few: Vec<&str> = vec!["t1", "t2"];
        let any = "SELECT count(*) FROM orders WHERE tenant = ANY($1)";
        let row = client.query_one(any, &[&few]).await.expect("a row");
        assert_eq!(row.get::<_, i64>(0), 18);
    });
}

#[test]
fn the_types_of_parameters_are_found_and_rows_taken_in_portions() {
    let node = start();
    runtime().block_on(async {
        let mut client = connect(&node).await;
        let text = "SELECT _key, total FROM orders WHERE tenant = $1 AND total > $2 ORDER BY total LIMIT $3";
        let prepared = client.prepare(text).await.expect("it is prepared");
        assert_eq!(prepared.params(), [Type::TEXT, Type::INT8, Type::INT8]);
        let columns: Vec<(&str, &Type)> =
            prepared.columns().iter().map(|column| (column.name(), column.type_())).collect();
        assert_eq!(columns, [("_key", &Type::TEXT), ("total", &Type::INT8)]);
        let rows = client.query(&prepared, &[&"t3", &10i64, &2i64]).await.expect("rows");
        let found: Vec<(&str, i64)> = rows.iter().map(|row| (row.get(0), row.get(1))).collect();
        assert_eq!(found, [("o010", 30), ("o017", 51)]);
        let transaction = client.transaction().await.expect("it begins");
        let all = transaction.prepare("SELECT total FROM orders").await.expect("it is prepared");
        let portal = transaction.bind(&all, &[]).await.expect("it is bound");
        let mut portions = Vec::new();
        loop {
            let rows = transaction.query_portal(&portal, 25).await.expect("rows");
            portions.push(rows.len());
            if rows.len() < 25 {
                break;
            }
        }
        assert_eq!(portions, [25, 25, 10]);
        transaction.commit().await.expect("it ends");
        let empty = client.prepare("").await.expect("it is prepared");
        assert!(client.query(&empty, &[]).await.expect("nothing").is_empty());
    });
}

#[test]
fn what_is_wrong_has_the_code_that_clients_know() {
    let node = start();
    runtime().block_on(async {
        let client = connect(&node).await;
        for (text, code, part) in [
            ("SELEC 1", "42601", "IG-0115"),
            ("SELECT * FROM nowhere", "42P01", "nowhere"),
            ("SELECT nothing FROM orders", "42703", "nothing"),
            ("SELECT nothing(1)", "42883", "nothing"),
            ("SELECT 1/0", "22012", "IG-0118"),
            ("SELECT CAST(tenant AS INT) FROM orders", "22P02", "IG-0118"),
            ("DELETE FROM orders", "25006", "DML"),
            ("CREATE TABLE t (a INT PRIMARY KEY)", "42601", "PRIMARY KEY"),
            ("CREATE TABLE orders (a INT)", "42P07", "already"),
            ("DROP MAP nowhere", "42P01", "nowhere"),
            ("DESCRIBE nowhere", "42P01", "nowhere"),
            ("ALTER MAP orders SET (backups = 99)", "22023", "at most 5"),
            ("CREATE TABLE t (a INT) WITH (copies = 1)", "22023", "known are backups"),
            ("SELECT ARRAY(SELECT tenant FROM orders)", "42883", "array"),
            ("SELECT (tenant).a FROM orders", "0A000", ""),
            ("SELECT 'missing'::regclass", "42P01", "missing"),
            ("SELECT tenant::inet FROM orders", "42704", "inet"),
            ("SET client_encoding TO 'LATIN1'", "22023", "LATIN1"),
            ("SHOW nothing", "42704", "nothing"),
            ("SELECT $1", "42P02", "$1"),
        ] {
            let error = client.simple_query(text).await.expect_err(text);
            let (found, said) = told(&error);
            assert_eq!(found, code, "{text}: {said}");
            assert!(said.contains(part) && said.contains("hint: "), "{text}: {said}");
        }
        let error = client.prepare("SELECT 1; SELECT 2").await.expect_err("one at a time");
        assert_eq!(error.code(), Some(&SqlState::SYNTAX_ERROR));
        let heavy = "SELECT a._value || b._value || c._value AS v FROM orders a, orders b, orders c ORDER BY v";
        let (code, said) = told(&client.simple_query(heavy).await.expect_err("too much"));
        assert!(["53200", "57014"].contains(&code.as_str()), "{said}");
        assert_eq!(one(&client, "SELECT 1").await, "1", "the connection goes on");
    });
}

#[test]
fn maps_are_defined_and_shown() {
    let node = start();
    runtime().block_on(async {
        let client = connect(&node).await;
        let said = "CREATE TABLE bills (tenant TEXT, total DOUBLE PRECISION, items JSONB) PARTITION BY tenant; \
                    SHOW CREATE MAP bills; DESCRIBE bills";
        let shown = simple(&client, said).await;
        let create = shown[0][1].clone().expect("a statement");
        let columns = "CREATE MAP bills (tenant TEXT, total DOUBLE, items JSON) PARTITION BY tenant";
        assert!(create.starts_with(columns), "{create}");
        assert_eq!(shown[2][0].as_deref(), Some("tenant"));
        // Extended, as drivers say it; within a transaction too.
        client.batch_execute("BEGIN").await.expect("it begins");
        let added = client.execute("ALTER TABLE bills ADD COLUMN paid BOOLEAN", &[]).await;
        assert_eq!(added.expect("it is added"), 0);
        let described = client.query("DESCRIBE bills", &[]).await.expect("it is described");
        let names: Vec<&str> = described.iter().map(|row| row.get("column_name")).collect();
        assert_eq!(names[..5], ["_key", "tenant", "total", "items", "paid"]);
        let failed = client.execute("CREATE MAP bills (a TEXT)", &[]).await.expect_err("it is there");
        assert_eq!(failed.code(), Some(&SqlState::DUPLICATE_TABLE));
        let failed = client.execute("DROP MAP bills", &[]).await.expect_err("nothing is taken now");
        assert_eq!(failed.code(), Some(&SqlState::IN_FAILED_SQL_TRANSACTION));
        client.batch_execute("ROLLBACK").await.expect("it ends");
        let maps = client.query("SHOW MAPS", &[]).await.expect("they are shown");
        assert_eq!(maps.len(), 2);
        client.execute("DROP TABLE bills", &[]).await.expect("it is dropped");
        client.execute("DROP TABLE IF EXISTS bills", &[]).await.expect("it was dropped");
        let failed = client.query("SELECT * FROM bills", &[]).await.expect_err("it is gone");
        assert_eq!(failed.code(), Some(&SqlState::UNDEFINED_TABLE));
    });
}

#[test]
fn the_way_of_a_statement_is_told_and_values_are_looked_into() {
    let node = start();
    runtime().block_on(async {
        let client = connect(&node).await;
        let all = simple(&client, "EXPLAIN ROUTING SELECT * FROM orders").await;
        let partitions = one(&client, "SELECT count(DISTINCT _partition) FROM orders").await;
        assert!(all.len() >= partitions.parse().expect("a number"));
        let statement =
            client.prepare("EXPLAIN ROUTING SELECT * FROM orders WHERE _key = $1").await;
        let statement = statement.expect("it is planned");
        let names: Vec<&str> = statement.columns().iter().map(|column| column.name()).collect();
        assert_eq!(names, ["map", "partition", "node", "address", "zone"]);
        let rows = client.query(&statement, &[&"o001"]).await.expect("it is answered");
        let row: (&str, i64, &str) = (rows[0].get(0), rows[0].get(1), rows[0].get(3));
        let partition = one(&client, "SELECT _partition FROM orders WHERE _key = 'o001'").await;
        let expected = ("orders", partition.parse().expect("a number"), node.endpoint.as_str());
        assert_eq!((rows.len(), row), (1, expected));
        let grid = common::data::grid(&node.endpoint).await;
        put(&grid, "baskets", "1", br#"{"items": {"list": [{"name": "tea"}], "count": 3}}"#).await;
        for (asked, found) in [
            ("SELECT items->'list'->0->>'name' FROM baskets WHERE items->>'count' = '3'", "tea"),
            ("SELECT (items->>'count')::int + 1 FROM baskets", "4"),
            ("SELECT b.items.count || '!' FROM baskets b", "3!"),
            ("SELECT items->'list'->-1 FROM baskets", r#"{"name":"tea"}"#),
        ] {
            assert_eq!(one(&client, asked).await, found, "{asked}");
        }
        let asked = "SELECT items->>$1 FROM baskets";
        let rows = client.query(asked, &[&"count"]).await.expect("it is answered");
        assert_eq!(rows[0].get::<_, &str>(0), "3");
    });
}

#[test]
fn a_session_has_transactions_and_settings_as_clients_expect() {
    let node = start();
    runtime().block_on(async {
        let client = connect(&node).await;
        assert!(one(&client, "SELECT version()").await.starts_with("PostgreSQL 14"));
        assert_eq!(one(&client, "SELECT current_user").await, "ann");
        assert_eq!(one(&client, "SELECT current_database()").await, "isogrid");
        assert_eq!(one(&client, "SELECT current_schema()").await, "public");
        assert_eq!(one(&client, "SHOW application_name").await, "test");
        assert_eq!(one(&client, "SET DateStyle = 'ISO'; SHOW datestyle").await, "ISO, MDY");
        assert_eq!(one(&client, "SHOW TRANSACTION ISOLATION LEVEL").await, "read committed");
        assert_eq!(one(&client, "SELECT current_setting('server_version')").await, "14.0");
        assert!(simple(&client, "SHOW ALL").await.len() > 20);
        simple(&client, "BEGIN; SELECT 1; SAVEPOINT s; COMMIT").await;
        simple(&client, "BEGIN").await;
        client.simple_query("SELEC").await.expect_err("it fails");
        let error = client.simple_query("SELECT 1").await.expect_err("so does the transaction");
        assert_eq!(told(&error).0, "25P02");
        simple(&client, "ROLLBACK").await;
        assert_eq!(one(&client, "SELECT 1").await, "1");
        let slow = "SELECT count(*) FROM orders a, orders b, orders c, orders d";
        let text = format!("SET statement_timeout = '50ms'; {slow}");
        let error = client.simple_query(&text).await.expect_err("it takes longer");
        assert_eq!(told(&error).0, "57014");
        simple(&client, "DISCARD ALL").await;
        assert_eq!(one(&client, "SHOW statement_timeout").await, "0");
    });
}

/// A statement whose answer is larger than what waits for a client that does not read.
const LARGE: &str =
    "SELECT a._value || b._value || c._value AS v FROM orders a, orders b, orders c";

#[test]
fn a_statement_is_cancelled_from_another_connection() {
    let node = start();
    runtime().block_on(async {
        let client = connect(&node).await;
        let token = client.cancel_token();
        let slow = "SELECT count(*) FROM orders a, orders b, orders c, orders d, orders e";
        let begun = Instant::now();
        let (answered, ()) = tokio::join!(client.simple_query(slow), async {
            loop {
                tokio::time::sleep(Duration::from_millis(50)).await;
                token.cancel_query(NoTls).await.expect("it is taken");
                if begun.elapsed() > Duration::from_secs(1) {
                    break;
                }
            }
        });
        let error = answered.expect_err("it was cancelled");
        let (code, said) = told(&error);
        assert!(code == "57014" && said.contains("asked"), "{said}");
        assert!(begun.elapsed() < Duration::from_secs(4), "{:?}", begun.elapsed());
        assert_eq!(one(&client, "SELECT 1").await, "1", "nothing is left of it");
    });
}

#[test]
fn a_large_answer_that_is_read_slowly_is_whole() {
    const ROWS: usize = 40_000;
    let node = start();
    runtime().block_on(async {
        let client = connect(&node).await;
        let none: Vec<i32> = Vec::new();
        let text = format!("{LARGE} LIMIT {ROWS}");
        let rows = client.query_raw(&text, none).await.expect("it begins");
        let mut rows = std::pin::pin!(rows);
        let mut count = 0;
        while let Some(row) = rows.try_next().await.expect("a row") {
            assert!(row.get::<_, &str>(0).len() > 100);
            count += 1;
            if count % 10_000 == 0 {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
        assert_eq!(count, ROWS);
    });
}

#[test]
fn both_doors_share_sixteen_statements() {
    let node = start();
    runtime().block_on(async {
        let mut clients = Vec::new();
        for _ in 0..8 {
            let client = connect(&node).await;
            simple(&client, "BEGIN").await;
            let portal = client.prepare(LARGE).await.expect("it is prepared");
            clients.push((client, portal));
        }
        let grid = common::data::grid(&node.endpoint).await;
        let other = connect(&node).await;
        // All at once: a statement's time goes on while nobody takes its rows.
        let taken = clients.iter_mut().map(async |(client, prepared)| {
            let transaction = client.transaction().await.expect("it begins");
            let portal = transaction.bind(prepared, &[]).await.expect("it is bound");
            let rows = transaction.query_portal(&portal, 1).await.expect("one of sixteen");
            assert_eq!(rows.len(), 1);
            (transaction, portal)
        });
        let unread = (0..8).map(async |_| grid.sql(LARGE).run().await.expect("one of sixteen"));
        let (_open, mut unread) =
            tokio::join!(futures::future::join_all(taken), futures::future::join_all(unread));
        let error = other.simple_query("SELECT 1").await.expect_err("one too many");
        let (code, said) = told(&error);
        assert!(code == "53300" && said.contains("IG-0313"), "{said}");
        unread.clear();
        let begun = Instant::now();
        while let Err(error) = other.simple_query("SELECT 1").await {
            assert_eq!(told(&error).0, "53300");
            assert!(begun.elapsed() < Duration::from_secs(10), "{error}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    });
}

/// What a connection gets that says this.
fn says(node: &Node, bytes: &[u8]) -> Vec<u8> {
    let mut socket = TcpStream::connect(address(node)).expect("it listens");
    socket.set_read_timeout(Some(PATIENCE)).expect("a socket");
    // It may have been closed before all was said.
    let _ = socket.write_all(bytes);
    let mut answer = Vec::new();
    let _ = socket.read_to_end(&mut answer);
    answer
}

/// A message of a client that has begun.
fn message(letter: u8, body: &[u8]) -> Vec<u8> {
    let length = 4 + body.len() as u32;
    [&[letter][..], &length.to_be_bytes(), body].concat()
}

fn hello() -> Vec<u8> {
    let body = [&(3u32 << 16).to_be_bytes()[..], b"user\0ann\0\0"].concat();
    message(0, &body)[1..].to_vec()
}

#[test]
fn bytes_that_are_not_the_protocol_end_the_connection_and_nothing_else() {
    let node = start();
    let has = |answer: &[u8], part: &str| String::from_utf8_lossy(answer).contains(part);
    for first in [&b"GET / HTTP/1.1\r\n\r\n"[..], &[0x16, 3, 1, 0, 5], &[0; 64], &[0xff; 64]] {
        assert!(has(&says(&node, first), "FATAL"), "{first:?}");
    }
    for next in [
        message(b'P', b"no end"),
        message(b'B', &[0xff; 9]),
        message(b'D', b""),
        message(b'?', b"what"),
        vec![b'Q', 0, 0, 0, 1],
        vec![b'Q', 0x7f, 0xff, 0xff, 0xff],
        message(b'Q', b"\xff\xfe\0"),
    ] {
        let answer = says(&node, &[hello(), next.clone()].concat());
        assert!(has(&answer, "08P01"), "{next:?}: {}", String::from_utf8_lossy(&answer));
    }
    let mut noise = 7u32;
    for _ in 0..50 {
        let mut random = || {
            noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (noise >> 24) as u8
        };
        let letter = b"QPBDECHSXFd"[usize::from(random()) % 11];
        let body: Vec<u8> = (0..usize::from(random())).map(|_| random()).collect();
        let ended = [message(letter, &body), message(b'X', b"")].concat();
        assert!(!says(&node, &[hello(), ended].concat()).is_empty());
    }
    runtime().block_on(async {
        let client = connect(&node).await;
        assert_eq!(one(&client, "SELECT count(*) FROM orders").await, "60");
    });
}

#[test]
fn so_many_connect_and_no_more() {
    let node = start();
    let connections = "isogrid_pg_connections ";
    let open = || {
        let page = http_get(&node.http, "/metrics").unwrap_or_default();
        let line = page.lines().find_map(|line| line.strip_prefix(connections)).map(str::to_owned);
        line.and_then(|figure| figure.parse::<f64>().ok()).unwrap_or(-1.0)
    };
    runtime().block_on(async {
        let mut clients = Vec::new();
        let mut refused = 0;
        for _ in 0..300 {
            match try_connect(&node).await {
                Ok(client) => clients.push(client),
                Err(error) => {
                    assert_eq!(error.code(), Some(&SqlState::TOO_MANY_CONNECTIONS), "{error:?}");
                    refused += 1;
                }
            }
        }
        assert_eq!((clients.len(), refused), (256, 44));
        assert_eq!(one(&clients[255], "SELECT 1").await, "1");
        drop(clients);
    });
    eventually("all are gone", || open() == 0.0);
    runtime().block_on(async { drop(connect(&node).await) });
}

#[test]
fn the_door_ends_with_the_node() {
    let mut node = start();
    let mut socket = TcpStream::connect(address(&node)).expect("it listens");
    socket.set_read_timeout(Some(PATIENCE)).expect("a socket");
    socket.write_all(&hello()).expect("it is said");
    let mut first = [0];
    socket.read_exact(&mut first).expect("it answers");
    node.process.signal("TERM");
    let mut rest = Vec::new();
    let _ = socket.read_to_end(&mut rest);
    assert_eq!(node.process.wait().code(), Some(0));
    assert!(TcpStream::connect(address(&node)).is_err());
}

#[test]
fn what_clients_ask_of_the_catalogue_is_answered() {
    let node = start();
    runtime().block_on(async {
        let client = connect(&node).await;
        let oid = one(&client, "SELECT 'orders'::regclass::oid").await;
        let mut asked = 0;
        let mut wrong = Vec::new();
        for part in CATALOGUE.split("\n-- ").skip(1) {
            let (name, text) = part.split_once('\n').expect("a name and a statement");
            let text = text.replace("16384", &oid);
            match client.simple_query(&text).await {
                Ok(messages) => {
                    let rows = texts(&messages);
                    if name.contains("orders") && !format!("{rows:?}").contains("orders") {
                        wrong.push(format!("{name}: it is not there: {rows:?}"));
                    }
                }
                Err(error) => wrong.push(format!("{name}: {:?}", told(&error))),
            }
            asked += 1;
        }
        assert!(asked > 20, "{asked}");
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
        let columns = "SELECT a.attname, format_type(a.atttypid, a.atttypmod) FROM pg_attribute a \
                       WHERE a.attrelid = 'orders'::regclass AND a.attnum > 0 ORDER BY a.attnum";
        let rows = simple(&client, columns).await;
        let row =
            |name: &str, sql_type: &str| vec![Some(name.to_owned()), Some(sql_type.to_owned())];
        assert_eq!(rows[0], row("_key", "text"));
        assert!(
            rows.contains(&row("total", "bigint")) && rows.contains(&row("is_paid", "boolean"))
        );
    });
}

#[test]
fn what_is_asked_as_postgres_has_it_is_answered_as_it_does() {
    let node = start();
    runtime().block_on(async {
        let client = connect(&node).await;
        for (text, answer) in [
            ("SELECT abs(abs(abs(abs(abs(abs(abs(abs(abs(abs(abs(abs(-1))))))))))))", "1"),
            ("SELECT 1>-1", "t"),
            ("SELECT 1<>-1", "t"),
            ("SELECT 2 = ANY('{1,2}'::int[])", "t"),
            ("SELECT ('{1,2}'::int[])[2] + 1", "3"),
            ("SELECT 'abcd'::varchar(3)", "abc"),
            ("SELECT 'abcd'::char", "a"),
            ("SELECT to_regclass('missing') IS NULL", "t"),
            ("SELECT (SELECT count(*) > 0 FROM pg_trigger)", "f"),
            ("SELECT (SELECT count(*)::int FROM pg_trigger)", "0"),
            ("SELECT 'orders'::text::regclass IS NULL", "f"),
        ] {
            assert_eq!(one(&client, text).await, answer, "{text}");
        }
    });
}
