//! Values as text and in binary, against what PostgreSQL writes.

use std::sync::Arc;

use isogrid_query::ScalarValue;

use super::*;

fn column(value: &ScalarValue) -> (ArrayRef, PgType, bool) {
    let (pg_type, is_list) = oids::type_of(&value.data_type());
    let array = value.to_array().expect("a column of one");
    let values = if is_list { list_of(pg_type, &array) } else { plain_of(pg_type, &array) };
    (values.expect("it is kept"), pg_type, is_list)
}

fn written(value: &ScalarValue, is_binary: bool) -> Vec<u8> {
    let (values, pg_type, is_list) = column(value);
    let mut out = BytesMut::new();
    Column { values, pg_type, is_list, is_binary }.write(0, &mut out);
    out[4..].to_vec()
}

fn text(value: &ScalarValue) -> String {
    String::from_utf8(written(value, false)).expect("text")
}

#[test]
fn values_are_written_as_postgres_writes_them() {
    let micros = |micros, zone: Option<&str>| {
        ScalarValue::TimestampMicrosecond(Some(micros), zone.map(Arc::from))
    };
    for (value, expected) in [
        (ScalarValue::from(true), "t"),
        (ScalarValue::from(-7i16), "-7"),
        (ScalarValue::from(u64::MAX / 4), "4611686018427387903"),
        (ScalarValue::from(1.0f64), "1"),
        (ScalarValue::from(0.1f32), "0.1"),
        (ScalarValue::from(1e300f64), "1e+300"),
        (ScalarValue::from(-1.5e-7f64), "-1.5e-07"),
        (ScalarValue::from(f64::NAN), "NaN"),
        (ScalarValue::from(f64::NEG_INFINITY), "-Infinity"),
        (ScalarValue::from("tea, \"hot\""), "tea, \"hot\""),
        (ScalarValue::Binary(Some(vec![0, 255])), "\\x00ff"),
        (ScalarValue::Date32(Some(19_723)), "2024-01-01"),
        (micros(1_704_164_645_123_456, None), "2024-01-02 03:04:05.123456"),
        (micros(1_704_164_645_000_000, Some("UTC")), "2024-01-02 03:04:05+00"),
        (ScalarValue::Decimal128(Some(-12_345), 10, 2), "-123.45"),
    ] {
        assert_eq!(text(&value), expected, "{value:?}");
    }
    let items = [ScalarValue::from("a"), ScalarValue::from("b \"c\""), ScalarValue::Utf8(None)];
    let list = ScalarValue::List(ScalarValue::new_list_nullable(&items, &DataType::Utf8));
    assert_eq!(text(&list), "{a,\"b \\\"c\\\"\",NULL}");
}

#[test]
fn values_in_binary_count_from_2000() {
    let day = written(&ScalarValue::Date32(Some(DAYS_TO_2000 + 1)), true);
    assert_eq!(day, [0, 0, 0, 1]);
    let moment = ScalarValue::TimestampMillisecond(Some(MICROS_TO_2000 / 1_000 + 2), None);
    assert_eq!(written(&moment, true), 2_000i64.to_be_bytes());
    assert_eq!(written(&ScalarValue::from(258i32), true), [0, 0, 1, 2]);
    let list = [ScalarValue::from(1i64), ScalarValue::Int64(None)];
    let list = ScalarValue::List(ScalarValue::new_list_nullable(&list, &DataType::Int64));
    let expected = [
        &[0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 20, 0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0, 8][..],
        &[0, 0, 0, 0, 0, 0, 0, 1, 255, 255, 255, 255],
    ];
    assert_eq!(written(&list, true), expected.concat());
}

#[test]
fn decimal_numbers_in_binary_are_groups_of_four_digits() {
    let groups = |text: &str| {
        let mut out = BytesMut::new();
        write_numeric(text, &mut out);
        let shorts = out.chunks(2).map(|two| i16::from_be_bytes([two[0], two[1]]));
        shorts.collect::<Vec<_>>()
    };
    assert_eq!(groups("12345.678"), [3, 1, 0, 3, 1, 2345, 6780]);
    assert_eq!(groups("-0.0005"), [1, -1, 0x4000, 4, 5]);
    assert_eq!(groups("10000"), [1, 1, 0, 0, 1]);
    assert_eq!(groups("0.00"), [0, 0, 0, 2]);
}

#[test]
fn a_number_that_does_not_fit_is_an_error_and_not_null() {
    let array = ScalarValue::from(u64::MAX).to_array().expect("a column of one");
    assert!(plain_of(oids::INT8, &array).is_err());
}
