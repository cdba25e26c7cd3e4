//! Durations on the command line: a number and a unit, as in `500ms`, `10s`, `5m`, `2h`, `1d`.

use std::time::Duration;

const UNITS: [(&str, u64); 5] =
    [("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000)];

/// Reads a duration; zero is none.
pub(crate) fn parse(text: &str) -> Result<Duration, String> {
    let digits_end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (digits, unit) = text.split_at(digits_end);
    let factor = UNITS.iter().find(|(name, _)| *name == unit).map(|(_, factor)| *factor);
    let ms = digits.parse::<u64>().ok().zip(factor).and_then(|(number, ms)| number.checked_mul(ms));
    match ms {
        Some(ms) if ms > 0 => Ok(Duration::from_millis(ms)),
        _ => Err("a duration is a number above zero and a unit: 500ms, 10s, 5m, 2h, 1d".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_has_a_unit() {
        assert_eq!(parse("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(parse("10s"), Ok(Duration::from_secs(10)));
        assert_eq!(parse("1d"), Ok(Duration::from_secs(86_400)));
        for bad in ["", "10", "s", "0s", "-1s", "1.5s", "1w", "99999999999999999999s", "1 s"] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }
}
