//! Rows of several tables.

use crate::statement::Statement;

pub(super) fn all() -> Vec<Statement> {
    vec![
        Statement::any(
            "joined by what decides about the partition",
            "SELECT o.id, c.name, c.city FROM orders o JOIN customers c ON c.tenant = o.tenant AND c.id = o.customer
             WHERE o.quantity > 18 AND c.tier >= 3",
        ),
        Statement::any(
            "joined by something else",
            "SELECT p.category, count(*), sum(o.total), sum(p.price * o.quantity) FROM orders o JOIN products p ON p.id = o.product
             GROUP BY p.category",
        ),
        Statement::any(
            "with those that have no other",
            "SELECT o.id, c.name, c.credit FROM orders o LEFT JOIN customers c ON c.id = o.customer
             WHERE o.tenant < 't00015' AND (c.credit IS NULL OR c.credit > 500)",
        ),
        Statement::any(
            "those that have no other",
            "SELECT c.id, c.city FROM customers c LEFT JOIN orders o ON o.customer = c.id AND o.total > 0 WHERE o.id IS NULL",
        ),
        Statement::any(
            "a condition in the join and one behind it",
            "SELECT p.id, count(o.id), sum(o.total) FROM products p
             LEFT JOIN orders o ON o.product = p.id AND o.status = 'new' AND p.stock > 10
             WHERE p.discontinued OR p.price > 100 GROUP BY p.id",
        ),
        Statement::any(
            "with those of the other side",
            "SELECT p.id, p.name, o.id FROM orders o RIGHT JOIN products p ON p.id = o.product AND o.total > 940",
        ),
        Statement::any(
            "with those of both sides",
            "SELECT o.tenant, p.id, o.orders FROM (SELECT tenant, product, count(*) AS orders FROM orders WHERE tenant < 't00003'
                                                  GROUP BY tenant, product) AS o
             FULL JOIN (SELECT id FROM products WHERE price > 60) AS p ON p.id = o.product",
        ),
        Statement::any(
            "a table with itself",
            "SELECT a.id, b.id FROM orders a JOIN orders b ON b.customer = a.customer AND b.status = a.status AND b.id > a.id
             WHERE a.tenant IN ('t00001', 't00009') AND a.quantity = b.quantity",
        ),
        Statement::any(
            "three tables",
            "SELECT c.city, p.category, count(*), sum(o.total) FROM orders o
             JOIN customers c ON c.id = o.customer JOIN products p ON p.id = o.product
             WHERE o.paid AND p.stock IS NOT NULL GROUP BY c.city, p.category",
        ),
        Statement::any(
            "three tables, two of them if they have something",
            "SELECT o.id, c.name, p.name FROM orders o
             LEFT JOIN customers c ON c.id = o.customer AND c.tier = 2 LEFT JOIN products p ON p.id = o.product AND p.category = 'food'
             WHERE o.tenant BETWEEN 't00005' AND 't00008'",
        ),
        Statement::any(
            "joined by a range",
            "SELECT p.id, count(*), min(c.credit) FROM products p JOIN customers c ON c.credit BETWEEN p.price AND p.price + 5.5
             WHERE c.tenant < 't00020' GROUP BY p.id",
        ),
        Statement::any(
            "everything with everything",
            "SELECT a.status, b.category, a.orders * b.products FROM (SELECT status, count(*) AS orders FROM orders GROUP BY status) AS a
             CROSS JOIN (SELECT category, count(*) AS products FROM products GROUP BY category) AS b",
        ),
        Statement::any(
            "joined by columns of the same name",
            "SELECT tenant, count(*), count(DISTINCT c.city) FROM orders AS o JOIN customers AS c USING (tenant)
             WHERE o.quantity = 20 GROUP BY tenant",
        ),
    ]
}

/// Rows of one table, for which another has something or nothing.
pub(super) fn halves() -> Vec<Statement> {
    vec![
        Statement::any(
            "those for which there is one",
            "SELECT c.id, c.name FROM customers c
             WHERE EXISTS (SELECT 1 FROM orders o WHERE o.customer = c.id AND o.total > 900 AND o.status = 'returned')",
        ),
        Statement::any(
            "those for which there is none",
            "SELECT p.id FROM products p WHERE NOT EXISTS (SELECT 1 FROM orders o WHERE o.product = p.id AND o.quantity > 17)",
        ),
        Statement::any(
            "those that are in an answer",
            "SELECT count(*), sum(total) FROM orders
             WHERE product IN (SELECT id FROM products WHERE category = 'tool' AND price < 50)
               AND customer NOT IN (SELECT id FROM customers WHERE city = 'Oslo')",
        ),
        Statement::any(
            "none is in an answer with NULL",
            "SELECT count(*) FROM products WHERE id NOT IN (SELECT product FROM orders)",
        ),
        Statement::any(
            "NULL is in no answer",
            "SELECT count(*), count(product) FROM orders WHERE product NOT IN (SELECT id FROM products WHERE category = 'book')",
        ),
        Statement::any(
            "NULL is not in an empty answer",
            "SELECT count(*), count(product) FROM orders WHERE product NOT IN (SELECT id FROM products WHERE price < 0)",
        ),
        Statement::any(
            "in an answer, or something else",
            "SELECT o.id FROM orders o
             WHERE o.tenant < 't00010' AND (o.quantity > 19 OR o.product IN (SELECT id FROM products WHERE discontinued))",
        ),
    ]
}
