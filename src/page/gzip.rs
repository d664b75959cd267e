//! Gzip members (RFC 1952) made of pieces that were compressed one by one.
//!
//! Each piece is a run of deflate blocks that refers to nothing before it and ends on a byte
//! boundary, so that pieces can be joined in any order. The checksum of the whole is combined from
//! those of the pieces.

use std::cell::RefCell;

use flate2::{Compress, Compression, FlushCompress};

/// No name, no time, unknown system: the bytes depend on the content alone.
pub(super) const HEADER: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255];
/// A final block without content.
const END: [u8; 2] = [3, 0];
/// A stored block with one comma.
pub(super) const COMMA: [u8; 6] = [0, 1, 0, 0xfe, 0xff, b','];

/// The generator of CRC-32, with its bits reversed.
const POLYNOMIAL: u32 = 0xedb8_8320;
/// The polynomials 1 and x^8: the highest bit belongs to the lowest power.
const ONE: u32 = 1 << 31;
const ONE_BYTE: u32 = 1 << 23;

/// The CRC-32 and the length of a piece.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Checksum {
    crc: u32,
    len: usize,
    /// x^(8·len) modulo the generator: what appending the piece does to the checksum before it.
    shift: u32,
}

impl Checksum {
    pub(super) fn of(piece: &[u8]) -> Self {
        let mut shift = ONE;
        let mut power = ONE_BYTE;
        let mut len = piece.len();
        while len > 0 {
            if len & 1 == 1 {
                shift = product(power, shift);
            }
            power = product(power, power);
            len >>= 1;
        }
        Self { crc: crc32fast::hash(piece), len: piece.len(), shift }
    }

    /// The checksum of this piece and `next` behind it.
    pub(super) fn then(self, next: Self) -> Self {
        Self {
            crc: product(next.shift, self.crc) ^ next.crc,
            len: self.len + next.len,
            shift: product(next.shift, self.shift),
        }
    }

    /// What ends a member whose content this is the checksum of.
    pub(super) fn trailer(self) -> Vec<u8> {
        // RFC 1952 stores the length modulo 2^32.
        let len = u32::try_from(self.len & 0xffff_ffff).unwrap_or_default();
        [&END[..], &self.crc.to_le_bytes(), &len.to_le_bytes()].concat()
    }
}

/// The product of two polynomials modulo the generator.
fn product(a: u32, mut b: u32) -> u32 {
    let mut sum = 0;
    let mut bit = ONE;
    while bit != 0 {
        if a & bit != 0 {
            sum ^= b;
        }
        b = if b & 1 == 1 { (b >> 1) ^ POLYNOMIAL } else { b >> 1 };
        bit >>= 1;
    }
    sum
}

/// Appends a whole member.
pub(super) fn append_whole(content: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(&HEADER);
    compress(content, FlushCompress::Finish, out);
    let trailer = Checksum::of(content).trailer();
    out.extend_from_slice(&trailer[END.len()..]);
}

/// The deflate blocks of one piece.
pub(super) fn deflate_piece(piece: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    compress(piece, FlushCompress::Sync, &mut out);
    out
}

thread_local! {
    /// Its tables are larger than most documents, so it is not built for each of them.
    static COMPRESS: RefCell<Compress> = RefCell::new(Compress::new(Compression::default(), false));
}

fn compress(mut content: &[u8], flush: FlushCompress, out: &mut Vec<u8>) {
    COMPRESS.with_borrow_mut(|compress| {
        compress.reset();
        loop {
            out.reserve(content.len() / 2 + 64);
            let before = compress.total_in();
            compress.compress_vec(content, out, flush).expect("raw deflate takes any input");
            let taken = usize::try_from(compress.total_in() - before).unwrap_or(content.len());
            content = content.get(taken..).unwrap_or_default();
            // With room left, everything that is to come has come.
            if content.is_empty() && out.len() < out.capacity() {
                return;
            }
        }
    });
}
