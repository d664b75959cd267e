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

/// What a thread sent lately, the last body first.
#[derive(Default)]
pub(super) struct Repeated(Vec<Sent>);

struct Sent {
    /// The entity tag, which names the bytes of the body.
    tag: Box<[u8]>,
    /// The last head that was sent twice, and the file of that answer.
    answer: Option<(Box<[u8]>, Rc<File>)>,
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
    ) -> Option<Rc<File>> {
        let tag = head.get(tag)?;
        let Some(at) = self.0.iter().position(|sent| *sent.tag == *tag) else {
            self.0.truncate(REMEMBERED - 1);
            self.0.insert(0, Sent { tag: tag.into(), answer: None, is_recent: true });
            return None;
        };
        let sent = self.0.get_mut(at)?;
        sent.is_recent = true;
        if sent.answer.as_ref().is_none_or(|(known, _)| **known != *head) {
            // Without memory for it the answer is sent as any other.
            let file = in_memory(head, body()).ok();
            sent.answer = file.map(|file| (head.into(), Rc::new(file)));
        }
        let file = sent.answer.as_ref().map(|(_, file)| Rc::clone(file));
        if let Some(before) = self.0.get_mut(..=at) {
            before.rotate_right(1);
        }
        file
    }

    /// Forgets what was not sent since the last call.
    pub(super) fn forget(&mut self) {
        self.0.retain_mut(|sent| std::mem::take(&mut sent.is_recent));
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

/// Bytes of a file from `at` on.
pub(super) fn read(file: &File, at: u64, count: usize) -> io::Result<Bytes> {
    let mut bytes = vec![0; count];
    file.read_exact_at(&mut bytes, at)?;
    Ok(bytes.into())
}

/// Sends bytes of a file from `at` on, and returns how many.
#[cfg(target_os = "linux")]
pub(super) fn send(socket: &TcpStream, file: &File, at: u64, count: usize) -> io::Result<usize> {
    Ok(rustix::fs::sendfile(socket, file, Some(&mut { at }), count)?)
}

#[cfg(not(target_os = "linux"))]
pub(super) fn send(_: &TcpStream, _: &File, _: u64, _: usize) -> io::Result<usize> {
    Err(io::ErrorKind::Unsupported.into())
}

#[cfg(test)]
mod tests;
