//! What the planner is told of a key epoch.

use ward_protocols::he::Parameters;

use crate::party::task::Epoch;
use crate::query::plan::ProtocolInfo;

/// The planner's view of an epoch and its parameters.
#[must_use]
pub fn protocol_info(epoch: &Epoch, params: &Parameters) -> ProtocolInfo {
    ProtocolInfo {
        profile: epoch.profile.clone(),
        key_holders: epoch.holders.clone(),
        threshold: epoch.threshold,
        degree: params.degree() as u32,
        log2_t: params.log2_t(),
        // Two polynomials, 27 bits a residue.
        ciphertext_bytes: (2 * params.limbs() * params.degree() * 27 / 8) as u64,
    }
}
