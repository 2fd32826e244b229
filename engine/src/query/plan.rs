//! The plan: what each hospital computes over its rows, how the numbers are laid out in ciphertexts, and what
//! the researcher makes of the sums.
//!
//! Everything a hospital contributes is a vector of integers, its slots. A [`Measure`] is a sum over rows of a
//! product of values, split over cells; all the statistics are made of measures. Slots are ordered block by
//! block ([`Block`]), within a block by group cell (row-major over `groups`), then by split (row-major).
//!
//! A plan is a deterministic function of (query, catalogue, protocol): a hospital makes it again from the signed
//! query and compares digests; it never takes one on trust.

use serde::{Deserialize, Serialize};

use super::ast::{Comparison, PrivacyClause, Query, Route};
use super::catalogue::Column;
use super::proved::Proved;
use crate::consent::Purpose;
use crate::encoding::Digest;

/// What the planner must know of the encryption in use.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProtocolInfo {
    /// Profile name (`default-8192`, `bulk-16384`, `study-4096`).
    pub profile: String,
    /// Hospitals holding a share of the key.
    pub key_holders: Vec<String>,
    /// How many of them must take part in a release.
    pub threshold: u32,
    /// Coefficients per ciphertext.
    pub degree: u32,
    /// Bits of payload per coefficient.
    pub log2_t: u32,
    /// Bytes per ciphertext on the wire.
    pub ciphertext_bytes: u64,
}

/// Which hospitals must contribute.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Participation {
    /// Every hospital that holds the table and columns.
    All,
    /// At least this many of them.
    AtLeast(u32),
}

/// A plan.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// Canonical text of the query.
    pub canonical: String,
    /// The query.
    pub query: Query,
    /// The resolved columns the query touches (definitions as published).
    pub columns: Vec<Column>,
    /// Hospitals that hold the table with all those columns, by name; a hospital's index here is its bit in
    /// withheld masks and its code in the virtual column `hospital`.
    pub hospitals: Vec<String>,
    /// Hospitals left out, with the reason.
    pub left_out: Vec<(String, String)>,
    /// Participation rule.
    pub participation: Participation,
    /// Condition on rows, typed.
    pub filter: Option<Filter>,
    /// Group columns with their codes; the product of the code counts is the number of cells.
    pub groups: Vec<GroupColumn>,
    /// Where floors apply; a mask slot per cell and split says which hospitals withheld.
    pub strata: Vec<Stratum>,
    /// The slots.
    pub blocks: Vec<Block>,
    /// Consortium floor in force.
    pub floor: u32,
    /// Whether every hospital rounds its counts ([`super::rounding`]).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub rounding: bool,
    /// Encryption in use.
    pub protocol: ProtocolInfo,
    /// What the answer is for, as the researcher declared it: hospitals hold it against their patients' consent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub purpose: Option<Purpose>,
    /// Ciphertexts per contribution; 0 where the plan is computed on shares.
    pub ciphertexts: u32,
    /// Noise; none for exact sums.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub privacy: Option<Privacy>,
    /// Computation on shares; none for sums under encryption.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub multi_party: Option<MultiParty>,
    /// Digest of the study that it is asked in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub study: Option<Digest>,
    /// What is proved of every contribution; none where nothing is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proved: Option<Proved>,
}

/// The noise that every hospital adds to its sums, and what it costs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Privacy {
    /// As asked.
    pub asked: PrivacyClause,
    /// Which noise.
    pub mechanism: Mechanism,
    /// What an answer costs every hospital, in 10^-9 of rho (zero-concentrated differential privacy).
    pub rho_nano: u64,
    /// Rows of one patient that count; a hospital leaves out the rest.
    pub rows_per_patient: u32,
    /// Of each block, in their order.
    pub noise: Vec<Noise>,
}

/// Which noise is added.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mechanism {
    /// Discrete Gaussian.
    Gaussian,
    /// Discrete Laplace.
    Laplace,
}

/// Noise of the slots of a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Noise {
    /// How far one patient moves a slot, in fixed point.
    pub sensitivity: u64,
    /// What each hospital draws: the deviation of the Gaussian or the scale of the Laplace noise, in 1/1024 of a unit.
    pub scale_1024: u64,
    /// Noise is cut off at this size, which it reaches with a probability below 2^-100.
    pub bound: u64,
}

impl Noise {
    /// The deviation of one hospital's noise, in fixed point.
    #[must_use]
    pub fn deviation(&self, mechanism: Mechanism) -> f64 {
        let scale = self.scale_1024 as f64 / 1024.0;
        match mechanism {
            Mechanism::Gaussian => scale,
            Mechanism::Laplace => scale * std::f64::consts::SQRT_2,
        }
    }
}

/// What is particular to a plan that is computed on shares.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MultiParty {
    /// The three compute nodes, in the order of their roles.
    pub nodes: Vec<String>,
    /// Against whom it holds.
    pub security: SecurityLevel,
    /// Bound on the rows of all hospitals together.
    pub rows_max: u64,
    /// Rows that hospitals give as shares, for statistics that sums do not carry.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rows: Vec<RowInput>,
    /// How the hospitals' sums come to the compute nodes.
    #[serde(default, skip_serializing_if = "Arrival::is_direct")]
    pub arrival: Arrival,
}

/// How sums come to the compute nodes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Arrival {
    /// Every hospital splits its sums and gives each compute node its part, in every attempt.
    #[default]
    Direct,
    /// Every hospital encrypts its sums once; the key holders turn the total into shares.
    Encrypted,
}

impl Arrival {
    /// True for the default, which is not written.
    #[must_use]
    pub fn is_direct(&self) -> bool {
        *self == Self::Direct
    }
}

impl Plan {
    /// Whether the sums arrive under encryption and go on as shares.
    #[must_use]
    pub fn is_masked(&self) -> bool {
        self.multi_party.as_ref().is_some_and(|shares| shares.arrival == Arrival::Encrypted)
    }
}

/// What one corrupted compute node may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SecurityLevel {
    /// Look, but follow the protocol.
    SemiHonest,
    /// Anything: the others stop before anything is released.
    Malicious,
}

/// A column that hospitals give row by row, as shares.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RowInput {
    /// The column.
    pub column: String,
    /// Rows that each hospital gives, in the order of the plan's hospitals: its published bound, filled up with
    /// rows that do not count.
    pub rows: Vec<u64>,
}

/// What is asked of the planner besides the query.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Asked {
    /// Which hospitals must contribute.
    pub participation: Participation,
    /// How the query is to be computed.
    pub route: Route,
    /// What the answer is for.
    pub purpose: Option<Purpose>,
    /// The study that it is asked in: its digest, and its floor.
    pub study: Option<(Digest, u32)>,
}

impl From<Participation> for Asked {
    fn from(participation: Participation) -> Self {
        Self { participation, route: Route::Auto, purpose: None, study: None }
    }
}

/// A column the result is grouped by.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GroupColumn {
    /// Name (`hospital` is virtual).
    pub column: String,
    /// Codes in order. For an integer column: the values `min..=max` as text.
    pub codes: Vec<String>,
}

/// A typed condition. Numbers are in the column's fixed point; codes are indices into the column's codes.
/// A literal finer than the column's fixed point is scaled to `value = floor(x)` with the operator adjusted,
/// so that no comparison changes its meaning.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Filter {
    /// All hold.
    And(Vec<Filter>),
    /// One holds.
    Or(Vec<Filter>),
    /// It does not hold (unknown stays unknown).
    Not(Box<Filter>),
    /// The fixed-point value of the column compared with a constant.
    Compare {
        /// The column.
        column: String,
        /// The operator.
        op: Comparison,
        /// Fixed point, or code index for a category (only Eq and Ne).
        value: i64,
    },
    /// The value is one of these.
    In {
        /// The column.
        column: String,
        /// Fixed points or code indices.
        values: Vec<i64>,
    },
    /// The value is missing (or rejected as out of bounds).
    IsNull {
        /// The column.
        column: String,
    },
    /// A constant (a comparison that no value, or every present value, of the column satisfies).
    Always {
        /// The column: a missing value leaves the condition unknown.
        column: String,
        /// The constant.
        holds: bool,
    },
}

/// A further split of a cell.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Split {
    /// One cell per code.
    Codes {
        /// The column.
        column: String,
        /// Its codes.
        codes: Vec<String>,
    },
    /// Histogram: `edges.len() + 1` cells: below, the bins, above. Edges in fixed point; bins are [a, b), the
    /// last one [a, b].
    Bins {
        /// The column.
        column: String,
        /// Edges, ascending.
        edges: Vec<i64>,
    },
    /// Time grid: cell i holds times in (step*(i-1), step*i], cell 0 holds time 0; `points` cells.
    TimeGrid {
        /// The column.
        column: String,
        /// Width.
        step: u32,
        /// Number of cells.
        points: u32,
    },
    /// Even grid over a column's values: cell i holds fixed-point values in [low + i*width, low + (i+1)*width).
    Grid {
        /// The column.
        column: String,
        /// Smallest value.
        low: i64,
        /// Width of a cell, in fixed point; 1 tells every value apart.
        width: u64,
        /// Number of cells.
        points: u32,
    },
}

/// A factor of a product.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Factor {
    /// The fixed-point value of a column.
    Value(String),
    /// 1 when the column has this code, else 0.
    Level {
        /// The column.
        column: String,
        /// Index of the code.
        code: u32,
    },
}

/// Sum over the rows of a cell of a product of values.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Measure {
    /// Columns that must be present (not missing, in bounds or clamped) for a row to count.
    pub cases: Vec<String>,
    /// Further splits of the cell, the columns of which are among `cases`.
    pub by: Vec<Split>,
    /// The product; empty counts rows.
    pub product: Vec<Factor>,
    /// Index of the stratum whose floor governs the measure; its splits are a prefix of `by`.
    pub stratum: usize,
}

/// Cells in which a hospital with fewer than its floor of rows withholds: there it contributes zero to every
/// measure of the stratum, and sets its bit in the mask.
///
/// A cell is withheld when the number of rows (all `cases` present) in it is under the floor, zero included,
/// or when, for one of `levels`, the number of rows at one of its codes is under the floor: the codes of a
/// category, the zeros and the ones of an indicator. With a floor of 1 nothing is withheld. In the cells of
/// another hospital (virtual column `hospital`) a hospital has no rows, so it sets its bit there; the finish
/// heeds only the bit of the cell's own hospital.
///
/// Survival curves and log-rank tests have no `levels`: their floor is the size of the group, and how fine the
/// time grid may be is for the hospital's policy to bound.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stratum {
    /// Columns that must be present.
    pub cases: Vec<String>,
    /// Splits (never a time grid).
    pub by: Vec<Split>,
    /// Columns whose levels count people in sums of products.
    pub levels: Vec<String>,
}

/// A run of slots of one kind and width.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Block {
    /// What the slots hold.
    pub content: Content,
    /// Number of slots.
    pub slots: u32,
    /// Bits per slot, sign included; equal to `log2_t` for modular slots.
    pub width: u32,
}

/// What a block holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Content {
    /// A measure: cells x splits.
    Measure(Measure),
    /// Mask of a stratum: cells x its splits; bit i is set when hospital i withheld.
    Withheld {
        /// Index of the stratum.
        stratum: usize,
    },
    /// MIN or MAX by random masks: cells x points of the column's domain. Slot j is 0 before a hospital's own
    /// minimum (after its maximum) and uniform modulo t from there on, so that the sum shows the overall
    /// extremum and nothing else.
    Extremum {
        /// The column.
        column: String,
        /// Maximum instead of minimum.
        max: bool,
        /// Stratum whose floor governs.
        stratum: usize,
    },
    /// One slot: rows in the filter that no group cell took because a group column was missing. No floor.
    Ungrouped,
    /// The pieces of what blinds the contribution's commitment ([`super::proved`]); their sum opens the commitments' sum.
    Blinding,
    /// cells x 1: rows in which the column is missing (null, or rejected as out of bounds). Zero where the
    /// hospital's rows in the cell, whatever is missing in them, are under its floor.
    Missing {
        /// The column.
        column: String,
    },
    /// cells x 1: values out of bounds (rejected or clamped). Zero where the hospital's rows in the cell are
    /// under its floor.
    OutOfBounds {
        /// The column.
        column: String,
    },
}

impl Split {
    /// Number of cells.
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            Self::Codes { codes, .. } => codes.len(),
            Self::Bins { edges, .. } => edges.len() + 1,
            Self::TimeGrid { points, .. } | Self::Grid { points, .. } => *points as usize,
        }
    }

    /// True when there is no cell.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The column that is split.
    #[must_use]
    pub fn column(&self) -> &str {
        match self {
            Self::Codes { column, .. }
            | Self::Bins { column, .. }
            | Self::TimeGrid { column, .. }
            | Self::Grid { column, .. } => column,
        }
    }
}

impl Plan {
    /// Number of group cells.
    #[must_use]
    pub fn cells(&self) -> usize {
        self.groups.iter().map(|g| g.codes.len()).product()
    }

    /// Number of slots.
    #[must_use]
    pub fn slots(&self) -> usize {
        self.blocks.iter().map(|b| b.slots as usize).sum()
    }

    /// The resolved column.
    #[must_use]
    pub fn column(&self, name: &str) -> Option<&Column> {
        self.columns.iter().find(|c| c.name == name)
    }
}
