//! Answers that are sent again and again, as files in memory: the system sends the pages of a file
//! without copying them.

use std::{
    collections::VecDeque,
    fs::File,
    io::{self, Write},
    ops::{Range, RangeInclusive},
    os::unix::fs::FileExt,
    rc::Rc,
};

use bytes::Bytes;
#[cfg(target_os = "linux")]
use rustix::fs::MemfdFlags;
use rustix::io::Errno;
use tokio::net::TcpStream;

/// Sizes of bodies for which that costs less than copying them to the socket: docs/performance.md.
pub(super) const SIZES: RangeInclusive<usize> = 8 * 1_024..=512 * 1_024;
/// Bodies of which is noted that they were sent.
const REMEMBERED: usize = 8;
/// Files at once, with those of earlier seconds that clients still read: clients that read late must
/// not take memory each second.
const FILES: usize = 12;

/// What a thread sent lately.
#[derive(Default)]
pub(super) struct Repeated {
    /// The last body first.
    sent: Vec<Sent>,
    /// Counts the files: each has a clone.
    files: Rc<()>,
}

/// An answer in memory.
pub(super) struct AnswerFile {
    file: File,
    _counted: Rc<()>,
}

struct Sent {
    /// The entity tag, which names the bytes of the body.
    tag: Box<[u8]>,
    /// The last head that was sent twice, and the file of that answer.
    answer: Option<(Box<[u8]>, Rc<AnswerFile>)>,
    /// Whether it was sent since the last call of [`Repeated::forget`].
    is_recent: bool,
}

impl Repeated {
    /// The file of an answer, if its body was sent lately. `tag` is where its entity tag stands in its
    /// head. Heads have the time, so that a new file is made for each second; `body` is read for it.
    pub(super) fn file<'a>(
        &mut self,
        head: &[u8],
        tag: Range<usize>,
        body: impl FnOnce() -> &'a VecDeque<Bytes>,
    ) -> Option<Rc<AnswerFile>> {
        let tag = head.get(tag)?;
        let Some(at) = self.sent.iter().position(|sent| *sent.tag == *tag) else {
            self.sent.truncate(REMEMBERED - 1);
            self.sent.insert(0, Sent { tag: tag.into(), answer: None, is_recent: true });
            return None;
        };
        let sent = self.sent.get_mut(at)?;
        sent.is_recent = true;
        if sent.answer.as_ref().is_none_or(|(known, _)| **known != *head) {
            sent.answer = None;
            if Rc::strong_count(&self.files) <= FILES {
                // Without memory for it the answer is sent as any other.
                let file = in_memory(head, body()).ok();
                let counted = |file| AnswerFile { file, _counted: Rc::clone(&self.files) };
                sent.answer = file.map(|file| (head.into(), Rc::new(counted(file))));
            }
        }
        let file = sent.answer.as_ref().map(|(_, file)| Rc::clone(file));
        if let Some(before) = self.sent.get_mut(..=at) {
            before.rotate_right(1);
        }
        file
    }

    /// Forgets what was not sent since the last call.
    pub(super) fn forget(&mut self) {
        self.sent.retain_mut(|sent| std::mem::take(&mut sent.is_recent));
    }
}

#[cfg(target_os = "linux")]
fn in_memory(head: &[u8], body: &VecDeque<Bytes>) -> io::Result<File> {
    let create = |flags| rustix::fs::memfd_create(c"answer", MemfdFlags::CLOEXEC | flags);
    let file = match create(MemfdFlags::NOEXEC_SEAL) {
        // Before Linux 6.3, where no file in memory had to say that it is no program.
        Err(Errno::INVAL) => create(MemfdFlags::empty()),
        created => created,
    };
    let mut file = File::from(file?);
    file.write_all(head)?;
    body.iter().try_for_each(|piece| file.write_all(piece))?;
    Ok(file)
}

#[cfg(not(target_os = "linux"))]
fn in_memory(_: &[u8], _: &VecDeque<Bytes>) -> io::Result<File> {
    Err(io::ErrorKind::Unsupported.into())
}

/// Whether the system does not send this file, or no file at all.
pub(super) fn is_refused(error: &io::Error) -> bool {
    let refusals = [Errno::ACCESS, Errno::INVAL, Errno::NOSYS, Errno::OPNOTSUPP, Errno::PERM];
    refusals.iter().any(|refusal| error.raw_os_error() == Some(refusal.raw_os_error()))
}

impl AnswerFile {
    /// Sends so many of its bytes from `at` on, and returns how many were sent.
    #[cfg(target_os = "linux")]
    pub(super) fn send(&self, socket: &TcpStream, at: u64, count: usize) -> io::Result<usize> {
        Ok(rustix::fs::sendfile(socket, &self.file, Some(&mut { at }), count)?)
    }

    #[cfg(not(target_os = "linux"))]
    pub(super) fn send(&self, _: &TcpStream, _: u64, _: usize) -> io::Result<usize> {
        Err(io::ErrorKind::Unsupported.into())
    }

    /// So many of its bytes from `at` on.
    pub(super) fn read(&self, at: u64, count: usize) -> io::Result<Bytes> {
        let mut bytes = vec![0; count];
        self.file.read_exact_at(&mut bytes, at)?;
        Ok(bytes.into())
    }
}

#[cfg(test)]
mod tests;
