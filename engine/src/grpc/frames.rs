//! Bodies in pieces: cutting, and putting together under a limit with the announced length and digest checked.

use crate::encoding::Digest;

/// Bytes per piece.
pub const PIECE_BYTES: usize = 256 << 10;

/// Largest body of a task or reply, bytes.
pub const BODY_BYTES_MAX: u64 = 4 << 30;

/// What is wrong with a body.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FrameError {
    /// The announced length is over the limit.
    #[error("body of {bytes} bytes announced, at most {max} allowed")]
    TooLarge {
        /// Announced.
        bytes: u64,
        /// Limit.
        max: u64,
    },
    /// More or fewer bytes than announced.
    #[error("body has {got} bytes where {announced} were announced")]
    Length {
        /// Received so far.
        got: u64,
        /// Announced.
        announced: u64,
    },
    /// The bytes are not those announced.
    #[error("body does not match the digest announced")]
    Digest,
    /// A piece of nothing.
    #[error("a piece of a body arrived that nothing announced")]
    Unannounced,
}

/// A body being received.
#[derive(Debug)]
pub struct Assembly {
    announced: u64,
    digest: Option<Digest>,
    bytes: Vec<u8>,
}

impl Assembly {
    /// Starts on a body of that length and digest.
    ///
    /// # Errors
    /// [`FrameError::TooLarge`] over `bytes_max`.
    pub fn new(announced: u64, digest: Digest, bytes_max: u64) -> Result<Self, FrameError> {
        Ok(Self { digest: Some(digest), ..Self::unchecked(announced, bytes_max)? })
    }

    /// Starts on a body that its receiver checks by other means than a digest.
    ///
    /// # Errors
    /// [`FrameError::TooLarge`] over `bytes_max`.
    pub fn unchecked(announced: u64, bytes_max: u64) -> Result<Self, FrameError> {
        if announced > bytes_max {
            return Err(FrameError::TooLarge { bytes: announced, max: bytes_max });
        }
        // The announcement is a claim: memory grows with what arrives.
        Ok(Self { announced, digest: None, bytes: Vec::new() })
    }

    /// Takes a piece; returns the body when it was the last.
    ///
    /// # Errors
    /// [`FrameError`] when length or digest are not as announced.
    pub fn push(&mut self, piece: &[u8], last: bool) -> Result<Option<Vec<u8>>, FrameError> {
        let got = self.bytes.len() as u64 + piece.len() as u64;
        if got > self.announced || (last && got < self.announced) {
            return Err(FrameError::Length { got, announced: self.announced });
        }
        if self.bytes.is_empty() {
            self.bytes.reserve_exact(usize::try_from(self.announced.min(64 << 20)).unwrap_or(0));
        }
        self.bytes.extend_from_slice(piece);
        if !last {
            return Ok(None);
        }
        if self.digest.is_some_and(|digest| Digest::of(&self.bytes) != digest) {
            return Err(FrameError::Digest);
        }
        Ok(Some(std::mem::take(&mut self.bytes)))
    }
}

/// The pieces of a body, each with whether it is the last. An empty body has none.
pub fn pieces(body: &[u8]) -> impl Iterator<Item = (&[u8], bool)> {
    let count = body.len().div_ceil(PIECE_BYTES);
    body.chunks(PIECE_BYTES).enumerate().map(move |(i, piece)| (piece, i + 1 == count))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_body_comes_back_whole(body in proptest::collection::vec(any::<u8>(), 1..(3 * PIECE_BYTES / 2))) {
            let mut assembly = Assembly::new(body.len() as u64, Digest::of(&body), 1 << 20).unwrap();
            let mut got = None;
            for (piece, last) in pieces(&body) {
                prop_assert!(got.is_none());
                got = assembly.push(piece, last).unwrap();
            }
            prop_assert_eq!(got.unwrap(), body);
        }
    }

    #[test]
    fn an_oversized_body_is_refused_before_it_arrives() {
        let error = Assembly::new(11, Digest::of(b""), 10).unwrap_err();
        assert_eq!(error, FrameError::TooLarge { bytes: 11, max: 10 });
    }

    #[test]
    fn a_tampered_piece_is_refused() {
        let mut assembly = Assembly::new(3, Digest::of(b"abc"), 10).unwrap();
        assert_eq!(assembly.push(b"abd", true), Err(FrameError::Digest));
    }

    #[test]
    fn a_body_longer_or_shorter_than_announced_is_refused() {
        let mut long = Assembly::new(3, Digest::of(b"abc"), 10).unwrap();
        assert!(matches!(long.push(b"abcd", true), Err(FrameError::Length { .. })));
        let mut short = Assembly::new(3, Digest::of(b"abc"), 10).unwrap();
        assert!(matches!(short.push(b"ab", true), Err(FrameError::Length { .. })));
    }
}
