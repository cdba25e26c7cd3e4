//! What changes in a map, as streams over HTTP tell it: events as JSON, some at a time, each group with the place where a later stream
//! goes on. [`Follow`] is what Server-Sent Events and WebSockets have in common.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use isogrid_core::{Error, ErrorCode, Result};
use serde_json::{Map, Value};
use tokio::sync::mpsc;
use tokio::time::{Interval, MissedTickBehavior};
use tokio_util::sync::CancellationToken;

use super::Api;
use super::answer::Failure;
use super::ask::Ask;
use super::filter;
use super::value::{Codec, told, told_key};
use crate::clients::Client;
use crate::grpc::gather::{MapEvent, Places, Wanted, What, gather};

/// How often a silent stream says that it lives.
const HEARTBEAT: Duration = Duration::from_secs(15);

/// How many events at most stand before their place is told: who breaks off in between hears those of the group again.
const GROUP_LEN_MAX: usize = 64;

/// The bytes of a node's token for one partition: partition u16, zero u16, loss generation u32, number u64, little-endian.
const TOKEN_BYTES: usize = 16;

/// The parameters of a watch.
pub(super) const PARAMETERS: [&str; 5] = ["prefix", "filter", "snapshot", "resume", "codec"];

/// A watch under way.
pub(super) struct Follow {
    received: mpsc::Receiver<Result<Vec<MapEvent>>>,
    waiting: std::vec::IntoIter<MapEvent>,
    places: Places,
    /// How many partitions must have a place before any is told: who would come again without one would miss what happens there.
    places_min: usize,
    codec: Option<Codec>,
    heartbeat: Interval,
    client: Option<Arc<Client>>,
    stopping: CancellationToken,
}

/// What there is to say next.
pub(super) enum Next {
    /// These events, and where to go on behind them, if that is known.
    Events(Vec<Value>, Option<String>),
    /// Nothing happened for some time.
    Heartbeat,
    /// The watch cannot go on.
    Failed(Error),
    /// The node stops, or the connection was ended.
    End,
}

/// What a request wants to watch.
pub(super) struct Wish {
    wanted: Wanted,
    codec: Option<Codec>,
    client: Option<Arc<Client>>,
}

impl Wish {
    /// What a request says. `resume`: where to go on, if the request says that in its own way.
    pub(super) fn of(ask: &Ask, resume: Option<&str>) -> Result<Self, Failure> {
        let (map, codec) = (ask.map()?, Codec::asked(ask)?);
        let filter = ask.text("filter")?.map(filter::encoded).transpose()?.unwrap_or_default();
        let resume = match resume {
            Some(resume) => Some(resume),
            None => ask.text("resume")?,
        };
        let places = resume.map_or_else(|| Ok(Places::new()), read)?;
        let prefix = Bytes::copy_from_slice(ask.bytes("prefix").unwrap_or_default());
        let with_snapshot = ask.flag("snapshot", false)?;
        let wanted = Wanted { map, prefix, filter: filter.into(), with_snapshot, places };
        Ok(Wish { wanted, codec, client: ask.client() })
    }
}

impl Follow {
    /// Begins to watch.
    pub(super) async fn begin(api: &Api, wish: Wish) -> Result<Self, Failure> {
        let Wish { wanted, codec, client } = wish;
        // A name that is misspelt must not make a map.
        if api.shared.control.find_map(&wanted.map).await?.is_none() {
            return Err(Error::new(ErrorCode::MapUnknown, wanted.map).into());
        }
        let places = wanted.places.clone();
        let partitions = api.shared.engine.partitions().map_or(0, |count| usize::from(count.get()));
        // A snapshot is told anew of those without one.
        let places_min = if wanted.with_snapshot { 0 } else { partitions };
        let received = gather(&api.shared, &api.owners, wanted, api.stopping.clone());
        let mut heartbeat = tokio::time::interval(HEARTBEAT);
        heartbeat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        heartbeat.reset();
        let (waiting, stopping) = (Vec::new().into_iter(), api.stopping.clone());
        Ok(Follow { received, waiting, places, places_min, codec, heartbeat, client, stopping })
    }

    /// What there is to say next.
    pub(super) async fn next(&mut self) -> Next {
        loop {
            let (events, place) = self.group();
            if !events.is_empty() || place.is_some() {
                self.heartbeat.reset();
                return Next::Events(events, place);
            }
            let client = self.client.as_deref();
            let ended = async {
                match client {
                    Some(client) => client.until_ended().await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                received = self.received.recv() => match received {
                    Some(Ok(events)) => self.waiting = events.into_iter(),
                    Some(Err(error)) => return Next::Failed(error),
                    None => return Next::End,
                },
                _ = self.heartbeat.tick() => return Next::Heartbeat,
                () = self.stopping.cancelled() => return Next::End,
                () = ended => return Next::End,
            }
        }
    }

    /// The next events of those that have come, and where to go on behind them.
    fn group(&mut self) -> (Vec<Value>, Option<String>) {
        let mut is_placed = false;
        let mut values = Vec::new();
        while values.len() < GROUP_LEN_MAX {
            let Some(event) = self.waiting.next() else { break };
            if !event.token.is_empty() {
                is_placed = true;
                self.places.insert(event.partition, event.token.clone());
            }
            values.extend(object(event, self.codec));
        }
        let is_told = is_placed && self.places.len() >= self.places_min;
        (values, is_told.then(|| written(&self.places)))
    }
}

/// An event as JSON; `None` for one that only has a place.
fn object(event: MapEvent, codec: Option<Codec>) -> Option<Value> {
    let mut object = Map::new();
    let mut flat = |value: serde_json::Result<Value>| {
        if let Ok(Value::Object(fields)) = value {
            object.extend(fields);
        }
    };
    let name = match &event.what {
        What::Begun => return None,
        What::Put { key, value, version, expires_at_ms } => {
            flat(serde_json::to_value(told_key(key)));
            flat(serde_json::to_value(told(value, codec)));
            object.insert("version".into(), (*version).into());
            if let Some(at) = expires_at_ms {
                object.insert("expires_at_ms".into(), (*at).into());
            }
            "put"
        }
        What::Removed { word, key, version } => {
            flat(serde_json::to_value(told_key(key)));
            object.insert("version".into(), (*version).into());
            word
        }
        What::Unmatched { key, version } => {
            flat(serde_json::to_value(told_key(key)));
            object.insert("version".into(), (*version).into());
            "unmatched"
        }
        What::Cleared { version } => {
            object.insert("version".into(), (*version).into());
            "cleared"
        }
        What::SnapshotBegun => "snapshot_begun",
        What::SnapshotDone => "snapshot_done",
        What::Lagged { missed } => {
            object.insert("missed".into(), (*missed).into());
            "lagged"
        }
        What::Compacted => "compacted",
    };
    object.insert("event".into(), name.into());
    object.insert("partition".into(), event.partition.into());
    Some(Value::Object(object))
}

/// The places as text: for each partition in turn how far it is from the one before, its loss generation and its number, as numbers of
/// variable length.
fn written(places: &Places) -> String {
    let mut bytes = Vec::with_capacity(places.len() * 5);
    let mut next = 0;
    for (partition, token) in places {
        let Some((generation, seq)) = parts(token) else { continue };
        push(&mut bytes, u64::from(partition - next));
        push(&mut bytes, u64::from(generation));
        push(&mut bytes, seq);
        next = *partition;
    }
    URL_SAFE_NO_PAD.encode(bytes)
}

/// The places that text stands for.
fn read(text: &str) -> Result<Places, Failure> {
    let wrong = || Failure::malformed("the place to go on from is none that a watch told");
    let bytes = URL_SAFE_NO_PAD.decode(text.trim()).map_err(|_| wrong())?;
    let mut rest = bytes.as_slice();
    let mut places = Places::new();
    let mut at: u64 = 0;
    while !rest.is_empty() {
        let mut number = || take(&mut rest).ok_or_else(wrong);
        let (apart, generation, seq) = (number()?, number()?, number()?);
        at = at.saturating_add(apart);
        let (Ok(partition), Ok(generation)) = (u16::try_from(at), u32::try_from(generation)) else {
            return Err(wrong());
        };
        let mut token = Vec::with_capacity(TOKEN_BYTES);
        token.extend(partition.to_le_bytes());
        token.extend([0; 2]);
        token.extend(generation.to_le_bytes());
        token.extend(seq.to_le_bytes());
        places.insert(partition, token.into());
    }
    Ok(places)
}

/// Loss generation and number of a token.
fn parts(token: &[u8]) -> Option<(u32, u64)> {
    let [_, _, _, _, g0, g1, g2, g3, seq @ ..] = token.first_chunk::<TOKEN_BYTES>()?;
    Some((u32::from_le_bytes([*g0, *g1, *g2, *g3]), u64::from_le_bytes(*seq)))
}

fn push(bytes: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        bytes.push(number as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
}

fn take(bytes: &mut &[u8]) -> Option<u64> {
    let mut number = 0;
    for place in 0..10u32 {
        let (first, rest) = bytes.split_first()?;
        *bytes = rest;
        number |= u64::from(first & 0x7f).checked_shl(place * 7)?;
        if *first < 0x80 {
            return Some(number);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(partition: u16, generation: u32, seq: u64) -> Bytes {
        let mut bytes = partition.to_le_bytes().to_vec();
        bytes.extend([0; 2]);
        bytes.extend(generation.to_le_bytes());
        bytes.extend(seq.to_le_bytes());
        bytes.into()
    }

    #[test]
    fn places_are_read_as_they_were_written() {
        let one = |partition, generation, seq| (partition, token(partition, generation, seq));
        let places = Places::from([
            one(0, 0, 0),
            one(7, 3, 127),
            one(8, 0, 1 << 40),
            one(u16::MAX, u32::MAX, u64::MAX),
        ]);
        assert_eq!(read(&written(&places)).expect("as written"), places);
        assert_eq!(read("").expect("nowhere"), Places::new());
    }

    #[test]
    fn what_is_no_place_is_refused() {
        for wrong in ["###", "gA", "AAA", "____________________", "-_8DAAD_-_8DAAA"] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_place_of_all_partitions_is_small() {
        let places: Places =
            (0..256).map(|partition| (partition, token(partition, 0, 100_000))).collect();
        assert!(written(&places).len() < 2_000, "{} bytes", written(&places).len());
    }
}
