//! The transcript: who contributed what, in a chain of hashes, with the proofs of the factors.
//!
//! Every contribution is bound to the head of the chain before it, so it cannot be moved, repeated or used in
//! another ceremony. Its own hash, which its contributor signs outside this crate, covers that head, the
//! contributor's name, the proofs and the hash of the state it left.

use sha2::{Digest, Sha256};
use ward_math::codec::{Reader, Writer};

use super::beacon::Beacon;
use super::curve::{Curve, G1, G2};
use super::error::{Error, PointFault, Result};
use super::knowledge::Update;

/// Contributions a transcript holds at most.
pub const CONTRIBUTIONS_MAX: usize = 1024;

/// Bytes of a name at most.
const NAME_BYTES_MAX: u32 = 128;

const MAGIC: &[u8; 8] = b"WARDSET1";

/// The secrets of the first phase.
pub(crate) const SECRETS_1: [&str; 3] = ["tau", "alpha", "beta"];

/// The secret of the second phase.
pub(crate) const SECRETS_2: [&str; 1] = ["delta"];

/// A phase of the ceremony.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Powers of tau: for every circuit up to a size.
    One,
    /// Delta: for one circuit.
    Two,
}

impl Phase {
    /// The secrets that a contribution of this phase multiplies, in their order.
    #[must_use]
    pub const fn secrets(self) -> &'static [&'static str] {
        match self {
            Self::One => &SECRETS_1,
            Self::Two => &SECRETS_2,
        }
    }

    pub(crate) const fn byte(self) -> u8 {
        match self {
            Self::One => 1,
            Self::Two => 2,
        }
    }
}

/// Which file one is looking at; the byte behind the magic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FileKind {
    Transcript = 1,
    State = 2,
    Prepared = 3,
}

/// Starts a file: magic, kind, phase.
pub(crate) fn write_header(writer: &mut Writer, kind: FileKind, phase: Phase) {
    writer.bytes(MAGIC);
    writer.u8(kind as u8);
    writer.u8(phase.byte());
}

/// Checks the start of a file.
///
/// # Errors
/// [`Error::Codec`], or [`Error::Header`] with what differs.
pub(crate) fn read_header(reader: &mut Reader<'_>, kind: FileKind, phase: Phase) -> Result<()> {
    if reader.array()? != *MAGIC {
        return Err(Error::Header("magic number"));
    }
    if reader.u8()? != kind as u8 {
        return Err(Error::Header("kind"));
    }
    if reader.u8()? != phase.byte() {
        return Err(Error::Header("phase"));
    }
    Ok(())
}

/// SHA-256 of a label and of fields that cannot run into each other.
pub(crate) struct Hasher(Sha256);

impl Hasher {
    pub(crate) fn new(label: &str) -> Self {
        Self(Sha256::new()).field(b"ward/setup/v1").field(label.as_bytes())
    }

    pub(crate) fn field(mut self, bytes: &[u8]) -> Self {
        self.0.update((bytes.len() as u64).to_le_bytes());
        self.0.update(bytes);
        self
    }

    pub(crate) fn finish(self) -> [u8; 32] {
        self.0.finalize().into()
    }
}

/// Who contributes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Contributor {
    name: String,
    attestation: [u8; 32],
}

impl Contributor {
    /// `name`: 1 to 128 bytes of text without control characters. `attestation`: hash of what vouches for the
    /// contributor outside, such as the certificate whose key will sign the contribution's hash.
    ///
    /// # Errors
    /// [`Error::Name`].
    pub fn new(name: &str, attestation: [u8; 32]) -> Result<Self> {
        check_name("contributor", name)?;
        Ok(Self { name: name.to_owned(), attestation })
    }

    /// The name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Hash of what vouches for the contributor.
    #[must_use]
    pub fn attestation(&self) -> &[u8; 32] {
        &self.attestation
    }
}

fn check_name(of: &'static str, name: &str) -> Result<()> {
    let fits = (1..=NAME_BYTES_MAX as usize).contains(&name.len());
    if fits && name.trim() == name && !name.chars().any(char::is_control) {
        Ok(())
    } else {
        Err(Error::Name(of))
    }
}

/// Where the factors of a contribution come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// Drawn by a contributor, and forgotten.
    Party(Contributor),
    /// Derived from a public value. Closes the phase.
    Beacon(Beacon),
}

/// One step of a phase.
#[derive(Clone, PartialEq, Eq)]
pub struct Contribution {
    pub(crate) source: Source,
    pub(crate) previous: [u8; 32],
    pub(crate) state: [u8; 32],
    pub(crate) updates: Vec<Update>,
}

impl Contribution {
    /// Who or what contributed.
    #[must_use]
    pub fn source(&self) -> &Source {
        &self.source
    }

    /// Hash of the state file that this contribution left.
    #[must_use]
    pub fn state_hash(&self) -> &[u8; 32] {
        &self.state
    }

    /// Head of the transcript that the contribution stands behind.
    #[must_use]
    pub fn previous(&self) -> &[u8; 32] {
        &self.previous
    }

    /// Hash of the contribution and of all before it: what its contributor publishes and signs, and the head
    /// of the transcript that ends here.
    #[must_use]
    pub fn hash(&self) -> [u8; 32] {
        let mut writer = Writer::default();
        self.write(&mut writer);
        Hasher::new("contribution").field(&writer.finish()).finish()
    }

    fn write(&self, writer: &mut Writer) {
        match &self.source {
            Source::Party(contributor) => {
                writer.u8(1);
                write_name(writer, &contributor.name);
                writer.bytes(&contributor.attestation);
            }
            Source::Beacon(beacon) => {
                writer.u8(2);
                beacon.write(writer);
            }
        }
        writer.bytes(&self.previous);
        writer.bytes(&self.state);
        for update in &self.updates {
            writer.bytes(&update.value.compress());
            writer.bytes(&update.factor_g1.compress());
            writer.bytes(&update.factor_g2.compress());
            writer.bytes(&update.proof.compress());
        }
    }

    fn read(reader: &mut Reader<'_>, phase: Phase, index: usize) -> Result<Self> {
        let source = match reader.u8()? {
            1 => {
                let name = read_name(reader, "contributor")?;
                Source::Party(Contributor { name, attestation: reader.array()? })
            }
            2 => Source::Beacon(Beacon::read(reader)?),
            _ => return Err(Error::Header("source of a contribution")),
        };
        let (previous, state) = (reader.array()?, reader.array()?);
        let updates = phase
            .secrets()
            .iter()
            .map(|_| {
                Ok(Update {
                    value: read_point::<G1>(reader, "values", index)?,
                    factor_g1: read_point::<G1>(reader, "factors in G1", index)?,
                    factor_g2: read_point::<G2>(reader, "factors in G2", index)?,
                    proof: read_point::<G1>(reader, "proofs", index)?,
                })
            })
            .collect::<Result<_>>()?;
        Ok(Self { source, previous, state, updates })
    }
}

fn write_name(writer: &mut Writer, name: &str) {
    writer.u32(name.len() as u32); // at most NAME_BYTES_MAX
    writer.bytes(name.as_bytes());
}

fn read_name(reader: &mut Reader<'_>, of: &'static str) -> Result<String> {
    let len = reader.count(NAME_BYTES_MAX)?;
    let name = str::from_utf8(reader.bytes(len)?).map_err(|_| Error::Name(of))?;
    check_name(of, name)?;
    Ok(name.to_owned())
}

/// One compressed point with every check: canonical, on the curve, in the subgroup, not at infinity.
fn read_point<C: Curve>(reader: &mut Reader<'_>, vector: &'static str, index: usize) -> Result<C> {
    let refuse = |fault| Error::Point { vector, index, fault };
    let point = C::uncompress(reader.bytes(C::COMPRESSED)?).map_err(refuse)?;
    if point.is_infinity() {
        return Err(refuse(PointFault::Infinity));
    }
    if !point.in_subgroup() {
        return Err(refuse(PointFault::Subgroup));
    }
    Ok(point)
}

/// The history of one phase: what it is for, and its contributions in order.
///
/// Decoding checks bytes and points. That the contributions follow from each other, and that a state belongs to
/// them, is for [`Phase1::verify`](super::Phase1::verify) and [`Phase2::verify`](super::Phase2::verify).
#[derive(Clone, PartialEq, Eq)]
pub struct Transcript {
    phase: Phase,
    ceremony: String,
    origin: [u8; 32],
    contributions: Vec<Contribution>,
}

impl Transcript {
    /// A transcript without contributions. `origin`: hash of what the phase starts from.
    ///
    /// # Errors
    /// [`Error::Name`] when `ceremony` cannot be a name.
    pub(crate) fn new(phase: Phase, ceremony: &str, origin: [u8; 32]) -> Result<Self> {
        check_name("ceremony", ceremony)?;
        Ok(Self { phase, ceremony: ceremony.to_owned(), origin, contributions: Vec::new() })
    }

    /// The phase.
    #[must_use]
    pub fn phase(&self) -> Phase {
        self.phase
    }

    /// Name of the ceremony.
    #[must_use]
    pub fn ceremony(&self) -> &str {
        &self.ceremony
    }

    /// Hash of what the phase starts from: the size, or the first phase and the circuit.
    #[must_use]
    pub fn origin(&self) -> &[u8; 32] {
        &self.origin
    }

    /// The contributions, the first one first.
    #[must_use]
    pub fn contributions(&self) -> &[Contribution] {
        &self.contributions
    }

    /// Hash of everything so far.
    #[must_use]
    pub fn head(&self) -> [u8; 32] {
        self.contributions.last().map_or_else(|| self.start(), Contribution::hash)
    }

    /// Head of the transcript before its first contribution.
    pub(crate) fn start(&self) -> [u8; 32] {
        Hasher::new("start")
            .field(&[self.phase.byte()])
            .field(self.ceremony.as_bytes())
            .field(&self.origin)
            .finish()
    }

    /// The beacon that closed the phase, if it is closed.
    #[must_use]
    pub fn beacon(&self) -> Option<&Beacon> {
        match self.contributions.last()?.source() {
            Source::Beacon(beacon) => Some(beacon),
            Source::Party(_) => None,
        }
    }

    /// Distinct names among the contributors.
    #[must_use]
    pub fn contributors(&self) -> usize {
        let mut names: Vec<&str> = self
            .contributions
            .iter()
            .filter_map(|contribution| match contribution.source() {
                Source::Party(contributor) => Some(contributor.name()),
                Source::Beacon(_) => None,
            })
            .collect();
        names.sort_unstable();
        names.dedup();
        names.len()
    }

    /// Checks that the phase is closed, after at least `contributors_min` (and at least one) contributors.
    ///
    /// # Errors
    /// [`Error::NotClosed`], [`Error::Contributors`].
    pub fn check_finished(&self, contributors_min: usize) -> Result<()> {
        let (found, needed) = (self.contributors(), contributors_min.max(1));
        if self.beacon().is_none() {
            return Err(Error::NotClosed);
        }
        if found < needed {
            return Err(Error::Contributors { found, needed });
        }
        Ok(())
    }

    /// Checks that another contribution may follow.
    pub(crate) fn check_open(&self) -> Result<()> {
        if self.beacon().is_some() {
            return Err(Error::Closed);
        }
        if self.contributions.len() >= CONTRIBUTIONS_MAX {
            return Err(Error::Full(CONTRIBUTIONS_MAX));
        }
        Ok(())
    }

    /// This transcript and one contribution more.
    pub(crate) fn with(&self, contribution: Contribution) -> Self {
        let mut next = self.clone();
        next.contributions.push(contribution);
        next
    }

    /// Whether this is `earlier` and exactly one contribution more.
    pub(crate) fn continues(&self, earlier: &Self) -> bool {
        (self.phase, &self.ceremony, self.origin) == (earlier.phase, &earlier.ceremony, earlier.origin)
            && self.contributions.len() == earlier.contributions.len() + 1
            && self.contributions.starts_with(&earlier.contributions)
    }

    /// The file: header, name, origin, contributions; points compressed.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut writer = Writer::default();
        write_header(&mut writer, FileKind::Transcript, self.phase);
        write_name(&mut writer, &self.ceremony);
        writer.bytes(&self.origin);
        writer.u32(self.contributions.len() as u32); // at most CONTRIBUTIONS_MAX
        for contribution in &self.contributions {
            contribution.write(&mut writer);
        }
        writer.finish()
    }

    /// Reads a file of this phase. Every point is checked by itself.
    ///
    /// # Errors
    /// [`Error::Codec`], [`Error::Header`], [`Error::Name`], [`Error::Point`], [`Error::BeaconIterations`] or
    /// [`Error::BeaconLength`].
    pub fn decode(phase: Phase, bytes: &[u8]) -> Result<Self> {
        let mut reader = Reader::new(bytes);
        read_header(&mut reader, FileKind::Transcript, phase)?;
        let ceremony = read_name(&mut reader, "ceremony")?;
        let origin = reader.array()?;
        let count = reader.count(CONTRIBUTIONS_MAX as u32)?;
        let contributions =
            (0..count).map(|index| Contribution::read(&mut reader, phase, index)).collect::<Result<_>>()?;
        reader.finish()?;
        Ok(Self { phase, ceremony, origin, contributions })
    }
}

#[cfg(test)]
impl Transcript {
    pub(crate) fn contributions_mut(&mut self) -> &mut Vec<Contribution> {
        &mut self.contributions
    }

    pub(crate) fn last_mut(&mut self) -> &mut Contribution {
        self.contributions.last_mut().unwrap()
    }
}
