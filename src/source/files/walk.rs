//! Finds the manifest files below a path, without reading them.

use std::{
    collections::BTreeMap,
    fs::{self, FileType, Metadata},
    io,
    os::unix::fs::{FileTypeExt, MetadataExt},
    path::{Path, PathBuf},
};

use super::ReadError;

/// What is below one path.
#[derive(Debug, Default)]
pub(super) struct Tree {
    pub(super) files: BTreeMap<PathBuf, Stamp>,
    /// Paths that cannot be read, and why. What was read at or below them before stays in use.
    pub(super) unreadable: BTreeMap<PathBuf, String>,
    /// The folders in which a change may change the files.
    pub(super) folders: BTreeMap<PathBuf, FileId>,
}

/// Device and inode: what a path refers to.
pub(super) type FileId = (u64, u64);

/// Detects a changed file without reading it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Stamp {
    /// Changes if another file is renamed onto the path, even within one tick of the file system's
    /// clock.
    id: FileId,
    changed: (i64, i64),
    modified: (i64, i64),
    length: u64,
}

impl Stamp {
    fn of(about: &Metadata) -> Self {
        Self {
            id: id_of(about),
            changed: (about.ctime(), about.ctime_nsec()),
            modified: (about.mtime(), about.mtime_nsec()),
            length: about.len(),
        }
    }
}

fn id_of(about: &Metadata) -> FileId {
    (about.dev(), about.ino())
}

/// Finds what is at `root`, which must be readable, and below it.
pub(super) fn walk(root: &Path) -> Result<Tree, ReadError> {
    let failed = |source: io::Error| ReadError { path: root.display().to_string(), source };
    let about = fs::metadata(root).map_err(failed)?;
    let mut tree = Tree::default();
    if about.is_dir() {
        tree.read_folder(root, &about, &mut Vec::new()).map_err(failed)?;
    } else if about.is_file() {
        tree.files.insert(root.to_owned(), Stamp::of(&about));
    } else {
        return Err(failed(io::Error::other(not_regular(about.file_type()))));
    }
    let is_link = fs::symlink_metadata(root).is_ok_and(|about| about.is_symlink());
    if about.is_file() || is_link {
        tree.add_folder_of(root);
    }
    Ok(tree)
}

impl Tree {
    /// Adds the files of a folder. `above` holds the folders on the way to it: one that links to
    /// itself is walked once.
    fn read_folder(
        &mut self,
        path: &Path,
        about: &Metadata,
        above: &mut Vec<FileId>,
    ) -> io::Result<()> {
        let id = id_of(about);
        if above.contains(&id) {
            return Ok(());
        }
        self.folders.insert(path.to_owned(), id);
        above.push(id);
        for entry in fs::read_dir(path)? {
            let entry = entry?;
            if entry.file_name().as_encoded_bytes().starts_with(b".") {
                continue;
            }
            let path = entry.path();
            if let Err(error) = self.read_entry(&path, entry.file_type()?, above) {
                self.unreadable.insert(path, error.to_string());
            }
        }
        above.pop();
        Ok(())
    }

    fn read_entry(
        &mut self,
        path: &Path,
        kind: FileType,
        above: &mut Vec<FileId>,
    ) -> io::Result<()> {
        if kind.is_file() && !is_manifest(path) {
            return Ok(());
        }
        let about = match fs::metadata(path) {
            // It was removed since the folder was listed.
            Err(error) if error.kind() == io::ErrorKind::NotFound && !kind.is_symlink() => {
                return Ok(());
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(io::Error::other("it is a link to something that does not exist"));
            }
            about => about?,
        };
        if about.is_dir() {
            let depth = above.len();
            let read = self.read_folder(path, &about, above);
            above.truncate(depth);
            return read;
        }
        if !is_manifest(path) {
            return Ok(());
        }
        if kind.is_symlink() {
            self.add_folder_of(path);
        }
        if !about.is_file() {
            return Err(io::Error::other(not_regular(about.file_type())));
        }
        self.files.insert(path.to_owned(), Stamp::of(&about));
        Ok(())
    }

    /// Adds the folder that contains `path`, and that of the file that it links to.
    fn add_folder_of(&mut self, path: &Path) {
        let target = path.canonicalize().ok();
        for path in [Some(path), target.as_deref()].into_iter().flatten() {
            let parent = path.parent().map(|parent| match parent.as_os_str().is_empty() {
                true => Path::new("."),
                false => parent,
            });
            if let Some(parent) = parent
                && let Ok(about) = fs::metadata(parent)
            {
                self.folders.insert(parent.to_owned(), id_of(&about));
            }
        }
    }
}

/// Says what is at a path instead of a regular file.
pub(super) fn not_regular(kind: FileType) -> String {
    let what = if kind.is_dir() {
        "a folder"
    } else if kind.is_fifo() {
        "a FIFO"
    } else if kind.is_socket() {
        "a socket"
    } else {
        "a device"
    };
    format!("it is {what}; only regular files and folders are read")
}

fn is_manifest(path: &Path) -> bool {
    path.extension()
        .and_then(|ending| ending.to_str())
        .is_some_and(|ending| matches!(ending, "yaml" | "yml" | "json"))
}
