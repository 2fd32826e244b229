//! Whether all nodes have the same bytes.
//!
//! Parties: all. Inputs: bytes that should be the same at all, such as what one node broadcast or what was opened.
//! Adversary: one node, malicious; abort. Rounds: 1. Bytes: 64. Source: the echo of Goldwasser, Lindell, "Secure
//! multi-party computation without agreement", Journal of Cryptology 2005, section 3 (broadcast with abort), of a hash.

use sha3::{Digest, Sha3_256};

use crate::mpc::error::Result;
use crate::mpc::role::Peer;
use crate::mpc::security::Security;
use crate::mpc::session::Session;

/// Compares the hash of `bytes` with both peers'. The bytes are known to all three: the hash reveals them.
///
/// # Errors
/// When the channel fails; when a peer's hash is another: two honest nodes with different bytes both find out.
pub fn agree<S: Security>(session: &mut Session<'_, S>, bytes: &[u8], what: &'static str) -> Result<()> {
    let digest: [u8; 32] =
        Sha3_256::new().chain_update(b"ward/mpc/v1/agree").chain_update(bytes).finalize().into();
    session.send(Peer::Prev, &digest)?;
    session.send(Peer::Next, &digest)?;
    for peer in [Peer::Prev, Peer::Next] {
        let theirs: Vec<u8> = session.receive(peer, digest.len())?;
        if theirs != digest {
            return Err(session.check_failed(None, what));
        }
    }
    Ok(())
}
