//! No absolute path of somebody's machine in a tracked file: it works nowhere else.

use super::Finding;
use super::tree::Tree;

/// Where machines keep people's files; put together here so that this file does not find itself.
const FOLDERS: &[&str] =
    &[concat!("/ro", "ot/"), concat!("/ho", "me/"), concat!("/wo", "rk/"), concat!("/Us", "ers/")];

pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    tree.own_files()
        .flat_map(|file| file.numbered_lines().map(move |(number, line)| (file, number, line)))
        .filter_map(|(file, number, line)| {
            let folder = FOLDERS.iter().find(|folder| starts_a_path(line, folder))?;
            let what = format!("{folder}… is a path of one machine: make it relative");
            Some(Finding::new(&file.path, number, what))
        })
        .collect()
}

/// Whether the folder stands in the line as the beginning of a path, not as a part of a longer one.
fn starts_a_path(line: &str, folder: &str) -> bool {
    let continues = |c: char| c.is_alphanumeric() || "._-~*})]".contains(c);
    line.match_indices(folder).any(|(at, _)| !line[..at].ends_with(continues))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_of_a_machine_is_found() {
        for folder in FOLDERS {
            for line in [format!("see {folder}a"), format!("dir=\"{folder}b\""), folder.to_string()]
            {
                let findings = check(&Tree::of_files(&[("guide/a.md", &line)]));
                assert_eq!(findings.len(), 1, "{line}");
            }
        }
    }

    #[test]
    fn a_part_of_a_longer_path_is_fine() {
        for folder in FOLDERS {
            let text = format!("docs{folder}a\n${{DIR}}{folder}b\nhttps://example.org{folder}c\n");
            assert_eq!(check(&Tree::of_files(&[("guide/a.md", &text)])), []);
        }
    }
}
