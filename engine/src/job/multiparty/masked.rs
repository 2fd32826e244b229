//! Sums that arrive under encryption: every hospital encrypts once, the key holders mask the sum, and what the compute nodes
//! begin with is the masked sum, which they open for themselves, and the masks, which the holders share among them.

use std::sync::Arc;

use super::super::aggregate::{Aggregate, contribute};
use super::super::key_shares;
use super::super::work::Work;
use crate::encoding::canonical_json;
use crate::party::task::{Arrived, ShareHeader};
use crate::problem::Problem;

/// What has arrived.
pub(super) struct Masked {
    /// What hospitals and key holders signed.
    pub(super) arrived: Arrived,
    /// For the compute nodes: the c0 parts of the contributions, then the masked shares.
    pub(super) body: Arc<Vec<u8>>,
}

/// Collects the contributions, then the masked shares. Goes on where it was.
///
/// # Errors
/// A refusal that leaves too few hospitals or holders; the deadline; storage.
pub(super) async fn arrive(work: &Work, job: &Aggregate) -> Result<Masked, Problem> {
    let contributions = contribute(work, job).await?;
    let (mut body, mut c1s) = (Vec::new(), Vec::new());
    for header in &contributions {
        let kept = work.part_body(&header.hospital, "contribution").await?;
        let (c0, c1) = kept
            .split_at_checked(header.c0_bytes as usize)
            .ok_or_else(|| Problem::internal(&"a kept contribution is too short"))?;
        body.extend_from_slice(c0);
        c1s.extend_from_slice(c1);
    }
    let (round, active, given) = key_shares::collect(work, job, &contributions, &Arc::new(c1s)).await?;
    let mut shares: Vec<ShareHeader> = Vec::new();
    for (holder, share) in active.iter().zip(given) {
        let part = work.part(holder, &format!("share.{round}")).await?;
        let part = part.ok_or_else(|| Problem::internal(&"a kept share is gone"))?;
        shares.push(serde_json::from_slice(&part.header).map_err(|e| Problem::internal(&e))?);
        body.extend_from_slice(&share);
    }
    if work.part("", "masked").await?.is_none() {
        work.put_part("", "masked", &canonical_json(&shares), b"").await?;
    }
    Ok(Masked { arrived: Arrived { contributions, shares }, body: Arc::new(body) })
}
