//! [`Settings`]: what SET sets and SHOW shows, for one session. Few of them do anything: clients set them whether or not
//! they need to.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use isogrid_query::pg::{Refused, SERVER_VERSION};

use crate::fault::refused;
use crate::limits::{SETTING_BYTES_MAX, SETTINGS_MAX};

/// What every session begins with.
const DEFAULTS: &[(&str, &str)] = &[
    ("application_name", ""),
    ("bytea_output", "hex"),
    ("client_encoding", "UTF8"),
    ("client_min_messages", "notice"),
    ("datestyle", "ISO, MDY"),
    ("default_transaction_isolation", "read committed"),
    ("default_transaction_read_only", "off"),
    ("extra_float_digits", "1"),
    ("in_hot_standby", "off"),
    ("integer_datetimes", "on"),
    ("intervalstyle", "postgres"),
    ("is_superuser", "on"),
    ("lc_collate", "C"),
    ("lc_ctype", "C"),
    ("max_identifier_length", "63"),
    ("max_index_keys", "32"),
    ("require_pruned", "off"),
    ("row_security", "on"),
    ("search_path", "\"$user\", public"),
    ("server_encoding", "UTF8"),
    ("server_version", SERVER_VERSION),
    ("server_version_num", "140000"),
    ("session_authorization", ""),
    ("standard_conforming_strings", "on"),
    ("statement_timeout", "0"),
    ("timezone", "UTC"),
    ("transaction_isolation", "read committed"),
    ("transaction_read_only", "on"),
];

/// What clients are told of without asking, as they know it.
const TOLD: &[&str] = &[
    "application_name",
    "client_encoding",
    "DateStyle",
    "default_transaction_read_only",
    "in_hot_standby",
    "integer_datetimes",
    "IntervalStyle",
    "is_superuser",
    "server_encoding",
    "server_version",
    "session_authorization",
    "standard_conforming_strings",
    "TimeZone",
];

/// What nobody sets.
const FIXED: &[&str] = &[
    "server_version",
    "server_version_num",
    "server_encoding",
    "integer_datetimes",
    "is_superuser",
];

/// The settings of a session.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    values: Arc<BTreeMap<String, String>>,
    /// What they were when the session began.
    begun: Arc<BTreeMap<String, String>>,
}

impl Settings {
    /// Those of a session that begins, with what its client wishes.
    pub(crate) fn begin(user: &str, wishes: &[(String, String)]) -> Result<Self, Refused> {
        let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        let mut values: BTreeMap<String, String> = DEFAULTS.iter().map(owned).collect();
        values.insert("session_authorization".to_owned(), user.to_owned());
        let values = Arc::new(values);
        let mut settings = Settings { begun: Arc::clone(&values), values };
        for (name, value) in wishes {
            settings.set(name, Some(value))?;
        }
        settings.begun = Arc::clone(&settings.values);
        Ok(settings)
    }

    pub(crate) fn all(&self) -> &Arc<BTreeMap<String, String>> {
        &self.values
    }

    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.values.get(&name.to_lowercase()).map(String::as_str)
    }

    /// Sets one, to what it was at the beginning if nothing is said. Gives its name if clients are told of it.
    pub(crate) fn set(
        &mut self,
        name: &str,
        value: Option<&str>,
    ) -> Result<Option<&'static str>, Refused> {
        let name = name.to_lowercase();
        let value = value.map(str::to_owned).or_else(|| self.begun.get(&name).cloned());
        let value = checked(&name, value.unwrap_or_default())?;
        if !self.values.contains_key(&name) && self.values.len() >= SETTINGS_MAX {
            return Err(refused("53400", format!("{SETTINGS_MAX} settings are set")));
        }
        let told = TOLD.iter().find(|told| told.eq_ignore_ascii_case(&name)).copied();
        Arc::make_mut(&mut self.values).insert(name, value);
        Ok(told)
    }

    /// All as they were at the beginning.
    pub(crate) fn reset(&mut self) {
        self.values = Arc::clone(&self.begun);
    }

    /// What clients are told of without asking.
    pub(crate) fn told(&self) -> impl Iterator<Item = (&'static str, &str)> {
        TOLD.iter().filter_map(|name| self.get(name).map(|value| (*name, value)))
    }

    /// How long the client lets a statement take.
    pub(crate) fn statement_timeout(&self) -> Option<Duration> {
        let set = self.get("statement_timeout").and_then(milliseconds)?;
        (set > 0).then(|| Duration::from_millis(set))
    }
}

/// The value as it is kept, if it can be.
fn checked(name: &str, value: String) -> Result<String, Refused> {
    let wrong = |why: &str| Err(refused("22023", format!("{name} = {value:?}: {why}")));
    if name.len() + value.len() > SETTING_BYTES_MAX {
        return wrong("it is too long");
    }
    if FIXED.contains(&name) {
        return Err(refused("55P02", format!("{name} cannot be changed")));
    }
    match name {
        "client_encoding" => {
            let plain: String = value.chars().filter(char::is_ascii_alphanumeric).collect();
            match plain.to_lowercase().as_str() {
                // Whoever does not know its own encoding takes bytes as they are.
                "utf8" | "unicode" | "sqlascii" | "" => Ok("UTF8".to_owned()),
                _ => wrong("text is UTF8"),
            }
        }
        "datestyle" if !value.to_uppercase().starts_with("ISO") => wrong("days are shown as ISO"),
        "datestyle" if !value.contains(',') => Ok("ISO, MDY".to_owned()),
        "standard_conforming_strings" if !["on", "true", "1"].contains(&value.as_str()) => {
            wrong("it is on")
        }
        "require_pruned" => match value.to_lowercase().as_str() {
            "on" | "true" | "yes" | "1" => Ok("on".to_owned()),
            "off" | "false" | "no" | "0" => Ok("off".to_owned()),
            _ => wrong("it is on or off"),
        },
        "statement_timeout" if milliseconds(&value).is_none() => wrong("milliseconds"),
        _ => Ok(value),
    }
}

/// `5000`, `500ms`, `5s`, `1min`
fn milliseconds(value: &str) -> Option<u64> {
    let digits = value.trim().trim_end_matches(|c: char| c.is_ascii_alphabetic() || c == ' ');
    let unit = match value.trim()[digits.len()..].trim() {
        "" | "ms" => 1,
        "s" => 1_000,
        "min" => 60_000,
        _ => return None,
    };
    digits.parse::<u64>().ok()?.checked_mul(unit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_set_shown_and_reset() {
        let wish = ("application_name".to_owned(), "a".to_owned());
        let mut settings = Settings::begin("ann", &[wish]).expect("they can be");
        assert_eq!(settings.get("session_authorization"), Some("ann"));
        assert_eq!(
            settings.set("Application_Name", Some("b")).expect("set"),
            Some("application_name")
        );
        assert_eq!(settings.set("DateStyle", Some("ISO")).expect("set"), Some("DateStyle"));
        assert_eq!(settings.get("DATESTYLE"), Some("ISO, MDY"));
        assert_eq!(settings.set("statement_timeout", Some("5s")).expect("set"), None);
        assert_eq!(settings.statement_timeout(), Some(Duration::from_secs(5)));
        assert_eq!(settings.get("require_pruned"), Some("off"));
        settings.set("require_pruned", Some("TRUE")).expect("set");
        assert_eq!(settings.get("require_pruned"), Some("on"));
        settings.set("application_name", None).expect("back");
        assert_eq!(settings.get("application_name"), Some("a"));
        for (name, value) in [
            ("client_encoding", "LATIN1"),
            ("datestyle", "German"),
            ("standard_conforming_strings", "off"),
            ("statement_timeout", "soon"),
            ("require_pruned", "perhaps"),
            ("server_version", "9"),
            ("x.y", &"z".repeat(2_000)),
        ] {
            assert!(settings.set(name, Some(value)).is_err(), "{name}");
        }
        settings.reset();
        assert_eq!(settings.statement_timeout(), None);
    }

    #[test]
    fn nobody_fills_memory_with_settings() {
        let mut settings = Settings::begin("ann", &[]).expect("they can be");
        let mut set = |n: usize| settings.set(&format!("my.n{n}"), Some("1"));
        assert!((0..SETTINGS_MAX).any(|n| set(n).is_err()));
    }
}
