//! `isogrid bench sql`: how long a statement takes, asked again and again by several callers at once.

use std::time::{Duration, Instant};

use clap::Args;
use futures::future::join_all;
use hdrhistogram::Histogram;
use isogrid_client::{Grid, SqlValue};
use serde_json::json;

use crate::cli::Global;
use crate::commands::sql::value;
use crate::connect::with_grid;
use crate::exit::{CommandResult, Exit};
use crate::output::{Format, print, print_json};

use super::cpu;

/// Which statement, and for how long.
#[derive(Debug, Args)]
pub(crate) struct BenchSqlArgs {
    /// The statement
    statement: String,

    /// The value of $1, then of $2, and so on, as for `isogrid sql`
    #[arg(long, value_name = "VALUE", allow_hyphen_values = true)]
    bind: Vec<String>,

    /// How many ask at once
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=1_024))]
    callers: u16,

    /// How long it is measured
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=3_600))]
    seconds: u64,
}

/// What takes longer counts as this: an hour.
const LONGEST_US: u64 = 3_600_000_000;

/// What one caller has seen.
struct Seen {
    micros: Histogram<u64>,
    statements: u64,
    rows: u64,
    errors: u64,
    /// The first thing that went wrong.
    error: Option<isogrid_client::Error>,
}

pub(super) fn run(args: &BenchSqlArgs, global: &Global) -> CommandResult {
    let format = global.output;
    let values: Vec<SqlValue> = args.bind.iter().map(|text| value(text)).collect();
    with_grid(global, async |grid: Grid| {
        // The first has to connect.
        ask(&grid, &args.statement, &values).await?;
        let cpu_before = cpu::used();
        let begun = Instant::now();
        let until = begun + Duration::from_secs(args.seconds);
        let callers = (0..args.callers).map(|_| caller(&grid, (&args.statement, &values), until));
        let seen = join_all(callers).await.into_iter().reduce(Seen::with).unwrap_or_else(Seen::new);
        let (seconds, cpu) = (begun.elapsed().as_secs_f64(), cpu::used() - cpu_before);
        let cpu_us = (cpu.as_micros() as f64 / seen.statements.max(1) as f64).round();
        let at = |percentile: f64| seen.micros.value_at_quantile(percentile / 100.0);
        let per_second = (seen.statements as f64 / seconds).round();
        match format {
            Format::Json => print_json(&json!({
                "statements_per_second": per_second,
                "statements": seen.statements,
                "rows": seen.rows,
                "errors": seen.errors,
                "latency_us": {"p50": at(50.0), "p99": at(99.0), "max": seen.micros.max()},
                "client_cpu_us_per_statement": cpu_us,
                "callers": args.callers,
                "seconds": seconds,
            }))?,
            Format::Table => print(&format!(
                "statements/s   {per_second}\nlatency        p50 {} us  p99 {} us  max {} us\nclient CPU     {cpu_us} us per statement\nstatements     {}\nrows           {}\nerrors         {}",
                at(50.0),
                at(99.0),
                seen.micros.max(),
                seen.statements,
                seen.rows,
                seen.errors,
            ))?,
        }
        match (seen.statements, seen.error) {
            (0, Some(error)) => Err(error.into()),
            (_, Some(_)) => Ok(Exit::Partial),
            (_, None) => Ok(Exit::Ok),
        }
    })
}

impl Seen {
    fn new() -> Self {
        let micros = Histogram::new_with_bounds(1, LONGEST_US, 3).expect("these are possible");
        Seen { micros, statements: 0, rows: 0, errors: 0, error: None }
    }

    fn with(mut self, other: Seen) -> Self {
        self.micros.add(&other.micros).expect("both grow as they must");
        self.statements += other.statements;
        self.rows += other.rows;
        self.errors += other.errors;
        self.error = self.error.or(other.error);
        self
    }
}

async fn caller(grid: &Grid, (statement, values): (&str, &[SqlValue]), until: Instant) -> Seen {
    let mut seen = Seen::new();
    while Instant::now() < until {
        let begun = Instant::now();
        match ask(grid, statement, values).await {
            Ok(rows) => {
                seen.rows += rows;
                seen.statements += 1;
                seen.micros.saturating_record(begun.elapsed().as_micros() as u64);
            }
            Err(error) => {
                seen.errors += 1;
                seen.error.get_or_insert(error);
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        }
    }
    seen
}

/// Takes all rows of an answer; says how many.
async fn ask(grid: &Grid, statement: &str, values: &[SqlValue]) -> isogrid_client::Result<u64> {
    let sql = values.iter().fold(grid.sql(statement), |sql, value| sql.bind(value.clone()));
    let mut answer = sql.run().await?;
    let mut rows = 0;
    while let Some(batch) = answer.next().await? {
        rows += batch.num_rows() as u64;
    }
    Ok(rows)
}
