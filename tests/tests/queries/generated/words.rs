//! What there is to write about: the columns of a statement's tables, and values that occur in them.

use crate::data::{CATEGORIES, CITIES, FIRST_PLACED_AT, NOTES, PLACED_WITHIN_MS, STATUSES};
use crate::random::Random;

/// The partitions of the cluster that is asked.
const PARTITIONS: i64 = 64;

/// What a statement reads, and the columns of it.
pub(super) struct Tables {
    pub(super) from: &'static str,
    pub(super) wholes: &'static [&'static str],
    pub(super) reals: &'static [&'static str],
    pub(super) texts: &'static [&'static str],
    pub(super) truths: &'static [&'static str],
    /// What groups may be made by.
    pub(super) groups: &'static [&'static str],
}

/// Orders alone, and with what belongs to them. Whatever is joined, an order comes once at the most.
pub(super) const TABLES: [Tables; 4] = [
    Tables {
        from: "orders o",
        wholes: &["o.quantity", "o.id", "(o.placed_at / 86400000)"],
        reals: &["o.total"],
        texts: &["o.tenant", "o.customer", "o.product", "o.status", "o.note", "o.tags"],
        truths: &["o.paid"],
        groups: &["o.tenant", "o.status", "o.paid", "o.note", "(o.quantity % 5)", "o.product"],
    },
    Tables {
        from: "orders o JOIN products p ON p.id = o.product",
        wholes: &["o.quantity", "o.id", "p.stock"],
        reals: &["o.total", "p.price"],
        texts: &["o.status", "o.note", "p.name", "p.category", "p.id"],
        truths: &["o.paid", "p.discontinued"],
        groups: &["p.category", "o.status", "p.stock", "p.discontinued", "o.note"],
    },
    Tables {
        from: "orders o LEFT JOIN customers c ON c.tenant = o.tenant AND c.id = o.customer",
        wholes: &["o.quantity", "o.id", "c.tier"],
        reals: &["o.total", "c.credit"],
        texts: &["o.status", "o.note", "c.name", "c.city", "c.tenant", "o.tenant"],
        truths: &["o.paid"],
        groups: &["c.city", "c.tier", "o.status", "c.tenant", "c.credit"],
    },
    Tables {
        from: "orders o JOIN customers c ON c.id = o.customer LEFT JOIN products p ON p.id = o.product AND p.price > 20",
        wholes: &["o.quantity", "c.tier", "p.stock"],
        reals: &["o.total", "c.credit", "p.price"],
        texts: &["o.note", "c.name", "c.city", "p.name", "p.category"],
        truths: &["o.paid", "p.discontinued"],
        groups: &["c.city", "p.category", "c.tier", "o.paid", "p.discontinued"],
    },
];

/// Text in the quotes of SQL.
pub(super) fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// A value that a column of text may have.
pub(super) fn text_of(column: &str, random: &mut Random) -> String {
    let (_, name) = column.split_once('.').unwrap_or(("", column));
    match (column, name) {
        (_, "tenant") => format!("t{:05}", random.below(30)),
        (_, "customer") | ("c.id", _) => format!("c{:06}", random.below(800)),
        (_, "product") | ("p.id", _) => format!("p{:05}", random.below(60)),
        (_, "status") => random.pick(&STATUSES).to_owned(),
        (_, "category") => random.pick(&CATEGORIES).to_owned(),
        (_, "city") => random.pick(&CITIES).to_owned(),
        (_, "tags") => random.pick(&["[]", "[\"gift\"]", "[\"b2b\",\"urgent\"]"]).to_owned(),
        ("c.name", _) => format!("{} {}", random.pick(&["Ann", "Bo", "Dée"]), random.below(97)),
        ("p.name", _) => format!("{} {}", random.pick(&["red", "Red", "plain"]), random.below(31)),
        _ => random.pick(&NOTES).to_owned(),
    }
}

/// A whole number that a column may have.
pub(super) fn whole_of(column: &str, random: &mut Random) -> i64 {
    match column {
        "o.id" => random.below(20_000),
        "(o.placed_at / 86400000)" => FIRST_PLACED_AT / 86_400_000 + random.below(400),
        "p.stock" => random.below(60),
        "c.tier" => random.between(1, 4),
        _ => random.between(-2, 20),
    }
}

/// A moment at which something may have been ordered.
pub(super) fn moment(random: &mut Random) -> i64 {
    FIRST_PLACED_AT + random.below(PLACED_WITHIN_MS)
}

/// A multiple of a quarter, as SQL writes it.
pub(super) fn quarter(random: &mut Random) -> String {
    format!("{:?}", random.between(-400, 3_800) as f64 / 4.0)
}

/// A partition, which there may be or not.
pub(super) fn partition(random: &mut Random) -> i64 {
    random.below(PARTITIONS + 2)
}

/// A pattern that some of these texts have.
pub(super) fn pattern_of(column: &str, random: &mut Random) -> String {
    let text: Vec<char> = text_of(column, random).chars().collect();
    let mut pattern = String::new();
    if random.chance(30) {
        pattern.push('%');
    }
    for c in text {
        match random.below(8) {
            0 => pattern.push('_'),
            1 if !pattern.ends_with('%') => pattern.push('%'),
            2 => {}
            _ => pattern.push(c),
        }
    }
    if random.chance(30) {
        pattern.push('%');
    }
    pattern
}
