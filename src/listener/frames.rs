//! What an HTTP/2 client sends besides requests, and when it is too much.
//!
//! hyper answers pings and settings, and forgets streams that were reset, for as long as a client
//! likes, and each costs other clients time. This reads frame headers (RFC 9113, section 4.1) as they
//! pass.

use std::time::{Duration, Instant};

/// The connection preface of a client (RFC 9113, section 3.4).
pub(super) const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// GOAWAY with the code ENHANCE_YOUR_CALM, before any stream was processed.
pub(super) const GO_AWAY: [u8; 17] =
    [0, 0, 8, 7, 0, 0, 0, 0, 0, 0x7f, 0xff, 0xff, 0xff, 0, 0, 0, 11];

/// What a client may spend at once, and gets again each second.
const BUDGET: u32 = 1_000;
const INCOME: u32 = 200;
/// A window of 64 KiB is opened once for each 32 KiB or so; a client that reads in small pieces
/// opens it more often.
const FREE_WINDOW_UPDATES: u64 = 1_000;
const BYTES_PER_WINDOW_UPDATE: u64 = 512;

const DATA: u8 = 0x0;
const HEADERS: u8 = 0x1;
const RST_STREAM: u8 = 0x3;
const SETTINGS: u8 = 0x4;
const PING: u8 = 0x6;
const WINDOW_UPDATE: u8 = 0x8;
const CONTINUATION: u8 = 0x9;
const END_HEADERS: u8 = 0x4;

/// Counts the frames of one client.
#[derive(Debug)]
pub(super) struct FrameMeter {
    /// Bytes to skip: the rest of the preface or of a frame.
    skip: usize,
    /// The part of a frame header that has arrived.
    head: [u8; 9],
    filled: usize,
    budget: u32,
    refilled: Instant,
    window_updates: u64,
    /// Since when a header block has been incomplete.
    open_block: Option<Instant>,
}

/// A client sends too many frames that ask for nothing.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Flood;

impl FrameMeter {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            skip: PREFACE.len(),
            head: [0; 9],
            filled: 0,
            budget: BUDGET,
            refilled: now,
            window_updates: 0,
            open_block: None,
        }
    }

    /// Since when the head of a request has been incomplete.
    pub(super) fn open_block(&self) -> Option<Instant> {
        self.open_block
    }

    /// Takes note of bytes from the client. `written` is how many bytes it was sent so far.
    pub(super) fn read(
        &mut self,
        mut bytes: &[u8],
        written: u64,
        now: Instant,
    ) -> Result<(), Flood> {
        while !bytes.is_empty() {
            if self.skip > 0 {
                let skipped = self.skip.min(bytes.len());
                self.skip -= skipped;
                bytes = bytes.get(skipped..).unwrap_or_default();
                continue;
            }
            let taken = (self.head.len() - self.filled).min(bytes.len());
            let (new, rest) = bytes.split_at(taken);
            for (to, from) in self.head.iter_mut().skip(self.filled).zip(new) {
                *to = *from;
            }
            self.filled += taken;
            bytes = rest;
            if self.filled == self.head.len() {
                self.filled = 0;
                self.frame(written, now)?;
            }
        }
        Ok(())
    }

    fn frame(&mut self, written: u64, now: Instant) -> Result<(), Flood> {
        let [a, b, c, kind, flags, ..] = self.head;
        let length = usize::from(a) << 16 | usize::from(b) << 8 | usize::from(c);
        self.skip = length;
        if kind == HEADERS || kind == CONTINUATION {
            let is_complete = flags & END_HEADERS != 0;
            self.open_block = if is_complete { None } else { self.open_block.or(Some(now)) };
        }
        let cost = match kind {
            HEADERS => 0,
            DATA if length > 0 => 0,
            WINDOW_UPDATE => {
                self.window_updates += 1;
                let allowed = FREE_WINDOW_UPDATES + written / BYTES_PER_WINDOW_UPDATE;
                u32::from(self.window_updates > allowed)
            }
            // A block of 32 KiB fits into three frames; a client may use a few more.
            CONTINUATION | RST_STREAM => 5,
            PING => 10,
            SETTINGS => 50,
            // Empty DATA, PRIORITY, and what no specification knows.
            _ => 1,
        };
        self.spend(cost, now)
    }

    fn spend(&mut self, cost: u32, now: Instant) -> Result<(), Flood> {
        if cost == 0 {
            return Ok(());
        }
        let passed = now.saturating_duration_since(self.refilled);
        if passed >= Duration::from_secs(1) {
            let seconds = u32::try_from(passed.as_secs()).unwrap_or(u32::MAX);
            self.budget = self.budget.saturating_add(seconds.saturating_mul(INCOME)).min(BUDGET);
            self.refilled = now;
        }
        self.budget = self.budget.checked_sub(cost).ok_or(Flood)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests;
