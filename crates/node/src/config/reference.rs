//! Every key as Markdown, section by section: what `isogrid config reference` prints, and docs/configuration.md holds.

use super::keys::{KEYS, Key};

/// A section of keys as the reference tells of it.
struct Section {
    name: &'static str,
    /// What it is about, behind its name.
    about: &'static str,
    /// What stands between its head and its table.
    note: &'static str,
}

const fn section(name: &'static str, about: &'static str, note: &'static str) -> Section {
    Section { name, about, note }
}

/// All sections, in the order of the keys.
const SECTIONS: &[Section] = &[
    section("node", "who the node is and where it listens", ""),
    section(
        "cluster",
        "how it meets the other nodes",
        "[membership.md](membership.md) explains them.\n\n",
    ),
    section("memory", "how much memory it may use", ""),
    section("disk", "how much it may keep on disk, and when it is written anew", ""),
    section("log", "what it writes to its log", ""),
    section("slow_log", "which operations it calls slow", ""),
    section("tracing", "to whom it tells traces", ""),
    section("limits", "what it refuses", ""),
    section("maps.NAME", "the settings of maps", MAPS_NOTE),
];

const MAPS_NOTE: &str = "\
`[maps.default]` applies to every map that has no section of its own. Sections are not mixed: a map with a section
takes nothing from `[maps.default]`, so an empty `[maps.orders]` gives `orders` the built-in settings. A name with dots is
quoted in TOML: `[maps.\"orders.v2\"]`.

";

/// A table for each section: key, default, what is allowed, what it does.
pub fn reference_markdown() -> String {
    let sections: Vec<String> = SECTIONS.iter().map(table).collect();
    sections.join("\n")
}

fn table(section: &Section) -> String {
    let Section { name, about, note } = section;
    let mut text = format!(
        "### `[{name}]`: {about}\n\n{note}| key | default | allowed | what it does |\n|---|---|---|---|\n"
    );
    for key in KEYS.iter().filter(|key| key.split().0 == *name) {
        text.push_str(&row(key));
    }
    text
}

fn row(key: &Key) -> String {
    let default = key.default_value().map_or_else(|| "-".into(), |value| format!("`{value}`"));
    format!("| `{}` | {default} | {} | {} |\n", key.name, key.kind.allowed(), key.doc)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_has_its_row_once() {
        let text = reference_markdown();
        let rows: Vec<&str> = text.lines().filter(|line| line.starts_with("| `")).collect();
        assert_eq!(rows.len(), KEYS.len(), "a section of the keys is missing here");
        for (row, key) in rows.iter().zip(KEYS) {
            assert!(row.starts_with(&format!("| `{}` |", key.name)), "{row}");
        }
    }

    #[test]
    fn no_cell_ends_its_row_early() {
        for key in KEYS {
            assert_eq!(row(key).matches('|').count(), 5, "{}", key.name);
        }
    }

    #[test]
    fn the_manual_has_what_the_code_says() {
        let manual = include_str!("../../../../docs/configuration.md");
        let (_, from_keys_on) = manual.split_once("## Keys\n\n").expect("a chapter of the keys");
        let (keys, _) = from_keys_on.split_once("\nTwo rules hold").expect("what comes next");
        assert_eq!(keys, reference_markdown(), "`isogrid config reference` prints this chapter");
    }
}
