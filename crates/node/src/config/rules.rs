//! What must hold between keys. Each rule is one function from the loaded configuration to what breaks it.

use isogrid_core::{Error, ErrorCode};

use super::load::Loaded;

/// What a frame needs beside the largest key and value: header, map name, operation.
pub const FRAME_SPARE_BYTES: usize = 1 << 10;

/// What breaks a rule.
pub fn broken(loaded: &Loaded) -> Vec<Error> {
    let rules = [frame_holds_an_entry, addresses_differ, traces_can_be_told];
    rules.into_iter().filter_map(|rule| rule(loaded)).collect()
}

/// A frame must hold the largest entry, or such an entry could never be written.
fn frame_holds_an_entry(loaded: &Loaded) -> Option<Error> {
    let limits = &loaded.config.limits;
    let needed = limits.key_bytes_max + limits.value_bytes_max + FRAME_SPARE_BYTES;
    if limits.frame_bytes_max >= needed {
        return None;
    }
    let why = format!(
        "{needed} or more, to hold limits.key_bytes_max ({}) and limits.value_bytes_max ({}) with {FRAME_SPARE_BYTES} \
         to spare",
        limits.key_bytes_max, limits.value_bytes_max
    );
    Some(invalid(loaded, "limits.frame_bytes_max", &why))
}

/// Two listeners cannot share one TCP address. Gossip is UDP and may.
fn addresses_differ(loaded: &Loaded) -> Option<Error> {
    let node = &loaded.config.node;
    let is_same = |one: &str, other: &str| one == other && !one.ends_with(":0");
    if is_same(&node.grpc_addr, &node.http_addr) {
        return Some(invalid(loaded, "node.http_addr", "another address than node.grpc_addr"));
    }
    let pg = node.pg_addr.as_deref()?;
    if is_same(pg, &node.grpc_addr) || is_same(pg, &node.http_addr) {
        let allowed = "another address than node.grpc_addr and node.http_addr";
        return Some(invalid(loaded, "node.pg_addr", allowed));
    }
    None
}

/// Traces are told by builds that can.
fn traces_can_be_told(loaded: &Loaded) -> Option<Error> {
    let is_wanted = loaded.config.tracing.endpoint.is_some();
    let how = "nothing: this isogrid was built without OpenTelemetry. Build it with the feature otel, which is on by default";
    (is_wanted && !cfg!(feature = "otel")).then(|| invalid(loaded, "tracing.endpoint", how))
}

fn invalid(loaded: &Loaded, key: &str, allowed: &str) -> Error {
    let setting = loaded.setting(key).expect("rules name known keys: the tests break each one");
    let detail =
        format!("`{key}` = {:?} from {}; allowed: {allowed}", setting.show(), setting.origin);
    Error::new(ErrorCode::ConfigValueInvalid, detail)
}

#[cfg(test)]
mod tests {
    use crate::config::{FileSource, Sources, load};

    fn refused(text: &str) -> String {
        let file = FileSource { path: "a.toml".into(), text: text.into() };
        let sources = Sources { file: Some(file), ..Sources::default() };
        load(&sources).expect_err("a rule is broken").detail().to_owned()
    }

    #[test]
    fn a_frame_must_hold_the_largest_entry() {
        let detail = refused("limits.value_bytes_max = \"8MiB\"");
        assert!(
            detail.starts_with(
                "`limits.frame_bytes_max` = \"4194304\" from default; allowed: 8393728"
            )
        );
    }

    #[test]
    fn a_build_that_cannot_tell_traces_says_so() {
        let text = "tracing.endpoint = \"http://127.0.0.1:4317\"";
        if cfg!(feature = "otel") {
            let file = FileSource { path: "a.toml".into(), text: text.into() };
            assert!(load(&Sources { file: Some(file), ..Sources::default() }).is_ok());
        } else {
            let detail = refused(text);
            assert!(detail.contains("Build it with the feature otel"), "{detail}");
        }
    }

    #[test]
    fn two_listeners_need_two_addresses() {
        let detail = refused("node.http_addr = \"127.0.0.1:7700\"");
        assert!(detail.ends_with("allowed: another address than node.grpc_addr"), "{detail}");
        let detail = refused("node.pg_addr = \"127.0.0.1:7780\"");
        assert!(detail.starts_with("`node.pg_addr` = "), "{detail}");
    }
}
