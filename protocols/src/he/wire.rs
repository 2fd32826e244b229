//! The frame around encoded objects: 20 bytes, then items of fixed length.
//!
//! `"WHE" version:1 kind:1 profile:1 zero:2 count:4 scope:8`, then `count` items of residues packed at 27 bits.
//! `scope` is the head of the digest of the parameters, or of the profile for keys that serve any number of parties.

use ward_math::Poly;
use ward_math::codec::{Reader, Writer};
use ward_math::poly::Form;

use super::params::Parameters;
use crate::error::{Error, Result};

/// Most items in one encoded list.
pub const COUNT_MAX: u32 = 1 << 16;

const MAGIC: &[u8; 3] = b"WHE";
const VERSION: u8 = 1;
pub(crate) const HEADER_LEN: usize = 20;

/// What a frame holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    PublicKeyShare = 1,
    PublicKey = 2,
    Ciphertexts = 3,
    C0 = 4,
    C1 = 5,
    KeySwitchShares = 6,
    ShamirShare = 7,
    ThresholdKeyShare = 8,
    MaskedShares = 9,
}

impl Kind {
    /// A public key depends on the profile alone: a receiver's key serves any number of parties.
    fn scope(self, params: &Parameters) -> [u8; 8] {
        let digest = if self == Self::PublicKey { params.profile().digest() } else { params.digest() };
        let mut scope = [0; 8];
        scope.copy_from_slice(&digest[..8]);
        scope
    }
}

/// Starts a frame of `count` items of `item_len` bytes.
pub(crate) fn start(params: &Parameters, kind: Kind, count: usize, item_len: usize) -> Writer {
    let mut w = Writer::with_capacity(HEADER_LEN + count * item_len);
    w.bytes(MAGIC);
    w.u8(VERSION);
    w.u8(kind as u8);
    w.u8(params.profile().code());
    w.bytes(&[0; 2]);
    w.u32(u32::try_from(count).unwrap_or(u32::MAX)); // a decoder refuses counts above COUNT_MAX
    w.bytes(&kind.scope(params));
    w
}

/// Opens a frame: checks every header field and that exactly `count` items follow. Allocates nothing.
pub(crate) fn open<'a>(
    params: &Parameters,
    kind: Kind,
    item_len: usize,
    bytes: &'a [u8],
) -> Result<(usize, Reader<'a>)> {
    let mut r = Reader::new(bytes);
    let check = |holds: bool, field| if holds { Ok(()) } else { Err(Error::Header(field)) };
    check(&r.array::<3>()? == MAGIC, "magic")?;
    check(r.u8()? == VERSION, "version")?;
    check(r.u8()? == kind as u8, "kind")?;
    check(r.u8()? == params.profile().code(), "profile")?;
    check(r.array::<2>()? == [0; 2], "reserved field")?;
    let count = r.count(COUNT_MAX)?;
    check(r.array::<8>()? == kind.scope(params), "parameter set")?;
    check(r.remaining() == count * item_len, "length")?;
    Ok((count, r))
}

/// Opens a frame of exactly one item.
pub(crate) fn open_one<'a>(
    params: &Parameters,
    kind: Kind,
    item_len: usize,
    bytes: &'a [u8],
) -> Result<Reader<'a>> {
    match open(params, kind, item_len, bytes)? {
        (1, reader) => Ok(reader),
        _ => Err(Error::Header("count")),
    }
}

/// Bytes of one polynomial.
pub(crate) fn poly_len(params: &Parameters) -> usize {
    Poly::<ward_math::Evaluations>::encoded_len(params.ring())
}

/// Reads one polynomial.
pub(crate) fn read_poly<F: Form>(params: &Parameters, reader: &mut Reader<'_>) -> Result<Poly<F>> {
    Ok(Poly::read(params.ring(), reader)?)
}
