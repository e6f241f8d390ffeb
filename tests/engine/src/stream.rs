//! The table's stream in the form in which Lambda passes it to a function.

use std::fmt;

use dynoxide::Database;
use dynoxide::actions::describe_stream::DescribeStreamRequest;
use dynoxide::actions::get_records::GetRecordsRequest;
use dynoxide::actions::get_shard_iterator::GetShardIteratorRequest;
use dynoxide::actions::list_streams::ListStreamsRequest;
use dynoxide::errors::DynoxideError;
use serde_json::Value;

use crate::{Failure, TABLE};

/// The records of the stream, each once and in order.
pub struct Records {
    database: Database,
    iterator: String,
}

impl fmt::Debug for Records {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Records").field(&self.iterator).finish()
    }
}

impl Records {
    /// Starts at the first record.
    ///
    /// # Errors
    /// [`Failure`] of a database without a stream.
    pub fn of(database: Database) -> Result<Self, Failure> {
        let streams =
            ListStreamsRequest { table_name: Some(TABLE.to_owned()), ..Default::default() };
        let stream = database.list_streams(streams).map_err(failure)?.streams.pop();
        let stream_arn = stream.ok_or_else(|| missing("stream"))?.stream_arn;
        let describe =
            DescribeStreamRequest { stream_arn: stream_arn.clone(), ..Default::default() };
        let stream = database.describe_stream(describe).map_err(failure)?.stream_description;
        // The engine has one shard for each table.
        let shard = stream.shards.into_iter().next().ok_or_else(|| missing("shard"))?;
        let first = GetShardIteratorRequest {
            stream_arn,
            shard_id: shard.shard_id,
            shard_iterator_type: "TRIM_HORIZON".to_owned(),
            sequence_number: None,
        };
        let first = database.get_shard_iterator(first).map_err(failure)?.shard_iterator;
        Ok(Self { database, iterator: first.ok_or_else(|| missing("iterator"))? })
    }

    /// Returns the next records in the form in which Lambda passes them to a function. The engine
    /// limits their number. Empty if there is no new record.
    ///
    /// # Errors
    /// [`Failure`].
    pub fn read(&mut self) -> Result<Vec<Value>, Failure> {
        let next = GetRecordsRequest { shard_iterator: self.iterator.clone(), limit: None };
        let found = self.database.get_records(next).map_err(failure)?;
        self.iterator = found.next_shard_iterator.ok_or_else(|| missing("iterator"))?;
        let records = found.records.iter().map(serde_json::to_value);
        records.collect::<Result<_, _>>().map_err(|error| Failure::Database(error.to_string()))
    }
}

fn missing(what: &str) -> Failure {
    Failure::Database(format!("there is no {what}"))
}

#[allow(clippy::needless_pass_by_value, reason = "as `map_err` gives it")]
fn failure(error: DynoxideError) -> Failure {
    Failure::Database(error.to_string())
}
