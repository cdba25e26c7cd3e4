//! No notes to oneself: finish it, or file it where somebody owns it.

use super::Finding;
use super::tree::Tree;

/// The words, put together here so that this file does not find itself.
const MARKERS: &[&str] = &[concat!("FIX", "ME"), concat!("XX", "X"), concat!("TO", "DO")];

pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    tree.own_files()
        .flat_map(|file| file.numbered_lines().map(move |(number, line)| (file, number, line)))
        .filter_map(|(file, number, line)| {
            let marker = MARKERS.iter().find(|marker| has_word(line, marker))?;
            let what = format!("{marker}: finish it, or file an issue and remove the note");
            Some(Finding::new(&file.path, number, what))
        })
        .collect()
}

fn has_word(line: &str, word: &str) -> bool {
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    line.match_indices(word).any(|(at, _)| {
        !line[..at].ends_with(is_word) && !line[at + word.len()..].starts_with(is_word)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_marker_is_found_in_every_kind_of_file() {
        for marker in MARKERS {
            for path in ["src/lib.rs", "guide/a.md", "Cargo.toml", ".ci/run"] {
                let text = format!("fine\n# {marker}: later\n");
                let findings = check(&Tree::of_files(&[(path, &text)]));
                assert_eq!(findings.len(), 1, "{marker} in {path}");
                assert_eq!(findings[0].line, Some(2));
            }
        }
    }

    #[test]
    fn parts_of_words_and_the_lock_file_are_fine() {
        let longer = |marker: &&str| format!("{marker}S A{marker} {marker}_MAX\n");
        let text: String = MARKERS.iter().map(longer).collect();
        let tree = Tree::of_files(&[("a.rs", &text), ("Cargo.lock", MARKERS[0])]);
        assert_eq!(check(&tree), []);
    }
}
