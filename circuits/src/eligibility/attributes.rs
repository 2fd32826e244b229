//! The attribute slots of one patient, as an issuer fills them.

use zeroize::{Zeroize, ZeroizeOnDrop};

use super::types::{CriteriaError, Run, SLOTS, Slot, SlotIndex};

/// The slots of a credential, and which of them are neighbours in a complete list.
///
/// Wiped when dropped. Cloned only by who is entitled to the record.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct Attributes {
    slots: [Slot; SLOTS],
    /// Bit i: slots i and i + 1 belong to one list, in order and with nothing left out.
    complete: u32,
}

impl Default for Attributes {
    fn default() -> Self {
        Self { slots: [Slot::Absent; SLOTS], complete: 0 }
    }
}

impl Attributes {
    /// Nothing in any slot.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Writes one number.
    pub fn set(&mut self, slot: SlotIndex, value: u64) {
        self.slots[slot.get()] = Slot::Value(value);
    }

    /// Writes a list of codes into a run: sorted here, each code once. `is_complete` is the issuer's word that the
    /// patient has no other code of this kind; only then can a none-of clause hold.
    ///
    /// # Errors
    /// [`CriteriaError::ListTooLong`]: a list needs two slots more than it has codes.
    pub fn set_list(&mut self, run: Run, codes: &[u64], is_complete: bool) -> Result<(), CriteriaError> {
        let mut sorted = codes.to_vec();
        sorted.sort_unstable();
        sorted.dedup();
        let room = run.len().saturating_sub(2);
        let fits = run.len() >= 2 && sorted.len() <= room;
        if fits {
            let values = sorted.iter().map(|&code| Slot::Value(code));
            let filled = std::iter::once(Slot::Before).chain(values).chain(std::iter::repeat(Slot::Absent));
            for (index, slot) in run.indices().zip(filled) {
                self.slots[index] = slot;
                let joins = is_complete && index != run.last().get();
                self.complete = self.complete & !(1 << index) | u32::from(joins) << index;
            }
        }
        let codes = sorted.len();
        sorted.zeroize();
        if fits { Ok(()) } else { Err(CriteriaError::ListTooLong { codes, room }) }
    }

    /// The slots.
    #[must_use]
    pub fn slots(&self) -> &[Slot; SLOTS] {
        &self.slots
    }

    /// Bit i: slots i and i + 1 are neighbours in a complete list.
    #[must_use]
    pub fn complete(&self) -> u32 {
        self.complete
    }

    /// Slots and completeness as they were read from a credential. A signature over them is what gives them weight.
    #[must_use]
    pub fn from_parts(slots: [Slot; SLOTS], complete: u32) -> Self {
        Self { slots, complete }
    }

    /// Whether the parts are what [`Attributes::set`] and [`Attributes::set_list`] make: where a pair is marked as
    /// neighbours, the two stand in order. An issuer checks it before it signs what it did not build itself.
    #[must_use]
    pub fn is_ordered(&self) -> bool {
        let ordered = |index: usize| match (self.slots[index], self.slots.get(index + 1)) {
            (_, None) | (_, Some(Slot::Before)) => false,
            (Slot::Absent, Some(next)) => *next == Slot::Absent,
            (slot, Some(next)) => slot.position() < next.position(),
        };
        (0..SLOTS).all(|index| self.complete >> index & 1 == 0 || ordered(index))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(first: usize, len: usize) -> Run {
        Run::new(SlotIndex::new(first).unwrap(), len).unwrap()
    }

    #[test]
    fn a_list_is_sorted_once_and_stands_between_its_ends() {
        let mut attributes = Attributes::new();
        attributes.set_list(run(4, 6), &[9, 3, 9], true).unwrap();
        let expected =
            [Slot::Before, Slot::Value(3), Slot::Value(9), Slot::Absent, Slot::Absent, Slot::Absent];
        assert_eq!(attributes.slots()[4..10], expected);
        assert_eq!(attributes.complete(), 0b1_1111 << 4);
        assert!(attributes.is_ordered());
    }

    #[test]
    fn a_list_that_does_not_fit_is_refused_and_changes_nothing() {
        let mut attributes = Attributes::new();
        let error = attributes.set_list(run(0, 3), &[1, 2], true).unwrap_err();
        assert_eq!(error, CriteriaError::ListTooLong { codes: 2, room: 1 });
        assert_eq!(attributes.slots(), Attributes::new().slots());
        assert!(attributes.set_list(run(0, 1), &[], true).is_err());
    }

    #[test]
    fn an_incomplete_list_joins_no_neighbours_even_over_a_complete_one() {
        let mut attributes = Attributes::new();
        attributes.set_list(run(0, 4), &[1], true).unwrap();
        attributes.set_list(run(0, 4), &[1], false).unwrap();
        assert_eq!(attributes.complete(), 0);
    }

    #[test]
    fn marked_neighbours_out_of_order_are_seen() {
        let mut slots = [Slot::Absent; SLOTS];
        slots[0] = Slot::Value(5);
        slots[1] = Slot::Value(4);
        assert!(!Attributes::from_parts(slots, 1).is_ordered());
        assert!(Attributes::from_parts(slots, 2).is_ordered());
        assert!(Attributes::from_parts(slots, 4).is_ordered());
        assert!(!Attributes::from_parts(slots, 1 << 31).is_ordered());
    }
}
