//! What may cross the wire: public field and ring elements and bytes, never a share.

mod sealed {
    pub trait Sealed {}
    impl Sealed for u8 {}
    impl Sealed for u64 {}
}

/// An element of a message. Share types do not implement it: a node sends what a protocol masked, not a share.
///
/// ```compile_fail
/// fn crosses<W: ward_protocols::mpc::wire::Wire>() {}
/// crosses::<ward_protocols::mpc::shares::RingShares>();
/// ```
pub trait Wire: sealed::Sealed + Copy {
    /// Bytes of an element.
    const BYTES: usize;

    /// Appends elements, little-endian.
    fn write(elements: &[Self], out: &mut Vec<u8>);

    /// Reads all of `bytes`, whose length is a multiple of [`Self::BYTES`]; every pattern is an element.
    fn read(bytes: &[u8]) -> Vec<Self>;

    /// Reads into `out`, which takes exactly `bytes`; what one of them has too much is left alone.
    fn read_into(bytes: &[u8], out: &mut [Self]);
}

impl Wire for u8 {
    const BYTES: usize = 1;

    fn write(elements: &[Self], out: &mut Vec<u8>) {
        out.extend_from_slice(elements);
    }

    fn read(bytes: &[u8]) -> Vec<Self> {
        bytes.to_vec()
    }

    fn read_into(bytes: &[u8], out: &mut [Self]) {
        for (element, byte) in out.iter_mut().zip(bytes) {
            *element = *byte;
        }
    }
}

impl Wire for u64 {
    const BYTES: usize = 8;

    fn write(elements: &[Self], out: &mut Vec<u8>) {
        // Within the first cache, and nothing is cleared that is written next.
        let mut block = [0; 4096];
        out.reserve(8 * elements.len());
        for elements in elements.chunks(block.len() / 8) {
            for (word, element) in block.as_chunks_mut::<8>().0.iter_mut().zip(elements) {
                *word = element.to_le_bytes();
            }
            out.extend_from_slice(&block[..8 * elements.len()]);
        }
    }

    fn read(bytes: &[u8]) -> Vec<Self> {
        bytes.as_chunks::<8>().0.iter().map(|word| Self::from_le_bytes(*word)).collect()
    }

    fn read_into(bytes: &[u8], out: &mut [Self]) {
        for (element, word) in out.iter_mut().zip(bytes.as_chunks::<8>().0) {
            *element = Self::from_le_bytes(*word);
        }
    }
}
