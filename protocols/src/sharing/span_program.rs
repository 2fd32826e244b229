//! A policy as a monotone span program: a matrix `M` whose rows belong to its attributes. The rows of a set of
//! attributes span `(1, 0, ..., 0)` exactly when the set satisfies the policy.
//!
//! Source: Lewko, Waters, "Decentralizing Attribute-Based Encryption" (EUROCRYPT 2011, eprint 2010/351), appendix G: the
//! root has the vector (1) and a counter c = 1; an OR hands its vector to both children; an AND pads its vector to
//! length c, hands it with a 1 behind it to the left, `(0, ..., 0, -1)` to the right, and counts c up. Entries are -1, 0
//! and 1, there is one row for each leaf and one column more than there are binary ANDs, and the rows of a smallest
//! satisfied part add up to `(1, 0, ..., 0)` with all coefficients 1. An operator with more than two parts is read as
//! nested to the right.
//!
//! The scheme's proof wants rows that belong to different attributes. The k-th time an attribute stands in a policy it is
//! therefore its k-th copy, and a key has [`COPIES`] copies of each (Lewko, Okamoto, Sahai, Takashima, Waters, "Fully
//! Secure Functional Encryption", EUROCRYPT 2010, section 2, from one-use to k-use).

use std::collections::BTreeMap;

use super::error::{Result, SharingError};
use super::policy::{Attribute, Node, Policy};

/// How often an attribute may stand in a policy.
pub const COPIES: usize = 4;

/// A row: its attribute and copy, and the entries that are not zero.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row<'a> {
    /// The attribute, `pi(i)`.
    pub attribute: &'a Attribute,
    /// Which copy of it, from 0.
    pub copy: usize,
    /// Columns (from 0) and entries, 1 or -1.
    pub entries: Vec<(usize, i8)>,
}

/// The matrix of a policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SpanProgram<'a> {
    /// Rows, in the order of [`Policy::leaves`].
    pub rows: Vec<Row<'a>>,
    /// Number of columns.
    pub columns: usize,
}

impl<'a> SpanProgram<'a> {
    /// Converts a policy.
    ///
    /// # Errors
    /// [`SharingError::Limit`] for an attribute that stands in it more than [`COPIES`] times.
    pub fn new(policy: &'a Policy) -> Result<Self> {
        let mut program = Self { rows: Vec::new(), columns: 1 };
        program.convert(policy.root(), vec![(0, 1)]);
        let mut copies = BTreeMap::<&Attribute, usize>::new();
        for row in &mut program.rows {
            let count = copies.entry(row.attribute).or_default();
            row.copy = *count;
            *count += 1;
        }
        match copies.values().find(|&&count| count > COPIES) {
            Some(&count) => {
                Err(SharingError::Limit { what: "uses of one attribute in a policy", count, limit: COPIES })
            }
            None => Ok(program),
        }
    }

    fn convert(&mut self, node: &'a Node, vector: Vec<(usize, i8)>) {
        match node {
            Node::Leaf(attribute) => self.rows.push(Row { attribute, copy: 0, entries: vector }),
            Node::Any(parts) => parts.iter().for_each(|part| self.convert(part, vector.clone())),
            Node::All(parts) => {
                let mut vector = vector;
                let last = parts.len().saturating_sub(1);
                for (index, part) in parts.iter().enumerate() {
                    if index == last {
                        self.convert(part, vector);
                        return;
                    }
                    let column = self.columns;
                    self.columns += 1;
                    vector.push((column, 1));
                    self.convert(part, vector);
                    vector = vec![(column, -1)];
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::policy::tests::{attributes, policies};
    use super::*;

    fn dense(program: &SpanProgram<'_>) -> Vec<Vec<i64>> {
        let row = |row: &Row<'_>| {
            let mut dense = vec![0; program.columns];
            row.entries.iter().for_each(|&(column, entry)| dense[column] = i64::from(entry));
            dense
        };
        program.rows.iter().map(row).collect()
    }

    /// Whether the rows span (1, 0, ..., 0): elimination over a field of prime order, 2^31 - 1.
    fn spans(rows: Vec<Vec<i64>>, columns: usize) -> bool {
        const P: i64 = (1 << 31) - 1;
        let power = |base: i64, mut e: i64| {
            let (mut base, mut out) = (base, 1);
            while e > 0 {
                if e & 1 == 1 {
                    out = out * base % P;
                }
                base = base * base % P;
                e >>= 1;
            }
            out
        };
        // The columns are the equations: sum of coefficients times row[column] = target[column].
        let count = rows.len();
        let mut equations: Vec<Vec<i64>> = (0..columns)
            .map(|c| {
                let mut equation: Vec<i64> = rows.iter().map(|row| row[c].rem_euclid(P)).collect();
                equation.push(i64::from(c == 0));
                equation
            })
            .collect();
        let mut solved = 0;
        for unknown in 0..count {
            let Some(pivot) = (solved..columns).find(|&e| equations[e][unknown] != 0) else { continue };
            equations.swap(solved, pivot);
            let inverse = power(equations[solved][unknown], P - 2);
            equations[solved].iter_mut().for_each(|x| *x = *x * inverse % P);
            let base = equations[solved].clone();
            for (_, equation) in equations.iter_mut().enumerate().filter(|(e, _)| *e != solved) {
                let factor = equation[unknown];
                equation.iter_mut().zip(&base).for_each(|(x, b)| *x = (*x - factor * b).rem_euclid(P));
            }
            solved += 1;
        }
        equations[solved..].iter().all(|equation| equation[count] == 0)
    }

    #[test]
    fn a_known_policy_has_the_known_matrix() {
        let policy: Policy = "a and (d or b and c)".parse().unwrap();
        let program = SpanProgram::new(&policy).unwrap();
        assert_eq!(dense(&program), [[1, 1, 0], [0, -1, 0], [0, -1, 1], [0, 0, -1]]);
    }

    #[test]
    fn a_repeated_attribute_becomes_copies_up_to_the_limit() {
        let policy: Policy = "a and b or a and c or a and d or a and e".parse().unwrap();
        let program = SpanProgram::new(&policy).unwrap();
        let copies: Vec<_> = program.rows.iter().filter(|row| row.attribute.as_str() == "a").collect();
        assert_eq!(copies.iter().map(|row| row.copy).collect::<Vec<_>>(), [0, 1, 2, 3]);
        let policy: Policy = "a and b or a and c or a and d or a and e or a and f".parse().unwrap();
        let error = SpanProgram::new(&policy).unwrap_err();
        assert!(matches!(error, SharingError::Limit { count: 5, limit: 4, .. }));
    }

    proptest! {
        #[test]
        fn rows_span_the_target_exactly_when_the_policy_is_satisfied(policy in policies(), bits: u8) {
            let has = attributes(bits);
            let program = SpanProgram::new(&policy).unwrap();
            let rows = dense(&program);
            let held = program.rows.iter().zip(&rows).filter(|(row, _)| has.contains(row.attribute));
            let held = held.map(|(_, row)| row.clone()).collect();
            prop_assert_eq!(spans(held, program.columns), policy.is_satisfied(&has));
            if let Some(chosen) = policy.choose(&has) {
                let mut sum = vec![0i64; program.columns];
                chosen.iter().for_each(|&i| sum.iter_mut().zip(&rows[i]).for_each(|(s, x)| *s += x));
                prop_assert!(sum[0] == 1 && sum[1..].iter().all(|&s| s == 0));
            }
        }
    }
}
