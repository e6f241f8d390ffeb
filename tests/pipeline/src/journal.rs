//! What was found, made durable before it is charged.
//!
//! Providers may answer otherwise when they are asked again, and they want to be paid again. So a
//! result that may have been charged must be on disk: the next run charges the very same one.

use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use csv::{Reader, Writer, WriterBuilder};
use serde::{Deserialize, Serialize};

use crate::failure::Failure;
use crate::providers::Action;

/// What was found for a lead. None of the fields has a line break in it, so that a line of the file
/// is a record.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Found {
    /// The job that it was found by.
    pub job: String,
    /// The lead's id.
    pub lead: String,
    /// What was done.
    pub action: Action,
    /// How it came out.
    pub outcome: String,
    /// The provider that had it; empty if none had.
    pub provider: String,
    /// The address or the number; empty if there is none.
    pub value: String,
}

/// The results of a job, as a CSV that grows.
pub struct Journal {
    path: PathBuf,
    lines: Writer<File>,
}

/// Opens the journal of a job, and reads what earlier runs have found. No other run can have it open.
/// A last line that is torn was never charged; it is dropped.
///
/// # Errors
/// A file that is not to be had, or that is no journal of this job.
pub fn open(path: &Path, job: &str) -> Result<(Journal, Vec<Found>), Failure> {
    let failure = |error: io::Error| Failure::file(path, error);
    let mut file =
        OpenOptions::new().read(true).append(true).create(true).open(path).map_err(failure)?;
    file.try_lock().map_err(|error| Failure::file(path, format!("another run has it: {error}")))?;
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

/// A new file is durable when its directory is.
fn sync_directory(path: &Path) -> io::Result<()> {
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    File::open(parent.unwrap_or(Path::new(".")))?.sync_all()
}

impl Journal {
    /// Writes a result; when this returns, it is on disk.
    ///
    /// # Errors
    /// The disk's.
    pub fn append(&mut self, found: &Found) -> Result<(), Failure> {
        let written = self.lines.serialize(found).map_err(io::Error::from);
        let written = written.and_then(|()| self.lines.flush());
        let written = written.and_then(|()| self.lines.get_ref().sync_data());
        written.map_err(|error| Failure::file(&self.path, error))
    }
}
