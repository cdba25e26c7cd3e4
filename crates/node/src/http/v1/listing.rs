//! Entries of a map, page by page. A page is what a few partitions have, one after the other; its cursor says where the next one begins.

use axum::extract::{Request, State};
use isogrid_core::{Error, ErrorCode, Op, PartitionId, Receipt, Reply, Scan, View};
use serde::Serialize;

use super::Api;
use super::answer::{Answer, Failure, ok};
use super::ask::Ask;
use super::entries::CORE;
use super::filter;
use super::value::{Codec, Told, ToldKey, told, told_key};
use crate::clients::Did;
use crate::grpc::batch::{self, Destination, Typed};

/// How many entries a page has unless the caller says.
const LIMIT: u64 = 100;

/// What is kept of the time that there is, for the answer, in milliseconds.
const LAST_WORD_MS: u64 = 500;

/// One entry of a page.
#[derive(Debug, Serialize)]
pub(super) struct Listed {
    #[serde(flatten)]
    key: ToldKey,
    version: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_at_ms: Option<u64>,
    #[serde(flatten)]
    value: Option<Told>,
}

/// A page.
#[derive(Debug, Serialize)]
struct Page {
    entries: Vec<Listed>,
    /// Where the next page begins; null at the end.
    cursor: Option<String>,
}

/// How far a walk is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Cursor {
    partition: u16,
    within: u64,
}

impl Cursor {
    fn text(self) -> String {
        format!("{:x}.{:x}", self.partition, self.within)
    }

    fn read(text: &str) -> Option<Self> {
        let (partition, within) = text.split_once('.')?;
        let partition = u16::from_str_radix(partition, 16).ok()?;
        Some(Cursor { partition, within: u64::from_str_radix(within, 16).ok()? })
    }
}

/// An entry as it came.
struct Raw {
    key: Vec<u8>,
    value: Vec<u8>,
    version: u64,
    expires_at_ms: Option<u64>,
}

type Found = Result<(Option<u64>, Vec<Raw>), Error>;

/// `GET /v1/maps/{map}/entries`
pub(super) async fn list(State(api): State<Api>, request: Request) -> Answer {
    let known = ["prefix", "glob", "filter", "limit", "cursor", "values", "codec"];
    let ask = Ask::new(request, Did::Scan, &known)?;
    let (map, codec, deadline) = (ask.map()?, Codec::asked(&ask)?, ask.deadline()?);
    let filter = ask.text("filter")?.map(filter::encoded).transpose()?.unwrap_or_default();
    let with_values = ask.flag("values", true)?;
    let limit = limit(&api, &ask)?;
    let cursor = ask.text("cursor")?.map(|text| {
        let wrong = || Failure::malformed(format!("cursor = {text:?}: no page ended with it"));
        Cursor::read(text).ok_or_else(wrong)
    });
    let mut cursor = cursor.transpose()?.unwrap_or(Cursor { partition: 0, within: 0 });
    let partitions = api.shared.engine.partitions().ok_or_else(|| {
        Error::new(ErrorCode::NotReady, "the node has not joined its cluster yet")
    })?;
    if api.shared.control.find_map(&map).await?.is_none() {
        return Err(Error::new(ErrorCode::MapUnknown, map).into());
    }
    let _call = ask.call();
    let relay = &api.shared.relay;
    let parent = ask.parent();
    let to = Destination::new(relay, CORE, deadline).within(&parent);
    let mut entries: Vec<Listed> = Vec::new();
    let mut bytes = 0;
    let is_full = |entries: &[Listed], bytes: usize| {
        let is_late = deadline.left_ms().is_some_and(|left| left < LAST_WORD_MS);
        entries.len() >= limit || bytes >= relay.engine.limits().frame_bytes_max || is_late
    };
    while cursor.partition < partitions.get() {
        let scan = Scan {
            partition: PartitionId(cursor.partition),
            cursor: cursor.within,
            entries_max: (limit - entries.len()) as u32,
            prefix: ask.bytes("prefix").unwrap_or_default(),
            glob: ask.bytes("glob").unwrap_or_default(),
            filter: &filter,
            with_values,
            view: View::Latest,
        };
        let mut pages = batch::run(to, &[Typed::plain(&map, Op::Scan(scan))], found).await?;
        let (next, raw) = pages.pop().unwrap_or(Ok((None, Vec::new())))?;
        bytes += raw.iter().map(|one| one.key.len() + one.value.len()).sum::<usize>();
        entries.extend(raw.into_iter().map(|raw| listed(raw, with_values, codec)));
        cursor = match next {
            Some(within) => Cursor { within, ..cursor },
            None => Cursor { partition: cursor.partition + 1, within: 0 },
        };
        if is_full(&entries, bytes) {
            break;
        }
    }
    let is_over = cursor.partition >= partitions.get();
    Ok(ok(&Page { entries, cursor: (!is_over).then(|| cursor.text()) }))
}

/// How many entries the page may have.
fn limit(api: &Api, ask: &Ask) -> Result<usize, Failure> {
    let most = api.shared.engine.limits().scan_entries_max as u64;
    match ask.number("limit")? {
        None => Ok(LIMIT.min(most) as usize),
        Some(limit) if (1..=most).contains(&limit) => Ok(limit as usize),
        Some(limit) => Err(Failure::malformed(format!("limit = {limit}: from 1 to {most}"))),
    }
}

/// What a partition has; nothing where there is no such map any more.
fn found(reply: &Reply<'_>, _: Option<&Receipt>) -> Found {
    match reply {
        Reply::Page(page) => {
            let raw = |one: &isogrid_core::PageEntry<'_>| Raw {
                key: one.key.to_vec(),
                value: one.entry.value.to_vec(),
                version: one.entry.version.0,
                expires_at_ms: one.entry.expires_at.map(|at| at.0),
            };
            Ok((page.next, page.entries.iter().map(raw).collect()))
        }
        Reply::Failed(error) => Err(error.clone()),
        _ => Ok((None, Vec::new())),
    }
}

fn listed(raw: Raw, with_values: bool, codec: Option<Codec>) -> Listed {
    Listed {
        key: told_key(&raw.key),
        version: raw.version,
        expires_at_ms: raw.expires_at_ms,
        value: with_values.then(|| told(&raw.value, codec)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_is_read_as_it_was_written() {
        for cursor in
            [Cursor { partition: 0, within: 0 }, Cursor { partition: 255, within: u64::MAX }]
        {
            assert_eq!(Cursor::read(&cursor.text()), Some(cursor));
        }
        for wrong in ["", "1", "x.1", "10000.0", "1.1.1", "-1.0"] {
            assert_eq!(Cursor::read(wrong), None, "{wrong}");
        }
    }
}
