//! Whole statements around expressions: rows in a total order, sums, groups, different rows and windows.

use super::expressions::Expressions;
use super::words::{TABLES, Tables};
use crate::random::Random;
use crate::statement::Statement;

/// Writes one statement.
pub(super) struct Writer<'r>(Expressions<'r>);

/// How deep predicates are, and what is shown.
const PREDICATE_DEPTH: i64 = 3;
const SHOWN_DEPTH: i64 = 2;

impl<'r> Writer<'r> {
    pub(super) fn new(random: &'r mut Random) -> Writer<'r> {
        let tables: &'static Tables = match random.below(8) {
            0..=3 => &TABLES[0],
            4..=5 => &TABLES[1],
            6 => &TABLES[2],
            _ => &TABLES[3],
        };
        Writer(Expressions::new(random, tables))
    }

    pub(super) fn write(mut self, name: String) -> Statement {
        match self.below(6) {
            0 => Statement::ordered(name, self.rows()),
            1 => Statement::any(name, self.sums()),
            2 => Statement::any(name, self.groups()),
            3 => {
                let groups = self.groups_in_order();
                Statement::ordered(name, groups)
            }
            4 => Statement::any(name, self.different()),
            _ => Statement::ordered(name, self.windows()),
        }
    }

    fn below(&mut self, end: i64) -> i64 {
        self.0.random.below(end)
    }

    fn depth(&mut self, most: i64) -> u32 {
        u32::try_from(self.0.random.between(0, most)).expect("small")
    }

    /// FROM and WHERE.
    fn from(&mut self) -> String {
        let from = self.0.tables.from;
        let depth = self.depth(PREDICATE_DEPTH);
        let predicate = self.0.truth(depth);
        match self.below(10) {
            0 => format!("FROM {from}"),
            1 => {
                let not = self.0.random.pick(&["", "NOT "]);
                format!("FROM {from} WHERE ({predicate}) AND {}", self.of_others(not))
            }
            // NOT IN forgets NULL behind OR: docs/sql.md.
            2 => format!("FROM {from} WHERE ({predicate}) OR {}", self.of_others("")),
            _ => format!("FROM {from} WHERE {predicate}"),
        }
    }

    /// What another statement says of an order, or the opposite.
    fn of_others(&mut self, not: &str) -> String {
        match self.below(4) {
            0 => {
                let price = self.below(120);
                format!("o.product {not}IN (SELECT x.id FROM products x WHERE x.price > {price})")
            }
            1 => {
                let tier = self.below(5);
                let there = "EXISTS (SELECT 1 FROM customers x WHERE x.id = o.customer AND x.tier";
                format!("{not}{there} > {tier})")
            }
            2 => {
                let credit = self.below(1_000);
                let least = "SELECT avg(x.credit) FROM customers x WHERE x.credit <";
                format!("o.total > ({least} {credit})")
            }
            _ => {
                let quantity = self.0.random.between(-2, 20);
                let products = "SELECT x.product FROM orders x WHERE x.paid AND x.quantity =";
                format!("o.product {not}IN ({products} {quantity})")
            }
        }
    }

    /// Something of any type.
    fn shown(&mut self) -> String {
        let depth = self.depth(SHOWN_DEPTH);
        match self.below(4) {
            0 => self.0.whole(depth),
            1 => self.0.real(depth),
            2 => self.0.text(depth),
            _ => format!("({})", self.0.truth(depth.min(1))),
        }
    }

    fn direction(&mut self) -> &'static str {
        self.0.random.pick(&[
            "ASC NULLS FIRST",
            "ASC NULLS LAST",
            "DESC NULLS FIRST",
            "DESC NULLS LAST",
        ])
    }

    /// Rows in an order that leaves nothing open, and a piece of them.
    fn rows(&mut self) -> String {
        let (one, other, from) = (self.shown(), self.shown(), self.from());
        let (first, second) = (self.direction(), self.direction());
        let (limit, offset) = (self.below(120), self.below(30));
        let offset = if offset < 15 { String::new() } else { format!(" OFFSET {offset}") };
        format!(
            "SELECT o._key AS k, {one} AS a, {other} AS b {from} ORDER BY a {first}, b {second}, k LIMIT {limit}{offset}"
        )
    }

    /// Something about all rows of a group.
    fn aggregate(&mut self) -> String {
        let depth = self.depth(SHOWN_DEPTH);
        let aggregate = match self.below(11) {
            0..=1 => "count(*)".to_owned(),
            2 => format!("count({})", self.shown()),
            3 => format!("count(DISTINCT {})", self.shown()),
            4 => format!("sum({})", self.0.whole(depth)),
            5 => format!("sum({})", self.0.real(depth)),
            6 => format!("avg({})", self.0.real(depth)),
            7 => format!("avg({})", self.0.whole(depth)),
            8 => format!("sum(DISTINCT {})", self.0.whole(depth)),
            9 => format!("min({})", self.shown()),
            _ => format!("max({})", self.shown()),
        };
        if self.0.random.chance(15) {
            let depth = self.depth(1);
            return format!("{aggregate} FILTER (WHERE {})", self.0.truth(depth));
        }
        aggregate
    }

    fn sums(&mut self) -> String {
        let (one, other, third) = (self.aggregate(), self.aggregate(), self.aggregate());
        format!("SELECT {one} AS a, {other} AS b, {third} AS c {}", self.from())
    }

    /// SELECT to HAVING; and how many columns make a group.
    fn grouped(&mut self) -> (String, usize) {
        let first = self.0.random.pick(self.0.tables.groups);
        let second = self.0.random.pick(self.0.tables.groups);
        let mut groups = vec![first];
        if second != first && self.0.random.chance(50) {
            groups.push(second);
        }
        let len = groups.len();
        let groups = groups.join(", ");
        let (one, other, from) = (self.aggregate(), self.aggregate(), self.from());
        let mut text =
            format!("SELECT {groups}, {one} AS a, {other} AS b {from} GROUP BY {groups}");
        if self.0.random.chance(30) {
            let (least, number) = (self.0.whole(0), self.below(40));
            text = match self.below(3) {
                0 => format!("{text} HAVING count(*) > {number}"),
                1 => format!("{text} HAVING sum({least}) > {number} OR count(*) = 1"),
                _ => format!("{text} HAVING max({least}) IS NOT NULL AND count(*) < {number}"),
            };
        }
        (text, len)
    }

    fn groups(&mut self) -> String {
        self.grouped().0
    }

    fn groups_in_order(&mut self) -> String {
        let (text, len) = self.grouped();
        let columns: Vec<String> =
            (1..=len).map(|column| format!("{column} {}", self.direction())).collect();
        // Counts and sums first, then what tells groups apart.
        let by = match self.below(2) {
            0 => columns.join(", "),
            _ => format!("{} {}, {}", len + 1, self.direction(), columns.join(", ")),
        };
        let limit = self.below(50);
        format!("{text} ORDER BY {by} LIMIT {limit}")
    }

    fn different(&mut self) -> String {
        let first = self.0.random.pick(self.0.tables.groups);
        let depth = self.depth(1);
        let other = match self.below(3) {
            0 => format!("({} % 7)", self.0.whole(depth)),
            1 => format!("({})", self.0.truth(depth)),
            _ => format!("substr({}, 1, 2)", self.0.text(depth)),
        };
        format!("SELECT DISTINCT {first} AS a, {other} AS b {}", self.from())
    }

    fn windows(&mut self) -> String {
        let group = self.0.random.pick(self.0.tables.groups);
        let depth = self.depth(1);
        let by = self.direction();
        let (before, behind) = (self.below(5), self.below(4));
        let rows = format!("ROWS BETWEEN {before} PRECEDING AND {behind} FOLLOWING");
        let order = format!("PARTITION BY {group} ORDER BY {} {by}, o._key", self.0.real(0));
        let window = match self.below(6) {
            0 => format!("row_number() OVER ({order})"),
            1 => format!("sum({}) OVER ({order} {rows})", self.0.whole(depth)),
            2 => format!("max({}) OVER ({order} {rows})", self.0.text(depth)),
            3 => format!("lag({}, {before}) OVER ({order})", self.0.whole(depth)),
            4 => format!("count({}) OVER (PARTITION BY {group})", self.0.text(depth)),
            _ => format!("avg({}) OVER ({order} {rows})", self.0.real(depth)),
        };
        let (from, limit) = (self.from(), self.below(100));
        format!("SELECT o._key AS k, {window} AS w {from} ORDER BY k DESC LIMIT {limit}")
    }
}
