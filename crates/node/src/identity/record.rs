//! [`Record`]: what `node.json` says, and what earlier versions of it said.

use std::fs::{self, File};
use std::io::ErrorKind;
use std::path::Path;

use isogrid_core::Incarnation;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The version of `node.json` that this build writes.
pub(super) const FORMAT: u32 = 2;

/// The most lives that are remembered. The council knows one of the last few; one that started so often in between without
/// ever registering is taken for a new node, which is safe.
const LIVES_MAX: usize = 1_024;

/// What `node.json` says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Record {
    /// The version of what is written.
    pub(super) format: u32,
    /// The node's name.
    pub(super) node_id: String,
    /// The cluster's name.
    pub(super) cluster: String,
    /// The cluster, once the node belongs to one.
    #[serde(with = "hex_option", default)]
    pub(super) cluster_id: Option<u128>,
    /// Drawn with the folder.
    #[serde(with = "hex")]
    pub(super) storage_id: u128,
    /// The lives that used this folder, in order.
    pub(super) incarnations: Vec<u64>,
    /// The boot of the machine in which the last of them began.
    #[serde(with = "hex")]
    pub(super) boot_id: u128,
    /// How many partitions the node was configured for when the folder was made.
    pub(super) partitions: u16,
}

/// What version 1 said: it knew neither lives nor partitions, and called the cluster's name its id.
#[derive(Deserialize)]
struct RecordV1 {
    node_id: String,
    cluster_id: String,
}

impl Record {
    /// Reads the record of a folder; `Ok(None)` when it has none. What version 1 did not say is made up: `partitions` is
    /// what is configured now.
    pub(super) fn read(folder: &Path, partitions: u16) -> Result<Option<Self>, String> {
        let text = match fs::read_to_string(folder.join("node.json")) {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error.to_string()),
        };
        let unreadable = |e: serde_json::Error| format!("node.json cannot be read: {e}");
        #[derive(Deserialize)]
        struct Version {
            format: u32,
        }
        match serde_json::from_str::<Version>(&text).map_err(unreadable)?.format {
            1 => {
                let RecordV1 { node_id, cluster_id: cluster } =
                    serde_json::from_str(&text).map_err(unreadable)?;
                Ok(Some(Record {
                    format: FORMAT,
                    node_id,
                    cluster,
                    cluster_id: None,
                    storage_id: super::random_u128(),
                    incarnations: Vec::new(),
                    boot_id: 0,
                    partitions,
                }))
            }
            FORMAT => serde_json::from_str(&text).map(Some).map_err(unreadable),
            format => Err(format!("its format {format} is newer than this build's {FORMAT}")),
        }
    }

    /// Writes `node.json` so that a crash leaves either the whole of it or what was there before.
    pub(super) fn write(&self, folder: &Path) -> std::io::Result<()> {
        let temporary = folder.join("node.json.new");
        let text = serde_json::to_string_pretty(self).map_err(std::io::Error::other)?;
        fs::write(&temporary, text)?;
        File::open(&temporary)?.sync_all()?;
        fs::rename(&temporary, folder.join("node.json"))?;
        File::open(folder)?.sync_all()
    }

    /// Adds a life: later than all before. It is at least `now`, milliseconds since 1970, so that it is also later than
    /// the lives of a folder that is gone: a node that lost its folder must be able to come back under its name.
    pub(super) fn begin_life(&mut self, now: Incarnation) -> Incarnation {
        let last = self.incarnations.last().copied().unwrap_or(0);
        let life = now.0.max(last + 1);
        self.incarnations.push(life);
        let surplus = self.incarnations.len().saturating_sub(LIVES_MAX);
        self.incarnations.drain(..surplus);
        Incarnation(life)
    }
}

/// Ids are written as text: JSON's numbers do not hold them.
mod hex {
    use super::{Deserialize, Deserializer, Serializer};
    use serde::de::Error;

    pub(super) fn serialize<S: Serializer>(id: &u128, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&format!("{id:032x}"))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(source: D) -> Result<u128, D::Error> {
        let text = String::deserialize(source)?;
        u128::from_str_radix(&text, 16).map_err(D::Error::custom)
    }
}

/// The same for an id that may be missing.
mod hex_option {
    use super::{Deserialize, Deserializer, Serialize, Serializer};
    use serde::de::Error;

    pub(super) fn serialize<S: Serializer>(
        id: &Option<u128>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        id.map(|id| format!("{id:032x}")).serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        source: D,
    ) -> Result<Option<u128>, D::Error> {
        let text = Option::<String>::deserialize(source)?;
        text.map(|text| u128::from_str_radix(&text, 16).map_err(D::Error::custom)).transpose()
    }
}
