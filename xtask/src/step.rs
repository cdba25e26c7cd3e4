//! One step of a chore: it runs, prints one line with its verdict and its time, and shows its output only if it failed.

use std::ffi::OsString;
use std::io::Write;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use anyhow::{Context, Result};

/// How a step went.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Nothing to complain about.
    Good,
    /// It cannot be done here, and why. This is not a failure.
    Skipped(String),
    /// What is wrong, in as many lines as it takes.
    Bad(String),
}

/// Runs a step. Returns whether the chore may call itself good.
pub(crate) fn run(name: &str, work: impl FnOnce() -> Result<Verdict>) -> Result<bool> {
    print!("{name:<12} ");
    std::io::stdout().flush()?;
    let began = Instant::now();
    let verdict = work().with_context(|| format!("step {name}"))?;
    let seconds = began.elapsed().as_secs_f64();
    match &verdict {
        Verdict::Good => println!("ok      {seconds:6.1} s"),
        Verdict::Skipped(why) => println!("skipped {seconds:6.1} s  {why}"),
        Verdict::Bad(what) => println!("failed  {seconds:6.1} s\n{}", what.trim_end()),
    }
    Ok(!matches!(verdict, Verdict::Bad(_)))
}

/// A cargo command in the workspace: the cargo that runs this program.
pub(crate) fn cargo(root: &Path, arguments: &[&str]) -> Command {
    let program = std::env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo"));
    let mut command = Command::new(program);
    command.current_dir(root).args(arguments);
    command
}

/// Runs a command; its output counts only if it fails.
pub(crate) fn verdict_of(command: &mut Command) -> Result<Verdict> {
    let output = command.output().with_context(|| format!("cannot run {command:?}"))?;
    if output.status.success() {
        return Ok(Verdict::Good);
    }
    let said = [output.stdout, output.stderr].concat();
    Ok(Verdict::Bad(String::from_utf8_lossy(&said).into_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failing_command_shows_what_it_said() {
        let mut shell = Command::new("sh");
        shell.args(["-c", "echo out; echo err >&2; exit 3"]);
        let verdict = verdict_of(&mut shell).expect("sh runs");
        assert_eq!(verdict, Verdict::Bad("out\nerr\n".into()));
        assert!(!run("sample", || Ok(verdict)).expect("a verdict is no error"));
    }

    #[test]
    fn a_skipped_step_is_no_failure() {
        assert!(run("sample", || Ok(Verdict::Skipped("not here".into()))).expect("no error"));
        assert!(run("sample", || verdict_of(&mut Command::new("true"))).expect("no error"));
    }
}
