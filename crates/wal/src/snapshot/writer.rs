//! [`SnapshotWriter`]: writes a snapshot beside the others and, when it is whole and on disk, in their place.

use isogrid_core::{LogPosition, PartitionId};

use crate::disk::{Disk, DiskFile};
use crate::error::{Result, WalError};
use crate::place::{Place, SNAPSHOT_FOLDER, TEMPORARY_SUFFIX, snapshot_name, snapshot_path};
use crate::snapshot::{
    BLOCK_HEADER_BYTES, Footer, Header, SNAPSHOT_BLOCK_BYTES_MAX, SNAPSHOT_SESSIONS_BYTES_MAX,
    SnapshotHead, SnapshotInfo,
};

/// What is known when the last page was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SnapshotEnd {
    /// The pages may hold what entries up to here changed: the last one when the walk ended. All of them are committed.
    pub complete_at: LogPosition,
    /// The end of the log when that entry was in it.
    pub log_end: Place,
}

/// A snapshot being written. Dropped unpublished it leaves nothing; a temporary file that cannot be removed then is removed
/// later.
#[derive(Debug)]
pub struct SnapshotWriter<D: Disk> {
    disk: D,
    file: D::File,
    path: String,
    head: SnapshotHead,
    offset: u64,
    crc: u32,
    footer: Footer,
    buffer: Vec<u8>,
    is_published: bool,
}

impl<D: Disk> SnapshotWriter<D> {
    /// Begins a snapshot.
    ///
    /// # Errors
    /// The disk's, or the sessions are too long.
    pub fn create(disk: &D, storage: u128, head: SnapshotHead) -> Result<Self> {
        if head.sessions.len() > SNAPSHOT_SESSIONS_BYTES_MAX {
            return Err(WalError::refused("the sessions are too long for a snapshot"));
        }
        let path = snapshot_path(head.partition, head.position);
        let file = disk
            .create(&format!("{path}{TEMPORARY_SUFFIX}"))
            .map_err(|error| WalError::io(format!("making {path}"), error))?;
        let header = Header::new(storage, head.clone());
        let mut writer = SnapshotWriter {
            disk: disk.clone(),
            file,
            path,
            head,
            offset: 0,
            crc: 0,
            footer: Footer::default(),
            buffer: Vec::new(),
            is_published: false,
        };
        writer.write(&header.encode())?;
        writer.write(&header.head.sessions)?;
        Ok(writer)
    }

    /// Writes a page of records.
    ///
    /// # Errors
    /// The disk's, or the page is too long.
    pub fn block(&mut self, records: &[u8], count: u32) -> Result<()> {
        if records.len() > SNAPSHOT_BLOCK_BYTES_MAX {
            return Err(WalError::refused("a page of a snapshot is too long"));
        }
        let mut out = std::mem::take(&mut self.buffer);
        let room = lz4_flex::block::get_maximum_output_size(records.len());
        if out.len() < BLOCK_HEADER_BYTES + room {
            out.resize(BLOCK_HEADER_BYTES + room, 0);
        }
        let stored = lz4_flex::block::compress_into(records, &mut out[BLOCK_HEADER_BYTES..])
            .map_err(|error| WalError::refused(format!("compressing a page: {error}")))?;
        let packed = BLOCK_HEADER_BYTES + stored;
        for (at, number) in [records.len() as u32, stored as u32, count].into_iter().enumerate() {
            out[at * 4..at * 4 + 4].copy_from_slice(&number.to_le_bytes());
        }
        let crc =
            crc32c::crc32c_append(crc32c::crc32c(&out[..12]), &out[BLOCK_HEADER_BYTES..packed]);
        out[12..BLOCK_HEADER_BYTES].copy_from_slice(&crc.to_le_bytes());
        self.footer.blocks += 1;
        self.footer.records += u64::from(count);
        self.footer.bytes += records.len() as u64;
        let written = self.write(&out[..packed]);
        self.buffer = out;
        written
    }

    /// Ends the snapshot: it is synced and takes the place of the partition's older ones. `synced` is up to where the log is
    /// synced: the older snapshots are only gone when this one can be used.
    ///
    /// # Errors
    /// The disk's; or the log is not synced up to where the snapshot needs it.
    pub fn publish(self, end: SnapshotEnd, synced: Place) -> Result<SnapshotInfo> {
        let disk = self.disk.clone();
        let mut published = publish_all(&disk, vec![(self, end)], synced)?;
        published.pop().ok_or_else(|| WalError::refused("no snapshot was published"))
    }

    /// Writes what a snapshot ends with.
    fn finish(&mut self, end: SnapshotEnd, synced: Place) -> Result<()> {
        if synced < end.log_end || end.complete_at < self.head.position {
            return Err(WalError::refused(format!(
                "a snapshot needs the log synced up to {} and a walk that ends behind its beginning; it is synced to {synced}",
                end.log_end
            )));
        }
        self.footer.complete_at = end.complete_at;
        let footer = self.footer.encode();
        self.write(&footer)?;
        let crc = self.crc.to_le_bytes();
        self.write(&crc)
    }

    /// What the snapshot is, once it is finished.
    fn info(&self) -> SnapshotInfo {
        SnapshotInfo {
            partition: self.head.partition,
            position: self.head.position,
            replay_from: self.head.replay_from,
            complete_at: self.footer.complete_at,
            hlc: self.head.hlc,
            loss_generation: self.head.loss_generation,
            blocks: self.footer.blocks,
            records: self.footer.records,
            bytes: self.footer.bytes,
            file_bytes: self.offset,
            path: self.path.clone(),
        }
    }

    fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.file
            .write_at(self.offset, bytes)
            .map_err(|error| WalError::io(format!("writing {}", self.path), error))?;
        self.offset += bytes.len() as u64;
        self.crc = crc32c::crc32c_append(self.crc, bytes);
        Ok(())
    }
}

impl<D: Disk> Drop for SnapshotWriter<D> {
    fn drop(&mut self) {
        if !self.is_published {
            let _ = self.disk.remove(&format!("{}{TEMPORARY_SUFFIX}", self.path));
        }
    }
}

/// Publishes snapshots, of a partition each, as [`SnapshotWriter::publish`] does one: they are synced together, and so are
/// their names, for each sync of a new file may make the file system write its journal.
///
/// # Errors
/// The disk's; or the log is not synced up to where one of them needs it. Any of them may be published then.
pub fn publish_all<D: Disk>(
    disk: &D,
    mut snapshots: Vec<(SnapshotWriter<D>, SnapshotEnd)>,
    synced: Place,
) -> Result<Vec<SnapshotInfo>> {
    for (writer, end) in &mut snapshots {
        writer.finish(*end, synced)?;
    }
    let failed = |error| WalError::io("publishing snapshots", error);
    let mut files: Vec<_> = snapshots.iter_mut().map(|(writer, _)| &mut writer.file).collect();
    disk.sync_files(&mut files).map_err(failed)?;
    for (writer, _) in &mut snapshots {
        let temporary = format!("{}{TEMPORARY_SUFFIX}", writer.path);
        disk.rename(&temporary, &writer.path).map_err(failed)?;
        writer.is_published = true;
    }
    disk.sync_folder(SNAPSHOT_FOLDER).map_err(failed)?;
    let published: Vec<_> = snapshots.iter().map(|(writer, _)| writer.info()).collect();
    remove_where(disk, |partition, path| {
        let is_one = |one: &SnapshotInfo| one.partition == partition;
        published.iter().any(is_one) && published.iter().all(|one| one.path != path)
    })?;
    Ok(published)
}

/// Removes the files of snapshots that were not finished; none may be under way. Returns how many.
///
/// # Errors
/// The disk's: what was not removed can be removed later.
pub fn remove_temporary<D: Disk>(disk: &D) -> Result<usize> {
    let failed = |error| WalError::io("removing an unfinished snapshot", error);
    let mut removed = 0;
    for name in disk.list(SNAPSHOT_FOLDER).map_err(failed)? {
        if name.ends_with(TEMPORARY_SUFFIX) {
            disk.remove(&format!("{SNAPSHOT_FOLDER}/{name}")).map_err(failed)?;
            removed += 1;
        }
    }
    Ok(removed)
}

/// Removes the snapshots of a partition, but for one. After a `Reset` of the partition was synced none is needed.
///
/// # Errors
/// The disk's. What could not be removed, or is there again after a loss of power, does no harm.
pub fn remove_snapshots<D: Disk>(
    disk: &D,
    partition: PartitionId,
    except: Option<&str>,
) -> Result<()> {
    remove_where(disk, |whose, path| whose == partition && except != Some(path))
}

fn remove_where<D: Disk>(disk: &D, is_void: impl Fn(PartitionId, &str) -> bool) -> Result<()> {
    let failed = |error| WalError::io("removing old snapshots", error);
    for name in disk.list(SNAPSHOT_FOLDER).map_err(failed)? {
        let path = format!("{SNAPSHOT_FOLDER}/{name}");
        if snapshot_name(&name).is_some_and(|(whose, _)| is_void(whose, &path)) {
            disk.remove(&path).map_err(failed)?;
        }
    }
    Ok(())
}
