//! Bytes inside JSON, and digests with domain separation.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

use crate::identity::Canonical;
pub use crate::identity::Digest;

/// SHA-256 under a domain, over parts that are each preceded by their length: no two lists of parts share it.
#[must_use]
pub fn separated(domain: &'static str, parts: &[&[u8]]) -> Digest {
    Canonical::new(domain).each(parts.iter(), |canonical, part| canonical.bytes(part)).digest()
}

/// Short binary values (keys, signatures, certificates); hexadecimal in JSON.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct HexBytes(pub Vec<u8>);

impl fmt::Debug for HexBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HexBytes({} bytes)", self.0.len())
    }
}

impl HexBytes {
    /// True when there is no byte.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Serialize for HexBytes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&hex::encode(&self.0))
    }
}

impl<'de> Deserialize<'de> for HexBytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        hex::decode(&text).map(Self).map_err(D::Error::custom)
    }
}

/// Canonical JSON of one of Ward's own types: fields in declaration order, maps sorted, no white space.
#[must_use]
pub fn canonical_json<T: Serialize + ?Sized>(value: &T) -> Vec<u8> {
    serde_json::to_vec(value).expect("Ward's own types have text keys and finite numbers")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn separated_digests_differ_when_parts_move() {
        assert_ne!(separated("c", &[b"ab", b"c"]), separated("c", &[b"a", b"bc"]));
        assert_ne!(separated("c", &[b"ab"]), separated("d", &[b"ab"]));
    }

    #[test]
    fn hex_bytes_that_are_not_hexadecimal_are_refused() {
        assert!(serde_json::from_str::<HexBytes>("\"zz\"").is_err());
        assert_eq!(serde_json::from_str::<HexBytes>("\"00ff\"").unwrap(), HexBytes(vec![0, 255]));
    }
}
