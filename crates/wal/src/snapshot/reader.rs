//! [`SnapshotReader`]: gives a snapshot's pages, each one verified before it is unpacked.

use std::io;

use crate::disk::{Disk, DiskFile};
use crate::error::{Damage, Result, WalError};
use crate::place::{SNAPSHOT_FOLDER, snapshot_path};
use crate::segment::known_format;
use crate::snapshot::{
    BLOCK_HEADER_BYTES, BlockHeader, FOOTER_BYTES, Footer, HEADER_BYTES, Header,
    SNAPSHOT_BLOCK_BYTES_MAX, SNAPSHOT_SESSIONS_BYTES_MAX, SnapshotHead, SnapshotInfo,
};
use crate::walk::first_bytes;

const READ_BYTES: usize = 1 << 20;

/// A page of records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Block<'a> {
    /// The records' bytes.
    pub bytes: &'a [u8],
    /// How many records.
    pub records: u32,
}

/// A snapshot being read.
#[derive(Debug)]
pub struct SnapshotReader<D: Disk> {
    file: D::File,
    path: String,
    head: SnapshotHead,
    footer: Footer,
    seen: Footer,
    offset: u64,
    /// Where the blocks end.
    end: u64,
    stored: Vec<u8>,
    block: Vec<u8>,
}

impl<D: Disk> SnapshotReader<D> {
    /// Opens a snapshot by its path. That all its bytes are right is known when the last page was read.
    ///
    /// # Errors
    /// The disk's; the file is damaged, of another storage, or of a newer format.
    pub fn open(disk: &D, storage: u128, path: &str) -> Result<Self> {
        let file = disk.open(path).map_err(|error| reading(path, error))?;
        let length = file.length().map_err(|error| reading(path, error))?;
        let header = read_header(&file, path)?;
        accept(&header, storage, path)?;
        let damaged = |offset, why: &str| damaged(path, offset, why);
        let blocks_at = HEADER_BYTES as u64 + u64::from(header.sessions_bytes);
        let is_short = length < blocks_at + FOOTER_BYTES as u64;
        if is_short || header.sessions_bytes as usize > SNAPSHOT_SESSIONS_BYTES_MAX {
            return Err(damaged(length, "the snapshot ends too early"));
        }
        let mut head = header.head;
        head.sessions = vec![0; header.sessions_bytes as usize];
        let mut footer = [0; FOOTER_BYTES];
        let end = length - FOOTER_BYTES as u64;
        for (at, buffer) in [(HEADER_BYTES as u64, &mut head.sessions[..]), (end, &mut footer)] {
            let read = file.read_at(at, buffer).map_err(|error| reading(path, error))?;
            if read < buffer.len() {
                return Err(damaged(at, "the snapshot ends too early"));
            }
        }
        if crc32c::crc32c(&head.sessions) != header.sessions_crc {
            return Err(damaged(HEADER_BYTES as u64, "the sessions do not match their checksum"));
        }
        let Some((footer, _)) = Footer::decode(&footer) else {
            return Err(damaged(end, "the snapshot has no footer"));
        };
        Ok(SnapshotReader {
            file,
            path: path.to_owned(),
            head,
            footer,
            seen: Footer { complete_at: footer.complete_at, ..Footer::default() },
            offset: blocks_at,
            end,
            stored: Vec::new(),
            block: Vec::new(),
        })
    }

    /// What it is of.
    pub fn head(&self) -> &SnapshotHead {
        &self.head
    }

    /// How many records it has.
    pub fn records(&self) -> u64 {
        self.footer.records
    }

    /// The next page; `None` after the last one.
    ///
    /// # Errors
    /// The disk's; the bytes are not what was written.
    pub fn next_block(&mut self) -> Result<Option<Block<'_>>> {
        if self.offset == self.end {
            if self.seen != self.footer {
                return Err(self.damaged("the snapshot's counts are not those of its footer"));
            }
            return Ok(None);
        }
        let header = self.next_stored()?;
        self.block.resize(header.bytes as usize, 0);
        let unpacked = lz4_flex::block::decompress_into(&self.stored, &mut self.block);
        if unpacked.ok() != Some(header.bytes as usize) {
            return Err(self.damaged("a block cannot be unpacked"));
        }
        self.offset += (BLOCK_HEADER_BYTES + self.stored.len()) as u64;
        self.seen.blocks += 1;
        self.seen.records += u64::from(header.records);
        self.seen.bytes += u64::from(header.bytes);
        Ok(Some(Block { bytes: &self.block, records: header.records }))
    }

    /// Reads the next block as it is stored, and verifies it.
    fn next_stored(&mut self) -> Result<BlockHeader> {
        let mut header = [0; BLOCK_HEADER_BYTES];
        self.read(self.offset, &mut header)?;
        let Some(block) = BlockHeader::decode(&header) else {
            return Err(self.damaged("a block has no header"));
        };
        let stored_at = self.offset + BLOCK_HEADER_BYTES as u64;
        if block.bytes as usize > SNAPSHOT_BLOCK_BYTES_MAX
            || stored_at + u64::from(block.stored) > self.end
        {
            return Err(self.damaged("a block is longer than it can be"));
        }
        let mut stored = std::mem::take(&mut self.stored);
        stored.resize(block.stored as usize, 0);
        let read = self.read(stored_at, &mut stored);
        self.stored = stored;
        read?;
        let crc = crc32c::crc32c_append(crc32c::crc32c(&header[..12]), &self.stored);
        if crc != block.crc {
            return Err(self.damaged("a block does not match its checksum"));
        }
        Ok(block)
    }

    fn read(&self, offset: u64, buffer: &mut [u8]) -> Result<()> {
        let read = self.file.read_at(offset, buffer).map_err(|error| reading(&self.path, error))?;
        if read < buffer.len() || offset + read as u64 > self.end {
            return Err(self.damaged("the snapshot ends too early"));
        }
        Ok(())
    }

    fn damaged(&self, why: &str) -> WalError {
        damaged(&self.path, self.offset, why)
    }
}

/// Reads all of a snapshot without unpacking it and says what it is, if every byte is what was written.
///
/// # Errors
/// The disk's; the file is damaged, of another storage, or of a newer format.
pub(crate) fn check<D: Disk>(disk: &D, storage: u128, path: &str) -> Result<SnapshotInfo> {
    let reader = SnapshotReader::open(disk, storage, path)?;
    let crc_at = reader.end + FOOTER_BYTES as u64 - 4;
    let mut buffer = vec![0; READ_BYTES];
    let (mut offset, mut crc) = (0, 0);
    while offset < crc_at {
        let wanted = buffer.len().min((crc_at - offset) as usize);
        let read = reader
            .file
            .read_at(offset, &mut buffer[..wanted])
            .map_err(|error| reading(path, error))?;
        if read == 0 {
            return Err(damaged(path, offset, "the snapshot ends too early"));
        }
        crc = crc32c::crc32c_append(crc, &buffer[..read]);
        offset += read as u64;
    }
    let mut expected = [0; 4];
    reader.file.read_at(crc_at, &mut expected).map_err(|error| reading(path, error))?;
    if u32::from_le_bytes(expected) != crc {
        return Err(damaged(path, crc_at, "the snapshot does not match its checksum"));
    }
    let (head, footer) = (reader.head, reader.footer);
    if snapshot_path(head.partition, head.position) != path {
        return Err(damaged(path, 0, "the snapshot is not the one that its name says"));
    }
    Ok(SnapshotInfo {
        path: path.to_owned(),
        partition: head.partition,
        position: head.position,
        replay_from: head.replay_from,
        complete_at: footer.complete_at,
        hlc: head.hlc,
        loss_generation: head.loss_generation,
        blocks: footer.blocks,
        records: footer.records,
        bytes: footer.bytes,
        file_bytes: crc_at + 4,
    })
}

/// Whose snapshots these are, as far as they say so.
pub(crate) fn storage_of<D: Disk>(disk: &D) -> Option<u128> {
    let names = disk.list(SNAPSHOT_FOLDER).ok()?;
    names.iter().find_map(|name| {
        let path = format!("{SNAPSHOT_FOLDER}/{name}");
        read_header(&disk.open(&path).ok()?, &path).ok().map(|header| header.storage)
    })
}

fn read_header<F: DiskFile>(file: &F, path: &str) -> Result<Header> {
    let bytes = first_bytes(file, HEADER_BYTES).map_err(|error| reading(path, error))?;
    Header::decode(&bytes)
        .ok_or_else(|| damaged(path, 0, "the snapshot's header does not match its checksum"))
}

fn accept(header: &Header, storage: u128, path: &str) -> Result<()> {
    if !header.is_known() {
        let (format, minor) = (header.format, header.minor);
        return Err(WalError::FormatNewer {
            file: path.to_owned(),
            found: format!("format {format}.{minor}, codec {}", header.codec),
            known: known_format(),
        });
    }
    if header.storage != storage {
        let file = path.to_owned();
        return Err(WalError::Foreign { file, found: header.storage, expected: storage });
    }
    Ok(())
}

fn damaged(path: &str, offset: u64, why: &str) -> WalError {
    WalError::Damaged(Damage { file: path.to_owned(), offset, why: why.to_owned() })
}

fn reading(path: &str, error: io::Error) -> WalError {
    WalError::io(format!("reading {path}"), error)
}
