//! Where a node can be reached by its peers, signed by the node: an engine can neither invent an address nor send
//! nodes to hosts of its choice.

use serde::{Deserialize, Serialize};

use super::error::MeshError;
use crate::identity::{Identity, PublicKey, Signature, clip};

/// Context of the signature.
const CONTEXT: &str = "ward/v1/mesh-address";
/// Longest address, in bytes.
const ADDRESS_BYTES_MAX: usize = 260;

/// A node's address for direct connections.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Announcement {
    /// The node's name.
    pub name: String,
    /// `host:port`.
    pub address: String,
    /// The node's signature over both.
    pub signature: Signature,
}

impl Announcement {
    /// Announces an address.
    ///
    /// # Errors
    /// [`MeshError::Address`] when it is not `host:port`.
    pub fn sign(identity: &Identity, name: &str, address: &str) -> Result<Self, MeshError> {
        host_and_port(name, address)?;
        let signature = identity.sign(CONTEXT, &[name.as_bytes(), address.as_bytes()]);
        Ok(Self { name: name.to_owned(), address: address.to_owned(), signature })
    }

    /// The address, when the node of that name and key signed it.
    ///
    /// # Errors
    /// [`MeshError::Address`].
    pub fn verified(&self, name: &str, key: &PublicKey) -> Result<&str, MeshError> {
        let refuse = |reason| refused(&self.name, &self.address, reason);
        if self.name != name {
            return Err(refuse("it is another node's"));
        }
        host_and_port(name, &self.address)?;
        key.verify(CONTEXT, &[name.as_bytes(), self.address.as_bytes()], &self.signature)
            .map_err(|_| refuse("the signature does not verify"))?;
        Ok(&self.address)
    }
}

fn refused(name: &str, address: &str, reason: &'static str) -> MeshError {
    MeshError::Address { peer: clip(name), address: clip(address), reason }
}

/// Splits `host:port`, where an IPv6 address stands in brackets.
pub(super) fn host_and_port<'a>(name: &str, address: &'a str) -> Result<(&'a str, u16), MeshError> {
    let refuse = |reason| refused(name, address, reason);
    if address.len() > ADDRESS_BYTES_MAX {
        return Err(refuse("it is too long"));
    }
    let (host, port) = address.rsplit_once(':').ok_or_else(|| refuse("it is not host:port"))?;
    let port = port.parse().ok().filter(|port| *port > 0);
    let port = port.ok_or_else(|| refuse("its port is not between 1 and 65535"))?;
    let inner = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    if inner.is_none() && host.contains(':') {
        return Err(refuse("an IPv6 address stands in brackets"));
    }
    let host = inner.unwrap_or(host);
    let is_host = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_' | b':');
    if host.is_empty() || !host.bytes().all(is_host) {
        return Err(refuse("its host is no name and no address"));
    }
    Ok((host, port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_announcement_holds_for_its_node_and_address_alone() {
        let (north, other) = (Identity::from_seed(&[1; 32]), Identity::from_seed(&[2; 32]));
        let said = Announcement::sign(&north, "north", "mesh.north.example:7443").unwrap();
        assert_eq!(said.verified("north", &north.public()), Ok("mesh.north.example:7443"));
        assert!(said.verified("south", &north.public()).is_err());
        assert!(said.verified("north", &other.public()).is_err());
        let mut moved = said.clone();
        moved.address = "10.0.0.1:22".into();
        assert!(moved.verified("north", &north.public()).is_err());
        let json = serde_json::to_string(&said).unwrap();
        assert_eq!(serde_json::from_str::<Announcement>(&json).unwrap(), said);
    }

    #[test]
    fn an_address_is_a_host_and_a_port() {
        for (address, split) in [
            ("a.example:7443", ("a.example", 7443)),
            ("10.0.0.1:1", ("10.0.0.1", 1)),
            ("[2001:db8::1]:65535", ("2001:db8::1", 65_535)),
        ] {
            assert_eq!(host_and_port("x", address), Ok(split));
        }
        let long = format!("{}:1", "a".repeat(300));
        for address in
            ["", "a", "a:", "a:0", "a:65536", ":1", "2001:db8::1:1", "a b:1", "a/b:1", "[]:1", &long]
        {
            assert!(matches!(host_and_port("x", address), Err(MeshError::Address { .. })), "{address}");
        }
    }
}
