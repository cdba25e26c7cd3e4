//! Statements within statements.

use crate::statement::Statement;

pub(super) fn all() -> Vec<Statement> {
    vec![
        Statement::any(
            "a named answer",
            "WITH large AS (SELECT tenant, count(*) AS orders, sum(total) AS total FROM orders WHERE total > 500 GROUP BY tenant)
             SELECT tenant, orders, total / orders FROM large WHERE orders > 3",
        ),
        Statement::ordered(
            "a named answer that is asked twice",
            "WITH sums AS (SELECT tenant, sum(total) AS total FROM orders GROUP BY tenant), best AS (SELECT max(total) AS total FROM sums)
             SELECT s.tenant, s.total, b.total - s.total AS behind FROM sums s CROSS JOIN best b
             WHERE s.total > b.total / 2 ORDER BY behind, s.tenant",
        ),
        Statement::ordered(
            "an answer that asks itself",
            "WITH RECURSIVE steps(n, square) AS (SELECT 1 AS n, 1 AS square UNION ALL SELECT n + 1, (n + 1) * (n + 1) FROM steps WHERE n < 50)
             SELECT n, square FROM steps WHERE n % 7 = 0 ORDER BY n",
        ),
        Statement::ordered(
            "every day, with orders or without",
            "WITH RECURSIVE days(day) AS (SELECT 19675 UNION ALL SELECT day + 1 FROM days WHERE day < 19735)
             SELECT d.day, count(o.id), coalesce(sum(o.total), 0) FROM days d
             LEFT JOIN orders o ON o.placed_at / 86400000 = d.day AND o.tenant = 't00002' GROUP BY d.day ORDER BY d.day",
        ),
        Statement::any(
            "one value as an answer",
            "SELECT id, total - (SELECT avg(price) FROM products WHERE category = 'music') AS more FROM orders
             WHERE total > (SELECT max(total) - 10 FROM orders) OR id = (SELECT min(id) FROM orders WHERE status = 'returned')",
        )
        .near(),
        Statement::any(
            "one value for each row",
            "SELECT c.id, (SELECT count(*) FROM orders o WHERE o.customer = c.id) AS orders,
                    (SELECT max(o.total) FROM orders o WHERE o.customer = c.id AND o.paid) AS most
             FROM customers c WHERE c.tenant < 't00030'",
        ),
        Statement::any(
            "more than others of its kind",
            "SELECT o.id, o.total FROM orders o
             WHERE o.tenant < 't00012' AND o.total > 1.5 * (SELECT avg(x.total) FROM orders x WHERE x.tenant = o.tenant)",
        ),
        Statement::any(
            "rows in the statement",
            "WITH rates(status, rate) AS (VALUES ('new', 2), ('paid', 3), ('lost', 5))
             SELECT o.status, r.rate, sum(o.quantity * r.rate) FROM orders o LEFT JOIN rates r ON r.status = o.status
             GROUP BY o.status, r.rate",
        ),
        Statement::ordered(
            "NULL first",
            "SELECT note, id FROM orders WHERE tenant = 't00001' ORDER BY note NULLS FIRST, id DESC",
        ),
        Statement::ordered(
            "NULL last, however it is ordered",
            "SELECT c.tier, c.credit, c.id FROM customers c
             ORDER BY c.tier DESC NULLS LAST, c.credit ASC NULLS LAST, c.id LIMIT 200",
        ),
        Statement::ordered(
            "a piece from the middle",
            "SELECT id, total, status FROM orders ORDER BY total DESC, status, id LIMIT 25 OFFSET 110",
        ),
        Statement::ordered(
            "ordered by what is not shown",
            "SELECT id FROM orders WHERE paid ORDER BY quantity * 3 % 7 DESC, abs(total - 100), id DESC LIMIT 40",
        ),
    ]
}
