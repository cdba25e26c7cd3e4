//! What clients ask: requests are kept, because a deferred one is presented again.

use isogrid_core::{Condition, Expiry, LogPosition, MapId, NumberFormat, Op, PartitionId};
use isogrid_core::{RequestId, SessionId, Timestamp};
use isogrid_replica::{Event, ReadMode, Request, Tag, Ticket};
use isogrid_sim::golden::Command;
use isogrid_store::hash_key;

use super::world::{WALL_BEGIN, World, map_of, number};

/// A request that owns what it says.
#[derive(Clone)]
pub(super) struct Asked {
    node: String,
    words: Vec<String>,
    map: MapId,
    ttl_ms: Option<u64>,
    tag: Option<Tag>,
    mode: ReadMode,
    at_least: Option<LogPosition>,
    deadline: Option<Timestamp>,
}

impl World {
    pub(super) fn note_request(
        &mut self,
        node: &str,
        words: &[&str],
        command: &Command,
    ) -> Result<Ticket, String> {
        let ticket = Ticket(self.asked.len() as u64 + 1);
        let mode = match command.get("mode") {
            None => ReadMode::Lease,
            Some("confirmed") => ReadMode::Confirmed,
            Some("any") => ReadMode::Any,
            Some("backup") => ReadMode::Backup {
                staleness_ms_max: command.parse_key("staleness")?.unwrap_or(1_000),
            },
            Some(other) => return Err(format!("{other} is no mode")),
        };
        let deadline_ms: Option<u64> = command.parse_key("deadline")?;
        let asked = Asked {
            node: node.to_owned(),
            words: words.iter().map(|word| (*word).to_owned()).collect(),
            map: map_of(command)?,
            ttl_ms: command.parse_key("ttl")?,
            tag: command.get("id").map(|id| tag(id, command)).transpose()?,
            mode,
            at_least: command.get("at_least").map(position).transpose()?,
            deadline: deadline_ms.map(|ms| Timestamp(WALL_BEGIN + ms)),
        };
        self.asked.insert(ticket, asked);
        Ok(ticket)
    }

    /// Presents a request to its node.
    pub(super) fn ask(&mut self, ticket: Ticket) {
        let asked = self.asked[&ticket].clone();
        self.out.push_str(&format!("#{} {}\n", ticket.0, asked.words.join(" ")));
        let words: Vec<&str> = asked.words.iter().map(String::as_str).collect();
        let key = words.get(1).map_or(&b""[..], |key| key.as_bytes());
        let value = words.get(2).map_or(&b""[..], |value| value.as_bytes());
        let expiry = asked.ttl_ms.map_or(Expiry::Never, Expiry::AfterMs);
        let op = match words[0] {
            "put" => {
                Op::Put { key, value, condition: Condition::Always, expiry, return_old: false }
            }
            "get" => Op::Get { key },
            "exists" => Op::Exists { key },
            "del" => Op::delete(key),
            "rename" => Op::Rename { from: key, to: value, if_absent: false },
            "renamenx" => Op::Rename { from: key, to: value, if_absent: true },
            "incr" => Op::Increment {
                key,
                delta: number(words[2]).expect("incr has a key and a number") as i64,
                format: NumberFormat::Text,
                expiry,
            },
            "len" => Op::Len { partition: PartitionId(0) },
            "clear" => Op::Clear { partition: PartitionId(0) },
            other => panic!("{other} is no operation"),
        };
        let request = Request {
            tag: asked.tag,
            mode: asked.mode,
            at_least: asked.at_least,
            deadline: asked.deadline,
            ..Request::new(ticket, asked.map, hash_key(42, key), op)
        };
        self.step(&asked.node, Event::Request(request));
        self.step(&asked.node, Event::Flush);
    }
}

/// `7.1`: the first request of session seven.
fn tag(id: &str, command: &Command) -> Result<Tag, String> {
    let (session, request) = id.split_once('.').ok_or("an id is a session and a number")?;
    let id = RequestId { session: SessionId(number(session)?), number: number(request)? };
    let first_incomplete = command.parse_key("finished_before")?.unwrap_or(1);
    Ok(Tag { id, first_incomplete })
}

fn position(text: &str) -> Result<LogPosition, String> {
    let (epoch, seq) = text.split_once('.').ok_or("a position is an epoch and a number")?;
    Ok(LogPosition::new(number(epoch)?, number(seq)?))
}
