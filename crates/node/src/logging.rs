//! The log of the process: lines on standard error, for people or for machines.

use std::io::IsTerminal;

use isogrid_core::{Error, ErrorCode, Result};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt;
use tracing_subscriber::util::SubscriberInitExt;

use crate::config::{LogConfig, LogFormat};

/// Starts the log. Only the first call of a process has an effect: tests start several nodes in one.
pub fn init(config: &LogConfig) -> Result<()> {
    let filter = EnvFilter::try_new(directives(&config.level)).map_err(|error| {
        let detail = format!("`log.level` = {:?}: {error}", config.level);
        Error::new(ErrorCode::ConfigValueInvalid, detail)
    })?;
    let lines = fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let started = match config.format {
        LogFormat::Text => lines.with_ansi(colours()).finish().try_init(),
        LogFormat::Json => lines.json().flatten_event(true).finish().try_init(),
    };
    // A second call fails here, which is the promise above.
    let _ = started;
    Ok(())
}

/// What is logged. The council's consensus warns of every message that a node which is down did not answer, many each
/// second; what matters of it the node says itself. Whoever wants to hear it names it: `info,openraft=warn`.
fn directives(level: &str) -> String {
    if level.contains("openraft") { level.to_owned() } else { format!("{level},openraft=error") }
}

/// Colours are for terminals, and for nobody who asks for none (no-color.org).
fn colours() -> bool {
    let unwanted = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    !unwanted && std::io::stderr().is_terminal()
}
