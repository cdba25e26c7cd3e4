//! From the start of a process to the first connection it accepts, and the memory it occupies when nobody uses it.

use std::path::Path;
use std::time::Duration;

use anyhow::Result;
use serde::Serialize;

use super::isogrid::Isogrid;
use super::load::median;
use super::processes::Server;
use super::progress;
use super::redis::Redis;

/// How often each is started.
const STARTS: usize = 10;

/// A server may listen before it has finished starting; its memory is read a little later.
const SETTLE: Duration = Duration::from_millis(200);

/// One start.
#[derive(Clone, Copy, Debug, Serialize)]
pub(super) struct Start {
    /// From the start of the process to the first connection.
    pub(super) connectable_ms: f64,
    /// Resident memory right after.
    pub(super) resident_bytes: u64,
}

/// The starts of both, in turns.
#[derive(Clone, Debug, Default, Serialize)]
pub(super) struct Starts {
    /// Of redis.
    pub(super) redis: Vec<Start>,
    /// Of Isogrid.
    pub(super) isogrid: Vec<Start>,
}

impl Starts {
    /// The median of a figure over the starts of one peer.
    pub(super) fn median(starts: &[Start], figure: fn(&Start) -> f64) -> Option<f64> {
        median(starts.iter().map(figure))
    }
}

/// Starts both, in turns.
pub(super) fn measure(binary: &Path) -> Result<Starts> {
    let mut starts = Starts::default();
    for _ in 0..STARTS {
        starts.redis.push(look_at(&Redis::start()?.server)?);
        starts.isogrid.push(look_at(&Isogrid::start(binary)?.server)?);
    }
    let text = |starts: &[Start]| {
        let ms = Starts::median(starts, |start| start.connectable_ms).unwrap_or_default();
        format!("{ms:.1} ms")
    };
    let (redis, isogrid) = (text(&starts.redis), text(&starts.isogrid));
    progress(&format!("{STARTS} starts of each: redis {redis}, isogrid {isogrid}"));
    Ok(starts)
}

fn look_at(server: &Server) -> Result<Start> {
    std::thread::sleep(SETTLE);
    Ok(Start {
        connectable_ms: server.start_time.as_secs_f64() * 1e3,
        resident_bytes: server.resident_bytes()?,
    })
}
