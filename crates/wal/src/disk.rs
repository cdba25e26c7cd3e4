//! [`Disk`]: the little that the log asks of a file system. Paths are relative, with one folder level: `log/…`, `snap/…`.

use std::io;

/// A folder to keep things in. A clone is another handle on the same folder.
pub trait Disk: Clone + Send + Sync + 'static {
    /// An open file.
    type File: DiskFile;

    /// An empty file to write to; what had the name before is gone.
    ///
    /// # Errors
    /// What the disk says.
    fn create(&self, path: &str) -> io::Result<Self::File>;

    /// A file to read.
    ///
    /// # Errors
    /// What the disk says; also when there is no such file.
    fn open(&self, path: &str) -> io::Result<Self::File>;

    /// A file to read and write.
    ///
    /// # Errors
    /// What the disk says; also when there is no such file.
    fn open_to_write(&self, path: &str) -> io::Result<Self::File>;

    /// Gives a file another name; a file of that name is replaced at once.
    ///
    /// # Errors
    /// What the disk says.
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;

    /// Removes a file.
    ///
    /// # Errors
    /// What the disk says.
    fn remove(&self, path: &str) -> io::Result<()>;

    /// The names in a folder, sorted; none when there is no such folder.
    ///
    /// # Errors
    /// What the disk says.
    fn list(&self, folder: &str) -> io::Result<Vec<String>>;

    /// Makes a folder that stays, unless it is there.
    ///
    /// # Errors
    /// What the disk says.
    fn make_folder(&self, folder: &str) -> io::Result<()>;

    /// Returns when all names made, changed and removed in a folder will survive a loss of power.
    ///
    /// # Errors
    /// What the disk says.
    fn sync_folder(&self, folder: &str) -> io::Result<()>;

    /// Returns when the content of all these files will survive a loss of power: what [`DiskFile::sync`] does for each of them,
    /// for less where the disk can do it for several at once.
    ///
    /// # Errors
    /// What the disk says of any of them; the others may be synced then.
    fn sync_files(&self, files: &mut [&mut Self::File]) -> io::Result<()> {
        files.iter_mut().try_for_each(|file| file.sync())
    }

    /// How many bytes may still be written, if the disk can tell.
    ///
    /// # Errors
    /// What the disk says.
    fn free_bytes(&self) -> io::Result<Option<u64>>;
}

/// An open file.
pub trait DiskFile: Send + Sized + 'static {
    /// Its length.
    ///
    /// # Errors
    /// What the disk says.
    fn length(&self) -> io::Result<u64>;

    /// Writes all the bytes; after an error any part of them may be there.
    ///
    /// # Errors
    /// What the disk says.
    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()>;

    /// Reads as many bytes as there are, at most the buffer's length.
    ///
    /// # Errors
    /// What the disk says.
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize>;

    /// Returns when the content will survive a loss of power.
    ///
    /// # Errors
    /// What the disk says. What was written since the last good sync must not be trusted then, also if the next one succeeds.
    fn sync(&mut self) -> io::Result<()>;

    /// Cuts the file, or lengthens it with zeros.
    ///
    /// # Errors
    /// What the disk says.
    fn set_len(&mut self, length: u64) -> io::Result<()>;

    /// Another handle on the same file, to sync it from another thread.
    ///
    /// # Errors
    /// What the disk says.
    fn another(&self) -> io::Result<Self>;
}
