//! The node's name, and the data folder that remembers it.
//!
//! A data folder holds `node.lock`, locked as long as a node runs on it, and `node.json` with the node's name and the
//! cluster's name and hash seed. A folder of another node or cluster is refused: nothing is ever overwritten.

use std::fs::{self, File, TryLockError};
use std::hash::{BuildHasher, Hasher, RandomState};
use std::path::Path;

use isogrid_core::{Error, ErrorCode, NodeId, Result};
use serde::{Deserialize, Serialize};

use crate::config::NodeConfig;

/// The version of `node.json` that this build writes.
const FORMAT: u32 = 1;

/// Who this node is.
#[derive(Debug)]
pub(crate) struct Identity {
    /// The node's name.
    pub node_id: NodeId,
    /// The cluster's name.
    pub cluster_id: String,
    /// Seeds the hash of the record tables, so that nobody outside can choose keys that collide.
    pub hash_seed: u64,
    /// Keeps the data folder to this process.
    _lock: Option<File>,
}

/// What `node.json` says.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Record {
    format: u32,
    node_id: String,
    cluster_id: String,
    hash_seed: u64,
}

impl Identity {
    /// Takes the identity from the data folder if there is one, else makes one. `port` names a node that has no name.
    pub(crate) fn establish(config: &NodeConfig, port: u16) -> Result<Self> {
        let fresh = || Record {
            format: FORMAT,
            node_id: config.name.clone().unwrap_or_else(|| format!("node-{port}")),
            cluster_id: config.cluster.clone(),
            hash_seed: RandomState::new().build_hasher().finish(),
        };
        let Some(folder) = &config.data_dir else { return Ok(Self::new(fresh(), None)) };
        fs::create_dir_all(folder).map_err(|e| unusable(folder, &e.to_string()))?;
        let lock = lock(folder)?;
        let path = folder.join("node.json");
        let record = match fs::read_to_string(&path) {
            Ok(text) => {
                let record: Record = serde_json::from_str(&text)
                    .map_err(|e| unusable(folder, &format!("node.json cannot be read: {e}")))?;
                check(folder, &record, config)?;
                record
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                let record = fresh();
                write(folder, &record).map_err(|e| unusable(folder, &e.to_string()))?;
                record
            }
            Err(error) => return Err(unusable(folder, &error.to_string())),
        };
        Ok(Self::new(record, Some(lock)))
    }

    fn new(record: Record, lock: Option<File>) -> Self {
        Self {
            node_id: NodeId::new(record.node_id),
            cluster_id: record.cluster_id,
            hash_seed: record.hash_seed,
            _lock: lock,
        }
    }
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
    if record.format > FORMAT {
        let why = format!("its format {} is newer than this build's {FORMAT}", record.format);
        return Err(unusable(folder, &why));
    }
    if let Some(name) = &config.name
        && *name != record.node_id
    {
        let why = format!("it belongs to node {:?}, not to {name:?}", record.node_id);
        return Err(unusable(folder, &why));
    }
    if record.cluster_id != config.cluster {
        let why =
            format!("it belongs to cluster {:?}, not {:?}", record.cluster_id, config.cluster);
        return Err(unusable(folder, &why));
    }
    Ok(())
}

/// Writes `node.json` so that a crash leaves either the whole of it or none.
fn write(folder: &Path, record: &Record) -> std::io::Result<()> {
    let temporary = folder.join("node.json.new");
    let text = serde_json::to_string_pretty(record).map_err(std::io::Error::other)?;
    fs::write(&temporary, text)?;
    File::open(&temporary)?.sync_all()?;
    fs::rename(&temporary, folder.join("node.json"))?;
    File::open(folder)?.sync_all()
}

fn unusable(folder: &Path, why: &str) -> Error {
    Error::new(ErrorCode::DataDirUnusable, format!("{}: {why}", folder.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(folder: &Path, name: Option<&str>) -> NodeConfig {
        NodeConfig {
            name: name.map(str::to_owned),
            data_dir: Some(folder.to_owned()),
            ..NodeConfig::default()
        }
    }

    fn refusal(config: &NodeConfig) -> String {
        Identity::establish(config, 1).expect_err("must be refused").to_string()
    }

    #[test]
    fn a_folder_remembers_its_node() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let first = Identity::establish(&config(folder.path(), Some("a")), 1).expect("fresh");
        let seed = first.hash_seed;
        assert!(refusal(&config(folder.path(), None)).contains("another node runs on it"));
        drop(first);
        let again = Identity::establish(&config(folder.path(), None), 9).expect("known");
        assert_eq!((again.node_id.as_str(), again.hash_seed), ("a", seed));
        drop(again);
        assert!(refusal(&config(folder.path(), Some("b"))).contains("belongs to node \"a\""));
        let mut other = config(folder.path(), None);
        other.cluster = "other".to_owned();
        assert!(refusal(&other).contains("belongs to cluster"));
    }

    #[test]
    fn a_damaged_or_newer_folder_is_refused() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        fs::write(folder.path().join("node.json"), "{").expect("written");
        assert!(refusal(&config(folder.path(), None)).contains("cannot be read"));
        let newer = r#"{"format":99,"node_id":"a","cluster_id":"isogrid","hash_seed":1}"#;
        fs::write(folder.path().join("node.json"), newer).expect("written");
        assert!(refusal(&config(folder.path(), None)).contains("newer"));
    }

    #[test]
    fn a_node_without_a_folder_is_named_after_its_port() {
        let identity = Identity::establish(&NodeConfig::default(), 7_700).expect("no folder");
        assert_eq!(identity.node_id.as_str(), "node-7700");
    }
}
