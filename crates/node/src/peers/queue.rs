//! Packed messages that wait to be sent, split into batches.

use std::collections::VecDeque;

use tracing::warn;

use super::codec::{BATCH_VERSION, encode};
use super::limits::MESSAGE_BYTES_MAX;
use super::message::LinkMessage;

/// The largest batch whose size the next one starts with: more is not worth keeping ready.
const PREPARED_BYTES_MAX: usize = 64 << 10;

/// Messages of one urgency, first in, first out.
#[derive(Debug)]
pub(super) struct Queue {
    /// Where a batch is split.
    batch_bytes: usize,
    /// Batches that take no more.
    full: VecDeque<Vec<u8>>,
    /// The batch that grows.
    growing: Vec<u8>,
    /// How many bytes wait in all.
    bytes: usize,
    /// How many messages wait in all.
    messages: u64,
    /// How large the last batch was: the next will not be very different.
    last_bytes: usize,
}

impl Queue {
    /// An empty queue that makes batches of about this size.
    pub(super) fn new(batch_bytes: usize) -> Self {
        Self {
            batch_bytes,
            full: VecDeque::new(),
            growing: Vec::new(),
            bytes: 0,
            messages: 0,
            last_bytes: 0,
        }
    }

    /// How many bytes wait.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Packs a message to the others. Says how many bytes it has, or nothing when it is too large for any link.
    pub(super) fn push(&mut self, message: &LinkMessage) -> Option<usize> {
        if self.growing.is_empty() {
            self.growing = Vec::with_capacity(self.last_bytes.min(PREPARED_BYTES_MAX));
            self.growing.push(BATCH_VERSION);
        }
        let start = self.growing.len();
        encode(message, &mut self.growing);
        let bytes = self.growing.len() - start;
        if bytes > MESSAGE_BYTES_MAX {
            self.growing.truncate(start);
            warn!(bytes, "a message was dropped: it is larger than any link carries");
            return None;
        }
        if start > 1 && self.growing.len() > self.batch_bytes {
            let mut next = vec![BATCH_VERSION];
            next.extend_from_slice(&self.growing[start..]);
            self.growing.truncate(start);
            self.full.push_back(std::mem::replace(&mut self.growing, next));
        }
        self.bytes += bytes;
        self.messages += 1;
        Some(bytes)
    }

    /// The oldest batch.
    pub(super) fn pop(&mut self) -> Option<Vec<u8>> {
        let batch = match self.full.pop_front() {
            Some(batch) => batch,
            None if self.growing.len() > 1 => {
                self.messages = 0;
                std::mem::take(&mut self.growing)
            }
            None => return None,
        };
        self.bytes -= batch.len() - 1;
        self.last_bytes = batch.len();
        Some(batch)
    }

    /// Forgets everything; says about how many messages that were.
    pub(super) fn clear(&mut self) -> u64 {
        let messages = self.messages;
        *self = Self::new(self.batch_bytes);
        messages
    }
}
