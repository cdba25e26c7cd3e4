//! [`Received`]: how many bytes of data other nodes have sent here, by the way they came: as entries of logs, or in copies.

use std::sync::atomic::{AtomicU64, Ordering};

use isogrid_replica::Message;
use isogrid_replica::entry::Entries;
use isogrid_replica::message::Content;

use crate::peers::message::LinkMessage;

/// Bytes of data that came from other nodes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct ReceivedBytes {
    /// As entries of logs.
    pub(crate) log: u64,
    /// As records and sessions of copies.
    pub(crate) copies: u64,
    /// How many records these copies had.
    pub(crate) copied_entries: u64,
}

/// The share of one core, on cache lines of its own.
#[derive(Default)]
#[repr(align(128))]
pub(super) struct Received {
    log: AtomicU64,
    copies: AtomicU64,
    copied_entries: AtomicU64,
}

impl Received {
    /// A batch of messages came.
    pub(super) fn note(&self, batch: &[LinkMessage]) {
        let mut bytes = ReceivedBytes::default();
        for message in batch {
            match message {
                LinkMessage::Replica { message: Message::Append(append), .. } => {
                    bytes.log += append.entries.len() as u64;
                }
                LinkMessage::Replica { message: Message::Chunk(chunk), .. } => {
                    if let Content::Records { records, .. } = &chunk.content {
                        bytes.copied_entries += Entries::new(records).flatten().count() as u64;
                    }
                    bytes.copies += match &chunk.content {
                        Content::Start { sessions, .. } => sessions.len() as u64,
                        Content::Records { records, .. } => records.len() as u64,
                        Content::Buckets(_) => 0,
                    };
                }
                _ => {}
            }
        }
        if bytes.log > 0 {
            self.log.fetch_add(bytes.log, Ordering::Relaxed);
        }
        if bytes.copies > 0 {
            self.copies.fetch_add(bytes.copies, Ordering::Relaxed);
            self.copied_entries.fetch_add(bytes.copied_entries, Ordering::Relaxed);
        }
    }

    /// The sum over all cores.
    pub(super) fn sum(cores: &[Received]) -> ReceivedBytes {
        cores.iter().fold(ReceivedBytes::default(), |sum, core| ReceivedBytes {
            log: sum.log + core.log.load(Ordering::Relaxed),
            copies: sum.copies + core.copies.load(Ordering::Relaxed),
            copied_entries: sum.copied_entries + core.copied_entries.load(Ordering::Relaxed),
        })
    }
}
