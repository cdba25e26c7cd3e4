//! `isogrid error [IG-nnnn]`: what a code means. With `--markdown` it prints docs/errors.md.

use clap::Args;
use isogrid_core::catalog::{EXPLANATIONS, Explanation};
use isogrid_core::{ErrorCode, ErrorKind, NextStep, Outcome};
use serde_json::{Value, json};

use crate::exit::{CommandResult, Exit, Failure, wrong_argument};
use crate::output::{Format, print, print_json, print_table, table};

/// Which code.
#[derive(Debug, Args)]
pub(crate) struct ErrorArgs {
    /// The code: IG-0301, ig-301 or 301; without one, all are listed
    code: Option<String>,

    /// Print the whole catalogue as Markdown
    #[arg(long, conflicts_with = "code")]
    markdown: bool,
}

pub(crate) fn run(args: &ErrorArgs, format: Format) -> CommandResult {
    match &args.code {
        Some(code) => explain(find(code)?, format)?,
        None if args.markdown => print(&markdown())?,
        None => list(format)?,
    }
    Ok(Exit::Ok)
}

fn find(code: &str) -> Result<&'static Explanation, Failure> {
    let lower = code.trim().to_lowercase();
    let digits = lower.strip_prefix("ig").unwrap_or(&lower).trim_start_matches('-');
    digits
        .parse()
        .ok()
        .and_then(ErrorCode::from_number)
        .map(ErrorCode::explanation)
        .ok_or_else(|| wrong_argument(format!("no error {code:?}; `isogrid error` lists all")))
}

fn explain(explanation: &Explanation, format: Format) -> Result<(), Failure> {
    if format == Format::Json {
        return print_json(&object(explanation));
    }
    let Explanation { code, what, why, next, .. } = explanation;
    print(&format!(
        "{code} {what}\n\n  why:      {why}\n  next:     {next}\n  kind:     {}\n  outcome:  {}\n  caller:   {}\n",
        kind(explanation.kind),
        outcome(explanation.outcome),
        next_step(explanation.next_step),
    ))
}

fn list(format: Format) -> Result<(), Failure> {
    if format == Format::Json {
        let all: Vec<Value> = EXPLANATIONS.iter().map(object).collect();
        return print_json(&all);
    }
    let mut rows = table(&["code", "what", "next"]);
    for explanation in EXPLANATIONS {
        rows.add_row([&explanation.code.to_string(), explanation.what, explanation.next]);
    }
    print_table(&rows)
}

fn object(explanation: &Explanation) -> Value {
    json!({
        "code": explanation.code.to_string(),
        "number": explanation.code as u16,
        "kind": kind(explanation.kind),
        "outcome": outcome(explanation.outcome),
        "what": explanation.what,
        "why": explanation.why,
        "next": explanation.next,
    })
}

fn outcome(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::NotApplied => "nothing changed",
        Outcome::Applied => "the change happened",
        Outcome::Unknown => "it may or may not have happened",
    }
}

fn next_step(step: NextStep) -> &'static str {
    match step {
        NextStep::FixRequest => "mends the request",
        NextStep::Redirect => "asks another node",
        NextStep::RetryLater => "tries again later",
        NextStep::CheckOutcome => "finds out what happened first",
        NextStep::AskOperator => "asks the operator",
        NextStep::Report => "reports a defect",
    }
}

fn kind(kind: ErrorKind) -> String {
    // The names in the code are words for people as well, once they stand apart.
    let mut words = String::new();
    for character in format!("{kind:?}").chars() {
        if character.is_uppercase() && !words.is_empty() {
            words.push(' ');
        }
        words.extend(character.to_lowercase());
    }
    words
}

/// docs/errors.md.
fn markdown() -> String {
    let mut text = "\
# Errors

Every error has a code `IG-nnnn` that never changes its meaning, and says what happened, why, and what to do next. The
outcome says whether the failed operation changed anything. `isogrid error IG-nnnn` shows the same text.

This file is printed by `isogrid error --markdown`; a test checks that it is up to date.
"
    .to_owned();
    let mut before = None;
    for explanation in EXPLANATIONS {
        let Explanation { code, what, why, next, .. } = explanation;
        let hundred = *code as u16 / 100;
        if before != Some(hundred) {
            text.push_str(&format!("\n## IG-{hundred:02}nn: {}\n", group(hundred)));
            before = Some(hundred);
        }
        text.push_str(&format!(
            "\n### {code} {what}\n\n{why}\n\n- Outcome: {}.\n- Next: {next}.\n",
            outcome(explanation.outcome)
        ));
    }
    text
}

/// What the codes of one hundred have in common.
fn group(hundred: u16) -> &'static str {
    match hundred {
        1 => "the request breaks a rule or a limit",
        2 => "the cluster: another owner, too few replicas, no decision",
        3 => "the node cannot take it now",
        4 => "no answer came in time",
        5 => "the value does not fit its codec",
        6 => "the configuration or the command line is wrong",
        _ => "a defect of the grid",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_found_however_it_is_written() {
        for code in ["IG-0301", "ig-0301", "IG-301", "301", "0301", "ig0301", " 301 "] {
            let found = find(code).map(|explanation| explanation.code).ok();
            assert_eq!(found, Some(ErrorCode::MemoryFull), "{code}");
        }
        for code in ["", "IG-", "9999", "memory", "-1"] {
            assert_eq!(find(code).map_err(|failure| failure.exit()), Err(Exit::Usage), "{code}");
        }
    }

    #[test]
    fn the_document_is_up_to_date() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/errors.md");
        let written = std::fs::read_to_string(path).unwrap_or_default();
        assert_eq!(written, markdown(), "run: isogrid error --markdown > docs/errors.md");
    }

    #[test]
    fn kinds_are_words() {
        assert_eq!(kind(ErrorKind::InvalidRequest), "invalid request");
        assert_eq!(kind(ErrorKind::Internal), "internal");
    }
}
