//! What engine and node say to each other: tasks and their outcomes, carried as JSON over the node's stream, with
//! large parts in a body.
//!
//! Nothing here is believed because it arrived: signatures, digests and rules are checked by whoever receives it.

mod shares;

use serde::{Deserialize, Serialize};

pub use self::shares::{Arrived, MeshMember, OutputCost, OutputHeader};

use crate::consent::Purpose;
use crate::encoding::{Digest, HexBytes};
use crate::proofs::ContributionProof;
use crate::query::ast::Route;
use crate::study::StudyRef;

/// An epoch of the collective key: what a finished ceremony made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Epoch {
    /// Digest of the ceremony's specification and of every step in it.
    pub id: Digest,
    /// Encryption profile.
    pub profile: String,
    /// Key holders, sorted; a holder's point is its index + 1.
    pub holders: Vec<String>,
    /// Holders that a release takes.
    pub threshold: u32,
    /// SHA-256 of the encoded collective public key.
    pub public_key: Digest,
}

/// What a ceremony makes, agreed on before it starts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CeremonySpec {
    /// Job id of the ceremony.
    pub id: String,
    /// The consortium.
    pub consortium: String,
    /// Encryption profile.
    pub profile: String,
    /// Key holders, sorted.
    pub holders: Vec<String>,
    /// Their certificates, DER, in the same order.
    pub certificates: Vec<HexBytes>,
    /// Holders that a release takes.
    pub threshold: u32,
}

/// A holder's signed step: context `ward/v1/ceremony` over (spec digest, step, member, payload).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SignedStep {
    /// Who says it.
    pub member: String,
    /// What it says.
    pub payload: StepPayload,
    /// Ed25519.
    pub signature: HexBytes,
}

/// The steps of a key ceremony, in order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "step", rename_all = "snake_case", deny_unknown_fields)]
pub enum StepPayload {
    /// Commitment to a nonce, and the key to which private shares are sealed.
    Commit {
        /// Hash commitment.
        commitment: Digest,
        /// X25519 public key (HPKE).
        kem_key: HexBytes,
    },
    /// The nonce.
    Open {
        /// 32 bytes.
        nonce: Digest,
    },
    /// Commitment to the share of the public key.
    Digest {
        /// Digest of the encoded share.
        share: Digest,
    },
    /// What the body holds: the share, then one sealed Shamir share per other holder (t-of-n only).
    Reveal {
        /// Bytes of the share.
        share_bytes: u64,
        /// Length and SHA-256 of each sealed share, in the order of the holders without the dealer.
        sealed: Vec<SealedPart>,
    },
}

/// A part of a body.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SealedPart {
    /// For whom.
    pub to: String,
    /// Length.
    pub bytes: u64,
    /// SHA-256.
    pub sha256: Digest,
}

/// A researcher's query as it is signed: context `ward/v1/request` over its canonical JSON.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Request {
    /// Always 1.
    pub version: u32,
    /// The consortium it is meant for.
    pub consortium: String,
    /// The researcher's enrolled name.
    pub researcher: String,
    /// The query text.
    pub sql: String,
    /// 0: all hospitals that hold the data; else at least this many.
    pub participants_min: u32,
    /// Epoch under which hospitals encrypt.
    pub epoch: Digest,
    /// SHA-256 of the encoded public key to which the result is switched.
    pub receiver_key: Digest,
    /// 128 random bits: the same request twice is one job.
    pub nonce: HexBytes,
    /// How it is to be computed.
    #[serde(default, skip_serializing_if = "Route::is_auto")]
    pub route: Route,
    /// What the answer is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub purpose: Option<Purpose>,
    /// X25519 public key to which results of computations on shares are sealed.
    #[serde(default, skip_serializing_if = "HexBytes::is_empty")]
    pub seal_key: HexBytes,
    /// The study that it is asked in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub study: Option<StudyRef>,
    /// When it was signed.
    pub signed_unix_ms: u64,
    /// After which it must not start any more.
    pub expires_unix_ms: u64,
}

/// A job as a node is told of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Prepare {
    /// Job id.
    pub job: String,
    /// Canonical JSON of the [`Request`], as signed.
    pub request: String,
    /// The researcher's signature over it.
    pub signature: HexBytes,
    /// The researcher's certificate, DER.
    pub certificate: HexBytes,
    /// The merged catalogue, canonical JSON.
    pub catalogue: String,
    /// Digest of the plan that follows from request, catalogue and epoch.
    pub plan: Digest,
    /// The epoch.
    pub epoch: Epoch,
}

/// A hospital's signed contribution: context `ward/v1/contribution` over (job, request, plan, epoch, c0, c1).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ContributionHeader {
    /// The hospital.
    pub hospital: String,
    /// Its certificate, DER.
    pub certificate: HexBytes,
    /// SHA-256 of the c0 parts.
    pub c0: Digest,
    /// SHA-256 of the c1 parts.
    pub c1: Digest,
    /// Length of the c0 parts.
    pub c0_bytes: u64,
    /// Length of the c1 parts.
    pub c1_bytes: u64,
    /// Version of the data it was computed from.
    pub dataset_version: String,
    /// Digest of the policy in force.
    pub policy: Digest,
    /// Root of the consents under which the rows were read; none where the hospital asks for none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub consent: Option<Digest>,
    /// Its proof, where the query asks for proofs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proof: Option<ContributionProof>,
    /// Ed25519.
    pub signature: HexBytes,
}

/// What a contribution's signature is bound to.
#[derive(Clone, Copy, Debug)]
pub struct Binding<'a> {
    /// Job id.
    pub job: &'a str,
    /// Digest of the signed request.
    pub request: Digest,
    /// Digest of the plan.
    pub plan: Digest,
    /// Key epoch.
    pub epoch: Digest,
}

impl Binding<'_> {
    /// What a contribution signs: the binding, who gives it from which data under which policy, and both halves of
    /// the ciphertexts; then the root of the consents and the proof, where there is one.
    #[must_use]
    pub fn parts(&self, header: &ContributionHeader) -> Vec<Vec<u8>> {
        let mut parts = vec![
            self.job.as_bytes().to_vec(),
            self.request.0.to_vec(),
            self.plan.0.to_vec(),
            self.epoch.0.to_vec(),
            header.hospital.as_bytes().to_vec(),
            header.c0.0.to_vec(),
            header.c1.0.to_vec(),
            header.c0_bytes.to_be_bytes().to_vec(),
            header.c1_bytes.to_be_bytes().to_vec(),
            header.dataset_version.as_bytes().to_vec(),
            header.policy.0.to_vec(),
        ];
        parts.extend(header.consent.map(|root| root.0.to_vec()));
        parts.extend(header.proof.as_ref().map(ContributionProof::canonical));
        parts
    }
}

impl Prepare {
    /// What contributions to this job are bound to.
    #[must_use]
    pub fn binding(&self) -> Binding<'_> {
        Binding {
            job: &self.job,
            request: Digest::of(self.request.as_bytes()),
            plan: self.plan,
            epoch: self.epoch.id,
        }
    }
}

/// A key holder's signed share of a release: context `ward/v1/key-switch`, or `ward/v1/masked-share` where the sum goes on
/// as shares, over (job, sum, shares).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ShareHeader {
    /// The key holder.
    pub holder: String,
    /// Its certificate, DER.
    pub certificate: HexBytes,
    /// SHA-256 of the c1 sum that it answers for.
    pub sum: Digest,
    /// SHA-256 of the shares.
    pub shares: Digest,
    /// Their length.
    pub bytes: u64,
    /// Ed25519.
    pub signature: HexBytes,
}

/// What lets a researcher make the result again from what the hospitals signed, so that the engine between them can
/// change nothing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Evidence {
    /// The contributions in the sum, by hospital.
    pub contributions: Vec<ContributionHeader>,
    /// The shares of the release, by holder.
    pub shares: Vec<ShareHeader>,
    /// Where it was computed on shares: what the compute nodes signed, in the order of their roles.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub outputs: Vec<OutputHeader>,
}

/// Work for a node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "task", rename_all = "snake_case", deny_unknown_fields)]
pub enum Task {
    /// Ceremony, step 1: commit to a nonce.
    KeyCommit {
        /// What is made.
        spec: CeremonySpec,
    },
    /// Step 2: open it, once every commitment is known.
    KeyOpen {
        /// Job id.
        ceremony: String,
        /// Commit steps of all holders.
        commitments: Vec<SignedStep>,
    },
    /// Step 3: commit to a share of the public key under the common reference that the nonces make.
    KeyDigest {
        /// Job id.
        ceremony: String,
        /// Open steps of all holders.
        openings: Vec<SignedStep>,
    },
    /// Step 4: reveal it, and deal Shamir shares when t < n.
    KeyReveal {
        /// Job id.
        ceremony: String,
        /// Digest steps of all holders.
        digests: Vec<SignedStep>,
    },
    /// Step 5: check everything, add up, keep. Body: every holder's share, then the Shamir shares sealed to this
    /// node, by dealer.
    KeyFinish {
        /// Job id.
        ceremony: String,
        /// Reveal steps of all holders.
        reveals: Vec<SignedStep>,
    },
    /// Would this node answer? Nothing is computed.
    Check {
        /// The query.
        sql: String,
        /// Who asks.
        researcher: String,
        /// As in [`Request`].
        participants_min: u32,
        /// As in [`Request`].
        #[serde(default, skip_serializing_if = "Route::is_auto")]
        route: Route,
        /// As in [`Request`].
        #[serde(default, skip_serializing_if = "Option::is_none")]
        purpose: Option<Purpose>,
        /// As in [`Request`].
        #[serde(default, skip_serializing_if = "Option::is_none")]
        study: Option<StudyRef>,
        /// The merged catalogue, canonical JSON.
        catalogue: String,
        /// The epoch.
        epoch: Epoch,
    },
    /// Take the job in: check it against the node's own policy, catalogue and pins. Body: the researcher's public
    /// key.
    Prepare(Box<Prepare>),
    /// Compute, encrypt and hand over the contribution (drawn once, replayed after).
    Contribute {
        /// Job id.
        job: String,
    },
    /// Switch the sum of these contributions to the researcher's key. Body: their c1 parts, in order.
    KeySwitch {
        /// Job id.
        job: String,
        /// Every contribution in the sum, by hospital name.
        contributions: Vec<ContributionHeader>,
        /// Key holders that take part in the release, sorted.
        active: Vec<String>,
    },
    /// Mask the sum of these contributions, so that it can be opened and goes on as shares. Body: their c1 parts, in
    /// order.
    MaskSum {
        /// Job id.
        job: String,
        /// Every contribution in the sum, by hospital name.
        contributions: Vec<ContributionHeader>,
        /// Key holders that take part, sorted.
        active: Vec<String>,
    },
    /// Take part in an attempt of a computation on shares: give input, compute, or both. The answer comes when the
    /// node's part is over. Body: where the sums arrived under encryption, for a compute node the c0 parts of the
    /// contributions, then the masked shares, in order.
    Compute {
        /// Job id.
        job: String,
        /// Attempt, from 1; each is new, with fresh randomness.
        attempt: u32,
        /// Hospitals that give input, sorted; the same in every attempt.
        inputs: Vec<String>,
        /// Everybody who takes part, sorted.
        members: Vec<MeshMember>,
        /// Where the sums arrived under encryption: what they are of. `inputs` are then the key holders that masked.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        arrived: Option<Arrived>,
    },
    /// Leave an attempt that another participant could not go on with.
    Stop {
        /// Job id.
        job: String,
        /// Attempt.
        attempt: u32,
    },
    /// Cosign the checkpoint under which the result commitment is logged.
    Cosign {
        /// Job id.
        job: String,
        /// Canonical JSON of the commitment.
        commitment: String,
        /// Its index.
        leaf_index: u64,
        /// Inclusion proof under the checkpoint.
        inclusion: Vec<Digest>,
        /// The engine's signed checkpoint.
        checkpoint: String,
        /// Size of the tree from which `consistency` leads to the checkpoint.
        from_size: u64,
        /// Consistency proof.
        consistency: Vec<Digest>,
    },
    /// The job ended: what was kept for a retry may go.
    Abandon {
        /// Job id.
        job: String,
        /// Final state.
        outcome: String,
    },
}

impl Task {
    /// True for a task that waits for other members, or that ends such a wait.
    #[must_use]
    pub fn waits(&self) -> bool {
        matches!(self, Self::Compute { .. } | Self::Stop { .. })
    }
}

/// What a node answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case", deny_unknown_fields)]
pub enum Outcome {
    /// A ceremony step (bodies as the step says).
    Step {
        /// The step.
        step: SignedStep,
    },
    /// The ceremony ended well here.
    KeyFinished {
        /// What it made.
        epoch: Epoch,
        /// Context `ward/v1/epoch` over its canonical JSON.
        signature: HexBytes,
    },
    /// It would answer.
    Checked {
        /// A person must approve.
        by_hand: bool,
        /// What it would cost of the privacy budget, in words; empty without noise.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        budget: String,
    },
    /// The job is taken in.
    Prepared {
        /// A person must approve first; ask again.
        pending: bool,
    },
    /// Body: c0 parts, then c1 parts.
    Contributed {
        /// Signed header.
        contribution: ContributionHeader,
    },
    /// Body: the key-switch shares.
    KeySwitched {
        /// SHA-256 of the c1 sum they answer for.
        sum: Digest,
        /// SHA-256 of the shares.
        shares: Digest,
        /// Context `ward/v1/key-switch` over (job, sum, shares).
        signature: HexBytes,
    },
    /// Body: the masked shares.
    SumMasked {
        /// SHA-256 of the c1 sum they answer for.
        sum: Digest,
        /// SHA-256 of the shares.
        shares: Digest,
        /// Context `ward/v1/masked-share` over (job, sum, shares).
        signature: HexBytes,
    },
    /// Its part of a computation on shares is over. Body: its sealed shares, where it is a compute node.
    Computed {
        /// Signed header of its input, where it gave one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        input: Option<ContributionHeader>,
        /// Signed header of its output, where it computed.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        output: Option<OutputHeader>,
    },
    /// It has left the attempt.
    Stopped,
    /// The cosignature line; none when the node's last checkpoint is not at `from_size`.
    Cosigned {
        /// Line of the signed note.
        cosignature: Option<String>,
        /// Size of the last tree the node cosigned.
        last_size: u64,
    },
    /// Noted.
    Abandoned,
}
