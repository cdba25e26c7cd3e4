//! `isogrid map export MAP --to FILE`: all entries of a map into a file, which can be interrupted and gone on with.
//!
//! The map is scanned here, page by page; a [`writer`] on a thread of its own turns the pages into the file.

mod writer;

use std::path::Path;
use std::time::Instant;

use clap::Args;
use futures::TryStreamExt;
use isogrid_client::{Grid, ScanStream};
use serde_json::json;
use tokio::sync::mpsc;

use crate::commands::stop::StopSignals;
use crate::exit::{CommandResult, Exit, Failure};
use crate::output::{Format, print_json, tell};
use crate::progress;
use crate::text::{size, thousands};

use super::byte_map;
use super::files::checkpoint::Exported;
use super::files::{FileFormat, STANDARD, encoder, of_file, pace, rows_text};
use writer::{Message, Page, Writer, Written};

/// How many pages may wait for the disk.
const PAGES_WAITING_MAX: usize = 8;

/// How many entries are asked for at a time.
const PAGE_ENTRIES: u32 = 1_000;

/// What is exported, and where to.
#[derive(Debug, Args)]
pub(crate) struct ExportArgs {
    /// The map
    map: String,

    /// The file; - is standard output
    #[arg(long, value_name = "FILE")]
    to: String,

    /// How entries are written, if the file's name does not say so
    #[arg(long, value_name = "FORMAT", value_enum)]
    format: Option<FileFormat>,

    /// Only keys that begin with this
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    prefix: String,

    /// Only keys that match this pattern, in which * stands for any text, ? for any byte, and [a-z] for one of some
    #[arg(long, value_name = "PATTERN", default_value = "", hide_default_value = true)]
    glob: String,

    /// Go on with an export that was interrupted, or begin if there is none
    #[arg(long, conflicts_with = "force")]
    resume: bool,

    /// Replace the file if it is there
    #[arg(long)]
    force: bool,
}

pub(super) async fn run(grid: &Grid, args: &ExportArgs, output: Format) -> CommandResult {
    let format = FileFormat::of(&args.to, args.format)?;
    let Some(info) = grid.map_info(&args.map).await? else {
        tell(format!("no map {:?}", args.map));
        return Ok(Exit::Failed);
    };
    let of = Exported {
        cluster: grid.status().await?.cluster_id,
        map: args.map.clone(),
        map_id: info.id,
        format,
        prefix: args.prefix.clone(),
        glob: args.glob.clone(),
    };
    let writer = match (args.to.as_str(), args.resume) {
        (STANDARD, false) => Writer::standard(encoder(format, &[])?),
        (STANDARD, true) => return Err(writer::no_resume_on_a_pipe()),
        (file, true) => Writer::resume(Path::new(file), of)?,
        (file, false) => Writer::create(Path::new(file), of, args.force)?,
    };
    let is_filtered = !args.prefix.is_empty() || !args.glob.is_empty();
    let bar = progress::bar("exported", (!is_filtered).then_some(info.entries));
    let resumed_rows = writer.rows();
    bar.set_position(resumed_rows);
    bar.reset_eta();
    let begun = Instant::now();
    let map = byte_map(grid, &args.map);
    let scan = map.scan().prefix(args.prefix.as_bytes()).glob(args.glob.as_bytes());
    let pages = scan.page_size(PAGE_ENTRIES).pages().resume(writer.token());
    let (sender, receiver) = mpsc::channel(PAGES_WAITING_MAX);
    let writing = {
        let bar = bar.clone();
        tokio::task::spawn_blocking(move || writer.run(receiver, &bar))
    };
    let read = read(pages.stream(), sender).await;
    let written = writing.await.map_err(std::io::Error::other)?;
    bar.finish_and_clear();
    // What the disk says comes first: reading ended because of it.
    let written = written.map_err(|error| {
        if args.to != STANDARD {
            tell(format!(
                "stopped: {} counts up to its last checkpoint; --resume goes on",
                args.to
            ));
        }
        of_file(&args.to, error)
    })?;
    report(args, output, &written, (resumed_rows, begun))?;
    read?;
    Ok(if written.is_whole { Exit::Ok } else { Exit::Partial })
}

/// Hands all pages to the writer, until there are no more, a signal comes, or the writer is gone.
async fn read(mut pages: ScanStream<Page>, sender: mpsc::Sender<Message>) -> Result<(), Failure> {
    let mut signals = StopSignals::listen(false)?;
    loop {
        let page = tokio::select! {
            page = pages.try_next() => page?,
            _ = signals.next() => return Ok(()),
        };
        let message = page.map_or(Message::End, Message::Page);
        let is_end = matches!(message, Message::End);
        let sent = tokio::select! {
            sent = sender.send(message) => sent,
            _ = signals.next() => return Ok(()),
        };
        if sent.is_err() || is_end {
            return Ok(());
        }
    }
}

fn report(
    args: &ExportArgs,
    output: Format,
    written: &Written,
    (resumed_rows, begun): (u64, Instant),
) -> Result<(), Failure> {
    if output == Format::Json {
        let object = json!({
            "map": args.map,
            "file": args.to,
            "rows": written.rows,
            "bytes": written.bytes,
            "resumed_rows": resumed_rows,
            "seconds": begun.elapsed().as_secs_f64(),
            "complete": written.is_whole,
        });
        if args.to == STANDARD {
            // Standard output is the file.
            tell(object.to_string());
            return Ok(());
        }
        return print_json(&object);
    }
    let (rows, file) = (rows_text(written.rows), &args.to);
    if !written.is_whole {
        let next = if file == STANDARD { "" } else { "; --resume goes on" };
        tell(format!("interrupted: {rows} in {file}{next}"));
        return Ok(());
    }
    let before = match resumed_rows {
        0 => String::new(),
        some => format!("{} of them before, ", thousands(some)),
    };
    let (bytes, pace) = (size(written.bytes), pace(written.rows - resumed_rows, begun.elapsed()));
    tell(format!("exported {rows} to {file} ({bytes}), {before}{pace}"));
    Ok(())
}
