//! Public inputs and witnesses of any values: the relation and its constraints accept the same pairs, and neither panics.
#![no_main]

use std::sync::LazyLock;

use chacha20::ChaCha20Rng;
use libfuzzer_sys::fuzz_target;
use rand_core::SeedableRng;
use ward_circuits::aggregate::{self, Aggregate, Dataset, Predicate, Row};
use ward_circuits::consent::{self, Consent, ConsentGiven, Snapshot, Status};
use ward_circuits::eligibility::Day;
use ward_circuits::pedersen::{Blinding, Commitment};
use ward_circuits::r1cs::{Builder, Matrices};
use ward_circuits::{ConstrainedStatement, Element, constraints};

/// Bytes, read from the front; zeros behind the end.
struct Bytes<'a>(&'a [u8]);

impl Bytes<'_> {
    fn take<const N: usize>(&mut self) -> [u8; N] {
        let mut out = [0; N];
        let count = N.min(self.0.len());
        let (front, rest) = self.0.split_at(count);
        out[..count].copy_from_slice(front);
        self.0 = rest;
        out
    }

    fn byte(&mut self) -> u8 {
        self.take::<1>()[0]
    }

    fn short(&mut self) -> u16 {
        u16::from_le_bytes(self.take())
    }

    fn word(&mut self) -> u32 {
        u32::from_le_bytes(self.take())
    }

    fn long(&mut self) -> u64 {
        u64::from_le_bytes(self.take())
    }
}

static AGGREGATE: LazyLock<Matrices> = LazyLock::new(|| constraints::<Aggregate<64>>().0);
static CONSENT: LazyLock<Matrices> = LazyLock::new(|| constraints::<ConsentGiven>().0);

fn agree<S: ConstrainedStatement>(matrices: &Matrices, public: &S::Public, witness: &S::Witness) {
    let inputs = S::public_inputs(public);
    assert_eq!(inputs.len(), S::INPUTS);
    let (mut builder, inputs) = Builder::assignment(&inputs, matrices.variables());
    S::synthesize(&mut builder, &inputs, public, witness);
    let variables = builder.into_variables();
    assert_eq!(variables.expose().len(), matrices.variables());
    let satisfied = matrices.first_unsatisfied(variables.expose()).is_none();
    assert_eq!(S::check(public, witness).is_ok(), satisfied, "{}", S::NAME);
}

/// A commitment over up to seven rows, which the flags make wrong in one way or another.
fn sums(bytes: &mut Bytes<'_>) {
    let flags = bytes.byte();
    let rows = (0..flags & 7).map(|_| Row { columns: [bytes.short(), bytes.short()], value: bytes.word() });
    let rows = rows.collect();
    let dataset = Dataset::<64>::new(rows, Element::from(bytes.long())).expect("seven rows");
    let mut interval = || (bytes.short(), bytes.short());
    let predicate = Predicate { intervals: [interval(), interval()] };
    let floor = if flags & 64 != 0 { bytes.word() } else { u32::from(bytes.byte() & 7) };
    let (mut count, mut sum) = dataset.shown(&predicate, floor);
    let mut root = dataset.root();
    if flags & 8 != 0 {
        count = bytes.long();
    }
    if flags & 16 != 0 {
        sum = bytes.long();
    }
    if flags & 32 != 0 {
        root += Element::from(bytes.long());
    }
    let blinding = Blinding::generate(&mut ChaCha20Rng::seed_from_u64(1));
    let commitment = Commitment::new(count, sum, &blinding);
    let public = aggregate::Public { root, predicate, floor, commitment };
    agree::<Aggregate<64>>(&AGGREGATE, &public, &aggregate::Witness { dataset, blinding });
}

/// A consent among a few, and a request for it.
fn consents(bytes: &mut Bytes<'_>) {
    const STATUS: [Status; 4] = [Status::Active, Status::Requested, Status::Denied, Status::Revoked];
    let flags = bytes.byte();
    let names = ["GRU", "HMB", "", "labs"];
    let name = |byte: u8| names[usize::from(byte) % 4];
    let (purpose, class) = (name(bytes.byte()), name(bytes.byte()));
    let days = (Day(bytes.word()), Day(bytes.word()));
    let status = STATUS[usize::from(flags & 3)];
    let consent = Consent::new(&bytes.take::<4>(), (purpose, class), days, status);
    let place = usize::from(bytes.byte());
    let mut leaves: Vec<Element> = (0..=place as u64).map(Element::from).collect();
    leaves[place] = consent.leaf();
    let snapshot = Snapshot::new(leaves).expect("a few leaves");
    let request = Element::from(bytes.long());
    let mut public = consent::Public {
        snapshot: snapshot.root(),
        purpose: purpose.to_owned(),
        class: class.to_owned(),
        request,
        date: Day(bytes.word()),
        subject: consent.subject(&request),
    };
    if flags & 4 != 0 {
        public.date = days.0;
    }
    if flags & 8 != 0 {
        public.snapshot += Element::from(bytes.long());
    }
    if flags & 16 != 0 {
        public.subject += Element::from(bytes.long());
    }
    if flags & 32 != 0 {
        public.purpose = String::from_utf8_lossy(bytes.0).into_owned();
    }
    let shown = if flags & 64 != 0 { usize::from(bytes.byte()) } else { place };
    let Some(path) = snapshot.path(shown) else { return };
    agree::<ConsentGiven>(&CONSENT, &public, &consent::Witness { consent, path });
}

fuzz_target!(|data: &[u8]| {
    let Some((pick, rest)) = data.split_first() else { return };
    let mut bytes = Bytes(rest);
    if pick & 1 == 0 { sums(&mut bytes) } else { consents(&mut bytes) }
});
