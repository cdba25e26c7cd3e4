//! What is kept beside a file while it is written or read: how far that is, so that an interrupted copy goes on instead of
//! beginning again. It is replaced as a whole, and never says more than is safely on the disk.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::{FileFormat, Position};

/// How an export's checkpoint is called: the file's name and this.
const EXPORT_END: &str = ".progress";

/// How an import's checkpoint is called.
const IMPORT_END: &str = ".import-progress";

/// The version of what is written.
pub(in crate::commands::map) const VERSION: u32 = 1;

/// How far an export is. It stays beside the file until that is whole.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::commands::map) struct ExportPoint {
    /// [`VERSION`].
    pub(in crate::commands::map) version: u32,
    /// What is exported.
    pub(in crate::commands::map) of: Exported,
    /// How many bytes of the file count; what is behind them is written again.
    pub(in crate::commands::map) bytes: u64,
    /// How many rows they have.
    pub(in crate::commands::map) rows: u64,
    /// Where the scan stands, in base64.
    pub(in crate::commands::map) token: String,
    /// What the format must know, in base64.
    pub(in crate::commands::map) state: String,
}

/// What an export is about: only the same can be gone on with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::commands::map) struct Exported {
    /// The id of the cluster.
    pub(in crate::commands::map) cluster: String,
    /// The map's name.
    pub(in crate::commands::map) map: String,
    /// The map's number: one that was dropped and made again is another.
    pub(in crate::commands::map) map_id: u32,
    /// How rows are written.
    pub(in crate::commands::map) format: FileFormat,
    /// What the keys begin with.
    pub(in crate::commands::map) prefix: String,
    /// What the keys match.
    pub(in crate::commands::map) glob: String,
}

/// How far an import is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::commands::map) struct ImportPoint {
    /// [`VERSION`].
    pub(in crate::commands::map) version: u32,
    /// The id of the cluster.
    pub(in crate::commands::map) cluster: String,
    /// The map's name.
    pub(in crate::commands::map) map: String,
    /// How rows are read.
    pub(in crate::commands::map) format: FileFormat,
    /// All rows before this are done.
    pub(in crate::commands::map) position: Position,
    /// A checksum of what stands before the position, to tell another file from this one.
    pub(in crate::commands::map) before_crc: u32,
    /// How many rows are done, those that were not written included.
    pub(in crate::commands::map) rows: u64,
}

/// The checkpoint of an export to this file.
pub(in crate::commands::map) fn of_export(file: &Path) -> PathBuf {
    beside(file, EXPORT_END)
}

/// The checkpoint of an import from this file.
pub(in crate::commands::map) fn of_import(file: &Path) -> PathBuf {
    beside(file, IMPORT_END)
}

fn beside(file: &Path, end: &str) -> PathBuf {
    let mut name = OsString::from(file);
    name.push(end);
    name.into()
}

/// Reads a checkpoint; none if there is none.
pub(in crate::commands::map) fn load<T: for<'a> Deserialize<'a>>(
    path: &Path,
) -> io::Result<Option<T>> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(serde_json::from_slice(&bytes).map_err(io::Error::from)?)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Writes a checkpoint. Beside it first, so that there is always a whole one.
pub(in crate::commands::map) fn save(path: &Path, point: &impl Serialize) -> io::Result<()> {
    let new = beside(path, ".new");
    let mut file = File::create(&new)?;
    file.write_all(&serde_json::to_vec(point)?)?;
    file.sync_data()?;
    fs::rename(&new, path)?;
    sync_folder(path)
}

/// Removes a checkpoint, and what a crash left of the next one.
pub(in crate::commands::map) fn remove(path: &Path) -> io::Result<()> {
    for path in [beside(path, ".new"), path.to_owned()] {
        match fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    sync_folder(path)
}

/// A name is on the disk when its folder is.
fn sync_folder(path: &Path) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn export() -> ExportPoint {
        ExportPoint {
            version: VERSION,
            of: Exported {
                cluster: "c1".into(),
                map: "users".into(),
                map_id: 4,
                format: FileFormat::Csv,
                prefix: "u".into(),
                glob: String::new(),
            },
            bytes: 100,
            rows: 7,
            token: "AAA=".into(),
            state: String::new(),
        }
    }

    #[test]
    fn what_is_written_stays_readable() {
        let text = r#"{"version":1,"of":{"cluster":"c1","map":"users","map_id":4,"format":"csv","prefix":"u","glob":""},"bytes":100,"rows":7,"token":"AAA=","state":""}"#;
        assert_eq!(serde_json::to_string(&export()).expect("JSON"), text);
        assert_eq!(serde_json::from_str::<ExportPoint>(text).expect("readable"), export());
        let import = ImportPoint {
            version: VERSION,
            cluster: "c1".into(),
            map: "users".into(),
            format: FileFormat::Jsonl,
            position: Position { at: 9, lines: 2 },
            before_crc: 5,
            rows: 2,
        };
        let text = r#"{"version":1,"cluster":"c1","map":"users","format":"jsonl","position":{"at":9,"lines":2},"before_crc":5,"rows":2}"#;
        assert_eq!(serde_json::to_string(&import).expect("JSON"), text);
        assert_eq!(serde_json::from_str::<ImportPoint>(text).expect("readable"), import);
    }

    #[test]
    fn a_checkpoint_is_whole_or_not_there() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = of_export(&folder.path().join("a.csv"));
        assert_eq!(path.file_name().and_then(|name| name.to_str()), Some("a.csv.progress"));
        assert_eq!(load::<ExportPoint>(&path).expect("readable"), None);
        save(&path, &export()).expect("written");
        save(&path, &export()).expect("written again");
        assert_eq!(load(&path).expect("readable"), Some(export()));
        fs::write(beside(&path, ".new"), b"torn").expect("written");
        remove(&path).expect("removed");
        assert_eq!(fs::read_dir(folder.path()).expect("a folder").count(), 0);
        remove(&path).expect("nothing to remove is no fault");
        fs::write(&path, b"torn").expect("written");
        assert!(load::<ExportPoint>(&path).is_err());
    }
}
