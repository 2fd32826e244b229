//! Frames inside a peer's TLS stream: a header of 24 bytes, then the message.
//!
//! Header: kind (1 byte), three zero bytes, length of the message (u32, little endian), tag (16 bytes). A sign of life
//! and the farewell have length and tag zero.

/// Bytes of a header.
pub(super) const HEADER_BYTES: usize = 24;

const MESSAGE: u8 = 1;
const ALIVE: u8 = 2;
const FAREWELL: u8 = 3;

/// What a header announces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Header {
    /// A message of that tag and length follows.
    Message { tag: [u8; 16], bytes: u32 },
    /// The peer is there.
    Alive,
    /// Nothing follows any more.
    Farewell,
}

impl Header {
    /// The 24 bytes.
    pub(super) fn encode(self) -> [u8; HEADER_BYTES] {
        let (kind, bytes, tag) = match self {
            Self::Message { tag, bytes } => (MESSAGE, bytes, tag),
            Self::Alive => (ALIVE, 0, [0; 16]),
            Self::Farewell => (FAREWELL, 0, [0; 16]),
        };
        let mut header = [0; HEADER_BYTES];
        header[0] = kind;
        header[4..8].copy_from_slice(&bytes.to_le_bytes());
        header[8..].copy_from_slice(&tag);
        header
    }

    /// Reads the 24 bytes; says what is wrong with them otherwise.
    pub(super) fn decode(header: &[u8; HEADER_BYTES]) -> Result<Self, &'static str> {
        let [kind, zero @ .., a, b, c, d] = &header[..8] else { return Err("a short header") };
        if zero != [0; 3] {
            return Err("a header with bits that have no meaning");
        }
        let bytes = u32::from_le_bytes([*a, *b, *c, *d]);
        let mut tag = [0; 16];
        tag.copy_from_slice(&header[8..]);
        match (*kind, bytes, tag) {
            (MESSAGE, bytes, tag) => Ok(Self::Message { tag, bytes }),
            (ALIVE, 0, [0, ..]) if tag == [0; 16] => Ok(Self::Alive),
            (FAREWELL, 0, [0, ..]) if tag == [0; 16] => Ok(Self::Farewell),
            (ALIVE | FAREWELL, ..) => Err("a header of its kind has no length and no tag"),
            _ => Err("a header of unknown kind"),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_header_is_laid_out_as_documented() {
        let header = Header::Message { tag: *b"0123456789abcdef", bytes: 0x0102_0304 };
        assert_eq!(&header.encode(), b"\x01\0\0\0\x04\x03\x02\x010123456789abcdef");
        assert_eq!(Header::Farewell.encode()[0], 3);
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_decode_to_what_encodes_to_them_or_not_at_all(bytes in any::<[u8; HEADER_BYTES]>(), kind in 0u8..5) {
            let mut near = bytes;
            near[0] = kind;
            near[1..4].fill(0);
            for bytes in [bytes, near] {
                if let Ok(header) = Header::decode(&bytes) {
                    prop_assert_eq!(header.encode(), bytes);
                }
            }
        }

        #[test]
        fn every_message_header_comes_back(tag in any::<[u8; 16]>(), bytes in any::<u32>()) {
            let header = Header::Message { tag, bytes };
            prop_assert_eq!(Header::decode(&header.encode()), Ok(header));
        }
    }

    #[test]
    fn stray_bits_in_a_header_are_refused() {
        for (at, byte) in [(0, 0), (0, 4), (1, 1), (3, 0x80)] {
            let mut header = Header::Message { tag: [7; 16], bytes: 9 }.encode();
            header[at] = byte;
            assert!(Header::decode(&header).is_err(), "byte {at}");
        }
        for kind in [Header::Alive, Header::Farewell] {
            for at in [4, 7, 8, 23] {
                let mut header = kind.encode();
                header[at] = 1;
                assert!(Header::decode(&header).is_err(), "{kind:?}, byte {at}");
            }
        }
    }
}
