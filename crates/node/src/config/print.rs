//! The defaults as commented TOML: what `isogrid config print-default` prints.

use super::environment::variable_of;
use super::keys::KEYS;

/// The widest line of a comment.
const LINE_CHARS_MAX: usize = 100;

const HEAD: &str = "\
# The configuration of an Isogrid node, with every key at its default.
#
# A value comes from the highest layer that sets it: default < this file < environment < flag.
# The variable of `node.grpc_addr` is ISOGRID__NODE__GRPC_ADDR, its flag `--set node.grpc_addr=...`.
# Keys that have no default, and the settings of maps, are commented out.
";

/// Every key with its explanation, what is allowed, and its default. The text is a valid configuration file.
pub fn default_toml() -> String {
    let mut text = HEAD.to_owned();
    let mut section_before = "";
    for key in KEYS {
        let (section, name) = key.split();
        if section != section_before {
            let lead = if key.is_of_map() { MAPS_HEAD } else { "" };
            let comment = if key.is_of_map() { "# " } else { "" };
            text.push_str(&format!("\n{lead}{comment}[{section}]\n"));
            section_before = section;
        }
        text.push('\n');
        for line in wrap(key.doc, LINE_CHARS_MAX - 2) {
            text.push_str(&format!("# {line}\n"));
        }
        text.push_str(&format!("# Allowed: {}.\n", key.kind.allowed()));
        if !key.is_of_map() {
            text.push_str(&format!("# Environment: {}\n", variable_of(key.name)));
        }
        let comment = if key.is_of_map() { "# " } else { "" };
        match key.default_value() {
            Some(value) => text.push_str(&format!("{comment}{name} = {value}\n")),
            None => text.push_str(&format!("# {name} = \"...\"\n")),
        }
    }
    text
}

const MAPS_HEAD: &str = "\
# The settings of one map. [maps.default] applies to every map that has no section of its own; a map
# that has one takes nothing from it.
";

/// Breaks a text into lines between its words.
fn wrap(text: &str, chars_max: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        let line = lines.last_mut().expect("there is always a line");
        if line.is_empty() {
            line.push_str(word);
        } else if line.chars().count() + 1 + word.chars().count() <= chars_max {
            line.push(' ');
            line.push_str(word);
        } else {
            lines.push(word.to_owned());
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Config, FileSource, Sources, load};

    fn loads_to(text: String) -> Config {
        let file = FileSource { path: "default.toml".into(), text };
        load(&Sources { file: Some(file), ..Sources::default() }).expect("it is valid").config
    }

    #[test]
    fn the_printed_defaults_are_the_defaults() {
        assert_eq!(loads_to(default_toml()), Config::default());
    }

    #[test]
    fn every_key_is_printed_once() {
        let text = default_toml();
        let mut section = "";
        let mut printed = Vec::new();
        for line in text.lines().map(|line| line.trim_start_matches("# ")) {
            if let Some(name) = line.strip_prefix('[').and_then(|line| line.strip_suffix(']')) {
                section = name;
            } else if let Some((name, _)) = line.split_once(" = ") {
                printed.push((section, name));
            }
        }
        for key in KEYS {
            let count = printed.iter().filter(|one| **one == key.split()).count();
            assert_eq!(count, 1, "{}", key.name);
        }
    }

    #[test]
    fn the_settings_of_maps_hold_when_the_comments_are_taken_away() {
        let text = default_toml();
        let (_, maps) = text.split_once("# [maps.NAME]\n").expect("the section is there");
        let bare: Vec<&str> =
            maps.lines().filter(|line| line.contains(" = ")).map(|line| &line[2..]).collect();
        let config = loads_to(format!("[maps.orders]\n{}", bare.join("\n")));
        assert_eq!(config.maps["orders"], isogrid_core::MapSettings::default());
    }
}
