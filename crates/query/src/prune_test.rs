//! Predicates and what they leave.

use datafusion::logical_expr::{col, lit};

use super::*;

const COUNT: u16 = 256;

fn left(predicates: &[Expr]) -> Vec<u16> {
    let count = PartitionCount::new(COUNT).unwrap();
    let by = MapColumn { name: "tenant".into(), holds: ColumnType::Text };
    partitions(predicates, count, Some(&by)).into_iter().map(|partition| partition.0).collect()
}

fn of(keys: &[&str]) -> Vec<u16> {
    let count = PartitionCount::new(COUNT).unwrap();
    let places: BTreeSet<u16> =
        keys.iter().map(|key| count.partition_of_key(key.as_bytes()).0).collect();
    places.into_iter().collect()
}

#[test]
fn keys_and_partitions_that_are_named_leave_theirs() {
    assert_eq!(left(&[col("_key").eq(lit("a"))]), of(&["a"]));
    assert_eq!(left(&[lit("a").eq(col("_key"))]), of(&["a"]));
    let list = vec![lit("a"), lit("b"), lit("{a}:1")];
    assert_eq!(left(&[col("_key").in_list(list, false)]), of(&["a", "b"]), "a tag decides");
    assert_eq!(left(&[col("_partition").eq(lit(7_i64))]), [7]);
    assert_eq!(left(&[col("_partition").eq(lit(7_i32))]), [7]);
    assert_eq!(left(&[col("_partition").eq(lit(256_i64))]), [0_u16; 0], "there is none");
    assert_eq!(left(&[col("_partition").eq(lit(-1_i64))]), [0_u16; 0]);
}

#[test]
fn the_column_that_spreads_the_records_names_partitions() {
    let tenant = |name: &str| col("tenant").eq(lit(name));
    assert_eq!(left(&[tenant("t1")]), of(&["{t1}:7"]));
    assert_eq!(left(&[tenant("t1").or(tenant("t2"))]), of(&["{t1}", "{t2}"]));
    assert_eq!(left(&[tenant("a}b")]), of(&["a}b"]), "a key without braces may have it");
    assert_eq!(left(&[col("tenant").gt(lit("t1"))]).len(), usize::from(COUNT));
    let none = lit(ScalarValue::Utf8(None));
    assert_eq!(left(&[col("tenant").eq(none)]), [0_u16; 0], "nothing equals NULL");
    let count = PartitionCount::new(COUNT).unwrap();
    let by = MapColumn { name: "n".into(), holds: ColumnType::BigInt };
    let number = |value| partitions(&[col("n").eq(value)], count, Some(&by));
    let of_number = BTreeSet::from([count.partition_of_key(b"{-42}:x")]);
    assert_eq!(number(lit(-42_i64)), of_number);
    assert_eq!(number(lit(-42_i32)), of_number);
    assert_eq!(
        number(lit(-42.0)).len(),
        usize::from(COUNT),
        "it is not said how such a one is written"
    );
}

#[test]
fn alternatives_leave_all_of_theirs_and_conditions_what_is_common() {
    let is = |key: &str| col("_key").eq(lit(key));
    assert_eq!(left(&[is("a").or(is("b"))]), of(&["a", "b"]));
    assert_eq!(left(&[is("a"), is("b")]), [0_u16; 0], "no key is both");
    assert_eq!(left(&[is("a").and(col("x").gt(lit(1)))]), of(&["a"]));
    assert_eq!(left(&[is("a").or(is("b")), is("b").or(is("c"))]), of(&["b"]));
}

#[test]
fn what_says_nothing_of_partitions_leaves_all() {
    let all = usize::from(COUNT);
    let some = [
        col("x").eq(lit("a")),
        col("_key").gt(lit("a")),
        col("_key").not_eq(lit("a")),
        col("_key").in_list(vec![lit("a")], true),
        col("_key").eq(col("x")),
        col("_key").eq(lit("a")).or(col("x").eq(lit(1))),
        col("_key").in_list(vec![lit("a"), col("x")], false),
        Expr::Not(Box::new(col("_key").eq(lit("a")))),
    ];
    for predicate in some {
        assert_eq!(left(std::slice::from_ref(&predicate)).len(), all, "{predicate}");
    }
    assert_eq!(left(&[]).len(), all);
}

#[test]
fn keys_that_are_not_text_are_found_by_what_is_shown_of_them() {
    let count = PartitionCount::new(COUNT).unwrap();
    let shown = crate::columns::key_text(&[0xff, 0x01]);
    let found = left(&[col("_key").eq(lit(shown))]);
    assert!(found.contains(&count.partition_of_key(&[0xff, 0x01]).0));
    assert!(found.contains(&count.partition_of_key(b"\\xff01").0), "its text may be a key too");
    assert_eq!(left(&[col("_key").eq(lit("\\xf"))]), of(&["\\xf"]), "half a byte is none");
}
