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
        let v = if self.fee_market { parity } else { self.chain_id * 2 + 35 + parity };
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
