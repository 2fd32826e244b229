//! A hospital issues, a patient proves, a sponsor verifies: by the public interface alone, with a key in a file.
#![expect(clippy::unwrap_used, reason = "the helpers of a test say what went wrong by where they panic")]

use chacha20::ChaCha20Rng;
use rand_core::SeedableRng;
use ward_circuits::eligibility::{
    Attributes, Clause, CodeSet, Context, Credential, Criteria, Day, Eligibility, Header, HolderSecret,
    Interval, Issuer, Issuers, PatientSecret, Public, Run, SchemaId, SlotIndex, StatusIndex, StatusList,
    StudyId, Test, Violation, Witness,
};
use ward_circuits::field::to_bytes;
use ward_circuits::groth16::setup::insecure_single_party_setup;
use ward_circuits::groth16::{KeyId, Presented, Proof, ProveError, ProvingKey, VerifyError, VerifyingKey};
use ward_circuits::schnorr::SigningKey;
use ward_circuits::{ConstrainedStatement, Statement};

fn slot(index: usize) -> SlotIndex {
    SlotIndex::new(index).unwrap()
}

fn within(index: usize, low: u64, high: u64) -> Clause {
    Clause::new(Run::one(slot(index)), Test::Within(Interval::new(low, high).unwrap())).unwrap()
}

/// Age 18 to 75, HbA1c of 6.5 and above, a diagnosis of the set, no medication from 700 to 799.
fn criteria() -> Criteria {
    let dx = Run::new(slot(4), 8).unwrap();
    let rx = Run::new(slot(12), 8).unwrap();
    let diagnoses = CodeSet::new(vec![Interval::new(100, 109).unwrap(), Interval::point(250)]).unwrap();
    Criteria::new(vec![
        vec![within(0, 18, 75)],
        vec![within(1, 650, u64::MAX)],
        vec![Clause::new(dx, Test::InSet(diagnoses)).unwrap()],
        vec![Clause::new(rx, Test::NoneWithin(Interval::new(700, 799).unwrap())).unwrap()],
    ])
    .unwrap()
}

fn patient(hba1c: u64) -> (Public, Witness) {
    let rng = &mut ChaCha20Rng::seed_from_u64(7);
    let mut attributes = Attributes::new();
    attributes.set(slot(0), 54);
    attributes.set(slot(1), hba1c);
    attributes.set_list(Run::new(slot(4), 8).unwrap(), &[104, 900], true).unwrap();
    attributes.set_list(Run::new(slot(12), 8).unwrap(), &[650, 810], true).unwrap();
    let (key, holder) = (SigningKey::generate(rng), HolderSecret::generate(rng));
    let study = StudyId::of("NCT00000000");
    let header = Header {
        holder: holder.key(),
        not_before: Day(46_000),
        not_after: Day(46_365),
        schema: SchemaId::of(b"diabetes/1"),
        index: StatusIndex::new(99).unwrap(),
    };
    let secret = PatientSecret::of(&[9; 32]);
    let nullifier = secret.nullifier(&study);
    let credential = Credential::issue(&key, attributes, secret, header, rng).unwrap();
    let list = StatusList::new().tree();
    let issuer = Issuer { key: key.public_key(), revocations: list.root() };
    let issuers = Issuers::new(vec![issuer]).unwrap();
    let public = Public {
        criteria: criteria(),
        schema: header.schema,
        study,
        issuers: issuers.root(),
        date: Day(46_100),
        context: Context::new(&[1; 16], "sponsor.example", 0),
        nullifier,
    };
    let path = issuers.find(&issuer.key).unwrap().1;
    let status = list.path(header.index);
    (public, Witness { credential, holder, revocations: list.root(), issuer: path, status })
}

fn inputs(public: &Public) -> Vec<u8> {
    Eligibility::public_inputs(public).iter().flat_map(to_bytes).collect()
}

fn verify(
    key: &VerifyingKey<Eligibility>,
    public: &Public,
    (id, inputs, proof): (KeyId, &[u8], &[u8]),
) -> Result<(), VerifyError> {
    key.verify(public.clone(), &Presented { key: id, inputs, proof }).map(|_| ())
}

#[test]
fn an_eligible_patient_is_proved_once_and_the_proof_serves_nothing_else() {
    let rng = &mut ChaCha20Rng::seed_from_u64(8);
    let (verifying, file) = insecure_single_party_setup::<Eligibility>(rng).unwrap();
    let hash = ProvingKey::<Eligibility>::validate(&file).unwrap();
    let key = ProvingKey::<Eligibility>::open(&file, hash).unwrap();
    assert_eq!(key.verifying_key().id(), verifying.id());

    let (public, witness) = patient(720);
    let proof = key.prove(&public, &witness, rng).unwrap();
    let (id, bytes) = (verifying.id(), proof.to_bytes());
    assert_eq!(verify(&verifying, &public, (id, &inputs(&public), &bytes)), Ok(()));
    let again = Proof::rerandomized(&proof, &verifying, rng).to_bytes();
    assert_eq!(verify(&verifying, &public, (id, &inputs(&public), &again)), Ok(()));

    // Another nonce, day, study, list of issuers, patient or criteria: with its own inputs, and with the proof's.
    let other = |change: fn(&mut Public)| {
        let mut changed = public.clone();
        change(&mut changed);
        let own = verify(&verifying, &changed, (id, &inputs(&changed), &bytes));
        assert_eq!(own, Err(VerifyError::Equation));
        let proofs = verify(&verifying, &changed, (id, &inputs(&public), &bytes));
        assert!(matches!(proofs, Err(VerifyError::InputMismatch { .. })));
    };
    other(|public| public.context = Context::new(&[2; 16], "sponsor.example", 0));
    other(|public| public.context = Context::new(&[1; 16], "sponsor.example", 1));
    other(|public| public.date = Day(46_101));
    other(|public| public.study = StudyId::of("NCT11111111"));
    other(|public| public.issuers = public.nullifier.0);
    other(|public| public.nullifier = PatientSecret::of(&[8; 32]).nullifier(&public.study));
    other(|public| public.criteria = Criteria::new(vec![vec![within(0, 18, 75)]]).unwrap());

    // A patient who is not eligible learns why, and spends no time on it.
    let (public, witness) = patient(640);
    let refused = key.prove(&public, &witness, rng);
    assert!(matches!(refused, Err(ProveError::Violation(Violation::Criteria { group: 1 }))));
    assert_eq!(Eligibility::check(&public, &witness), Err(Violation::Criteria { group: 1 }));
}
