//! Expressions of each type, as deep as they may be. Numbers stay so small that both sides count exactly.

use std::collections::BTreeSet;

use super::words::{Tables, moment, partition, pattern_of, quarter, quoted, text_of, whole_of};
use crate::random::Random;

/// Writes expressions over the columns of some tables. What DataFusion 55 is known to answer wrongly is not written: docs/sql.md
/// names it.
pub(super) struct Expressions<'r> {
    pub(super) random: &'r mut Random,
    pub(super) tables: &'static Tables,
    /// What is in a list already: two lists of the same may be made one that forgets NULL.
    listed: BTreeSet<String>,
}

const COMPARISONS: [&str; 8] =
    ["=", "<>", "<", "<=", ">", ">=", "IS DISTINCT FROM", "IS NOT DISTINCT FROM"];

impl<'r> Expressions<'r> {
    pub(super) fn new(random: &'r mut Random, tables: &'static Tables) -> Expressions<'r> {
        Expressions { random, tables, listed: BTreeSet::new() }
    }

    /// A whole number.
    pub(super) fn whole(&mut self, depth: u32) -> String {
        let column = self.random.pick(self.tables.wholes);
        if depth == 0 {
            return match self.random.below(4) {
                0 => negative_in_brackets(whole_of(column, self.random)),
                _ => column.to_owned(),
            };
        }
        let one = self.whole(depth - 1);
        match self.random.below(10) {
            0 => format!("({one} + {})", self.whole(depth - 1)),
            1 => format!("({one} - {})", self.whole(depth - 1)),
            2 => format!("({one} * {})", self.random.between(2, 5)),
            3 => format!("({one} / {})", self.random.between(1, 9)),
            4 => format!("({one} % {})", self.random.between(2, 9)),
            5 => format!("abs({one})"),
            6 => format!("(-{one})"),
            7 => {
                let (when, other) = (self.truth(depth - 1), self.whole(depth - 1));
                format!("CASE WHEN {when} THEN {one} ELSE {other} END")
            }
            8 => {
                let (value, other) = (self.random.below(9), self.whole(depth - 1));
                format!("coalesce(nullif({one}, {value}), {other})")
            }
            _ => format!("length({})", self.random.pick(self.tables.texts)),
        }
    }

    /// A number of quarters, or of smaller parts that are powers of two.
    pub(super) fn real(&mut self, depth: u32) -> String {
        let column = self.random.pick(self.tables.reals);
        if depth == 0 {
            return match self.random.below(4) {
                0 => format!("({})", quarter(self.random)),
                _ => column.to_owned(),
            };
        }
        let one = self.real(depth - 1);
        match self.random.below(9) {
            0 => format!("({one} + {})", self.real(depth - 1)),
            1 => format!("({one} - {})", self.real(depth - 1)),
            2 => format!("({one} * {})", self.random.between(2, 5)),
            3 => format!("({one} / {})", self.random.pick(&[2, 4])),
            4 => format!("({one} + {})", self.whole(depth - 1)),
            5 => format!("abs({one})"),
            // A cast alone has the name of what is cast, and two columns of one name are refused.
            6 => format!("(CAST({} AS DOUBLE) + 0.5)", self.whole(depth - 1)),
            7 => {
                let (when, other) = (self.truth(depth - 1), self.real(depth - 1));
                format!("CASE WHEN {when} THEN {one} ELSE {other} END")
            }
            _ => format!("coalesce({one}, {})", self.real(depth - 1)),
        }
    }

    /// A text.
    pub(super) fn text(&mut self, depth: u32) -> String {
        let column = self.random.pick(self.tables.texts);
        if depth == 0 {
            return column.to_owned();
        }
        match self.random.below(5) {
            0 => format!("({column} || {})", quoted(&text_of(column, self.random))),
            1 => format!("substr({column}, {})", self.random.between(1, 4)),
            2 => format!("coalesce({column}, {})", quoted(&text_of(column, self.random))),
            3 => {
                let (when, other) = (self.truth(depth - 1), self.text(depth - 1));
                format!("CASE WHEN {when} THEN {column} ELSE {other} END")
            }
            _ => column.to_owned(),
        }
    }

    /// What is true, false or unknown.
    pub(super) fn truth(&mut self, depth: u32) -> String {
        if depth > 0 {
            let one = self.truth(depth - 1);
            match self.random.below(7) {
                0..=2 => return format!("({one} AND {})", self.truth(depth - 1)),
                3..=4 => return format!("({one} OR {})", self.truth(depth - 1)),
                5 => return format!("NOT ({one})"),
                _ => {}
            }
        }
        let inner = depth.min(1);
        match self.random.below(13) {
            0..=1 => {
                let (one, other) = (self.whole(inner), self.whole(inner));
                self.compared(&one, &other)
            }
            2 => {
                let (one, other) = (self.real(inner), self.real(inner));
                self.compared(&one, &other)
            }
            3 => {
                let (one, other) = (self.real(inner), self.whole(inner));
                self.compared(&one, &other)
            }
            4 => self.of_text(),
            5 => {
                let (one, other) = (self.text(inner), self.text(inner));
                self.compared(&one, &other)
            }
            6 => self.whole_in_list(inner),
            7 => self.text_in_list(),
            8 => self.in_range(inner),
            9 => self.like(),
            10 => self.is_null(inner),
            11 => self.of_truth(),
            _ => self.of_place(),
        }
    }

    /// In brackets: what follows IS DISTINCT FROM reaches too far otherwise.
    fn compared(&mut self, one: &str, other: &str) -> String {
        format!("({one} {} {other})", self.random.pick(&COMPARISONS))
    }

    fn not(&mut self) -> &'static str {
        self.random.pick(&["", "NOT "])
    }

    fn of_text(&mut self) -> String {
        let column = self.random.pick(self.tables.texts);
        let value = quoted(&text_of(column, self.random));
        match self.listed.insert(column.to_owned()) {
            true => self.compared(column, &value),
            false => format!("{column} {} {value}", self.random.pick(&["<", "<=", ">", ">="])),
        }
    }

    fn whole_in_list(&mut self, depth: u32) -> String {
        let (one, not) = (self.whole(depth), self.not());
        if !self.listed.insert(one.clone()) {
            return self.is_null(depth);
        }
        let column = self.random.pick(self.tables.wholes);
        let len = self.random.between(1, 6);
        let mut list: Vec<String> =
            (0..len).map(|_| whole_of(column, self.random).to_string()).collect();
        if self.random.chance(10) {
            list.push("NULL".into());
        }
        format!("{one} {not}IN ({})", list.join(", "))
    }

    fn text_in_list(&mut self) -> String {
        let (column, not) = (self.random.pick(self.tables.texts), self.not());
        if !self.listed.insert(column.to_owned()) {
            return self.like();
        }
        let len = self.random.between(1, 5);
        let mut list: Vec<String> =
            (0..len).map(|_| quoted(&text_of(column, self.random))).collect();
        if self.random.chance(10) {
            list.push("NULL".into());
        }
        format!("{column} {not}IN ({})", list.join(", "))
    }

    fn in_range(&mut self, depth: u32) -> String {
        let not = self.not();
        match self.random.below(4) {
            0 => {
                let (one, least, most) = (self.real(depth), self.real(0), self.real(0));
                format!("{one} {not}BETWEEN {least} AND {most}")
            }
            1 => {
                let column = self.random.pick(self.tables.texts);
                let (least, most) = (text_of(column, self.random), text_of(column, self.random));
                format!("{column} {not}BETWEEN {} AND {}", quoted(&least), quoted(&most))
            }
            2 => {
                let (least, most) = (moment(self.random), moment(self.random));
                format!("o.placed_at {not}BETWEEN {least} AND {most}")
            }
            _ => {
                let one = self.whole(depth);
                let (least, most) = (self.whole(0), self.whole(0));
                format!("{one} {not}BETWEEN {least} AND {most}")
            }
        }
    }

    fn like(&mut self) -> String {
        let (column, not) = (self.random.pick(self.tables.texts), self.not());
        let pattern = quoted(&pattern_of(column, self.random));
        format!("{column} {not}LIKE {pattern}")
    }

    fn is_null(&mut self, depth: u32) -> String {
        let not = self.not();
        let one = match self.random.below(4) {
            0 => self.whole(depth),
            1 => self.real(depth),
            2 => format!("({})", self.truth(0)),
            _ => self.text(depth),
        };
        format!("{one} IS {not}NULL")
    }

    fn of_truth(&mut self) -> String {
        let column = self.random.pick(self.tables.truths);
        match self.random.below(6) {
            0 => format!("{column} = TRUE"),
            1 => format!("{column} IS NOT TRUE"),
            2 => format!("{column} IS FALSE"),
            3 => format!("{column} = ({})", self.truth(0)),
            4 => format!("NOT {column}"),
            _ => column.to_owned(),
        }
    }

    /// What names a partition, a key, or none at all.
    fn of_place(&mut self) -> String {
        match self.random.below(4) {
            0 => format!("o._partition = {}", partition(self.random)),
            1 => {
                let list: Vec<String> =
                    (0..12).map(|_| partition(self.random).to_string()).collect();
                format!("o._partition IN ({})", list.join(", "))
            }
            2 => format!("o._partition < {}", partition(self.random)),
            _ => {
                let list = (0..6).map(|_| {
                    format!("'{{t{:05}}}:{}'", self.random.below(3), self.random.below(400))
                });
                format!("o._key IN ({})", list.collect::<Vec<_>>().join(", "))
            }
        }
    }
}

/// Minus twice in a row begins a comment.
fn negative_in_brackets(number: i64) -> String {
    if number < 0 { format!("({number})") } else { number.to_string() }
}
