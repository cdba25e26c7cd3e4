//! Memory per entry: how much the resident memory of a fresh server grows while it is filled.

use std::path::Path;
use std::time::Duration;

use anyhow::Result;
use serde::Serialize;

use super::isogrid::Isogrid;
use super::processes::Server;
use super::progress;
use super::redis::Redis;
use super::report::Setting;

/// How many times more entries the second filling has.
pub(super) const LARGE_FACTOR: u32 = 5;

/// How long a server is left alone before its memory is read: it gives back the buffers of closed connections.
const SETTLE: Duration = Duration::from_secs(1);

/// The memory of both with so many entries.
#[derive(Clone, Copy, Debug, Serialize)]
pub(super) struct PerEntry {
    /// How many entries.
    pub(super) entries: u32,
    /// Bytes for each in redis.
    pub(super) redis_bytes: f64,
    /// Bytes for each in Isogrid.
    pub(super) isogrid_bytes: f64,
}

/// Fills both with as many entries as there are keys, and then with five times as many.
pub(super) fn measure(binary: &Path, setting: &Setting) -> Result<Vec<PerEntry>> {
    [setting.keys, setting.keys.saturating_mul(LARGE_FACTOR)]
        .into_iter()
        .map(|entries| {
            // Never both at once: the machine may not have room for that.
            let redis_bytes = {
                let redis = Redis::start()?;
                growth_per_entry(&redis.server, entries, || redis.fill(entries))?
            };
            let isogrid_bytes = {
                let isogrid = Isogrid::start(binary)?;
                growth_per_entry(&isogrid.server, entries, || isogrid.fill(entries))?
            };
            progress(&format!(
                "{entries} entries: redis {redis_bytes:.0} B each, isogrid {isogrid_bytes:.0} B each"
            ));
            Ok(PerEntry { entries, redis_bytes, isogrid_bytes })
        })
        .collect()
}

fn growth_per_entry(
    server: &Server,
    entries: u32,
    fill: impl FnOnce() -> Result<()>,
) -> Result<f64> {
    std::thread::sleep(SETTLE);
    let before = server.resident_bytes()?;
    fill()?;
    std::thread::sleep(SETTLE);
    let after = server.resident_bytes()?;
    Ok(after.saturating_sub(before) as f64 / f64::from(entries))
}
