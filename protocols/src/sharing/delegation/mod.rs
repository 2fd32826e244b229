//! Delegation: a message sealed to one house, which a proxy turns into a message to another house that the first one
//! named, and cannot read before or after.
//!
//! Parties: a delegator `i`, a delegatee `j`, a proxy. No rounds: the delegator makes a grant from the delegatee's public
//! key alone. One direction, one hop: a message that was turned over cannot be turned again.
//!
//! Source: Libert, Vergnaud, "Unidirectional Chosen-Ciphertext Secure Proxy Re-Encryption" (PKC 2008, LNCS 4939, pp.
//! 360-379), the scheme of section 3.1, in its letters: second-level ciphertexts can be turned, first-level ones
//! are what comes out.
//!
//! ```text
//! keys     x; X = g^x in G1, X^ = g^^x in G2                        grant  R = X^_j^(1/x_i) in G2
//! second   C1 = verification key, C2 = X_i^r in G1, C3 = message under e(g,g^)^r, C4 = (u^C1 v)^r in G2, signature
//! turn     C2' = X_i^t, C2'' = R^(1/t), C2''' = C2^t
//! first    C1, C2', C2'', C2''', C3, C4, signature
//! open     second: e(C2, g^)^(1/x_i); first: e(C2''', C2'')^(1/x_j); both are e(g,g^)^r
//! checks   e(X_i, C4) = e(C2, u^C1 v);  e(C2', C2'') = e(X_j, g^) and e(C2', C4) = e(C2''', u^C1 v);  the signature
//! ```
//!
//! # Security
//! Adversary: the proxy with any grants, and corrupted houses that are fixed beforehand; they may have messages opened
//! and turned. Secure against replayable chosen ciphertexts (RCCA: what a proxy turned can be rerandomised, never
//! changed) under the 3-weak decisional bilinear Diffie-Hellman inversion assumption, and messages a delegator already
//! received turned stay closed to its own delegators. A delegatee together with the proxy learns `g^^(1/x_i)`: it could
//! open everything sealed to `i` for delegation, and grant that on, but never learns `x_i`. Keys are registered with a
//! proof of possession, as the paper's model has the challenger know them.
//!
//! Deviations:
//! - The paper writes one group; here every element is in the group where the equations need it, only `X` in both. Scheme
//!   and reduction carry over together with each element of the assumption given in both groups (Abe, Groth, Ohkubo,
//!   Tango, CRYPTO 2014; Akinyele, Garman, Hohenberger, CCS 2015: from type I to type III pairings). The same technique
//!   was applied to a scheme of this family in Appl. Sci. 2024, 14(23), 11322.
//! - `u`, `v` are hashed to the curve (RFC 9380), so that nobody knows a relation between them.
//! - The message is encrypted by ChaCha20-Poly1305 under a hash of `e(g,g^)^r`, in place of a product in the target group:
//!   in the proof that element is random, and the key with it. The one-time signature, Ed25519 with strict verification
//!   (strongly unforgeable), covers C3, C4 and moreover who the delegator is and what is said about the message.

mod keys;
mod message;

pub use keys::{Grant, PublicKey, SecretKey};
pub use message::{First, Second};
