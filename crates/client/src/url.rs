//! Connection URLs: `isogrid://HOST:PORT[,HOST:PORT…][/][?option=value&…]`. An unknown option is an error with a hint,
//! since a setting that is silently ignored is worse than none.

use std::time::Duration;

use isogrid_core::ErrorCode;

use crate::builder::Settings;
use crate::error::{Error, Result};
use crate::retry::Retry;

/// The port of a seed that names none.
const PORT_DEFAULT: u16 = 7700;

const SCHEME: &str = "isogrid://";

const OPTIONS: [&str; 8] = [
    "request_timeout",
    "connect_timeout",
    "in_flight_ops_max",
    "connections_max",
    "client_name",
    "retry",
    "gateway",
    "zone",
];

fn invalid(detail: impl Into<String>) -> Error {
    Error::new(ErrorCode::EndpointInvalid, detail)
}

/// `HOST:PORT` from `HOST:PORT`, `HOST` or a bracketed IPv6 address.
pub(crate) fn endpoint(text: &str) -> Result<String> {
    let text = text.trim();
    let bad = |why: &str| invalid(format!("{text:?} {why}"));
    let (host, port) = match text.rsplit_once(':') {
        // A colon inside brackets belongs to the address.
        Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
        _ => (text, None),
    };
    if host.is_empty() {
        return Err(bad("names no host"));
    }
    let bare_v6 = host.contains(':') && !(host.starts_with('[') && host.ends_with(']'));
    if bare_v6 {
        return Err(bad("needs brackets around its IPv6 address, as in [::1]:7700"));
    }
    if host.contains(['/', '?', '#', '@', ' ']) {
        return Err(bad("is not HOST:PORT"));
    }
    let port = match port {
        None => PORT_DEFAULT,
        Some(port) => match port.parse() {
            Ok(0) | Err(_) => return Err(bad("has no port from 1 to 65535")),
            Ok(port) => port,
        },
    };
    Ok(format!("{host}:{port}"))
}

/// What a URL says.
pub(crate) fn parse(url: &str) -> Result<Settings> {
    let Some(rest) = url.strip_prefix(SCHEME) else {
        let scheme = url.split_once("://").map(|(scheme, _)| scheme);
        return Err(match scheme {
            Some(scheme) => invalid(format!("scheme {scheme:?}, expected {SCHEME}HOST:PORT")),
            None => invalid(format!("{url:?} has no scheme; did you mean {SCHEME}{url}?")),
        });
    };
    let (place, query) = rest.split_once('?').unwrap_or((rest, ""));
    let (hosts, path) = place.split_once('/').unwrap_or((place, ""));
    if !path.is_empty() {
        return Err(invalid(format!("path {path:?}: a URL names no map or cluster")));
    }
    let mut settings = Settings::default();
    for host in hosts.split(',') {
        settings.seeds.push(endpoint(host)?);
    }
    for option in query.split('&').filter(|option| !option.is_empty()) {
        let (name, value) = option.split_once('=').unwrap_or((option, ""));
        set(&mut settings, name, &percent_decoded(value)?)?;
    }
    Ok(settings)
}

fn set(settings: &mut Settings, name: &str, value: &str) -> Result<()> {
    match name {
        "request_timeout" => settings.request_timeout = duration(name, value)?,
        "connect_timeout" => settings.connect_timeout = duration(name, value)?,
        "in_flight_ops_max" => settings.in_flight_ops_max = Some(count(name, value)?),
        "connections_max" => settings.connections_max = Some(count(name, value)?),
        "client_name" => settings.client_name = value.to_owned(),
        "zone" => settings.zone = value.to_owned(),
        "gateway" => settings.is_gateway = yes_or_no(name, value)?,
        "retry" => match yes_or_no(name, value)? {
            true => settings.retry = Retry::default(),
            false => settings.retry = Retry::none(),
        },
        unknown => return Err(unknown_option(unknown)),
    }
    Ok(())
}

fn unknown_option(name: &str) -> Error {
    let nearest = OPTIONS.iter().min_by_key(|option| distance(name, option));
    match nearest.filter(|option| distance(name, option) <= option.len() / 2) {
        Some(option) => invalid(format!("unknown option {name:?}; did you mean {option:?}?")),
        None => invalid(format!("unknown option {name:?}; there are {}", OPTIONS.join(", "))),
    }
}

fn yes_or_no(name: &str, value: &str) -> Result<bool> {
    match value {
        "true" => Ok(true),
        "false" => Ok(false),
        _ => Err(invalid(format!("{name}={value}: expected true or false"))),
    }
}

fn count(name: &str, value: &str) -> Result<usize> {
    match value.parse() {
        Ok(0) | Err(_) => Err(invalid(format!("{name}={value}: expected a number above zero"))),
        Ok(count) => Ok(count),
    }
}

/// `250ms`, `2s`, `1.5s`, `1m`.
fn duration(name: &str, value: &str) -> Result<Duration> {
    let bad = || invalid(format!("{name}={value}: expected a time such as 250ms, 2s or 1m"));
    let unit = value.find(|c: char| c.is_ascii_alphabetic()).ok_or_else(bad)?;
    let number: f64 = value[..unit].parse().map_err(|_| bad())?;
    let seconds = match &value[unit..] {
        "ms" => number / 1_000.0,
        "s" => number,
        "m" => number * 60.0,
        _ => return Err(bad()),
    };
    Duration::try_from_secs_f64(seconds).ok().filter(|d| !d.is_zero()).ok_or_else(bad)
}

fn percent_decoded(text: &str) -> Result<String> {
    let bad = || invalid(format!("{text:?} is not percent-encoded UTF-8"));
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let (digits, after) = rest.split_at_checked(2).ok_or_else(bad)?;
        let digits = std::str::from_utf8(digits).map_err(|_| bad())?;
        bytes.push(u8::from_str_radix(digits, 16).map_err(|_| bad())?);
        rest = after;
    }
    String::from_utf8(bytes).map_err(|_| bad())
}

/// How many letters must be added, removed or replaced to get from one word to the other.
fn distance(from: &str, to: &str) -> usize {
    let to: Vec<char> = to.chars().collect();
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for (i, a) in from.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, &b) in to.iter().enumerate() {
            let replaced = diagonal + usize::from(a != b);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[to.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(url: &str) -> String {
        let error = parse(url).expect_err(url);
        assert_eq!(error.code(), ErrorCode::EndpointInvalid);
        error.detail().to_owned()
    }

    #[test]
    fn a_url_names_seeds_and_options() {
        let url = "isogrid://a:7701,b,[::1]:7702,[::1]/?request_timeout=250ms&connect_timeout=1.5s\
                   &in_flight_ops_max=64&connections_max=2&client_name=my%20app&retry=false\
                   &gateway=true&zone=eu-1a";
        let settings = parse(url).expect("a good URL");
        assert_eq!(settings.seeds, ["a:7701", "b:7700", "[::1]:7702", "[::1]:7700"]);
        assert_eq!(settings.request_timeout, Duration::from_millis(250));
        assert_eq!(settings.connect_timeout, Duration::from_millis(1_500));
        assert_eq!(settings.in_flight_ops_max, Some(64));
        assert_eq!(settings.connections_max, Some(2));
        assert_eq!(settings.client_name, "my app");
        assert_eq!(settings.retry, Retry::none());
        assert_eq!((settings.is_gateway, settings.zone.as_str()), (true, "eu-1a"));
        assert_eq!(parse("isogrid://a").expect("short").seeds, ["a:7700"]);
    }

    #[test]
    fn an_unknown_option_gets_a_hint() {
        let detail = refusal("isogrid://a?request_timeuot=2s");
        assert_eq!(detail, "unknown option \"request_timeuot\"; did you mean \"request_timeout\"?");
        assert!(refusal("isogrid://a?colour=red").contains("there are request_timeout"));
    }

    #[test]
    fn what_cannot_be_meant_is_refused() {
        assert!(refusal("redis://a").contains("scheme \"redis\""));
        assert!(refusal("a:7700").contains("did you mean isogrid://a:7700?"));
        assert!(refusal("isogrid://").contains("names no host"));
        assert!(refusal("isogrid://a:0").contains("no port"));
        assert!(refusal("isogrid://a:port").contains("no port"));
        assert!(refusal("isogrid://::1").contains("brackets"));
        assert!(refusal("isogrid://a/users").contains("path"));
        assert!(refusal("isogrid://a?request_timeout=2").contains("250ms"));
        assert!(refusal("isogrid://a?request_timeout=0s").contains("250ms"));
        assert!(refusal("isogrid://a?in_flight_ops_max=0").contains("above zero"));
        assert!(refusal("isogrid://a?client_name=%f").contains("percent"));
        assert!(refusal("isogrid://a?retry=maybe").contains("true or false"));
    }
}
