//! The engine's database, with an index that it lacks: it looks through all that is in a stream for
//! each record that it adds, and for each that it reads.

use std::path::Path;
use std::process;
use std::sync::atomic::{AtomicU32, Ordering};

use dynoxide::Database;
use rusqlite::Connection;

use crate::Failure;

/// By this the engine numbers and finds the records of a stream.
const INDEX: &str = "CREATE INDEX IF NOT EXISTS _stream_records_by_number \
                     ON _stream_records (table_name, CAST(sequence_number AS INTEGER))";

/// How many databases in memory there were; each has a name of its own.
static IN_MEMORY: AtomicU32 = AtomicU32::new(0);

/// Opens the database in a directory, or a new one in memory.
pub(crate) fn open(directory: Option<&Path>) -> Result<Database, Failure> {
    let path = match directory {
        None => {
            let number = IN_MEMORY.fetch_add(1, Ordering::Relaxed);
            format!("file:credits-{}-{number}?mode=memory&cache=shared", process::id())
        }
        Some(directory) => {
            std::fs::create_dir_all(directory).map_err(Failure::Directory)?;
            directory.join("credits.db").to_str().ok_or(Failure::Path)?.to_owned()
        }
    };
    let database = Database::new(&path).map_err(|error| Failure::Database(error.to_string()))?;
    Connection::open(&path)
        .and_then(|connection| connection.execute_batch(INDEX))
        .map_err(|error| Failure::Database(error.to_string()))?;
    Ok(database)
}
