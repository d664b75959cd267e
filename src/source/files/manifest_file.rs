//! One manifest file: what was last read of it, and when it is read again.

use std::{
    fs::OpenOptions,
    io::{self, Read},
    os::unix::fs::OpenOptionsExt,
    path::Path,
    sync::Arc,
};

use tokio::time::Instant;

use super::{
    content::Content,
    settling::{is_settled, may_be_half_written},
    walk::{Stamp, not_regular},
};
use crate::source::{
    Scope,
    manifest::{ManifestDocument, SyntaxError, read_json, read_yaml},
};

/// A larger file is not a manifest.
const MAX_FILE_BYTES: u64 = 256 * 1024 * 1024;

#[derive(Debug)]
pub(super) struct ManifestFile {
    stamp: Stamp,
    /// Of the bytes that were last read, if they could be.
    digest: Option<blake3::Hash>,
    /// Whether the file was read again after the read that first saw this stamp: two changes within
    /// one tick of the file system's clock have the same stamp.
    confirmed: bool,
    /// The last valid content, if there was one.
    pub(super) content: Option<Arc<Content>>,
    pub(super) condition: Condition,
}

/// How the current bytes of a file relate to the content in use.
#[derive(Debug)]
pub(super) enum Condition {
    InUse,
    Broken(String),
    HalfWritten { content: Arc<Content>, since: Instant },
}

impl ManifestFile {
    pub(super) fn first(path: &Path, stamp: Stamp, scope: &Scope, now: Instant) -> Self {
        let mut file = Self {
            stamp,
            digest: None,
            confirmed: false,
            content: None,
            condition: Condition::Broken(String::new()),
        };
        file.load(path, scope, now);
        file
    }

    /// Reads the file if it may have changed. Returns whether what is known of it changed.
    pub(super) fn update(
        &mut self,
        path: &Path,
        stamp: Stamp,
        scope: &Scope,
        now: Instant,
    ) -> bool {
        let same_stamp = self.stamp == stamp;
        let mut changed = false;
        if !same_stamp || !self.confirmed {
            self.confirmed = same_stamp;
            self.stamp = stamp;
            changed = self.load(path, scope, now);
        }
        if let Condition::HalfWritten { content, since } = &self.condition
            && is_settled(*since, now)
        {
            self.content = Some(Arc::clone(content));
            self.condition = Condition::InUse;
            return true;
        }
        changed
    }

    /// Reads the file, and parses it unless its bytes are those of the last time.
    fn load(&mut self, path: &Path, scope: &Scope, now: Instant) -> bool {
        let bytes = match read_bytes(path) {
            Ok(bytes) => bytes,
            Err(error) => {
                // The next attempt may succeed although the file did not change.
                (self.digest, self.confirmed) = (None, false);
                return self.is_broken(error);
            }
        };
        let digest = Some(blake3::hash(&bytes));
        if self.digest == digest {
            return false;
        }
        self.digest = digest;
        let content = match parse(path, bytes) {
            Ok(documents) => Arc::new(Content::of(&documents, scope)),
            Err(error) => return self.is_broken(error),
        };
        let kept = self.content.as_ref().map_or(0, |content| content.objects.len());
        if may_be_half_written(kept, content.objects.len()) {
            self.condition = Condition::HalfWritten { content, since: now };
        } else {
            self.content = Some(content);
            self.condition = Condition::InUse;
        }
        true
    }

    fn is_broken(&mut self, error: String) -> bool {
        let is_news = match &self.condition {
            Condition::Broken(last) => *last != error,
            Condition::InUse | Condition::HalfWritten { .. } => true,
        };
        self.condition = Condition::Broken(error);
        is_news
    }
}

/// Reads a regular file, and nothing that took its place since the folder was listed: opening a FIFO
/// would wait for a writer, and a device may have no end.
fn read_bytes(path: &Path) -> Result<Vec<u8>, String> {
    let described = |error: io::Error| error.to_string();
    let open = OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open(path);
    let file = open.map_err(described)?;
    let about = file.metadata().map_err(described)?;
    if !about.is_file() {
        return Err(not_regular(about.file_type()));
    }
    let too_large = || format!("the file is larger than {} MiB; split it", MAX_FILE_BYTES >> 20);
    if about.len() > MAX_FILE_BYTES {
        return Err(too_large());
    }
    let mut bytes = Vec::new();
    // It may grow meanwhile.
    let read = file.take(MAX_FILE_BYTES + 1).read_to_end(&mut bytes).map_err(described)?;
    let is_whole = u64::try_from(read).is_ok_and(|length| length <= MAX_FILE_BYTES);
    is_whole.then_some(bytes).ok_or_else(too_large)
}

fn parse(path: &Path, bytes: Vec<u8>) -> Result<Vec<ManifestDocument>, String> {
    let text = String::from_utf8(bytes).map_err(|_| "the file is not UTF-8 text".to_owned())?;
    let is_json = path.extension().is_some_and(|ending| ending == "json");
    let documents = if is_json { read_json(&text) } else { read_yaml(&text) };
    documents.map_err(|error: SyntaxError| error.to_string())
}

#[cfg(test)]
mod tests;
