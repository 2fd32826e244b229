//! Does this chain check proofs? The precompiles of EIP-2537 are asked for answers that are known.
//!
//! A chain without them answers calls to their addresses with success and no bytes, so the answers are compared:
//! G + G is 2 G, e(G, H) e(-G, H) is 1, and e(G, H) is not.

use alloy_primitives::{Address, hex};

use super::EvmError;
use super::rpc::Rpc;

const G1ADD: u8 = 0x0b;
const G1MSM: u8 = 0x0c;
const PAIRING: u8 = 0x0f;

/// Generator of G1, coordinates of 48 bytes (zkcrypto's BLS12-381 parameters, as in the EIP's test vectors).
const G1: [[u8; 48]; 2] = [
    hex!(
        "17f1d3a73197d7942695638c4fa9ac0fc3688c4f9774b905a14e3a3f171bac58"
        "6c55e83ff97a1aeffb3af00adb22c6bb"
    ),
    hex!(
        "08b3f481e3aaa0f1a09e30ed741d8ae4fcf5e095d5d00af600db18cb2c04b3ed"
        "d03cc744a2888ae40caa232946c5e7e1"
    ),
];
/// Generator of G2: x as c0, c1, then y.
const G2: [[u8; 48]; 4] = [
    hex!(
        "024aa2b2f08f0a91260805272dc51051c6e47ad4fa403b02b4510b647ae3d177"
        "0bac0326a805bbefd48056c8c121bdb8"
    ),
    hex!(
        "13e02b6052719f607dacd3a088274f65596bd0d09920b61ab5da61bbdc7f5049"
        "334cf11213945d57e5ac7d055d042b7e"
    ),
    hex!(
        "0ce5d527727d6e118cc9cdc6da2e351aadfd9baa8cbdd3a76d429a695160d12c"
        "923ac9cc3baca289e193548608b82801"
    ),
    hex!(
        "0606c4a02ea734cc32acd2b02bc28b99cb3e287e85a763af267492ab572e99ab"
        "3f370d275cec1da1aaa9075ff05f79be"
    ),
];
/// The groups' order less one, big-endian.
const MINUS_ONE: [u8; 32] = hex!("73eda753299d7d483339d80809a1d80553bda402fffe5bfeffffffff00000000");

fn padded(coordinates: &[[u8; 48]]) -> Vec<u8> {
    coordinates.iter().flat_map(|coordinate| [0; 16].into_iter().chain(*coordinate)).collect()
}

fn scalar(value: u8) -> [u8; 32] {
    let mut word = [0; 32];
    word[31] = value;
    word
}

/// Whether the precompiles answer as they should.
///
/// # Errors
/// The node is away or refuses calls altogether.
pub(super) async fn checks_proofs(rpc: &Rpc) -> Result<bool, EvmError> {
    let (g1, g2) = (padded(&G1), padded(&G2));
    let Some(double) = ask(rpc, G1ADD, &[&g1[..], &g1].concat()).await? else { return Ok(false) };
    let Some(multiple) = ask(rpc, G1MSM, &[&g1[..], &scalar(2)].concat()).await? else { return Ok(false) };
    let Some(minus) = ask(rpc, G1MSM, &[&g1[..], &MINUS_ONE].concat()).await? else { return Ok(false) };
    if double.len() != 128 || double != multiple || minus.len() != 128 || minus == g1 {
        return Ok(false);
    }
    let cancels = ask(rpc, PAIRING, &[&g1[..], &g2, &minus, &g2].concat()).await?;
    let alone = ask(rpc, PAIRING, &[&g1[..], &g2].concat()).await?;
    Ok(cancels.as_deref() == Some(&scalar(1)) && alone.as_deref() == Some(&scalar(0)))
}

/// The precompile's answer; none when the call fails on the chain. A node that does not make the call at all has said nothing
/// about its chain.
async fn ask(rpc: &Rpc, precompile: u8, input: &[u8]) -> Result<Option<Vec<u8>>, EvmError> {
    match rpc.call("a precompile", Address::with_last_byte(precompile), input).await {
        Ok(answer) => Ok(Some(answer.to_vec())),
        Err(EvmError::Reverted { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}
