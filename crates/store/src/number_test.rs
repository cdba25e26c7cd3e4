//! Tests of numbers: what is read, what is refused, and that what is written reads back.

use NumberFormat::{MessagePack, Text};
use proptest::prelude::*;

use super::*;

fn code<T: std::fmt::Debug>(result: Result<T>) -> ErrorCode {
    result.expect_err("it must be refused").code()
}

#[test]
fn text_integers_have_one_form() {
    assert_eq!(add_integer(None, 5, Text), Ok(5));
    assert_eq!(add_integer(Some(b"0"), -1, Text), Ok(-1));
    assert_eq!(add_integer(Some(b"-12"), 2, Text), Ok(-10));
    assert_eq!(add_integer(Some(b"-9223372036854775808"), 0, Text), Ok(i64::MIN));
    for bad in ["", "-", "+1", " 1", "1 ", "01", "-0", "--1", "1.0", "1e3", "0x1", "ten"] {
        let refused = add_integer(Some(bad.as_bytes()), 1, Text);
        assert_eq!(code(refused), ErrorCode::NotANumber, "{bad:?}");
    }
}

#[test]
fn integers_that_leave_their_range_are_refused() {
    let most = i64::MAX.to_string();
    assert_eq!(code(add_integer(Some(most.as_bytes()), 1, Text)), ErrorCode::NumberOverflow);
    let least = i64::MIN.to_string();
    assert_eq!(code(add_integer(Some(least.as_bytes()), -1, Text)), ErrorCode::NumberOverflow);
    let long = "9".repeat(30);
    assert_eq!(code(add_integer(Some(long.as_bytes()), -1, Text)), ErrorCode::NumberOverflow);
    let unsigned = [&[0xcf][..], &u64::MAX.to_be_bytes()].concat();
    assert_eq!(code(add_integer(Some(&unsigned), 0, MessagePack)), ErrorCode::NumberOverflow);
    let within = [&[0xcf][..], &(i64::MAX as u64 + 1).to_be_bytes()].concat();
    assert_eq!(add_integer(Some(&within), -1, MessagePack), Ok(i64::MAX), "the sum counts");
}

#[test]
fn floats_are_written_short_and_without_exponent() {
    let sum =
        |value: &str, delta| add_float(Some(value.as_bytes()), delta, Text).expect("a number");
    let text =
        |float| String::from_utf8(write_float(float, Text).as_slice().to_vec()).expect("text");
    assert_eq!(text(sum("10.50", 0.1)), "10.6");
    assert_eq!(text(sum("5.0e3", 200.0)), "5200");
    assert_eq!(text(sum("1", 2.0)), "3");
    assert_eq!(text(sum("-1", 1.0)), "0");
    assert_eq!(text(sum("-0", 0.0)), "0", "no minus zero");
    assert_eq!(text(f64::MIN).len(), 310);
    assert_eq!(text(5e-324).parse(), Ok(5e-324));
    assert_eq!(text(-f64::MIN_POSITIVE).parse(), Ok(-f64::MIN_POSITIVE), "the longest fits");
}

#[test]
fn floats_that_are_no_numbers_are_refused() {
    for bad in ["", "+1", " 1", "nan", "inf", "-infinity", "1,5", "0x10", "abc", "1e", "-"] {
        assert_eq!(
            code(add_float(Some(bad.as_bytes()), 1.0, Text)),
            ErrorCode::NotANumber,
            "{bad:?}"
        );
    }
    assert_eq!(code(add_float(Some(b"1e400"), 1.0, Text)), ErrorCode::NumberOverflow);
    assert_eq!(code(add_float(Some(b"1e308"), f64::MAX, Text)), ErrorCode::NumberOverflow);
    assert_eq!(code(add_float(None, f64::NAN, Text)), ErrorCode::NumberOverflow);
    assert_eq!(code(add_float(None, f64::INFINITY, MessagePack)), ErrorCode::NumberOverflow);
}

#[test]
fn message_pack_is_written_as_rmp_serde_writes_it() {
    let cases: [(i64, &[u8]); 14] = [
        (0, &[0x00]),
        (127, &[0x7f]),
        (128, &[0xcc, 0x80]),
        (255, &[0xcc, 0xff]),
        (256, &[0xcd, 0x01, 0x00]),
        (65_536, &[0xce, 0x00, 0x01, 0x00, 0x00]),
        (1 << 32, &[0xcf, 0, 0, 0, 1, 0, 0, 0, 0]),
        (-1, &[0xff]),
        (-32, &[0xe0]),
        (-33, &[0xd0, 0xdf]),
        (-128, &[0xd0, 0x80]),
        (-129, &[0xd1, 0xff, 0x7f]),
        (-32_769, &[0xd2, 0xff, 0xff, 0x7f, 0xff]),
        (i64::MIN, &[0xd3, 0x80, 0, 0, 0, 0, 0, 0, 0]),
    ];
    for (integer, bytes) in cases {
        assert_eq!(write_integer(integer, MessagePack).as_slice(), bytes, "{integer}");
        assert_eq!(add_integer(Some(bytes), 0, MessagePack), Ok(integer));
    }
}

#[test]
fn every_message_pack_number_is_read_and_nothing_else() {
    for bytes in [&[0xd0, 7][..], &[0xd1, 0, 7], &[0xd2, 0, 0, 0, 7], &[0xcc, 7], &[7]] {
        assert_eq!(add_integer(Some(bytes), 0, MessagePack), Ok(7), "{bytes:?}");
        assert_eq!(add_float(Some(bytes), 0.5, MessagePack), Ok(7.5), "{bytes:?}");
    }
    let single = [&[0xca][..], &1.5f32.to_be_bytes()].concat();
    assert_eq!(add_float(Some(&single), 1.0, MessagePack), Ok(2.5));
    assert_eq!(code(add_integer(Some(&single), 1, MessagePack)), ErrorCode::NotANumber);
    for bad in [&[][..], &[0xc0], &[0xa1, b'1'], &[7, 7], &[0xcc], &[0xcd, 0], &[0xd0, 1, 1], b"12"]
    {
        assert_eq!(code(add_integer(Some(bad), 1, MessagePack)), ErrorCode::NotANumber, "{bad:?}");
        assert_eq!(code(add_float(Some(bad), 1.0, MessagePack)), ErrorCode::NotANumber, "{bad:?}");
    }
}

proptest! {
    #[test]
    fn integers_read_back(integer in any::<i64>(), shift in 0..64u32) {
        let integer = integer >> shift;
        for format in [Text, MessagePack] {
            let written = write_integer(integer, format);
            prop_assert_eq!(add_integer(Some(written.as_slice()), 0, format), Ok(integer));
        }
    }

    #[test]
    fn floats_read_back(float in prop::num::f64::NORMAL | prop::num::f64::SUBNORMAL | prop::num::f64::ZERO) {
        for format in [Text, MessagePack] {
            let written = write_float(float, format);
            prop_assert_eq!(add_float(Some(written.as_slice()), 0.0, format), Ok(float));
        }
    }
}
