//! A hospital proves its contribution (`WITH PROOFS`): over the rows that it published, before it encrypts.

use ward_circuits::pedersen::Blinding;

use super::aggregate::TakenIn;
use super::ceremony::refuse;
use super::local::proved::{ProofSettings, SaltedRows};
use super::local::step::SlotValue;
use super::node::Node;
use crate::problem::Problem;
use crate::proofs::{ContributionProof, ContributionProver, Secrets, root_digest};

impl Node {
    /// Proves what the slots say, where the plan asks for it, and puts what blinds the commitment into them.
    pub(super) fn prove_contribution(
        &self,
        taken: &TakenIn,
        floor: u32,
        slots: &mut [SlotValue],
    ) -> Result<Option<ContributionProof>, Problem> {
        let Some(of) = &taken.plan.proved else { return Ok(None) };
        let not = |what: &str| refuse("proofs.unavailable", what);
        let settings =
            self.config().proofs.as_ref().ok_or_else(|| not("this hospital proves no contributions"))?;
        let prover = prover(settings)?;
        let table = self.config().table(&taken.plan.query.table);
        let columns = of.columns.iter().map(|c| &c.column);
        let value = of.value.as_ref().map(|value| &value.column);
        let configured = table.and_then(|table| {
            let found = table
                .proofs
                .iter()
                .find(|p| p.columns.iter().eq(columns.clone()) && p.value.as_ref() == value);
            Some((table, found?))
        });
        let Some((table, config)) = configured.filter(|_| prover.is_of(of)) else {
            return Err(not("this hospital proves no such contribution, or with another key"));
        };
        let SaltedRows { rows, salt } = self.data().salted_rows(table, config).map_err(Problem::from)?;
        let mut rng = self.fresh_rng()?;
        let blinding = Blinding::generate(&mut rng);
        let pieces: Vec<i128> = blinding.pieces().iter().map(|piece| i128::from(*piece)).collect();
        let secrets = Secrets { rows, salt, blinding };
        let made = prover.prove(secrets, (of.predicate(), floor), &mut rng);
        let made = made.map_err(|e| Problem::internal(&format!("the contribution cannot be proved: {e}")))?;
        if of.roots.get(self.name()) != Some(&root_digest(&made.root)) {
            self.published.notify_one();
            return Err(refuse("data.version", "the rows changed since their root was published")
                .hint("submit the query again: it will name the new version"));
        }
        let range = taken.plan.blinding_slots().and_then(|range| slots.get_mut(range));
        let places = range.filter(|places| places.len() == pieces.len());
        let places =
            places.ok_or_else(|| Problem::internal(&"the plan has no room for what blinds a proof"))?;
        for (place, piece) in places.iter_mut().zip(pieces) {
            *place = SlotValue::Int(piece);
        }
        // What is encrypted is what was proved, or nothing leaves.
        let integers: Vec<i128> = slots
            .iter()
            .map(|slot| match slot {
                SlotValue::Int(value) => *value,
                SlotValue::UniformModT => 0,
            })
            .collect();
        match taken.plan.claim(&integers) {
            Some(claim) if (claim.count, claim.sum) == made.shown => Ok(Some(made.proof)),
            _ => Err(not("what this hospital would contribute is not what its published rows show")),
        }
    }
}

fn prover(settings: &ProofSettings) -> Result<ContributionProver, Problem> {
    Ok(ContributionProver::load(&settings.key, settings.allows_development_key)?)
}
