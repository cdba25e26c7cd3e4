//! Points in time as text.

use chrono::{DateTime, NaiveDate, NaiveDateTime};

/// The milliseconds since 1970 of a time as RFC 3339 has it, of one without a zone, which is taken for UTC, or of a day.
pub fn millis(text: &str) -> Option<i64> {
    if let Ok(time) = DateTime::parse_from_rfc3339(text) {
        return Some(time.timestamp_millis());
    }
    for format in ["%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%dT%H:%M:%S%.f"] {
        if let Ok(time) = NaiveDateTime::parse_from_str(text, format) {
            return Some(time.and_utc().timestamp_millis());
        }
    }
    let day = NaiveDate::parse_from_str(text, "%Y-%m-%d").ok()?;
    Some(day.and_hms_opt(0, 0, 0)?.and_utc().timestamp_millis())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_with_and_without_a_zone() {
        for (text, expected) in [
            ("1970-01-01T00:00:01Z", Some(1_000)),
            ("1970-01-01T01:00:01.5+01:00", Some(1_500)),
            ("1970-01-01 00:00:02.25", Some(2_250)),
            ("1970-01-01T00:00:02", Some(2_000)),
            ("1970-01-02", Some(86_400_000)),
            ("1969-12-31", Some(-86_400_000)),
            ("yesterday", None),
            ("1970-13-01", None),
            ("", None),
        ] {
            assert_eq!(millis(text), expected, "{text}");
        }
    }
}
