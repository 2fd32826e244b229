//! Acknowledgements in original mode (HL7 v2.5.1, sections 2.9.2 and 2.15): accepted, an error in the message, or
//! refused before its content matters. The texts are ours and name no value of the message.

use super::message::Header;

/// MSA-1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Code {
    /// It is stored: `AA`.
    Accept,
    /// Its content is wrong: `AE`.
    Error,
    /// It is of a kind that is not taken here, or could not be stored now: `AR`.
    Reject,
}

impl Code {
    /// As MSA-1 has it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Accept => "AA",
            Self::Error => "AE",
            Self::Reject => "AR",
        }
    }
}

/// What is wrong, by HL7's table 0357.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// A segment is missing, malformed, or not where it belongs.
    #[error("segment sequence error: {0}")]
    Sequence(&'static str),
    /// A field that is needed is empty.
    #[error("required field missing: {0}")]
    Missing(&'static str),
    /// A field is not of its type.
    #[error("data type error: {0}")]
    Type(&'static str),
    /// A coded field has a code that is not known.
    #[error("table value not found: {0}")]
    Value(&'static str),
    /// Not a kind of message that is taken.
    #[error("unsupported message type")]
    MessageType,
    /// Not an event that is taken.
    #[error("unsupported event code")]
    Event,
    /// Not a production message.
    #[error("unsupported processing id")]
    Processing,
    /// Not version 2.
    #[error("unsupported version id")]
    Version,
    /// An identifier that is not known here.
    #[error("unknown key identifier: {0}")]
    UnknownKey(&'static str),
    /// Another message had this control id.
    #[error("duplicate key identifier: MSH-10 of another message")]
    DuplicateKey,
    /// It could not be stored.
    #[error("application internal error")]
    Internal,
    /// It is larger than what is taken.
    #[error("message too large")]
    TooLarge,
}

impl Refusal {
    /// HL7's table 0357.
    #[must_use]
    pub fn number(self) -> u16 {
        match self {
            Self::Sequence(_) => 100,
            Self::Missing(_) => 101,
            Self::Type(_) => 102,
            Self::Value(_) => 103,
            Self::MessageType => 200,
            Self::Event => 201,
            Self::Processing => 202,
            Self::Version => 203,
            Self::UnknownKey(_) => 204,
            Self::DuplicateKey => 205,
            Self::Internal | Self::TooLarge => 207,
        }
    }

    /// Whether the content is wrong, or the message is none for this receiver.
    #[must_use]
    pub fn code(self) -> Code {
        match self {
            Self::Sequence(_)
            | Self::Missing(_)
            | Self::Type(_)
            | Self::Value(_)
            | Self::UnknownKey(_)
            | Self::DuplicateKey => Code::Error,
            _ => Code::Reject,
        }
    }
}

/// The acknowledgement of a message. `at` is now, as HL7 writes it; `id` is the acknowledgement's own control id.
#[must_use]
pub fn acknowledgement(header: &Header, refusal: Option<Refusal>, at: &str, id: &str) -> String {
    let own = |text: &str| escaped(text);
    let code = refusal.map_or(Code::Accept, Refusal::code);
    let event = if header.event.is_empty() { String::new() } else { format!("^{}", own(&header.event)) };
    let mut text = format!(
        "MSH|^~\\&|{}|{}|{}|{}|{at}||ACK{event}|{id}|{}|{}\rMSA|{}|{}",
        own(&header.receiving_application),
        own(&header.receiving_facility),
        own(&header.application),
        own(&header.facility),
        own(&header.processing),
        own(&header.version),
        code.as_str(),
        own(&header.control_id),
    );
    if let Some(refusal) = refusal {
        let what = own(&refusal.to_string());
        text.push_str(&format!("|{what}\rERR|||{}^{what}^HL70357|E", refusal.number()));
    }
    text.push('\r');
    text
}

/// A text as a field, its delimiters escaped; control characters are left out.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '|' => out.push_str("\\F\\"),
            '^' => out.push_str("\\S\\"),
            '~' => out.push_str("\\R\\"),
            '&' => out.push_str("\\T\\"),
            '\\' => out.push_str("\\E\\"),
            c if c.is_control() => {}
            c => out.push(c),
        }
    }
    out
}
