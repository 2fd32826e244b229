//! The three compute nodes of a session.

/// A compute node. `P_i` holds the share components `x_i` and `x_{i+1}` of every value, indices modulo 3.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// Holds components 0 and 1.
    P0,
    /// Holds components 1 and 2.
    P1,
    /// Holds components 2 and 0.
    P2,
}

impl Role {
    /// All roles, in order.
    pub const ALL: [Self; 3] = [Self::P0, Self::P1, Self::P2];

    /// 0, 1 or 2.
    #[must_use]
    pub fn index(self) -> usize {
        self as usize
    }

    /// The role of this index; none from 3 on.
    #[must_use]
    pub fn from_index(index: usize) -> Option<Self> {
        Self::ALL.get(index).copied()
    }

    /// `P_{i+1}`, which also holds `x_{i+1}`.
    #[must_use]
    pub fn next(self) -> Self {
        Self::ALL[(self.index() + 1) % 3]
    }

    /// `P_{i-1}`, which also holds `x_i`.
    #[must_use]
    pub fn prev(self) -> Self {
        Self::ALL[(self.index() + 2) % 3]
    }

    /// The role of a peer.
    #[must_use]
    pub fn peer(self, peer: Peer) -> Self {
        match peer {
            Peer::Prev => self.prev(),
            Peer::Next => self.next(),
        }
    }
}

/// One of the two other nodes, seen from here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Peer {
    /// `P_{i-1}`.
    Prev,
    /// `P_{i+1}`.
    Next,
}
