//! What an operation costs this side: many single-op callers on one `current_thread` runtime, and batches of keys, against
//! a node in the same process. Prints operations per second and the CPU time of the client's thread per operation.
//!
//! `cargo run --release -p isogrid-client --example callers --features testing -- [CALLERS] [SECONDS] [BATCH]`

#![allow(clippy::print_stdout, reason = "a measuring tool prints")]

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use isogrid_client::testing::Cluster;
use isogrid_client::{Grid, Map, Raw, Result};

const KEYS: u64 = 1_000_000;
const VALUE_BYTES: usize = 100;

type Blobs = Map<Vec<u8>, Bytes, Raw>;

#[derive(Clone, Copy)]
enum Load {
    Get,
    Put,
    GetMany(usize),
    PutMany(usize),
}

/// Keys of 16 bytes; cheap to make, since the measured thread must not spend its time on them.
fn key(number: u64) -> [u8; 16] {
    let mut key = *b"key:000000000000";
    let mut rest = number;
    for digit in key[4..].iter_mut().rev() {
        *digit = b'0' + (rest % 10) as u8;
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    key
}

struct Random(u64);

impl Random {
    fn key(&mut self) -> [u8; 16] {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        key(self.0 % KEYS)
    }
}

/// CPU time of this thread, from the scheduler.
fn thread_cpu() -> Duration {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let nanos = text.split(' ').next().and_then(|first| first.parse().ok()).unwrap_or(0);
    Duration::from_nanos(nanos)
}

async fn caller(map: Blobs, seed: u64, load: Load, until: Instant) -> Result<u64> {
    let value = Bytes::from(vec![b'v'; VALUE_BYTES]);
    let mut random = Random(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1);
    let (mut rounds, mut operations) = (0u32, 0);
    loop {
        rounds += 1;
        if rounds.is_multiple_of(64) && Instant::now() >= until {
            return Ok(operations);
        }
        operations += match load {
            Load::Get => {
                map.get(&random.key()).await?;
                1
            }
            Load::Put => {
                map.put(&random.key(), &value).await?;
                1
            }
            Load::GetMany(count) => {
                map.get_many((0..count).map(|_| random.key())).await?.len() as u64
            }
            Load::PutMany(count) => {
                let entries = (0..count).map(|_| (random.key(), &value));
                map.put_many(entries).await?.ok as u64
            }
        };
    }
}

async fn measure(grid: &Grid, name: &str, callers: u64, seconds: u64, load: Load) {
    let done = Arc::new(AtomicU64::new(0));
    let (begun, cpu) = (Instant::now(), thread_cpu());
    let until = begun + Duration::from_secs(seconds);
    let tasks = (1..=callers).map(|seed| {
        let (map, done) = (grid.map_with("bench", Raw), Arc::clone(&done));
        tokio::spawn(async move {
            match caller(map, seed, load, until).await {
                Ok(operations) => drop(done.fetch_add(operations, Ordering::Relaxed)),
                Err(error) => println!("{error:?}"),
            }
        })
    });
    futures::future::join_all(tasks.collect::<Vec<_>>()).await;
    let (elapsed, cpu) = (begun.elapsed(), thread_cpu().saturating_sub(cpu));
    let operations = done.load(Ordering::Relaxed).max(1) as f64;
    println!(
        "{name:<24} {:>9.0} ops/s  {:>6.0} ns of client CPU per op",
        operations / elapsed.as_secs_f64(),
        cpu.as_nanos() as f64 / operations
    );
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let number = |at: usize, default: u64| {
        std::env::args().nth(at).and_then(|text| text.parse().ok()).unwrap_or(default)
    };
    let (callers, seconds, batch) = (number(1, 1_024), number(2, 3), number(3, 64) as usize);
    let cluster = Cluster::start(1).await?;
    let grid = cluster.grid().await?;
    let map: Blobs = grid.map_with("bench", Raw);
    let value = Bytes::from(vec![b'v'; VALUE_BYTES]);
    for start in (0..KEYS).step_by(10_000) {
        let entries = (start..start + 10_000).map(|n| (key(n), &value));
        map.put_many(entries).await?.all()?;
    }
    measure(&grid, &format!("get, {callers} callers"), callers, seconds, Load::Get).await;
    measure(&grid, &format!("put, {callers} callers"), callers, seconds, Load::Put).await;
    let many = format!("{batch} keys, 16 callers");
    measure(&grid, &format!("get {many}"), 16, seconds, Load::GetMany(batch)).await;
    measure(&grid, &format!("put {many}"), 16, seconds, Load::PutMany(batch)).await;
    measure(&grid, "get, 1 caller", 1, seconds, Load::Get).await;
    grid.close().await
}
