//! Whether a credential's slots hold what the schema allows.

use super::super::code::Code;
use super::{Kind, Schema, SchemaError};
use crate::eligibility::{Attributes, Run, SLOTS, Slot, SlotIndex};

impl Schema {
    /// Whether slots hold what the schema allows: values within bounds, lists in order, complete as a whole or not at
    /// all, nothing in slots without meaning.
    ///
    /// # Errors
    /// [`SchemaError`] with the first attribute of which that is not so; no value is named.
    pub fn check(&self, attributes: &Attributes) -> Result<(), SchemaError> {
        let malformed = |reason: &str| SchemaError::Malformed { reason: reason.to_owned() };
        if !attributes.is_ordered() {
            return Err(malformed("a complete list is not in order"));
        }
        let mut meant = [false; SLOTS];
        let mut joined = 0u32;
        for attribute in &self.attributes {
            attribute.kind.slots().into_iter().for_each(|slot| meant[slot] = true);
            if let Kind::Codes { run, .. } = &attribute.kind {
                joined |= neighbours(*run);
            }
            if !attribute.kind.allows(attributes) {
                let reason = "the slots hold what the schema does not allow".to_owned();
                return Err(SchemaError::Attribute { attribute: attribute.name.clone(), reason });
            }
        }
        let stray = attributes.slots().iter().zip(meant).any(|(slot, meant)| !meant && *slot != Slot::Absent);
        if stray || attributes.complete() & !joined != 0 {
            return Err(malformed("a slot without meaning holds a value"));
        }
        Ok(())
    }
}

/// The bits by which [`Attributes::complete`] marks the neighbours of a whole list.
pub(in crate::criteria) fn neighbours(run: Run) -> u32 {
    run.indices().filter(|index| *index != run.last().get()).map(|index| 1 << index).sum()
}

impl Kind {
    fn allows(&self, attributes: &Attributes) -> bool {
        let slots = attributes.slots();
        let one = |slot: &SlotIndex, holds: &dyn Fn(u64) -> bool| match slots[slot.get()] {
            Slot::Absent => true,
            Slot::Before => false,
            Slot::Value(value) => holds(value),
        };
        match self {
            Self::Age { .. } => true,
            Self::Date { slot, first, last } => one(slot, &|v| (first.days()..=last.days()).contains(&v)),
            Self::Number(number) => one(&number.slot, &|v| number.decode(v).is_some()),
            Self::Choice { slot, values, .. } => one(slot, &|v| values.iter().any(|c| c.value == v)),
            Self::Codes { run, .. } => {
                let marks = attributes.complete() & neighbours(*run);
                let list = &slots[run.first().get()..=run.last().get()];
                let unrecorded = list.iter().all(|slot| *slot == Slot::Absent) && marks == 0;
                let code = |slot: &Slot| matches!(slot, Slot::Value(v) if Code::from_value(*v).is_some());
                let Some((Slot::Before, rest)) = list.split_first() else { return unrecorded };
                let codes = rest.iter().take_while(|slot| code(slot)).count();
                let ended = codes < rest.len() && rest[codes..].iter().all(|slot| *slot == Slot::Absent);
                let ascending = rest[..codes].windows(2).all(|pair| pair[0].position() < pair[1].position());
                ended && ascending && (marks == 0 || marks == neighbours(*run))
            }
        }
    }
}
