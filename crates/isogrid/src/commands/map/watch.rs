//! `isogrid map watch MAP`: what changes in a map, as it changes, until it is told to end.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use bytes::Bytes;
use clap::Args;
use futures::{FutureExt, StreamExt};
use isogrid_client::{Event, Grid, RemovalCause, WatchStream, WatchToken};
use isogrid_core::{Error, ErrorCode};
use serde_json::{Map, Value};

use crate::commands::stop::StopSignals;
use crate::exit::{CommandResult, Exit, Failure};
use crate::output::{Format, stdout, write_json};
use crate::text::{escaped, put_bytes};

use super::byte_map;

/// How often the token is written while events come.
const TOKEN_INTERVAL: Duration = Duration::from_secs(1);

/// What is watched.
#[derive(Debug, Args)]
pub(crate) struct WatchArgs {
    /// The map
    map: String,

    /// Only keys that start with this
    #[arg(long, value_name = "PREFIX", default_value = "", hide_default_value = true)]
    prefix: String,

    /// Begin with all that is there
    #[arg(long)]
    snapshot: bool,

    /// Keep in this file where the watch stands, and go on from there the next time
    #[arg(long, value_name = "FILE")]
    resume: Option<PathBuf>,

    /// End after so many events
    #[arg(long, value_name = "N")]
    limit: Option<u64>,
}

type Events = WatchStream<Bytes, Bytes>;

pub(super) async fn run(grid: &Grid, args: &WatchArgs, format: Format) -> CommandResult {
    let map = byte_map(grid, &args.map);
    let mut watch = map.watch().prefix(args.prefix.as_bytes());
    if args.snapshot {
        watch = watch.with_snapshot();
    }
    if let Some(token) = args.resume.as_deref().map(read_token).transpose()?.flatten() {
        watch = watch.resume(token);
    }
    let mut events = watch.stream();
    let outcome = follow(&mut events, args, format).await;
    // What was shown is not shown again, however it ended.
    if let Some(file) = &args.resume {
        write_token(file, &events.token())?;
    }
    outcome
}

async fn follow(events: &mut Events, args: &WatchArgs, format: Format) -> CommandResult {
    let mut signals = StopSignals::listen(false)?;
    let mut out = stdout();
    let mut left = args.limit.unwrap_or(u64::MAX);
    let mut saved = Instant::now();
    while left > 0 {
        let mut next = tokio::select! {
            next = events.next() => next,
            _ = signals.next() => return Ok(Exit::Ok),
        };
        // All that has come by now, then one write.
        while let Some(event) = next {
            let event = event?;
            if is_shown(&event, format) {
                write_event(&mut out, &event, format)?;
                left -= 1;
            }
            let ready = if left > 0 { events.next().now_or_never() } else { None };
            let Some(ready) = ready else { break };
            if ready.is_none() {
                left = 0;
            }
            next = ready;
        }
        out.flush()?;
        if let Some(file) = args.resume.as_deref().filter(|_| saved.elapsed() >= TOKEN_INTERVAL) {
            write_token(file, &events.token())?;
            saved = Instant::now();
        }
    }
    Ok(Exit::Ok)
}

/// The token of a file; none if there is no such file yet.
fn read_token(file: &Path) -> Result<Option<WatchToken>, Failure> {
    match std::fs::read(file) {
        Ok(bytes) => Ok(Some(WatchToken::from_bytes(&bytes)?)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(unusable(file, &error)),
    }
}

/// Beside it first, so that there is always a whole one.
fn write_token(file: &Path, token: &WatchToken) -> Result<(), Failure> {
    let mut beside = file.as_os_str().to_owned();
    beside.push(".new");
    std::fs::write(&beside, token.to_bytes())
        .and_then(|()| std::fs::rename(&beside, file))
        .map_err(|error| unusable(file, &error))
}

fn unusable(file: &Path, error: &std::io::Error) -> Failure {
    let detail = format!("--resume {}: {error}", file.display());
    Error::new(ErrorCode::ArgumentInvalid, detail).into()
}

/// A line for each partition when its snapshot is whole is for programs: people would look for their keys between hundreds.
fn is_shown(event: &Event<Bytes, Bytes>, format: Format) -> bool {
    format == Format::Json || !matches!(event, Event::SnapshotDone { .. })
}

/// One event in one line.
fn write_event(
    out: &mut impl Write,
    event: &Event<Bytes, Bytes>,
    format: Format,
) -> Result<(), Failure> {
    if format == Format::Json {
        return write_json(out, &object(event));
    }
    match event {
        Event::Put(key, entry) => {
            writeln!(out, "put\t{}\t{}", escaped(key), escaped(&entry.value))?;
        }
        Event::Removed { key, cause, .. } => writeln!(out, "{}\t{}", word(*cause), escaped(key))?,
        Event::Lagged { partition, missed } => {
            writeln!(out, "lagged\tpartition {partition}\t{missed} events were left out")?;
        }
        other => {
            if let Some((name, partition)) = of_partition(other) {
                writeln!(out, "{name}\tpartition {partition}")?;
            }
        }
    }
    Ok(())
}

fn word(cause: RemovalCause) -> &'static str {
    match cause {
        RemovalCause::Expired => "expired",
        RemovalCause::Evicted => "evicted",
        _ => "deleted",
    }
}

/// The events that are about a whole partition.
fn of_partition(event: &Event<Bytes, Bytes>) -> Option<(&'static str, u16)> {
    match event {
        Event::Cleared { partition } => Some(("cleared", *partition)),
        Event::SnapshotDone { partition } => Some(("snapshot_done", *partition)),
        Event::Lagged { partition, .. } => Some(("lagged", *partition)),
        Event::Compacted { partition } => Some(("compacted", *partition)),
        _ => None,
    }
}

fn object(event: &Event<Bytes, Bytes>) -> Value {
    let mut object = Map::new();
    let mut set = |name: &str, value: Value| object.insert(name.to_owned(), value);
    match event {
        Event::Put(key, entry) => {
            set("event", "put".into());
            set("version", entry.version.0.into());
            set("expires_at_ms", entry.expires_at.map(|at| at.0).into());
            put_bytes(&mut object, "key", key);
            put_bytes(&mut object, "value", &entry.value);
        }
        Event::Removed { key, cause, version } => {
            set("event", word(*cause).into());
            set("version", version.0.into());
            put_bytes(&mut object, "key", key);
        }
        other => {
            if let Some((name, partition)) = of_partition(other) {
                set("event", name.into());
                set("partition", partition.into());
            }
            if let Event::Lagged { missed, .. } = other {
                set("missed", (*missed).into());
            }
        }
    }
    Value::Object(object)
}

#[cfg(test)]
mod tests {
    use super::*;
    use isogrid_core::Version;

    #[test]
    fn people_see_no_line_for_each_partition() {
        let whole = Event::SnapshotDone { partition: 7 };
        assert!(!is_shown(&whole, Format::Table) && is_shown(&whole, Format::Json));
        assert!(is_shown(&Event::Cleared { partition: 7 }, Format::Table));
    }

    #[test]
    fn every_event_is_one_line() {
        let key = || Bytes::from_static(b"a\nb");
        for (event, line) in [
            (
                Event::Removed { key: key(), cause: RemovalCause::Expired, version: Version(3) },
                "expired\ta\\nb\n",
            ),
            (Event::Cleared { partition: 7 }, "cleared\tpartition 7\n"),
            (
                Event::Lagged { partition: 7, missed: 2 },
                "lagged\tpartition 7\t2 events were left out\n",
            ),
        ] {
            let mut text = Vec::new();
            write_event(&mut text, &event, Format::Table).expect("written");
            assert_eq!(String::from_utf8_lossy(&text), line);
            let mut text = Vec::new();
            write_event(&mut text, &event, Format::Json).expect("written");
            assert!(text.starts_with(b"{") && text.ends_with(b"}\n"));
        }
    }

    #[test]
    fn a_token_is_kept_in_a_file() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("token");
        assert!(read_token(&file).expect("readable").is_none());
        write_token(&file, &WatchToken::default()).expect("written");
        assert_eq!(read_token(&file).expect("readable"), Some(WatchToken::default()));
        std::fs::write(&file, b"nonsense").expect("written");
        assert!(read_token(&file).is_err());
    }
}
