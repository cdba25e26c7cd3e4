//! `isogrid config reference`: the tables of all keys, as docs/configuration.md has them.

use isogrid_node::config::reference_markdown;

use super::print_default::keys;
use crate::exit::{CommandResult, Exit};
use crate::output::{Format, print, print_json};

pub(super) fn run(format: Format) -> CommandResult {
    match format {
        Format::Table => print(&reference_markdown())?,
        Format::Json => print_json(&keys())?,
    }
    Ok(Exit::Ok)
}
