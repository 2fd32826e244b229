//! What a transaction offers for a unit of gas, and how an offer rises while nobody takes it.

use super::rpc::Block;
use super::{Attempt, EvmError};

/// Wei in a gwei.
const GWEI: u128 = 1_000_000_000;

/// An offer in wei for a unit of gas: in all, and of that to the block's producer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Offer {
    pub fee_wei: u64,
    pub tip_wei: u64,
}

/// A first offer: twice the base fee, so that it holds through five full blocks (the base fee rises by an eighth a
/// block, EIP-1559), and the tip that the node suggests. On a chain without base fee, the price that the node suggests.
///
/// # Errors
/// [`EvmError::FeeCap`] when the chain asks for more than the cap now.
pub(super) fn first(block: &Block, price_wei: u128, cap_gwei: u64) -> Result<Offer, EvmError> {
    let cap_wei = (u128::from(cap_gwei) * GWEI).min(u128::from(u64::MAX));
    let (asked_wei, wished_wei, tip_wei) = match block.base_fee_wei {
        Some(base) => {
            let tip = price_wei.saturating_sub(base);
            (base.saturating_add(tip), base.saturating_mul(2).saturating_add(tip), tip)
        }
        None => (price_wei, price_wei, price_wei),
    };
    if asked_wei > cap_wei {
        return Err(EvmError::FeeCap { asked_wei, cap_wei });
    }
    let fits = |wei: u128| u64::try_from(wei.min(cap_wei)).unwrap_or(u64::MAX);
    Ok(Offer { fee_wei: fits(wished_wei), tip_wei: fits(tip_wei) })
}

/// The offer after one that nobody took: an eighth more, or what is asked now if that is more. Nodes replace a waiting
/// transaction only by one that offers a tenth more, of both; none when the cap leaves no room for that.
pub(super) fn raised(last: &Attempt, now: Offer, cap_gwei: u64) -> Option<Offer> {
    let cap_wei = (u128::from(cap_gwei) * GWEI).min(u128::from(u64::MAX)) as u64;
    let more = |wei: u64| wei.saturating_add(wei / 8).saturating_add(1);
    let least = |wei: u64| wei.saturating_add(wei.div_ceil(10));
    let fee_wei = more(last.fee_wei).max(now.fee_wei).min(cap_wei);
    let tip_wei = more(last.tip_wei).max(now.tip_wei).min(fee_wei);
    let enough = fee_wei >= least(last.fee_wei) && tip_wei >= least(last.tip_wei) && fee_wei > last.fee_wei;
    enough.then_some(Offer { fee_wei, tip_wei })
}

#[cfg(test)]
mod tests {
    use alloy_primitives::B256;
    use proptest::prelude::*;

    use super::*;
    use crate::encoding::HexBytes;
    use crate::identity::Digest;

    fn block(base_fee_wei: Option<u128>) -> Block {
        Block { number: 1, hash: B256::ZERO, base_fee_wei }
    }

    fn attempt(offer: Offer) -> Attempt {
        let (fee_wei, tip_wei) = (offer.fee_wei, offer.tip_wei);
        Attempt { raw: HexBytes(vec![]), hash: Digest([0; 32]), fee_wei, tip_wei, gas: 0, at_ms: 0 }
    }

    #[test]
    fn first_offers_twice_the_base_fee_and_the_suggested_tip() {
        let offer = first(&block(Some(10 * GWEI)), 11 * GWEI, 100).unwrap();
        assert_eq!(offer, Offer { fee_wei: 21_000_000_000, tip_wei: 1_000_000_000 });
        let offer = first(&block(None), 3 * GWEI, 100).unwrap();
        assert_eq!(offer, Offer { fee_wei: 3_000_000_000, tip_wei: 3_000_000_000 });
    }

    #[test]
    fn first_refuses_to_pay_more_than_the_cap() {
        let refused = first(&block(Some(99 * GWEI)), 101 * GWEI, 100);
        assert!(matches!(refused, Err(EvmError::FeeCap { .. })));
    }

    proptest! {
        #[test]
        fn raised_replaces_and_never_exceeds_the_cap(fee in 0u64..1 << 40, share in 0u64..=100, base in 0u128..1 << 40) {
            let last = Offer { fee_wei: fee, tip_wei: fee / 100 * share };
            let Ok(now) = first(&block(Some(base)), base + 5, 500) else { return Ok(()) };
            if let Some(next) = raised(&attempt(last), now, 500) {
                prop_assert!(u128::from(next.fee_wei) * 10 >= u128::from(last.fee_wei) * 11);
                prop_assert!(u128::from(next.tip_wei) * 10 >= u128::from(last.tip_wei) * 11);
                prop_assert!(u128::from(next.fee_wei) <= 500 * GWEI && next.tip_wei <= next.fee_wei);
            } else {
                prop_assert!(u128::from(fee) * 11 / 10 + 1 >= 500 * GWEI || u128::from(last.tip_wei) * 11 / 10 + 1 >= 500 * GWEI);
            }
        }
    }
}
