//! [`FaultyDisk`]: a [`Disk`] in memory that fails as it is told to and forgets, at a crash, what was not synced.
//!
//! Each file has what is durable and a list of changes since; each folder the same for its names. A sync makes the changes
//! durable; a failed sync forgets them without a word, as real systems do. A crash keeps a part of the changes.

mod content;

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::disk::{Disk, DiskFile};
use crate::faulty_disk::content::{Change, Content};

/// What is asked of the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// A file is made.
    Create,
    /// A file is read.
    Read,
    /// A file is written to.
    Write,
    /// A file is cut.
    SetLen,
    /// A file is synced.
    Sync,
    /// A folder is synced.
    SyncFolder,
    /// A file gets another name.
    Rename,
    /// A file is removed.
    Remove,
}

/// One call of the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Call<'a> {
    /// What is asked.
    pub operation: Operation,
    /// The file or folder.
    pub path: &'a str,
    /// How many bytes are written.
    pub bytes: usize,
}

/// What becomes of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It works.
    None,
    /// It fails and does nothing.
    Fails(io::ErrorKind),
    /// A write fails after so many bytes.
    Torn(usize, io::ErrorKind),
}

/// Decides what becomes of each call.
pub type Decider = Box<dyn FnMut(&Call<'_>) -> Fault + Send>;

/// A change of a folder's names.
#[derive(Clone, Debug)]
enum NameChange {
    Put(String, u64),
    /// One change: a crash never keeps half of it.
    Rename(String, String),
    Remove(String),
}

#[derive(Default)]
struct State {
    contents: BTreeMap<u64, Content>,
    names: BTreeMap<String, u64>,
    durable_names: BTreeMap<String, u64>,
    name_changes: BTreeMap<String, Vec<NameChange>>,
    next_content: u64,
    /// Grows with every crash; a handle of an earlier life does not work.
    life: u64,
    capacity: Option<u64>,
    decider: Option<Decider>,
    syncs: u64,
}

/// A disk in memory. A clone is another handle on the same disk; [`FaultyDisk::copy`] is another disk.
#[derive(Clone, Default)]
pub struct FaultyDisk {
    state: Arc<Mutex<State>>,
}

/// An open file of a [`FaultyDisk`].
#[derive(Debug)]
pub struct FaultyFile {
    disk: FaultyDisk,
    path: String,
    content: u64,
    life: u64,
}

impl fmt::Debug for FaultyDisk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FaultyDisk").field("names", &self.state().names).finish_non_exhaustive()
    }
}

impl FaultyDisk {
    /// Decides what becomes of each call from now on; without a decider all works.
    pub fn set_decider(&self, decider: Option<Decider>) {
        self.state().decider = decider;
    }

    /// How many bytes all files may have together; a write that goes beyond is torn.
    pub fn set_capacity(&self, bytes: Option<u64>) {
        self.state().capacity = bytes;
    }

    /// The power fails. `keep` is given, for each folder, the number of changes of names and, for each file, the number of
    /// steps (bytes written, cuts) that are not durable, and says how many of them, from the first on, have become so.
    pub fn crash(&mut self, mut keep: impl FnMut(usize) -> usize) {
        let mut guard = self.state();
        let state = &mut *guard;
        state.life += 1;
        for changes in std::mem::take(&mut state.name_changes).into_values() {
            let kept = keep(changes.len()).min(changes.len());
            apply_names(&mut state.durable_names, &changes[..kept]);
        }
        state.names = state.durable_names.clone();
        let named: Vec<u64> = state.names.values().copied().collect();
        state.contents.retain(|content, _| named.contains(content));
        for content in state.contents.values_mut() {
            content.crash(&mut keep);
        }
    }

    /// Flips a bit of a file, on disk and in memory.
    pub fn flip(&self, path: &str, offset: usize, bit: u8) {
        self.edit(path, |bytes| {
            if let Some(byte) = bytes.get_mut(offset) {
                *byte ^= 1 << (bit % 8);
            }
        });
    }

    /// Changes the content of a file, on disk and in memory.
    pub fn edit(&self, path: &str, edit: impl Fn(&mut Vec<u8>)) {
        let mut state = self.state();
        let found = state.names.get(path).copied();
        if let Some(content) = found.and_then(|content| state.contents.get_mut(&content)) {
            edit(&mut content.now);
            edit(&mut content.durable);
        }
    }

    /// How many bytes all files have together.
    pub fn used_bytes(&self) -> u64 {
        self.state().used_bytes()
    }

    /// The content of a file.
    pub fn content(&self, path: &str) -> Option<Vec<u8>> {
        let state = self.state();
        state.contents.get(state.names.get(path)?).map(|content| content.now.clone())
    }

    /// All paths.
    pub fn paths(&self) -> Vec<String> {
        self.state().names.keys().cloned().collect()
    }

    /// How many syncs were asked for.
    pub fn syncs(&self) -> u64 {
        self.state().syncs
    }

    /// Another disk with the same content, and no decider.
    #[must_use]
    pub fn copy(&self) -> FaultyDisk {
        let state = self.state();
        let copy = State {
            contents: state.contents.clone(),
            names: state.names.clone(),
            durable_names: state.durable_names.clone(),
            name_changes: state.name_changes.clone(),
            next_content: state.next_content,
            life: state.life,
            capacity: state.capacity,
            decider: None,
            syncs: state.syncs,
        };
        FaultyDisk { state: Arc::new(Mutex::new(copy)) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn handle(&self, state: &State, path: &str, content: u64) -> FaultyFile {
        FaultyFile { disk: self.clone(), path: path.to_owned(), content, life: state.life }
    }
}

impl State {
    /// Asks the decider. A torn write is for the caller.
    fn ask(&mut self, operation: Operation, path: &str, bytes: usize) -> io::Result<Option<Fault>> {
        let call = Call { operation, path, bytes };
        match self.decider.as_mut().map_or(Fault::None, |decide| decide(&call)) {
            Fault::None => Ok(None),
            torn @ Fault::Torn(..) if operation == Operation::Write => Ok(Some(torn)),
            Fault::Fails(kind) | Fault::Torn(_, kind) => Err(io::Error::from(kind)),
        }
    }

    fn find(&self, path: &str) -> io::Result<u64> {
        self.names.get(path).copied().ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn change_names(&mut self, path: &str, change: NameChange) {
        let folder = path.split('/').next().unwrap_or_default().to_owned();
        apply_names(&mut self.names, std::slice::from_ref(&change));
        self.name_changes.entry(folder).or_default().push(change);
    }

    fn used_bytes(&self) -> u64 {
        self.names.values().map(|content| self.contents[content].now.len() as u64).sum()
    }
}

fn apply_names(names: &mut BTreeMap<String, u64>, changes: &[NameChange]) {
    for change in changes {
        match change {
            NameChange::Put(path, content) => names.insert(path.clone(), *content),
            NameChange::Remove(path) => names.remove(path),
            NameChange::Rename(from, to) => {
                names.remove(from).and_then(|content| names.insert(to.clone(), content))
            }
        };
    }
}

impl Disk for FaultyDisk {
    type File = FaultyFile;

    fn create(&self, path: &str) -> io::Result<FaultyFile> {
        let mut state = self.state();
        state.ask(Operation::Create, path, 0)?;
        if let Ok(content) = state.find(path) {
            let file = self.handle(&state, path, content);
            drop(state);
            file.change(Change::SetLen(0))?;
            return Ok(file);
        }
        let content = state.next_content;
        state.next_content += 1;
        state.contents.insert(content, Content::default());
        state.change_names(path, NameChange::Put(path.to_owned(), content));
        Ok(self.handle(&state, path, content))
    }

    fn open(&self, path: &str) -> io::Result<FaultyFile> {
        let state = self.state();
        let content = state.find(path)?;
        Ok(self.handle(&state, path, content))
    }

    fn open_to_write(&self, path: &str) -> io::Result<FaultyFile> {
        self.open(path)
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let mut state = self.state();
        state.ask(Operation::Rename, from, 0)?;
        state.find(from)?;
        state.change_names(to, NameChange::Rename(from.to_owned(), to.to_owned()));
        Ok(())
    }

    fn remove(&self, path: &str) -> io::Result<()> {
        let mut state = self.state();
        state.ask(Operation::Remove, path, 0)?;
        state.find(path)?;
        state.change_names(path, NameChange::Remove(path.to_owned()));
        Ok(())
    }

    fn list(&self, folder: &str) -> io::Result<Vec<String>> {
        let state = self.state();
        let inside =
            |path: &String| path.strip_prefix(folder)?.strip_prefix('/').map(str::to_owned);
        Ok(state.names.keys().filter_map(inside).collect())
    }

    fn make_folder(&self, _: &str) -> io::Result<()> {
        Ok(())
    }

    fn sync_folder(&self, folder: &str) -> io::Result<()> {
        let mut state = self.state();
        state.syncs += 1;
        state.ask(Operation::SyncFolder, folder, 0)?;
        let changes = state.name_changes.remove(folder).unwrap_or_default();
        apply_names(&mut state.durable_names, &changes);
        Ok(())
    }

    fn free_bytes(&self) -> io::Result<Option<u64>> {
        let state = self.state();
        Ok(state.capacity.map(|capacity| capacity.saturating_sub(state.used_bytes())))
    }
}

impl FaultyFile {
    fn with<T>(&self, with: impl FnOnce(&mut State) -> io::Result<T>) -> io::Result<T> {
        let mut state = self.disk.state();
        if state.life != self.life || !state.contents.contains_key(&self.content) {
            return Err(io::Error::other("the file was opened before the crash"));
        }
        with(&mut state)
    }

    fn change(&self, change: Change) -> io::Result<()> {
        self.with(|state| {
            if let Some(content) = state.contents.get_mut(&self.content) {
                change.apply(&mut content.now, change.steps());
                content.changes.push(change);
            }
            Ok(())
        })
    }
}

impl DiskFile for FaultyFile {
    fn length(&self) -> io::Result<u64> {
        self.with(|state| Ok(state.contents[&self.content].now.len() as u64))
    }

    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let offset = offset as usize;
        let fault = self.with(|state| {
            let asked = state.ask(Operation::Write, &self.path, bytes.len())?;
            let there = state.contents[&self.content].now.len();
            let room = |capacity: u64| capacity.saturating_sub(state.used_bytes()) as usize;
            let room = state.capacity.map(room);
            let fits = room.map_or(bytes.len(), |room| (there + room).saturating_sub(offset));
            let full = Fault::Torn(fits, io::ErrorKind::StorageFull);
            Ok(asked.or((fits < bytes.len()).then_some(full)))
        })?;
        let (written, outcome) = match fault {
            Some(Fault::Torn(written, kind)) => (written.min(bytes.len()), Err(kind.into())),
            _ => (bytes.len(), Ok(())),
        };
        if written > 0 {
            self.change(Change::Write { offset, bytes: bytes[..written].to_vec() })?;
        }
        outcome
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        self.with(|state| {
            state.ask(Operation::Read, &self.path, buffer.len())?;
            let content = &state.contents[&self.content].now;
            let from = content.get(offset as usize..).unwrap_or_default();
            let count = from.len().min(buffer.len());
            buffer[..count].copy_from_slice(&from[..count]);
            Ok(count)
        })
    }

    fn sync(&mut self) -> io::Result<()> {
        self.with(|state| {
            state.syncs += 1;
            let asked = state.ask(Operation::Sync, &self.path, 0);
            if let Some(content) = state.contents.get_mut(&self.content) {
                let changes = std::mem::take(&mut content.changes);
                asked?;
                for change in changes {
                    change.apply(&mut content.durable, change.steps());
                }
            }
            Ok(())
        })
    }

    fn set_len(&mut self, length: u64) -> io::Result<()> {
        self.with(|state| state.ask(Operation::SetLen, &self.path, 0))?;
        self.change(Change::SetLen(length as usize))
    }

    fn another(&self) -> io::Result<Self> {
        self.with(|state| Ok(self.disk.handle(state, &self.path, self.content)))
    }
}

#[cfg(test)]
#[path = "faulty_disk_test.rs"]
mod tests;
