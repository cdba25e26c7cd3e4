//! Searches one of the models within bounds of your choice: for those larger than the tests afford.
//!
//! ```text
//! cargo run --release -p isogrid-model -- lease --mutant none --epochs 3 --seconds 200
//! ```

use std::io::{self, Write};
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};
use isogrid_model::bounds::Bounds;
use isogrid_model::checker::{self, Limits};
use isogrid_model::disk::DiskModel;
use isogrid_model::lease::LeaseModel;
use isogrid_model::once::OnceModel;
use isogrid_model::protocol::{Protocol, name_of};
use isogrid_model::write::WriteModel;

/// Searches a bounded model of one partition's protocol for a violation.
#[derive(Parser)]
#[command(name = "isogrid-model")]
struct Cli {
    #[command(subcommand)]
    model: ModelChoice,
}

#[derive(Subcommand)]
enum ModelChoice {
    /// The write path: promotions, additions, removals, restarts that lose memory.
    Write(Search<WriteModel>),
    /// Recovery from disk: restarts, power losses, lost disks.
    Disk(Search<DiskModel>),
    /// Reads and leases with drifting clocks.
    Lease(Search<LeaseModel>),
    /// Exactly once: retries across failovers, late duplicates for ever.
    Once(Search<OnceModel>),
}

/// Options of a search. A bound that is not given is what the mutant needs to be seen.
#[derive(Args)]
struct Search<P: Protocol> {
    /// The rule to break.
    #[arg(long, default_value = "none")]
    mutant: P::Mutant,
    /// Stop after this time, finished or not.
    #[arg(long, default_value_t = 60)]
    seconds: u64,
    /// Threads. With one, the search is the same every time.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..=64))]
    threads: u8,
    #[command(flatten)]
    bounds: BoundOptions,
}

/// The bounds. Each model says which it heeds.
#[derive(Args)]
struct BoundOptions {
    /// Writes that clients issue.
    #[arg(long)]
    writes: Option<u8>,
    /// The highest epoch that a promotion may open.
    #[arg(long)]
    epochs: Option<u8>,
    /// Proposals of removals, additions and handovers.
    #[arg(long)]
    changes: Option<u8>,
    /// Restarts.
    #[arg(long)]
    crashes: Option<u8>,
    /// Restarts that lose the disk.
    #[arg(long)]
    disk_losses: Option<u8>,
    /// Restarts that lose the unsynced tail of the log.
    #[arg(long)]
    power_losses: Option<u8>,
    /// Messages under way at once.
    #[arg(long)]
    messages: Option<u8>,
    /// The size of the first in-sync set.
    #[arg(long, value_parser = clap::value_parser!(u8).range(1..=3))]
    in_sync: Option<u8>,
    /// The length of a lease, in ticks.
    #[arg(long)]
    lease_ticks: Option<u8>,
    /// Reads by one round to the in-sync set, not by the lease.
    #[arg(long)]
    confirmed_reads: Option<bool>,
    /// A restart keeps the log.
    #[arg(long)]
    keeps_log: Option<bool>,
    /// The session may end.
    #[arg(long)]
    session_ends: Option<bool>,
    /// Messages that ask for a lease only.
    #[arg(long)]
    heartbeats: Option<bool>,
    /// Clocks run.
    #[arg(long)]
    clocks: Option<bool>,
}

impl BoundOptions {
    /// The bounds with what was asked for, or the option that this model does not heed.
    fn over(&self, bounds: Bounds, used: &[&str]) -> Result<Bounds, String> {
        let given = [
            ("writes", self.writes.is_some()),
            ("epochs", self.epochs.is_some()),
            ("changes", self.changes.is_some()),
            ("crashes", self.crashes.is_some()),
            ("disk-losses", self.disk_losses.is_some()),
            ("power-losses", self.power_losses.is_some()),
            ("messages", self.messages.is_some()),
            ("in-sync", self.in_sync.is_some()),
            ("lease-ticks", self.lease_ticks.is_some()),
            ("confirmed-reads", self.confirmed_reads.is_some()),
            ("keeps-log", self.keeps_log.is_some()),
            ("session-ends", self.session_ends.is_some()),
            ("heartbeats", self.heartbeats.is_some()),
            ("clocks", self.clocks.is_some()),
        ];
        if let Some((name, _)) = given.iter().find(|(name, given)| *given && !used.contains(name)) {
            let used = used.join(", --");
            return Err(format!("--{name} means nothing to this model: it has --{used}"));
        }
        Ok(Bounds {
            writes: self.writes.unwrap_or(bounds.writes),
            epochs: self.epochs.unwrap_or(bounds.epochs),
            changes: self.changes.unwrap_or(bounds.changes),
            crashes: self.crashes.unwrap_or(bounds.crashes),
            disk_losses: self.disk_losses.unwrap_or(bounds.disk_losses),
            power_losses: self.power_losses.unwrap_or(bounds.power_losses),
            messages: self.messages.unwrap_or(bounds.messages),
            in_sync: self.in_sync.unwrap_or(bounds.in_sync),
            lease_ticks: self.lease_ticks.unwrap_or(bounds.lease_ticks),
            confirmed_reads: self.confirmed_reads.unwrap_or(bounds.confirmed_reads),
            keeps_log: self.keeps_log.unwrap_or(bounds.keeps_log),
            session_ends: self.session_ends.unwrap_or(bounds.session_ends),
            heartbeats: self.heartbeats.unwrap_or(bounds.heartbeats),
            clocks: self.clocks.unwrap_or(bounds.clocks),
        })
    }
}

fn main() -> ExitCode {
    let searched = match Cli::parse().model {
        ModelChoice::Write(search) => run(&search),
        ModelChoice::Disk(search) => run(&search),
        ModelChoice::Lease(search) => run(&search),
        ModelChoice::Once(search) => run(&search),
    };
    match searched {
        Ok(code) => code,
        Err(problem) => {
            eprintln!("error: {problem}");
            ExitCode::from(2)
        }
    }
}

/// Zero if the model holds, one if it is broken: also when a mutant was asked for.
fn run<P: Protocol>(search: &Search<P>) -> Result<ExitCode, String> {
    let bounds = search.bounds.over(P::bounds_for(search.mutant), P::USES)?;
    say(&format!("mutant {}, {}\n", name_of(search.mutant), bounds.describe(P::USES)));
    let limits =
        Limits { time: Duration::from_secs(search.seconds), threads: usize::from(search.threads) };
    let report = checker::check(&P::new(search.mutant, bounds), limits);
    say(&report.to_string());
    Ok(if report.violation.is_some() { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// Prints. Whoever reads may have stopped reading: then there is nobody to tell.
fn say(text: &str) {
    let mut out = io::stdout().lock();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}
