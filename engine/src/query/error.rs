//! What can be wrong with a query, a plan or its sums: each with a stable code and, where one helps, a hint.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A stretch of the query text. Lines and columns count from 1; columns count characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// Line on which it starts.
    pub line: u32,
    /// Column at which it starts.
    pub column: u32,
    /// Line on which it ends.
    pub end_line: u32,
    /// Column just after its end.
    pub end_column: u32,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}, column {}", self.line, self.column)
    }
}

/// Why a query is not parsed, not planned, or not finished.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum QueryError {
    /// The text is not SQL.
    #[error("{message}{}", at(.place))]
    Syntax {
        /// What the parser expected and found.
        message: String,
        /// Where.
        place: Option<Place>,
    },
    /// SQL that Ward does not have.
    #[error("{construct} is not supported{}", at(.place))]
    Unsupported {
        /// The construct.
        construct: String,
        /// What to do instead.
        hint: String,
        /// Where.
        place: Option<Place>,
    },
    /// A function that is not a statistic of Ward.
    #[error("there is no statistic `{name}`{}", at(.place))]
    UnknownFunction {
        /// As written.
        name: String,
        /// What was probably meant.
        hint: String,
        /// Where.
        place: Option<Place>,
    },
    /// A statistic with the wrong arguments.
    #[error("{function}: {message}{}", at(.place))]
    Arguments {
        /// The statistic.
        function: String,
        /// What is wrong.
        message: String,
        /// How it is written.
        usage: String,
        /// Where.
        place: Option<Place>,
    },
    /// Something is larger than a query may make it.
    #[error("{what}: {count} exceeds the limit of {limit}")]
    Limit {
        /// What is counted.
        what: String,
        /// How many there are.
        count: u64,
        /// How many may be.
        limit: u64,
        /// What to do.
        hint: String,
    },
    /// No hospital publishes the table.
    #[error("no hospital publishes a table `{table}`")]
    UnknownTable {
        /// The table.
        table: String,
        /// What was probably meant.
        hint: String,
    },
    /// No hospital publishes the column in that table.
    #[error("no hospital publishes a column `{column}` in table `{table}`")]
    UnknownColumn {
        /// The column.
        column: String,
        /// The table.
        table: String,
        /// What was probably meant.
        hint: String,
    },
    /// No single hospital has all the columns.
    #[error("no hospital publishes all of {columns} in table `{table}`")]
    NoHospital {
        /// The table.
        table: String,
        /// The columns.
        columns: String,
    },
    /// Hospitals publish a column with different meanings (schema drift).
    #[error(
        "column `{column}`: {} and {} publish a different {field} ({} and {})",
        .hospitals[0], .hospitals[1], .values[0], .values[1]
    )]
    Conflict {
        /// The column.
        column: String,
        /// The field of the definition that differs.
        field: String,
        /// Two hospitals that disagree.
        hospitals: Box<[String; 2]>,
        /// What each of them publishes.
        values: Box<[String; 2]>,
    },
    /// A published definition that cannot size an encoding.
    #[error("the published definition of `{column}` is not usable: {message}")]
    Definition {
        /// The column.
        column: String,
        /// Why.
        message: String,
    },
    /// A column that does not fit where it stands.
    #[error("{place_in_query} needs {needed}, and `{column}` is {found}")]
    WrongKind {
        /// The column.
        column: String,
        /// Where it stands.
        place_in_query: String,
        /// What would fit.
        needed: String,
        /// What it is.
        found: String,
        /// What to do.
        hint: String,
    },
    /// A literal that does not fit its column.
    #[error("`{literal}` is not a value of `{column}`: {message}")]
    Literal {
        /// The column.
        column: String,
        /// As written.
        literal: String,
        /// Why.
        message: String,
        /// What to do.
        hint: String,
    },
    /// Not enough hospitals can take part.
    #[error("the participation asked for cannot be met: {message}")]
    Participation {
        /// Why.
        message: String,
        /// What to do.
        hint: String,
    },
    /// A sum might not fit in a slot.
    #[error("{what} needs {bits} bits, and {available} are available")]
    Overflow {
        /// The sum.
        what: String,
        /// Bits it needs, sign included.
        bits: u32,
        /// Bits there are.
        available: u32,
    },
    /// The description of the encryption makes no sense.
    #[error("the encryption's description is not usable: {message}")]
    Protocol {
        /// Why.
        message: String,
    },
    /// The computation would take unreasonably long.
    #[error("the computation on shares would take about {rounds} rounds and {bytes} bytes a node")]
    Unreasonable {
        /// Rounds between the compute nodes.
        rounds: u64,
        /// Bytes that a compute node sends.
        bytes: u64,
        /// What to do.
        hint: String,
    },
    /// The query was not made by the parser.
    #[error("the query is not what its own text says")]
    NotCanonical,
    /// A serialized plan that is none.
    #[error("not a plan: {message}")]
    NotAPlan {
        /// Why.
        message: String,
    },
    /// Sums that no honest run of the plan gives.
    #[error("the sums do not fit the plan: {message}")]
    Inconsistent {
        /// Why.
        message: String,
    },
}

fn at(place: &Option<Place>) -> String {
    place.as_ref().map(|p| format!(" at {p}")).unwrap_or_default()
}

impl QueryError {
    /// Stable code, for programs.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Syntax { .. } => "query.syntax",
            Self::Unsupported { .. } => "query.unsupported",
            Self::UnknownFunction { .. } => "query.function",
            Self::Arguments { .. } => "query.arguments",
            Self::Limit { .. } => "query.limit",
            Self::UnknownTable { .. } => "query.table",
            Self::UnknownColumn { .. } => "query.column",
            Self::NoHospital { .. } => "query.no_hospital",
            Self::Conflict { .. } => "query.conflict",
            Self::Definition { .. } => "query.definition",
            Self::WrongKind { .. } => "query.kind",
            Self::Literal { .. } => "query.literal",
            Self::Participation { .. } => "query.participation",
            Self::Overflow { .. } => "query.overflow",
            Self::Protocol { .. } => "query.protocol",
            Self::Unreasonable { .. } => "query.unreasonable",
            Self::NotCanonical => "query.canonical",
            Self::NotAPlan { .. } => "query.plan",
            Self::Inconsistent { .. } => "query.inconsistent",
        }
    }

    /// The name or literal that is refused, to point at it in the text with [`super::locate`].
    #[must_use]
    pub fn subject(&self) -> Option<&str> {
        match self {
            Self::UnknownTable { table, .. } | Self::NoHospital { table, .. } => Some(table),
            Self::UnknownColumn { column, .. }
            | Self::Conflict { column, .. }
            | Self::Definition { column, .. }
            | Self::WrongKind { column, .. } => Some(column),
            Self::Literal { literal, .. } => Some(literal),
            _ => None,
        }
    }

    /// What to do about it, if there is something to say.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::Syntax { .. } => "a query reads SELECT statistics FROM table [WHERE ...] [GROUP BY ...]",
            Self::Unsupported { hint, .. }
            | Self::UnknownFunction { hint, .. }
            | Self::Limit { hint, .. }
            | Self::UnknownTable { hint, .. }
            | Self::UnknownColumn { hint, .. }
            | Self::WrongKind { hint, .. }
            | Self::Literal { hint, .. }
            | Self::Unreasonable { hint, .. }
            | Self::Participation { hint, .. } => hint,
            Self::Arguments { usage, .. } => return Some(format!("it is written {usage}")),
            Self::NoHospital { .. } => "ask with fewer columns, or ask each group of hospitals on its own",
            Self::Conflict { .. } => {
                "the hospitals must publish one definition before they can be asked together"
            }
            Self::Definition { .. } => "the hospitals must publish it anew",
            Self::Overflow { .. } => {
                "publish the column with fewer digits or tighter bounds, the table with a tighter rows_max, or use a \
                 profile with more bits"
            }
            Self::Protocol { .. }
            | Self::NotCanonical
            | Self::NotAPlan { .. }
            | Self::Inconsistent { .. } => "",
        };
        (!hint.is_empty()).then(|| hint.to_owned())
    }

    /// Where in the text it is, for errors of parsing; [`locate`](super::locate) finds a name for the others.
    #[must_use]
    pub fn place(&self) -> Option<Place> {
        match self {
            Self::Syntax { place, .. }
            | Self::Unsupported { place, .. }
            | Self::UnknownFunction { place, .. }
            | Self::Arguments { place, .. } => *place,
            _ => None,
        }
    }
}
