//! MLLP: messages in a byte stream, each between a vertical tab and a file separator with a carriage return (HL7 v2,
//! appendix C of the implementation guide; Minimal Lower Layer Protocol, release 1).
//!
//! Our own, in forty lines: the published codec keeps whatever comes without a limit, takes two messages that arrive
//! together for one, and panics on an end before a beginning.

/// Begins a message.
const START: u8 = 0x0b;
/// Ends it.
const END: [u8; 2] = [0x1c, 0x0d];

/// A message of more bytes than are taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a message of more than {bytes_max} bytes")]
pub struct TooLarge {
    /// The limit.
    pub bytes_max: usize,
}

/// Takes messages out of a stream.
#[derive(Debug)]
pub struct Frames {
    /// What came of the message that has begun.
    message: Option<Vec<u8>>,
    bytes_max: usize,
}

impl Frames {
    /// Of at most so many bytes a message.
    #[must_use]
    pub fn new(bytes_max: usize) -> Self {
        Self { message: None, bytes_max }
    }

    /// Whether a message has begun and not ended.
    #[must_use]
    pub fn is_inside(&self) -> bool {
        self.message.is_some()
    }

    /// Takes bytes, up to the end of a message; how many it took, and the message. Bytes between messages are passed
    /// over, and a message that begins anew before it ended is given up: it was never acknowledged.
    ///
    /// # Errors
    /// [`TooLarge`]; nothing can be read after it.
    pub fn take(&mut self, bytes: &[u8]) -> Result<(usize, Option<Vec<u8>>), TooLarge> {
        for (at, byte) in bytes.iter().enumerate() {
            if *byte == START {
                self.message = Some(Vec::new());
                continue;
            }
            let Some(message) = &mut self.message else { continue };
            message.push(*byte);
            if message.ends_with(&END) {
                message.truncate(message.len() - END.len());
                return Ok((at + 1, self.message.take()));
            }
            if message.len() > self.bytes_max + END.len() {
                return Err(TooLarge { bytes_max: self.bytes_max });
            }
        }
        Ok((bytes.len(), None))
    }
}

/// A message as it goes over the wire.
#[must_use]
pub fn framed(message: &str) -> Vec<u8> {
    [&[START], message.as_bytes(), &END].concat()
}
