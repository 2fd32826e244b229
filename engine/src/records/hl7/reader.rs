//! The items that messages left at the node, as records.

use std::collections::{BTreeSet, HashMap};
use std::path::Path;

use super::columns;
use crate::identity::{Digest, SealKey};
use crate::records::path::RowItem;
use crate::records::{Item, Pass, Reader, RecordsError};
use crate::store::{MessageSnapshot, Password};
use crate::vault::{ProviderConfig, open_provider};

/// What was kept, at one moment.
pub struct Kept(MessageSnapshot);

impl Kept {
    /// Opens a node's folder with its sealing key, and where its key-encryption keys are.
    ///
    /// # Errors
    /// [`RecordsError::Database`].
    pub fn open(folder: &Path, seal: &Password, kek: &ProviderConfig) -> Result<Self, RecordsError> {
        let key = match seal {
            Password::File(path) => crate::identity::files::read_private(path, 1024)
                .and_then(|text| SealKey::from_hex(&text, &path.display().to_string())),
            Password::Env(name) => match std::env::var(name) {
                Ok(text) => SealKey::from_hex(&zeroize::Zeroizing::new(text), name),
                Err(_) => return Err(failed("of messages cannot be unsealed", "the variable is not set")),
            },
        };
        let key = key.map_err(|e| failed("of messages cannot be unsealed", e))?;
        let provider =
            open_provider(kek, folder, key).map_err(|e| failed("of messages cannot be unsealed", e))?;
        MessageSnapshot::open(folder, provider).map(Self).map_err(|e| failed("of messages", e))
    }
}

fn failed(step: &'static str, reason: impl std::fmt::Display) -> RecordsError {
    RecordsError::Database { step, reason: reason.to_string() }
}

impl Reader for Kept {
    fn visit(&mut self, kind: &str, _: &BTreeSet<String>, pass: &mut Pass<'_>) -> Result<(), RecordsError> {
        let names = columns(kind);
        let positions: HashMap<String, usize> =
            names.iter().enumerate().map(|(at, name)| ((*name).to_owned(), at)).collect();
        let mut after = Digest([0; 32]);
        loop {
            let page = self.0.items(kind, &after).map_err(|e| failed("of messages", e))?;
            let Some((last, _)) = page.last() else { return Ok(()) };
            after = *last;
            for (_, mut item) in page {
                let fields: Vec<Option<String>> =
                    names.iter().map(|name| item.remove(*name).flatten()).collect();
                pass.item(Item::Row(RowItem { columns: &positions, fields: &fields }))?;
            }
        }
    }
}
