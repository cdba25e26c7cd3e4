//! Which rows: every operator, functions, parameters, and what leaves only some partitions.

use crate::answer::Value;
use crate::data::Data;
use crate::statement::Statement;

pub(super) fn all() -> Vec<Statement> {
    vec![
        Statement::any(
            "comparisons",
            "SELECT id, total FROM orders
             WHERE quantity >= 15 AND total < 100.5 AND status <> 'paid' AND tenant <= 't00020' AND id > 50 AND paid = TRUE",
        ),
        Statement::any(
            "lists",
            "SELECT id, status FROM orders
             WHERE status IN ('new', 'returned') AND quantity NOT IN (1, 2, 3, 4, 5) AND tenant IN ('t00003', 't00007')",
        ),
        Statement::any(
            "lists with NULL",
            "SELECT count(*), sum(CASE WHEN quantity IN (1, 2, NULL) THEN 1 ELSE 0 END),
                    sum(CASE WHEN quantity NOT IN (1, 2, NULL) THEN 1 ELSE 0 END),
                    sum(CASE WHEN (quantity IN (1, 2, NULL)) IS NULL THEN 1 ELSE 0 END)
             FROM orders WHERE NOT (quantity IN (1, 2, NULL)) IS TRUE",
        ),
        Statement::any(
            "ranges",
            "SELECT id FROM orders
             WHERE total BETWEEN 10.25 AND 60 AND quantity NOT BETWEEN 5 AND 15 AND tenant BETWEEN 't00002' AND 't00009'
                   AND placed_at NOT BETWEEN 1710000000000 AND 1720000000000",
        ),
        Statement::any(
            "patterns",
            "SELECT id, note FROM orders
             WHERE (note LIKE 'gift%' OR note LIKE '%first' OR note LIKE '_r%e XL') AND status NOT LIKE '%e%'
                   AND customer LIKE 'c%' AND tenant LIKE 't0000_'",
        ),
        Statement::any(
            "patterns with an escape",
            "SELECT note, count(*) FROM orders
             WHERE note LIKE '50\\%%' ESCAPE '\\' OR note LIKE '%\\_%' ESCAPE '\\' GROUP BY note",
        ),
        Statement::any(
            "NULL and empty text",
            "SELECT count(*), count(note), sum(CASE WHEN note = '' THEN 1 ELSE 0 END),
                    sum(CASE WHEN note IS NULL THEN 1 ELSE 0 END), sum(CASE WHEN note IS NOT NULL THEN 1 ELSE 0 END),
                    sum(CASE WHEN product IS NULL AND note IS NULL THEN 1 END)
             FROM orders WHERE note IS NULL OR note <> 'gift'",
        ),
        Statement::any(
            "distinct from",
            "SELECT note IS DISTINCT FROM 'gift' AS other, note IS NOT DISTINCT FROM product AS same, count(*)
             FROM orders GROUP BY note IS DISTINCT FROM 'gift', note IS NOT DISTINCT FROM product",
        ),
        Statement::any(
            "three values",
            "SELECT count(*) FROM orders
             WHERE NOT (note = 'gift' OR (product > 'p00020' AND NOT paid)) OR (note LIKE 'c%') IS NULL",
        ),
    ]
}

/// What is made of values.
pub(super) fn of_values() -> Vec<Statement> {
    vec![
        Statement::any(
            "cases",
            "SELECT id, CASE status WHEN 'new' THEN 1 WHEN 'paid' THEN 2 ELSE 0 END AS step,
                    CASE WHEN total >= 500 THEN 'large' WHEN total >= 100 THEN 'middle' WHEN total < 0 THEN NULL ELSE 'small' END AS size
             FROM orders WHERE tenant = 't00004'",
        ),
        Statement::any(
            "instead of NULL",
            "SELECT id, coalesce(note, product, 'none'), nullif(status, 'new'), coalesce(nullif(quantity, 0), -1),
                    ifnull(product, '-')
             FROM orders WHERE coalesce(note, 'gift') = 'gift' AND tenant < 't00010'",
        ),
        Statement::any(
            "arithmetic",
            "SELECT id, quantity / 3, quantity % 3, -quantity, quantity * 2 - 7, total / 4, total * 0.5 + quantity, abs(quantity - 9),
                    (total + 1) * -2, placed_at / 86400000
             FROM orders WHERE (quantity + id) % 7 = 3 AND total / 2 > quantity * 10 AND tenant < 't00012'",
        ),
        Statement::any(
            "functions of text",
            "SELECT id, upper(status), lower(customer), length(note), substr(tenant, 2, 3), substr(status, 2), replace(customer, '0', 'o'),
                    trim('  ' || status || ' '), instr(note, 'i'), status || ':' || note, ltrim(customer, 'c0')
             FROM orders WHERE length(note) > 4 AND tenant < 't00006'",
        ),
        Statement::any(
            "casts",
            "SELECT id, CAST(total AS BIGINT), CAST(quantity AS DOUBLE) / 8, CAST(id AS VARCHAR) || '!', CAST(substr(tenant, 2) AS BIGINT),
                    CAST('12.5' AS DOUBLE) + quantity
             FROM orders WHERE CAST(substr(customer, 2) AS BIGINT) % 5 = 1 AND tenant < 't00020'",
        ),
        Statement::any(
            "true and false",
            "SELECT paid, NOT paid AS unpaid, paid AND quantity > 5 AS many, paid IS NOT TRUE AS no, count(*)
             FROM orders WHERE paid OR total > 400 GROUP BY paid, NOT paid, paid AND quantity > 5, paid IS NOT TRUE",
        ),
        Statement::any(
            "lists in values",
            "SELECT id, tags FROM orders
             WHERE tags LIKE '%\"gift\"%' AND tags NOT LIKE '%,%' OR (tags = '[]' AND id < 200) OR (tags LIKE '%été%' AND id < 100)",
        ),
    ]
}

/// What SQLite says otherwise, and parameters.
pub(super) fn in_other_words() -> Vec<Statement> {
    vec![
        Statement::any(
            "parts of a date",
            "SELECT date_part('month', to_timestamp_millis(placed_at)) AS month, count(*), min(id)
             FROM orders GROUP BY date_part('month', to_timestamp_millis(placed_at))",
        )
        .in_sqlite(
            "SELECT CAST(strftime('%m', placed_at / 1000, 'unixepoch') AS INTEGER) AS month, count(*), min(id)
             FROM orders GROUP BY month",
        ),
        Statement::any(
            "regular expressions",
            "SELECT id FROM orders WHERE note ~ '^[f-h].*t' AND customer !~ '[13579]$' AND tenant < 't00050'",
        )
        .in_sqlite(
            "SELECT id FROM orders WHERE note GLOB '[f-h]*t*' AND customer NOT GLOB '*[13579]' AND tenant < 't00050'",
        ),
        Statement::any(
            "parameters of every type",
            "SELECT id, $1 AS given FROM orders
             WHERE tenant = $2 AND quantity > $3 AND total <= $4 AND (note = $5 OR $6 IS NULL)",
        )
        .bind(Value::Text("it's $2 -- not SQL".into()))
        .bind(Value::Text("t00005".into()))
        .bind(Value::Whole(3))
        .bind(Value::Real(600.25))
        .bind(Value::Text("gift".into()))
        .bind(Value::Null),
    ]
}

/// What names keys or partitions, so that only some are walked over.
pub(super) fn of_partitions(data: &Data) -> Vec<Statement> {
    let key = |place: usize| data.orders[place % data.orders.len()].key();
    let list = format!("'{}', '{}', '{{t00001}}:none', '{}'", key(7), key(12_345), key(999));
    vec![
        Statement::any("a key", "SELECT id, total, note FROM orders WHERE _key = $1")
            .bind(Value::Text(key(17))),
        Statement::any(
            "some keys",
            format!("SELECT _key, id, status FROM orders WHERE _key IN ({list}) AND id >= 0"),
        ),
        Statement::any(
            "a key or another, or none",
            format!(
                "SELECT id FROM orders
                 WHERE (_key = '{}' AND status <> 'none') OR _key = '{}' OR (_key = '{}' AND _key = '{}')",
                key(3),
                key(4),
                key(5),
                key(6),
            ),
        ),
        Statement::any(
            "some partitions",
            "SELECT _partition, count(*), sum(total) FROM orders
             WHERE _partition = 5 OR _partition IN (1, 2, 63) GROUP BY _partition",
        ),
        Statement::any(
            "all but some partitions",
            "SELECT count(*), min(_partition), max(_partition), count(DISTINCT _partition) FROM orders
             WHERE NOT (_partition = 5 OR _partition IN (1, 2)) AND (_partition = 6 OR id % 2 = 0)",
        ),
    ]
}
