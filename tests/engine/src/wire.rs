//! The requests between the SDK and the engine: counts them and removes their tokens.
//!
//! The SDK sends a token with every transaction, and the engine scans all tokens of the last ten
//! minutes each time, so a long run becomes slow. No code of this project depends on tokens.

use std::sync::{Arc, Mutex, PoisonError};

use aws_sdk_dynamodb::config::interceptors::{
    AfterDeserializationInterceptorContextRef, BeforeTransmitInterceptorContextMut,
};
use aws_sdk_dynamodb::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_dynamodb::error::BoxError;
use aws_sdk_dynamodb::operation::get_item::GetItemOutput;
use aws_sdk_dynamodb::operation::put_item::PutItemOutput;
use aws_sdk_dynamodb::operation::query::QueryOutput;
use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsOutput;
use aws_sdk_dynamodb::operation::update_item::UpdateItemOutput;
use aws_sdk_dynamodb::types::ConsumedCapacity;
use aws_smithy_types::body::SdkBody;
use serde_json::{Value, json};

/// Counts the calls of one client and what they consumed.
#[derive(Clone, Debug, Default)]
pub struct Meter(Arc<Mutex<Reading>>);

/// The counts of a [`Meter`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reading {
    /// Round trips, including retries.
    pub round_trips: u64,
    /// The round trips that write.
    pub writes: u64,
    /// Tenths of write units of successful calls, including indexes.
    pub write_tenths: u64,
    /// Tenths of read units of successful calls.
    pub read_tenths: u64,
}

impl Meter {
    /// Returns the counts since the last call, and resets them.
    #[must_use]
    pub fn take(&self) -> Reading {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn count(&self, more: Reading) {
        let mut reading = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        reading.round_trips = reading.round_trips.saturating_add(more.round_trips);
        reading.writes = reading.writes.saturating_add(more.writes);
        reading.write_tenths = reading.write_tenths.saturating_add(more.write_tenths);
        reading.read_tenths = reading.read_tenths.saturating_add(more.read_tenths);
    }
}

impl Intercept for Meter {
    fn name(&self) -> &'static str {
        "Meter"
    }

    fn modify_before_transmit(
        &self,
        context: &mut BeforeTransmitInterceptorContextMut<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let request = context.request_mut();
        let target = request.headers().get("x-amz-target").unwrap_or_default();
        let is_one_of = |names: &[&str]| names.iter().any(|name| target.ends_with(name));
        let writes = is_one_of(&["TransactWriteItems", "PutItem", "UpdateItem"]);
        let is_counted = writes || is_one_of(&["GetItem", "Query"]);
        self.count(Reading { round_trips: 1, writes: writes.into(), ..Reading::default() });
        if let Some(bytes) = request.body().bytes().filter(|_| is_counted) {
            let mut body: Value = serde_json::from_slice(bytes)?;
            if let Some(fields) = body.as_object_mut() {
                fields.remove("ClientRequestToken");
                fields.insert("ReturnConsumedCapacity".to_owned(), json!("TOTAL"));
            }
            let body = serde_json::to_vec(&body)?;
            request.headers_mut().insert("content-length", body.len().to_string());
            *request.body_mut() = SdkBody::from(body);
        }
        Ok(())
    }

    fn read_after_deserialization(
        &self,
        context: &AfterDeserializationInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let Ok(output) = context.output_or_error() else { return Ok(()) };
        let consumed = if let Some(written) = output.downcast_ref::<TransactWriteItemsOutput>() {
            written.consumed_capacity()
        } else if let Some(written) = output.downcast_ref::<PutItemOutput>() {
            written.consumed_capacity.as_slice()
        } else if let Some(written) = output.downcast_ref::<UpdateItemOutput>() {
            written.consumed_capacity.as_slice()
        } else {
            &[]
        };
        let read = if let Some(read) = output.downcast_ref::<GetItemOutput>() {
            read.consumed_capacity()
        } else if let Some(read) = output.downcast_ref::<QueryOutput>() {
            read.consumed_capacity()
        } else {
            None
        };
        let write_tenths = consumed.iter().map(tenths).sum();
        let read_tenths = read.map(tenths).unwrap_or_default();
        self.count(Reading { write_tenths, read_tenths, ..Reading::default() });
        Ok(())
    }
}

#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::float_arithmetic,
    reason = "a count of tenths"
)]
fn tenths(capacity: &ConsumedCapacity) -> u64 {
    (capacity.capacity_units().unwrap_or_default() * 10.0).round() as u64
}
