//! [`Kind`]: what a key may hold. One method reads a value from TOML or from text, one says what is allowed.

use isogrid_core::PartitionCount;
use toml::Value;

use super::memory::{MemoryLimit, parse_bytes};

/// A value as a layer has it.
#[derive(Clone, Debug, PartialEq)]
pub enum Raw {
    /// From the file: it has a type, which must be the right one.
    Typed(Value),
    /// From the environment or a flag: text that is read as the key needs it.
    Text(String),
}

impl Raw {
    /// The value as an error message shows it.
    pub fn show(&self) -> String {
        match self {
            Raw::Typed(value) => value.to_string(),
            Raw::Text(text) => format!("{text:?}"),
        }
    }

    fn as_text(&self) -> Option<&str> {
        match self {
            Raw::Typed(value) => value.as_str(),
            Raw::Text(text) => Some(text),
        }
    }

    /// The number, if this is one; `read` reads it from text.
    fn as_number(&self, read: impl Fn(&str) -> Option<u64>) -> Option<u64> {
        match self {
            Raw::Typed(Value::Integer(number)) => u64::try_from(*number).ok(),
            Raw::Typed(_) => None,
            Raw::Text(text) => read(text),
        }
    }
}

/// What a key may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A text that is not empty and has no control characters.
    Text,
    /// A path.
    Path,
    /// A host name or an address, without a port.
    Host,
    /// An address to listen on.
    Address,
    /// Where a service is reached: `http://HOST:PORT`.
    HttpUrl,
    /// Addresses of others: a list in the file, text with commas elsewhere.
    Addresses,
    /// A whole number in a range.
    Integer {
        /// The least.
        min: u64,
        /// The greatest.
        max: u64,
    },
    /// A number of bytes in a range; a unit may follow.
    Bytes {
        /// The least.
        min: u64,
        /// The greatest.
        max: u64,
    },
    /// A number of partitions.
    Partitions,
    /// A memory mark.
    Memory,
    /// A filter of the log.
    Filter,
    /// One of some words.
    OneOf(&'static [&'static str]),
    /// Whether something is so.
    Flag,
}

impl Kind {
    /// The value in the type that the configuration has, or `None` if it is not allowed.
    pub fn read(self, raw: &Raw) -> Option<Value> {
        let text = raw.as_text();
        let texted = |ok: fn(&str) -> bool| {
            text.filter(|text| ok(text)).map(|text| Value::String(text.to_owned()))
        };
        match self {
            Kind::Text | Kind::Path => texted(is_plain),
            Kind::Host => texted(is_host),
            Kind::Address => texted(is_address),
            Kind::HttpUrl => texted(is_http_url),
            Kind::Addresses => addresses(raw),
            Kind::Filter => texted(is_filter),
            Kind::OneOf(words) => words
                .iter()
                .find(|word| text.is_some_and(|text| text.eq_ignore_ascii_case(word)))
                .map(|word| Value::String((*word).to_owned())),
            Kind::Flag => match (raw, text.map(str::to_ascii_lowercase).as_deref()) {
                (Raw::Typed(Value::Boolean(flag)), _) => Some(Value::Boolean(*flag)),
                (_, Some("true" | "on")) => Some(Value::Boolean(true)),
                (_, Some("false" | "off")) => Some(Value::Boolean(false)),
                _ => None,
            },
            Kind::Integer { min, max } => {
                let number = raw.as_number(|text| text.trim().replace('_', "").parse().ok())?;
                integer(number, min, max)
            }
            Kind::Bytes { min, max } => {
                let number = raw.as_number(parse_bytes).or_else(|| parse_bytes(text?))?;
                integer(number, min, max)
            }
            Kind::Partitions => {
                let number = raw.as_number(|text| text.trim().parse().ok())?;
                PartitionCount::new(u16::try_from(number).ok()?)?;
                Some(Value::Integer(i64::try_from(number).ok()?))
            }
            Kind::Memory => {
                let number = raw.as_number(|_| None).map(|bytes| bytes.to_string());
                let limit = MemoryLimit::parse(number.as_deref().or(text)?)?;
                Some(Value::String(limit.to_string()))
            }
        }
    }

    /// What is allowed, as a phrase.
    pub fn allowed(self) -> String {
        match self {
            Kind::Text => "text that is not empty".into(),
            Kind::Path => "a path".into(),
            Kind::Host => "a host name or an address, without a port".into(),
            Kind::Address => "HOST:PORT, such as \"0.0.0.0:7700\" or \"[::1]:7700\"".into(),
            Kind::HttpUrl => "http://HOST:PORT, such as \"http://127.0.0.1:4317\"".into(),
            Kind::Addresses => "HOST:PORT, several separated by commas, or a list of them".into(),
            Kind::Filter => "off, error, warn, info, debug or trace, and TARGET=LEVEL for parts, \
                             separated by commas"
                .into(),
            Kind::OneOf(words) => words.join(" or "),
            Kind::Flag => "true or false".into(),
            Kind::Integer { min, max } if max >= i64::MAX as u64 => {
                format!("a whole number, {min} or more")
            }
            Kind::Integer { min, max } => format!("a whole number from {min} to {max}"),
            Kind::Bytes { min, max } if max >= i64::MAX as u64 => {
                format!("a number of bytes, {min} or more; a unit may follow, as in \"64MiB\"")
            }
            Kind::Bytes { min, max } => format!(
                "a number of bytes from {min} to {max}; a unit may follow, as in \"512KiB\""
            ),
            Kind::Partitions => "a power of two from 1 to 16384".into(),
            Kind::Memory => {
                "a share such as \"75%\", or a number of bytes from 1 MiB, such as \"2GiB\"".into()
            }
        }
    }
}

fn integer(number: u64, min: u64, max: u64) -> Option<Value> {
    let value = i64::try_from(number).ok()?;
    (min..=max).contains(&number).then_some(Value::Integer(value))
}

fn is_plain(text: &str) -> bool {
    !text.trim().is_empty() && !text.chars().any(char::is_control)
}

/// Whether this is HOST:PORT. Names are resolved later, when the node binds them.
fn is_address(text: &str) -> bool {
    let Some((host, port)) = text.rsplit_once(':') else { return false };
    let port_ok = port.bytes().all(|byte| byte.is_ascii_digit()) && port.parse::<u16>().is_ok();
    port_ok && is_host_before_port(host)
}

/// Whether this is http://HOST:PORT. There is no TLS to it: a collector runs beside the node, or behind one that does.
fn is_http_url(text: &str) -> bool {
    let address = text.strip_prefix("http://").map(|rest| rest.strip_suffix('/').unwrap_or(rest));
    address.is_some_and(|address| is_address(address) && !address.ends_with(":0"))
}

/// A name, an address, or an IPv6 address in brackets.
fn is_host_before_port(host: &str) -> bool {
    match host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
        Some(inner) => inner.parse::<std::net::Ipv6Addr>().is_ok(),
        None => {
            let named = |c: char| c.is_ascii_alphanumeric() || "-._".contains(c);
            !host.is_empty() && host.chars().all(named)
        }
    }
}

/// Whether this names a host that others can reach: an address that stands for all of a machine's is none.
fn is_host(text: &str) -> bool {
    let is_v6 = || text.parse::<std::net::Ipv6Addr>().is_ok();
    let address = text.trim_matches(['[', ']']).parse::<std::net::IpAddr>();
    let stands_for_all = address.is_ok_and(|address| address.is_unspecified());
    (is_host_before_port(text) || is_v6()) && !stands_for_all
}

/// A list of addresses that can be called: port 0 cannot.
fn addresses(raw: &Raw) -> Option<Value> {
    let texts: Vec<&str> = match raw {
        Raw::Typed(Value::Array(list)) => list.iter().map(Value::as_str).collect::<Option<_>>()?,
        raw => raw.as_text()?.split(',').map(str::trim).filter(|text| !text.is_empty()).collect(),
    };
    let callable = |text: &&str| is_address(text) && !text.ends_with(":0");
    let values = texts.iter().map(|text| Value::String((*text).to_owned())).collect();
    texts.iter().all(callable).then_some(Value::Array(values))
}

/// Whether this is a filter that means what it says: a lone word must be a level, because tracing would take a misspelt
/// level for the name of a target.
fn is_filter(text: &str) -> bool {
    let is_level = |word: &str| {
        let levels = ["off", "error", "warn", "info", "debug", "trace"];
        levels.iter().any(|level| level.eq_ignore_ascii_case(word))
    };
    let directive_ok = |directive: &str| match directive.rsplit_once('=') {
        Some((target, level)) => !target.is_empty() && is_level(level),
        None => is_level(directive),
    };
    text.split(',').all(directive_ok) && tracing_subscriber::EnvFilter::try_new(text).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(kind: Kind, text: &str) -> Option<Value> {
        kind.read(&Raw::Text(text.into()))
    }

    #[test]
    fn addresses_are_host_and_port() {
        for good in ["127.0.0.1:7700", "[::1]:0", "isogrid-0.isogrid:65535", "localhost:1"] {
            assert!(text(Kind::Address, good).is_some(), "{good}");
        }
        for bad in
            ["", "7700", ":7700", "host:", "host:65536", "::1:7700", "a b:1", "h:+1", "[x]:1"]
        {
            assert!(text(Kind::Address, bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn a_collector_is_reached_over_http() {
        for good in
            ["http://127.0.0.1:4317", "http://otel-collector.observe:4317/", "http://[::1]:1"]
        {
            assert!(text(Kind::HttpUrl, good).is_some(), "{good}");
        }
        for bad in ["", "127.0.0.1:4317", "https://a:1", "http://a", "http://a:0", "http://a:1/v1"]
        {
            assert!(text(Kind::HttpUrl, bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn a_host_has_no_port() {
        for good in ["node-0", "node-0.nodes.example", "10.0.0.7", "[fd00::7]", "fd00::7"] {
            assert!(text(Kind::Host, good).is_some(), "{good}");
        }
        for bad in ["", "node-0:7700", "a b", "[fd00::7]:1", "http://a", "0.0.0.0", "[::]", "::"] {
            assert!(text(Kind::Host, bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn several_addresses_are_a_list_or_a_text() {
        let list = |texts: &[&str]| {
            Value::Array(texts.iter().map(|text| Value::String((*text).into())).collect())
        };
        let both = list(&["a:1", "[::1]:2"]);
        assert_eq!(text(Kind::Addresses, " a:1, [::1]:2 ,"), Some(both.clone()));
        assert_eq!(Kind::Addresses.read(&Raw::Typed(both.clone())), Some(both));
        assert_eq!(text(Kind::Addresses, ""), Some(list(&[])), "none are an answer, too");
        for bad in ["a", "a:1;b:2", "a:0", "a:1 b:2"] {
            assert_eq!(text(Kind::Addresses, bad), None, "{bad}");
        }
        let mixed = Value::Array(vec![Value::String("a:1".into()), Value::Integer(2)]);
        assert_eq!(Kind::Addresses.read(&Raw::Typed(mixed)), None);
    }

    #[test]
    fn a_misspelt_level_is_no_filter() {
        for good in ["info", "WARN", "warn,isogrid_node=debug", "off,isogrid_node::session=trace"] {
            assert!(text(Kind::Filter, good).is_some(), "{good}");
        }
        for bad in ["", "inof", "isogrid_node=loud", "info,,warn", "=info", "info, warn"] {
            assert!(text(Kind::Filter, bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn numbers_stay_in_their_range() {
        let kind = Kind::Integer { min: 1, max: 10 };
        assert_eq!(text(kind, "10"), Some(Value::Integer(10)));
        assert_eq!(text(kind, "11"), None);
        assert_eq!(text(kind, "0"), None);
        assert_eq!(kind.read(&Raw::Typed(Value::Integer(-1))), None);
        assert_eq!(kind.read(&Raw::Typed(Value::String("5".into()))), None, "wrong type in a file");
        let bytes = Kind::Bytes { min: 1, max: 1 << 20 };
        assert_eq!(text(bytes, "64KiB"), Some(Value::Integer(64 << 10)));
        assert_eq!(
            bytes.read(&Raw::Typed(Value::String("1MiB".into()))),
            Some(Value::Integer(1 << 20))
        );
        assert_eq!(text(bytes, "2MiB"), None);
    }

    #[test]
    fn partitions_are_a_power_of_two() {
        assert!(text(Kind::Partitions, "256").is_some());
        for bad in ["0", "100", "32768", "65536", "many"] {
            assert!(text(Kind::Partitions, bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn words_are_read_whatever_their_capitals() {
        let kind = Kind::OneOf(&["text", "json"]);
        assert_eq!(text(kind, "JSON"), Some(Value::String("json".into())));
        assert_eq!(text(kind, "yaml"), None);
        assert_eq!(kind.allowed(), "text or json");
    }
}
