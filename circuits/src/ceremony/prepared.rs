//! The file of what no contribution of phase 2 changes.

use ward_math::codec::{Reader, Writer};

use super::coins::Coins;
use super::curve::{Curve, G1, G2};
use super::error::{Error, Result};
use super::phase1::{Phase1, SIZE_LOG2_MAX};
use super::points::{Infinity, check_subgroup, decode, encode};
use super::progress::Progress;
use super::queries::{A, B_G1, B_G2, PRIVATE, PUBLIC, QUOTIENT, Queries};
use super::relation::{Relation, VARIABLES_MAX};
use super::transcript::{FileKind, Phase, read_header, write_header};

/// A key with delta one, and what it was made from.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Prepared {
    /// Head of the first phase's transcript.
    phase1: [u8; 32],
    /// Hash of the relation.
    pub(crate) relation: [u8; 32],
    pub(crate) alpha_g1: G1,
    pub(crate) beta_g1: G1,
    pub(crate) beta_g2: G2,
    pub(crate) queries: Queries,
}

impl Prepared {
    pub(crate) fn new(phase1: &Phase1, relation: &Relation<'_>, queries: Queries) -> Self {
        let powers = phase1.powers();
        Self {
            phase1: phase1.transcript().head(),
            relation: relation.digest(),
            alpha_g1: powers.alpha_g1[0],
            beta_g1: powers.beta_g1[0],
            beta_g2: powers.beta_g2,
            queries,
        }
    }

    /// Points in all.
    pub(crate) fn count(&self) -> usize {
        let queries = &self.queries;
        4 * queries.a.len() + queries.quotient.len() + 3
    }

    /// The file: header, hashes, counts, points.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let queries = &self.queries;
        let mut writer = Writer::default();
        write_header(&mut writer, FileKind::Prepared, Phase::Two);
        writer.bytes(&self.phase1);
        writer.bytes(&self.relation);
        for count in [queries.public.len(), queries.a.len(), queries.quotient.len()] {
            writer.u32(count as u32); // limited where a relation is made
        }
        let mut out = writer.finish();
        out.reserve_exact(self.count() * G1::BYTES + (queries.b_g2.len() + 1) * G1::BYTES);
        encode(&[self.alpha_g1, self.beta_g1], &mut out);
        encode(&[self.beta_g2], &mut out);
        encode(&queries.public, &mut out);
        encode(&queries.a, &mut out);
        encode(&queries.b_g1, &mut out);
        encode(&queries.b_g2, &mut out);
        encode(&queries.private, &mut out);
        encode(&queries.quotient, &mut out);
        out
    }

    /// Reads the file; points are on the curve, and [`Prepared::check`] does the rest.
    pub(crate) fn decode(bytes: &[u8]) -> Result<Self> {
        let mut reader = Reader::new(bytes);
        read_header(&mut reader, FileKind::Prepared, Phase::Two)?;
        let (phase1, relation) = (reader.array()?, reader.array()?);
        let public = reader.count(VARIABLES_MAX)?;
        let variables = reader.count(VARIABLES_MAX)?;
        let quotient = reader.count(1 << SIZE_LOG2_MAX)?;
        let private = variables.checked_sub(public).ok_or(Error::Relation("number of variables"))?;
        let given = decode::<G1>(&mut reader, 2, "alpha and beta in G1", Infinity::Refused)?;
        let prepared = Self {
            phase1,
            relation,
            alpha_g1: given[0],
            beta_g1: given[1],
            beta_g2: decode(&mut reader, 1, "beta in G2", Infinity::Refused)?[0],
            queries: Queries {
                public: decode(&mut reader, public, PUBLIC, Infinity::Refused)?,
                a: decode(&mut reader, variables, A, Infinity::Allowed)?,
                b_g1: decode(&mut reader, variables, B_G1, Infinity::Allowed)?,
                b_g2: decode(&mut reader, variables, B_G2, Infinity::Allowed)?,
                private: decode(&mut reader, private, PRIVATE, Infinity::Allowed)?,
                quotient: decode(&mut reader, quotient, QUOTIENT, Infinity::Refused)?,
            },
        };
        reader.finish()?;
        Ok(prepared)
    }

    /// Checks that this is the key of `relation` at the powers of `phase1`, delta aside.
    ///
    /// # Errors
    /// [`Error::OtherPhase1`], [`Error::OtherCircuit`], [`Error::Point`], [`Error::Query`], [`Error::Relation`].
    pub(crate) fn check(
        &self,
        phase1: &Phase1,
        relation: &Relation<'_>,
        coins: &Coins,
        progress: &Progress<'_>,
    ) -> Result<()> {
        if self.phase1 != phase1.transcript().head() {
            return Err(Error::OtherPhase1);
        }
        if self.relation != relation.digest() {
            return Err(Error::OtherCircuit);
        }
        let powers = phase1.powers();
        let given = (self.alpha_g1, self.beta_g1, self.beta_g2);
        if given != (powers.alpha_g1[0], powers.beta_g1[0], powers.beta_g2) {
            return Err(Error::OtherPhase1);
        }
        let queries = &self.queries;
        check_subgroup(&queries.public, PUBLIC, coins, progress)?;
        check_subgroup(&queries.a, A, coins, progress)?;
        check_subgroup(&queries.b_g1, B_G1, coins, progress)?;
        check_subgroup(&queries.b_g2, B_G2, coins, progress)?;
        check_subgroup(&queries.private, PRIVATE, coins, progress)?;
        // The quotient's points are compared with differences of powers, which are inside.
        queries.check(powers, relation, coins)?;
        progress.add(self.count());
        Ok(())
    }
}
