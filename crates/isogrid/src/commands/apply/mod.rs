//! `isogrid apply -f FILE`: maps as a file says. Applying it twice changes nothing the second time.

mod file;

use std::path::PathBuf;

use clap::Args;
use isogrid_client::{MapExpect, Operator, PutMapOutcome};
use serde_json::{Value, json};

use crate::cli::Global;
use crate::commands::map::change::{difference, difference_object, difference_text};
use crate::connect::with_operator;
use crate::exit::{CommandResult, Exit, Failure, text_of};
use crate::output::{Format, print, print_json, tell};

use self::file::{FileFormat, Wanted};

/// What is applied.
#[derive(Debug, Args)]
pub(crate) struct ApplyArgs {
    /// The file; `-` reads standard input
    #[arg(short, long, value_name = "FILE")]
    file: PathBuf,

    /// How it is written; without this its ending says so
    #[arg(long, value_enum)]
    format: Option<FileFormat>,

    /// Only show what would change
    #[arg(long)]
    dry_run: bool,
}

pub(crate) fn run(args: &ApplyArgs, global: &Global) -> CommandResult {
    let wanted = file::read(&args.file, args.format)?;
    with_operator(global, async |operator| {
        apply(&operator, wanted, args.dry_run, global.output).await
    })
}

/// What comes of one map.
struct Step {
    wanted: Wanted,
    outcome: PutMapOutcome,
}

impl Step {
    fn changes(&self) -> bool {
        let PutMapOutcome { before, after, .. } = &self.outcome;
        before.as_ref().is_none_or(|before| !difference(before, after).is_empty())
    }

    fn object(&self) -> Value {
        let PutMapOutcome { before, after, .. } = &self.outcome;
        let what = match (before, self.changes()) {
            (None, _) => "created",
            (Some(_), true) => "altered",
            (Some(_), false) => "unchanged",
        };
        let changes = difference_object(before.as_ref(), after);
        json!({ "map": self.wanted.name, "change": what, "changes": changes })
    }
}

/// Checks everything before anything is changed, so that a file with a mistake changes nothing.
async fn apply(
    operator: &Operator,
    wanted: Vec<Wanted>,
    dry_run: bool,
    format: Format,
) -> CommandResult {
    let mut steps = Vec::new();
    for wanted in wanted {
        let change = wanted.change.clone();
        let outcome = operator.put_map(&wanted.name, change, MapExpect::Any, true).await?;
        steps.push(Step { wanted, outcome });
    }
    show(&steps, dry_run, format)?;
    let due: Vec<&Step> = steps.iter().filter(|step| step.changes()).collect();
    if dry_run || due.is_empty() {
        if format == Format::Table {
            tell(if due.is_empty() {
                "nothing to change"
            } else {
                "nothing was changed (--dry-run)"
            });
        }
        return Ok(Exit::Ok);
    }
    for (done, step) in due.iter().enumerate() {
        let Wanted { name, change } = &step.wanted;
        match operator.put_map(name, change.clone(), MapExpect::Any, false).await {
            Ok(_) => {}
            Err(error) if done > 0 => {
                if let Failure::Error(error) = Failure::from(error) {
                    tell(text_of(&error));
                }
                tell(format!("{done} of {} maps were changed; apply it again", due.len()));
                return Ok(Exit::Partial);
            }
            Err(error) => return Err(error.into()),
        }
    }
    if format == Format::Table {
        tell(format!("{} of {} maps changed", due.len(), steps.len()));
    }
    Ok(Exit::Ok)
}

fn show(steps: &[Step], dry_run: bool, format: Format) -> Result<(), Failure> {
    if format == Format::Json {
        let maps: Vec<Value> = steps.iter().map(Step::object).collect();
        return print_json(&json!({ "dry_run": dry_run, "maps": maps }));
    }
    let text = |step: &Step| difference_text(step.outcome.before.as_ref(), &step.outcome.after);
    print(&steps.iter().map(text).collect::<String>())
}
