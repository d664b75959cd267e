//! A journal in a file: locked while this process writes it, replaced atomically and durably.

use std::{
    fs::{self, File},
    io::{self, Read, Write},
    path::{Path, PathBuf},
};

use futures::future::{BoxFuture, FutureExt};

use super::{Journal, JournalError, JournalStore};
use crate::{
    anchor::evidence::Accounts,
    registration::{AgentName, AgentRegistry},
};

/// The file beside a journal that holds requests to try calls again.
const RESUME: &str = ".resume";

/// A journal file that this process alone writes.
#[derive(Debug)]
pub(crate) struct JournalFile {
    path: PathBuf,
    /// Held for as long as the file is written.
    _lock: File,
}

/// Reads a journal that another process may be writing. `None` if there is none yet.
pub(crate) fn read(path: &Path) -> Result<Option<Journal>, JournalError> {
    match fs::read(path) {
        Ok(bytes) => Journal::decode(&bytes, &place(path)).map(Some),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(failed(path, "read", source)),
    }
}

/// The same, and checks whose it is.
pub(crate) fn read_own(
    path: &Path,
    owner_id: &str,
    accounts: &Accounts,
) -> Result<Journal, JournalError> {
    match read(path)? {
        Some(journal) => journal.check_owner(owner_id, accounts, &place(path)),
        None => Ok(Journal { owner_id: owner_id.to_owned(), ..Journal::default() }),
    }
}

/// Asks the process that writes a journal to try calls again for an agent.
pub(crate) fn ask_to_resume(
    path: &Path,
    registry: &AgentRegistry,
    agent: &AgentName,
) -> Result<(), JournalError> {
    let asked = private().create(true).append(true).open(beside(path, RESUME));
    let written =
        asked.and_then(|mut file| file.write_all(format!("{registry} {agent}\n").as_bytes()));
    written.map_err(|source| failed(path, "resumed", source))
}

/// Whether the process that writes a journal has taken all such requests.
pub(crate) fn has_taken_resumes(path: &Path) -> bool {
    !beside(path, RESUME).exists()
}

impl JournalFile {
    /// Takes a journal over: locks it, reads it, and checks whose it is. A missing one is created.
    pub(crate) fn open(
        path: &Path,
        owner_id: &str,
        accounts: &Accounts,
    ) -> Result<(Self, Journal), JournalError> {
        let mut lock = private()
            .create(true)
            .truncate(false)
            .read(true)
            .write(true)
            .open(beside(path, ".lock"))
            .map_err(|source| failed(path, "locked", source))?;
        if lock.try_lock().is_err() {
            let mut holder = String::new();
            // It only helps to find the process: a lock file may be older than this version.
            let _unknown = (&lock).take(20).read_to_string(&mut holder);
            let is_id = !holder.is_empty() && holder.bytes().all(|byte| byte.is_ascii_digit());
            let holder = if is_id { format!(" (process {holder})") } else { String::new() };
            return Err(JournalError::Locked { place: place(path), holder });
        }
        let noted = lock.set_len(0).and_then(|()| write!(lock, "{}", std::process::id()));
        noted.map_err(|source| failed(path, "locked", source))?;
        let file = Self { path: path.to_owned(), _lock: lock };
        let is_new = !path.exists();
        let journal = read_own(path, owner_id, accounts)?;
        if is_new {
            file.write(&journal.encode())?;
        }
        Ok((file, journal))
    }

    fn write(&self, bytes: &[u8]) -> Result<(), JournalError> {
        let next = beside(&self.path, ".next");
        let created = private().create(true).truncate(true).write(true).open(&next);
        let written = created.and_then(|mut file| {
            file.write_all(bytes)?;
            file.sync_all()?;
            fs::rename(&next, &self.path)?;
            // The rename itself must survive a power failure too.
            let folder = self.path.parent().filter(|folder| !folder.as_os_str().is_empty());
            File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
        });
        written.map_err(|source| failed(&self.path, "written", source))
    }
}

impl JournalStore for JournalFile {
    fn replace<'a>(&'a mut self, bytes: &'a [u8]) -> BoxFuture<'a, Result<(), JournalError>> {
        async move { self.write(bytes) }.boxed()
    }

    fn take_resumes(&mut self) -> Vec<(AgentRegistry, AgentName)> {
        let taken = beside(&self.path, ".resumed");
        // What cannot be taken away must not be obeyed: it would be obeyed again and again.
        if fs::rename(beside(&self.path, RESUME), &taken).is_err() {
            return Vec::new();
        }
        let text = fs::read_to_string(&taken).unwrap_or_default();
        let _left_over = fs::remove_file(&taken);
        let requests = text.lines().filter_map(|line| {
            let (registry, agent) = line.split_once(' ')?;
            Some((AgentRegistry::parse(registry)?, AgentName::parse(agent)?))
        });
        requests.collect()
    }
}

/// Files that only this user can read: the journal contains signed transactions that were not sent
/// yet. An existing file keeps its mode, except that each new journal replaces the old file.
fn private() -> fs::OpenOptions {
    let mut options = File::options();
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        options.mode(0o600);
    }
    options
}

fn place(path: &Path) -> String {
    path.display().to_string()
}

fn failed(path: &Path, act: &'static str, source: io::Error) -> JournalError {
    JournalError::Io { place: place(path), act, source }
}

/// A file next to the journal: its whole name and a suffix, so that it is never the journal itself.
fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

#[cfg(test)]
mod tests;
