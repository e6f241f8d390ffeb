//! The journal of results. A result is on disk before it is charged.
//!
//! A provider that is asked again costs money again and may answer differently. The journal lets the next
//! run charge the same results.

use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use csv::{Reader, Writer, WriterBuilder};
use serde::{Deserialize, Serialize};

use crate::failure::Failure;
use crate::providers::Action;

/// The result of an action for a lead. No field contains a line break, so a line of the file is a record.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Found {
    /// The job.
    pub job: String,
    /// The id of the lead.
    pub lead: String,
    /// The action.
    pub action: Action,
    /// The outcome.
    pub outcome: String,
    /// The provider of the result; empty without one.
    pub provider: String,
    /// The address or the number; empty without one.
    pub value: String,
}

/// The results of a job, a CSV to which lines are appended.
pub struct Journal {
    path: PathBuf,
    lines: Writer<File>,
}

/// Opens the journal of a job, locks it, and returns the results of earlier runs. An incomplete last line
/// was never charged and is dropped.
///
/// # Errors
/// [`Failure::File`] if the file cannot be used or is not a journal of this job.
pub fn open(path: &Path, job: &str) -> Result<(Journal, Vec<Found>), Failure> {
    let failure = |error: io::Error| Failure::file(path, error);
    let mut file =
        OpenOptions::new().read(true).append(true).create(true).open(path).map_err(failure)?;
    file.try_lock()
        .map_err(|error| Failure::file(path, format!("another run uses it: {error}")))?;
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes).map_err(failure)?;
    let whole =
        bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end.saturating_add(1));
    bytes.truncate(whole);
    let found: Result<Vec<Found>, _> =
        Reader::from_reader(bytes.as_slice()).deserialize().collect();
    let found = found.map_err(|error| Failure::file(path, error))?;
    if let Some(other) = found.iter().find(|found| found.job != job) {
        return Err(Failure::file(path, format!("has results of the job `{}`", other.job)));
    }
    file.set_len(whole as u64).and_then(|()| file.sync_all()).map_err(failure)?;
    sync_directory(path).map_err(failure)?;
    let lines = WriterBuilder::new().has_headers(whole == 0).from_writer(file);
    Ok((Journal { path: path.to_owned(), lines }, found))
}

/// Syncs the directory of a file; without it a new file is not durable.
fn sync_directory(path: &Path) -> io::Result<()> {
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    File::open(parent.unwrap_or(Path::new(".")))?.sync_all()
}

impl Journal {
    /// Appends a result and syncs the file.
    ///
    /// # Errors
    /// [`Failure::File`] if the file cannot be written.
    pub fn append(&mut self, found: &Found) -> Result<(), Failure> {
        let written = self.lines.serialize(found).map_err(io::Error::from);
        let written = written.and_then(|()| self.lines.flush());
        let written = written.and_then(|()| self.lines.get_ref().sync_data());
        written.map_err(|error| Failure::file(&self.path, error))
    }
}
