//! The leads of a run.

use std::collections::HashSet;
use std::path::Path;

use csv::{ReaderBuilder, Trim};
use serde::Deserialize;

use crate::failure::Failure;

/// The longest id of a lead, in characters: it is a part of idempotency keys, which have a limit.
const MAX_ID: usize = 100;

/// Somebody to find an email address and a phone number for.
#[derive(Debug, Deserialize)]
pub struct Lead {
    /// What the caller's own records call the lead.
    pub id: String,
    /// First and last name.
    pub name: String,
    /// The domain of the lead's company.
    pub domain: String,
}

/// Reads a CSV with the columns `id`, `name` and `domain`; further columns do no harm.
///
/// # Errors
/// Whatever is not as it must be: nothing is reserved for half a file.
pub fn read(path: &Path) -> Result<Vec<Lead>, Failure> {
    let failure = |error: csv::Error| Failure::file(path, error);
    let mut rows = ReaderBuilder::new().trim(Trim::All).from_path(path).map_err(failure)?;
    let mut leads: Vec<Lead> = Vec::new();
    let mut ids = HashSet::new();
    for row in rows.deserialize() {
        let lead: Lead = row.map_err(failure)?;
        let id = lead.id.clone();
        if !(1..=MAX_ID).contains(&id.chars().count()) || id.contains(char::is_control) {
            let reason = format!("an id must be 1 to {MAX_ID} printable characters, not {id:?}");
            return Err(Failure::file(path, reason));
        }
        if !ids.insert(id) {
            return Err(Failure::file(path, format!("the id `{}` is there twice", lead.id)));
        }
        leads.push(lead);
    }
    if leads.is_empty() {
        return Err(Failure::file(path, "has no leads"));
    }
    Ok(leads)
}
