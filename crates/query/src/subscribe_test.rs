//! What SUBSCRIBE statements watch, and what they are refused for.

use super::*;

const COLUMNS: [(&str, ColumnType); 6] = [
    ("name", ColumnType::Text),
    ("age", ColumnType::BigInt),
    ("score", ColumnType::Double),
    ("active", ColumnType::Boolean),
    ("placed", ColumnType::Timestamp),
    ("Items", ColumnType::Json),
];

fn read(statement: &str) -> Result<Subscription> {
    let parsed = parse(statement)?;
    let columns: Vec<_> =
        COLUMNS.iter().map(|(name, holds)| ((*name).to_owned(), *holds)).collect();
    let parameters = [Parameter::BigInt(18), Parameter::Text("Ann".into()), Parameter::Null];
    parsed.read(&Reader { map: &parsed.map, columns: &columns, parameters: &parameters })
}

#[test]
fn where_becomes_a_closed_filter() {
    for (condition, expected) in [
        ("age >= $1", col("age").ge(18)),
        ("18 > age", col("age").lt(18)),
        ("users.age <> -1", col("age").ne(-1)),
        (
            "name = $2 AND (score < 1.5 OR active)",
            col("name").eq("Ann").and(col("score").lt(1.5).or(col("active").eq(true))),
        ),
        ("NOT age BETWEEN 1 AND 3", !col("age").between(1, 3)),
        ("age NOT BETWEEN 1 AND 3", !col("age").between(1, 3)),
        ("_key LIKE 'u%'", col("_key").starts_with("u")),
        ("name LIKE '%nn%'", col("name").contains("nn")),
        ("name NOT IN ('a', 'b')", !col("name").is_in(["a", "b"])),
        ("\"Items\" IS NULL", col("Items").is_null()),
        ("placed IS NOT NULL", col("placed").is_not_null()),
        ("true", Filter::All(Vec::new())),
    ] {
        let read = read(&format!("SUBSCRIBE SELECT name FROM users WHERE {condition}"));
        assert_eq!(read.expect(condition).filter, expected, "{condition}");
    }
}

#[test]
fn columns_and_the_first_few_are_named() {
    let all = read("subscribe select * from public.users;").expect("all");
    assert_eq!((all.map.as_str(), all.columns.len(), all.first), ("users", 6, None));
    let some = read("SUBSCRIBE SELECT _key, age AS years, \"Items\" FROM users").expect("some");
    let names: Vec<&str> = some.columns.iter().map(|column| column.name.as_str()).collect();
    assert_eq!(names, ["years", "Items"]);
    let first = |order: &str| {
        read(&format!("SUBSCRIBE SELECT name FROM users ORDER BY {order}")).map(|read| read.first)
    };
    let order = |is_descending, is_null_first| Order { is_descending, is_null_first };
    assert_eq!(first("age LIMIT 3").ok(), Some(Some((col("age"), order(false, false), 3))));
    assert_eq!(first("age DESC LIMIT $1").ok(), Some(Some((col("age"), order(true, true), 18))));
    let last = first("_key DESC NULLS LAST LIMIT 1000");
    assert_eq!(last.ok(), Some(Some((Field::Key, order(true, false), 1_000))));
}

#[test]
fn what_cannot_be_watched_is_refused_by_name() {
    for (statement, why) in [
        ("SELECT 1", "SELECT where SUBSCRIBE"),
        ("SUBSCRIBE INSERT INTO users VALUES (1)", "one SELECT"),
        ("SUBSCRIBE SELECT name FROM users, orders", "no joins"),
        ("SUBSCRIBE SELECT name FROM users JOIN orders ON true", "no more"),
        ("SUBSCRIBE SELECT name FROM (SELECT 1)", "no subqueries"),
        ("SUBSCRIBE SELECT count(*) FROM users", "count(*) is no column"),
        ("SUBSCRIBE SELECT name FROM users GROUP BY name", "no more"),
        ("SUBSCRIBE SELECT DISTINCT name FROM users", "no more"),
        ("SUBSCRIBE SELECT name FROM users u", "no more"),
        ("SUBSCRIBE WITH a AS (SELECT 1) SELECT name FROM users", "no more"),
        ("SUBSCRIBE SELECT name FROM users UNION SELECT name FROM users", "one SELECT"),
        ("SUBSCRIBE SELECT name FROM users ORDER BY age", "go together"),
        ("SUBSCRIBE SELECT name FROM users LIMIT 3", "go together"),
        ("SUBSCRIBE SELECT name FROM users ORDER BY age LIMIT 3 OFFSET 2", "only LIMIT"),
        ("SUBSCRIBE SELECT name FROM users ORDER BY age, name LIMIT 3", "one column"),
        ("SUBSCRIBE SELECT name FROM users ORDER BY age LIMIT 1001", "1 to 1000"),
        ("SUBSCRIBE SELECT name FROM users ORDER BY placed LIMIT 3", "TIMESTAMP"),
        ("SUBSCRIBE SELECT name FROM users WHERE age + 1 > 3", "is no column"),
        ("SUBSCRIBE SELECT name FROM users WHERE lower(name) = 'a'", "is no column"),
        ("SUBSCRIBE SELECT name FROM users WHERE age > 'x'", "age is BIGINT"),
        ("SUBSCRIBE SELECT name FROM users WHERE placed > '2026-01-01'", "placed is TIMESTAMP"),
        ("SUBSCRIBE SELECT name FROM users WHERE age = NULL", "IS NULL"),
        ("SUBSCRIBE SELECT name FROM users WHERE age = $3", "IS NULL"),
        ("SUBSCRIBE SELECT name FROM users WHERE age = $4", "no value for $4"),
        ("SUBSCRIBE SELECT name FROM users WHERE name LIKE 'a_b%'", "only 'start%'"),
        ("SUBSCRIBE SELECT name FROM users WHERE name", "not BOOLEAN"),
        ("SUBSCRIBE SELECT name FROM users WHERE _version = 1", "only _key"),
        ("SUBSCRIBE SELECT nothing FROM users", "no column \"nothing\""),
        ("SUBSCRIBE SELECT name, name FROM users", "two columns"),
        ("SUBSCRIBE SELECT name FROM users; SELECT 1", "where the statement ends"),
    ] {
        let error = read(statement).expect_err(statement);
        assert_eq!(error.code(), ErrorCode::QueryInvalid, "{statement}");
        assert!(error.to_string().contains(why), "{statement}: {error}");
    }
    assert!(refuse(" subscribe SELECT").is_err() && refuse("SELECT").is_ok());
}
