//! The environment layer: `ISOGRID__NODE__GRPC_ADDR` sets `node.grpc_addr`.

use super::kind::Raw;
use super::source::{Found, Origin};

/// What every variable of this layer begins with.
pub const PREFIX: &str = "ISOGRID__";

/// The settings in these variables. Names are read in lower case, so a map whose name has capitals, or characters that a
/// variable cannot have, is set in the file or by a flag.
pub fn settings(variables: &[(String, String)]) -> Vec<Found> {
    let mut found: Vec<Found> = variables
        .iter()
        .filter_map(|(variable, value)| {
            let name = variable.strip_prefix(PREFIX)?;
            Some(Found {
                key: key_of(name),
                raw: Raw::Text(value.clone()),
                origin: Origin::Environment { variable: variable.clone() },
            })
        })
        .collect();
    // The order of the environment means nothing; this one makes messages repeatable.
    found.sort_by(|left, right| left.key.cmp(&right.key));
    found
}

/// The key of a variable's name without its prefix. The name of a map may itself contain two underscores: it is all that
/// stands between `maps` and the setting.
fn key_of(name: &str) -> String {
    let name = name.to_lowercase();
    match name.strip_prefix("maps__").and_then(|rest| rest.rsplit_once("__")) {
        Some((map, setting)) => format!("maps.{map}.{setting}"),
        None => name.replace("__", "."),
    }
}

/// The variable that sets a key.
pub fn variable_of(key: &str) -> String {
    format!("{PREFIX}{}", key.replace('.', "__").to_uppercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_variable_names_a_key() {
        assert_eq!(key_of("NODE__GRPC_ADDR"), "node.grpc_addr");
        assert_eq!(key_of("MAPS__ORDERS__ENTRIES_MAX"), "maps.orders.entries_max");
        assert_eq!(key_of("MAPS__EU__ORDERS__BYTES_MAX"), "maps.eu__orders.bytes_max");
        assert_eq!(variable_of("node.grpc_addr"), "ISOGRID__NODE__GRPC_ADDR");
    }

    #[test]
    fn other_variables_are_not_ours() {
        let variables = [
            ("PATH".to_owned(), "/bin".to_owned()),
            ("ISOGRID_ENDPOINT".to_owned(), "127.0.0.1:1".to_owned()),
            ("ISOGRID__LOG__LEVEL".to_owned(), "warn".to_owned()),
        ];
        let found = settings(&variables);
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].key, "log.level");
    }
}
