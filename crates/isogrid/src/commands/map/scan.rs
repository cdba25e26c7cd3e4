//! `isogrid map scan MAP`: the entries of a map, as they come. Every key that is present throughout is listed once.

use std::io::{IsTerminal, Write};

use clap::Args;
use futures::TryStreamExt;
use isogrid_client::Grid;
use serde_json::{Map, Value};

use crate::exit::{CommandResult, Exit, Failure};
use crate::output::{Format, stdout, write_json};
use crate::progress;
use crate::text::{escaped, put_bytes};

use super::byte_map;

/// Which entries.
#[derive(Debug, Args)]
pub(crate) struct ScanArgs {
    /// The map
    map: String,

    /// Only keys that begin with this
    #[arg(long, value_name = "TEXT")]
    prefix: Option<String>,

    /// Only keys that match this pattern, in which * stands for any text, ? for any byte, and [a-z] for one of some
    #[arg(long, value_name = "PATTERN")]
    glob: Option<String>,

    /// At most so many entries
    #[arg(long, value_name = "N")]
    limit: Option<usize>,

    /// Only the keys
    #[arg(long)]
    keys_only: bool,
}

pub(super) async fn run(grid: &Grid, args: &ScanArgs, format: Format) -> CommandResult {
    let map = byte_map(grid, &args.map);
    let mut scan = map.scan();
    if let Some(prefix) = &args.prefix {
        scan = scan.prefix(prefix.as_bytes());
    }
    if let Some(glob) = &args.glob {
        scan = scan.glob(glob.as_bytes());
    }
    if let Some(limit) = args.limit {
        scan = scan.limit(limit);
    }
    let mut out = stdout();
    // On a terminal the entries themselves show that it goes on.
    let bar = match std::io::stdout().is_terminal() {
        true => indicatif::ProgressBar::hidden(),
        false => progress::bar("scanned", None),
    };
    if args.keys_only {
        let mut keys = scan.keys_only().stream();
        while let Some(key) = keys.try_next().await? {
            write_entry(&mut out, &key, None, format)?;
            bar.inc(1);
        }
    } else {
        let mut entries = scan.stream();
        while let Some((key, value)) = entries.try_next().await? {
            write_entry(&mut out, &key, Some(&value), format)?;
            bar.inc(1);
        }
    }
    out.flush()?;
    bar.finish_and_clear();
    Ok(Exit::Ok)
}

/// One line: `key<TAB>value` with what is not readable escaped, or a JSON object.
fn write_entry(
    out: &mut impl Write,
    key: &[u8],
    value: Option<&[u8]>,
    format: Format,
) -> Result<(), Failure> {
    if format == Format::Json {
        let mut object: Map<String, Value> = Map::new();
        put_bytes(&mut object, "key", key);
        if let Some(value) = value {
            put_bytes(&mut object, "value", value);
        }
        return write_json(out, &object);
    }
    match value {
        Some(value) => writeln!(out, "{}\t{}", escaped(key), escaped(value))?,
        None => writeln!(out, "{}", escaped(key))?,
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(key: &[u8], value: Option<&[u8]>, format: Format) -> String {
        let mut out = Vec::new();
        write_entry(&mut out, key, value, format).expect("memory can be written");
        String::from_utf8(out).expect("always text")
    }

    #[test]
    fn an_entry_is_one_line_whatever_it_holds() {
        assert_eq!(line(b"a", Some(b"1\n2\t\xff"), Format::Table), "a\t1\\n2\\t\\xff\n");
        assert_eq!(line(b"a", None, Format::Table), "a\n");
        assert_eq!(line(b"a", Some(b"\n"), Format::Json), "{\"key\":\"a\",\"value\":\"\\n\"}\n");
        assert_eq!(line(b"\xff", None, Format::Json), "{\"key_hex\":\"ff\"}\n");
    }
}
