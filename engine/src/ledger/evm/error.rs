//! Why the chain, its node, its contracts or the outbox do not do what was asked.

use alloy_primitives::Address;

use crate::identity::IdentityError;
use crate::ledger::LedgerError;

/// Why anchoring does not go on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EvmError {
    /// The configuration makes no sense.
    #[error("{field} of the chain's configuration is refused: {reason}")]
    Config {
        /// The field.
        field: &'static str,
        /// What is wrong with it.
        reason: String,
    },
    /// The node does not answer.
    #[error("the chain's node at {host} does not answer: {reason}")]
    Away {
        /// Its host and port; the path may hold an access key.
        host: String,
        /// What happened.
        reason: String,
    },
    /// The node's answer makes no sense.
    #[error("the answer of the chain's node to {method} makes no sense: {reason}")]
    Answer {
        /// Method of JSON-RPC.
        method: &'static str,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// The node answers with an error.
    #[error("the chain's node refuses {method}: {message} ({code})")]
    Refused {
        /// Method of JSON-RPC.
        method: &'static str,
        /// Its code.
        code: i64,
        /// Its message, cut.
        message: String,
    },
    /// A contract reverts.
    #[error("the contract refuses {call}: {reason}")]
    Reverted {
        /// The function.
        call: &'static str,
        /// The contract's error, by name.
        reason: String,
    },
    /// Another chain.
    #[error("the node is of chain {found}, chain {expected} is configured")]
    Chain {
        /// Configured.
        expected: u64,
        /// Found.
        found: u64,
    },
    /// No contract, or another one, at the address.
    #[error("there is no {contract} at {address}")]
    Contract {
        /// The contract's name.
        contract: &'static str,
        /// Where it should be.
        address: Address,
    },
    /// The contract takes anchors of another address.
    #[error("the anchor log takes anchors of {anchorer}, the engine's key is {ours}")]
    Anchorer {
        /// Who may anchor.
        anchorer: Address,
        /// The address of the engine's key.
        ours: Address,
    },
    /// The chain has no precompiles of EIP-2537.
    #[error("the chain does not check proofs: it lacks the precompiles of EIP-2537")]
    Precompiles,
    /// Too little money.
    #[error("{address} has {balance_wei} wei and the next transaction may cost {cost_wei}")]
    Funds {
        /// The address of the engine's key.
        address: Address,
        /// What it has.
        balance_wei: u128,
        /// Gas limit times fee.
        cost_wei: u128,
    },
    /// Gas costs more than is allowed.
    #[error("the chain asks {asked_wei} wei for a unit of gas, at most {cap_wei} are allowed")]
    FeeCap {
        /// What the chain asks.
        asked_wei: u128,
        /// What is allowed.
        cap_wei: u128,
    },
    /// A call needs more gas than is allowed.
    #[error("{call} needs {gas} gas, at most {cap} are allowed")]
    GasCap {
        /// The function.
        call: &'static str,
        /// What the node estimates.
        gas: u64,
        /// What is allowed.
        cap: u64,
    },
    /// The chain holds another root for a size that the log has.
    #[error("the chain holds another checkpoint of {size} leaves than the log")]
    Forked {
        /// Size of both.
        size: u64,
    },
    /// The key's file.
    #[error("the chain key is not usable: {0}")]
    Key(#[from] IdentityError),
    /// Not a key.
    #[error("the chain key is not a number between 0 and the order of secp256k1")]
    KeyBytes,
    /// The embedded log that is followed.
    #[error("the log cannot be followed: {0}")]
    Ledger(#[from] LedgerError),
    /// The outbox's storage.
    #[error("the outbox failed: {reason}")]
    Outbox {
        /// What it says.
        reason: String,
    },
}

impl EvmError {
    /// A stable code.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Config { .. } => "evm.config",
            Self::Away { .. } => "evm.away",
            Self::Answer { .. } => "evm.answer",
            Self::Refused { .. } => "evm.refused",
            Self::Reverted { .. } => "evm.reverted",
            Self::Chain { .. } => "evm.chain",
            Self::Contract { .. } => "evm.contract",
            Self::Anchorer { .. } => "evm.anchorer",
            Self::Precompiles => "evm.precompiles",
            Self::Funds { .. } => "evm.funds",
            Self::FeeCap { .. } => "evm.fee_cap",
            Self::GasCap { .. } => "evm.gas_cap",
            Self::Forked { .. } => "evm.forked",
            Self::Key(_) | Self::KeyBytes => "evm.key",
            Self::Ledger(_) => "evm.ledger",
            Self::Outbox { .. } => "evm.outbox",
        }
    }

    /// What a person can do about it.
    #[must_use]
    pub fn hint(&self) -> Option<&'static str> {
        Some(match self {
            Self::Away { .. } => "nothing is lost: anchoring goes on when the node is back",
            Self::Chain { .. } => "compare chain_id with the node's; nothing was sent",
            Self::Contract { .. } => "compare the address with the one that the deployment printed",
            Self::Anchorer { .. } => {
                "the admin of the anchor log names the engine's address with setAnchorer"
            }
            Self::Precompiles => "proofs are verified offline, and their commitments are anchored",
            Self::Funds { .. } => "send the address money for gas",
            Self::FeeCap { .. } => "wait for the fee to fall, or raise gas_fee_max_gwei",
            Self::GasCap { .. } => "raise gas_max",
            Self::Forked { .. } => {
                "the operator's log contradicts what is on the chain: keep both and tell the hospitals"
            }
            Self::Key(_) => "restore the key's file and the sealing key it was made with",
            Self::Outbox { .. } => "look at the folder's permissions and free space",
            _ => return None,
        })
    }

    /// Whether trying again may help without anybody doing anything.
    #[must_use]
    pub fn is_passing(&self) -> bool {
        matches!(self, Self::Away { .. } | Self::Answer { .. } | Self::Refused { .. } | Self::FeeCap { .. })
    }
}
