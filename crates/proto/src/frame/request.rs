//! Request frames: operations on the way to a node.
//!
//! Behind the header come the operations, and behind them the dictionary of the maps they name: `count u8`, then for each
//! `length u8 · name`. The dictionary comes last so that operations can be added as callers bring them.

use std::sync::Arc;

use bytes::{BufMut, Bytes, BytesMut};
use isogrid_core::{Hlc, Op, Result, SessionId, TableVersion, limits};

use super::header::{HEADER_BYTES, Header, MAGIC_REQUEST};
use super::op::{self, Place};
use super::options::OpOptions;
use super::reader::{Reader, malformed};

/// The most maps one frame can name.
pub const MAPS_PER_FRAME_MAX: usize = 255;

/// The most operations of one frame: a reply names its operation by an index of two bytes.
pub const OPS_PER_FRAME_MAX: usize = 1 << 16;

/// The shortest operation, used to refuse impossible counts before anything is allocated for them.
const OP_BYTES_MIN: usize = 5;

/// What a frame says beside its operations.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FrameHead {
    /// The client's number for the frame.
    pub frame_id: u32,
    /// How long the client still waits, in milliseconds; zero for no deadline.
    pub deadline_ms: u32,
    /// The table version the client routed by.
    pub table_version: TableVersion,
    /// The session that the tags of its writes belong to.
    pub session: Option<SessionId>,
    /// Whether the node is to forward what is not its own.
    pub is_gateway: bool,
    /// The newest hybrid clock that the client has seen: what it writes now comes behind that. Zero for none.
    pub clock: Hlc,
}

/// Collects operations into a frame.
#[derive(Debug, Default)]
pub struct RequestWriter {
    bytes: BytesMut,
    maps: Vec<Arc<str>>,
    ops: u32,
    /// The length of the last frame: the next one is likely to need as much.
    last_bytes: usize,
}

impl RequestWriter {
    /// An empty frame.
    pub fn new() -> Self {
        Self::default()
    }

    /// The number of operations so far.
    pub fn ops(&self) -> usize {
        self.ops as usize
    }

    /// The bytes so far.
    pub fn bytes(&self) -> usize {
        self.bytes.len()
    }

    /// Whether there is nothing to send.
    pub fn is_empty(&self) -> bool {
        self.ops == 0
    }

    /// Adds an operation. Returns false, and adds nothing, when the frame holds as much as it can: send it first.
    /// The caller has checked keys, values and map names against the limits of the core.
    #[inline]
    pub fn push(&mut self, map: &Arc<str>, op: &Op<'_>) -> bool {
        self.push_with(map, op, &OpOptions::NONE)
    }

    /// [`push`](Self::push), with what is asked beside the operation.
    #[inline]
    pub fn push_with(&mut self, map: &Arc<str>, op: &Op<'_>, options: &OpOptions) -> bool {
        if self.ops() == OPS_PER_FRAME_MAX {
            return false;
        }
        let Some(map) = self.map_index(map) else { return false };
        if self.bytes.is_empty() {
            self.bytes.reserve(self.last_bytes);
            self.bytes.put_bytes(0, HEADER_BYTES);
        }
        op::encode(Place { map, options }, op, &mut self.bytes);
        self.ops += 1;
        true
    }

    fn map_index(&mut self, map: &Arc<str>) -> Option<u8> {
        let same = |known: &Arc<str>| Arc::ptr_eq(known, map) || known == map;
        if let Some(index) = self.maps.iter().position(same) {
            return Some(index as u8);
        }
        if self.maps.len() == MAPS_PER_FRAME_MAX {
            return None;
        }
        self.maps.push(Arc::clone(map));
        Some((self.maps.len() - 1) as u8)
    }

    /// Ends the frame and hands it over; the writer is empty again.
    pub fn finish(&mut self, head: &FrameHead) -> Bytes {
        if self.bytes.is_empty() {
            self.bytes.put_bytes(0, HEADER_BYTES);
        }
        let header = Header {
            magic: MAGIC_REQUEST,
            frame_id: head.frame_id,
            count: self.ops,
            deadline_ms: head.deadline_ms,
            dictionary: self.bytes.len() as u32,
            table_version: head.table_version,
            session: head.session,
            is_gateway: head.is_gateway,
            clock: head.clock,
        };
        self.bytes[..HEADER_BYTES].copy_from_slice(&header.encode());
        self.bytes.put_u8(self.maps.len() as u8);
        for map in self.maps.drain(..) {
            self.bytes.put_u8(map.len() as u8);
            self.bytes.put_slice(map.as_bytes());
        }
        self.ops = 0;
        self.last_bytes = self.bytes.len();
        self.bytes.split().freeze()
    }
}

/// A received request frame.
#[derive(Clone, Debug)]
pub struct RequestFrame<'a> {
    /// What it says beside its operations.
    pub head: FrameHead,
    /// The maps that the operations name, by index.
    pub maps: Vec<&'a str>,
    /// How many operations there are.
    pub ops: usize,
    body: Reader<'a>,
}

impl<'a> RequestFrame<'a> {
    /// Reads the header and the dictionary of a frame.
    pub fn parse(bytes: &'a [u8]) -> Result<Self> {
        let (header, body) = Header::decode(bytes, MAGIC_REQUEST)?;
        let dictionary = header.dictionary as usize;
        if dictionary < body || dictionary > bytes.len() {
            return Err(malformed(format!("dictionary at {dictionary}")));
        }
        let body = &bytes[body..dictionary];
        let ops = header.count as usize;
        if ops > OPS_PER_FRAME_MAX || ops > body.len() / OP_BYTES_MIN {
            return Err(malformed(format!("{ops} operations in {} bytes", body.len())));
        }
        Ok(Self {
            head: FrameHead {
                frame_id: header.frame_id,
                deadline_ms: header.deadline_ms,
                table_version: header.table_version,
                session: header.session,
                is_gateway: header.is_gateway,
                clock: header.clock,
            },
            maps: dictionary_of(&bytes[dictionary..])?,
            ops,
            body: Reader::new(body),
        })
    }

    /// The next operation, with the index of its map and what is asked beside it. The index is checked against the
    /// dictionary, and a tag has a session to belong to.
    #[inline]
    pub fn next_op(&mut self) -> Result<(usize, Op<'a>, OpOptions)> {
        let (map, op, options) = op::decode(&mut self.body)?;
        let map = usize::from(map);
        if map >= self.maps.len() {
            return Err(malformed(format!("map {map} of {}", self.maps.len())));
        }
        if options.tag.is_some() && self.head.session.is_none() {
            return Err(malformed("a request number without a session"));
        }
        Ok((map, op, options))
    }

    /// Checks that nothing is left once all operations were read.
    pub fn finish(&self) -> Result<()> {
        if self.body.is_empty() { Ok(()) } else { Err(malformed("bytes behind the operations")) }
    }
}

fn dictionary_of(bytes: &[u8]) -> Result<Vec<&str>> {
    let mut reader = Reader::new(bytes);
    let count = reader.u8()?;
    let mut maps = Vec::with_capacity(usize::from(count));
    for _ in 0..count {
        let length = usize::from(reader.u8()?);
        let name = std::str::from_utf8(reader.bytes(length)?)
            .map_err(|_| malformed("a map name that is not UTF-8"))?;
        limits::check_map_name(name)?;
        maps.push(name);
    }
    if !reader.is_empty() {
        return Err(malformed("bytes behind the dictionary"));
    }
    Ok(maps)
}
