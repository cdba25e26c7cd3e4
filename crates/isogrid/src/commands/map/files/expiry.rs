//! When a row expires: RFC 3339 in UTC with milliseconds, which people and tools read. Times beyond the year 9999 are
//! milliseconds since 1970.

use chrono::{DateTime, SecondsFormat};
use isogrid_core::Timestamp;

/// The first millisecond of the year 10000, which RFC 3339 cannot write.
const YEAR_10000_MS: u64 = 253_402_300_800_000;

/// A time as text, if it can be one.
pub(super) fn text(at: Timestamp) -> Option<String> {
    let ms = i64::try_from(at.0).ok().filter(|_| at.0 < YEAR_10000_MS)?;
    let time = DateTime::from_timestamp_millis(ms)?;
    Some(time.to_rfc3339_opts(SecondsFormat::Millis, true))
}

/// Reads RFC 3339 with any offset, or milliseconds since 1970. What is before 1970 has expired like all that has.
pub(super) fn parse(text: &str) -> Result<Timestamp, String> {
    if let Ok(ms) = text.parse::<u64>() {
        return Ok(Timestamp(ms));
    }
    match DateTime::parse_from_rfc3339(text) {
        Ok(time) => Ok(Timestamp(u64::try_from(time.timestamp_millis()).unwrap_or(0))),
        Err(_) => Err(format!(
            "expires_at {text:?} is neither a time such as 2030-01-31T12:00:00Z nor milliseconds since 1970"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_written_as_people_read_it() {
        let shown = |ms| text(Timestamp(ms));
        assert_eq!(shown(0).as_deref(), Some("1970-01-01T00:00:00.000Z"));
        assert_eq!(shown(1_795_207_834_769).as_deref(), Some("2026-11-20T20:50:34.769Z"));
        assert_eq!(shown(YEAR_10000_MS - 1).as_deref(), Some("9999-12-31T23:59:59.999Z"));
        assert_eq!((shown(YEAR_10000_MS), shown(u64::MAX)), (None, None));
    }

    #[test]
    fn every_way_to_write_a_time_is_read() {
        for (text, ms) in [
            ("2026-11-20T20:50:34.769Z", 1_795_207_834_769),
            ("2026-11-20T21:50:34.769+01:00", 1_795_207_834_769),
            ("2026-11-20T20:50:34.769999Z", 1_795_207_834_769),
            ("2026-11-20T20:50:34Z", 1_795_207_834_000),
            ("1969-12-31T23:59:59Z", 0),
            ("1795207834769", 1_795_207_834_769),
            ("18446744073709551615", u64::MAX),
        ] {
            assert_eq!(parse(text), Ok(Timestamp(ms)), "{text}");
        }
        for bad in ["", "soon", "2026-11-20", "-1", "1.5", "2026-13-01T00:00:00Z"] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }
}
