//! The result, made again from what the hospitals signed: the researcher trusts the engine with neither its content nor
//! its correctness.
//!
//! Adversary: malicious engine; up to threshold - 1 key holders for secrecy. A key holder can still shift the result by
//! lying in its own share, as a hospital can by lying in its own data.

use ward_protocols::he::{self, C0, Ciphertext, KeySwitchShare, Parameters};

use super::not_verified;
use crate::clock::now_ms;
use crate::encoding::{Digest, separated};
use crate::identity::{CaCertificate, Member, Role, Signature};
use crate::ledger::Commitment;
use crate::party::aggregate::{CONTRIBUTION, context_of};
use crate::party::task::{Binding, ContributionHeader, Evidence, ShareHeader};
use crate::problem::Problem;
use crate::query::plan::Plan;

/// The hospital of that name, by its certificate.
///
/// # Errors
/// `receipt.not_verified` when the authority did not sign it, or it is somebody else's.
pub(super) fn hospital(authority: &CaCertificate, certificate: &[u8], name: &str) -> Result<Member, Problem> {
    let now_s = (now_ms() / 1000) as i64;
    let member = authority.verify(certificate, now_s).map_err(not_verified)?;
    if member.role != Role::Hospital || member.name != name {
        return Err(not_verified(format!("the certificate of {name} is of {}", member.name)));
    }
    Ok(member)
}

/// Checks that the inputs are those of the hospitals in the receipt, and each hospital's signature over its own.
///
/// # Errors
/// `receipt.not_verified`.
pub(super) fn check_inputs(
    (commitment, authority): (&Commitment, &CaCertificate),
    contributions: &[ContributionHeader],
) -> Result<(), Problem> {
    let epoch = Digest::parse(&commitment.key_epoch).ok_or_else(|| not_verified("the epoch is no digest"))?;
    let binding = Binding {
        job: &commitment.job_id,
        request: commitment.request_digest,
        plan: commitment.plan_digest,
        epoch,
    };
    if !contributions.iter().map(|c| &c.hospital).eq(&commitment.participants) {
        return Err(not_verified("the contributions are not those of the hospitals in the receipt"));
    }
    for header in contributions {
        let wrong = |what: &str| not_verified(format!("{}: {what}", header.hospital));
        let member = hospital(authority, &header.certificate.0, &header.hospital)?;
        let parts = binding.parts(header);
        let parts: Vec<&[u8]> = parts.iter().map(Vec::as_slice).collect();
        let signature = Signature::from_slice(&header.signature.0).ok_or_else(|| wrong("no signature"))?;
        member.key.verify(CONTRIBUTION, &parts, &signature).map_err(|e| wrong(&e.to_string()))?;
        let named = separated("contribution/1", &[&header.c0.0, &header.c1.0]);
        if commitment.contribution_digests.get(&header.hospital) != Some(&named) {
            return Err(wrong("its contribution is not the one in the receipt"));
        }
    }
    Ok(())
}

/// Checks that shares are of as many key holders as the plan's threshold, of one sum, and each holder's signature.
///
/// # Errors
/// `receipt.not_verified`.
pub(super) fn check_shares(
    (commitment, authority): (&Commitment, &CaCertificate),
    plan: &Plan,
    shares: &[ShareHeader],
) -> Result<(), Problem> {
    let protocol = &plan.protocol;
    let sorted = shares.windows(2).all(|pair| pair[0].holder < pair[1].holder);
    let holders = shares.iter().all(|s| protocol.key_holders.contains(&s.holder));
    if !sorted || !holders || shares.len() != protocol.threshold as usize {
        return Err(not_verified("the shares are not of as many key holders as the threshold"));
    }
    for header in shares {
        let wrong = |what: &str| not_verified(format!("{}: {what}", header.holder));
        let member = hospital(authority, &header.certificate.0, &header.holder)?;
        let parts: [&[u8]; 3] = [commitment.job_id.as_bytes(), &header.sum.0, &header.shares.0];
        let signature = Signature::from_slice(&header.signature.0).ok_or_else(|| wrong("no signature"))?;
        member.key.verify(context_of(plan), &parts, &signature).map_err(|e| wrong(&e.to_string()))?;
        if header.sum != shares[0].sum {
            return Err(wrong("its share is of another sum than the others'"));
        }
    }
    Ok(())
}

/// What a result is made from.
pub(super) struct Recombination<'a> {
    /// Parameters of the epoch.
    pub params: &'a Parameters,
    /// The plan, of which the digest is in the receipt.
    pub plan: &'a Plan,
    /// The verified receipt's commitment.
    pub commitment: &'a Commitment,
    /// The authority under which hospitals are certified.
    pub authority: &'a CaCertificate,
}

impl Recombination<'_> {
    /// Checks every signature and digest, and adds up.
    ///
    /// # Errors
    /// `receipt.not_verified` naming what does not hold.
    pub fn result(&self, evidence: &Evidence, c0s: &[u8], shares: &[u8]) -> Result<Vec<Ciphertext>, Problem> {
        let sum = self.sum(evidence, c0s)?;
        let shares = self.shares(evidence, shares)?;
        let result = he::key_switch_combine(self.params, &sum, &shares).map_err(not_verified)?;
        if Digest::of(&Ciphertext::encode_all(self.params, &result)) != self.commitment.result_digest {
            return Err(not_verified("the result is not the one in the receipt"));
        }
        Ok(result)
    }

    /// The c0 half of the sum; the other half is in the shares.
    fn sum(&self, evidence: &Evidence, mut c0s: &[u8]) -> Result<Vec<C0>, Problem> {
        check_inputs((self.commitment, self.authority), &evidence.contributions)?;
        let mut sum = he::C0Accumulator::new(self.params);
        for header in &evidence.contributions {
            let wrong = |what: &str| not_verified(format!("{}: {what}", header.hospital));
            let c0 = take(&mut c0s, header.c0_bytes).ok_or_else(|| wrong("its contribution is missing"))?;
            if Digest::of(c0) != header.c0 {
                return Err(wrong("its contribution is not the one it signed"));
            }
            let list = C0::decode_all(self.params, c0).map_err(|e| wrong(&e.to_string()))?;
            if list.len() != self.plan.ciphertexts as usize {
                return Err(wrong("its contribution has another length than the plan"));
            }
            sum.add(&list).map_err(|e| wrong(&e.to_string()))?;
        }
        Ok(sum.finish())
    }

    fn shares(&self, evidence: &Evidence, mut bytes: &[u8]) -> Result<Vec<Vec<KeySwitchShare>>, Problem> {
        check_shares((self.commitment, self.authority), self.plan, &evidence.shares)?;
        let mut shares = Vec::new();
        for header in &evidence.shares {
            let wrong = |what: &str| not_verified(format!("{}: {what}", header.holder));
            let share = take(&mut bytes, header.bytes).ok_or_else(|| wrong("its share is missing"))?;
            if Digest::of(share) != header.shares {
                return Err(wrong("its share is not the one it signed"));
            }
            shares.push(KeySwitchShare::decode_all(self.params, share).map_err(|e| wrong(&e.to_string()))?);
        }
        Ok(shares)
    }
}

fn take<'a>(bytes: &mut &'a [u8], count: u64) -> Option<&'a [u8]> {
    let (head, tail) = bytes.split_at_checked(usize::try_from(count).ok()?)?;
    *bytes = tail;
    Some(head)
}
