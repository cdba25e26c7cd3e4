//! `isogrid config print-default`: every key with its explanation and default.

use isogrid_node::config::{KEYS, default_toml, environment};
use serde_json::{Value, json};

use crate::exit::{CommandResult, Exit};
use crate::output::{Format, print, print_json};

pub(super) fn run(format: Format) -> CommandResult {
    if format == Format::Table {
        print(&default_toml())?;
        return Ok(Exit::Ok);
    }
    let keys: Vec<Value> = KEYS
        .iter()
        .map(|key| {
            json!({
                "key": key.name,
                "default": key.default_value(),
                "allowed": key.kind.allowed(),
                "environment": environment::variable_of(key.name),
                "doc": key.doc,
            })
        })
        .collect();
    print_json(&keys)?;
    Ok(Exit::Ok)
}
