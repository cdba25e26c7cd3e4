//! [`Kept`]: what a live watch keeps, all keys or the first few records, and what each event of the nodes is for it.

use isogrid_core::Result;
use isogrid_proto::pb::watch_event::Event as Wire;
use isogrid_proto::pb::{self};
use isogrid_value::{Change, Field, Members, Origin, Place, Top, Wanted};

use super::raw::RawEntry;

/// What is kept.
pub(super) enum Kept {
    All(Members),
    First { top: Box<Top<RawEntry>>, field: Field, wanted: Wanted },
}

impl Kept {
    /// What an event of a node is for what is shown.
    pub(super) fn take(&mut self, event: pb::WatchEvent) -> Result<Vec<Change<RawEntry>>> {
        let partition = event.partition as u16;
        // Only changes have a token: what a snapshot tells has none before its end.
        let origin = if event.token.is_empty() { Origin::Snapshot } else { Origin::Log };
        let Some(event) = event.event else { return Ok(Vec::new()) };
        match self {
            Kept::All(members) => of_all(members, partition, event, origin),
            Kept::First { top, field, wanted } => {
                of_first(top, (field, wanted), partition, event, origin);
                Ok(top.changes())
            }
        }
    }
}

fn of_all(
    members: &mut Members,
    partition: u16,
    event: Wire,
    origin: Origin,
) -> Result<Vec<Change<RawEntry>>> {
    let place = |key, version| Place { partition, key, version };
    Ok(match event {
        Wire::Put(put) => {
            let entry = RawEntry::from(put.entry.unwrap_or_default());
            members
                .put(place(&put.key, entry.version), entry.clone(), origin)?
                .into_iter()
                .collect()
        }
        Wire::Removed(removed) => {
            members.gone(place(&removed.key, removed.version)).into_iter().collect()
        }
        Wire::Unmatched(unmatched) => {
            members.gone(place(&unmatched.key, unmatched.version)).into_iter().collect()
        }
        Wire::Cleared(cleared) => members.cleared(partition, cleared.version),
        Wire::SnapshotBegun(_) => {
            members.begin(partition);
            Vec::new()
        }
        Wire::SnapshotDone(_) => members.done(partition),
        // Neither comes to who has a filter.
        Wire::Lagged(_) | Wire::Compacted(_) => Vec::new(),
    })
}

fn of_first(
    top: &mut Top<RawEntry>,
    (field, wanted): (&Field, &Wanted),
    partition: u16,
    event: Wire,
    origin: Origin,
) {
    let place = |key, version| Place { partition, key, version };
    match event {
        Wire::Put(put) => {
            let mut entry = RawEntry::from(put.entry.unwrap_or_default());
            // A piece of a message would keep the whole message.
            entry.value = bytes::Bytes::copy_from_slice(&entry.value);
            // The node has read it: a value that cannot be read is meant by no filter but one without fields.
            let cell = wanted
                .read(&put.key, &entry.value)
                .map_or(isogrid_value::Cell::Null, |found| found.get(field).to_cell());
            top.put(place(&put.key, entry.version), cell, entry, origin);
        }
        Wire::Removed(removed) => top.gone(place(&removed.key, removed.version)),
        Wire::Unmatched(unmatched) => top.gone(place(&unmatched.key, unmatched.version)),
        Wire::Cleared(cleared) => top.cleared(partition, cleared.version),
        Wire::SnapshotBegun(_) => top.begin(partition),
        Wire::SnapshotDone(_) => top.done(partition),
        Wire::Lagged(_) | Wire::Compacted(_) => {}
    }
}
