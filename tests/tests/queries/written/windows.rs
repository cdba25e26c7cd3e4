//! Rows beside others.

use crate::statement::Statement;

pub(super) fn all() -> Vec<Statement> {
    vec![
        Statement::any(
            "numbered",
            "SELECT id, row_number() OVER (PARTITION BY tenant ORDER BY placed_at, id) AS place FROM orders WHERE tenant < 't00030'",
        ),
        Statement::any(
            "ranks with equals",
            "SELECT id, rank() OVER (PARTITION BY status ORDER BY quantity DESC), dense_rank() OVER (PARTITION BY status ORDER BY quantity DESC)
             FROM orders WHERE tenant < 't00020'",
        ),
        Statement::any(
            "the one before and the one behind",
            "SELECT id, lag(total) OVER w, lead(total, 2, -1.0) OVER w, total - lag(total, 1, 0.0) OVER w FROM orders WHERE tenant < 't00025'
             WINDOW w AS (PARTITION BY customer ORDER BY placed_at, id)",
        ),
        Statement::any(
            "sums so far",
            "SELECT id, sum(total) OVER (PARTITION BY tenant ORDER BY id ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW),
                    sum(quantity) OVER (PARTITION BY tenant ORDER BY quantity), count(*) OVER (PARTITION BY tenant)
             FROM orders WHERE tenant < 't00020'",
        ),
        Statement::any(
            "over some rows around",
            "SELECT id, avg(total) OVER (PARTITION BY tenant ORDER BY id ROWS BETWEEN 3 PRECEDING AND 2 FOLLOWING),
                    max(quantity) OVER (PARTITION BY tenant ORDER BY id ROWS BETWEEN 4 PRECEDING AND 1 PRECEDING),
                    sum(quantity) OVER (PARTITION BY tenant ORDER BY quantity RANGE BETWEEN 2 PRECEDING AND 1 FOLLOWING)
             FROM orders WHERE tenant < 't00015'",
        ),
        Statement::any(
            "shares",
            "SELECT id, ntile(4) OVER w, percent_rank() OVER w, cume_dist() OVER w FROM orders WHERE tenant < 't00010'
             WINDOW w AS (PARTITION BY tenant ORDER BY total, id)",
        )
        .near(),
        Statement::any(
            "the first, the last and another",
            "SELECT id, first_value(id) OVER w, last_value(note) OVER w, nth_value(status, 3) OVER w FROM orders WHERE tenant < 't00010'
             WINDOW w AS (PARTITION BY product ORDER BY total DESC, id ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING)",
        ),
        Statement::ordered(
            "the best three of each",
            "SELECT status, id, total FROM (SELECT status, id, total,
                    row_number() OVER (PARTITION BY status ORDER BY total DESC, id) AS place FROM orders) AS placed
             WHERE place <= 3 ORDER BY status, place",
        ),
        Statement::ordered(
            "beside groups",
            "SELECT tenant, sum(total) AS total, rank() OVER (ORDER BY sum(total) DESC) AS place, sum(sum(total)) OVER () AS everything
             FROM orders GROUP BY tenant ORDER BY total DESC, tenant LIMIT 30",
        ),
        Statement::any(
            "NULL beside others",
            "SELECT id, count(note) OVER w, rank() OVER w FROM orders WHERE tenant < 't00008' WINDOW w AS (PARTITION BY status ORDER BY note NULLS FIRST)",
        ),
    ]
}
