//! The relay under honest and under hostile nodes, and meshes of members over it.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::timeout;

use super::*;
use crate::party::mesh::{
    CloseReason, DATA_BYTES_MAX, PIPES_MAX, PROBE_BYTES_MAX, PROBE_SESSION, RelayEvent, WINDOW_BYTES,
};

const SESSION: [u8; 16] = [5; 16];

fn names(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

fn open(pipe: u64, session: [u8; 16], peer: &str) -> RelayFrame {
    RelayFrame { pipe, event: RelayEvent::Open { session, peer: peer.to_owned() } }
}

fn data(pipe: u64, bytes: usize) -> RelayFrame {
    RelayFrame { pipe, event: RelayEvent::Data(vec![7; bytes]) }
}

fn close(pipe: u64, reason: CloseReason) -> RelayFrame {
    RelayFrame { pipe, event: RelayEvent::Close(reason) }
}

impl Attachment {
    /// The next frame, if there is one now.
    fn poll(&self) -> Option<RelayFrame> {
        lock(&self.relay.table).next(&self.node, self.number).ok().flatten()
    }
}

struct Stand {
    relay: Arc<Relay>,
    a: Attachment,
    b: Attachment,
    _session: RelaySession,
}

/// Two nodes that may talk.
fn stand() -> Stand {
    let relay = Arc::new(Relay::default());
    let (a, b) = (relay.attach("a"), relay.attach("b"));
    let session = relay.session(SESSION, &names(&["a", "b"]), &[]).unwrap();
    Stand { relay, a, b, _session: session }
}

/// What waits for a node. The table does not wait for anything, so what is not there now does not come.
fn drain(line: &Attachment) -> Vec<RelayFrame> {
    std::iter::from_fn(|| line.poll()).collect()
}

#[test]
fn bytes_go_through_in_order_with_credit_and_close() {
    let Stand { relay, a, b, _session } = stand();
    a.take(open(0, SESSION, "b")).unwrap();
    a.take(data(0, 3)).unwrap();
    a.take(data(0, DATA_BYTES_MAX)).unwrap();
    assert_eq!(drain(&b), [open(1, SESSION, "a"), data(1, 3), data(1, DATA_BYTES_MAX)]);
    b.take(RelayFrame { pipe: 1, event: RelayEvent::Credit(3) }).unwrap();
    b.take(data(1, 9)).unwrap();
    let credit = RelayFrame { pipe: 0, event: RelayEvent::Credit(3) };
    assert_eq!(drain(&a), [credit, data(0, 9)]);
    b.take(data(1, 1)).unwrap();
    b.take(close(1, CloseReason::Done)).unwrap();
    assert_eq!(drain(&a), [data(0, 1), close(0, CloseReason::Done)]);
    assert_eq!(relay.load().0, 0);
}

#[test]
fn only_pairs_of_a_running_session_get_a_pipe() {
    let relay = Arc::new(Relay::default());
    let (a, b, _x, y) = (relay.attach("a"), relay.attach("b"), relay.attach("x"), relay.attach("y"));
    let refused = [close(0, CloseReason::Refused)];
    a.take(open(0, SESSION, "b")).unwrap();
    assert_eq!(drain(&a), refused);
    let session = relay.session(SESSION, &names(&["a", "b"]), &names(&["x", "y"])).unwrap();
    assert!(relay.session(SESSION, &names(&["a", "y"]), &[]).is_err(), "a session is registered once");
    assert!(relay.session(PROBE_SESSION, &names(&["a", "y"]), &[]).is_err());
    // Two hospitals that only give input; oneself; somebody outside; another session; a probe's session.
    for (line, session, peer) in [
        (&y, SESSION, "x"),
        (&a, SESSION, "a"),
        (&a, SESSION, "z"),
        (&a, [6; 16], "b"),
        (&a, PROBE_SESSION, "b"),
    ] {
        line.take(open(0, session, peer)).unwrap();
        assert_eq!(drain(line), refused, "{peer}");
    }
    y.take(open(2, SESSION, "b")).unwrap();
    a.take(open(2, SESSION, "b")).unwrap();
    assert_eq!(drain(&b), [open(1, SESSION, "y"), open(3, SESSION, "a")]);
    drop(session);
    let mut ended = drain(&b);
    ended.sort_by_key(|frame| frame.pipe);
    assert_eq!(ended, [close(1, CloseReason::Ended), close(3, CloseReason::Ended)]);
    assert_eq!(drain(&a), [close(2, CloseReason::Ended)]);
    assert_eq!(drain(&y), [close(2, CloseReason::Ended)]);
    assert_eq!(relay.load().0, 0);
    a.take(open(4, SESSION, "b")).unwrap();
    assert_eq!(drain(&a), [close(4, CloseReason::Refused)]);
}

#[test]
fn whoever_sends_without_credit_loses_the_pipe_and_the_engine_holds_no_more_than_the_window() {
    let Stand { relay, a, b, _session } = stand();
    a.take(open(0, SESSION, "b")).unwrap();
    let mut sent = 0;
    while sent < WINDOW_BYTES {
        a.take(data(0, DATA_BYTES_MAX)).unwrap();
        sent += DATA_BYTES_MAX;
    }
    assert!(drain(&a).is_empty(), "the window is allowed");
    a.take(data(0, 1)).unwrap();
    assert_eq!(drain(&a), [close(0, CloseReason::Credit)]);
    assert_eq!(drain(&b), [open(1, SESSION, "a"), close(1, CloseReason::Credit)]);
    assert_eq!(relay.load().0, 0);
    // What still comes for a pipe that is gone goes nowhere.
    a.take(data(0, 1)).unwrap();
    a.take(close(0, CloseReason::Done)).unwrap();
}

#[test]
fn credit_for_what_was_not_delivered_ends_the_pipe() {
    for (credit, delivered) in [(0, true), (6, true), (5, false), (u64::MAX, true)] {
        let Stand { relay: _relay, a, b, _session } = stand();
        a.take(open(0, SESSION, "b")).unwrap();
        if !delivered {
            assert_eq!(drain(&b).len(), 1);
        }
        a.take(data(0, 5)).unwrap();
        if delivered {
            assert_eq!(drain(&b).len(), 2);
        }
        b.take(RelayFrame { pipe: 1, event: RelayEvent::Credit(credit) }).unwrap();
        assert_eq!(drain(&a), [close(0, CloseReason::Credit)], "credit {credit}");
    }
}

#[test]
fn small_pieces_are_joined_while_they_wait() {
    let Stand { relay: _relay, a, b, _session } = stand();
    a.take(open(0, SESSION, "b")).unwrap();
    for _ in 0..100_000 {
        a.take(data(0, 1)).unwrap();
    }
    let frames = drain(&b);
    assert!(frames.len() < 10, "{} frames", frames.len());
}

#[test]
fn pipes_are_limited_and_refusals_do_not_pile_up() {
    let Stand { relay, a, b, _session } = stand();
    for i in 0..PIPES_MAX as u64 {
        a.take(open(2 * i, SESSION, "b")).unwrap();
    }
    let more = 2 * PIPES_MAX as u64;
    a.take(open(more, SESSION, "b")).unwrap();
    assert_eq!(drain(&a), [close(more, CloseReason::Limit)]);
    assert_eq!(drain(&b).len(), PIPES_MAX);
    // One end is full: a third party gets no pipe to it either.
    let c = relay.attach("c");
    let _other = relay.session([6; 16], &names(&["b", "c"]), &[]).unwrap();
    c.take(open(0, [6; 16], "b")).unwrap();
    assert_eq!(drain(&c), [close(0, CloseReason::Limit)]);
    let mut refused = (1..).map(|i| a.take(open(more + 2 * i, SESSION, "b")));
    assert_eq!(refused.find(Result::is_err), Some(Err(RelayError::Flood)));
    assert!(c.take(open(1, [6; 16], "b")) == Err(RelayError::Number(1)));
    assert!(a.take(open(0, SESSION, "b")) == Err(RelayError::Number(0)));
    assert!(a.take(data(0, 0)) == Err(RelayError::Size(0)));
    assert!(a.take(data(0, DATA_BYTES_MAX + 1)) == Err(RelayError::Size(DATA_BYTES_MAX + 1)));
}

#[test]
fn opening_and_closing_for_ever_ends_at_a_limit() {
    let Stand { relay, a, b, _session } = stand();
    for i in 0.. {
        a.take(open(2 * i, SESSION, "b")).unwrap();
        a.take(close(2 * i, CloseReason::Done)).unwrap();
        let frames = drain(&b);
        if frames.is_empty() {
            assert_eq!(drain(&a), [close(2 * i, CloseReason::Limit)]);
            break;
        }
        assert!(i < 1000 && frames.len() == 2, "pair {i}");
    }
    assert_eq!(relay.load().0, 0);
}

#[test]
fn a_node_that_reads_nothing_holds_up_nobody_else() {
    let Stand { relay, a, b, _session } = stand();
    let c = relay.attach("c");
    let _more = relay.session([6; 16], &names(&["a", "c"]), &[]).unwrap();
    a.take(open(0, SESSION, "b")).unwrap();
    for _ in 0..WINDOW_BYTES / DATA_BYTES_MAX {
        a.take(data(0, DATA_BYTES_MAX)).unwrap();
    }
    a.take(open(2, [6; 16], "c")).unwrap();
    a.take(data(2, 1)).unwrap();
    assert_eq!(drain(&c), [open(1, [6; 16], "a"), data(1, 1)]);
    drop(b);
    assert_eq!(drain(&a), [close(0, CloseReason::Gone)]);
}

#[test]
fn pipes_of_one_line_take_turns() {
    let Stand { relay: _relay, a, b, _session } = stand();
    for pipe in [0, 2] {
        a.take(open(pipe, SESSION, "b")).unwrap();
        for _ in 0..4 {
            a.take(data(pipe, DATA_BYTES_MAX)).unwrap();
        }
    }
    let order: Vec<u64> = drain(&b).into_iter().map(|frame| frame.pipe).collect();
    assert_eq!(order, [1, 3, 1, 3, 1, 3, 1, 3, 1, 3]);
}

#[tokio::test]
async fn a_newer_line_takes_the_place_of_an_older() {
    let Stand { relay, a, b, _session } = stand();
    a.take(open(0, SESSION, "b")).unwrap();
    let newer = relay.attach("a");
    assert_eq!(drain(&b), [open(1, SESSION, "a"), close(1, CloseReason::Gone)]);
    assert_eq!(timeout(Duration::from_secs(5), a.next()).await.unwrap(), None);
    a.take(open(2, SESSION, "b")).unwrap();
    drop(a);
    newer.take(open(0, SESSION, "b")).unwrap();
    assert_eq!(drain(&b), [open(3, SESSION, "a")], "the older line's end does not end the newer");
}

#[test]
fn a_node_that_is_away_may_come_later() {
    let Stand { relay, a, b, _session } = stand();
    drop(b);
    a.take(open(0, SESSION, "b")).unwrap();
    assert_eq!(drain(&a), [close(0, CloseReason::NotYet)]);
    let b = relay.attach("b");
    a.take(open(2, SESSION, "b")).unwrap();
    assert_eq!(drain(&b), [open(1, SESSION, "a")]);
    b.take(close(1, CloseReason::NotYet)).unwrap();
    assert_eq!(drain(&a), [close(2, CloseReason::NotYet)], "a node's own refusal arrives");
}

#[tokio::test]
async fn probes_are_limited_in_size_and_number() {
    let relay = Arc::new(Relay::default());
    let size = relay.probe("omar", "a", vec![0; PROBE_BYTES_MAX + 1]).await;
    assert!(matches!(size, Err(ProbeFailure::Size { .. })));
    for _ in 0..60 {
        let away = relay.probe("omar", "a", vec![1]).await;
        assert_eq!(away, Err(ProbeFailure::Closed(CloseReason::NotYet)));
    }
    assert_eq!(relay.probe("omar", "a", vec![1]).await, Err(ProbeFailure::Rate));
    assert_eq!(
        relay.probe("ada", "a", vec![1]).await,
        Err(ProbeFailure::Closed(CloseReason::NotYet)),
        "others may"
    );
}

mod anything {
    use proptest::prelude::*;

    use super::*;

    fn event() -> impl Strategy<Value = RelayEvent> {
        let sessions = proptest::sample::select(vec![SESSION, [6; 16], PROBE_SESSION]);
        let peers = proptest::sample::select(vec!["a", "b", "c", "?a", ""]);
        prop_oneof![
            2 => (sessions, peers).prop_map(|(session, peer)| RelayEvent::Open { session, peer: peer.into() }),
            4 => (0usize..300_000).prop_map(|bytes| RelayEvent::Data(vec![1; bytes])),
            2 => prop_oneof![0u64..400_000, any::<u64>()].prop_map(RelayEvent::Credit),
            1 => Just(RelayEvent::Close(CloseReason::Done)),
        ]
    }

    proptest! {
        /// Nodes that send anything at all, and read now and then: each line stays within its limits, every byte that
        /// comes out went in, and nothing is left when the lines end.
        #[test]
        fn the_table_stays_within_its_limits(
            steps in proptest::collection::vec((0usize..3, 0u64..6, event(), 0usize..3), 1..80),
        ) {
            let relay = Arc::new(Relay::default());
            let mut lines: Vec<_> = ["a", "b", "c"].iter().map(|name| Some(relay.attach(name))).collect();
            let session = relay.session(SESSION, &names(&["a", "b"]), &names(&["c"])).unwrap();
            let (mut bytes_in, mut bytes_out) = (0, 0);
            for (who, pipe, event, reads) in steps {
                if let RelayEvent::Data(bytes) = &event {
                    bytes_in += bytes.len();
                }
                if let Some(line) = &lines[who]
                    && line.take(RelayFrame { pipe, event }).is_err()
                {
                    lines[who] = None;
                }
                for _ in 0..reads {
                    let next = lines[who].as_ref().and_then(|line| line.poll());
                    if let Some(RelayEvent::Data(bytes)) = next.map(|frame| frame.event) {
                        bytes_out += bytes.len();
                    }
                }
                let (pipes, waiting) = relay.load();
                prop_assert!(pipes <= 3 * PIPES_MAX && waiting <= pipes * 2 * WINDOW_BYTES);
                prop_assert!(bytes_out + waiting <= bytes_in);
            }
            drop(lines);
            drop(session);
            prop_assert_eq!(relay.load(), (0, 0));
        }
    }
}
