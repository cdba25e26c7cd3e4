//! Findings as text and as JSON, and the table of all checks as Markdown.

use serde_json::{Value, json};

use super::Checked;
use super::checks::{CHECKS, Level, Verdict};

/// How wide text is.
const WIDTH: usize = 80;

/// What stands before the lines that belong to a finding.
const INDENT: &str = "         ";

/// A line for each check, and under what was found why it matters and what to do.
pub(super) fn text(checked: &[Checked]) -> String {
    let mut text = String::new();
    let (mut errors, mut warnings, mut fine, mut skipped) = (0, 0, 0, 0);
    for Checked { check, verdict } in checked {
        let (word, detail) = match verdict {
            Verdict::Fine(detail) => {
                fine += 1;
                ("ok", detail)
            }
            Verdict::Skipped(why) => {
                skipped += 1;
                ("-", why)
            }
            Verdict::Found(detail) => match check.level {
                Level::Error => {
                    errors += 1;
                    ("ERROR", detail)
                }
                Level::Warning => {
                    warnings += 1;
                    ("WARNING", detail)
                }
            },
        };
        let head = format!("{word:<9}{} {}: ", check.code, check.name);
        text.push_str(&wrapped(&head, detail));
        if matches!(verdict, Verdict::Found(_)) {
            text.push_str(&wrapped(&format!("{INDENT}why: "), check.why));
            text.push_str(&wrapped(&format!("{INDENT}fix: "), check.fix));
        }
    }
    let many = |count: usize, what: &str| match count {
        1 => format!("1 {what}"),
        count => format!("{count} {what}s"),
    };
    let (errors, warnings) = (many(errors, "error"), many(warnings, "warning"));
    text.push_str(&format!("\n{errors}, {warnings}, {fine} fine, {skipped} not checked\n"));
    text
}

/// Lines no wider than a terminal. All but the first begin below the codes.
fn wrapped(head: &str, text: &str) -> String {
    let mut lines = head.to_owned();
    let mut width = head.chars().count();
    let mut is_first_word = true;
    for word in text.split_whitespace() {
        let needs = word.chars().count() + usize::from(!is_first_word);
        if width + needs > WIDTH && width > INDENT.len() {
            lines.truncate(lines.trim_end().len());
            lines.push('\n');
            lines.push_str(INDENT);
            width = INDENT.len();
            is_first_word = true;
        }
        if !is_first_word {
            lines.push(' ');
            width += 1;
        }
        lines.push_str(word);
        width += word.chars().count();
        is_first_word = false;
    }
    lines.push('\n');
    lines
}

/// Everything as JSON.
pub(super) fn object(checked: &[Checked]) -> Value {
    let found = |level: Level| {
        let is_found =
            |one: &&Checked| one.check.level == level && matches!(one.verdict, Verdict::Found(_));
        checked.iter().filter(is_found).count()
    };
    let one = |Checked { check, verdict }: &Checked| {
        let (state, detail) = match verdict {
            Verdict::Fine(detail) => ("ok", detail),
            Verdict::Found(detail) => (check.level.word(), detail),
            Verdict::Skipped(why) => ("skipped", why),
        };
        json!({
            "code": check.code,
            "name": check.name,
            "scope": check.scope(),
            "state": state,
            "detail": detail,
            "why": check.why,
            "fix": check.fix,
        })
    };
    json!({
        "errors": found(Level::Error),
        "warnings": found(Level::Warning),
        "checks": checked.iter().map(one).collect::<Vec<Value>>(),
    })
}

/// Findings from their JSON, and of how many this version does not know the check.
pub(super) fn of_object(object: &Value) -> Option<(Vec<Checked>, usize)> {
    let told = object["checks"].as_array()?;
    let one = |told: &Value| {
        let check = CHECKS.iter().find(|check| Some(check.code) == told["code"].as_str())?;
        let detail = told["detail"].as_str()?.to_owned();
        let verdict = match told["state"].as_str()? {
            "ok" => Verdict::Fine(detail),
            "skipped" => Verdict::Skipped(detail),
            _ => Verdict::Found(detail),
        };
        Some(Checked { check, verdict })
    };
    let checked: Vec<Checked> = told.iter().filter_map(one).collect();
    let unknown = told.len() - checked.len();
    Some((checked, unknown))
}

/// docs/operations/doctor.md has this table.
pub(super) fn markdown() -> String {
    let mut text =
        "| code | looks at | what | level | why | fix |\n|---|---|---|---|---|---|\n".to_owned();
    for check in CHECKS {
        text.push_str(&format!(
            "| {} | {} | {} | {} | {} | {} |\n",
            check.code,
            check.scope(),
            check.name,
            check.level.word(),
            check.why,
            check.fix
        ));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_finding_says_why_and_what_to_do_within_the_width_of_a_terminal() {
        let checked: Vec<Checked> = CHECKS
            .iter()
            .map(|check| Checked { check, verdict: Verdict::Found("word ".repeat(40)) })
            .collect();
        let text = text(&checked);
        for line in text.lines() {
            assert!(line.chars().count() <= WIDTH && line == line.trim_end(), "{line:?}");
        }
        assert!(text.contains("why: ") && text.contains("fix: "), "{text}");
    }

    #[test]
    fn what_was_found_is_counted() {
        let verdict = |turn: usize| match turn {
            0 => Verdict::Found("bad".into()),
            1 => Verdict::Skipped("no".into()),
            _ => Verdict::Fine("good".into()),
        };
        let checked: Vec<Checked> = CHECKS
            .iter()
            .take(4)
            .enumerate()
            .map(|(turn, check)| Checked { check, verdict: verdict(turn) })
            .collect();
        assert!(text(&checked).ends_with("\n1 error, 0 warnings, 2 fine, 1 not checked\n"));
        let object = object(&checked);
        assert_eq!(
            (&object["errors"], &object["checks"][1]["state"]),
            (&1.into(), &"skipped".into())
        );
    }

    #[test]
    fn the_documentation_has_the_table_of_the_code() {
        let page = include_str!("../../../../../docs/operations/doctor.md");
        assert!(page.contains(&markdown()), "isogrid doctor --markdown prints the table");
    }
}
