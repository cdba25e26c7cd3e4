//! Switching off a rule of the protocol, so that people and tests can see the simulator find it.

use isogrid_sim::grid::Options;
use isogrid_sim::grid::rules::{RULES, named};

/// The rules' names.
pub(super) fn names() -> Vec<&'static str> {
    RULES.iter().map(|rule| rule.name).collect()
}

/// Switches a rule off. An unknown name changes nothing.
pub(super) fn switch_off(name: &str, options: &mut Options) {
    if let Some(rule) = named(name) {
        (rule.switch_off)(options);
    }
}
