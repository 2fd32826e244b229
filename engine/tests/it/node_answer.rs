//! What the researcher makes of the nodes' shares: with it a test of nodes ends in numbers, not in bytes.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails where it stands")]

use ward_engine::encoding::Digest;
use ward_engine::identity::Signature;
use ward_engine::party::aggregate::{layout_of, participation};
use ward_engine::party::task::Outcome;
use ward_engine::query::answer::{Answer, Value};
use ward_engine::query::finish;
use ward_engine::query::plan::Plan;
use ward_protocols::he::{self, C0, KeySwitchShare};

use crate::node_house::{Asked, Gift, House, active, switch_task};

fn plan(asked: &Asked) -> Plan {
    let catalogue = serde_json::from_str(&asked.prepare.catalogue).unwrap();
    let (sql, minimum) = (&asked.request.sql, asked.request.participants_min);
    ward_engine::job::submit::plan(sql, participation(minimum), &catalogue, &asked.prepare.epoch).unwrap()
}

/// A share, after its signature was checked.
pub async fn share(house: &House, name: &str, asked: &Asked, gifts: &[Gift], active: &[String]) -> Vec<u8> {
    let job = &asked.prepare.job;
    let (task, body) = switch_task(job, gifts, active);
    let (outcome, bytes) = house.send(name, task, &body).await.unwrap();
    let Outcome::KeySwitched { sum, shares, signature } = outcome else { panic!("{outcome:?}") };
    assert_eq!(Digest::of(&bytes), shares);
    let signature = Signature::from_slice(&signature.0).unwrap();
    let key = house.keys[name].public();
    key.verify("ward/v1/key-switch", &[job.as_bytes(), &sum.0, &shares.0], &signature).unwrap();
    bytes
}

/// Opens the sum of these contributions with shares of these holders.
pub async fn open_with(house: &House, asked: &Asked, gifts: &[Gift], active: &[String]) -> Answer {
    let params = &asked.params;
    let mut sum = he::C0Accumulator::new(params);
    for gift in gifts {
        sum.add(&C0::decode_all(params, &gift.c0).unwrap()).unwrap();
    }
    let mut shares = Vec::new();
    for name in active {
        let bytes = share(house, name, asked, gifts, active).await;
        shares.push(KeySwitchShare::decode_all(params, &bytes).unwrap());
    }
    let switched = he::key_switch_combine(params, &sum.finish(), &shares).unwrap();
    let plaintexts = he::decrypt(params, &asked.secret, &switched).unwrap();
    let plan = plan(asked);
    let slots = layout_of(params, &plan).unwrap().unpack(&plaintexts).unwrap();
    let participants: Vec<String> = gifts.iter().map(|gift| gift.header.hospital.clone()).collect();
    finish(&plan, &slots, &participants).unwrap()
}

/// Opens the sum with shares of the first holders.
pub async fn open(house: &House, asked: &Asked, gifts: &[Gift]) -> Answer {
    open_with(house, asked, gifts, &active(house, asked)).await
}

/// The counts of an answer's first column; none where every hospital withheld.
pub fn counts(answer: &Answer) -> Vec<Option<u64>> {
    let count = |value: &Value| match value {
        Value::Count { value } => Some(*value),
        Value::Suppressed => None,
        other => panic!("{other:?}"),
    };
    answer.rows.iter().map(|row| count(&row.values[0].value)).collect()
}
