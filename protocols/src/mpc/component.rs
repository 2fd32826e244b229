//! A component of a column of shares: words that several may hold, copied when one of them changes its own.
//!
//! What is multiplied is kept until it is verified. Held in common, that costs no memory and no time.

use std::ops::{Deref, DerefMut};
use std::sync::Arc;

/// Words, cheap to clone. Reads are a vector's; a change copies the words first if another holds them too.
#[derive(Clone, Default)]
pub struct Component(Arc<Vec<u64>>);

impl Deref for Component {
    type Target = Vec<u64>;
    fn deref(&self) -> &Vec<u64> {
        &self.0
    }
}

impl DerefMut for Component {
    fn deref_mut(&mut self) -> &mut Vec<u64> {
        Arc::make_mut(&mut self.0)
    }
}

impl From<Vec<u64>> for Component {
    fn from(words: Vec<u64>) -> Self {
        Self(Arc::new(words))
    }
}

impl From<Component> for Vec<u64> {
    fn from(component: Component) -> Self {
        Arc::unwrap_or_clone(component.0)
    }
}

impl FromIterator<u64> for Component {
    fn from_iter<I: IntoIterator<Item = u64>>(words: I) -> Self {
        Self::from(words.into_iter().collect::<Vec<_>>())
    }
}

impl<'a> IntoIterator for &'a Component {
    type Item = &'a u64;
    type IntoIter = core::slice::Iter<'a, u64>;
    fn into_iter(self) -> Self::IntoIter {
        self.0.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_is_seen_by_its_holder_alone() {
        let first: Component = (0..5).collect();
        let mut second = first.clone();
        assert_eq!(first.as_ptr(), second.as_ptr());
        second[3] = 9;
        assert_eq!(*first, [0, 1, 2, 3, 4]);
        assert_eq!(Vec::from(second), [0, 1, 2, 9, 4]);
    }
}
