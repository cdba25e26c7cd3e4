//! [`Manifest`]: what a backup has, where it cuts, and which one it builds on. It is written last: a backup without one does
//! not exist.

use isogrid_core::{Epoch, LogPosition, MapIndex, MapSchema};
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// The format of manifests and of the objects they name.
pub const FORMAT: u32 = 1;

/// What stands before the checksum, in the second line.
const SUM_PREFIX: &str = "crc32c:";

/// What a backup is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// [`FORMAT`].
    pub format: u32,
    /// The name of the backup; names ascend with time.
    pub id: String,
    /// The backup that it builds on.
    pub parent: Option<String>,
    /// The cluster's id.
    pub cluster_id: String,
    /// The cluster's name.
    pub cluster_name: String,
    /// When it was begun and when it ended, in milliseconds since 1970.
    pub started_ms: u64,
    /// When it ended.
    pub finished_ms: u64,
    /// The hybrid clock of the cut: every committed entry up to it is in the backup, and none behind it.
    pub cut_clock: u64,
    /// How far the wall clocks of the nodes were apart, as far as it was seen.
    pub clocks_apart_ms: u64,
    /// How many partitions the cluster has.
    pub partitions_total: u32,
    /// The maps there were at the cut.
    pub maps: Vec<MapDefinition>,
    /// All partitions, in their order.
    pub partitions: Vec<Part>,
}

/// A map's name, number and settings, as `isogrid map create` takes them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MapDefinition {
    /// Its number, by which records name it.
    pub id: u32,
    /// Its name.
    pub name: String,
    /// none, lru or lfu.
    pub eviction: String,
    /// Zero for no limit.
    pub entries_max: u64,
    /// Zero for no limit.
    pub bytes_max: u64,
    /// How many copies beside the primary's.
    pub backups: u32,
    /// sync or async.
    pub acknowledge: String,
    /// How many replicas must be in sync for a write.
    pub min_in_sync: u32,
    /// lease, confirmed, backup or any.
    pub read: String,
    /// With reads at backups: how far behind.
    pub read_lag_ms_max: u64,
    /// memory, os or fsync.
    pub durability: String,
    /// What its values are, if that was said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schema: Option<MapSchema>,
    /// What finds its records by their fields.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub indexes: Vec<MapIndex>,
    /// Whether statements of SQL that walk over all of it are refused.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub require_pruned: bool,
}

/// How a backup has a partition.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// All records, and entries.
    #[default]
    Whole,
    /// Records written after the parent's cut, the versions of the others, and entries.
    Changes,
    /// Entries that follow the parent's cut.
    Entries,
}

/// A place in a partition's log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Point {
    /// The epoch.
    pub epoch: u64,
    /// The number.
    pub seq: u64,
}

impl From<LogPosition> for Point {
    fn from(position: LogPosition) -> Self {
        Point { epoch: position.epoch.0, seq: position.seq }
    }
}

impl From<Point> for LogPosition {
    fn from(point: Point) -> Self {
        LogPosition { epoch: Epoch(point.epoch), seq: point.seq }
    }
}

/// What a backup has of one partition.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    /// Which.
    pub partition: u32,
    /// How.
    pub mode: Mode,
    /// How often its history was declared lost before.
    pub loss_generation: u32,
    /// Its entries follow this one.
    pub from: Point,
    /// The last entry of the backup.
    pub cut: Point,
    /// How many records its pages have.
    pub records: u64,
    /// How many records are as the parent has them.
    pub kept: u64,
    /// How many entries. Zero too where all of them changed nothing: then none is kept.
    pub entries: u64,
    /// In the order in which they are read.
    pub objects: Vec<ObjectRef>,
}

/// An object and what it must be.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ObjectRef {
    /// Its path within the place.
    pub path: String,
    /// Its length.
    pub bytes: u64,
    /// The CRC32C of all of it.
    pub crc32c: u32,
}

impl Manifest {
    /// Two lines: JSON, and its checksum.
    ///
    /// # Errors
    /// It cannot be written as JSON.
    pub fn encode(&self) -> Result<Vec<u8>> {
        let path = path_of(&self.id);
        let json = serde_json::to_string(self)
            .map_err(|error| Error::Place { path, why: error.to_string() })?;
        Ok(format!("{json}\n{SUM_PREFIX}{:08x}\n", crc32c::crc32c(json.as_bytes())).into_bytes())
    }

    /// Reads a manifest.
    ///
    /// # Errors
    /// It is cut off, changed, or of another format.
    pub fn decode(path: &str, bytes: &[u8]) -> Result<Manifest> {
        let damaged = |what: &str| Error::damaged(path, what);
        let text = std::str::from_utf8(bytes).map_err(|_| damaged("it is not text"))?;
        let (json, sum) = text
            .strip_suffix('\n')
            .and_then(|text| text.split_once('\n'))
            .and_then(|(json, sum)| Some((json, sum.strip_prefix(SUM_PREFIX)?)))
            .ok_or_else(|| damaged("it is cut off"))?;
        if sum != format!("{:08x}", crc32c::crc32c(json.as_bytes())) {
            return Err(damaged("the checksum is wrong"));
        }
        let manifest: Manifest =
            serde_json::from_str(json).map_err(|error| damaged(&error.to_string()))?;
        if manifest.format != FORMAT {
            let what = format!("format {}, this program knows {FORMAT}", manifest.format);
            return Err(damaged(&what));
        }
        if path_of(&manifest.id) != path {
            return Err(damaged(&format!("it is the manifest of {}", manifest.id)));
        }
        Ok(manifest)
    }

    /// What the backup has of a partition.
    pub fn part(&self, partition: u32) -> Option<&Part> {
        self.partitions.iter().find(|part| part.partition == partition)
    }

    /// How many bytes its objects have.
    pub fn bytes(&self) -> u64 {
        self.objects().map(|object| object.bytes).sum()
    }

    /// All its objects.
    pub fn objects(&self) -> impl Iterator<Item = &ObjectRef> {
        self.partitions.iter().flat_map(|part| &part.objects)
    }
}

/// Where the manifest of a backup is.
pub fn path_of(id: &str) -> String {
    format!("manifests/{id}.json")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn manifest() -> Manifest {
        let objects = vec![ObjectRef { path: "objects/x/p0".into(), bytes: 7, crc32c: 9 }];
        let part = Part { partition: 3, mode: Mode::Changes, objects, ..Part::default() };
        Manifest {
            format: FORMAT,
            id: "20261122T000000Z-1".into(),
            parent: Some("20261121T000000Z-1".into()),
            partitions: vec![part],
            ..Manifest::default()
        }
    }

    #[test]
    fn a_manifest_is_read_as_it_is_written() {
        let (manifest, path) = (manifest(), "manifests/20261122T000000Z-1.json");
        let bytes = manifest.encode().expect("JSON");
        assert_eq!(Manifest::decode(path, &bytes), Ok(manifest.clone()));
        assert_eq!(
            (manifest.bytes(), manifest.part(3).is_some(), manifest.part(4)),
            (7, true, None)
        );
        let text = String::from_utf8(bytes).expect("text");
        assert!(text.contains(r#""mode":"changes""#) && text.contains("\ncrc32c:"), "{text}");
    }

    #[test]
    fn a_manifest_that_was_changed_or_cut_off_is_refused() {
        let path = "manifests/20261122T000000Z-1.json";
        let bytes = manifest().encode().expect("JSON");
        for length in 0..bytes.len() {
            assert!(Manifest::decode(path, &bytes[..length]).is_err(), "{length} bytes");
        }
        for at in 0..bytes.len() {
            let mut flipped = bytes.clone();
            flipped[at] ^= 1;
            assert!(Manifest::decode(path, &flipped).is_err(), "byte {at}");
        }
        assert!(Manifest::decode("manifests/other.json", &bytes).is_err(), "of another backup");
        let newer = Manifest { format: 2, ..manifest() }.encode().expect("JSON");
        let why = Manifest::decode(path, &newer).expect_err("not known").to_string();
        assert!(why.contains("format 2"), "{why}");
    }
}
