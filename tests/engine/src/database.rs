//! The engine's database with an additional index. Without it, the engine scans the whole stream
//! for each record that it adds or reads.

use std::fs::{File, TryLockError};
use std::io;
use std::path::Path;
use std::process;
use std::sync::atomic::{AtomicU32, Ordering};

use dynoxide::Database;
use rusqlite::Connection;

use crate::Failure;

/// The engine numbers and finds the records of a stream by these columns.
const INDEX: &str = "CREATE INDEX IF NOT EXISTS _stream_records_by_number \
                     ON _stream_records (table_name, CAST(sequence_number AS INTEGER))";

/// The number of databases in memory so far, for unique names.
static IN_MEMORY: AtomicU32 = AtomicU32::new(0);

/// A new database in memory.
pub(crate) fn in_memory() -> Result<Database, Failure> {
    let number = IN_MEMORY.fetch_add(1, Ordering::Relaxed);
    open(&format!("file:credits-{}-{number}?mode=memory&cache=shared", process::id()))
}

/// The database in a directory, and the lock that excludes other stacks while it is held. A killed
/// process leaves no lock behind.
pub(crate) fn in_directory(directory: &Path) -> Result<(Database, File), Failure> {
    let unusable = |source| Failure::Directory { directory: directory.to_owned(), source };
    std::fs::create_dir_all(directory).map_err(unusable)?;
    let lock = File::create(directory.join("credits.lock")).map_err(unusable)?;
    lock.try_lock().map_err(|error| match error {
        TryLockError::WouldBlock => Failure::InUse(directory.to_owned()),
        TryLockError::Error(source) => unusable(source),
    })?;
    let path = directory.join("credits.db");
    if !is_ours_or_new(&path) {
        return Err(Failure::Foreign(path));
    }
    let path = path.to_str().ok_or_else(|| unusable(io::ErrorKind::InvalidFilename.into()))?;
    Ok((open(path)?, lock))
}

fn open(path: &str) -> Result<Database, Failure> {
    let database = Database::new(path).map_err(|error| Failure::Database(error.to_string()))?;
    Connection::open(path)
        .and_then(|connection| connection.execute_batch(INDEX))
        .map_err(|error| Failure::Database(error.to_string()))?;
    Ok(database)
}

/// Whether a file is missing, empty, or a database of the engine.
fn is_ours_or_new(path: &Path) -> bool {
    if std::fs::metadata(path).map_or(true, |file| file.len() == 0) {
        return true;
    }
    let count = "SELECT count(*) FROM sqlite_master WHERE name = '_stream_records'";
    let count = Connection::open(path)
        .and_then(|connection| connection.query_row(count, [], |row| row.get::<_, u32>(0)));
    count == Ok(1)
}
