//! gRPC: the services, the hub of connected nodes, and the client side. Generated protobuf types stay in here and in
//! the node's transport.

pub mod client;
pub mod convert;
pub mod frames;
pub mod hub;
pub mod peer;
pub mod relay;
pub mod revoke;
pub mod server;
pub mod services;
pub mod status;

/// Generated from `proto/ward/v1`.
pub mod v1 {
    #![expect(missing_docs, reason = "the definitions in proto/ward/v1 carry the documentation")]
    #![expect(clippy::all, clippy::allow_attributes, unused_qualifications, reason = "generated code")]
    tonic::include_proto!("ward.v1");
}

/// The descriptor set, for reflection.
pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/ward.v1.bin"));

/// Largest gRPC message, bytes; anything larger is sent in pieces.
pub const MESSAGE_BYTES_MAX: usize = 1 << 20;
