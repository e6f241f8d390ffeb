//! The leads of a run.

use std::collections::HashSet;
use std::path::Path;

use csv::{ReaderBuilder, Trim};
use serde::Deserialize;

use crate::failure::Failure;

/// Characters of a lead's id, which is a part of idempotency keys.
const ID_CHARS_MAX: usize = 100;

/// A person to enrich.
#[derive(Debug, Deserialize)]
pub struct Lead {
    /// The id in the caller's records.
    pub id: String,
    /// First and last name.
    pub name: String,
    /// The domain of the lead's company.
    pub domain: String,
}

/// Reads a CSV with the columns `id`, `name` and `domain`; other columns are ignored.
///
/// # Errors
/// [`Failure::File`] for a file with any invalid row.
pub fn read(path: &Path) -> Result<Vec<Lead>, Failure> {
    let failure = |error: csv::Error| Failure::file(path, error);
    let mut rows = ReaderBuilder::new().trim(Trim::All).from_path(path).map_err(failure)?;
    let mut leads: Vec<Lead> = Vec::new();
    let mut ids = HashSet::new();
    for row in rows.deserialize() {
        let lead: Lead = row.map_err(failure)?;
        let id = lead.id.clone();
        if !(1..=ID_CHARS_MAX).contains(&id.chars().count()) || id.contains(char::is_control) {
            let reason =
                format!("an id must be 1 to {ID_CHARS_MAX} printable characters, not {id:?}");
            return Err(Failure::file(path, reason));
        }
        if !ids.insert(id) {
            return Err(Failure::file(path, format!("the id `{}` occurs twice", lead.id)));
        }
        leads.push(lead);
    }
    if leads.is_empty() {
        return Err(Failure::file(path, "has no leads"));
    }
    Ok(leads)
}
