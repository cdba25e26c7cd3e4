//! The little of Markdown that the rules need: headings, their anchors, and links.

use std::collections::{BTreeMap, BTreeSet};

/// A heading.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Heading<'a> {
    /// The line, from one.
    pub(super) line: usize,
    /// 1 for the title, 2 for a section, and so on.
    pub(super) level: usize,
    /// The text.
    pub(super) text: &'a str,
}

/// The lines that are not in a fenced block of code, with their numbers from one.
pub(super) fn prose(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut fence: Option<&str> = None;
    text.lines().enumerate().filter_map(move |(index, line)| {
        let start = line.trim_start();
        let mark = ["```", "~~~"].into_iter().find(|mark| start.starts_with(mark));
        match (fence, mark) {
            (None, Some(mark)) => fence = Some(mark),
            (Some(open), Some(mark)) if open == mark => fence = None,
            (None, None) => return Some((index + 1, line)),
            (Some(_), _) => {}
        }
        None
    })
}

/// The headings written with `#`.
pub(super) fn headings(text: &str) -> Vec<Heading<'_>> {
    prose(text)
        .filter_map(|(line, content)| {
            let level = content.bytes().take_while(|&byte| byte == b'#').count();
            let text = content[level..].strip_prefix(' ')?.trim();
            (level > 0).then_some(Heading { line, level, text })
        })
        .collect()
}

/// The anchors of the headings: lower case, hyphens for blanks, no other signs, numbered where they repeat.
pub(super) fn anchors(text: &str) -> BTreeSet<String> {
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    let mut anchors = BTreeSet::new();
    for heading in headings(text) {
        let anchor: String = heading
            .text
            .to_lowercase()
            .chars()
            .map(|c| if c == ' ' { '-' } else { c })
            .filter(|&c| c.is_alphanumeric() || c == '-' || c == '_')
            .collect();
        let times = seen.entry(anchor.clone()).or_default();
        anchors.insert(if *times == 0 { anchor } else { format!("{anchor}-{times}") });
        *times += 1;
    }
    anchors
}

/// The targets of the links and images, with their lines: `[text](target)` and `[name]: target`.
pub(super) fn links(text: &str) -> Vec<(usize, String)> {
    let mut links = Vec::new();
    for (number, line) in prose(text) {
        let line = without_code_spans(line);
        for (at, _) in line.match_indices("](") {
            let rest = &line[at + 2..];
            let target = rest.split([')', ' ']).next().unwrap_or_default();
            links.push((number, target.trim_matches(['<', '>']).to_owned()));
        }
        if let Some((name, target)) = line.split_once("]: ")
            && name.starts_with('[')
        {
            let target = target.split_whitespace().next().unwrap_or_default();
            links.push((number, target.to_owned()));
        }
    }
    links
}

/// The line with what stands between backticks left out.
fn without_code_spans(line: &str) -> String {
    line.split('`').step_by(2).collect::<Vec<_>>().join("` `")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headings_in_code_do_not_count() {
        let text = "# Title\n```sh\n# a comment\n```\n#hashtag\n## Section one\n";
        let found: Vec<(usize, usize, &str)> =
            headings(text).iter().map(|h| (h.line, h.level, h.text)).collect();
        assert_eq!(found, [(1, 1, "Title"), (6, 2, "Section one")]);
    }

    #[test]
    fn anchors_are_those_of_the_common_forges() {
        let text = "# A `put`, step by step\n## 2. State\n## State\n## State\n";
        let expected = ["2-state", "a-put-step-by-step", "state", "state-1"];
        assert_eq!(anchors(text).into_iter().collect::<Vec<_>>(), expected);
    }

    #[test]
    fn links_are_found_and_code_is_not() {
        let text =
            "[a](b.md) ![c](d.png \"t\") `[x](y)`\n~~~\n[e](f)\n~~~\n[g]: h.md\n[i](<j.md>)\n";
        let targets: Vec<(usize, String)> = links(text);
        let expected = [(1, "b.md"), (1, "d.png"), (5, "h.md"), (6, "j.md")];
        assert_eq!(targets, expected.map(|(line, target)| (line, target.to_owned())));
    }
}
