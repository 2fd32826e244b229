// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Groth16Verifier, KeyedCode} from "./Groth16Verifier.sol";

// The public inputs of ward/eligibility/1, in its order: terms (criteria, schema, study), root of the issuers, date
// (days since 1900-01-01), context, nullifier.
uint256 constant INPUTS = 5;
uint256 constant TERMS = 0;
uint256 constant CONTEXT = 3;
uint256 constant NULLIFIER = 4;
// Bytes of what the context is the hash of.
uint256 constant CONTEXT_BYTES = 128;

/// Verifies attestations of eligibility and counts each patient of a study once.
///
/// Anybody may send a proof: who sends it gains nothing. A proof is taken only when it was made for this registry on this
/// chain, which its context says; one that was shown to a sponsor in private cannot be published here by the sponsor.
/// The nullifier is a function of the patient and the study, so a second attestation of the patient is refused, while
/// nobody can tell that the nullifiers of two studies are one patient's. Proofs can be re-randomised: it is the
/// nullifier that stops a replay, never the bytes of the proof.
///
/// The registry says that the statement holds for the inputs, and that the nullifier is new. Whether the root of the
/// issuers and the date are such as a sponsor accepts is the sponsor's to see: the event repeats the inputs.
contract AttestationRegistry is Groth16Verifier {
    /// An attestation holds, and is the first with its nullifier.
    event AttestationRegistered(bytes32 indexed terms, bytes32 indexed nullifier, uint256[INPUTS] inputs);

    /// There is an attestation of these terms with this nullifier.
    error AlreadyRegistered(bytes32 terms, bytes32 nullifier);
    /// The proof was made for something else than this registry on this chain with this nonce.
    error ContextRefused();

    struct Registration {
        uint64 blockNumber;
        uint192 tag;
    }

    /// By terms and nullifier: the block, 0 when there is none, and the upper 192 bits of the inputs' hash (Keccak-256).
    mapping(bytes32 terms => mapping(bytes32 nullifier => Registration)) public registration;

    /// Returns when the proof holds for the inputs; reverts otherwise. Changes nothing, and looks at no context.
    function verify(uint256[16] calldata proof, uint256[INPUTS] calldata inputs) public view {
        uint256 first;
        assembly ("memory-safe") {
            first := inputs
        }
        verifyProof(proof, first, INPUTS);
    }

    /// Verifies, takes the nullifier, and says so. `nonce` is what the context was made with.
    function register(uint256[16] calldata proof, uint256[INPUTS] calldata inputs, bytes32 nonce) external {
        bytes32 terms = bytes32(inputs[TERMS]);
        bytes32 nullifier = bytes32(inputs[NULLIFIER]);
        if (registration[terms][nullifier].blockNumber != 0) revert AlreadyRegistered(terms, nullifier);
        if (inputs[CONTEXT] != contextOf(nonce)) revert ContextRefused();
        verify(proof, inputs);
        uint192 tag = uint192(uint256(keccak256(abi.encodePacked(inputs))) >> 64);
        registration[terms][nullifier] = Registration(uint64(block.number), tag);
        emit AttestationRegistered(terms, nullifier, inputs);
    }

    /// The context that a proof for this registry on this chain has: SHA-256, its upper three bits cleared, of the tag,
    /// the nonce, the registry's address in lower-case hexadecimal and the chain id, each after its length in 8 bytes.
    function contextOf(bytes32 nonce) public view returns (uint256 context) {
        assembly ("memory-safe") {
            let free := mload(0x40)
            let tail := add(CONTEXT_BYTES, add(1024, shl(7, INPUTS)))
            codecopy(free, sub(codesize(), tail), CONTEXT_BYTES)
            mstore(add(free, 30), nonce)
            mstore(add(free, 96), or(mload(add(free, 96)), chainid()))
            if iszero(staticcall(gas(), 2, free, CONTEXT_BYTES, free, 32)) { revert(0, 0) }
            context := shr(3, shl(3, mload(free)))
        }
    }

    /// Keccak-256 of the verifying key as this contract keeps it.
    function keyHash() external pure returns (bytes32) {
        return hashOfKey(INPUTS);
    }
}

/// Deploys the registry of a verifying key. The code of this creation is the registry's, then what contexts are made of with
/// the nonce and the chain id left out, then the key.
contract AttestationRegistryDeployment {
    constructor(bytes memory key) {
        bytes memory blank = abi.encodePacked(
            uint64(14), "ward/context/1", uint64(32), bytes32(0), uint64(42), text(address(this)), uint64(8), uint64(0)
        );
        assert(blank.length == CONTEXT_BYTES);
        bytes memory registry = bytes.concat(type(AttestationRegistry).runtimeCode, blank);
        bytes memory code = KeyedCode.join(registry, key, INPUTS);
        assembly ("memory-safe") {
            return(add(code, 32), mload(code))
        }
    }

    /// 0x and 40 lower-case digits.
    function text(address account) private pure returns (bytes memory digits) {
        digits = new bytes(42);
        (digits[0], digits[1]) = ("0", "x");
        uint160 rest = uint160(account);
        for (uint256 i = 42; i > 2; --i) {
            digits[i - 1] = bytes16("0123456789abcdef")[rest & 15];
            rest >>= 4;
        }
    }
}
