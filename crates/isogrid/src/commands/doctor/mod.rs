//! `isogrid doctor`: looks at this machine and at the cluster, and says of each thing that is wrong why that matters and what to
//! do. It changes nothing, but for a small file that it writes and removes in the data folder.
//!
//! | module | what lives there |
//! |---|---|
//! | [`checks`] | the one table of checks: code, name, why, fix, and which rule decides |
//! | [`host`], [`cluster`] | the rules, pure: from facts to a verdict |
//! | [`look`] | gathers the facts |
//! | [`show`] | findings as text, JSON and Markdown |

mod checks;
mod cluster;
mod host;
mod look;
mod show;

use clap::Args;
use serde_json::Value;

use crate::cli::Global;
use crate::commands::settings::SettingArgs;
use crate::connect::in_runtime;
use crate::exit::{CommandResult, Exit, Failure, wrong_argument};
use crate::output::{Format, print, print_json};

use self::checks::{CHECKS, Check, Level, Rule, Verdict};
use self::cluster::ClusterFacts;
use self::host::HostFacts;

/// What is checked.
#[derive(Debug, Args)]
pub(crate) struct DoctorArgs {
    /// Only these checks: D-01, or host, or cluster; may be given several times
    #[arg(long, value_name = "CODE", value_delimiter = ',')]
    only: Vec<String>,

    /// Not these
    #[arg(long, value_name = "CODE", value_delimiter = ',')]
    skip: Vec<String>,

    /// Print the table of all checks as Markdown, and check nothing
    #[arg(long, exclusive = true)]
    markdown: bool,

    #[command(flatten)]
    settings: SettingArgs,
}

/// A check, and what came of it.
struct Checked {
    check: &'static Check,
    verdict: Verdict,
}

pub(crate) fn run(args: &DoctorArgs, global: &Global) -> CommandResult {
    if args.markdown {
        print(&show::markdown())?;
        return Ok(Exit::Ok);
    }
    let chosen = chosen(&args.only, &args.skip)?;
    in_runtime(async || {
        let checked = check(&chosen, &args.settings, &global.endpoint).await;
        match global.output {
            Format::Json => print_json(&show::object(&checked))?,
            Format::Table => print(&show::text(&checked))?,
        }
        Ok(exit_of(&checked))
    })
}

/// Everything that can be found out about this machine and the cluster, as JSON.
pub(crate) async fn all(endpoint: &str, settings: &SettingArgs) -> Value {
    let chosen: Vec<&'static Check> = CHECKS.iter().collect();
    show::object(&check(&chosen, settings, endpoint).await)
}

/// What was found at another time, from its JSON: as text, and how the command ended then.
pub(crate) fn retold(object: &Value) -> Option<(String, Exit)> {
    let (checked, unknown) = show::of_object(object)?;
    let mut text = show::text(&checked);
    if unknown > 0 {
        text.push_str(&format!(
            "{unknown} findings are of checks that this version does not have\n"
        ));
    }
    Some((text, exit_of(&checked)))
}

/// Errors fail the command, warnings do not.
fn exit_of(checked: &[Checked]) -> Exit {
    let is_error =
        |one: &Checked| matches!(one.verdict, Verdict::Found(_)) && one.check.level == Level::Error;
    if checked.iter().any(is_error) { Exit::Failed } else { Exit::Ok }
}

/// The checks that are wanted.
fn chosen(only: &[String], skip: &[String]) -> Result<Vec<&'static Check>, Failure> {
    let is_known = |name: &&String| CHECKS.iter().any(|check| check.is_called(name));
    if let Some(unknown) = only.iter().chain(skip).find(|name| !is_known(name)) {
        let detail = format!("no check {unknown:?}; known are D-01 and so on, host, cluster");
        return Err(wrong_argument(detail));
    }
    let is_in = |check: &Check, names: &[String]| names.iter().any(|name| check.is_called(name));
    let is_wanted = |check: &&Check| only.is_empty() || is_in(check, only);
    Ok(CHECKS.iter().filter(is_wanted).filter(|check| !is_in(check, skip)).collect())
}

async fn check(chosen: &[&'static Check], settings: &SettingArgs, endpoint: &str) -> Vec<Checked> {
    let wants_host = chosen.iter().any(|check| matches!(check.rule, Rule::Host(_)));
    let wants_cluster = chosen.iter().any(|check| matches!(check.rule, Rule::Cluster(_)));
    let host = if wants_host { look::host(settings).await } else { HostFacts::default() };
    let cluster =
        if wants_cluster { look::cluster(endpoint).await } else { ClusterFacts::default() };
    let judge = |check: &&'static Check| Checked {
        check,
        verdict: match check.rule {
            Rule::Host(rule) => rule(&host),
            Rule::Cluster(rule) => rule(&cluster),
        },
    };
    chosen.iter().map(judge).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn codes(only: &[&str], skip: &[&str]) -> Vec<&'static str> {
        let owned = |names: &[&str]| names.iter().map(ToString::to_string).collect::<Vec<_>>();
        let chosen = chosen(&owned(only), &owned(skip)).expect("known names");
        chosen.iter().map(|check| check.code).collect()
    }

    #[test]
    fn checks_are_chosen_by_code_and_by_what_they_look_at() {
        assert_eq!(codes(&[], &[]).len(), CHECKS.len());
        assert_eq!(codes(&["d-02", "D-01"], &[]), ["D-01", "D-02"]);
        let host = codes(&["host"], &["D-01"]);
        assert!(host.contains(&"D-02") && !host.contains(&"D-01") && !host.contains(&"D-20"));
        assert!(chosen(&["D-99".to_owned()], &[]).is_err());
    }

    #[test]
    fn what_was_found_can_be_told_again() {
        let verdict = |turn: usize| match turn % 3 {
            0 => Verdict::Found("bad".into()),
            1 => Verdict::Skipped("no".into()),
            _ => Verdict::Fine("good".into()),
        };
        let all = CHECKS.iter().enumerate();
        let checked: Vec<Checked> =
            all.map(|(turn, check)| Checked { check, verdict: verdict(turn) }).collect();
        let mut object = show::object(&checked);
        assert_eq!(retold(&object), Some((show::text(&checked), exit_of(&checked))));
        object["checks"][0]["code"] = "D-99".into();
        let (text, _) = retold(&object).expect("the others are known");
        assert!(text.ends_with("\n1 findings are of checks that this version does not have\n"));
        assert_eq!(retold(&Value::Null), None);
    }

    #[test]
    fn only_errors_fail() {
        let all = |level: Level, verdict: fn() -> Verdict| -> Vec<Checked> {
            let of_level = CHECKS.iter().filter(|check| check.level == level);
            of_level.map(|check| Checked { check, verdict: verdict() }).collect()
        };
        let found = || Verdict::Found("bad".into());
        assert_eq!(exit_of(&all(Level::Warning, found)), Exit::Ok);
        assert_eq!(exit_of(&all(Level::Error, found)), Exit::Failed);
        assert_eq!(exit_of(&all(Level::Error, || Verdict::Skipped("no".into()))), Exit::Ok);
    }
}
