//! Statements that write, as they are written.

use super::*;

fn parsed(text: &str) -> Writing {
    of_text(text).expect(text).expect("it writes")
}

fn why_not(text: &str) -> String {
    of_text(text).expect_err(text).to_string()
}

#[test]
fn inserts_say_what_becomes_of_a_key_that_is_there() {
    for (text, present) in [
        ("INSERT INTO m (_key, a) VALUES ('k', 1)", Present::Refused),
        ("upsert INTO m (_key, a) VALUES ('k', 1);", Present::Replaced),
        ("INSERT OR REPLACE INTO m (_key, a) VALUES ('k', 1)", Present::Replaced),
        ("INSERT OR IGNORE INTO m (_key, a) VALUES ('k', 1)", Present::Skipped),
        ("INSERT INTO m (_key, a) VALUES ('k', 1) ON CONFLICT DO NOTHING", Present::Skipped),
        (
            "INSERT INTO m (_key, a) SELECT k, a FROM n ON CONFLICT (_key) DO NOTHING",
            Present::Skipped,
        ),
        ("INSERT INTO public.M (\"_key\", A) VALUES ('k', 1)", Present::Refused),
    ] {
        let Writing { map, what, .. } = parsed(text);
        let columns = Some(vec!["_key".to_owned(), "a".to_owned()]);
        assert_eq!((map.as_str(), what), ("m", What::Insert { columns, present }), "{text}");
    }
    let Writing { map, what, .. } = parsed("INSERT INTO \"M\" SELECT * FROM n");
    assert_eq!(map, "M");
    assert_eq!(what, What::Insert { columns: None, present: Present::Refused });
}

#[test]
fn updates_and_deletes_read_keys_versions_and_what_is_set() {
    let update = parsed(
        "UPDATE orders AS o SET \"Total\" = o.total * 2, o.note = $1 WHERE o.n IN (SELECT n FROM x)",
    );
    assert_eq!(update.what, What::Update { columns: vec!["Total".to_owned(), "note".to_owned()] });
    assert_eq!(
        update.read.to_string(),
        "SELECT \"_key\", \"__key\", \"_version\", \"__value\", o.total * 2 AS \"__set0\", $1 AS \"__set1\" FROM orders AS o WHERE o.n IN (SELECT n FROM x)"
    );
    let delete = parsed("DELETE FROM public.orders WHERE total IS NULL RETURNING *");
    assert_eq!((delete.map.as_str(), delete.what), ("orders", What::Delete));
    assert_eq!(
        delete.read.to_string(),
        "SELECT \"_key\", \"__key\", \"_version\" FROM public.orders WHERE total IS NULL"
    );
    assert!(delete.returning.is_some_and(|returning| returning.tells_failures()));
    let keys = parsed("DELETE FROM orders RETURNING orders._key AS k, _version");
    let returning = keys.returning.expect("it returns rows");
    assert!(!returning.tells_failures());
    assert_eq!(returning.schema().field(0).name(), "k");
}

#[test]
fn explained_is_what_would_be_read() {
    for text in [
        "EXPLAIN DELETE FROM m WHERE a = 1",
        "explain verbose UPSERT INTO m (_key) VALUES ('a')",
        "EXPLAIN FORMAT indent UPDATE m SET a = 1",
    ] {
        assert!(parsed(text).explained().is_some(), "{text}");
    }
    assert!(why_not("EXPLAIN ANALYZE DELETE FROM m").contains("would write"));
    assert!(
        why_not("EXPLAIN ANALYZE VERBOSE UPSERT INTO m (_key) VALUES (1)").contains("would write")
    );
}

#[test]
fn what_does_not_write_is_left_to_others() {
    for text in [
        "SELECT 1",
        "EXPLAIN SELECT 1",
        "EXPLAIN ANALYZE SELECT 1",
        "WITH x AS (SELECT 1) SELECT * FROM x",
        "\"UPDATE\" m",
        "SELECT 'open",
        "",
        "-- INSERT",
    ] {
        assert!(of_text(text).expect(text).is_none(), "{text}");
    }
}

#[test]
fn what_is_not_there_is_refused_with_what_is() {
    for (text, why) in [
        ("INSERT INTO m (_key) VALUES (1) ON CONFLICT (a) DO NOTHING", "by their _key alone"),
        ("INSERT INTO m (_key) VALUES (1) ON CONFLICT DO UPDATE SET a = 1", "UPSERT replaces"),
        ("UPSERT INTO m (_key) VALUES (1) ON CONFLICT DO NOTHING", "nothing more to say"),
        ("UPSERT OR IGNORE INTO m (_key) VALUES (1)", "nothing more to say"),
        ("INSERT INTO m DEFAULT VALUES", "needs VALUES"),
        ("INSERT OVERWRITE m SELECT 1", "OVERWRITE"),
        ("INSERT INTO other.m (_key) VALUES (1)", "schema public"),
        ("UPDATE m SET a = 1 FROM n WHERE m.a = n.a", "FROM in UPDATE"),
        ("UPDATE m JOIN n ON true SET a = 1", "without joins"),
        ("UPDATE m SET (a, b) = (1, 2)", "one column at a time"),
        ("UPDATE m SET a = 1 LIMIT 1", "LIMIT"),
        ("DELETE FROM m USING n WHERE m.a = n.a", "USING"),
        ("DELETE FROM m, n", "one map"),
        ("DELETE FROM m LIMIT 3", "LIMIT"),
        ("DELETE m", "FROM is missing"),
        ("DELETE m WHERE a = 1", "FROM is missing"),
        ("DELETE FROM m RETURNING a", "_key, _outcome, _version, _error"),
        ("DELETE FROM m RETURNING 1 + 1", "_outcome"),
        ("DELETE FROM m; DELETE FROM n", "where the statement ends"),
        ("UPDATE m", "SET"),
    ] {
        let told = why_not(text);
        assert!(told.contains(why), "{text}: {told}");
    }
}
