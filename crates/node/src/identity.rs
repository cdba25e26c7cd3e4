//! The node's name and life, and the data folder that remembers them.
//!
//! A data folder holds `node.lock`, locked as long as a node runs on it, `node.json` with what is said in [`Record`], and
//! `council`, the log of the council's votes. A folder of another node or cluster is refused: nothing is ever overwritten.

use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};

use isogrid_cluster::council::StorageProof;
use isogrid_cluster::{BootId, ClusterId, StorageId};
use isogrid_core::{Error, ErrorCode, Incarnation, NodeId, Result};
use parking_lot::Mutex;
use ring::rand::{SecureRandom, SystemRandom};

use crate::clock;
use crate::config::NodeConfig;

mod record;

use record::{FORMAT, Record};

/// Where Linux tells one boot of the machine from another.
const BOOT_ID_FILE: &str = "/proc/sys/kernel/random/boot_id";

/// What this node has of its data on disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DataOnDisk {
    /// Nothing: they are in memory alone.
    Nothing,
    /// All that was acknowledged.
    Whole,
    /// Not all: something was found damaged.
    Damaged,
}

/// Who this node is.
#[derive(Debug)]
pub(crate) struct Identity {
    /// The node's name.
    pub node_id: NodeId,
    /// The cluster's name. Which cluster of that name it is, [`Identity::known_cluster`] says.
    pub cluster_id: String,
    /// Which of the node's lives this process is.
    pub incarnation: Incarnation,
    boot_id: BootId,
    /// Drawn with this process.
    process_storage: StorageId,
    folder: Option<Folder>,
}

/// A data folder in use.
#[derive(Debug)]
struct Folder {
    path: PathBuf,
    record: Mutex<Record>,
    /// Keeps the folder to this process.
    _lock: File,
}

impl Identity {
    /// Takes the identity from the data folder if there is one, else makes one, and begins a new life: a folder has it on
    /// disk before this returns, so that no two lives are ever the same. `port` names a node that has no name.
    pub(crate) fn establish(config: &NodeConfig, port: u16) -> Result<Self> {
        let boot_id = boot_id();
        let now = Incarnation(clock::now().0.max(1));
        let name = || config.name.clone().unwrap_or_else(|| format!("node-{port}"));
        let identity = |record: &Record, incarnation, folder| Self {
            node_id: NodeId::new(&record.node_id),
            cluster_id: record.cluster.clone(),
            incarnation,
            boot_id,
            process_storage: StorageId(random_u128()),
            folder,
        };
        let fresh = || Record {
            format: FORMAT,
            node_id: name(),
            cluster: config.cluster.clone(),
            cluster_id: None,
            storage_id: random_u128(),
            incarnations: Vec::new(),
            boot_id: boot_id.0,
            partitions: config.partitions,
        };
        let Some(path) = &config.data_dir else { return Ok(identity(&fresh(), now, None)) };
        fs::create_dir_all(path).map_err(|e| unusable(path, &e.to_string()))?;
        let lock = lock(path)?;
        let found = Record::read(path, config.partitions).map_err(|why| unusable(path, &why))?;
        let mut record = match found {
            Some(record) => {
                check(path, &record, config)?;
                record
            }
            None => fresh(),
        };
        record.boot_id = boot_id.0;
        let incarnation = record.begin_life(now);
        record.write(path).map_err(|e| unusable(path, &e.to_string()))?;
        let known = record.clone();
        let folder = Folder { path: path.clone(), record: Mutex::new(record), _lock: lock };
        Ok(identity(&known, incarnation, Some(folder)))
    }

    /// With what this life registers.
    ///
    /// Where data are kept in memory only, the storage is the process.
    pub(crate) fn proof(&self, data: DataOnDisk) -> StorageProof {
        let folder = self.folder.as_ref().filter(|_| data != DataOnDisk::Nothing);
        let (storage_id, incarnations) = match folder {
            Some(folder) => {
                let record = folder.record.lock();
                let lives = record.incarnations.iter().copied().map(Incarnation);
                (StorageId(record.storage_id), lives.collect())
            }
            None => (self.process_storage, vec![self.incarnation]),
        };
        StorageProof {
            storage_id,
            incarnations,
            boot_id: self.boot_id,
            survives_power_loss: false,
            is_intact: data != DataOnDisk::Damaged,
            is_volatile: folder.is_none(),
        }
    }

    /// The cluster that the node belonged to before, if the folder knows.
    pub(crate) fn known_cluster(&self) -> Option<ClusterId> {
        self.folder.as_ref()?.record.lock().cluster_id.map(ClusterId)
    }

    /// Remembers the cluster that the node belongs to from now on: it never forms or joins another one.
    pub(crate) fn remember_cluster(&self, cluster: ClusterId) -> Result<()> {
        let Some(folder) = &self.folder else { return Ok(()) };
        let mut record = folder.record.lock();
        match record.cluster_id {
            Some(known) if known == cluster.0 => Ok(()),
            Some(known) => {
                let why = format!("it belongs to cluster {known:032x}, not {:032x}", cluster.0);
                Err(unusable(&folder.path, &why))
            }
            None => {
                record.cluster_id = Some(cluster.0);
                record.write(&folder.path).map_err(|e| unusable(&folder.path, &e.to_string()))
            }
        }
    }

    /// The id of the folder, and into how many partitions its data are divided.
    pub(crate) fn storage(&self) -> Option<(u128, u16)> {
        let record = self.folder.as_ref()?.record.lock();
        Some((record.storage_id, record.partitions))
    }

    /// The folder in which the council keeps its log and the node its data, each in a folder of its own; `None`: in memory.
    pub(crate) fn folder(&self) -> Option<PathBuf> {
        self.folder.as_ref().map(|folder| folder.path.clone())
    }
}

/// A number that nobody else draws.
pub(crate) fn random_u128() -> u128 {
    let mut bytes = [0; 16];
    SystemRandom::new().fill(&mut bytes).expect("the system has randomness");
    u128::from_le_bytes(bytes)
}

/// Which boot of the machine this is. Where that cannot be told, each process takes itself for a new boot, which is never
/// wrong: it only distrusts what was not synced.
fn boot_id() -> BootId {
    let text = fs::read_to_string(BOOT_ID_FILE).unwrap_or_default();
    let digits = text.trim().replace('-', "");
    BootId(u128::from_str_radix(&digits, 16).unwrap_or_else(|_| random_u128()))
}

fn lock(folder: &Path) -> Result<File> {
    let file =
        File::create(folder.join("node.lock")).map_err(|e| unusable(folder, &e.to_string()))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(unusable(folder, "another node runs on it")),
        Err(TryLockError::Error(error)) => Err(unusable(folder, &error.to_string())),
    }
}

fn check(folder: &Path, record: &Record, config: &NodeConfig) -> Result<()> {
    if let Some(name) = &config.name
        && *name != record.node_id
    {
        let why = format!("it belongs to node {:?}, not to {name:?}", record.node_id);
        return Err(unusable(folder, &why));
    }
    if record.cluster != config.cluster {
        let why = format!("it belongs to cluster {:?}, not {:?}", record.cluster, config.cluster);
        return Err(unusable(folder, &why));
    }
    if record.partitions != config.partitions {
        let (made, wanted) = (record.partitions, config.partitions);
        let why = format!("it was made for {made} partitions, and node.partitions is {wanted}");
        return Err(unusable(folder, &why));
    }
    Ok(())
}

fn unusable(folder: &Path, why: &str) -> Error {
    Error::new(ErrorCode::DataDirUnusable, format!("{}: {why}", folder.display()))
}

#[cfg(test)]
#[path = "identity_test.rs"]
mod tests;
