//! Definitions as they are written.

use super::*;

fn parsed(statement: &str) -> Definition {
    parse(statement).expect(statement).expect("it defines something")
}

fn why_not(statement: &str) -> String {
    parse(statement).expect_err(statement).to_string()
}

#[test]
fn maps_are_made_with_columns_and_settings() {
    let statement = r#"CREATE MAP IF NOT EXISTS "Orders" (tenant_id TEXT, Total DOUBLE PRECISION, n INT,
        at TIMESTAMP, "Items" JSONB, ok BOOL, raw BYTEA) PARTITION BY tenant_id
        WITH (backups = 2, read = backup, bytes_max = '2GiB');"#;
    let column = |(name, holds): (&str, _)| MapColumn { name: name.into(), holds };
    let columns = [
        ("tenant_id", ColumnType::Text),
        ("total", ColumnType::Double),
        ("n", ColumnType::BigInt),
        ("at", ColumnType::Timestamp),
        ("Items", ColumnType::Json),
        ("ok", ColumnType::Boolean),
        ("raw", ColumnType::Bytes),
    ];
    let columns = columns.into_iter().map(column).collect();
    let settings = [("backups", "2"), ("read", "backup"), ("bytes_max", "2GiB")];
    let settings = settings.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
    let expected = Definition::Create {
        map: "Orders".into(),
        if_absent: true,
        schema: Some(MapSchema { columns, partition_by: Some("tenant_id".into()) }),
        settings,
    };
    assert_eq!(parsed(statement), expected);
    let plain = Definition::Create {
        map: "m".into(),
        if_absent: false,
        schema: None,
        settings: Vec::new(),
    };
    assert_eq!(parsed("create map M"), plain);
    assert_eq!(parsed("CREATE TABLE public.m"), plain, "as tools say it");
}

#[test]
fn maps_are_changed_dropped_and_shown() {
    let map = || "m".to_owned();
    let added = MapColumn { name: "x".into(), holds: ColumnType::Double };
    let settings = vec![("backups".to_owned(), "0".to_owned())];
    for (statement, expected) in [
        (
            "ALTER MAP m ADD COLUMN x DOUBLE",
            Definition::Alter {
                map: map(),
                what: Alteration::Add { column: added.clone(), if_absent: false },
            },
        ),
        (
            "ALTER TABLE m ADD IF NOT EXISTS x REAL",
            Definition::Alter {
                map: map(),
                what: Alteration::Add { column: added, if_absent: true },
            },
        ),
        (
            "ALTER MAP m DROP COLUMN IF EXISTS x;",
            Definition::Alter {
                map: map(),
                what: Alteration::Drop { column: "x".into(), if_there: true },
            },
        ),
        (
            "ALTER MAP m SET (backups = 0)",
            Definition::Alter { map: map(), what: Alteration::Set(settings) },
        ),
        ("DROP MAP IF EXISTS m", Definition::Drop { map: map(), if_there: true }),
        ("DESCRIBE m", Definition::Describe { map: map() }),
        ("DESCRIBE MAP m", Definition::Describe { map: map() }),
        ("SHOW CREATE MAP m", Definition::ShowCreate { map: map() }),
        ("SHOW MAPS", Definition::ShowMaps),
    ] {
        assert_eq!(parsed(statement), expected, "{statement}");
    }
}

#[test]
fn other_statements_are_left_to_the_parser_of_queries() {
    for statement in [
        "SELECT 1",
        "SHOW TABLES",
        "SHOW COLUMNS FROM m",
        "CREATE VIEW v AS SELECT 1",
        "DROP VIEW v",
        "'open",
        "",
        "EXPLAIN SELECT * FROM m",
    ] {
        assert_eq!(parse(statement), Ok(None), "{statement}");
    }
}

#[test]
fn what_cannot_be_defined_is_told() {
    for (statement, why) in [
        ("CREATE MAP", "identifier"),
        ("CREATE MAP m (a MONEY)", "known are BOOLEAN, BIGINT"),
        ("CREATE MAP m (a INT PRIMARY KEY)", "a name and a type only"),
        ("CREATE MAP m (a INT, UNIQUE (a))", "no constraints"),
        ("CREATE MAP m PARTITION BY a", "the map has none"),
        ("CREATE MAP m WITH (backups 1)", "="),
        ("CREATE MAP m (a INT) AS SELECT 1", "where the statement ends"),
        ("ALTER MAP m RENAME TO n", "ADD COLUMN, DROP COLUMN and SET"),
        ("DROP MAP m, n", "where the statement ends"),
        ("CREATE MAP m; DROP MAP m", "where the statement ends"),
    ] {
        let said = why_not(statement);
        assert!(said.contains(why), "{statement}: {said}");
    }
}

#[test]
fn names_are_quoted_where_they_must_be() {
    for (name, expected) in [
        ("orders", "orders"),
        ("a_1", "a_1"),
        ("Orders", "\"Orders\""),
        ("select", "\"select\""),
        ("a-b", "\"a-b\""),
        ("1a", "\"1a\""),
        ("a\"b", "\"a\"\"b\""),
        ("", "\"\""),
    ] {
        assert_eq!(quoted(name), expected);
    }
    assert_eq!((literal("12").as_str(), literal("it's").as_str()), ("12", "'it''s'"));
}
