//! `isogrid config print-default`: every key with its explanation and default.

use isogrid_node::config::{KEYS, Key, default_toml, environment};
use serde_json::{Value, json};

use crate::exit::{CommandResult, Exit};
use crate::output::{Format, print, print_json};

pub(super) fn run(format: Format) -> CommandResult {
    if format == Format::Table {
        print(&default_toml())?;
        return Ok(Exit::Ok);
    }
    print_json(&keys())?;
    Ok(Exit::Ok)
}

/// Every key, for machines.
pub(super) fn keys() -> Vec<Value> {
    let object = |key: &Key| {
        json!({
            "key": key.name,
            "default": key.default_value(),
            "allowed": key.kind.allowed(),
            "environment": environment::variable_of(key.name),
            "doc": key.doc,
        })
    };
    KEYS.iter().map(object).collect()
}
