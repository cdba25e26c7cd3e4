//! Values within values: what the arrows mean to both. SQLite says 1 and 0 for true and false, and numbers as numbers, so these are asked as JSON.

use crate::statement::Statement;

/// JSON of every kind, with what is hard to read in it.
const DOCUMENT: &str = r#"{"a": {"b": [1, 2.5, -3e2, "x y", null, true, {"c": "d"}]}, "quote\"d": "é\u00e9\n\"", "ü": "😀", "a b": [], "0": {}, "": "none", "null": null}"#;

/// Steps from it, of one, two and three.
const STEPS: [&str; 24] = [
    "->'a'",
    "->'a'->'b'",
    "->'a'->'b'->0",
    "->'a'->'b'->1",
    "->'a'->'b'->2",
    "->'a'->'b'->3",
    "->'a'->'b'->>3",
    "->'a'->'b'->4",
    "->'a'->'b'->>4",
    "->'a'->'b'->5",
    "->'a'->'b'->6->>'c'",
    "->'a'->'b'->7",
    "->'a'->0",
    "->'a'->'b'->'b'",
    "->>'ü'",
    "->>'a b'",
    "->>'0'",
    "->>'null'",
    "->'null'",
    "->'nobody'",
    "->'nobody'->'there'",
    "->>'A'",
    "->'a'->'b'->6",
    "->>'a'",
];

/// All of them.
pub(crate) fn all() -> Vec<Statement> {
    let step =
        |(place, step): (usize, &&str)| format!("SELECT {place} AS n, '{DOCUMENT}'{step} AS v");
    let steps: Vec<String> = STEPS.iter().enumerate().map(step).collect();
    vec![
        Statement::any("every step into a document", steps.join(" UNION ALL ")),
        Statement::any(
            "items of lists",
            "SELECT id, tags->0, tags->>0, tags->>1, tags->7 FROM orders",
        ),
        Statement::any(
            "filtered by an item",
            "SELECT count(*), sum(quantity) FROM orders WHERE tags->>0 > 'm' AND tags->>1 IS NOT NULL",
        ),
        Statement::any(
            "grouped by an item",
            "SELECT tags->>0 AS tag, count(*) FROM orders GROUP BY tags->>0",
        ),
        Statement::ordered(
            "ordered by an item",
            "SELECT tags->>0 || '-' || id AS t FROM orders WHERE tags->>0 IS NOT NULL ORDER BY t LIMIT 50",
        ),
        Statement::any(
            "joined by an item",
            "SELECT count(*) FROM products p JOIN orders o ON o.tags->>0 = p.name OR o.product = p.id",
        ),
    ]
}
