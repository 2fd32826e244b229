//! Tests of the whole system: real processes, real data, answers held against those computed in the clear.

use ward_engine::query;

mod attestations;
mod cli;
mod consent;
mod crash;
mod crash_shares;
mod documents;
mod encrypted_input;
mod hostile_ceremony;
mod hostile_hospital;
mod hostile_log;
mod hostile_masked;
mod hostile_prepare;
mod hostile_switch;
mod identity;
mod issuers;
mod jobs;
mod leak;
mod many_hospitals;
mod matrix;
mod mesh;
mod messages;
mod node_answer;
mod node_house;
mod node_restart;
mod openid;
mod oracle;
mod setup;
mod studies;
mod vault;
mod wire;
mod wire_fuzz;
mod wire_stand;
mod world;
