//! Names of backups: the moment they were begun, so that names ascend with time.

use std::time::{SystemTime, UNIX_EPOCH};

/// The wall clock, in milliseconds since 1970.
pub(super) fn now_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis() as u64
}

/// The name of a backup that was begun then by this process.
pub(super) fn of(started_ms: u64) -> String {
    format!(
        "{}{:03}Z-{:x}",
        time(started_ms).trim_end_matches('Z'),
        started_ms % 1_000,
        std::process::id()
    )
}

/// A moment as `20261122T014455Z`.
pub(super) fn time(ms: u64) -> String {
    let (days, seconds) = (ms / 86_400_000, ms / 1_000 % 86_400);
    let (year, month, day) = date(days);
    let (hour, minute, second) = (seconds / 3_600, seconds / 60 % 60, seconds % 60);
    format!("{year:04}{month:02}{day:02}T{hour:02}{minute:02}{second:02}Z")
}

/// Year, month and day, so many days after 1970 began.
fn date(days: u64) -> (u64, u64, u64) {
    let is_leap = |year: u64| {
        year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
    };
    let (mut year, mut left) = (1970, days);
    while left >= 365 + u64::from(is_leap(year)) {
        left -= 365 + u64::from(is_leap(year));
        year += 1;
    }
    let mut month = 1;
    for length in [31, 28 + u64::from(is_leap(year)), 31, 30, 31, 30, 31, 31, 30, 31, 30, 31] {
        if left < length {
            break;
        }
        left -= length;
        month += 1;
    }
    (year, month, left + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_written_as_people_read_them() {
        for (ms, text) in [
            (0, "19700101T000000Z"),
            (951_782_399_000, "20000228T235959Z"),
            (951_868_799_999, "20000229T235959Z"),
            (1_795_312_800_000, "20261122T020000Z"),
            (4_107_542_400_000, "21000301T000000Z"),
        ] {
            assert_eq!(time(ms), text);
        }
    }

    #[test]
    fn names_ascend_with_time() {
        let names: Vec<String> = [999, 1_000, 1_001, 86_400_000].map(of).into();
        assert!(names.is_sorted(), "{names:?}");
        assert!(names[2].starts_with("19700101T000001001Z-"), "{}", names[2]);
    }
}
