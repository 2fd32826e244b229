//! Frames of the relay in protobuf.

use super::RelayError;
use crate::grpc::v1::{self, relay};
use crate::party::mesh::{CloseReason, RelayEvent, RelayFrame};

/// As protobuf.
#[must_use]
pub fn relay_of(frame: RelayFrame) -> v1::Relay {
    let event = match frame.event {
        RelayEvent::Open { session, peer } => {
            relay::Event::Open(v1::RelayOpen { session: session.to_vec(), peer })
        }
        RelayEvent::Data(bytes) => relay::Event::Data(bytes),
        RelayEvent::Credit(bytes) => relay::Event::Credit(bytes),
        RelayEvent::Close(reason) => relay::Event::Close(i32::from(close_of(reason))),
    };
    v1::Relay { pipe: frame.pipe, event: Some(event) }
}

/// From protobuf.
///
/// # Errors
/// [`RelayError::Malformed`].
pub fn frame_of(relay: v1::Relay) -> Result<RelayFrame, RelayError> {
    let event = match relay.event.ok_or(RelayError::Malformed("no event"))? {
        relay::Event::Open(open) => RelayEvent::Open {
            session: open.session.try_into().map_err(|_| RelayError::Malformed("a session has 16 bytes"))?,
            peer: open.peer,
        },
        relay::Event::Data(bytes) => RelayEvent::Data(bytes),
        relay::Event::Credit(bytes) => RelayEvent::Credit(bytes),
        relay::Event::Close(reason) => RelayEvent::Close(reason_of(reason)),
    };
    Ok(RelayFrame { pipe: relay.pipe, event })
}

fn close_of(reason: CloseReason) -> v1::RelayClose {
    match reason {
        CloseReason::Done => v1::RelayClose::Done,
        CloseReason::NotYet => v1::RelayClose::NotYet,
        CloseReason::Refused => v1::RelayClose::Refused,
        CloseReason::Limit => v1::RelayClose::Limit,
        CloseReason::Credit => v1::RelayClose::Credit,
        CloseReason::Gone => v1::RelayClose::Gone,
        CloseReason::Ended => v1::RelayClose::Ended,
    }
}

/// A reason that a later version may know counts as a plain close.
fn reason_of(reason: i32) -> CloseReason {
    match v1::RelayClose::try_from(reason) {
        Ok(v1::RelayClose::NotYet) => CloseReason::NotYet,
        Ok(v1::RelayClose::Refused) => CloseReason::Refused,
        Ok(v1::RelayClose::Limit) => CloseReason::Limit,
        Ok(v1::RelayClose::Credit) => CloseReason::Credit,
        Ok(v1::RelayClose::Gone) => CloseReason::Gone,
        Ok(v1::RelayClose::Ended) => CloseReason::Ended,
        Ok(v1::RelayClose::Done | v1::RelayClose::Unspecified) | Err(_) => CloseReason::Done,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use prost::Message;

    use super::*;

    fn event() -> impl Strategy<Value = RelayEvent> {
        use CloseReason::{Credit, Done, Ended, Gone, Limit, NotYet, Refused};
        prop_oneof![
            (any::<[u8; 16]>(), "[a-z]{1,9}").prop_map(|(session, peer)| RelayEvent::Open { session, peer }),
            proptest::collection::vec(any::<u8>(), 0..99).prop_map(RelayEvent::Data),
            any::<u64>().prop_map(RelayEvent::Credit),
            proptest::sample::select(vec![Done, NotYet, Refused, Limit, Credit, Gone, Ended])
                .prop_map(RelayEvent::Close),
        ]
    }

    proptest! {
        #[test]
        fn a_frame_comes_back_from_the_wire(pipe in any::<u64>(), event in event()) {
            let frame = RelayFrame { pipe, event };
            let bytes = relay_of(frame.clone()).encode_to_vec();
            prop_assert_eq!(frame_of(v1::Relay::decode(&bytes[..]).unwrap()).unwrap(), frame);
        }

        #[test]
        fn arbitrary_bytes_are_a_frame_or_are_refused(bytes in proptest::collection::vec(any::<u8>(), 0..60)) {
            if let Ok(Ok(frame)) = v1::Relay::decode(&bytes[..]).map(frame_of) {
                prop_assert_eq!(frame_of(relay_of(frame.clone())).unwrap(), frame);
            }
        }
    }

    #[test]
    fn a_session_of_another_length_and_a_frame_without_event_are_refused() {
        let open = v1::RelayOpen { session: vec![1; 15], peer: "a".into() };
        for event in [None, Some(relay::Event::Open(open))] {
            assert!(matches!(frame_of(v1::Relay { pipe: 0, event }), Err(RelayError::Malformed(_))));
        }
    }
}
