//! [`OsDisk`]: a [`Disk`] that is a folder of the operating system.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::{self, ScopedJoinHandle};

use crate::disk::{Disk, DiskFile};

/// The file that says that a process uses the folder.
const LOCK_FILE: &str = "lock";

/// A folder of the operating system.
#[derive(Clone, Debug)]
pub struct OsDisk {
    folder: Arc<PathBuf>,
    /// Held while the folder is used, so that no second process writes to it.
    _lock: Option<Arc<File>>,
    /// Bytes that were read.
    read: Arc<AtomicU64>,
}

impl OsDisk {
    /// A folder to work in, made if it is not there; no other process can lock it meanwhile.
    ///
    /// # Errors
    /// What the system says; [`io::ErrorKind::WouldBlock`] when another process has it.
    pub fn lock(folder: impl AsRef<Path>) -> io::Result<Self> {
        let folder = folder.as_ref();
        fs::create_dir_all(folder)?;
        let lock = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(folder.join(LOCK_FILE))?;
        match lock.try_lock() {
            Ok(()) => Ok(OsDisk { _lock: Some(Arc::new(lock)), ..OsDisk::look(folder) }),
            Err(TryLockError::WouldBlock) => Err(io::Error::new(
                io::ErrorKind::WouldBlock,
                format!("{} is used by another process: stop it first", folder.display()),
            )),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }

    /// A folder to look at.
    pub fn look(folder: impl AsRef<Path>) -> Self {
        let folder = Arc::new(folder.as_ref().to_path_buf());
        OsDisk { folder, _lock: None, read: Arc::default() }
    }

    /// The same disk; the bytes that are read of it from now on are added to this.
    #[must_use]
    pub fn counting_reads(self, read: Arc<AtomicU64>) -> Self {
        OsDisk { read, ..self }
    }

    fn file(&self, file: File) -> OsFile {
        OsFile { file, read: Arc::clone(&self.read) }
    }

    fn path(&self, path: &str) -> PathBuf {
        self.folder.join(path)
    }
}

impl Disk for OsDisk {
    type File = OsFile;

    fn create(&self, path: &str) -> io::Result<OsFile> {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(true);
        options.open(self.path(path)).map(|file| self.file(file))
    }

    fn open(&self, path: &str) -> io::Result<OsFile> {
        File::open(self.path(path)).map(|file| self.file(file))
    }

    fn open_to_write(&self, path: &str) -> io::Result<OsFile> {
        let file = OpenOptions::new().read(true).write(true).open(self.path(path))?;
        Ok(self.file(file))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        fs::rename(self.path(from), self.path(to))
    }

    fn remove(&self, path: &str) -> io::Result<()> {
        fs::remove_file(self.path(path))
    }

    fn list(&self, folder: &str) -> io::Result<Vec<String>> {
        let entries = match fs::read_dir(self.path(folder)) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(error),
        };
        let mut names = Vec::new();
        for entry in entries {
            names.push(entry?.file_name().to_string_lossy().into_owned());
        }
        names.sort();
        Ok(names)
    }

    fn make_folder(&self, folder: &str) -> io::Result<()> {
        fs::create_dir_all(self.path(folder))?;
        File::open(&*self.folder)?.sync_all()
    }

    fn sync_folder(&self, folder: &str) -> io::Result<()> {
        File::open(self.path(folder))?.sync_all()
    }

    /// Each file on a thread of its own, so that the file system has one transaction for all of them.
    fn sync_files(&self, files: &mut [&mut OsFile]) -> io::Result<()> {
        let [first, others @ ..] = files else { return Ok(()) };
        thread::scope(|scope| {
            let others: Vec<_> = others
                .iter_mut()
                .map(|file| thread::Builder::new().spawn_scoped(scope, || file.sync()))
                .collect();
            let first = first.sync();
            let of_thread = |sync: io::Result<ScopedJoinHandle<'_, io::Result<()>>>| {
                let panicked = |_| Err(io::Error::other("the thread that synced it panicked"));
                sync.and_then(|thread| thread.join().unwrap_or_else(panicked))
            };
            // All are waited for, whatever becomes of the first ones.
            others.into_iter().map(of_thread).fold(first, |sum, one| sum.and(one))
        })
    }

    fn free_bytes(&self) -> io::Result<Option<u64>> {
        let state = rustix::fs::statvfs(&*self.folder)?;
        Ok(Some(state.f_bavail.saturating_mul(state.f_frsize)))
    }
}

/// A file of the operating system.
#[derive(Debug)]
pub struct OsFile {
    file: File,
    read: Arc<AtomicU64>,
}

#[cfg(test)]
impl OsFile {
    /// Any file.
    pub(crate) fn of(file: File) -> Self {
        OsFile { file, read: Arc::default() }
    }
}

impl DiskFile for OsFile {
    fn length(&self) -> io::Result<u64> {
        self.file.metadata().map(|metadata| metadata.len())
    }

    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all_at(bytes, offset)
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        let mut filled = 0;
        while filled < buffer.len() {
            match self.file.read_at(&mut buffer[filled..], offset + filled as u64) {
                Ok(0) => break,
                Ok(read) => filled += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        self.read.fetch_add(filled as u64, Ordering::Relaxed);
        Ok(filled)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.file.sync_data()
    }

    fn set_len(&mut self, length: u64) -> io::Result<()> {
        self.file.set_len(length)
    }

    fn another(&self) -> io::Result<Self> {
        Ok(OsFile { file: self.file.try_clone()?, read: Arc::clone(&self.read) })
    }
}
