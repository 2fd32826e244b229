//! The node's side of a key ceremony: commit to a nonce, open it, commit to a key share, reveal it, finish.
//!
//! Parties: the key holders named in the specification. Inputs: none. Outputs: a collective public key; each holder
//! keeps its share of the secret key (n-of-n: its own ternary secret; t-of-n: the sum of the Shamir shares dealt to
//! it). Adversary: malicious engine and up to threshold - 1 holders for secrecy; abort. Rounds: 5 through the engine.
//! Source: Mouchet, Troncoso-Pastoriza, Bossuat, Hubaux, PoPETs 2021, protocol EncKeyGen; t-of-n after Mouchet,
//! Bertrand, Hubaux, eprint 2022/780. Deviation: the common reference comes from committed nonces, and shares of the
//! public key are committed before they are opened, so that no last mover can bias either.
//!
//! A holder draws one seed for a ceremony and seals it in its store; every byte it sends follows from the seed and the
//! steps it has seen, so that a retry replays the same bytes. It accepts one list of steps per round.

use std::sync::Arc;

use chacha20::ChaCha20Rng;
use hpke::aead::ChaCha20Poly1305;
use hpke::kdf::HkdfSha256;
use hpke::kem::X25519HkdfSha256;
use hpke::{Deserializable, Kem, OpModeR, OpModeS, Serializable};
use rand_core::SeedableRng;
use ward_math::Secret;
use ward_protocols::he::{self, Parameters, Profile};
use zeroize::Zeroizing;

use super::node::Node;
use super::task::{CeremonySpec, Epoch, Outcome, SealedPart, SignedStep, StepPayload};
use crate::encoding::{Digest, HexBytes, canonical_json, separated};
use crate::problem::{Problem, ProblemKind};

/// Context of a step's signature.
pub const CONTEXT: &str = "ward/v1/ceremony";
const SEAL_INFO: &[u8] = b"ward/v1/shamir-share";

/// A refusal of something another holder, or the engine, got wrong.
pub(super) fn refuse(code: &str, message: impl Into<String>) -> Problem {
    Problem::new(ProblemKind::Compliance, code, message)
}

/// Digest that names a specification.
#[must_use]
pub fn spec_digest(spec: &CeremonySpec) -> Digest {
    separated("ward/v1/ceremony-spec", &[&canonical_json(spec)])
}

/// What a signed step says, as it is signed.
#[must_use]
pub fn step_parts(spec: &Digest, member: &str, payload: &StepPayload) -> [Vec<u8>; 3] {
    [spec.0.to_vec(), member.as_bytes().to_vec(), canonical_json(payload)]
}

/// The epoch that a ceremony with these steps makes.
#[must_use]
pub fn epoch_of(spec: &CeremonySpec, rounds: &[Vec<SignedStep>; 4], public_key: Digest) -> Epoch {
    let transcript: Vec<Vec<u8>> = rounds.iter().map(canonical_json).collect();
    let mut parts: Vec<&[u8]> = transcript.iter().map(Vec::as_slice).collect();
    let spec_id = spec_digest(spec);
    parts.extend([spec_id.0.as_slice(), public_key.0.as_slice()]);
    Epoch {
        id: separated("ward/v1/epoch-id", &parts),
        profile: spec.profile.clone(),
        holders: spec.holders.clone(),
        threshold: spec.threshold,
        public_key,
    }
}

/// Parameters of an epoch.
///
/// # Errors
/// When the profile is unknown or there are too many holders.
pub fn parameters(profile: &str, holders: usize) -> Result<Parameters, Problem> {
    let unknown = || refuse("ceremony.profile", format!("unknown encryption profile `{profile}`"));
    let profile = Profile::from_name(profile).map_err(|_| unknown())?;
    let holders = u32::try_from(holders).unwrap_or(u32::MAX);
    Parameters::new(profile, holders).map_err(|e| refuse("ceremony.parameters", e.to_string()))
}

/// A ceremony as this holder has kept it.
struct Kept {
    spec: CeremonySpec,
    digest: Digest,
    params: Parameters,
    seed: Zeroizing<[u8; 32]>,
    me: usize,
}

impl Kept {
    fn sub_seed(&self, label: &str) -> Secret<[u8; 32]> {
        let label = label.as_bytes();
        Secret::new(separated("ward/v1/ceremony-seed", &[&*self.seed, &self.digest.0, label]).0)
    }

    fn rng(&self, label: &str) -> ChaCha20Rng {
        ChaCha20Rng::from_seed(*self.sub_seed(label).expose())
    }

    fn nonce(&self) -> [u8; 32] {
        *self.sub_seed("nonce").expose()
    }

    fn kem(&self) -> (<X25519HkdfSha256 as Kem>::PrivateKey, <X25519HkdfSha256 as Kem>::PublicKey) {
        X25519HkdfSha256::derive_keypair(self.sub_seed("kem").expose())
    }

    fn secret(&self) -> he::SecretKeyShare {
        he::SecretKeyShare::from_seed(&self.params, &self.sub_seed("secret"))
    }

    fn reference(&self, openings: &[SignedStep]) -> Result<he::CommonReference, Problem> {
        let mut nonces = Vec::new();
        for step in openings {
            let StepPayload::Open { nonce } = step.payload else { return Err(wrong_step(step)) };
            nonces.push((step.member.as_str(), nonce.0));
        }
        Ok(he::CommonReference::derive(&self.params, &nonces, &self.digest.0))
    }

    fn share(&self, openings: &[SignedStep]) -> Result<Vec<u8>, Problem> {
        let reference = self.reference(openings)?;
        let share =
            he::PublicKeyShare::generate(&self.params, &reference, &self.secret(), &mut self.rng("noise"));
        Ok(share.encode(&self.params))
    }

    fn seal_context(&self, dealer: &str, to: &str) -> Vec<u8> {
        canonical_json(&(self.digest, dealer, to))
    }

    /// The Shamir shares this holder deals, sealed, for every other holder.
    fn sealed(&self, commitments: &[SignedStep]) -> Result<Vec<(String, Vec<u8>)>, Problem> {
        if self.spec.threshold as usize == self.spec.holders.len() {
            return Ok(Vec::new());
        }
        let mut sealed = Vec::new();
        let shares = self.deal()?;
        for (share, step) in shares.iter().zip(commitments) {
            let StepPayload::Commit { kem_key, .. } = &step.payload else { return Err(wrong_step(step)) };
            if step.member == self.spec.holders[self.me] {
                continue;
            }
            let key = <X25519HkdfSha256 as Kem>::PublicKey::from_bytes(&kem_key.0)
                .map_err(|_| refuse("ceremony.kem_key", "sealing key does not parse").at(&step.member))?;
            let context = self.seal_context(&self.spec.holders[self.me], &step.member);
            let (encapsulated, text) =
                hpke::single_shot_seal_with_rng::<ChaCha20Poly1305, HkdfSha256, X25519HkdfSha256>(
                    &OpModeS::Base,
                    &key,
                    SEAL_INFO,
                    share.encode(&self.params).expose(),
                    &context,
                    &mut self.rng(&format!("seal {}", step.member)),
                )
                .map_err(|e| Problem::internal(&e))?;
            let mut bytes = encapsulated.to_bytes().to_vec();
            bytes.extend_from_slice(&text);
            sealed.push((step.member.clone(), bytes));
        }
        Ok(sealed)
    }

    fn deal(&self) -> Result<Vec<he::ShamirShare>, Problem> {
        let holders = self.spec.holders.len() as u32;
        he::shamir_split(&self.params, &self.secret(), self.spec.threshold, holders, &mut self.rng("shamir"))
            .map_err(|e| Problem::internal(&e))
    }

    fn open(&self, dealer: &str, sealed: &[u8]) -> Result<he::ShamirShare, Problem> {
        let bad = || refuse("ceremony.sealed_share", "a sealed key share does not open").at(dealer);
        let (encapsulated, text) = sealed.split_at_checked(32).ok_or_else(bad)?;
        let encapsulated =
            <X25519HkdfSha256 as Kem>::EncappedKey::from_bytes(encapsulated).map_err(|_| bad())?;
        let context = self.seal_context(dealer, &self.spec.holders[self.me]);
        let share = hpke::single_shot_open::<ChaCha20Poly1305, HkdfSha256, X25519HkdfSha256>(
            &OpModeR::Base,
            &self.kem().0,
            &encapsulated,
            SEAL_INFO,
            text,
            &context,
        )
        .map_err(|_| bad())?;
        he::ShamirShare::decode(&self.params, &Zeroizing::new(share)).map_err(|_| bad())
    }
}

/// Commitment to an encoded share of the public key.
fn commit_share(encoded: &[u8]) -> Digest {
    separated("key-share-commitment/1", &[encoded])
}

fn wrong_step(step: &SignedStep) -> Problem {
    refuse("ceremony.step", "a step of another round was sent").at(&step.member)
}

impl Node {
    /// Step 1: draws the ceremony's seed, once, and commits to the nonce.
    pub(super) fn key_commit(self: &Arc<Self>, spec: &CeremonySpec) -> Result<Outcome, Problem> {
        self.check_spec(spec)?;
        let digest = spec_digest(spec);
        let mut seed = Zeroizing::new([0; 32]);
        getrandom::fill(seed.as_mut_slice()).map_err(|e| Problem::internal(&e))?;
        self.once("ceremony-seed", &spec.id, digest, seed.as_slice())?;
        self.once("ceremony-spec", &spec.id, digest, &canonical_json(spec))?;
        let kept = self.kept(&spec.id)?;
        let commitment =
            Digest(he::commit_nonce(&kept.params, &digest.0, &spec.holders[kept.me], &kept.nonce()));
        let kem_key = HexBytes(kept.kem().1.to_bytes().to_vec());
        Ok(self.signed_step(&kept.digest, StepPayload::Commit { commitment, kem_key }))
    }

    /// Step 2: every holder has committed; opens the nonce.
    pub(super) fn key_open(&self, ceremony: &str, steps: &[SignedStep]) -> Result<Outcome, Problem> {
        let kept = self.kept(ceremony)?;
        self.accept_round(&kept, "commit", steps)?;
        for step in steps {
            if !matches!(step.payload, StepPayload::Commit { .. }) {
                return Err(wrong_step(step));
            }
        }
        Ok(self.signed_step(&kept.digest, StepPayload::Open { nonce: Digest(kept.nonce()) }))
    }

    /// Step 3: checks the nonces against their commitments; commits to the key share.
    pub(super) fn key_digest(&self, ceremony: &str, steps: &[SignedStep]) -> Result<Outcome, Problem> {
        let kept = self.kept(ceremony)?;
        let commitments = self.round(&kept, "commit")?;
        for (step, committed) in steps.iter().zip(&commitments) {
            let (StepPayload::Open { nonce }, StepPayload::Commit { commitment, .. }) =
                (&step.payload, &committed.payload)
            else {
                return Err(wrong_step(step));
            };
            he::check_nonce(&kept.params, &kept.digest.0, &step.member, &nonce.0, &commitment.0)
                .map_err(|e| refuse("ceremony.nonce", e.to_string()).at(&step.member))?;
        }
        self.accept_round(&kept, "open", steps)?;
        let share = kept.share(steps)?;
        Ok(self.signed_step(&kept.digest, StepPayload::Digest { share: commit_share(&share) }))
    }

    /// Step 4: every holder has committed to its share; reveals this one, and deals.
    pub(super) fn key_reveal(
        &self,
        ceremony: &str,
        steps: &[SignedStep],
    ) -> Result<(Outcome, Vec<u8>), Problem> {
        let kept = self.kept(ceremony)?;
        for step in steps {
            if !matches!(step.payload, StepPayload::Digest { .. }) {
                return Err(wrong_step(step));
            }
        }
        let openings = self.round(&kept, "open")?;
        self.accept_round(&kept, "digest", steps)?;
        let mut body = kept.share(&openings)?;
        let share_bytes = body.len() as u64;
        let mut parts = Vec::new();
        for (to, bytes) in kept.sealed(&self.round(&kept, "commit")?)? {
            parts.push(SealedPart { to, bytes: bytes.len() as u64, sha256: Digest::of(&bytes) });
            body.extend_from_slice(&bytes);
        }
        Ok((self.signed_step(&kept.digest, StepPayload::Reveal { share_bytes, sealed: parts }), body))
    }

    /// Step 5: checks every share against its commitment, adds up, keeps the key.
    pub(super) fn key_finish(
        &self,
        ceremony: &str,
        steps: &[SignedStep],
        body: &[u8],
    ) -> Result<Outcome, Problem> {
        let kept = self.kept(ceremony)?;
        let digests = self.round(&kept, "digest")?;
        self.check_steps(&kept, steps)?;
        let (public_key, rest) = aggregate(&kept, &self.round(&kept, "open")?, &digests, steps, body)?;
        let encoded = public_key.encode(&kept.params);
        self.accept_round(&kept, "reveal", steps)?;
        let rounds = [self.round(&kept, "commit")?, self.round(&kept, "open")?, digests, steps.to_vec()];
        let epoch = epoch_of(&kept.spec, &rounds, Digest::of(&encoded));
        let id = epoch.id.to_string();
        let secret = self.own_share(&kept, steps, rest)?;
        self.once("epoch-secret", &id, epoch.id, &secret)?;
        self.once("epoch-key", &id, epoch.id, &encoded)?;
        self.once("epoch", &id, epoch.id, &canonical_json(&(&epoch, &kept.spec)))?;
        self.audit("key.keep", &kept.spec.id, &format!("epoch {id}"))?;
        let signature = HexBytes(self.sign("ward/v1/epoch", &[&canonical_json(&epoch)]));
        Ok(Outcome::KeyFinished { epoch, signature })
    }

    /// n-of-n: the seed of the ternary secret; t-of-n: the sum of the shares dealt to this holder.
    fn own_share(
        &self,
        kept: &Kept,
        reveals: &[SignedStep],
        mut rest: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, Problem> {
        if kept.spec.threshold as usize == kept.spec.holders.len() {
            return Ok(Zeroizing::new(kept.sub_seed("secret").expose().to_vec()));
        }
        let name = self.name();
        let mut shares = Vec::new();
        for step in reveals {
            let StepPayload::Reveal { sealed, .. } = &step.payload else { return Err(wrong_step(step)) };
            if step.member == name {
                shares.push(kept.deal()?.swap_remove(kept.me));
                continue;
            }
            let missing =
                || refuse("ceremony.sealed_share", "no key share was dealt to this node").at(&step.member);
            let part = sealed.iter().find(|part| part.to == name).ok_or_else(missing)?;
            let (bytes, tail) = rest.split_at_checked(part.bytes as usize).ok_or_else(missing)?;
            if Digest::of(bytes) != part.sha256 {
                return Err(missing());
            }
            shares.push(kept.open(&step.member, bytes)?);
            rest = tail;
        }
        let share = he::shamir_combine(&kept.params, &shares).map_err(|e| Problem::internal(&e))?;
        Ok(Zeroizing::new(share.encode(&kept.params).expose().to_vec()))
    }

    fn signed_step(&self, spec: &Digest, payload: StepPayload) -> Outcome {
        let parts = step_parts(spec, self.name(), &payload);
        let signature = HexBytes(self.sign(CONTEXT, &[&parts[0], &parts[1], &parts[2]]));
        Outcome::Step { step: SignedStep { member: self.name().to_owned(), payload, signature } }
    }

    fn check_spec(&self, spec: &CeremonySpec) -> Result<(), Problem> {
        let holders = spec.holders.len();
        let sorted = spec.holders.windows(2).all(|pair| pair[0] < pair[1]);
        if !sorted || holders < 2 || spec.certificates.len() != holders {
            return Err(refuse(
                "ceremony.holders",
                "holders must be two or more, sorted, with a certificate each",
            ));
        }
        if spec.threshold < 2 || spec.threshold as usize > holders {
            let message = format!("a threshold of {} of {holders} holders is not allowed", spec.threshold);
            return Err(refuse("ceremony.threshold", message).hint("at least 2, at most all"));
        }
        if spec.consortium != self.consortium() {
            return Err(refuse("ceremony.consortium", "the ceremony is of another consortium"));
        }
        if !spec.holders.iter().any(|name| name == self.name()) {
            return Err(refuse("ceremony.holders", "this node is not among the holders"));
        }
        parameters(&spec.profile, holders)?;
        for (name, certificate) in spec.holders.iter().zip(&spec.certificates) {
            self.pin_hospital(name, &certificate.0)?;
        }
        Ok(())
    }

    fn kept(&self, ceremony: &str) -> Result<Kept, Problem> {
        let missing = || {
            Problem::new(ProblemKind::NotFound, "ceremony.unknown", "this node has not begun that ceremony")
        };
        let spec = self.recall("ceremony-spec", ceremony)?.ok_or_else(missing)?;
        let spec: CeremonySpec = serde_json::from_slice(&spec).map_err(|e| Problem::internal(&e))?;
        let bytes = self.recall("ceremony-seed", ceremony)?.ok_or_else(missing)?;
        let mut seed = Zeroizing::new([0; 32]);
        if bytes.len() != seed.len() {
            return Err(Problem::internal(&"a kept seed is not of 32 bytes"));
        }
        seed.copy_from_slice(&bytes);
        let me = spec.holders.iter().position(|name| name == self.name()).ok_or_else(missing)?;
        Ok(Kept {
            digest: spec_digest(&spec),
            params: parameters(&spec.profile, spec.holders.len())?,
            spec,
            seed,
            me,
        })
    }

    /// One signed step of every holder, in order.
    fn check_steps(&self, kept: &Kept, steps: &[SignedStep]) -> Result<(), Problem> {
        if steps.len() != kept.spec.holders.len() {
            return Err(refuse("ceremony.steps", "not every holder's step was sent"));
        }
        for ((step, holder), certificate) in steps.iter().zip(&kept.spec.holders).zip(&kept.spec.certificates)
        {
            if &step.member != holder {
                return Err(
                    refuse("ceremony.steps", "steps are not in the order of the holders").at(&step.member)
                );
            }
            let parts = step_parts(&kept.digest, holder, &step.payload);
            let parts: [&[u8]; 3] = [&parts[0], &parts[1], &parts[2]];
            self.check_signature(&certificate.0, CONTEXT, &parts, &step.signature.0)
                .map_err(|problem| problem.at(holder))?;
        }
        Ok(())
    }

    /// Checks a round and keeps it: another list for the same round is refused from now on.
    fn accept_round(&self, kept: &Kept, round: &str, steps: &[SignedStep]) -> Result<(), Problem> {
        self.check_steps(kept, steps)?;
        let json = canonical_json(&steps);
        let binding = separated("ward/v1/ceremony-round", &[round.as_bytes(), &json]);
        self.once(&format!("ceremony-{round}"), &kept.spec.id, binding, &json)
    }

    fn round(&self, kept: &Kept, round: &str) -> Result<Vec<SignedStep>, Problem> {
        let early = || refuse("ceremony.order", format!("the {round} round has not been completed here"));
        let json = self.recall(&format!("ceremony-{round}"), &kept.spec.id)?.ok_or_else(early)?;
        serde_json::from_slice(&json).map_err(|e| Problem::internal(&e))
    }
}

/// Splits the shares off the body, checks each against its commitment, and adds them.
fn aggregate<'a>(
    kept: &Kept,
    openings: &[SignedStep],
    digests: &[SignedStep],
    reveals: &[SignedStep],
    mut body: &'a [u8],
) -> Result<(he::PublicKey, &'a [u8]), Problem> {
    let mut shares = Vec::new();
    for (step, committed) in reveals.iter().zip(digests) {
        let (StepPayload::Reveal { share_bytes, .. }, StepPayload::Digest { share }) =
            (&step.payload, &committed.payload)
        else {
            return Err(wrong_step(step));
        };
        let bad = || refuse("ceremony.key_share", "a key share is not the one committed to").at(&step.member);
        let bytes = usize::try_from(*share_bytes).map_err(|_| bad())?;
        let (encoded, rest) = body.split_at_checked(bytes).ok_or_else(bad)?;
        if commit_share(encoded) != *share {
            return Err(bad());
        }
        shares.push(he::PublicKeyShare::decode(&kept.params, encoded).map_err(|_| bad())?);
        body = rest;
    }
    let reference = kept.reference(openings)?;
    let key = he::PublicKey::aggregate(&kept.params, &reference, &shares)
        .map_err(|e| refuse("ceremony.key_share", e.to_string()))?;
    Ok((key, body))
}
