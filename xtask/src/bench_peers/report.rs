//! All raw figures of a run.

use anyhow::{Context, Result};
use serde::Serialize;

use super::load::{Load, Measured, Sample};
use super::memory::PerEntry;
use super::recovery::Recovered;
use super::start::Starts;
use super::{disk, three_nodes};

/// How much is measured.
#[derive(Clone, Copy, Debug, Serialize)]
pub(super) struct Setting {
    /// How often each load is run.
    pub(super) rounds: u32,
    /// How long each load lasts.
    pub(super) seconds: u32,
    /// How many keys there are.
    pub(super) keys: u32,
    /// Whether this is only a smoke test.
    pub(super) quick: bool,
}

/// All raw figures. What was not asked for is empty.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Report {
    /// How many cores clients and servers share.
    pub(super) cores: usize,
    /// The version of redis.
    pub(super) redis_version: String,
    /// The version of Isogrid.
    pub(super) isogrid_version: &'static str,
    /// How much was measured.
    pub(super) setting: Setting,
    /// Throughput and latency.
    pub(super) loads: Vec<Measured>,
    /// Memory per entry.
    pub(super) memory: Vec<PerEntry>,
    /// Starts.
    pub(super) starts: Starts,
    /// Three nodes.
    pub(super) three_nodes: Vec<three_nodes::Measured>,
    /// Puts that are kept on disk.
    pub(super) disk: Vec<disk::Measured>,
    /// What comes back after a kill.
    pub(super) recoveries: Vec<Recovered>,
}

impl Report {
    /// A report without figures.
    pub(super) fn new(setting: Setting, redis_version: String) -> Result<Self> {
        let cores = std::thread::available_parallelism().context("the cores are not known")?.get();
        Ok(Report {
            cores,
            redis_version,
            // All packages of the workspace have the same.
            isogrid_version: env!("CARGO_PKG_VERSION"),
            setting,
            loads: Vec::new(),
            memory: Vec::new(),
            starts: Starts::default(),
            three_nodes: Vec::new(),
            disk: Vec::new(),
            recoveries: Vec::new(),
        })
    }

    /// The median of a load's figure, if that load was run.
    pub(super) fn median(&self, load: Load, figure: fn(&Sample) -> f64) -> Option<f64> {
        self.loads.iter().find(|measured| measured.load == load)?.median(figure)
    }
}
