//! Threshold homomorphic encryption, additive.
//!
//! Parties: `n` hospitals, an evaluator that only adds, a receiver (the researcher).
//! Every function is one party's local step: it takes what arrived and returns what to send. Transport, order,
//! signatures and storage are the caller's.
//!
//! 1. Keys. Parties commit to nonces ([`commit_nonce`]), open them, derive the [`CommonReference`]; each makes a
//!    [`SecretKeyShare`] and a [`PublicKeyShare`]; [`PublicKey::aggregate`] adds them. For `t` of `n`, each deals
//!    its share with [`shamir_split`]; [`shamir_combine`] adds what the others dealt.
//! 2. Inputs. [`Layout`] packs signed slots into [`Plaintext`]s; [`encrypt_all`] encrypts them.
//! 3. Sum. [`Accumulator`] adds [`Ciphertext`]s, [`C1Accumulator`] only the halves that a party needs to make its
//!    share.
//! 4. Release. Each party makes [`key_switch_share`]s of the sum towards the receiver's key;
//!    [`key_switch_combine`] adds them; the receiver [`decrypt`]s.
//!
//! Or, instead of a release, the sum goes on as shares: each party makes [`masked_share`]s and keeps its masks, anybody opens the
//! masked sum with [`masked_open`].
//!
//! Source: Brakerski (CRYPTO 2012) and Fan, Vercauteren (2012/144) for BFV; Mouchet, Troncoso-Pastoriza, Bossuat,
//! Hubaux, "Multiparty homomorphic encryption from ring-learning-with-errors" (PoPETs 2021), protocols EncKeyGen
//! and PubColKeySwitch; Mouchet, Bertrand, Hubaux (2022/780) for `t` of `n`. Deviations: coefficient packing with
//! `t` a power of two and encoding by `round(Q m / t)`; uniform smudging with an explicit bound; the common
//! reference from committed nonces.
//!
//! # Security
//! Semi-honest, up to `n - 1` corrupted parties (`t - 1` for `t` of `n`) together with the evaluator and, after a
//! release, the receiver. A key-switch share is a decryption oracle: what a party checks before making one is
//! written at [`key_switch_share`]. Ciphertexts are malleable: sign them and encrypt the transport.

mod accumulator;
mod ciphertext;
mod decrypt;
mod keys;
mod layout;
mod noise;
mod params;
mod plaintext;
mod switch;
mod threshold;
mod to_shares;
mod transcript;
mod wire;

pub use accumulator::{Accumulator, C0Accumulator, C1Accumulator};
pub use ciphertext::{C0, C1, Ciphertext, encrypt, encrypt_all};
pub use decrypt::decrypt;
pub use keys::{
    ActiveKeyShare, CommonReference, PublicKey, PublicKeyShare, ReceiverSecret, SecretKeyShare, check_nonce,
    commit_nonce,
};
pub use layout::{Layout, SlotValue};
pub use noise::NoiseBounds;
pub use params::{LAMBDA_DEFAULT, PARTIES_MAX, Parameters, Profile};
pub use plaintext::Plaintext;
pub use switch::{KeySwitchShare, key_switch_combine, key_switch_share};
pub use threshold::{ShamirShare, ThresholdKeyShare, shamir_combine, shamir_split};
pub use to_shares::{MaskWords, MaskedShare, MaskedSum, masked_open, masked_share};
pub use wire::COUNT_MAX;
