use super::*;
use crate::mpc::channel::ChannelError;
use crate::mpc::step::Step;
use crate::mpc::{MpcError, Peer, SemiHonest};

/// Each node tells the next its number, 1,000 times.
fn round_the_table(session: &mut Session<'_, SemiHonest>, words: usize) -> Result<Vec<u64>> {
    let own = vec![session.role().index() as u64; words];
    let mut got = vec![9; words];
    session.narrow("told").exchange(crate::mpc::exchange::Route::OPEN, &own, &mut got)?;
    Ok(got)
}

fn told() -> At {
    At::Step(Step::root().narrow("told").id())
}

#[test]
fn a_column_longer_than_the_queues_goes_round() {
    for words in [0, 1, 1 << 17, (1 << 17) + 1, 20 << 17] {
        let outcome = World::new(1).run([words; 3], round_the_table);
        assert_eq!(outcome.counters[0].steps()["told"].rounds, 1);
        assert_eq!(outcome.counters[0].steps().get("told").map(|c| c.bytes_sent), Some(8 * words as u64));
        let results = outcome.all();
        for role in Role::ALL {
            assert_eq!(results[role.index()], vec![role.prev().index() as u64; words]);
        }
    }
}

#[test]
fn the_seed_decides_every_byte() {
    let program = |session: &mut Session<'_, SemiHonest>, (): ()| Ok(session.common(Peer::Next)?.word());
    let run = |seed| World::new(seed).run([(); 3], program).all();
    assert_eq!(run(7), run(7));
    assert_ne!(run(7), run(8));
}

#[test]
fn neighbours_draw_the_same_words_and_others_do_not() {
    let program = |session: &mut Session<'_, SemiHonest>, (): ()| {
        Ok((session.common(Peer::Prev)?.word(), session.common(Peer::Next)?.word()))
    };
    let words = World::new(3).run([(); 3], program).all();
    for role in Role::ALL {
        assert_eq!(words[role.index()].1, words[role.next().index()].0);
        assert_ne!(words[role.index()].1, words[role.index()].0);
    }
}

#[test]
fn a_step_sends_and_draws_once() {
    let program = |session: &mut Session<'_, SemiHonest>, (): ()| {
        let _ = session.common(Peer::Next)?;
        session.common(Peer::Next).map(|_| ())
    };
    let results = World::new(1).run([(); 3], program).results;
    assert!(results.into_iter().all(|result| matches!(result, Err(MpcError::StepReused(_)))));
}

fn tampered(change: Change) -> Outcome<Vec<u64>> {
    let tamper = Tamper { party: Role::P0, at: told(), change };
    let outcome = World::new(1).tampering(tamper).run([10; 3], round_the_table);
    assert!(outcome.is_tampered);
    outcome
}

#[test]
fn a_lost_message_ends_as_a_stall() {
    let outcome = tampered(Change::Drop);
    let error = outcome.results[1].as_ref().expect_err("P1 hears nothing");
    let stalled = ChannelError::Stalled { peer: Role::P0, stalled_ms: 0 };
    assert_eq!(*error, MpcError::Channel { step: "/told".into(), error: stalled });
}

#[test]
fn a_late_message_changes_nothing() {
    let outcome = tampered(Change::Delay(100));
    assert_eq!(outcome.all()[1], vec![0; 10]);
}

#[test]
fn a_short_message_is_refused() {
    let outcome = tampered(Change::Truncate(79));
    assert!(matches!(outcome.results[1], Err(MpcError::Channel { .. })));
}

#[test]
fn a_rewritten_message_arrives_so_and_a_transcript_has_what_was_sent() {
    let rewrite = Change::Rewrite(Arc::new(|bytes: &mut Vec<u8>| bytes.fill(1)));
    let tamper = Tamper { party: Role::P0, at: At::Nth(0), change: rewrite };
    let outcome = World::new(1).with_transcript().tampering(tamper).run([1; 3], round_the_table);
    let sent = outcome.transcript.iter().find(|c| c.from == Role::P0 && c.bytes.len() == 8);
    assert_eq!(sent.map(|c| c.bytes.clone()), Some(vec![0; 8]));
    assert_eq!(outcome.all()[1], vec![0x0101_0101_0101_0101]);
}

#[test]
fn several_messages_are_changed_each_in_its_place() {
    let fill = |byte: u8| Change::Rewrite(Arc::new(move |bytes: &mut Vec<u8>| bytes.fill(byte)));
    let tamper = |party, byte| Tamper { party, at: At::Nth(0), change: fill(byte) };
    let world = World::new(1).tampering(tamper(Role::P0, 1)).tampering(tamper(Role::P1, 2));
    let outcome = world.run([1; 3], round_the_table);
    assert!(outcome.is_tampered);
    assert_eq!(outcome.all(), [vec![2], vec![0x0101_0101_0101_0101], vec![0x0202_0202_0202_0202]]);
    let late = Tamper { party: Role::P2, at: At::Nth(9), change: Change::Drop };
    assert!(
        !World::new(1)
            .tampering(tamper(Role::P0, 1))
            .tampering(late)
            .run([1; 3], round_the_table)
            .is_tampered
    );
}

#[test]
fn a_message_that_comes_twice_is_taken_for_no_other() {
    let twice = |session: &mut Session<'_, SemiHonest>, ()| {
        round_the_table(&mut session.narrow("a"), 3)?;
        round_the_table(&mut session.narrow("b"), 3)
    };
    let tamper = Tamper { party: Role::P0, at: At::Nth(0), change: Change::Duplicate };
    let outcome = World::new(1).tampering(tamper).run([(); 3], twice);
    assert!(matches!(&outcome.results[1], Err(MpcError::Channel { step, .. }) if step == "/b/told"));
}

#[test]
fn shares_reconstruct() {
    let world = World::new(5);
    let values: Vec<u64> = (0..130).map(|k| k * 0x9e37_79b9_7f4a_7c15).collect();
    assert_eq!(reconstruct_ring(&share_ring(&values, &mut world.rng())), values);
    assert_eq!(reconstruct_bits(&share_bits(&values, 64, &mut world.rng())), values);
    let low: Vec<u64> = values.iter().map(|v| v & 0x7f).collect();
    assert_eq!(reconstruct_bits(&share_bits(&values, 7, &mut world.rng())), low);
}
