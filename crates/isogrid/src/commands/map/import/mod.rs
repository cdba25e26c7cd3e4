//! `isogrid map import MAP --from FILE`: the rows of a file into a map, which can be interrupted and gone on with.
//!
//! | module | what it does |
//! |---|---|
//! | [`source`] | opens the file where it is to be read on |
//! | [`batches`] | reads it on a thread of its own, and cuts it into batches |
//! | [`mod@write`] | writes one batch into the map |
//! | [`work`] | several batches at a time, and the checkpoint behind them |

mod batches;
mod source;
mod work;
mod write;

use std::time::Instant;

use clap::Args;
use isogrid_client::{Grid, MapChange, MapExpect};
use serde_json::json;

use crate::cli::Global;
use crate::connect::operator;
use crate::exit::{CommandResult, Exit};
use crate::output::{Format, print_json, tell};
use crate::progress;
use crate::text::thousands;

use super::files::{FileFormat, STANDARD, pace, rows_text};
use source::Source;
use work::{Ended, Totals, Work};

/// What is imported, and where from.
#[derive(Debug, Args)]
pub(crate) struct ImportArgs {
    /// The map
    map: String,

    /// The file; - is standard input
    #[arg(long, value_name = "FILE")]
    from: String,

    /// How entries are written, if the file's name does not say so
    #[arg(long, value_name = "FORMAT", value_enum)]
    format: Option<FileFormat>,

    /// Go on with an import that was interrupted, or begin if there is none
    #[arg(long)]
    resume: bool,

    /// Leave alone what is there already
    #[arg(long)]
    if_absent: bool,

    /// Replace what is there already: so it is done unless --if-absent is given
    #[arg(long, conflicts_with = "if_absent")]
    overwrite: bool,

    /// Create the map, with the default settings, if there is none
    #[arg(long)]
    create: bool,

    /// Count rows that cannot be read, and go on
    #[arg(long)]
    skip_bad: bool,
}

pub(super) async fn run(grid: &Grid, args: &ImportArgs, global: &Global) -> CommandResult {
    let format = FileFormat::of(&args.from, args.format)?;
    let cluster = grid.status().await?.cluster_id;
    let mut source = Source::find(&args.from, format, args.resume, (&cluster, &args.map))?;
    if grid.map_info(&args.map).await?.is_none() {
        if !args.create {
            tell(format!("no map {:?}: --create makes one with the default settings", args.map));
            return Ok(Exit::Failed);
        }
        let operator = operator(&global.endpoint).await?;
        operator.put_map(&args.map, MapChange::default(), MapExpect::Any, false).await?;
    }
    let opened = source.open()?;
    let bar = progress::bar(if source.counts_rows() { "rows" } else { "bytes" }, opened.length);
    bar.set_position(source.begin().at);
    bar.reset_eta();
    let resumed_rows = source.rows_before();
    let begun = Instant::now();
    let batches = batches::read(opened.reader, args.skip_bad)?;
    let mut work = Work::new(grid, args, (&mut source, bar.clone()));
    let ended = work.run(batches).await;
    let totals = work.totals();
    bar.finish_and_clear();
    let ended = ended?;
    if global.output == Format::Json {
        print_json(&json!({
            "map": args.map,
            "file": args.from,
            "rows": totals.rows,
            "written": totals.written,
            "present": totals.present,
            "expired": totals.expired,
            "bad": totals.bad,
            "resumed_rows": resumed_rows,
            "seconds": begun.elapsed().as_secs_f64(),
            "complete": matches!(ended, Ended::Whole),
        }))?;
    }
    let summary = summary(args, &totals, resumed_rows, begun);
    finish(args, global.output, (ended, &totals), &summary)
}

/// Says how it ended, and what that means for the exit code.
fn finish(
    args: &ImportArgs,
    output: Format,
    (ended, totals): (Ended, &Totals),
    summary: &str,
) -> CommandResult {
    let some_or_none = if totals.written > 0 { Exit::Partial } else { Exit::Failed };
    let goes_on = match args.from.as_str() {
        STANDARD => "",
        _ if totals.rows == 0 => "",
        _ => "; --resume goes on from there",
    };
    match ended {
        Ended::Whole => {
            if output == Format::Table {
                tell(format!("imported {summary}"));
            }
            Ok(if totals.bad > 0 { Exit::Partial } else { Exit::Ok })
        }
        Ended::Interrupted => {
            tell(format!("interrupted: {summary}{goes_on}"));
            Ok(Exit::Partial)
        }
        Ended::Bad(bad) => {
            tell(format!("error: {}:{}: {}", args.from, bad.line, bad.what));
            tell(format!("stopped: {summary}{goes_on}; --skip-bad leaves out bad rows"));
            Ok(some_or_none)
        }
        Ended::Failed(failure) => {
            tell(format!("stopped: {summary}{goes_on}"));
            let exit = if failure.exit() == Exit::Failed { some_or_none } else { failure.exit() };
            if let Some(text) = failure.text() {
                tell(text);
            }
            Ok(exit)
        }
    }
}

fn summary(args: &ImportArgs, totals: &Totals, resumed_rows: u64, begun: Instant) -> String {
    let mut text = format!("{} into {:?}", rows_text(totals.written), args.map);
    for (count, what) in [
        (totals.present, "were there already"),
        (totals.expired, "had expired"),
        (totals.bad, "were bad"),
        (resumed_rows, "were done before"),
    ] {
        if count > 0 {
            text.push_str(&format!(", {} {what}", thousands(count)));
        }
    }
    format!("{text}, {}", pace(totals.rows, begun.elapsed()))
}
