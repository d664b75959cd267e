//! scrypt (RFC 7914), for keystores.
//!
//! The RFC wants n below 2^(16 r), and libraries refuse the rest. But keystores of Python's
//! eth-keyfile before version 0.7, and the test vector that Ethereum publishes, have r = 1 and
//! n = 2^18. For these, and for these only, the function is put together here.

use hmac::Hmac;
use pbkdf2::pbkdf2;
use salsa20::{
    SalsaCore,
    cipher::{StreamCipherCore, consts::U4},
};
use sha2::Sha256;
use zeroize::Zeroizing;

/// The most work that is done for a file, as n * r * p: eight times what geth asks for. It also
/// limits the memory, 128 * n * r bytes.
const MOST_WORK: u64 = 1 << 24;
/// What is mixed at once, in bytes.
const BLOCK: usize = 64;

/// Parameters that are worth a try.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Params {
    log_n: u8,
    r: u32,
    p: u32,
}

impl Params {
    /// `None` if they are not allowed, or would cost hours or gigabytes.
    pub(super) fn new(n: u64, r: u32, p: u32) -> Option<Self> {
        let work = n.checked_mul(r.into())?.checked_mul(p.into())?;
        let is_possible = n.is_power_of_two() && n > 1 && (1..=MOST_WORK).contains(&work);
        let log_n = u8::try_from(n.checked_ilog2()?).ok()?;
        is_possible.then_some(Self { log_n, r, p })
    }

    /// Fills `derived`, which must not be empty.
    pub(super) fn derive(self, password: &[u8], salt: &[u8], derived: &mut [u8]) {
        let Self { log_n, r, p } = self;
        let done = ::scrypt::Params::new(log_n, r, p)
            .is_ok_and(|params| ::scrypt::scrypt(password, salt, &params, derived).is_ok());
        if !done {
            self.derive_beyond_the_rfc(password, salt, derived);
        }
    }

    fn derive_beyond_the_rfc(self, password: &[u8], salt: &[u8], derived: &mut [u8]) {
        let words = |number: u32| usize::try_from(number).unwrap_or(usize::MAX);
        let (n, length) = (1_usize << self.log_n, words(self.r).saturating_mul(2 * BLOCK));
        let mut blocks = Zeroizing::new(vec![0; length.saturating_mul(words(self.p))]);
        pbkdf2::<Hmac<Sha256>>(password, salt, 1, &mut blocks);
        let mut seen = Zeroizing::new(vec![0; length.saturating_mul(n)]);
        for block in blocks.chunks_exact_mut(length) {
            mix(block, &mut seen);
        }
        pbkdf2::<Hmac<Sha256>>(password, &blocks, 1, derived);
    }
}

/// scryptROMix: `seen` has the room of n blocks, and n is a power of two.
fn mix(block: &mut [u8], seen: &mut [u8]) {
    let length = block.len();
    for earlier in seen.chunks_exact_mut(length) {
        earlier.copy_from_slice(block);
        mix_block(block);
    }
    let n = seen.len() / length;
    for _ in 0..n {
        let last = &block[length - BLOCK..];
        let number = u32::from_le_bytes([last[0], last[1], last[2], last[3]]);
        let place = usize::try_from(number).unwrap_or_default() & (n - 1);
        xor(block, &seen[place * length..][..length]);
        mix_block(block);
    }
}

/// scryptBlockMix: even results come first, then the odd ones.
fn mix_block(block: &mut [u8]) {
    let (mut even, mut odd) = (Vec::new(), Vec::new());
    let mut last = [0; BLOCK];
    last.copy_from_slice(&block[block.len() - BLOCK..]);
    for (number, part) in block.chunks_exact(BLOCK).enumerate() {
        xor(&mut last, part);
        salsa20_8(&mut last);
        let half = if number % 2 == 0 { &mut even } else { &mut odd };
        half.extend_from_slice(&last);
    }
    let middle = even.len();
    block[..middle].copy_from_slice(&even);
    block[middle..].copy_from_slice(&odd);
}

fn salsa20_8(bytes: &mut [u8; BLOCK]) {
    let mut state = [0; BLOCK / 4];
    for (word, part) in state.iter_mut().zip(bytes.chunks_exact(4)) {
        *word = u32::from_le_bytes([part[0], part[1], part[2], part[3]]);
    }
    SalsaCore::<U4>::from_raw_state(state).write_keystream_block(bytes.into());
}

fn xor(target: &mut [u8], other: &[u8]) {
    for (target, other) in target.iter_mut().zip(other) {
        *target ^= other;
    }
}

#[cfg(test)]
mod tests;
