//! `isogrid trace KEY`: where a key lives, who agrees about it, and how long each hop takes.

use std::time::{Duration, Instant};

use clap::Args;
use isogrid_client::{KeyPlace, LagStatus, Operator};
use serde_json::{Map, Value, json};

use crate::cli::Global;
use crate::commands::cluster::partition_object;
use crate::connect::{grid, in_runtime, operator};
use crate::exit::{CommandResult, Exit, Failure, text_of};
use crate::output::{Format, print, print_json, table, table_text, tell};
use crate::text::{escaped, put_bytes};

/// How often each hop is timed: the shortest is what the way costs, the others what was in it.
const ROUNDS: usize = 5;

/// Which key.
#[derive(Debug, Args)]
pub(crate) struct TraceArgs {
    /// The key
    #[arg(allow_hyphen_values = true)]
    key: String,

    /// The map: then the key is also read through the client, and that is timed
    #[arg(long, value_name = "MAP")]
    map: Option<String>,
}

pub(crate) fn run(args: &TraceArgs, global: &Global) -> CommandResult {
    in_runtime(async || {
        let trace = trace(args, &global.endpoint).await?;
        match global.output {
            Format::Json => print_json(&trace.object(args))?,
            Format::Table => print(&trace.text(args))?,
        }
        Ok(trace.exit())
    })
}

/// What was found.
struct Trace {
    place: KeyPlace,
    hops: Vec<Hop>,
    /// How far each backup is behind the owner.
    lags: Vec<LagStatus>,
    /// How long reading the key took, if a map was named that exists.
    read: Option<Duration>,
}

/// The way to one node.
struct Hop {
    role: &'static str,
    node: String,
    address: String,
    /// How long connecting and one call took, and whether the node sees the same owner; `None` if it did not answer.
    answer: Option<Answer>,
}

struct Answer {
    connect: Duration,
    round_trip: Duration,
    agrees: bool,
}

async fn trace(args: &TraceArgs, endpoint: &str) -> Result<Trace, Failure> {
    let key = args.key.as_bytes();
    let map = args.map.as_deref();
    let asked = operator(endpoint).await?;
    let place = asked.trace(map, key).await?;
    let status = asked.status(true).await?;
    let mut hops = Vec::new();
    hops.push(hop("asked", &place.answered_by, asked.address(), &place, key).await);
    for (role, node) in holders(&place) {
        let address = place.holders.iter().find(|holder| holder.node_id == node);
        let address = address.map_or("", |holder| holder.grpc_addr.as_str());
        hops.push(hop(role, node, address, &place, key).await);
    }
    let read = match map {
        Some(name) if place.map_exists => Some(read(endpoint, name, key).await?),
        Some(name) => {
            tell(format!("no map {name:?}; the key would live here"));
            None
        }
        None => None,
    };
    let owner = &place.partition.primary;
    let is_ours = |lag: &LagStatus| lag.from == *owner && place.partition.in_sync.contains(&lag.to);
    let lags = status.lags.iter().filter(|lag| is_ours(lag)).cloned().collect();
    Ok(Trace { place, hops, lags, read })
}

/// The nodes that hold the key, and as what.
fn holders(place: &KeyPlace) -> Vec<(&'static str, &str)> {
    let partition = &place.partition;
    let owner = Some(partition.primary.as_str()).filter(|node| !node.is_empty());
    let owner = owner.into_iter().map(|node| ("owner", node));
    let backups = partition.backups().map(|node| ("backup", node));
    let learners = partition.learners.iter().map(|node| ("learner", node.as_str()));
    owner.chain(backups).chain(learners).collect()
}

/// Times the way to one node: a connection of its own, then the same question a few times.
async fn hop(role: &'static str, node: &str, address: &str, place: &KeyPlace, key: &[u8]) -> Hop {
    let answer = async {
        let begun = Instant::now();
        let there = Operator::connect(address).await?;
        let connect = begun.elapsed();
        let mut round_trip = Duration::MAX;
        let mut agrees = true;
        for _ in 0..ROUNDS {
            let begun = Instant::now();
            let seen = there.trace(None, key).await?;
            round_trip = round_trip.min(begun.elapsed());
            agrees = seen.partition.primary == place.partition.primary
                && seen.partition.epoch == place.partition.epoch;
        }
        Ok::<_, isogrid_client::Error>(Answer { connect, round_trip, agrees })
    };
    let answer = match answer.await {
        Ok(answer) => Some(answer),
        Err(error) => {
            if let Failure::Error(error) = Failure::from(error) {
                tell(format!("{role} {node}: {}", text_of(&error)));
            }
            None
        }
    };
    Hop { role, node: node.to_owned(), address: address.to_owned(), answer }
}

/// How long a read of the key takes through the client, which goes straight to the owner.
async fn read(endpoint: &str, map: &str, key: &[u8]) -> Result<Duration, Failure> {
    let grid = grid(endpoint).await?;
    let map = grid.raw_map(map);
    let mut best = Duration::MAX;
    for _ in 0..ROUNDS {
        let begun = Instant::now();
        map.contains(key).await?;
        best = best.min(begun.elapsed());
    }
    Ok(best)
}

impl Trace {
    /// Whether the key can be read and written, and everybody agrees where.
    fn exit(&self) -> Exit {
        let is_told = |hop: &Hop| hop.answer.as_ref().is_some_and(|answer| answer.agrees);
        match self.place.partition.primary.as_str() {
            "" => Exit::NotReady,
            _ if self.hops.iter().all(is_told) => Exit::Ok,
            _ => Exit::Partial,
        }
    }

    fn text(&self, args: &TraceArgs) -> String {
        let partition = &self.place.partition;
        let or_nobody = |names: String| if names.is_empty() { "nobody".to_owned() } else { names };
        let backups = partition.backups().collect::<Vec<_>>().join(", ");
        let mut lines = vec![
            ("key", escaped(args.key.as_bytes())),
            ("slot", self.place.slot.to_string()),
            ("partition", format!("{}, {}", partition.partition, partition.state)),
            ("owner", or_nobody(partition.primary.clone())),
            ("backups", or_nobody(backups)),
            ("epoch", partition.epoch.to_string()),
            (
                "table",
                format!(
                    "version {}, as {} knows it",
                    self.place.table_version, self.place.answered_by
                ),
            ),
        ];
        if !partition.learners.is_empty() {
            lines.insert(5, ("learners", partition.learners.join(", ")));
        }
        if let Some(read) = self.read {
            lines.push(("read", format!("{} through the client", micros(read))));
        }
        let mut text: String =
            lines.into_iter().map(|(name, value)| format!("{name:<9}  {value}\n")).collect();
        let mut rows = table(&["hop", "node", "address", "connect", "round trip", "agrees", "lag"]);
        for hop in &self.hops {
            let answer = |show: &dyn Fn(&Answer) -> String| {
                hop.answer.as_ref().map_or_else(|| "-".to_owned(), show)
            };
            rows.add_row([
                hop.role.to_owned(),
                hop.node.clone(),
                hop.address.clone(),
                answer(&|answer| micros(answer.connect)),
                answer(&|answer| micros(answer.round_trip)),
                answer(&|answer| if answer.agrees { "yes".into() } else { "no".into() }),
                self.lag_of(hop).map_or_else(
                    || "-".to_owned(),
                    |lag| format!("{} ops, {} ms", lag.ops, lag.ms),
                ),
            ]);
        }
        text.push('\n');
        text.push_str(&table_text(&rows));
        text
    }

    /// How far a backup is behind the owner: the worst of all their partitions.
    fn lag_of(&self, hop: &Hop) -> Option<&LagStatus> {
        self.lags.iter().find(|lag| hop.role == "backup" && lag.to == hop.node)
    }

    fn object(&self, args: &TraceArgs) -> Value {
        let partition = &self.place.partition;
        let hop = |hop: &Hop| {
            let lag = self.lag_of(hop);
            json!({
                "role": hop.role,
                "node": hop.node,
                "grpc": hop.address,
                "connect_us": hop.answer.as_ref().map(|answer| whole_micros(answer.connect)),
                "round_trip_us": hop.answer.as_ref().map(|answer| whole_micros(answer.round_trip)),
                "agrees": hop.answer.as_ref().map(|answer| answer.agrees),
                "lag": lag.map(|lag| json!({ "ops": lag.ops, "bytes": lag.bytes, "ms": lag.ms })),
            })
        };
        let mut object = Map::new();
        put_bytes(&mut object, "key", args.key.as_bytes());
        let rest = json!({
            "map": args.map,
            "slot": self.place.slot,
            "partition": partition.partition,
            "owner": (!partition.primary.is_empty()).then_some(&partition.primary),
            "backups": partition.backups().collect::<Vec<_>>(),
            "epoch": partition.epoch,
            "entry": partition_object(partition),
            "table_version": self.place.table_version,
            "answered_by": self.place.answered_by,
            "hops": self.hops.iter().map(hop).collect::<Vec<Value>>(),
            "read_us": self.read.map(whole_micros),
        });
        if let Value::Object(rest) = rest {
            object.extend(rest);
        }
        Value::Object(object)
    }
}

fn whole_micros(duration: Duration) -> u64 {
    duration.as_micros() as u64
}

fn micros(duration: Duration) -> String {
    format!("{:.0} us", duration.as_secs_f64() * 1e6)
}
