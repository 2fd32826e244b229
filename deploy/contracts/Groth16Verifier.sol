// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// Groth16 over BLS12-381, by the precompiles of EIP-2537 (final; Prague).
///
/// The check is e(A, B) = e(alpha, beta) e(L, gamma) e(C, delta), L = IC[0] + sum of input[i] IC[i + 1]
/// (Groth 2016, section 3.2), made as one product of four pairings that must be 1: alpha, gamma and delta are
/// kept negated. The precompiles refuse coordinates at or above the field's modulus and points off the curve;
/// PAIRING and MSM refuse points outside the subgroup. Inputs at or above the scalar field's modulus are refused
/// here, because MSM would reduce them and one statement would have several encodings.
///
/// The verifying key is the end of the contract's own code (see KeyedCode): reading it costs 3 gas a word, where a
/// storage slot costs 2,100, and the hash of the code pins the key.
abstract contract Groth16Verifier {
    /// An input is not the canonical residue.
    error InputNotCanonical(uint256 index);
    /// The proof does not hold, or is not made of points of the groups, or this chain lacks the precompiles.
    error ProofRefused();

    /// Order of the groups.
    uint256 internal constant R = 0x73eda753299d7d483339d80809a1d80553bda402fffe5bfeffffffff00000001;
    uint256 private constant G1ADD = 0x0b;
    uint256 private constant G1MSM = 0x0c;
    uint256 private constant PAIRING = 0x0f;

    /// Returns when the proof holds and reverts otherwise; there is no false to forget.
    ///
    /// `proof` is A (G1, 128 bytes), B (G2, 256), C (G1, 128) as EIP-2537 encodes them. `inputs` is where `count`
    /// words of public inputs start in the call's data: a fixed-size array of the caller's ABI.
    ///
    /// The key: -alpha, beta, -gamma, -delta, IC[0], then IC[1] to IC[count]; 1,024 + 128 count bytes.
    function verifyProof(uint256[16] calldata proof, uint256 inputs, uint256 count) internal view {
        bytes4 notCanonical = InputNotCanonical.selector;
        bool holds;
        assembly ("memory-safe") {
            let key := sub(codesize(), add(1024, shl(7, count)))
            // Pairs: (A, B) (-alpha, beta) (L, -gamma) (C, -delta), 384 bytes each; then room for the sum.
            let pairs := mload(0x40)
            let terms := add(pairs, 1536)
            let term := terms
            for { let i := 0 } lt(i, count) { i := add(i, 1) } {
                let scalar := calldataload(add(inputs, shl(5, i)))
                if iszero(lt(scalar, R)) {
                    mstore(0, notCanonical)
                    mstore(4, i)
                    revert(0, 36)
                }
                codecopy(term, add(add(key, 1024), shl(7, i)), 128)
                mstore(add(term, 128), scalar)
                term := add(term, 160)
            }
            // An absent precompile answers with success and nothing: the size of every answer is checked.
            holds := staticcall(gas(), G1MSM, terms, sub(term, terms), terms, 128)
            holds := and(holds, eq(returndatasize(), 128))
            codecopy(add(terms, 128), add(key, 896), 128)
            holds := and(holds, staticcall(gas(), G1ADD, terms, 256, add(pairs, 768), 128))
            holds := and(holds, eq(returndatasize(), 128))
            calldatacopy(pairs, proof, 384)
            codecopy(add(pairs, 384), key, 384)
            codecopy(add(pairs, 896), add(key, 384), 256)
            calldatacopy(add(pairs, 1152), add(proof, 384), 128)
            codecopy(add(pairs, 1280), add(key, 640), 256)
            if holds {
                holds := staticcall(gas(), PAIRING, pairs, 1536, pairs, 32)
                holds := and(holds, and(eq(returndatasize(), 32), eq(mload(pairs), 1)))
            }
        }
        if (!holds) revert ProofRefused();
    }

    /// Keccak-256 of the key as it is kept, for `count` inputs.
    function hashOfKey(uint256 count) internal pure returns (bytes32 digest) {
        assembly ("memory-safe") {
            let size := add(1024, shl(7, count))
            let free := mload(0x40)
            codecopy(free, sub(codesize(), size), size)
            digest := keccak256(free, size)
        }
    }
}

/// What a constructor needs to end a contract's code with a verifying key.
///
/// The key arrives as the statement publishes it, alpha, beta, gamma, delta, IC[0] to IC[count], each as EIP-2537
/// encodes it, and is refused unless every point is of its group and none but an IC is the point at infinity.
library KeyedCode {
    /// The key's length does not fit the number of inputs, or one of its points is refused.
    error KeyRefused();

    // The modulus of the base field, its upper 128 bits and its lower 256.
    uint256 private constant P_HIGH = 0x1a0111ea397fe69a4b1ba7b6434bacd7;
    uint256 private constant P_LOW = 0x64774b84f38512bf6730d2a0f6b0f6241eabfffeb153ffffb9feffffffffaaab;

    /// The code, which may end in data of its own, then the key with alpha, gamma and delta negated.
    function join(bytes memory code, bytes memory key, uint256 count) internal view returns (bytes memory) {
        if (key.length != 1024 + 128 * count) revert KeyRefused();
        check(key, count);
        negate(key, 64); // y of alpha
        negate(key, 512); // y of gamma, first and second coordinate
        negate(key, 576);
        negate(key, 768); // y of delta
        negate(key, 832);
        return bytes.concat(code, key);
    }

    /// Runs every point through a precompile that checks its subgroup.
    function check(bytes memory key, uint256 count) private view {
        if (isZero(key, 0, 128) || isZero(key, 128, 256) || isZero(key, 384, 256) || isZero(key, 640, 256)) {
            revert KeyRefused();
        }
        bytes memory pairs = bytes.concat(
            slice(key, 0, 384), slice(key, 896, 128), slice(key, 384, 256), slice(key, 896, 128), slice(key, 640, 256)
        );
        (bool done, bytes memory answer) = address(0x0f).staticcall(pairs);
        if (!done || answer.length != 32) revert KeyRefused();
        for (uint256 i = 1; i <= count; ++i) {
            (done, answer) = address(0x0c).staticcall(bytes.concat(slice(key, 896 + 128 * i, 128), bytes32(uint256(1))));
            if (!done || answer.length != 128) revert KeyRefused();
        }
    }

    /// p - y in place, for the 64-byte field element at `offset`; 0 stays 0.
    function negate(bytes memory key, uint256 offset) private pure {
        assembly ("memory-safe") {
            let place := add(add(key, 32), offset)
            let high := mload(place)
            let low := mload(add(place, 32))
            if or(high, low) {
                mstore(place, sub(sub(P_HIGH, high), gt(low, P_LOW)))
                mstore(add(place, 32), sub(P_LOW, low))
            }
        }
    }

    function isZero(bytes memory key, uint256 offset, uint256 length) private pure returns (bool) {
        uint256 all;
        for (uint256 i = 0; i < length; i += 32) {
            assembly ("memory-safe") {
                all := or(all, mload(add(add(add(key, 32), offset), i)))
            }
        }
        return all == 0;
    }

    function slice(bytes memory key, uint256 offset, uint256 length) private pure returns (bytes memory part) {
        part = new bytes(length);
        assembly ("memory-safe") {
            mcopy(add(part, 32), add(add(key, 32), offset), length)
        }
    }
}
