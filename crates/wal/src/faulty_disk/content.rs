//! What a file of a [`FaultyDisk`](super::FaultyDisk) holds: what is durable, and the changes since.

/// A change to a file that is not durable yet.
#[derive(Clone, Debug)]
pub(super) enum Change {
    Write { offset: usize, bytes: Vec<u8> },
    SetLen(usize),
}

impl Change {
    /// How many steps it can be cut into by a crash.
    pub(super) fn steps(&self) -> usize {
        match self {
            Change::Write { bytes, .. } => bytes.len(),
            Change::SetLen(_) => 1,
        }
    }

    pub(super) fn apply(&self, content: &mut Vec<u8>, steps: usize) {
        match self {
            Change::Write { offset, bytes } if steps > 0 => {
                let end = offset + steps;
                content.resize(content.len().max(end), 0);
                content[*offset..end].copy_from_slice(&bytes[..steps]);
            }
            Change::SetLen(length) if steps > 0 => content.resize(*length, 0),
            Change::Write { .. } | Change::SetLen(_) => {}
        }
    }
}

#[derive(Clone, Debug, Default)]
pub(super) struct Content {
    pub(super) durable: Vec<u8>,
    pub(super) now: Vec<u8>,
    pub(super) changes: Vec<Change>,
}

impl Content {
    /// Forgets what is not durable but for a part that `keep` chooses.
    pub(super) fn crash(&mut self, mut keep: impl FnMut(usize) -> usize) {
        let changes = std::mem::take(&mut self.changes);
        let steps: usize = changes.iter().map(Change::steps).sum();
        let mut kept = if steps > 0 { keep(steps).min(steps) } else { 0 };
        for change in changes {
            let of_this = kept.min(change.steps());
            change.apply(&mut self.durable, of_this);
            kept -= of_this;
        }
        self.now.clone_from(&self.durable);
    }
}
