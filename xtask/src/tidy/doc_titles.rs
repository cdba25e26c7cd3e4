//! Each document has exactly one title, and it comes first.

use super::Finding;
use super::markdown::headings;
use super::tree::Tree;

pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for document in tree.documents() {
        let headings = headings(&document.text);
        let mut titles = headings.iter().filter(|heading| heading.level == 1);
        if titles.next().is_none() {
            findings.push(Finding::new(&document.path, None, "give the document a `# Title`"));
        } else if headings[0].level != 1 {
            let what = "the `# Title` comes before all other headings";
            findings.push(Finding::new(&document.path, headings[0].line, what));
        }
        for second in titles {
            let what = "a second `# Title`: make it a section or another document";
            findings.push(Finding::new(&document.path, second.line, what));
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &str) -> Vec<Option<usize>> {
        check(&Tree::of_files(&[("docs/a.md", text)])).iter().map(|finding| finding.line).collect()
    }

    #[test]
    fn no_title_two_titles_and_a_late_title_are_found() {
        assert_eq!(lines("Some text.\n"), [None]);
        assert_eq!(lines("# One\n\n# Two\n"), [Some(3)]);
        assert_eq!(lines("## Section\n\n# Title\n"), [Some(1)]);
    }

    #[test]
    fn one_title_is_fine() {
        assert_eq!(lines("# One\n\n## Two\n```\n# not a title\n```\n"), []);
    }
}
