//! Groups and what is said of them.

use crate::statement::Statement;

pub(super) fn all() -> Vec<Statement> {
    vec![
        Statement::any(
            "all rows as one group",
            "SELECT count(*), count(note), sum(quantity), sum(total), min(total), max(total), avg(quantity), avg(total), min(note), max(status),
                    min(placed_at), max(paid)
             FROM orders",
        ),
        Statement::any(
            "no rows as one group",
            "SELECT count(*), count(note), sum(quantity), min(total), max(status), avg(total) FROM orders WHERE id < 0",
        ),
        Statement::any(
            "no rows, no groups",
            "SELECT status, count(*) FROM orders WHERE id < 0 GROUP BY status",
        ),
        Statement::any(
            "by tenant",
            "SELECT tenant, count(*), sum(total), avg(total), min(placed_at), max(quantity) FROM orders GROUP BY tenant",
        ),
        Statement::ordered(
            "by two columns, the first groups",
            "SELECT status, paid, count(*) AS orders, sum(total) AS total FROM orders
             GROUP BY status, paid ORDER BY total DESC, status, paid LIMIT 6",
        ),
        Statement::any(
            "by expressions",
            "SELECT placed_at / 2592000000 AS month, CASE WHEN total < 0 THEN 'back' ELSE 'out' END AS way, count(*), sum(quantity)
             FROM orders GROUP BY placed_at / 2592000000, CASE WHEN total < 0 THEN 'back' ELSE 'out' END",
        ),
        Statement::any(
            "groups that are wanted",
            "SELECT customer, count(*) AS orders, sum(total) FROM orders WHERE status <> 'cancelled'
             GROUP BY customer HAVING count(*) > 25 AND sum(total) > 5000 AND min(quantity) < 0",
        ),
        Statement::any("NULL is a group", "SELECT note, count(*), count(note) FROM orders GROUP BY note"),
        Statement::any("different rows", "SELECT DISTINCT status, paid, quantity FROM orders WHERE quantity > 10"),
        Statement::any(
            "different values",
            "SELECT status, count(DISTINCT tenant), count(DISTINCT note), sum(DISTINCT quantity), count(DISTINCT quantity % 4)
             FROM orders GROUP BY status",
        ),
    ]
}

/// What is said more rarely.
pub(super) fn of_rarer_kinds() -> Vec<Statement> {
    vec![
        Statement::any(
            "groups with filters",
            "SELECT tenant, count(*) FILTER (WHERE paid), sum(total) FILTER (WHERE status = 'new' AND note IS NOT NULL),
                    max(note) FILTER (WHERE quantity > 18)
             FROM orders WHERE tenant < 't00040' GROUP BY tenant",
        ),
        Statement::any(
            "how far apart",
            "SELECT status, var_pop(quantity), count(*) FROM orders GROUP BY status",
        )
        .in_sqlite(
            "SELECT status, avg(quantity * quantity) - avg(quantity) * avg(quantity), count(*) FROM orders GROUP BY status",
        )
        .near(),
        Statement::any(
            "all of a group and any of it",
            "SELECT customer, bool_and(paid), bool_or(quantity > 19) FROM orders WHERE tenant < 't00060' GROUP BY customer",
        )
        .in_sqlite(
            "SELECT customer, min(paid), max(quantity > 19) FROM orders WHERE tenant < 't00060' GROUP BY customer",
        ),
        Statement::any(
            "groups, sums of groups, and all",
            "SELECT status, paid, count(*), sum(total), grouping(paid) FROM orders GROUP BY ROLLUP (status, paid)",
        )
        .in_sqlite(
            "SELECT status, paid, count(*), sum(total), 0 FROM orders GROUP BY status, paid
             UNION ALL SELECT status, NULL, count(*), sum(total), 1 FROM orders GROUP BY status
             UNION ALL SELECT NULL, NULL, count(*), sum(total), 1 FROM orders",
        ),
        Statement::any(
            "text of a group",
            "SELECT tenant, string_agg(DISTINCT status, ',' ORDER BY status) FROM orders WHERE total > 930 GROUP BY tenant",
        )
        .in_sqlite(
            "SELECT tenant, string_agg(status, ',' ORDER BY status)
             FROM (SELECT DISTINCT tenant, status FROM orders WHERE total > 930) GROUP BY tenant",
        ),
        Statement::ordered(
            "groups of groups",
            "SELECT orders, count(*) AS tenants, min(tenant) FROM (SELECT tenant, count(*) AS orders FROM orders GROUP BY tenant) AS counts
             GROUP BY orders ORDER BY orders DESC",
        ),
    ]
}
