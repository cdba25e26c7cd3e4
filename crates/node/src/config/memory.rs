//! `[memory]`: the mark above which writes that need memory are refused.

use std::fmt;

use serde::de::{Error as _, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The lowest mark that can be set.
pub const MEMORY_LIMIT_BYTES_MIN: u64 = 1 << 20;

/// How much memory the node may use.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MemoryConfig {
    /// The memory mark: above it, writes that need memory are refused. A percentage is of the control group's limit, or
    /// of the host's memory where there is none.
    pub limit: MemoryLimit,
}

/// A memory mark: so many bytes, or a share of what the process may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MemoryLimit {
    /// So many bytes.
    Bytes(u64),
    /// So many hundredths of the total, 1 to 100.
    Percent(u8),
}

impl Default for MemoryLimit {
    fn default() -> Self {
        MemoryLimit::Percent(75)
    }
}

impl MemoryLimit {
    /// Reads `536870912`, `512MiB`, `2 GiB` or `75%`.
    pub fn parse(text: &str) -> Option<MemoryLimit> {
        let limit = match text.trim().strip_suffix('%') {
            Some(percent) => MemoryLimit::Percent(percent.trim().parse().ok()?),
            None => MemoryLimit::Bytes(parse_bytes(text)?),
        };
        limit.is_valid().then_some(limit)
    }

    /// The mark in bytes, given what the process may use in total.
    pub fn resolve(self, total_bytes: u64) -> u64 {
        match self {
            MemoryLimit::Bytes(bytes) => bytes,
            // A quotient and a remainder, so that no total overflows.
            MemoryLimit::Percent(percent) => {
                let percent = u64::from(percent);
                total_bytes / 100 * percent + total_bytes % 100 * percent / 100
            }
        }
    }

    fn is_valid(self) -> bool {
        match self {
            MemoryLimit::Bytes(bytes) => {
                (MEMORY_LIMIT_BYTES_MIN..=i64::MAX as u64).contains(&bytes)
            }
            MemoryLimit::Percent(percent) => (1..=100).contains(&percent),
        }
    }
}

impl fmt::Display for MemoryLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            MemoryLimit::Bytes(bytes) => f.write_str(&show_bytes(*bytes)),
            MemoryLimit::Percent(percent) => write!(f, "{percent}%"),
        }
    }
}

impl Serialize for MemoryLimit {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for MemoryLimit {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;
        impl Visitor<'_> for Either {
            type Value = MemoryLimit;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(
                    "a number of bytes, a size such as \"512MiB\", or a share such as \"75%\"",
                )
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<MemoryLimit, E> {
                MemoryLimit::parse(text).ok_or_else(|| E::custom("not a memory limit"))
            }

            fn visit_u64<E: serde::de::Error>(self, bytes: u64) -> Result<MemoryLimit, E> {
                self.visit_str(&bytes.to_string())
            }

            fn visit_i64<E: serde::de::Error>(self, bytes: i64) -> Result<MemoryLimit, E> {
                self.visit_u64(bytes.try_into().map_err(E::custom)?)
            }
        }
        deserializer.deserialize_any(Either).map_err(D::Error::custom)
    }
}

/// The units of a size, the largest of each kind first.
const UNITS: &[(&str, u64)] = &[
    ("TiB", 1 << 40),
    ("GiB", 1 << 30),
    ("MiB", 1 << 20),
    ("KiB", 1 << 10),
    ("TB", 1_000_000_000_000),
    ("GB", 1_000_000_000),
    ("MB", 1_000_000),
    ("KB", 1_000),
    ("B", 1),
];

/// Reads a size: digits, then an optional unit (`KiB` is 1024 bytes, `KB` is 1000; capitals do not matter).
pub fn parse_bytes(text: &str) -> Option<u64> {
    let text = text.trim();
    let digits_end = text.find(|c: char| !c.is_ascii_digit() && c != '_').unwrap_or(text.len());
    let (digits, unit) = text.split_at(digits_end);
    let number: u64 = digits.replace('_', "").parse().ok()?;
    let unit = unit.trim_start();
    if unit.is_empty() {
        return Some(number);
    }
    let (_, bytes) = UNITS.iter().find(|(name, _)| name.eq_ignore_ascii_case(unit))?;
    number.checked_mul(*bytes)
}

/// Writes a size with the largest binary unit that loses nothing.
pub fn show_bytes(bytes: u64) -> String {
    let exact = UNITS[..4].iter().find(|(_, unit)| bytes >= *unit && bytes.is_multiple_of(*unit));
    match exact {
        Some((name, unit)) => format!("{}{name}", bytes / unit),
        None => bytes.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_with_and_without_units() {
        for (text, bytes) in [
            ("1048576", 1 << 20),
            ("1_048_576", 1 << 20),
            ("512MiB", 512 << 20),
            ("512 mib", 512 << 20),
            ("2GiB", 2 << 30),
            ("2GB", 2_000_000_000),
            ("10 B", 10),
        ] {
            assert_eq!(parse_bytes(text), Some(bytes), "{text}");
        }
        for text in ["", "GiB", "-1", "1.5GiB", "1 XB", "99999999999TiB", "_"] {
            assert_eq!(parse_bytes(text), None, "{text}");
        }
    }

    #[test]
    fn a_limit_shows_as_it_is_read() {
        for text in ["75%", "1%", "100%", "512MiB", "2GiB", "1048577", "1TiB"] {
            let limit = MemoryLimit::parse(text).expect("a good limit");
            assert_eq!(limit.to_string(), text);
        }
        for text in ["0%", "101%", "0", "1023KiB", "lots", "%", "9223372036854775808"] {
            assert_eq!(MemoryLimit::parse(text), None, "{text}");
        }
    }

    #[test]
    fn a_share_is_of_the_total() {
        assert_eq!(MemoryLimit::Percent(75).resolve(1_000), 750);
        assert_eq!(MemoryLimit::Percent(50).resolve(3), 1);
        assert_eq!(MemoryLimit::Percent(100).resolve(u64::MAX), u64::MAX);
        assert_eq!(MemoryLimit::Bytes(5 << 20).resolve(1), 5 << 20);
    }

    #[test]
    fn a_limit_is_a_number_or_a_text_in_toml() {
        for (text, limit) in [
            ("limit = 2097152", MemoryLimit::Bytes(2 << 20)),
            ("limit = \"2MiB\"", MemoryLimit::Bytes(2 << 20)),
            ("limit = \"30%\"", MemoryLimit::Percent(30)),
        ] {
            let config: MemoryConfig = toml::from_str(text).expect("good TOML");
            assert_eq!(config.limit, limit);
        }
        assert!(toml::from_str::<MemoryConfig>("limit = -5").is_err());
        assert!(toml::from_str::<MemoryConfig>("limit = true").is_err());
    }
}
