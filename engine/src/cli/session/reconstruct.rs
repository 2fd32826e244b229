//! The result of a computation on shares, put together from what the three compute nodes sealed.
//!
//! Adversary: malicious engine; one malicious compute node. Every component comes from two nodes, so that none can shift
//! the result by lying about its own shares; for what they computed, they vouch to each other in the protocol.

use zeroize::Zeroizing;

use super::not_verified;
use super::recombine::{check_inputs, check_shares, hospital};
use crate::encoding::Digest;
use crate::identity::envelope::EnvelopeSecret;
use crate::identity::{CaCertificate, Signature};
use crate::job::multiparty::{arrived_digest, inputs_digest, protocol_digest};
use crate::ledger::Commitment;
use crate::party::multiparty::{OUTPUT, output_place};
use crate::party::task::{Arrived, Evidence, OutputHeader};
use crate::problem::Problem;
use crate::query::plan::{MultiParty, Plan};

/// What a result is made from.
pub(super) struct Reconstruction<'a> {
    /// The plan, of which the digest is in the receipt.
    pub plan: &'a Plan,
    /// Its part on shares.
    pub on_shares: &'a MultiParty,
    /// The verified receipt's commitment.
    pub commitment: &'a Commitment,
    /// The authority under which hospitals are certified.
    pub authority: &'a CaCertificate,
}

/// A node's two components.
struct Components {
    own: Vec<u64>,
    next: Vec<u64>,
}

impl Reconstruction<'_> {
    /// Checks every signature and digest, opens, and adds up.
    ///
    /// # Errors
    /// `receipt.not_verified` naming what does not hold.
    pub fn result(
        &self,
        evidence: &Evidence,
        mut sealed: &[u8],
        key: &EnvelopeSecret,
    ) -> Result<Vec<u64>, Problem> {
        check_inputs((self.commitment, self.authority), &evidence.contributions)?;
        if Digest::of(sealed) != self.commitment.result_digest {
            return Err(not_verified("the result is not the one in the receipt"));
        }
        if protocol_digest(self.on_shares) != self.commitment.protocol_digest {
            return Err(not_verified("the receipt is of another protocol than the plan"));
        }
        if !evidence.outputs.iter().map(|output| &output.node).eq(&self.on_shares.nodes) {
            return Err(not_verified("the outputs are not those of the compute nodes of the plan"));
        }
        let inputs = self.inputs(evidence)?;
        let mut components = Vec::new();
        for header in &evidence.outputs {
            self.check_output(header, inputs)?;
            let wrong = |what: &str| not_verified(format!("{}: {what}", header.node));
            let bytes = usize::try_from(header.bytes).ok();
            let (own, rest) = bytes
                .and_then(|bytes| sealed.split_at_checked(bytes))
                .ok_or_else(|| wrong("its output is missing"))?;
            sealed = rest;
            if Digest::of(own) != header.sealed {
                return Err(wrong("its output is not the one it signed"));
            }
            let place = output_place(&self.commitment.job_id, header.attempt, &header.node);
            let opened = key.open(&place, own).map_err(|e| wrong(&e.to_string()))?;
            components.push(split(&opened).ok_or_else(|| wrong("its output has no two components"))?);
        }
        self.combine(&components)
    }

    /// What the outputs must name: the hospitals' inputs, or what arrived under encryption.
    fn inputs(&self, evidence: &Evidence) -> Result<Digest, Problem> {
        if !self.plan.is_masked() {
            return Ok(inputs_digest(&evidence.contributions));
        }
        check_shares((self.commitment, self.authority), self.plan, &evidence.shares)?;
        let (contributions, shares) = (evidence.contributions.clone(), evidence.shares.clone());
        Ok(arrived_digest(&Arrived { contributions, shares }))
    }

    fn check_output(&self, header: &OutputHeader, inputs: Digest) -> Result<(), Problem> {
        let wrong = |what: &str| not_verified(format!("{}: {what}", header.node));
        let member = hospital(self.authority, &header.certificate.0, &header.node)?;
        let parts = header.parts(&self.commitment.job_id, self.commitment.plan_digest);
        let parts: Vec<&[u8]> = parts.iter().map(Vec::as_slice).collect();
        let signature = Signature::from_slice(&header.signature.0).ok_or_else(|| wrong("no signature"))?;
        member.key.verify(OUTPUT, &parts, &signature).map_err(|e| wrong(&e.to_string()))?;
        if header.inputs != inputs {
            return Err(wrong("it computed on other inputs than the hospitals signed"));
        }
        Ok(())
    }

    /// Adds up the components, each of which two nodes must have given alike.
    fn combine(&self, nodes: &[Components]) -> Result<Vec<u64>, Problem> {
        let [first, second, third] = nodes else {
            return Err(not_verified("the result is not of three nodes"));
        };
        let names = &self.on_shares.nodes;
        for ((one, other), pair) in
            [(first, second), (second, third), (third, first)].into_iter().zip([[0, 1], [1, 2], [2, 0]])
        {
            if one.next != other.own {
                let [one, other] = pair.map(|i| names[i].as_str());
                return Err(not_verified(format!("{one} and {other} gave different shares")));
            }
        }
        let columns = first.own.iter().zip(&second.own).zip(&third.own);
        Ok(columns.map(|((a, b), c)| a.wrapping_add(*b).wrapping_add(*c)).collect())
    }
}

fn split(opened: &Zeroizing<Vec<u8>>) -> Option<Components> {
    let (words, rest) = opened.as_chunks::<8>();
    if !rest.is_empty() || words.len() % 2 != 0 {
        return None;
    }
    let words: Vec<u64> = words.iter().map(|word| u64::from_le_bytes(*word)).collect();
    let (own, next) = words.split_at(words.len() / 2);
    Some(Components { own: own.to_vec(), next: next.to_vec() })
}
