//! [`Survey`]: goes through the whole log once, without changing anything, and says what is there: where the log ends, what each
//! partition has, what is damaged.
//!
//! | module | what it does |
//! |---|---|
//! | [`folder`] | lists the segments and snapshots, and refuses what does not belong there |
//! | [`choice`] | which snapshot each partition begins with |

pub(crate) mod choice;
pub(crate) mod folder;

use std::collections::BTreeMap;

use isogrid_core::PartitionId;

use crate::disk::Disk;
use crate::error::{Damage, Result, WalError};
use crate::index::SegmentIndex;
use crate::place::{Place, segment_path};
use crate::record::{Record, RecordHeader, segment_seed};
use crate::segment::known_format;
use crate::survey::folder::Segment;
use crate::track::Track;
use crate::walk::{Step, Walk};

/// Something to know that concerns no partition's data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Remark {
    /// The last write did not get through before the end: its bytes are not part of the log.
    TornTail {
        /// Where the log ends now.
        place: Place,
        /// How many bytes were cut.
        bytes: u64,
    },
    /// A segment was being made; it holds nothing.
    UnfinishedSegment {
        /// Its number.
        number: u64,
    },
    /// A durable mark is damaged.
    DamagedMark {
        /// Where.
        place: Place,
    },
    /// A snapshot cannot be used; another one is, or the log alone.
    SnapshotSkipped {
        /// What is wrong with it.
        damage: Damage,
    },
}

/// What the log holds.
#[derive(Debug)]
pub(crate) struct Survey {
    pub(crate) tracks: BTreeMap<PartitionId, Track>,
    /// Records that may have been anybody's.
    pub(crate) lost: Vec<(Place, Damage)>,
    pub(crate) remarks: Vec<Remark>,
    /// Up to here the log was synced.
    pub(crate) durable: Place,
    /// Where the log ends.
    pub(crate) end: Place,
    pub(crate) index: SegmentIndex,
    /// What is wrong and not yet known to be damage: it may be the torn end.
    pending: Vec<Pending>,
    /// How many records.
    pub(crate) records: u64,
}

/// Bytes that are not what was written.
#[derive(Debug)]
struct Pending {
    place: Place,
    damage: Damage,
    /// Whose, if that is known.
    header: Option<RecordHeader>,
    /// Whether it may be the beginning of a write that did not get through.
    is_short: bool,
}

/// Reads a segment.
pub(crate) fn walk<D: Disk>(disk: &D, storage: u128, segment: &Segment) -> Result<Walk<D::File>> {
    let path = segment_path(segment.number);
    disk.open(&path)
        .and_then(|file| {
            let seed = segment_seed(storage, segment.number);
            Walk::new(file, seed, segment.end, segment.header.is_some())
        })
        .map_err(|error| WalError::io(format!("reading {path}"), error))
}

impl Survey {
    /// Goes through the log with these partitions' snapshots.
    pub(crate) fn new<D: Disk>(
        disk: &D,
        storage: u128,
        segments: &[Segment],
        tracks: BTreeMap<PartitionId, Track>,
    ) -> Result<Survey> {
        let mut survey = Survey {
            tracks,
            lost: Vec::new(),
            remarks: Vec::new(),
            durable: Place::default(),
            end: Place::default(),
            index: SegmentIndex::default(),
            pending: Vec::new(),
            records: 0,
        };
        let oldest = segments.first().map_or(u64::MAX, |segment| segment.number);
        survey.miss_pruned(oldest);
        let mut expected = oldest;
        for segment in segments {
            if segment.number > expected {
                let file = segment_path(expected);
                let why = "the segment is missing".to_owned();
                survey.lose(Place::new(expected, 0), Damage { file, offset: 0, why });
            }
            survey.read(walk(disk, storage, segment)?, segment.number)?;
            expected = segment.number + 1;
            survey.end = Place::new(segment.number, segment.end);
            if segment.number != segments[segments.len() - 1].number {
                survey.settle();
            }
        }
        survey.cut_torn_tail();
        survey.miss_end();
        Ok(survey)
    }

    /// Snapshots that need segments before the oldest.
    fn miss_pruned(&mut self, oldest: u64) {
        for track in self.tracks.values_mut() {
            if track.snapshot.is_some() && track.start.segment < oldest {
                let file = segment_path(track.start.segment);
                let why = "the segment is missing".to_owned();
                track.lose(track.start, &Damage { file, offset: track.start.offset, why });
            }
        }
    }

    /// Snapshots of a time that the log did not reach.
    fn miss_end(&mut self) {
        let end = self.end;
        for track in self.tracks.values_mut() {
            if track.start > end && track.damage.is_none() {
                let file = segment_path(track.start.segment);
                let why = format!("the log ends at {end}, before the snapshot was made");
                track.lose(track.start, &Damage { file, offset: track.start.offset, why });
            }
        }
    }

    fn read<F: crate::disk::DiskFile>(&mut self, mut walk: Walk<F>, number: u64) -> Result<()> {
        let path = segment_path(number);
        let failed = |error| WalError::io(format!("reading {path}"), error);
        let damage = |offset, why: &str| Damage { file: path.clone(), offset, why: why.to_owned() };
        while let Some(step) = walk.next(&|_| true).map_err(failed)? {
            match step {
                Step::Record { offset, next, record, .. } => {
                    self.settle();
                    self.records += 1;
                    self.take(
                        (Place::new(number, offset), Place::new(number, next)),
                        &path,
                        &record,
                    );
                }
                Step::Unknown { header } => {
                    return Err(WalError::FormatNewer {
                        file: path.clone(),
                        found: format!("a record of kind {}, flags {}", header.kind, header.flags),
                        known: known_format(),
                    });
                }
                Step::BadBody { offset, header, why } => self.pending.push(Pending {
                    place: Place::new(number, offset),
                    damage: damage(offset, why),
                    header: Some(header),
                    is_short: false,
                }),
                Step::Lost { offset, why, is_short } => self.pending.push(Pending {
                    place: Place::new(number, offset),
                    damage: damage(offset, why),
                    header: None,
                    is_short,
                }),
            }
        }
        Ok(())
    }

    fn take(&mut self, (at, next): (Place, Place), file: &str, record: &Record<'_>) {
        self.index.note(at, record);
        match *record {
            Record::Entries { partition, first, last, .. } => {
                self.track(partition).take_run(at, file, (first, last));
            }
            Record::Reset { partition } => self.track(partition).reset(at, next),
            Record::Durable { place } => self.durable = self.durable.max(place),
            Record::ImageBegun { partition, .. } => self.track(partition).detach(at),
        }
    }

    /// The partition's track. One that was not met before may have had records where some are lost.
    fn track(&mut self, partition: PartitionId) -> &mut Track {
        self.tracks.entry(partition).or_insert_with(|| {
            let mut track = Track::new(None);
            for (place, damage) in &self.lost {
                track.lose(*place, damage);
            }
            track
        })
    }

    /// What is pending is damage.
    fn settle(&mut self) {
        for Pending { place, damage, header, .. } in std::mem::take(&mut self.pending) {
            match header {
                Some(header) if header.is_mark() => {
                    self.remarks.push(Remark::DamagedMark { place });
                }
                Some(header) => self.track(header.partition).lose(place, &damage),
                None => self.lose(place, damage),
            }
        }
    }

    fn lose(&mut self, place: Place, damage: Damage) {
        for track in self.tracks.values_mut() {
            track.lose(place, &damage);
        }
        self.lost.push((place, damage));
    }

    /// What is pending at the end of the last segment was never finished, unless it was synced. A write that did not get through
    /// lacks its end: where all bytes are there and wrong, one that did may have been changed, or the power failed.
    fn cut_torn_tail(&mut self) {
        match self.pending.first() {
            Some(first) if first.place >= self.durable => {
                let (place, bytes) = (first.place, self.end.offset - first.place.offset);
                self.end = place;
                self.remarks.push(Remark::TornTail { place, bytes });
                let is_mark = |one: &Pending| one.header.is_some_and(|header| header.is_mark());
                let wrong = self.pending.drain(..).filter(|one| !one.is_short && !is_mark(one));
                self.lost.extend(wrong.map(|one| (one.place, one.damage)));
            }
            _ => self.settle(),
        }
    }
}
