//! How much and how long.

/// Limits of one attempt's mesh. Times in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MeshLimits {
    /// For all peers to be connected.
    pub join_ms_max: u64,
    /// For one try of the direct way: TCP, TLS and greeting.
    pub direct_ms_max: u64,
    /// Silence on a stream after which its peer counts as gone.
    pub idle_ms_max: u64,
    /// A stream on which nothing else is sent for this long carries a sign of life; well under `idle_ms_max`.
    pub keepalive_ms: u64,
    /// For one message to come, or for room to send one: the longest that a peer may compute between two messages.
    pub wait_ms_max: u64,
    /// For the peers' farewells when the mesh is closed.
    pub close_ms_max: u64,
    /// Bytes to one peer that may wait to be sent. A single message may be larger. Programs that all send more than this
    /// before any of them receives wait for each other until `wait_ms_max`.
    pub send_bytes_max: usize,
    /// Bytes from one peer that are read before somebody asks for them.
    pub read_ahead_bytes_max: usize,
    /// Largest message, in bytes.
    pub message_bytes_max: usize,
}

impl Default for MeshLimits {
    fn default() -> Self {
        Self {
            join_ms_max: 30_000,
            direct_ms_max: 3_000,
            idle_ms_max: 20_000,
            keepalive_ms: 5_000,
            wait_ms_max: 300_000,
            close_ms_max: 5_000,
            send_bytes_max: 64 << 20,
            read_ahead_bytes_max: 4 << 20,
            message_bytes_max: 1 << 30,
        }
    }
}
