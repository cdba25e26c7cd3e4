//! Everything that replicas say, as people read it.

use isogrid_core::{
    Cause, Durability, Effect, Entry as Record, MapId, PartitionEntry, Replica as Name, Reply,
};
use isogrid_replica::entry::{Entries, Entry};
use isogrid_replica::message::{Append, Content, Piece};
use isogrid_replica::{
    Message, Notice, Proposal, ProposedChange, Refusal, Replica, Response, RoleName,
};
use isogrid_store::WalkCursor;

use super::world::WALL_BEGIN;

pub(super) fn name(name: &Name) -> String {
    match name.incarnation.0 {
        1 => name.node.to_string(),
        life => format!("{}#{life}", name.node),
    }
}

fn names(replicas: &[Name]) -> String {
    let names: Vec<String> = replicas.iter().map(name).collect();
    names.join(" ")
}

pub(super) fn entry(entry: &PartitionEntry) -> String {
    let primary = entry.primary.as_ref().map_or("nobody", |node| node.as_str());
    let mut text = format!(
        "epoch {} ver {}: {primary} leads, in sync: {}",
        entry.epoch.0,
        entry.ver,
        names(&entry.in_sync)
    );
    if !entry.learners.is_empty() {
        text += &format!(", learning: {}", names(&entry.learners));
    }
    if entry.loss_generation > 0 {
        text += &format!(", loss generation {}", entry.loss_generation);
    }
    text
}

pub(super) fn proposal(proposal: &Proposal) -> String {
    let what = match &proposal.change {
        ProposedChange::Add(replica) => format!("add {}", name(replica)),
        ProposedChange::Remove(replica) => format!("remove {}", name(replica)),
        ProposedChange::HandOver(node) => format!("hand over to {node}"),
    };
    format!("{what} (if epoch {} ver {})", proposal.epoch.0, proposal.ver)
}

pub(super) fn role(role: RoleName) -> &'static str {
    match role {
        RoleName::Primary => "primary",
        RoleName::Backup => "backup",
        RoleName::Learner => "learner",
    }
}

/// The name of the notice in words, with its numbers.
pub(super) fn notice(notice: &Notice) -> String {
    let text = format!("{notice:?}").replace("Epoch(", "").replace(')', "");
    let (name, rest) = text.split_once([' ', '(']).unwrap_or((&text, ""));
    let mut words = String::new();
    for letter in name.chars() {
        if letter.is_uppercase() && !words.is_empty() {
            words.push(' ');
        }
        words.extend(letter.to_lowercase());
    }
    let rest = rest.trim_matches(['{', '}', ' ']).to_lowercase().replace(':', "");
    if rest.is_empty() { words } else { format!("{words}: {rest}") }
}

pub(super) fn response(response: &Response<'_>) -> String {
    match response {
        Response::Read { reply, .. } => reply_text(reply),
        Response::Written { reply, receipt } => {
            let durable = match receipt.durability {
                Durability::Memory => "",
                Durability::Os => " on disk",
                Durability::Fsync => " synced on disk",
            };
            let lag = match receipt.lag_ops {
                0 => String::new(),
                ops => format!(", {ops} behind"),
            };
            let reply = reply_text(reply);
            format!("{reply}: {} at {}{durable}{lag}", receipt.position, receipt.replicas)
        }
        Response::Refused(refusal) => {
            let outcome = if refusal.is_not_applied() { "not applied" } else { "unknown" };
            format!("refused: {}, {outcome}", refusal_text(*refusal))
        }
    }
}

fn refusal_text(refusal: Refusal) -> &'static str {
    match refusal {
        Refusal::NotOwner => "not the primary",
        Refusal::TooLate => "too late",
        Refusal::NotEnoughReplicas => "not enough replicas in sync",
        Refusal::NotEnoughReplicasLeft => "not enough replicas left",
        Refusal::Deposed => "deposed",
        Refusal::Stale => "stale request",
        Refusal::SessionFull => "session full",
        Refusal::TooFarBehind => "too far behind",
        Refusal::PositionLost => "position lost",
        Refusal::BackupsLag => "backups lag",
        Refusal::CutOff => "cut off",
    }
}

fn reply_text(reply: &Reply<'_>) -> String {
    match reply {
        Reply::Missing => "missing".to_owned(),
        Reply::Found(entry) => format!("found {}", record(entry)),
        Reply::Flag(flag) => if *flag { "yes" } else { "no" }.to_owned(),
        Reply::Written { version, .. } => format!("written @{version}"),
        Reply::Deleted { version, .. } => format!("deleted @{version}"),
        Reply::Integer { value, version } => format!("{value} @{version}"),
        Reply::Conflict { current } => {
            let there = current.as_ref().map_or("nothing".to_owned(), record);
            format!("conflict with {there}")
        }
        Reply::Count(count) => format!("{count} records"),
        Reply::Failed(error) => format!("failed: {error}"),
        other => format!("{other:?}"),
    }
}

fn record(entry: &Record<'_>) -> String {
    let value = String::from_utf8_lossy(entry.value);
    let expiry = entry.expires_at.map_or(String::new(), |at| until(at.0));
    format!("{value} @{}{expiry}", entry.version)
}

fn until(wall: u64) -> String {
    format!(" until {} ms", wall.saturating_sub(WALL_BEGIN))
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn map_text(map: MapId) -> String {
    if map.0 == 0 { String::new() } else { format!(" in map {}", map.0) }
}

fn log_entry(entry: &Entry<'_>) -> String {
    let effect = match entry.effect {
        Effect::Nothing => "nothing".to_owned(),
        Effect::Put { map, key, value, expires_at } => {
            let expiry = expires_at.map_or(String::new(), |at| until(at.0));
            format!("put {}={}{expiry}{}", text(key), text(value), map_text(map))
        }
        Effect::Remove { map, key, cause } => {
            let cause = match cause {
                Cause::Deleted => "",
                Cause::Expired => " (expired)",
                Cause::Evicted => " (evicted)",
            };
            format!("remove {}{cause}{}", text(key), map_text(map))
        }
        Effect::Rename { map, from, to, value, expires_at } => {
            let expiry = expires_at.map_or(String::new(), |at| until(at.0));
            let (from, to, value) = (text(from), text(to), text(value));
            format!("rename {from} to {to}={value}{expiry}{}", map_text(map))
        }
        Effect::Clear { map } => format!("clear{}", map_text(map)),
        Effect::EndSessions(ended) => {
            let ended: Vec<String> = ended.iter().map(|session| session.0.to_string()).collect();
            format!("end session {}", ended.join(" "))
        }
    };
    let tag = entry
        .request
        .map_or(String::new(), |tag| format!(" <{}.{}>", tag.id.session.0, tag.id.number));
    format!("{} {effect}{tag}", entry.position)
}

pub(super) fn message(message: &Message) -> String {
    match message {
        Message::Append(append) => append_text(append),
        Message::Ack(ack) => {
            let partial = if ack.complete { "" } else { ", not complete" };
            let applied = ack.applied;
            format!("e{} ack {}, applied {applied}{partial}", ack.epoch.0, ack.matched)
        }
        Message::Mismatch(mismatch) => {
            let (tail, commit) = (mismatch.tail, mismatch.commit);
            format!("e{} mismatch: I have {tail}, committed {commit}", mismatch.epoch.0)
        }
        Message::Refused { promised } => format!("refused, I promised e{}", promised.0),
        Message::Offer(offer) => {
            format!("e{} offer: log from {} to {}", offer.epoch.0, offer.base, offer.last)
        }
        Message::Pull { epoch, piece } => format!("e{} pull {}", epoch.0, piece_text(piece)),
        Message::Chunk(chunk) => {
            let content = match &chunk.content {
                Content::Start { .. } => String::new(),
                Content::Buckets(_) => ": digests".to_owned(),
                Content::Records { records, next } => {
                    let more = if next.is_some() { ", more" } else { "" };
                    format!(": [{}]{more}", records_text(records))
                }
            };
            let (epoch, piece) = (chunk.epoch.0, piece_text(&chunk.piece));
            format!("e{epoch} {piece} as of {}{content}", chunk.as_of)
        }
        Message::Differs { epoch, at } => format!("e{} my data differ at {at}", epoch.0),
    }
}

fn append_text(append: &Append) -> String {
    let entries: Vec<String> = Entries::new(&append.entries)
        .map(|encoded| log_entry(&encoded.expect("it was encoded").entry))
        .collect();
    let mut line = format!("e{} after {}", append.epoch.0, append.prev);
    if !entries.is_empty() {
        line += &format!(" [{}]", entries.join(", "));
    }
    line += &format!(", commit {}", append.commit);
    if append.round > 0 {
        line += &format!(", round {}", append.round);
    }
    if let Some(digest) = &append.digest {
        line += &format!(", digest at {}", digest.seq);
    }
    line
}

fn piece_text(piece: &Piece) -> String {
    let place = |cursor: &WalkCursor| {
        if *cursor == WalkCursor::default() { "from the first" } else { "from there on" }
    };
    match piece {
        Piece::Start => "start".to_owned(),
        Piece::Records(cursor) => format!("records {}", place(cursor)),
        Piece::Sessions => "sessions".to_owned(),
        Piece::Buckets => "buckets".to_owned(),
        Piece::Bucket(bucket, cursor) => format!("bucket {bucket} {}", place(cursor)),
        Piece::Keys(keys) => {
            let keys: Vec<String> = keys.iter().map(|(_, key)| text(key)).collect();
            format!("keys {}", keys.join(" "))
        }
    }
}

fn records_text(records: &[u8]) -> String {
    let records =
        Entries::new(records).map(|encoded| match encoded.expect("it was encoded").entry {
            Entry { effect: Effect::Put { key, value, .. }, position, .. } => {
                format!("{}={} @{}", text(key), text(value), position.seq)
            }
            other => format!("{other:?}"),
        });
    records.collect::<Vec<_>>().join(", ")
}

/// What a replica is and holds.
pub(super) fn state(replica: &Replica, maps: u32) -> String {
    let whole = if replica.is_complete() { "" } else { ", not whole" };
    let open =
        if replica.role() == RoleName::Primary && !replica.is_open() { ", not open" } else { "" };
    let mut records = Vec::new();
    let mut cursor = Some(WalkCursor::default());
    while let Some(from) = cursor {
        let page = replica.store().walk(from, 1 << 20);
        records.extend(page.records.iter().filter(|found| found.map.0 < maps).map(|found| {
            let map = map_text(found.map);
            format!("{}={}{map}", text(found.key), record(&found.entry))
        }));
        cursor = page.next;
    }
    records.sort();
    format!(
        "{} in e{}, log to {}, commit {}{open}{whole}: {}",
        role(replica.role()),
        replica.promised().0,
        replica.log().last(),
        replica.commit(),
        records.join(", ")
    )
}
