//! Answers that are sent again and again, as files in memory: the system sends the pages of a file
//! without copying them.

use std::{
    collections::VecDeque,
    fs::File,
    io::{self, Write},
    ops::{Range, RangeInclusive},
    rc::Rc,
};

use bytes::Bytes;
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
    let flags = rustix::fs::MemfdFlags::CLOEXEC;
    let mut file = File::from(rustix::fs::memfd_create(c"answer", flags)?);
    file.write_all(head)?;
    body.iter().try_for_each(|piece| file.write_all(piece))?;
    Ok(file)
}

#[cfg(not(target_os = "linux"))]
fn in_memory(_: &[u8], _: &VecDeque<Bytes>) -> io::Result<File> {
    Err(io::ErrorKind::Unsupported.into())
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
