//! Statements give the same rows with indexes and without, whichever is chosen.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use datafusion::arrow::record_batch::RecordBatch;
use datafusion::arrow::util::pretty::pretty_format_batches;
use futures::TryStreamExt;

use crate::limits::QueryLimits;
use crate::sql::Sql;
use crate::testing::Maps;

/// A small source of chance.
struct Chance(u64);

impl Chance {
    fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % end
    }

    fn one_of<'a>(&mut self, all: &[&'a str]) -> &'a str {
        all[self.below(all.len() as u64) as usize]
    }
}

/// Orders with fields of all kinds, some of which are absent or the edges of what there can be.
fn maps() -> Maps {
    let maps = Maps::new();
    let mut chance = Chance(77);
    let long = "x".repeat(300);
    for n in 0..600 {
        let mut fields = vec![format!("\"n\": {n}")];
        let number =
            chance.one_of(&["0", "-0.0", "1.0", "1", "2.5", "9007199254740993", "-7", "1e300"]);
        fields.push(format!("\"d\": {number}"));
        fields.push(format!("\"b\": {}", chance.below(20) as i64 - 10));
        let text = match chance.below(5) {
            0 => format!("{long}{}", chance.below(3)),
            1 => "a\\u0000b".to_owned(),
            _ => format!("t{}", chance.below(6)),
        };
        if chance.below(9) > 0 {
            fields.push(format!("\"t\": \"{text}\""));
        }
        let time = match chance.below(3) {
            0 => format!("{}", chance.below(5) * 3_600_000),
            1 => format!("\"1970-01-01T0{}:00:00Z\"", chance.below(5)),
            _ => format!("\"1970-01-01T0{}:00:00+01:00\"", chance.below(5) + 1),
        };
        fields.push(format!("\"ts\": {time}"));
        fields.push(format!("\"p\": {}", chance.one_of(&["true", "false", "null"])));
        let tags: Vec<String> = (0..chance.below(4))
            .map(|_| chance.one_of(&["\"red\"", "\"blue\"", "5", "5.0", "true"]).to_owned())
            .collect();
        let city = chance.one_of(&["\"Graz\"", "\"Linz\"", "5", "true", "null"]);
        fields.push(format!(
            "\"j\": {{\"tags\": [{}], \"o\": {{\"city\": {city}}}}}",
            tags.join(",")
        ));
        maps.put("m", &format!("k{n}"), format!("{{{}}}", fields.join(", ")).as_bytes());
    }
    maps
}

async fn answer(sql: &Sql, statement: &str) -> String {
    let answer = sql.run(statement, Vec::new()).await;
    let answer = answer.unwrap_or_else(|error| panic!("{statement}: {error}"));
    let batches: Vec<RecordBatch> =
        answer.batches.try_collect().await.unwrap_or_else(|error| panic!("{statement}: {error}"));
    pretty_format_batches(&batches).unwrap().to_string()
}

async fn with_columns() -> (Arc<Maps>, Sql) {
    let maps = Arc::new(maps());
    let sql = Sql::new(Arc::clone(&maps) as _, Arc::default(), QueryLimits::default());
    for column in
        ["n BIGINT", "d DOUBLE", "b BIGINT", "t TEXT", "ts TIMESTAMP", "p BOOLEAN", "j JSON"]
    {
        answer(&sql, &format!("ALTER MAP m ADD COLUMN {column}")).await;
    }
    (maps, sql)
}

fn predicate(chance: &mut Chance) -> String {
    let long = "x".repeat(300);
    let long = [format!("'{long}0'"), format!("'{long}1'")];
    let (column, values): (&str, Vec<&str>) = match chance.below(7) {
        0 => ("d", vec!["0.0", "1.0", "2.5", "-7.0", "9007199254740992.0", "-0.0", "1e300"]),
        1 | 2 => ("b", vec!["0", "1", "-3", "5", "9"]),
        3 => ("t", vec!["'t1'", "'t3'", "'t'", "''", &long[0], &long[1]]),
        4 => (
            "ts",
            vec![
                "TIMESTAMP '1970-01-01T02:00:00Z'",
                "'1970-01-01T03:00:00Z'",
                "TIMESTAMP '1970-01-01'",
            ],
        ),
        5 => {
            return chance
                .one_of(&[
                    "p",
                    "NOT p",
                    "p IS NULL",
                    "p = true",
                    "p IS TRUE",
                    "t IS NULL",
                    "p <> true",
                ])
                .to_owned();
        }
        _ => {
            return chance
                .one_of(&[
                    "j.o.city = 'Graz'",
                    "j->'o'->>'city' = '5'",
                    "j->'o'->>'city' IN ('true', 'Linz')",
                    "json_has(j, 'tags', 'red')",
                    "json_has(j, 'tags', 5)",
                    "json_has(j->'tags', true)",
                    "json_has(j, 'tags', 'none')",
                ])
                .to_owned();
        }
    };
    let mut value = || chance.one_of(&values).to_owned();
    let (one, two, three) = (value(), value(), value());
    match chance.below(8) {
        0..=2 => format!("{column} = {one}"),
        3 => format!("{column} IN ({one}, {two}, {three})"),
        4 => format!("{column} BETWEEN {one} AND {two}"),
        5 => format!("{column} {} {one}", chance.one_of(&["<", "<=", ">", ">="])),
        6 => format!(
            "{one} {} {column} AND {column} {} {two}",
            chance.one_of(&["<", "<="]),
            chance.one_of(&["<", "<="])
        ),
        _ => format!("({column} = {one} OR {column} = {two})"),
    }
}

const INDEXES: [&str; 9] = [
    "CREATE INDEX by_b ON m USING hash (b)",
    "CREATE INDEX by_bt ON m (b, t)",
    "CREATE INDEX by_dat ON m (d, ts)",
    "CREATE INDEX by_t ON m (t)",
    "CREATE INDEX by_ts ON m (ts, p)",
    "CREATE INDEX by_p ON m (p, d)",
    "CREATE UNIQUE INDEX one ON m (n)",
    "CREATE INDEX by_city ON m (j->'o'->'city')",
    "CREATE INDEX by_tag ON m USING inverted (j.tags)",
];

#[tokio::test]
async fn rows_are_the_same_with_indexes_and_without() {
    let (maps, with) = with_columns().await;
    let (_, without) = with_columns().await;
    for index in INDEXES {
        answer(&with, index).await;
    }
    let mut chance = Chance(20_261_122);
    let mut used = 0;
    for _ in 0..400 {
        let count = chance.below(3) + 1;
        let predicates: Vec<String> = (0..count).map(|_| predicate(&mut chance)).collect();
        let statement = format!(
            "SELECT n, d, b, t, ts, p FROM m WHERE {} ORDER BY n",
            predicates.join(" AND ")
        );
        let before = maps.seeks.load(Ordering::Relaxed);
        let found = answer(&with, &statement).await;
        used += u32::from(maps.seeks.load(Ordering::Relaxed) > before);
        assert_eq!(found, answer(&without, &statement).await, "{statement}");
    }
    assert!(used > 300, "an index was used {used} times");
}

#[tokio::test]
async fn the_index_that_names_most_is_chosen_and_shown() {
    let (_, sql) = with_columns().await;
    for index in INDEXES {
        answer(&sql, index).await;
    }
    for (predicate, shown) in [
        ("b = 3", "index: by_b (b = 3)"),
        ("b = 3 AND t = 'x'", "index: by_bt (b = 3, t = \"x\")"),
        ("b IN (1, 2, 3, 4)", "index: by_b (b in 4 values)"),
        ("b > 3 AND b <= 5", "index: by_bt (b > 3 and b <= 5)"),
        ("b = 3 AND t > 'x'", "index: by_bt (b = 3, t > \"x\")"),
        ("n = 7 AND b = 3 AND t = 'x'", "index: one (n = 7)"),
        ("NOT p AND d < 5", "index: by_p (p = false, d < 5.0)"),
        ("t IS NULL", "index: by_t (t = NULL)"),
        ("j->'o'->>'city' = 'Graz'", "index: by_city (j.o.city "),
        ("json_has(j, 'tags', 'red')", "index: by_tag (j.tags has \"red\")"),
    ] {
        let plan = answer(&sql, &format!("EXPLAIN SELECT n FROM m WHERE {predicate}")).await;
        assert!(plan.contains(shown), "{predicate}: {plan}");
    }
    for predicate in
        ["b <> 3", "b + 1 = 3", "d = 9007199254740992.0", "t LIKE '%x'", "b = 1 OR d = 1"]
    {
        let plan = answer(&sql, &format!("EXPLAIN SELECT n FROM m WHERE {predicate}")).await;
        assert!(!plan.contains("index:"), "{predicate}: {plan}");
    }
}

#[tokio::test]
async fn indexes_are_made_shown_and_dropped() {
    let (_, sql) = with_columns().await;
    answer(&sql, "CREATE UNIQUE INDEX \"One\" ON m USING hash (t, j->'o'.\"City\")").await;
    let again = sql.run("CREATE INDEX \"One\" ON m (t)", Vec::new()).await.expect_err("twice");
    assert!(again.to_string().contains("already"), "{again}");
    assert!(
        answer(&sql, "CREATE INDEX IF NOT EXISTS \"One\" ON m (t)").await.contains("was there")
    );
    let shown = answer(&sql, "SHOW CREATE MAP m").await;
    let made = "CREATE UNIQUE INDEX \"One\" ON m USING hash (t, j.o.\"City\")";
    assert!(shown.contains(made), "{shown}");
    assert!(
        answer(&sql, "SHOW INDEXES FROM m")
            .await
            .contains("| One   | hash | true   | t, j.o.\"City\"")
    );
    assert!(answer(&sql, "DESCRIBE m").await.contains("in index One"));
    answer(&sql, "DROP INDEX \"One\" ON m").await;
    assert!(sql.run("DROP INDEX \"One\" ON m", Vec::new()).await.is_err());
    answer(&sql, "DROP INDEX IF EXISTS \"One\" ON m").await;
    for (statement, why) in [
        ("CREATE INDEX i ON nothing (a)", "no map"),
        ("CREATE INDEX i ON m USING btree (a)", "hash, ordered, inverted"),
        ("CREATE INDEX i ON m ()", "identifier"),
        ("CREATE INDEX i ON m (_key)", "names that begin with _"),
        ("CREATE INDEX i ON m (a) WHERE b", "where the statement ends"),
        ("CREATE UNIQUE INDEX i ON m USING inverted (a)", "not unique"),
    ] {
        let error = sql.run(statement, Vec::new()).await.expect_err(statement);
        assert!(error.to_string().contains(why), "{statement}: {error}");
    }
}

#[tokio::test]
async fn an_index_that_would_spare_most_of_a_walk_is_advised() {
    let (_, sql) = with_columns().await;
    let explain = async |predicate: &str| {
        answer(&sql, &format!("EXPLAIN ANALYZE SELECT n FROM m WHERE {predicate}")).await
    };
    let advice = "advice: CREATE INDEX by_n ON m USING ordered (n)";
    let explained = explain("n = 7").await;
    assert!(explained.contains(advice), "{explained}");
    for predicate in ["n > 1", "n + 1 = 7", "n <> 7"] {
        let explained = explain(predicate).await;
        assert!(!explained.contains("advice"), "{predicate}: {explained}");
    }
    answer(&sql, "CREATE INDEX by_n ON m (n)").await;
    assert!(!explain("n = 7").await.contains("advice"));
}
