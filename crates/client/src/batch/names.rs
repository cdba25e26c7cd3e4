//! The names of a batch's writes: each keeps its own through all attempts.

use isogrid_core::PartitionId;

use crate::link::Link;
use crate::numbers::{Begun, Tag};

/// The names of the writes of a batch. Ends them all when the batch is over, or given up.
pub(super) struct Names<'l> {
    pub(super) link: &'l Link,
    /// One for each operation; empty as long as no write was named.
    pub(super) tags: Vec<Option<Tag>>,
    /// Which writes may have been executed; empty as long as none may.
    pub(super) in_doubt: Vec<bool>,
}

impl Names<'_> {
    #[inline]
    pub(super) fn of(&self, index: usize) -> Option<&Tag> {
        self.tags.get(index)?.as_ref()
    }

    pub(super) fn is_in_doubt(&self, index: usize) -> bool {
        self.in_doubt.get(index).copied().unwrap_or(false)
    }

    pub(super) fn set_in_doubt(&mut self, index: usize, operations: usize) {
        self.in_doubt.resize(operations, false);
        self.in_doubt[index] = true;
    }

    /// A write is answered for good.
    #[inline]
    pub(super) fn end(&mut self, index: usize) {
        if let Some(tag) = self.tags.get_mut(index).and_then(Option::take) {
            self.link.numbers.end(&tag);
        }
    }

    /// Gives a write its name, the same one for every attempt.
    pub(super) fn name(
        &mut self,
        index: usize,
        partition: PartitionId,
        operations: usize,
    ) -> Named {
        let numbers = &self.link.numbers;
        if let Some(tag) = self.of(index) {
            if let Some(again) = numbers.again(tag) {
                self.tags[index] = Some(again);
                return Named::Ready;
            }
            if self.is_in_doubt(index) {
                return Named::SessionEnded;
            }
        }
        match numbers.begin(partition) {
            Begun::Tagged(tag) => {
                if self.tags.is_empty() {
                    self.tags.resize(operations, None);
                }
                self.tags[index] = Some(tag);
                Named::Ready
            }
            Begun::Nameless => {
                if let Some(tag) = self.tags.get_mut(index) {
                    *tag = None;
                }
                Named::Ready
            }
            Begun::Full => Named::Later,
        }
    }
}

impl Drop for Names<'_> {
    fn drop(&mut self) {
        for tag in self.tags.iter().flatten() {
            self.link.numbers.end(tag);
        }
    }
}

/// Whether a write may go out.
pub(super) enum Named {
    Ready,
    /// Others must be answered first.
    Later,
    /// It may have been executed, and nobody can tell any more.
    SessionEnded,
}
