//! Ward: the engine, the hospital's party node and the client.
//!
//! - [`query`]: SQL to a plan, sums to statistics. - [`records`]: FHIR and OMOP into tables. - [`party`]: the hospital's node. - [`job`]: the scheduler and what
//!   it runs. - [`grpc`]: services, hub, client. - [`store`], [`ledger`], [`audit`], [`identity`]: state and proof of
//!   it. - [`setup`]: the ceremony behind the proof system's keys. - [`consent`]: what patients allow. - [`vault`]: keys of what is stored about them. - [`attestation`]: credentials, and what is proved of them. -
//!   [`sharing`]: records for those whom a policy or a grant names. - [`trace`]: where a request comes from. - [`cli`]: the command line.

#[cfg(feature = "evm")]
pub mod anchoring;
pub mod attestation;
pub mod audit;
pub mod cli;
pub mod clock;
pub mod config;
pub mod consent;
pub mod encoding;
pub mod grpc;
pub mod host;
pub mod http;
pub mod identity;
pub mod job;
pub mod ledger;
pub mod member;
pub mod party;
pub mod problem;
pub mod proofs;
pub mod query;
pub mod records;
pub mod setup;
pub mod sharing;
pub mod store;
pub mod study;
pub mod trace;
pub mod vault;
