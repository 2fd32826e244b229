//! The path language of mapping files: a subset of FHIRPath, over FHIR resources and over rows alike.
//!
//! [`parse`] reads an expression, [`Expr::evaluate`] gives the collection it stands for in one item. As in FHIRPath,
//! everything is a collection, comparing with nothing gives nothing, and what is not there is no error.
//!
//! ```text
//! expression  = and { "or" and }
//! and         = compare { "and" compare }
//! compare     = union [ ( "=" | "!=" | "<" | "<=" | ">" | ">=" | "in" ) union ]
//! union       = path { "|" path }
//! path        = start { "." ( name | call ) | "[" number "]" }
//! start       = name | call | literal | "(" expression ")" | "$this"
//! literal     = 'text' | number | @2026-09-01 | true | false
//! ```

mod evaluate;
mod parse;
#[cfg(test)]
mod tests;

pub use self::evaluate::{Item, RowItem, Value};
pub use self::parse::parse;

/// An expression.
#[derive(Clone, Debug, PartialEq)]
pub enum Expr {
    /// Either is true.
    Or(Box<Expr>, Box<Expr>),
    /// Both are true.
    And(Box<Expr>, Box<Expr>),
    /// A comparison of single values; of collections for equality.
    Compare(Box<Expr>, Comparison, Box<Expr>),
    /// The left one is among the right ones.
    In(Box<Expr>, Box<Expr>),
    /// All of both.
    Union(Box<Expr>, Box<Expr>),
    /// An element of each of these.
    Child(Box<Expr>, String),
    /// One of these, from 0.
    Index(Box<Expr>, usize),
    /// A function of these.
    Call(Box<Expr>, Function),
    /// A text.
    Text(String),
    /// A number, as written.
    Number(String),
    /// A date or a time, as written.
    Date(String),
    /// A truth value.
    Bool(bool),
    /// The item.
    This,
}

/// How two are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Comparison {
    /// Equal.
    Equal,
    /// Not equal.
    Unequal,
    /// Less, or earlier.
    Below,
    /// Not above.
    AtMost,
    /// Greater, or later.
    Above,
    /// Not below.
    AtLeast,
}

/// A function. The first six and `of_type` to `starts_with` are FHIRPath's, the two keys SQL on FHIR's, the rest ours.
#[derive(Clone, Debug, PartialEq)]
pub enum Function {
    /// `where(condition)`.
    Where(Box<Expr>),
    /// `exists()`, `exists(condition)`.
    Exists(Option<Box<Expr>>),
    /// `empty()`.
    Empty,
    /// `not()`.
    Not,
    /// `first()`.
    First,
    /// `last()`.
    Last,
    /// `count()`.
    Count,
    /// `min()`.
    Min,
    /// `max()`.
    Max,
    /// `ofType(Quantity)`.
    OfType(String),
    /// `extension('url')`.
    Extension(String),
    /// `startsWith('E11')`.
    StartsWith(String),
    /// `substring(start, length)`.
    Substring(usize, usize),
    /// `iif(condition, then, else)`.
    If(Box<Expr>, Box<Expr>, Option<Box<Expr>>),
    /// `getResourceKey()`.
    ResourceKey,
    /// `getReferenceKey()`, `getReferenceKey(Patient)`.
    ReferenceKey(Option<String>),
    /// `year()`: of a date.
    Year,
    /// `date()`: the day of a time.
    Day,
    /// `ageAt(birth, at)`: whole years.
    AgeAt(Box<Expr>, Box<Expr>),
    /// `daysBetween(from, to)`.
    DaysBetween(Box<Expr>, Box<Expr>),
}

/// Why an expression is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("at character {at}: {reason}")]
pub struct PathError {
    /// Where, from 1.
    pub at: usize,
    /// What is wrong.
    pub reason: String,
}

impl Expr {
    /// Adds the names of the item's own elements that this asks for (or more of them, never fewer).
    pub fn roots(&self, names: &mut std::collections::BTreeSet<String>) {
        match self {
            Self::Or(a, b)
            | Self::And(a, b)
            | Self::Compare(a, _, b)
            | Self::In(a, b)
            | Self::Union(a, b) => {
                a.roots(names);
                b.roots(names);
            }
            Self::Child(of, name) if **of == Self::This => {
                names.insert(name.clone());
            }
            Self::Child(of, _) => of.roots(names),
            Self::Index(of, _) => of.roots(names),
            Self::Call(of, function) => {
                of.roots(names);
                match function {
                    // Their conditions are on the elements, which for an item that is a row is the row.
                    Function::Where(inner) | Function::Exists(Some(inner)) if **of == Self::This => {
                        inner.roots(names);
                    }
                    Function::AgeAt(a, b) | Function::DaysBetween(a, b) => {
                        a.roots(names);
                        b.roots(names);
                    }
                    Function::If(a, b, c) => {
                        [Some(a), Some(b), c.as_ref()].into_iter().flatten().for_each(|e| e.roots(names));
                    }
                    Function::ResourceKey if **of == Self::This => {
                        names.insert("id".to_owned());
                    }
                    _ => {}
                }
            }
            Self::Text(_) | Self::Number(_) | Self::Date(_) | Self::Bool(_) | Self::This => {}
        }
    }
}
