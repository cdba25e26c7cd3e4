//! The file of a voter: its identity, its vote, its log and its last snapshot, in one redb file. A wiped file is another
//! voter: identity and log live and die together.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use isogrid_core::{Error, ErrorCode, Result};
use redb::backends::InMemoryBackend;
use redb::{Builder, Database, ReadableDatabase, ReadableTable, TableDefinition};
use ring::rand::{SecureRandom, SystemRandom};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::record::{Ballot, Cover, Place, Record, decode, encode};
use crate::types::Entry;

/// The version of the file that this build writes.
const FORMAT: u32 = 1;
/// What redb may keep in memory: the log itself is kept by us.
const CACHE_BYTES: usize = 8 << 20;

/// Single values, by name.
const VALUES: TableDefinition<&str, &[u8]> = TableDefinition::new("values");
/// Entries, by index.
const LOG: TableDefinition<u64, &[u8]> = TableDefinition::new("log");
/// The bytes of the snapshot.
const SNAPSHOT: TableDefinition<&str, &[u8]> = TableDefinition::new("snapshot");

/// A change of the file.
#[derive(Debug)]
pub(super) enum Write {
    /// Entries are added at their indexes.
    Append(Vec<(u64, Vec<u8>)>),
    /// Entries from this index on are dropped.
    TruncateFrom(u64),
    /// Entries up to this place are dropped.
    PurgeTo(Place),
    /// This voter's vote.
    Vote(Ballot),
    /// How far the log is known to be committed.
    Committed(Option<Place>),
    /// The snapshot, in place of the one before.
    Snapshot(Box<Cover>, Arc<Vec<u8>>),
}

/// A snapshot: what it covers, and its bytes.
pub(super) type Kept = (Cover, Vec<u8>);

/// Who this voter is. Drawn at random with the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Identity {
    /// The voter.
    pub(super) voter: u64,
    /// The incarnation of its log.
    pub(super) log: u64,
}

/// What the file holds when it is opened.
#[derive(Debug)]
pub(super) struct Loaded {
    pub(super) identity: Identity,
    pub(super) vote: Option<Ballot>,
    pub(super) committed: Option<Place>,
    pub(super) purged: Option<Place>,
    /// Entries and their encoded sizes, by index, without a hole.
    pub(super) entries: BTreeMap<u64, (Entry, usize)>,
    pub(super) has_snapshot: bool,
}

/// The file.
#[derive(Debug)]
pub(super) struct Store {
    database: Database,
}

impl Store {
    /// Opens the file in the node's folder or makes one; without a folder it lies in memory.
    pub(super) fn open(folder: Option<&Path>) -> Result<(Store, Loaded)> {
        let Some(folder) = folder else {
            let database = builder()
                .create_with_backend(InMemoryBackend::new())
                .map_err(|error| Error::new(ErrorCode::Internal, error.to_string()))?;
            return Store::load(database)
                .map_err(|e| Error::new(ErrorCode::Internal, e.to_string()));
        };
        let folder = folder.join("council");
        let path = folder.join("council.redb");
        let open = || -> io::Result<(Store, Loaded)> {
            fs::create_dir_all(&folder)?;
            let database = builder().create(&path).map_err(other)?;
            let opened = Store::load(database)?;
            // The name of a new file is durable as well before anybody hears of this voter.
            File::open(&folder)?.sync_all()?;
            Ok(opened)
        };
        open().map_err(|error| unusable(&path, &error))
    }

    /// Reads all of an opened file; an empty one gets an identity.
    pub(super) fn load(database: Database) -> io::Result<(Store, Loaded)> {
        let store = Store { database };
        let identity = store.establish()?;
        let reading = store.database.begin_read().map_err(other)?;
        let values = reading.open_table(VALUES).map_err(other)?;
        let log = reading.open_table(LOG).map_err(other)?;
        let mut entries = BTreeMap::new();
        for row in log.iter().map_err(other)? {
            let (index, bytes) = row.map_err(other)?;
            let record: Record = decode(bytes.value())?;
            if record.place.index != index.value() {
                return Err(damaged("an entry is not at its place"));
            }
            entries.insert(index.value(), (record.into_entry()?, bytes.value().len()));
        }
        let loaded = Loaded {
            identity,
            vote: value(&values, "vote")?,
            committed: value(&values, "committed")?,
            purged: value(&values, "purged")?,
            entries,
            has_snapshot: values.get("cover").map_err(other)?.is_some(),
        };
        loaded.check()?;
        Ok((store, loaded))
    }

    /// Draws who this voter is, unless the file says so already.
    fn establish(&self) -> io::Result<Identity> {
        let writing = self.database.begin_write().map_err(other)?;
        let identity;
        {
            let mut values = writing.open_table(VALUES).map_err(other)?;
            writing.open_table(LOG).map_err(other)?;
            writing.open_table(SNAPSHOT).map_err(other)?;
            let format: Option<u32> = value(&values, "format")?;
            if let Some(format) = format {
                if format > FORMAT {
                    let why = format!("its format {format} is newer than this build's {FORMAT}");
                    return Err(io::Error::other(why));
                }
                let parts = (value(&values, "voter")?, value(&values, "incarnation")?);
                let (Some(voter), Some(log)) = parts else {
                    return Err(damaged("it does not say which voter it belongs to"));
                };
                return Ok(Identity { voter, log });
            }
            identity = Identity { voter: draw()?, log: draw()? };
            put(&mut values, "format", &FORMAT)?;
            put(&mut values, "voter", &identity.voter)?;
            put(&mut values, "incarnation", &identity.log)?;
        }
        writing.commit().map_err(other)?;
        Ok(identity)
    }

    /// Makes changes durable: all of them, or none if it fails.
    pub(super) fn commit(&self, writes: &[Write]) -> io::Result<()> {
        let writing = self.database.begin_write().map_err(other)?;
        {
            let mut values = writing.open_table(VALUES).map_err(other)?;
            let mut log = writing.open_table(LOG).map_err(other)?;
            for write in writes {
                match write {
                    Write::Append(entries) => {
                        for (index, bytes) in entries {
                            log.insert(index, bytes.as_slice()).map_err(other)?;
                        }
                    }
                    Write::TruncateFrom(index) => {
                        log.retain_in(*index.., |_, _| false).map_err(other)?;
                    }
                    Write::PurgeTo(place) => {
                        log.retain_in(..=place.index, |_, _| false).map_err(other)?;
                        put(&mut values, "purged", place)?;
                    }
                    Write::Vote(ballot) => put(&mut values, "vote", ballot)?,
                    Write::Committed(Some(place)) => put(&mut values, "committed", place)?,
                    Write::Committed(None) => {
                        values.remove("committed").map_err(other)?;
                    }
                    Write::Snapshot(cover, bytes) => {
                        put(&mut values, "cover", cover)?;
                        let mut snapshot = writing.open_table(SNAPSHOT).map_err(other)?;
                        snapshot.insert("council", bytes.as_slice()).map_err(other)?;
                    }
                }
            }
        }
        writing.commit().map_err(other)
    }

    /// The last snapshot.
    pub(super) fn snapshot(&self) -> io::Result<Option<Kept>> {
        let reading = self.database.begin_read().map_err(other)?;
        let values = reading.open_table(VALUES).map_err(other)?;
        let Some(cover) = value(&values, "cover")? else { return Ok(None) };
        let table = reading.open_table(SNAPSHOT).map_err(other)?;
        let Some(bytes) = table.get("council").map_err(other)? else {
            return Err(damaged("the snapshot is missing"));
        };
        Ok(Some((cover, bytes.value().to_vec())))
    }
}

impl Loaded {
    /// The log has no hole, and what was dropped is in a snapshot.
    fn check(&self) -> io::Result<()> {
        let begin = self.purged.map_or(0, |place| place.index + 1);
        let expected = begin..begin + self.entries.len() as u64;
        if !self.entries.keys().copied().eq(expected) {
            return Err(damaged("entries of the log are missing"));
        }
        if self.purged.is_some() && !self.has_snapshot {
            return Err(damaged("the snapshot is missing"));
        }
        Ok(())
    }
}

fn builder() -> Builder {
    let mut builder = Builder::new();
    // The file is small: reading all of it once is cheaper than a voter that stands on damaged ground.
    builder.set_cache_size(CACHE_BYTES).set_check_integrity_on_open(true);
    builder
}

fn value<T: DeserializeOwned>(
    values: &impl ReadableTable<&'static str, &'static [u8]>,
    name: &str,
) -> io::Result<Option<T>> {
    let found = values.get(name).map_err(other)?;
    found.map(|bytes| decode(bytes.value())).transpose()
}

fn put<T: Serialize>(
    values: &mut redb::Table<'_, &'static str, &'static [u8]>,
    name: &str,
    value: &T,
) -> io::Result<()> {
    values.insert(name, encode(value)?.as_slice()).map_err(other)?;
    Ok(())
}

/// A random number that is not zero.
fn draw() -> io::Result<u64> {
    let mut bytes = [0_u8; 8];
    let random = SystemRandom::new();
    random.fill(&mut bytes).map_err(|_| io::Error::other("the system gives no random numbers"))?;
    Ok(u64::from_le_bytes(bytes).max(1))
}

fn other(error: impl Into<redb::Error>) -> io::Error {
    io::Error::other(error.into())
}

fn damaged(why: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("the file is damaged: {why}"))
}

/// What the operator is told of a file that cannot be used.
pub(super) fn unusable(path: &Path, why: &dyn std::fmt::Display) -> Error {
    let what = format!("{}: {why}", path.display());
    let hint = "if the disk lost it, move the file away: the node joins the council anew under another voter id";
    Error::new(ErrorCode::DataDirUnusable, format!("{what}; {hint}"))
}

/// Where a node's file lies.
pub(super) fn path(folder: Option<&Path>) -> PathBuf {
    folder.map(|folder| folder.join("council").join("council.redb")).unwrap_or_default()
}
