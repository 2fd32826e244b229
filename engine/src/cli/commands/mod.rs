//! The commands.

pub mod account;
pub mod attest;
pub mod audit;
pub mod consent;
pub mod consent_proof;
pub mod criteria;
pub mod demo;
pub mod document;
pub mod engine;
pub mod glass;
pub mod issuer;
pub mod login;
mod oracle;
pub mod party;
pub mod party_study;
pub mod policy;
pub mod presentation;
pub mod prove;
mod records;
pub mod registration;
pub mod research;
pub mod setup;
mod status;
pub mod study;
pub mod vault;
pub mod verify;
pub mod wallet;
