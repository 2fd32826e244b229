//! Transactions in bytes: those of EIP-1559 on chains with a fee market, those of EIP-155 on chains without.
//!
//! No value is sent and nothing is created: a transaction here is a call. Encoded by hand over alloy's RLP, because
//! alloy's own transaction types bring thirty crates more.

use alloy_primitives::{Address, B256, Signature, U256, keccak256};
use alloy_rlp::{BufMut, Encodable, Header};

use super::fees::Offer;

/// A call that is not signed yet.
#[derive(Clone, Debug)]
pub(super) struct Unsigned {
    pub chain_id: u64,
    pub nonce: u64,
    pub gas: u64,
    pub offer: Offer,
    /// Whether the chain has a fee market; else the offer's fee is the price.
    pub fee_market: bool,
    pub to: Address,
    pub data: Vec<u8>,
}

/// Type of transactions with a fee (EIP-2718).
const FEE_MARKET: u8 = 2;

impl Unsigned {
    /// What the signature is of.
    pub(super) fn digest(&self) -> B256 {
        let last: &[&dyn Encodable] = if self.fee_market { &[] } else { &[&self.chain_id, &0u8, &0u8] };
        keccak256(self.encode(last))
    }

    /// The signed transaction and its hash.
    pub(super) fn signed(&self, signature: &Signature) -> (Vec<u8>, B256) {
        let parity = u64::from(signature.v());
        // Wrapping: a chain id near 2^63 has no such v, and its node refuses the transaction.
        let v =
            if self.fee_market { parity } else { self.chain_id.wrapping_mul(2).wrapping_add(35 + parity) };
        let (r, s): (U256, U256) = (signature.r(), signature.s());
        let bytes = self.encode(&[&v, &r, &s]);
        let hash = keccak256(&bytes);
        (bytes, hash)
    }

    fn encode(&self, last: &[&dyn Encodable]) -> Vec<u8> {
        let Self { chain_id, nonce, gas, offer, to, .. } = self;
        let Offer { fee_wei, tip_wei } = offer;
        let data = &self.data[..];
        let head: &[&dyn Encodable] = if self.fee_market {
            // The empty list is that of accesses.
            &[chain_id, nonce, tip_wei, fee_wei, gas, to, &0u8, &data, &EmptyList]
        } else {
            &[nonce, fee_wei, gas, to, &0u8, &data]
        };
        let fields = || head.iter().chain(last);
        let payload_length = fields().map(|field| field.length()).sum();
        let mut bytes = Vec::with_capacity(payload_length + 8);
        if self.fee_market {
            bytes.put_u8(FEE_MARKET);
        }
        Header { list: true, payload_length }.encode(&mut bytes);
        fields().for_each(|field| field.encode(&mut bytes));
        bytes
    }
}

struct EmptyList;

impl Encodable for EmptyList {
    fn encode(&self, out: &mut dyn BufMut) {
        out.put_u8(alloy_rlp::EMPTY_LIST_CODE);
    }
    fn length(&self) -> usize {
        1
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::evm::ChainKey;

    fn call(chain_id: u64, fee_market: bool) -> Unsigned {
        Unsigned {
            chain_id,
            nonce: 9,
            gas: 53_000,
            offer: Offer { fee_wei: 20_000_000_000, tip_wei: 1_000_000_000 },
            fee_market,
            to: Address::repeat_byte(0x35),
            data: vec![0xde, 0xad, 0xbe, 0xef],
        }
    }

    fn signed(call: &Unsigned) -> String {
        let key = ChainKey::from_bytes(&[0x46; 32]).unwrap();
        let (bytes, hash) = key.sign(call).unwrap();
        assert_eq!(hash, keccak256(&bytes));
        hex::encode(bytes)
    }

    /// The key, nonce, price and target of EIP-155's example; bytes as `cast mktx` of Foundry 1.7.1 makes them.
    #[test]
    fn a_transaction_without_fee_market_has_the_bytes_that_foundry_makes() {
        assert_eq!(
            signed(&call(1, false)),
            "f868098504a817c80082cf089435353535353535353535353535353535353535358084deadbeef26a0c39b5a53f1745efc64e3d3\
             dc6acfc9528247b74612645863850582344e0febe2a030fb8dbcf3746abacace3a3f0d22580de0ba78663871c979affc6f405d0c\
             512e"
        );
    }

    #[test]
    fn a_transaction_with_fee_market_has_the_bytes_that_foundry_makes() {
        assert_eq!(
            signed(&call(31_337, true)),
            "02f871827a6909843b9aca008504a817c80082cf089435353535353535353535353535353535353535358084deadbeefc001a00a\
             e0d006a725a7a1026a943c0df35b64e552cdad16c7be1c989a100ae2f52d2ea01da4b6f39475f53a2dfa650d2b8a5913da08acbd\
             2aea7993796145bf214b3ce5"
        );
    }

    #[test]
    fn a_signature_is_of_the_chain_the_nonce_and_the_call() {
        let good = call(1, true);
        let others = [
            Unsigned { chain_id: 2, ..good.clone() },
            Unsigned { nonce: 10, ..good.clone() },
            Unsigned { to: Address::repeat_byte(0x36), ..good.clone() },
            Unsigned { data: vec![], ..good.clone() },
            Unsigned { fee_market: false, ..good.clone() },
        ];
        assert!(others.iter().all(|other| other.digest() != good.digest()));
    }
}
