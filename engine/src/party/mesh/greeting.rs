//! What the two ends say right after the TLS handshake: which attempt, who to whom. A stream that was made for one
//! attempt is thereby worth nothing for another.
//!
//! The dialler sends its greeting. The other end answers with a verdict (1 byte) and its own greeting, which must mirror
//! the first. The dialler confirms (1 byte); until then the other end does not count the stream as made, so that a
//! dialler that gave up on a slow way can come by another.
//!
//! Greeting: length of what follows (u8), `ward-mesh/1` and a line feed, side (u8), session (16 bytes), sender and
//! receiver, each a length (u8) and a name.

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use crate::identity::check_name;

const MAGIC: &[u8; 12] = b"ward-mesh/1\n";
/// The dialler's confirmation.
const CONFIRM: u8 = 0x06;

/// Which end speaks, and what for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    /// The end that connected.
    Dialler,
    /// The other end.
    Acceptor,
    /// The doctor, which asks whether anybody is there and wants no stream.
    Doctor,
}

/// Which attempt, and who to whom.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Greeting {
    pub side: Side,
    pub session: [u8; 16],
    pub from: String,
    pub to: String,
}

/// The other end's verdict on a greeting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Welcome.
    Accepted,
    /// Not yet: this node has not joined the attempt. Try again.
    NotYet,
    /// No.
    Refused,
}

/// Why an exchange of greetings failed.
#[derive(Debug, thiserror::Error)]
pub(super) enum GreetingError {
    /// The stream failed.
    #[error(transparent)]
    Io(#[from] std::io::Error),
    /// It is no greeting, or not the one that was due.
    #[error("{0}")]
    Malformed(&'static str),
}

impl Greeting {
    pub(super) fn encode(&self) -> Vec<u8> {
        let side = match self.side {
            Side::Dialler => 0,
            Side::Acceptor => 1,
            Side::Doctor => 2,
        };
        let mut body = Vec::with_capacity(160);
        body.extend_from_slice(MAGIC);
        body.push(side);
        body.extend_from_slice(&self.session);
        for name in [&self.from, &self.to] {
            // Names have at most 63 bytes: they come from certificates or were checked by `Mesh::join`.
            body.push(name.len() as u8);
            body.extend_from_slice(name.as_bytes());
        }
        let mut bytes = vec![body.len() as u8];
        bytes.append(&mut body);
        bytes
    }

    /// Reads what follows the length.
    pub(super) fn decode(body: &[u8]) -> Result<Self, &'static str> {
        let rest = body.strip_prefix(MAGIC).ok_or("not a greeting of this version")?;
        let (side, rest) = rest.split_first().ok_or("a short greeting")?;
        let side = match side {
            0 => Side::Dialler,
            1 => Side::Acceptor,
            2 => Side::Doctor,
            _ => return Err("a greeting of an unknown side"),
        };
        let (session, rest) = rest.split_first_chunk::<16>().ok_or("a short greeting")?;
        let (from, rest) = name(rest)?;
        let (to, rest) = name(rest)?;
        if !rest.is_empty() {
            return Err("a long greeting");
        }
        Ok(Self { side, session: *session, from, to })
    }

    /// The greeting that answers this one.
    pub(super) fn mirrored(&self) -> Self {
        Self { side: Side::Acceptor, session: self.session, from: self.to.clone(), to: self.from.clone() }
    }

    pub(super) async fn send<S: AsyncWrite + Unpin>(&self, stream: &mut S) -> std::io::Result<()> {
        stream.write_all(&self.encode()).await?;
        stream.flush().await
    }

    pub(super) async fn receive<S: AsyncRead + Unpin>(stream: &mut S) -> Result<Self, GreetingError> {
        let mut body = vec![0; usize::from(stream.read_u8().await?)];
        stream.read_exact(&mut body).await?;
        Self::decode(&body).map_err(GreetingError::Malformed)
    }

    /// Reads the answer to this greeting, and confirms when it is welcome.
    pub(super) async fn answered<S: AsyncRead + AsyncWrite + Unpin>(
        &self,
        stream: &mut S,
    ) -> Result<Verdict, GreetingError> {
        let verdict = match stream.read_u8().await? {
            0 => Verdict::Accepted,
            1 => Verdict::NotYet,
            2 => Verdict::Refused,
            _ => return Err(GreetingError::Malformed("an unknown verdict")),
        };
        if Self::receive(stream).await? != self.mirrored() {
            return Err(GreetingError::Malformed("an answer to another greeting"));
        }
        if verdict == Verdict::Accepted {
            stream.write_u8(CONFIRM).await?;
            stream.flush().await?;
        }
        Ok(verdict)
    }

    /// Answers this greeting; when it is welcome, waits for the confirmation.
    pub(super) async fn answer<S: AsyncRead + AsyncWrite + Unpin>(
        &self,
        stream: &mut S,
        verdict: Verdict,
    ) -> Result<(), GreetingError> {
        let mut bytes = vec![match verdict {
            Verdict::Accepted => 0,
            Verdict::NotYet => 1,
            Verdict::Refused => 2,
        }];
        bytes.extend_from_slice(&self.mirrored().encode());
        stream.write_all(&bytes).await?;
        stream.flush().await?;
        if verdict == Verdict::Accepted && stream.read_u8().await? != CONFIRM {
            return Err(GreetingError::Malformed("no confirmation"));
        }
        Ok(())
    }
}

fn name(bytes: &[u8]) -> Result<(String, &[u8]), &'static str> {
    let (length, rest) = bytes.split_first().ok_or("a short greeting")?;
    let (name, rest) = rest.split_at_checked(usize::from(*length)).ok_or("a short greeting")?;
    let name = str::from_utf8(name).ok().filter(|name| check_name(name).is_ok());
    Ok((name.ok_or("a greeting with a name that is none")?.to_owned(), rest))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn greeting() -> Greeting {
        Greeting { side: Side::Dialler, session: [9; 16], from: "north".into(), to: "south".into() }
    }

    #[test]
    fn a_greeting_is_laid_out_as_documented() {
        let bytes = greeting().encode();
        assert_eq!(bytes, [&[41][..], b"ward-mesh/1\n", &[0], &[9; 16], b"\x05north\x05south"].concat());
        assert_eq!(Greeting::decode(&bytes[1..]), Ok(greeting()));
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_are_no_greeting_or_the_one_that_encodes_to_them(
            bytes in proptest::collection::vec(any::<u8>(), 0..200), at in 0usize..60, byte in any::<u8>(),
        ) {
            let mut near = greeting().encode();
            if let Some(changed) = near.get_mut(at) {
                *changed = byte;
            }
            for bytes in [&bytes[..], &near[1..]] {
                if let Ok(greeting) = Greeting::decode(bytes) {
                    prop_assert_eq!(&greeting.encode()[1..], bytes);
                }
            }
        }
    }

    #[tokio::test]
    async fn an_answer_to_another_greeting_is_refused() {
        let (mut near, mut far) = tokio::io::duplex(1024);
        let mut other = greeting();
        other.session = [8; 16];
        tokio::spawn(async move { other.answer(&mut far, Verdict::Accepted).await });
        assert!(matches!(greeting().answered(&mut near).await, Err(GreetingError::Malformed(_))));
    }

    #[tokio::test]
    async fn a_stream_counts_when_it_is_confirmed_and_not_before() {
        let (mut near, mut far) = tokio::io::duplex(1024);
        let acceptor = tokio::spawn(async move { greeting().answer(&mut far, Verdict::Accepted).await });
        assert_eq!(greeting().answered(&mut near).await.unwrap(), Verdict::Accepted);
        assert!(acceptor.await.unwrap().is_ok());

        let (mut near, mut far) = tokio::io::duplex(1024);
        let acceptor = tokio::spawn(async move { greeting().answer(&mut far, Verdict::Accepted).await });
        let mut answer = [0; 43];
        near.read_exact(&mut answer).await.unwrap();
        drop(near);
        assert!(acceptor.await.unwrap().is_err());
    }
}
