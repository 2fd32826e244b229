//! Phase 2: the keys it ends in, and what each tampering is refused with.

use std::sync::LazyLock;

use ark_bls12_381::{Bls12_381, Fr, G1Affine, G2Affine};
use ark_ec::{AffineRepr, CurveGroup};
use ark_ff::{Field, One, Zero};
use ark_groth16::{Groth16, prepare_verifying_key};
use ark_poly::{EvaluationDomain, Radix2EvaluationDomain};
use rand_core::Rng;

use super::*;
use crate::ceremony::chain::state_hash;
use crate::ceremony::coins::Entropy;
use crate::ceremony::curve::{Curve, G1};
use crate::groth16::KeyParts;
use crate::r1cs::{Builder, Matrices, Num};

/// Constraints, and an assignment that satisfies them.
struct Sample {
    matrices: Matrices,
    assignment: Vec<Fr>,
}

impl Sample {
    /// `rows` constraints over two public inputs: each defines a variable as a product of two combinations, with
    /// coefficients of every kind. One variable of the witness stands in no constraint.
    fn new(rows: usize, seed: u64) -> Self {
        let mut rng = rng(seed);
        let (mut builder, mut known) = Builder::shape(&[Fr::from(5u8), Fr::from(rng.next_u64())]);
        known.push(builder.constant(Fr::one()));
        builder.witness(Fr::from(9u8));
        for _ in 0..rows {
            let mut combination = || {
                let terms: Vec<(&Num, Fr)> = (0..1 + rng.next_u64() % 40)
                    .map(|_| {
                        let coefficient = match rng.next_u64() % 6 {
                            0 => Fr::one(),
                            1 => -Fr::one(),
                            2 => Fr::from(rng.next_u64()),
                            3 => -Fr::from(rng.next_u64() >> 40),
                            4 => Fr::zero(),
                            _ => Fr::from(rng.next_u64()).inverse().unwrap(),
                        };
                        (&known[rng.next_u64() as usize % known.len()], coefficient)
                    })
                    .collect();
                Num::combination(terms)
            };
            let (a, b) = (combination(), combination());
            let product = builder.witness(a.value() * b.value());
            builder.enforce(&a, &b, &product);
            known.push(product);
        }
        let (matrices, assignment) = builder.finish();
        Self { matrices, assignment: assignment.expose().clone() }
    }

    fn relation(&self) -> Relation<'_> {
        Relation::new(&self.matrices).unwrap()
    }

    /// A, B and C with their coefficients written out, as arkworks has them.
    fn rows(&self) -> Vec<Vec<Vec<(Fr, usize)>>> {
        let Matrices { a, b, c, .. } = &self.matrices;
        let row = |row: Vec<(usize, Fr)>| row.into_iter().map(|(column, value)| (value, column)).collect();
        [a, b, c].map(|m| self.matrices.rows(m).map(|terms| row(terms.collect())).collect()).into()
    }
}

static SAMPLE: LazyLock<Sample> = LazyLock::new(|| Sample::new(20, 11));
static PHASE1: LazyLock<Phase1> = LazyLock::new(|| first_phase(5, &["a", "b", "c"], true));

/// The second phase of the sample with two contributors, open.
static OPEN: LazyLock<Phase2> = LazyLock::new(|| {
    let phase = Phase2::begin("ward/sample/1", &PHASE1, &SAMPLE.relation(), 3, SILENT).unwrap();
    let phase = phase.contribute(&contributor("a"), &mut rng(20), b"dice", SILENT).unwrap();
    phase.contribute(&contributor("b"), &mut rng(21), b"coin", SILENT).unwrap()
});

struct Files {
    prepared: Vec<u8>,
    transcript: Vec<u8>,
    state: Vec<u8>,
}

fn files(phase: &Phase2) -> Files {
    Files {
        prepared: phase.encode_prepared(),
        transcript: phase.transcript().encode(),
        state: phase.encode_state(),
    }
}

fn verify(files: &Files) -> Result<Phase2> {
    let given = Phase2Files { prepared: &files.prepared, transcript: &files.transcript, state: &files.state };
    Phase2::verify(&PHASE1, (&SAMPLE.relation(), 3), given, &mut rng(33), SILENT)
}

/// The product of all factors of a secret.
fn product(phase1_names: usize, secret: &str) -> Fr {
    let mut phase = Phase1::begin("test", 5).unwrap();
    let mut product = Fr::one();
    for index in 0..phase1_names {
        let entropy = Entropy::mix(&mut rng(index as u64), b"dice", &phase.transcript().head());
        product *= entropy.factor(secret).expose();
        let name = ["a", "b", "c"][index];
        phase = phase.contribute(&contributor(name), &mut rng(index as u64), b"dice", SILENT).unwrap();
    }
    let progress = progress::Progress::new(SILENT, 1);
    product * beacon().entropy(&phase.transcript().head(), &progress).factor(secret).expose()
}

/// The key by the formulas of Groth16 with the secrets known.
fn direct(sample: &Sample, [tau, alpha, beta, delta]: [Fr; 4]) -> KeyParts {
    let relation = sample.relation();
    let domain = Radix2EvaluationDomain::<Fr>::new(relation.domain()).unwrap();
    let u = domain.evaluate_all_lagrange_coefficients(tau);
    let mut at = [(); 3].map(|()| vec![Fr::zero(); relation.variables()]);
    for (matrix, at) in sample.rows().iter().zip(&mut at) {
        for (row, u) in matrix.iter().zip(&u) {
            for (coefficient, column) in row {
                at[*column] += *coefficient * u;
            }
        }
    }
    for i in 0..relation.instance() {
        at[0][i] += u[relation.constraints() + i];
    }
    let [a, b, c] = at;
    let k: Vec<Fr> = (0..a.len()).map(|i| beta * a[i] + alpha * b[i] + c[i]).collect();
    let z = domain.evaluate_vanishing_polynomial(tau);
    let inverse = delta.inverse().unwrap();
    let g1 = |scalar: Fr| (G1Affine::generator() * scalar).into_affine();
    let g2 = |scalar: Fr| (G2Affine::generator() * scalar).into_affine();
    let all = |scalars: &[Fr]| scalars.iter().map(|s| g1(*s)).collect::<Vec<_>>();
    KeyParts {
        alpha_g1: g1(alpha),
        beta_g1: g1(beta),
        beta_g2: g2(beta),
        gamma_g2: g2(Fr::one()),
        delta_g1: g1(delta),
        delta_g2: g2(delta),
        inputs_g1: all(&k[..relation.instance()]),
        a_g1: all(&a),
        b_g1: all(&b),
        b_g2: b.iter().map(|s| g2(*s)).collect(),
        quotient_g1: (0..relation.domain() - 1).map(|i| g1(z * inverse * tau.pow([i as u64]))).collect(),
        witnesses_g1: k[relation.instance()..].iter().map(|s| g1(*s * inverse)).collect(),
    }
}

#[test]
fn the_keys_of_a_ceremony_are_those_of_groth16_with_the_product_of_all_factors() {
    let delta =
        |index: u64, extra: &[u8], head| *Entropy::mix(&mut rng(index), extra, head).factor("delta").expose();
    let contributions = OPEN.transcript().contributions();
    let closed = OPEN.close(&beacon(), SILENT).unwrap();
    let progress = progress::Progress::new(SILENT, 1);
    let delta = delta(20, b"dice", contributions[0].previous())
        * delta(21, b"coin", contributions[1].previous())
        * beacon().entropy(&OPEN.transcript().head(), &progress).factor("delta").expose();
    let secrets = [product(3, "tau"), product(3, "alpha"), product(3, "beta"), delta];
    assert!(closed.finish(2).unwrap() == direct(&SAMPLE, secrets));
}

#[test]
fn a_proof_under_the_keys_of_a_ceremony_verifies_for_its_inputs_only() {
    let closed = OPEN.close(&beacon(), SILENT).unwrap();
    let verified = verify(&files(&closed)).unwrap();
    let key = crate::testing::stock::key(verified.finish(2).unwrap());
    let proof = Groth16::<Bls12_381>::create_proof_with_reduction_and_matrices(
        &key,
        Fr::from(3u8),
        Fr::from(4u8),
        &SAMPLE.rows(),
        SAMPLE.relation().instance(),
        SAMPLE.relation().constraints(),
        &SAMPLE.assignment,
    )
    .unwrap();
    let prepared = prepare_verifying_key(&key.vk);
    let public = &SAMPLE.assignment[1..3];
    assert!(Groth16::<Bls12_381>::verify_proof(&prepared, &proof, public).unwrap());
    let other = [public[0] + Fr::one(), public[1]];
    assert!(!Groth16::<Bls12_381>::verify_proof(&prepared, &proof, &other).unwrap());
}

#[test]
fn an_open_phase_or_one_of_too_few_gives_no_keys() {
    assert_eq!(OPEN.finish(1).err(), Some(Error::NotClosed));
    let closed = OPEN.close(&beacon(), SILENT).unwrap();
    assert_eq!(closed.finish(3).err(), Some(Error::Contributors { found: 2, needed: 3 }));
    let more = closed.contribute(&contributor("c"), &mut rng(1), &[], SILENT);
    assert_eq!(more.err(), Some(Error::Closed));
}

#[test]
fn a_second_phase_begins_with_a_finished_and_large_enough_first() {
    let begin = |phase1: &Phase1, sample: &Sample, contributors_min| {
        Phase2::begin("x", phase1, &sample.relation(), contributors_min, SILENT).err()
    };
    let open = first_phase(2, &["a"], false);
    assert_eq!(begin(&open, &SAMPLE, 1), Some(Error::NotClosed));
    assert_eq!(begin(&PHASE1, &SAMPLE, 4), Some(Error::Contributors { found: 3, needed: 4 }));
    let large = Sample::new(30, 1);
    assert_eq!(begin(&PHASE1, &large, 1), Some(Error::Capacity { needed: 64, available: 32 }));
    assert_eq!(begin(&first_phase(5, &["a"], true), &Sample::new(3, 1), 1), None);
}

#[test]
fn verifying_the_next_contribution_takes_it_and_refuses_another_history() {
    let next = OPEN.contribute(&contributor("c"), &mut rng(22), &[], SILENT).unwrap();
    let (transcript, state) = (next.transcript().encode(), next.encode_state());
    let taken = OPEN.verify_next(&transcript, &state, &mut rng(1), SILENT).unwrap();
    assert_eq!(taken.transcript().head(), next.transcript().head());
    let again = taken.verify_next(&transcript, &state, &mut rng(1), SILENT);
    assert_eq!(again.err(), Some(Error::Continuation));
    let other = OPEN.verify_next(&transcript, &OPEN.encode_state(), &mut rng(1), SILENT);
    assert_eq!(other.err(), Some(Error::StateHash));
}

/// The transcript made to speak of the files as they are: only the points are left to catch a change.
fn refusal(change: impl FnOnce(&mut Files)) -> Error {
    let mut files = files(&OPEN);
    verify(&files).unwrap();
    change(&mut files);
    let mut transcript = OPEN.transcript().clone();
    transcript.last_mut().state = state_hash(&files.state);
    files.transcript = transcript.encode();
    verify(&files).err().expect("refused")
}

/// Offsets in the state: delta in both groups, the witness's query, the quotient's.
const STATE_HEADER: usize = 10;
const PRIVATE: usize = STATE_HEADER + 96 + 192;

#[test]
fn each_tampering_with_the_state_has_its_refusal() {
    let private = OPEN.prepared_queries().private.len();
    let quotient = PRIVATE + 96 * private;
    let swap = |a: usize, b: usize| {
        refusal(|files| {
            let first = files.state[a..a + 96].to_vec();
            files.state.copy_within(b..b + 96, a);
            files.state[b..b + 96].copy_from_slice(&first);
        })
    };
    assert_eq!(swap(PRIVATE + 96, PRIVATE + 192), Error::Quotient("query of the witness"));
    assert_eq!(swap(quotient, quotient + 96 * 7), Error::Quotient("query of the quotient"));
    // Queries that are not divided by delta, and a delta of before.
    let stale = refusal(|files| {
        let prepared = Phase2::begin("x", &PHASE1, &SAMPLE.relation(), 3, SILENT).unwrap().encode_state();
        files.state[PRIVATE..].copy_from_slice(&prepared[PRIVATE..]);
    });
    assert_eq!(stale, Error::Quotient("query of the witness"));
    let generator = refusal(|files| {
        let mut bytes = [0; 96];
        G1::generator().write(&mut bytes);
        files.state[STATE_HEADER..STATE_HEADER + 96].copy_from_slice(&bytes);
    });
    assert_eq!(generator, Error::StateValue("delta"));
    let torn = refusal(|files| {
        let at = STATE_HEADER + 96;
        let delta = curve::G2::read(&files.state[at..at + 192]).unwrap();
        delta.negate().write(&mut files.state[at..at + 192]);
    });
    assert_eq!(torn, Error::Groups("delta"));
    let outside = refusal(|files| files.state[quotient + 96..quotient + 192].copy_from_slice(&outside_g1()));
    let fault = PointFault::Subgroup;
    assert_eq!(outside, Error::Point { vector: "query of the quotient", index: 1, fault });
    let infinity = refusal(|files| {
        files.state[quotient..quotient + 96].fill(0);
        files.state[quotient] = 0x40;
    });
    let fault = PointFault::Infinity;
    assert_eq!(infinity, Error::Point { vector: "query of the quotient", index: 0, fault });
    // Infinity may stand among the witness's, but not where it was not.
    let infinity = refusal(|files| {
        files.state[PRIVATE + 96..PRIVATE + 192].fill(0);
        files.state[PRIVATE + 96] = 0x40;
    });
    assert_eq!(infinity, Error::Quotient("query of the witness"));
    let truncated = refusal(|files| files.state.truncate(quotient + 5));
    assert!(matches!(truncated, Error::Codec(_)), "{truncated}");
}

/// A phase that starts from queries that somebody changed, with everything else made to fit.
fn with_queries(change: impl FnOnce(&mut queries::Queries)) -> Error {
    let phase = Phase2::begin_with("ward/sample/1", &PHASE1, &SAMPLE.relation(), change);
    verify(&files(&phase)).err().expect("refused")
}

#[test]
fn each_wrong_query_has_its_refusal() {
    assert_eq!(with_queries(|q| q.a.swap(0, 1)), Error::Query("query A in G1"));
    assert_eq!(with_queries(|q| q.b_g1.swap(0, 5)), Error::Query("query B in G1"));
    assert_eq!(with_queries(|q| q.b_g2.swap(0, 5)), Error::Query("query B in G2"));
    let combined = Error::Query("query of the public inputs and the witness");
    assert_eq!(with_queries(|q| q.public.swap(1, 2)), combined);
    assert_eq!(with_queries(|q| q.private.swap(1, 2)), combined);
    assert_eq!(with_queries(|q| std::mem::swap(&mut q.private[1], &mut q.public[1])), combined);
    assert_eq!(with_queries(|q| q.quotient.swap(0, 1)), Error::Query("query of the quotient"));
    assert_eq!(with_queries(|q| q.quotient.truncate(30)), Error::Relation("number of points in a query"));
    let outside = with_queries(|q| q.a[4] = G1::read(&outside_g1()).unwrap());
    assert_eq!(outside, Error::Point { vector: "query A in G1", index: 4, fault: PointFault::Subgroup });
}

#[test]
fn the_files_of_another_circuit_or_another_first_phase_are_refused() {
    let genuine = files(&OPEN);
    let (transcript, state) = (&genuine.transcript, &genuine.state);
    let given = Phase2Files { prepared: &genuine.prepared, transcript, state };
    let other = Sample::new(20, 12);
    let refused = Phase2::verify(&PHASE1, (&other.relation(), 3), given, &mut rng(1), SILENT);
    assert_eq!(refused.err(), Some(Error::OtherCircuit));
    let elsewhere = first_phase(5, &["a", "b", "d"], true);
    let refused = Phase2::verify(&elsewhere, (&SAMPLE.relation(), 3), given, &mut rng(1), SILENT);
    assert_eq!(refused.err(), Some(Error::OtherPhase1));
    let mut swapped = files(&OPEN);
    let last = swapped.prepared.len() - 1;
    swapped.prepared[last] ^= 1;
    assert!(verify(&swapped).is_err());
    swapped.prepared.truncate(100);
    assert!(matches!(verify(&swapped), Err(Error::Codec(_))));
}

#[test]
fn a_malformed_relation_is_refused() {
    let refused = |change: fn(&mut Matrices)| {
        let mut sample = Sample::new(4, 1);
        change(&mut sample.matrices);
        Relation::new(&sample.matrices).err()
    };
    assert_eq!(refused(|_| ()), None);
    let relation = |what| Some(Error::Relation(what));
    assert_eq!(refused(|m| m.witnesses -= 1), relation("column or coefficient"));
    assert_eq!(refused(|m| m.coefficients.truncate(3)), relation("column or coefficient"));
    assert_eq!(refused(|m| m.witnesses = usize::MAX), relation("number of variables"));
    assert_eq!(refused(|m| m.constraints = 5), relation("number of rows"));
    assert_eq!(refused(|m| m.b = m.c.clone()), None);
    assert_eq!(refused(|m| m.b = Default::default()), relation("number of rows"));
    assert_eq!(refused(|m| m.constraints = 0), relation("number of constraints"));
    let too_large = {
        let (mut builder, inputs) = Builder::shape(&[Fr::one()]);
        (0..1 << 20).for_each(|_| builder.enforce(&inputs[0], &inputs[0], &inputs[0]));
        builder.finish().0
    };
    assert_eq!(Relation::new(&too_large).err(), Some(Error::Size(21)));
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(8))]

    /// The group transform and the combinations are those of the field, whatever the relation and the domain.
    #[test]
    fn prepared_queries_are_the_polynomials_at_the_secret(rows in 1usize..29, seed: u64) {
        let sample = Sample::new(rows, seed);
        let phase = Phase2::begin("x", &PHASE1, &sample.relation(), 3, SILENT).unwrap();
        let phase = phase.contribute(&contributor("a"), &mut rng(seed), &[], SILENT).unwrap();
        let parts = phase.close(&beacon(), SILENT).unwrap();
        let progress = progress::Progress::new(SILENT, 1);
        let start = phase.transcript().contributions()[0].previous();
        let delta = *Entropy::mix(&mut rng(seed), &[], start).factor("delta").expose()
            * beacon().entropy(&phase.transcript().head(), &progress).factor("delta").expose();
        let secrets = [product(3, "tau"), product(3, "alpha"), product(3, "beta"), delta];
        proptest::prop_assert!(parts.finish(1).unwrap() == direct(&sample, secrets));
    }
}

#[test]
fn points_are_the_same_in_both_libraries() {
    let scalar = Fr::from(0x1234_5678_9abc_def0_u64).inverse().unwrap();
    let g1 = G1::normalise(&[G1::generator().mult(&scalar)])[0];
    let g2 = curve::G2::normalise(&[curve::G2::generator().mult(&scalar)])[0];
    assert_eq!(g1.to_ark(), (G1Affine::generator() * scalar).into_affine());
    assert_eq!(g2.to_ark(), (G2Affine::generator() * scalar).into_affine());
    assert!(G1::normalise(&[G1::zero()])[0].to_ark().is_zero());
}
