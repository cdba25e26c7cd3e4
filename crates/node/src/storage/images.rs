//! Writes images of partitions to the disk, page by page, several before the log is synced once for all of them.

use std::time::{Duration, Instant};

use isogrid_core::{LogPosition, PartitionId};
use isogrid_persist::Void;
use isogrid_wal::snapshot::writer::publish_all;
use isogrid_wal::{OsDisk, SnapshotEnd, SnapshotInfo, SnapshotWriter, WalError};

use super::Storage;
use super::rest::Rest;
use super::snapshots::End;
use crate::engine::Engine;

/// For so many bytes of records a partition's lock is held.
const PAGE_BYTES: usize = 64 << 10;

/// How many bytes of records go to a block of a snapshot.
const BLOCK_BYTES: usize = 1 << 20;

/// How many images are taken before the first of them is published, and of how many bytes at the most.
const IMAGES_MAX: usize = 16;
const IMAGES_BYTES: usize = 16 << 20;

/// How long it is waited until what the images show is committed, and how often it is looked.
const COMMIT_MAX: Duration = Duration::from_millis(500);
const COMMIT_LOOK: Duration = Duration::from_millis(5);

/// An image that is being taken. Dropped before it is on disk it is given up.
struct Attempt<'e> {
    engine: &'e Engine,
    partition: PartitionId,
}

impl Drop for Attempt<'_> {
    fn drop(&mut self) {
        self.engine.drop_image(self.partition);
    }
}

/// An image all of whose pages are written, and that does not count yet.
struct Unpublished<'e> {
    attempt: Attempt<'e>,
    writer: SnapshotWriter<OsDisk>,
    bytes: usize,
}

impl Storage {
    /// Writes images of these partitions, of those of which one can be had at the moment. Returns how many.
    pub(super) fn write_images(
        &self,
        engine: &Engine,
        partitions: &[PartitionId],
        (end, mut rest): (&End, Rest),
    ) -> Result<usize, WalError> {
        let mut written = 0;
        let mut left = partitions.iter().copied();
        loop {
            let (mut images, mut bytes) = (Vec::new(), 0);
            for partition in left.by_ref() {
                let walked = self.walk(engine, partition, (end, &mut rest))?;
                let Some(image) = walked else { continue };
                bytes += image.bytes;
                images.push(image);
                if bytes >= IMAGES_BYTES || images.len() >= IMAGES_MAX {
                    break;
                }
            }
            if images.is_empty() || end.is_over() {
                return Ok(written);
            }
            // Many files synced at the same time hold up the log's writes.
            let together = if rest.is_none() { IMAGES_MAX } else { 1 };
            written += self.publish(images, together)?;
        }
    }

    /// Writes the pages of one image; `None` when it cannot be had.
    fn walk<'e>(
        &self,
        engine: &'e Engine,
        partition: PartitionId,
        (end, rest): (&End, &mut Rest),
    ) -> Result<Option<Unpublished<'e>>, WalError> {
        let Some(head) = engine.begin_image(partition)? else { return Ok(None) };
        let attempt = Attempt { engine, partition };
        let mut image = Unpublished {
            attempt,
            writer: SnapshotWriter::create(&self.disk, self.id, head)?,
            bytes: 0,
        };
        let (mut block, mut records) = (Vec::new(), 0);
        while !end.is_over() {
            let begun = Instant::now();
            let Ok(page) = engine.image_page(partition, PAGE_BYTES, &mut block) else { break };
            records += page.records;
            if records > 0 && (page.is_last || block.len() >= BLOCK_BYTES) {
                image.writer.block(&block, records)?;
                image.bytes += block.len();
                block.clear();
                records = 0;
            }
            if page.is_last {
                return Ok(Some(image));
            }
            if let Some(rest) = rest.after(begun.elapsed()) {
                self.growth.lock().rests(rest);
                end.wait(rest);
            }
        }
        Ok(None)
    }

    /// Publishes those of these images that come to be of committed data, so many at a time. Returns how many.
    fn publish(&self, images: Vec<Unpublished<'_>>, together: usize) -> Result<usize, WalError> {
        let begun = Instant::now();
        let settled = images.into_iter().filter_map(|image| {
            let end = settle(&image.attempt, begun)?;
            Some((image, end))
        });
        let settled: Vec<_> = settled.collect();
        // An image needs the log from where it begins to where it ended; older ones go only when that is safe.
        let log_end = self.log.lock().end();
        self.sync()?;
        let synced = self.log.lock().synced();
        let mut settled = settled.into_iter().map(|(image, complete_at)| {
            let Unpublished { attempt, writer, .. } = image;
            (attempt, (writer, SnapshotEnd { complete_at, log_end }))
        });
        let mut written = 0;
        while settled.len() > 0 {
            let (attempts, writers): (Vec<_>, Vec<_>) = settled.by_ref().take(together).unzip();
            let snapshots = publish_all(&self.disk, writers, synced)?;
            written += self.count_published(attempts.iter().zip(snapshots));
        }
        Ok(written)
    }

    /// Counts those of these snapshots that are worth something.
    fn count_published<'a>(
        &self,
        published: impl Iterator<Item = (&'a Attempt<'a>, SnapshotInfo)>,
    ) -> usize {
        let mut written = 0;
        for (attempt, snapshot) in published {
            self.counts.wrote_snapshot(snapshot.file_bytes);
            if attempt.engine.imaged(attempt.partition) {
                self.snapshots.lock().insert(attempt.partition, snapshot);
                written += 1;
            }
        }
        written
    }
}

/// Waits until what an image shows is committed and written, but not for long. Says where the image ended.
fn settle(attempt: &Attempt<'_>, begun: Instant) -> Option<LogPosition> {
    loop {
        match attempt.engine.image_end(attempt.partition) {
            Ok(Some(end)) => return Some(end),
            Ok(None) if begun.elapsed() < COMMIT_MAX => std::thread::sleep(COMMIT_LOOK),
            Ok(None) | Err(Void) => return None,
        }
    }
}
