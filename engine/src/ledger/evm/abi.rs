//! Calls of the contracts in deploy/contracts and their answers, as the Solidity ABI lays them out: a selector of four
//! bytes, then words of 32.

use alloy_primitives::{Address, B256, keccak256};
use ward_circuits::groth16::eip2537::KeyPoints;

use super::post::Attestation;
use super::{EvmError, Post};
use crate::identity::Digest;

type Word = [u8; 32];

/// A call: the function's name, its bytes.
#[derive(Clone, Debug)]
pub(super) struct Call {
    pub name: &'static str,
    pub data: Vec<u8>,
}

fn selector(signature: &str) -> [u8; 4] {
    let hash = keccak256(signature);
    [hash[0], hash[1], hash[2], hash[3]]
}

fn number(value: u64) -> Word {
    let mut word = [0; 32];
    word[24..].copy_from_slice(&value.to_be_bytes());
    word
}

fn call(name: &'static str, parameters: &str, words: impl IntoIterator<Item = Word>) -> Call {
    let mut data = selector(&format!("{name}({parameters})")).to_vec();
    data.extend(words.into_iter().flatten());
    Call { name, data }
}

fn list(name: &'static str, digests: &[Digest]) -> Call {
    let head = [number(32), number(digests.len() as u64)];
    call(name, "bytes32[]", head.into_iter().chain(digests.iter().map(|digest| digest.0)))
}

/// The call that puts a post on the chain; of commitments, those at `missing`.
pub(super) fn to_post(post: &Post, missing: &[Digest]) -> Call {
    match post {
        Post::Commitments { .. } => list("anchorCommitments", missing),
        Post::Checkpoint { log, size, root } => {
            call("anchorCheckpoint", "bytes32,uint64,bytes32", [log.0, number(*size), root.0])
        }
        Post::Attestation(attestation) => register(attestation),
    }
}

fn register(attestation: &Attestation) -> Call {
    let proof = attestation.proof.0.chunks_exact(32).filter_map(|chunk| Word::try_from(chunk).ok());
    let inputs = attestation.inputs.iter().map(|input| input.0);
    let words = proof.chain(inputs).chain([attestation.nonce.0]);
    call("register", "uint256[16],uint256[5],bytes32", words)
}

/// The blocks in which commitments were anchored; 0 for those that were not.
pub(super) fn blocks_of(digests: &[Digest]) -> Call {
    list("blocksOf", digests)
}

/// The root of a log's checkpoint of that size; zero when there is none.
pub(super) fn root_of(log: &Digest, size: u64) -> Call {
    call("roots", "bytes32,uint64", [log.0, number(size)])
}

/// Size and block of a log's largest checkpoint.
pub(super) fn head_of(log: &Digest) -> Call {
    call("heads", "bytes32", [log.0])
}

/// Who may anchor.
pub(super) fn anchorer() -> Call {
    call("anchorer", "", [])
}

/// The block in which an attestation's nullifier was registered, 0 when it was not, and [`tag_of`] the inputs that it was
/// registered with.
pub(super) fn registration(attestation: &Attestation) -> Call {
    call("registration", "bytes32,bytes32", [attestation.terms().0, attestation.nullifier().0])
}

/// By what the registry tells attestations apart: the upper 192 bits of the hash of their inputs, as a number.
pub(super) fn tag_of(inputs: &[Digest]) -> B256 {
    let hash = keccak256(inputs.iter().flat_map(|input| input.0).collect::<Vec<_>>());
    let mut tag = [0; 32];
    tag[8..].copy_from_slice(&hash[..24]);
    B256::from(tag)
}

/// Reads an answer of `count` words.
pub(super) fn words(answer: &[u8], count: usize) -> Result<Vec<B256>, EvmError> {
    if answer.len() != 32 * count {
        return Err(malformed());
    }
    Ok(answer.chunks_exact(32).map(B256::from_slice).collect())
}

/// Reads an answer that is an array of `count` words.
pub(super) fn array(answer: &[u8], count: usize) -> Result<Vec<B256>, EvmError> {
    let mut all = words(answer, count + 2)?;
    let rest = all.split_off(2);
    if all != [B256::from(number(32)), B256::from(number(count as u64))] {
        return Err(malformed());
    }
    Ok(rest)
}

/// Reads a word as a number of 64 bits.
pub(super) fn to_u64(word: &B256) -> Result<u64, EvmError> {
    let (high, low) = word.split_at(24);
    let low: [u8; 8] = low.try_into().map_err(|_| malformed())?;
    if high.iter().any(|byte| *byte != 0) { Err(malformed()) } else { Ok(u64::from_be_bytes(low)) }
}

/// Reads a word as an address.
pub(super) fn to_address(word: &B256) -> Result<Address, EvmError> {
    if word[..12].iter().any(|byte| *byte != 0) { Err(malformed()) } else { Ok(Address::from_word(*word)) }
}

fn malformed() -> EvmError {
    EvmError::Answer { method: "eth_call", reason: "the contract's answer is malformed" }
}

/// The errors that the contracts declare.
const ERRORS: &[&str] = &[
    "NotAuthorised(address)",
    "ZeroDigest()",
    "Forked(bytes32,uint64,bytes32)",
    "Shrunk(bytes32,uint64,uint64)",
    "InputNotCanonical(uint256)",
    "ContextRefused()",
    "ProofRefused()",
    "KeyRefused()",
    "AlreadyRegistered(bytes32,bytes32)",
];

/// The name of a contract's error.
pub(super) fn reason(data: &[u8]) -> String {
    let found = data.first_chunk::<4>().and_then(|found| ERRORS.iter().find(|e| selector(e) == *found));
    match found {
        Some(signature) => signature.split('(').next().unwrap_or(signature).to_owned(),
        None => format!("an error of {} bytes", data.len()),
    }
}

/// What `keyHash()` of a registry answers that was deployed with this key: Keccak-256 of its points as the contract keeps
/// them, those of alpha, gamma and delta negated.
#[must_use]
pub fn key_hash(key: &KeyPoints) -> B256 {
    let fixed = [&key.alpha_negated[..], &key.beta, &key.gamma_negated, &key.delta_negated].concat();
    keccak256([fixed, key.inputs.concat()].concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn selectors_are_those_of_the_solidity_abi() {
        // The transfer of ERC-20, which every tool knows.
        assert_eq!(selector("transfer(address,uint256)"), [0xa9, 0x05, 0x9c, 0xbb]);
    }

    #[test]
    fn an_array_is_refused_unless_its_head_and_length_agree() {
        let good = [number(32), number(2), number(7), number(0)].concat();
        let read = array(&good, 2).unwrap();
        assert_eq!(read.iter().map(|word| to_u64(word).unwrap()).collect::<Vec<_>>(), [7, 0]);
        assert!(array(&good, 1).is_err());
        assert!(array(&good[..96], 2).is_err());
        assert!(array(&[number(33), number(2), number(7), number(0)].concat(), 2).is_err());
    }

    #[test]
    fn a_number_of_more_than_64_bits_is_refused() {
        let mut word = number(u64::MAX);
        assert_eq!(to_u64(&B256::from(word)).unwrap(), u64::MAX);
        word[23] = 1;
        assert!(to_u64(&B256::from(word)).is_err());
    }

    #[test]
    fn a_revert_is_named_and_an_unknown_one_is_not_guessed() {
        assert_eq!(reason(&selector("ProofRefused()")), "ProofRefused");
        assert_eq!(reason(&[1, 2, 3, 4]), "an error of 4 bytes");
        assert_eq!(reason(&[]), "an error of 0 bytes");
    }
}
