//! Filters against a naive evaluator, and their bytes against garbage.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

/// What a field holds by another way than the code's: the whole value is parsed.
fn look(field: &Field, key: &str, value: &Value) -> Value {
    match field {
        Field::Key => json!(key),
        Field::Path(path) => {
            let pointer: String = path.iter().map(|name| format!("/{name}")).collect();
            value.pointer(&pointer).cloned().unwrap_or_default()
        }
    }
}

/// -1, 0 or 1; 2: unknown.
fn naive_order(one: &Value, other: &Constant) -> i8 {
    match (one, other) {
        (Value::Bool(one), Constant::Boolean(other)) => i8::from(*one) - i8::from(*other),
        (Value::Number(one), Constant::BigInt(_) | Constant::Double(_)) => {
            let other = match other {
                Constant::BigInt(other) => *other as f64,
                Constant::Double(other) => *other,
                _ => unreachable!(),
            };
            // The numbers of these tests are small: all are exact.
            let one = one.as_f64().expect("a number");
            i8::from(one > other) - i8::from(one < other)
        }
        (Value::String(one), Constant::Text(other)) => {
            i8::from(one > other) - i8::from(one < other)
        }
        _ => 2,
    }
}

/// 0 no, 1 unknown, 2 yes: AND is the least, OR the greatest, NOT what is left to two.
fn naive(filter: &Filter, key: &str, value: &Value) -> i8 {
    let answer = |order: i8, is: bool| if order == 2 { 1 } else { i8::from(is) * 2 };
    match filter {
        Filter::Compare(field, comparison, constant) => {
            let order = naive_order(&look(field, key, value), constant);
            answer(
                order,
                match comparison {
                    Comparison::Equal => order == 0,
                    Comparison::NotEqual => order != 0,
                    Comparison::Less => order < 0,
                    Comparison::LessOrEqual => order <= 0,
                    Comparison::Greater => order > 0,
                    Comparison::GreaterOrEqual => order >= 0,
                },
            )
        }
        Filter::In(field, constants) => {
            let seen = look(field, key, value);
            let orders = constants.iter().map(|constant| naive_order(&seen, constant));
            orders.map(|order| answer(order, order == 0)).max().unwrap_or(0)
        }
        Filter::IsNull(field) => i8::from(look(field, key, value).is_null()) * 2,
        Filter::StartsWith(field, prefix) => match look(field, key, value) {
            Value::String(text) => i8::from(text.starts_with(prefix)) * 2,
            _ => 1,
        },
        Filter::Contains(field, constant) => match (look(field, key, value), constant) {
            (Value::String(text), Constant::Text(part)) => i8::from(text.contains(part)) * 2,
            (Value::Array(items), _) => {
                i8::from(items.iter().any(|item| naive_order(item, constant) == 0)) * 2
            }
            _ => 1,
        },
        Filter::OfPartitionKeys(keys) => {
            let tag = key.split_once('{').and_then(|(_, rest)| rest.split_once('}'));
            let one = tag.map_or(key, |(tag, _)| if tag.is_empty() { key } else { tag });
            i8::from(keys.iter().any(|wanted| wanted == one)) * 2
        }
        Filter::All(all) => all.iter().map(|one| naive(one, key, value)).min().unwrap_or(2),
        Filter::Any(any) => any.iter().map(|one| naive(one, key, value)).max().unwrap_or(0),
        Filter::Not(one) => 2 - naive(one, key, value),
    }
}

fn fields() -> impl Strategy<Value = Field> {
    prop_oneof![
        Just(Field::Key),
        Just(col("a")),
        Just(col("b")),
        Just(col("in.a")),
        Just(col("in.deep.a")),
        Just(col("none"))
    ]
}

fn constants() -> impl Strategy<Value = Constant> {
    prop_oneof![
        any::<bool>().prop_map(Constant::from),
        (-3i64..4).prop_map(Constant::from),
        (-6i32..7).prop_map(|half| Constant::from(f64::from(half) / 2.0)),
        "[ab]{0,2}".prop_map(Constant::from),
        proptest::collection::vec(any::<u8>(), 0..3).prop_map(Constant::from),
    ]
}

fn filters() -> impl Strategy<Value = Filter> {
    let comparison = prop_oneof![
        Just(Comparison::Equal),
        Just(Comparison::NotEqual),
        Just(Comparison::Less),
        Just(Comparison::LessOrEqual),
        Just(Comparison::Greater),
        Just(Comparison::GreaterOrEqual)
    ];
    let leaf = prop_oneof![
        4 => (fields(), comparison, constants()).prop_map(|(f, o, c)| Filter::Compare(f, o, c)),
        1 => (fields(), proptest::collection::vec(constants(), 0..4))
            .prop_map(|(field, constants)| Filter::In(field, constants)),
        1 => fields().prop_map(Filter::IsNull),
        1 => (fields(), "[ab]{0,2}").prop_map(|(field, text)| Filter::StartsWith(field, text)),
        1 => (fields(), constants()).prop_map(|(field, part)| Filter::Contains(field, part)),
        1 => proptest::collection::vec("[ab]{0,3}", 0..3).prop_map(Filter::OfPartitionKeys),
    ];
    leaf.prop_recursive(5, 40, 4, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Filter::All),
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Filter::Any),
            inner.prop_map(|filter| Filter::Not(Box::new(filter))),
        ]
    })
}

fn values() -> impl Strategy<Value = Value> {
    let scalar = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        (-3i64..4).prop_map(Value::from),
        (-6i32..7).prop_map(|half| json!(f64::from(half) / 2.0)),
        "[ab]{0,3}".prop_map(Value::from),
    ];
    let cell = prop_oneof![
        4 => scalar.clone(),
        1 => proptest::collection::vec(scalar.clone(), 0..3).prop_map(Value::from),
    ];
    (cell.clone(), cell.clone(), cell, scalar).prop_map(|(a, b, inner, deep)| {
        json!({"a": a, "b": b, "in": {"a": inner, "deep": {"a": deep}}, "other": [1]})
    })
}

proptest! {
    #[test]
    fn records_are_meant_that_a_naive_look_means(
        filter in filters(),
        key in "[ab]{0,3}(\\{[ab]{0,2}\\}[ab]{0,1})?",
        value in values(),
    ) {
        let expected = naive(&filter, &key, &value) == 2;
        let encoded = filter.encode().expect("it is small");
        prop_assert_eq!(Filter::decode(&encoded).expect("it was encoded"), filter.clone());
        let predicate = Predicate::decode(&encoded).expect("it was encoded");
        let text = value.to_string();
        prop_assert_eq!(predicate.accepts(key.as_bytes(), text.as_bytes()), expected, "{:?}", filter);
        let packed = rmp_serde::to_vec_named(&value).expect("it is written");
        prop_assert_eq!(predicate.accepts(key.as_bytes(), &packed), expected);
    }

    #[test]
    fn garbage_is_refused_or_a_filter(bytes in proptest::collection::vec(any::<u8>(), 0..80)) {
        if let Ok(filter) = Filter::decode(&bytes) {
            prop_assert!(filter.check().is_ok());
        }
        // The same with a right beginning, so that more is looked at.
        let _ = Filter::decode(&[&[1, bytes.first().map_or(6, |byte| byte % 10)], &bytes[..]].concat());
    }

    #[test]
    fn bytes_that_are_cut_or_changed_do_no_harm(filter in filters(), at in any::<usize>(), with in any::<u8>()) {
        let mut bytes = filter.encode().expect("it is small");
        let at = at % bytes.len();
        prop_assert!(Filter::decode(&bytes[..at]).is_err(), "it ends early");
        bytes[at] = with;
        if let Ok(other) = Filter::decode(&bytes) {
            prop_assert!(Predicate::new(other).is_ok());
        }
    }
}

#[test]
fn a_filter_has_bounds() {
    let mut deep = col("a").is_null();
    for _ in 1..DEPTH_MAX {
        deep = !deep;
    }
    assert!(deep.encode().is_ok());
    let error = (!deep).encode().expect_err("one too deep");
    assert!(
        error.code() == ErrorCode::FilterInvalid && error.to_string().contains("32"),
        "{error}"
    );
    let many = |count| col("a").is_in((0..count).collect::<Vec<i64>>());
    let most = many(NODES_MAX as i64 - 1).encode().expect("as many as there may be");
    assert!(Filter::decode(&most).is_ok());
    assert!(many(NODES_MAX as i64).encode().is_err());
    assert!(col("a").eq("x".repeat(BYTES_MAX)).encode().is_err());
    assert!(Filter::decode(&vec![1; BYTES_MAX + 1]).is_err());
    assert!(col(&"a.".repeat(PATH_LEN_MAX)).eq(1).encode().is_err());
    // Bytes that say of themselves to be deeper and wider than bytes can be.
    let nots = [&[1][..], &[8; 10_000]].concat();
    assert!(Filter::decode(&nots).expect_err("too deep").to_string().contains("deeper"));
    let wide = [1, 2, 0, 0xff, 0xff];
    assert!(Filter::decode(&wide).expect_err("too many").to_string().contains("more than"));
}

#[test]
fn a_value_that_cannot_be_read_is_not_meant() {
    let is =
        |filter: Filter, value: &[u8]| Predicate::new(filter).expect("small").accepts(b"k", value);
    assert!(!is(col("a").is_null(), b"{\"a\": "));
    assert!(!is(!col("a").eq(1), b"{\"a\": "));
    assert!(is(col("a").is_null(), b"plain text"), "it has no fields");
    assert!(is(col("_key").eq("k"), b"{\"a\": "), "its value is not looked at");
    assert!(is(col("a").between(1, 3).and(!col("b").is_not_null()), b"{\"a\": 2}"));
    assert!(
        !is(!col("a").eq("x"), b"{\"a\": 2}"),
        "another type is unknown, and so is the opposite"
    );
}

#[test]
fn the_bytes_of_a_filter_are_frozen() {
    let filter = col("a.b").ge(18).and(col("_key").starts_with("u")).or(!col("c").is_in(["x"]));
    let expected = [
        &[1, 7, 2, 0, 6, 2, 0, 1, 5, 2, 1, 0, b'a', 1, 0, b'b', 2, 18, 0, 0, 0, 0, 0, 0, 0][..],
        &[4, 0, 1, 0, 0, 0, b'u', 8, 2, 1, 1, 0, b'c', 1, 0, 4, 1, 0, 0, 0, b'x'],
    ]
    .concat();
    assert_eq!(filter.encode().expect("it is small"), expected);
}
