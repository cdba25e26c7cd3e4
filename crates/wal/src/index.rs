//! [`SegmentIndex`]: which segments hold entries of which partition, so that a snapshot knows from where the log must be kept.

use std::collections::BTreeMap;

use isogrid_core::PartitionId;

use crate::place::Place;
use crate::record::Record;

/// What one segment holds of a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Span {
    /// Its first record there that was not replaced, and the number of its first entry.
    first: Place,
    first_seq: u64,
    /// The largest number of an entry there that was not replaced.
    last_seq: u64,
}

/// Which segments hold what.
#[derive(Clone, Debug, Default)]
pub(crate) struct SegmentIndex {
    spans: BTreeMap<PartitionId, Vec<Span>>,
}

impl SegmentIndex {
    /// Notes a record.
    pub(crate) fn note(&mut self, place: Place, record: &Record<'_>) {
        match *record {
            Record::Entries { partition, first, last, .. } => {
                let spans = self.spans.entry(partition).or_default();
                // What stood there from this number on is replaced.
                for span in spans.iter_mut().rev().take_while(|span| span.last_seq >= first.seq) {
                    span.last_seq = first.seq - 1;
                }
                let last_seq = last.seq;
                match spans.last_mut().filter(|span| span.first.segment == place.segment) {
                    Some(span) if span.first_seq < first.seq => span.last_seq = last_seq,
                    Some(span) => *span = Span { first: place, first_seq: first.seq, last_seq },
                    None => spans.push(Span { first: place, first_seq: first.seq, last_seq }),
                }
            }
            Record::Reset { partition } => {
                self.spans.remove(&partition);
            }
            // What stands before stays until the image is there.
            Record::Durable { .. } | Record::ImageBegun { .. } => {}
        }
    }

    /// From where all entries from a number on are found; `None` when there are none.
    pub(crate) fn holds_from(&self, partition: PartitionId, seq: u64) -> Option<Place> {
        let spans = self.spans.get(&partition)?;
        spans.iter().find(|span| span.last_seq >= seq).map(|span| span.first)
    }

    /// Forgets segments that are gone.
    pub(crate) fn prune(&mut self, before: u64) {
        for spans in self.spans.values_mut() {
            spans.retain(|span| span.first.segment >= before);
        }
        self.spans.retain(|_, spans| !spans.is_empty());
    }
}
