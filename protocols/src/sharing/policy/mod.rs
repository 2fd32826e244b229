//! Policies: who may open, as AND and OR over attributes.
//!
//! ```text
//! role:oncologist and (hospital:north or hospital:south) and (study:7 or on-call)
//! ```
//!
//! `and` binds tighter than `or`. A policy has one canonical spelling, its `Display`: nested alike operators
//! run together, single spaces, only the parentheses that are needed. What is sealed contains that spelling.

mod parse;

use std::collections::BTreeSet;
use std::fmt;
use std::ops::Range;
use std::str::FromStr;

/// Longest attribute, in bytes.
pub const ATTRIBUTE_BYTES_MAX: usize = 96;
/// Longest policy, in bytes.
pub const POLICY_BYTES_MAX: usize = 8192;
/// Most attributes in a policy, repeated ones counted again.
pub const LEAVES_MAX: usize = 128;
/// Deepest nesting of parentheses.
pub const DEPTH_MAX: usize = 32;

/// Why a text is no policy, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message} at byte {} of the policy", span.start + 1)]
pub struct PolicyError {
    /// What is wrong.
    pub message: String,
    /// The bytes of the text it is about.
    pub span: Range<usize>,
    /// What to do about it.
    pub hint: Option<&'static str>,
}

/// A name that a key holder may have: lower-case letters, digits and `: . _ - @ /`, beginning with a letter or a digit.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Attribute(String);

impl Attribute {
    /// Checks a name.
    ///
    /// # Errors
    /// [`PolicyError`], also for `and` and `or`.
    pub fn new(name: &str) -> Result<Self, PolicyError> {
        parse::attribute(name, 0)
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Attribute {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A policy; within the limits of this module, and flat: no operator directly below its like, none with one part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy(Node);

/// A part of a policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Node {
    /// Satisfied by whoever has the attribute.
    Leaf(Attribute),
    /// Satisfied when all parts are.
    All(Vec<Self>),
    /// Satisfied when one part is.
    Any(Vec<Self>),
}

impl Policy {
    /// The policy that both this one and a further attribute must be satisfied.
    #[must_use]
    pub fn and(self, attribute: Attribute) -> Self {
        Self(Node::all(vec![self.0, Node::Leaf(attribute)]))
    }

    /// Its attributes from left to right; a repeated one appears again.
    #[must_use]
    pub fn leaves(&self) -> Vec<&Attribute> {
        let mut leaves = Vec::new();
        self.0.collect(&mut leaves);
        leaves
    }

    /// Whether the attributes satisfy it.
    #[must_use]
    pub fn is_satisfied(&self, attributes: &BTreeSet<Attribute>) -> bool {
        self.0.is_satisfied(attributes)
    }

    /// The fewest attributes that are missing; empty when it is satisfied.
    #[must_use]
    pub fn missing(&self, attributes: &BTreeSet<Attribute>) -> BTreeSet<Attribute> {
        self.0.missing(attributes)
    }

    /// Indices among [`Policy::leaves`] of a smallest satisfied part: of an OR one part, of an AND all. None when the
    /// attributes do not satisfy it.
    #[must_use]
    pub fn choose(&self, attributes: &BTreeSet<Attribute>) -> Option<Vec<usize>> {
        self.0.choose(attributes, &mut 0)
    }

    pub(super) fn root(&self) -> &Node {
        &self.0
    }
}

impl Node {
    fn all(parts: Vec<Self>) -> Self {
        let flat = parts.into_iter().flat_map(|part| match part {
            Self::All(inner) => inner,
            other => vec![other],
        });
        Self::join(flat.collect(), Self::All)
    }

    fn any(parts: Vec<Self>) -> Self {
        let flat = parts.into_iter().flat_map(|part| match part {
            Self::Any(inner) => inner,
            other => vec![other],
        });
        Self::join(flat.collect(), Self::Any)
    }

    fn join(mut parts: Vec<Self>, operator: fn(Vec<Self>) -> Self) -> Self {
        if parts.len() == 1 { parts.remove(0) } else { operator(parts) }
    }

    fn collect<'a>(&'a self, leaves: &mut Vec<&'a Attribute>) {
        match self {
            Self::Leaf(attribute) => leaves.push(attribute),
            Self::All(parts) | Self::Any(parts) => parts.iter().for_each(|part| part.collect(leaves)),
        }
    }

    fn is_satisfied(&self, attributes: &BTreeSet<Attribute>) -> bool {
        match self {
            Self::Leaf(attribute) => attributes.contains(attribute),
            Self::All(parts) => parts.iter().all(|part| part.is_satisfied(attributes)),
            Self::Any(parts) => parts.iter().any(|part| part.is_satisfied(attributes)),
        }
    }

    fn missing(&self, attributes: &BTreeSet<Attribute>) -> BTreeSet<Attribute> {
        match self {
            Self::Leaf(attribute) if attributes.contains(attribute) => BTreeSet::new(),
            Self::Leaf(attribute) => BTreeSet::from([attribute.clone()]),
            Self::All(parts) => parts.iter().flat_map(|part| part.missing(attributes)).collect(),
            Self::Any(parts) => {
                let each = parts.iter().map(|part| part.missing(attributes));
                each.min_by_key(BTreeSet::len).unwrap_or_default()
            }
        }
    }

    /// As [`Policy::choose`]; `next` is the index of this part's first leaf, and afterwards of the leaf behind it.
    fn choose(&self, attributes: &BTreeSet<Attribute>, next: &mut usize) -> Option<Vec<usize>> {
        match self {
            Self::Leaf(attribute) => {
                let index = *next;
                *next += 1;
                attributes.contains(attribute).then(|| vec![index])
            }
            Self::All(parts) => {
                // Every part is visited, satisfied or not, so that the indices stay right.
                let chosen: Vec<_> = parts.iter().map(|part| part.choose(attributes, next)).collect();
                chosen.into_iter().collect::<Option<Vec<_>>>().map(|parts| parts.concat())
            }
            Self::Any(parts) => {
                let chosen: Vec<_> = parts.iter().map(|part| part.choose(attributes, next)).collect();
                chosen.into_iter().flatten().min_by_key(Vec::len)
            }
        }
    }
}

impl FromStr for Policy {
    type Err = PolicyError;

    fn from_str(text: &str) -> Result<Self, PolicyError> {
        parse::policy(text)
    }
}

impl fmt::Display for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl fmt::Display for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (parts, operator) = match self {
            Self::Leaf(attribute) => return fmt::Display::fmt(attribute, f),
            Self::All(parts) => (parts, " and "),
            Self::Any(parts) => (parts, " or "),
        };
        for (index, part) in parts.iter().enumerate() {
            if index > 0 {
                f.write_str(operator)?;
            }
            match (self, part) {
                (Self::All(_), Self::Any(_)) => write!(f, "({part})")?,
                _ => fmt::Display::fmt(part, f)?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
pub(super) mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Policies over the attributes `a` to `h`, none more than four times.
    pub(in crate::sharing) fn policies() -> impl Strategy<Value = Policy> {
        let leaf = (0u8..8).prop_map(|i| Node::Leaf(Attribute(char::from(b'a' + i).to_string())));
        let tree = leaf.prop_recursive(3, 12, 3, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 2..4).prop_map(Node::all),
                prop::collection::vec(inner, 2..4).prop_map(Node::any),
            ]
        });
        tree.prop_map(Policy).prop_filter("an attribute too often", |policy| {
            let leaves = policy.leaves();
            leaves.iter().all(|leaf| leaves.iter().filter(|other| other == &leaf).count() <= 4)
        })
    }

    /// Sets of the attributes `a` to `h`, by the bits of a number.
    pub(in crate::sharing) fn attributes(bits: u8) -> BTreeSet<Attribute> {
        let has = |i: &u8| bits >> i & 1 == 1;
        (0..8u8).filter(has).map(|i| Attribute(char::from(b'a' + i).to_string())).collect()
    }

    fn set(names: &[&str]) -> BTreeSet<Attribute> {
        names.iter().map(|name| Attribute::new(name).unwrap()).collect()
    }

    #[test]
    fn and_binds_tighter_and_the_canonical_spelling_is_flat() {
        let policy: Policy = " a  AND (b and (c))\nor d OR(e or f and (g or h))".parse().unwrap();
        assert_eq!(policy.to_string(), "a and b and c or d or e or f and (g or h)");
        assert_eq!(policy.leaves().len(), 8);
        assert!(policy.is_satisfied(&set(&["f", "h"])) && !policy.is_satisfied(&set(&["a", "b"])));
    }

    #[test]
    fn faults_name_their_place_and_a_way_out() {
        let fault = |text: &str| {
            let error = text.parse::<Policy>().unwrap_err();
            (error.message, error.span, error.hint.is_some())
        };
        assert_eq!(fault(""), ("no policy".to_owned(), 0..0, true));
        assert_eq!(fault("a and"), ("an attribute expected, and there is the end".to_owned(), 5..5, false));
        assert_eq!(
            fault("a b"),
            ("`and`, `or` or the end expected, and there is `b`".to_owned(), 2..3, true)
        );
        assert_eq!(fault("(a or b"), ("`(` is not closed".to_owned(), 0..1, false));
        assert_eq!(fault("a or b)"), ("`)` closes nothing".to_owned(), 6..7, false));
        assert_eq!(fault("a & b"), ("`&` means nothing here".to_owned(), 2..3, true));
        assert_eq!(fault("not a").1, 0..3);
        assert_eq!(fault("Role:X").1, 0..6);
        assert_eq!(fault(&"(".repeat(40)).0, "nested more than 32 deep");
        assert_eq!(fault(&format!("{}a", "a or ".repeat(LEAVES_MAX))).0, "more than 128 attributes");
        assert_eq!(fault(&" ".repeat(9000)).0, "a policy of 9000 bytes, and 8192 are read");
        assert_eq!(fault(&"a".repeat(97)).0, "an attribute of 97 bytes, and 96 are taken");
    }

    #[test]
    fn what_is_missing_is_the_least_that_would_do() {
        let policy: Policy = "role:x and (a and b or c)".parse().unwrap();
        assert_eq!(policy.missing(&set(&["a"])), set(&["b", "role:x"]));
        assert_eq!(policy.missing(&set(&[])), set(&["c", "role:x"]));
        assert!(policy.missing(&set(&["c", "role:x"])).is_empty());
    }

    proptest! {
        #[test]
        fn the_spelling_of_a_policy_is_that_policy(policy in policies()) {
            prop_assert_eq!(policy.to_string().parse::<Policy>(), Ok(policy));
        }

        #[test]
        fn no_text_is_read_as_anything_but_itself(text in "[ab()\\sandor:A&é]{0,40}") {
            if let Ok(policy) = text.parse::<Policy>() {
                let spelled = policy.to_string();
                prop_assert_eq!(spelled.parse::<Policy>().unwrap().to_string(), spelled);
            }
        }

        #[test]
        fn a_choice_satisfies_the_policy_and_exists_when_something_does(policy in policies(), bits: u8) {
            let has = attributes(bits);
            let leaves = policy.leaves();
            prop_assert_eq!(policy.missing(&has).is_empty(), policy.is_satisfied(&has));
            let topped = has.union(&policy.missing(&has)).cloned().collect();
            prop_assert!(policy.is_satisfied(&topped));
            match policy.choose(&has) {
                None => prop_assert!(!policy.is_satisfied(&has)),
                Some(chosen) => {
                    let used = chosen.iter().map(|&i| leaves[i].clone()).collect::<BTreeSet<_>>();
                    prop_assert!(used.is_subset(&has) && policy.is_satisfied(&used));
                }
            }
        }
    }
}
