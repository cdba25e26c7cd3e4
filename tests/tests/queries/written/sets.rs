//! Answers put together.

use crate::statement::Statement;

pub(super) fn all() -> Vec<Statement> {
    vec![
        Statement::any(
            "either, once",
            "SELECT tenant, status FROM orders WHERE total > 900 UNION SELECT tenant, 'customer' FROM customers WHERE tier = 1",
        ),
        Statement::any(
            "both, as often as they come",
            "SELECT tenant FROM orders WHERE total > 945 UNION ALL SELECT tenant FROM customers WHERE credit > 990
             UNION ALL SELECT 'none'",
        ),
        Statement::any(
            "in both",
            "SELECT product FROM orders WHERE tenant < 't00004' INTERSECT SELECT id FROM products WHERE category <> 'book'",
        ),
        Statement::any(
            "NULL is in both",
            "SELECT note FROM orders WHERE quantity = 1 INTERSECT SELECT note FROM orders WHERE quantity = 2",
        ),
        Statement::any(
            "in one and not in the other",
            "SELECT id FROM products EXCEPT SELECT product FROM orders WHERE quantity >= 10",
        ),
        Statement::ordered(
            "put together and ordered",
            "SELECT name, 1 AS kind FROM customers WHERE tier = 4 UNION SELECT name, 2 FROM products
             ORDER BY name DESC, kind LIMIT 60 OFFSET 5",
        ),
    ]
}
