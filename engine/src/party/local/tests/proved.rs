//! Contributions that are proved: of which questions, over which rows, and what is refused of proofs.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::OnceLock;

use rand_core::SeedableRng as _;
use ward_circuits::aggregate::Aggregate;
use ward_circuits::pedersen::Blinding;

use super::*;
use crate::attestation::keys::create_development;
use crate::encoding::Digest;
use crate::identity::Canonical;
use crate::party::doctor::{Status, check_data};
use crate::party::local::proved::SaltedRows;
use crate::proofs::{
    ContributionProof, ContributionProver, ContributionVerifier, Proofs, ProofsError, Secrets,
    check_contribution, root_digest,
};
use crate::query::QueryError;
use crate::query::plan::Content;

const COLUMNS: &str = "[[table.column]]\nname = \"age\"\nkind = \"integer\"\nmin = -5\nmax = 120\n\
     [[table.column]]\nname = \"sex\"\nkind = \"category\"\ncodes = [\"F\", \"M\"]\n\
     [[table.column]]\nname = \"hba1c\"\nkind = \"real\"\ndigits = 1\nmin = 3\nmax = 20\n\
     [[table.proof]]\ncolumns = [\"age\", \"sex\"]\nvalue = \"hba1c\"\n\
     [[table.proof]]\ncolumns = [\"sex\", \"age\"]\n";
const SUM: &str = "SELECT COUNT(hba1c), SUM(hba1c), AVG(hba1c) FROM t WHERE age BETWEEN 40 AND 65 AND sex = 'F' WITH PROOFS";

/// A development key: making one takes a second or two.
fn key_folder() -> PathBuf {
    static KEY: OnceLock<tempfile::TempDir> = OnceLock::new();
    let folder = KEY.get_or_init(|| {
        let folder = tempfile::tempdir().unwrap();
        create_development::<Aggregate<64>>(folder.path()).unwrap();
        folder
    });
    folder.path().to_path_buf()
}

fn sections() -> String {
    format!("{COLUMNS}[proofs]\nkey = {:?}\ndevelopment_key = true\n", key_folder())
}

/// Rows of a hospital: 12 women from 40 to 51, values from 5.0; a missing age, a missing sex, a missing value, a value
/// out of bounds, and men.
fn rows(shift: u32) -> Vec<String> {
    let mut rows: Vec<String> = (0..12).map(|i| format!("{},F,{}.{}\n", 40 + i, 5 + shift, i % 10)).collect();
    rows.extend([",F,6\n", "45,,6\n", "45,F,\n", "45,F,99\n", "-5,M,3\n", "64,M,20\n"].map(str::to_owned));
    rows
}

fn hospital(rows: &[String]) -> (Folder, LocalData) {
    let folder = Folder::new(&[("data.csv", &format!("age,sex,hba1c\n{}", rows.concat()))]);
    let data = folder.data("{ csv = \"data.csv\" }", &sections());
    (folder, data)
}

fn world() -> World {
    let ((a, north), (b, south)) = (hospital(&rows(0)), hospital(&rows(1)));
    let mut world = World::new(5, [("north".to_owned(), north), ("south".to_owned(), south)]);
    world._folders = vec![a, b];
    world
}

fn try_plan(world: &World, sql: &str) -> Result<Plan, QueryError> {
    let hospitals: Vec<String> = world.data.keys().cloned().collect();
    plan(&parse(sql).unwrap(), &world.catalogue, &protocol(&hospitals), Participation::All)
}

/// What a hospital contributes to a plan, and its proof.
fn proved(world: &World, plan: &Plan, name: &str, seed: u64) -> (Vec<i128>, ContributionProof) {
    let (folder, of) = (key_folder(), plan.proved.as_ref().unwrap());
    let prover = ContributionProver::load(&folder, true).unwrap();
    let config = world.data[name].table("t").unwrap();
    let value = of.value.as_ref().map(|value| &value.column);
    let config_of = config.proofs.iter().find(|p| p.value.as_ref() == value).unwrap();
    let SaltedRows { rows, salt } = world.data[name].salted_rows(config, config_of).unwrap();
    let rng = &mut chacha20::ChaCha20Rng::seed_from_u64(seed);
    let blinding = Blinding::generate(rng);
    let mut slots = integers(&world.contribution(plan, name));
    for (slot, piece) in slots[plan.blinding_slots().unwrap()].iter_mut().zip(blinding.pieces()) {
        *slot = i128::from(*piece);
    }
    let made = prover.prove(Secrets { rows, salt, blinding }, (of.predicate(), plan.floor), rng).unwrap();
    assert_eq!(of.roots[name], root_digest(&made.root), "the root is the one that was published");
    let claim = plan.claim(&slots).unwrap();
    assert_eq!((claim.count, claim.sum), made.shown, "the rows show what the local step sums");
    (slots, made.proof)
}

fn all(world: &World, plan: &Plan) -> (Vec<i128>, Proofs) {
    let (mut total, mut contributions) = (vec![0; plan.slots()], BTreeMap::new());
    for (name, seed) in plan.hospitals.iter().zip(1..) {
        let (slots, proof) = proved(world, plan, name, seed);
        total.iter_mut().zip(slots).for_each(|(sum, slot)| *sum += slot);
        contributions.insert(name.clone(), proof);
    }
    (total, Proofs { of: plan.proved.clone().unwrap(), contributions })
}

fn verifier() -> ContributionVerifier {
    ContributionVerifier::load(&key_folder(), true).unwrap()
}

#[test]
fn totals_open_the_sum_of_proved_commitments_whatever_is_missing_in_rows() {
    let world = world();
    for (sql, count, sum) in [
        // 12 women at each; 5.0 to 5.9, 5.0, 5.1, and the same from 6: 64.6 + 76.6, less 3 each.
        (SUM, 24, 1_412 - 24 * 30),
        // A missing sex is asked for nothing: 13 with a value.
        ("SELECT SUM(hba1c) FROM t WHERE age BETWEEN 40 AND 51 WITH PROOFS", 26, 1_412 + 120 - 26 * 30),
        // Two with and without a value besides.
        ("SELECT COUNT(*) FROM t WHERE sex = 'F' AND age >= 40 WITH PROOFS", 28, 0),
        ("SELECT COUNT(*) FROM t WITH PROOFS", 36, 0),
        // Four at each, under the floor of five: zeros are committed to.
        ("SELECT SUM(hba1c) FROM t WHERE age < 44 AND age > 39 AND sex = 'F' WITH PROOFS", 0, 0),
    ] {
        let plan = world.plan(sql);
        let (total, proofs) = all(&world, &plan);
        proofs.verify(&verifier()).unwrap();
        proofs.open(&plan, &total).unwrap();
        let claim = plan.claim(&total).unwrap();
        assert_eq!((claim.count, claim.sum), (count, sum), "{sql}");
    }
}

#[test]
fn a_total_that_is_not_of_what_was_proved_is_refused() {
    let world = world();
    let plan = world.plan(SUM);
    let (total, proofs) = all(&world, &plan);
    let count = plan
        .blocks
        .iter()
        .take_while(|b| !matches!(b.content, Content::Measure(_)))
        .map(|b| b.slots as usize)
        .sum();
    for at in [count, count + 1, plan.blinding_slots().unwrap().start] {
        let mut other = total.clone();
        other[at] += 1;
        assert!(matches!(proofs.open(&plan, &other), Err(ProofsError::Total)), "slot {at}");
    }
    let mut fewer = proofs;
    fewer.contributions.remove("south");
    assert!(matches!(fewer.open(&plan, &total), Err(ProofsError::Total)));
}

#[test]
fn a_proof_is_of_its_hospital_commitment_floor_and_question_alone() {
    let world = world();
    let plan = world.plan(SUM);
    let (_, proofs) = all(&world, &plan);
    let (of, key) = (&proofs.of, verifier());
    let [north, south] = ["north", "south"].map(|name| proofs.contributions[name].clone());
    let invalid = |proof: &ContributionProof| {
        matches!(key.verify(of, "north", proof), Err(ProofsError::Invalid { .. }))
    };
    key.verify(of, "north", &north).unwrap();
    assert!(invalid(&south));
    assert!(invalid(&ContributionProof { commitment: south.commitment.clone(), ..north.clone() }));
    assert!(invalid(&ContributionProof { proof: south.proof.clone(), ..north.clone() }));
    assert!(invalid(&ContributionProof { floor: 6, ..north.clone() }));
    let mut wider = of.clone();
    wider.columns[0].low -= 1;
    assert!(matches!(key.verify(&wider, "north", &north), Err(ProofsError::Invalid { .. })));
    let other_key = crate::query::proved::Proved { key: Digest([9; 32]), ..of.clone() };
    assert!(matches!(key.verify(&other_key, "north", &north), Err(ProofsError::Key { .. })));
    for at in [0, 63, 64] {
        let mut bytes = north.commitment.clone();
        if at < 64 {
            bytes.0[at] ^= 1
        } else {
            bytes.0.truncate(10)
        }
        let off = ContributionProof { commitment: bytes, ..north.clone() };
        assert!(matches!(key.verify(of, "north", &off), Err(ProofsError::Malformed { .. })));
    }
    let check = |proof: Option<&ContributionProof>| check_contribution(&plan, "north", proof, Some(&key));
    assert!(check(Some(&north)).is_ok());
    assert!(matches!(check(None), Err(ProofsError::Absent { .. })));
    let under = ContributionProof { floor: plan.floor - 1, ..north.clone() };
    assert!(matches!(check(Some(&under)), Err(ProofsError::Malformed { .. })));
    let unproved = world.plan("SELECT COUNT(*) FROM t");
    assert!(check_contribution(&unproved, "north", None, None).is_ok());
    assert!(check_contribution(&unproved, "north", Some(&north), None).is_err());
    let bound = |proofs: &Proofs| proofs.bind(Canonical::new("test/1")).digest();
    let mut other = proofs.clone();
    other.contributions.insert("north".to_owned(), ContributionProof { floor: 6, ..north });
    assert_ne!(bound(&proofs), bound(&other), "a receipt's commitment binds them");
}

#[test]
fn a_root_is_of_the_rows_in_whatever_order_under_a_salt_of_the_hospital() {
    let root = |data: &LocalData| data.publication("north", 5).unwrap().tables[0].proofs[0].root;
    let (_a, north) = hospital(&rows(0));
    let mut reversed = rows(0);
    reversed.reverse();
    let (_b, other_order) = hospital(&reversed);
    assert_eq!(root(&north), root(&other_order));
    let (_c, one_less) = hospital(&rows(0)[1..]);
    assert_ne!(root(&north), root(&one_less));
    let (folder, _) = hospital(&rows(0));
    let config = folder.config("{ csv = \"data.csv\" }", &sections());
    let elsewhere = LocalData::open(&config, VersionKey::from_bytes(&[8; 32])).unwrap();
    assert_ne!(root(&north), root(&elsewhere));
}

#[test]
fn a_table_that_outgrew_its_statement_is_published_without_the_proof() {
    let many = |count: usize| -> Vec<String> { (0..count).map(|_| "50,F,6\n".to_owned()).collect() };
    let (_held, full) = hospital(&many(64));
    assert_eq!(full.publication("north", 5).unwrap().tables[0].proofs.len(), 2);
    let (held, over) = hospital(&many(65));
    let published = over.publication("north", 5).unwrap();
    assert_eq!(published.tables[0].proofs, Vec::new());
    let surveys = over.proofs("t").unwrap();
    assert!(surveys.iter().all(|survey| (survey.rows, survey.rows_max) == (65, 64)), "{surveys:?}");
    let checks = check_data(&held.config("{ csv = \"data.csv\" }", &sections()));
    let check = checks.iter().find(|check| check.name == "proofs.t").unwrap();
    assert!(check.status == Status::Warn && check.detail.contains("65 rows of at most 64"), "{check:?}");
    // The rows come from memory until the source changes: then they fit.
    let (folder, data) = hospital(&many(65));
    assert_eq!(data.proofs("t").unwrap()[0].rows, 65);
    folder.write("data.csv", format!("age,sex,hba1c\n{}", many(3).concat()).as_bytes());
    assert_eq!(data.publication("north", 5).unwrap().tables[0].proofs.len(), 2);
    assert_eq!(data.proofs("t").unwrap()[0].rows, 3);
}

#[test]
fn questions_that_cannot_be_proved_are_refused_with_what_can() {
    let world = world();
    for sql in [
        "SELECT COUNT(*) FROM t GROUP BY sex WITH PROOFS",
        "SELECT COUNT(*), SUM(hba1c) FROM t WITH PROOFS",
        "SELECT SUM(hba1c), SUM(age) FROM t WITH PROOFS",
        "SELECT COUNT(hba1c) FROM t WITH PROOFS",
        "SELECT STDDEV(hba1c) FROM t WITH PROOFS",
        "SELECT MIN(hba1c) FROM t WITH PROOFS",
        "SELECT SUM(hba1c) FROM t WHERE age < 40 OR sex = 'F' WITH PROOFS",
        "SELECT SUM(hba1c) FROM t WHERE sex <> 'F' WITH PROOFS",
        "SELECT SUM(hba1c) FROM t WHERE age IN (40, 50) WITH PROOFS",
        "SELECT SUM(hba1c) FROM t WHERE age > 50 AND age < 50 WITH PROOFS",
        "SELECT SUM(hba1c) FROM t WHERE hba1c > 6 WITH PROOFS",
        "SELECT SUM(age) FROM t WITH PROOFS",
        "SELECT COUNT(*) FROM t WITH ROUNDING WITH PROOFS",
        "SELECT COUNT(*) FROM t WITH PRIVACY (epsilon = 1) WITH PROOFS",
    ] {
        let refused = try_plan(&world, sql).unwrap_err();
        assert_eq!(refused.code(), "query.unsupported", "{sql}: {refused}");
    }
    let mut other = world;
    other.catalogue.hospitals.get_mut("south").unwrap().tables[0].proofs[0].key = Digest([1; 32]);
    assert_eq!(try_plan(&other, SUM).unwrap_err().code(), "query.unsupported");
}

#[test]
fn a_configuration_that_cannot_prove_is_refused() {
    let folder = Folder::new(&[]);
    let refused = |text: &str| {
        let text = format!(
            "[party]\ndata_dir = \"s\"\n[[table]]\nname = \"t\"\nrows_max = 9\npatient = \"p\"\ndata_class = \"c\"\n\
             source = {{ csv = \"d\" }}\n{text}"
        );
        PartyConfig::from_text(&text, &folder.dir.path().join("party.toml"))
            .map(drop)
            .unwrap_err()
            .to_string()
    };
    let good = sections();
    assert!(refused(COLUMNS).contains("no key to prove with"));
    assert!(refused(&format!("{good}[consent]\nregime = \"opt-in\"\n")).contains("with consent only"));
    assert!(refused(&format!("{good}[policy]\nrounding = true\n")).contains("counts are rounded"));
    for (from, to) in [
        ("columns = [\"sex\", \"age\"]", "columns = [\"sex\", \"sex\"]"),
        ("columns = [\"sex\", \"age\"]", "columns = []"),
        ("columns = [\"sex\", \"age\"]", "columns = [\"weight\"]"),
        ("max = 120", "max = 70000"),
    ] {
        assert!(refused(&good.replace(from, to)).contains("column"), "{to}");
    }
}
