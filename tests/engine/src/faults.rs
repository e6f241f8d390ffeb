//! What a network and a busy table do to calls, from a seed: some are turned away before anything
//! is written, and of some the answer gets lost after it was.

use std::sync::{Arc, Mutex, PoisonError};

use aws_sdk_dynamodb::config::interceptors::{
    BeforeDeserializationInterceptorContextMut, BeforeTransmitInterceptorContextMut,
};
use aws_sdk_dynamodb::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_dynamodb::error::BoxError;
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::config_bag::{Storable, StoreReplace};

/// Of a hundred calls, so many are turned away.
const TURNED_AWAY: u8 = 15;

/// Of a hundred calls, the answers of so many get lost.
const LOST: u8 = 15;

/// A source of faults for the calls of a client.
#[derive(Clone, Debug)]
pub struct Faults(Arc<Mutex<fastrand::Rng>>);

#[derive(Clone, Copy, Debug)]
enum Fate {
    TurnedAway,
    Lost,
    Spared,
}

impl Storable for Fate {
    type Storer = StoreReplace<Self>;
}

impl Faults {
    /// The same seed and the same calls have the same faults.
    #[must_use]
    pub fn of(seed: u64) -> Self {
        Self(Arc::new(Mutex::new(fastrand::Rng::with_seed(seed))))
    }

    fn fate(&self) -> Fate {
        match self.0.lock().unwrap_or_else(PoisonError::into_inner).u8(0..100) {
            0..TURNED_AWAY => Fate::TurnedAway,
            number if number >= 100_u8.saturating_sub(LOST) => Fate::Lost,
            _ => Fate::Spared,
        }
    }
}

impl Intercept for Faults {
    fn name(&self) -> &'static str {
        "Faults"
    }

    fn modify_before_transmit(
        &self,
        context: &mut BeforeTransmitInterceptorContextMut<'_>,
        _: &RuntimeComponents,
        bag: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let fate = self.fate();
        bag.interceptor_state().store_put(fate);
        if matches!(fate, Fate::TurnedAway) {
            // A call that changes nothing goes in its place; its answer is replaced below.
            let request = context.request_mut();
            request.headers_mut().insert("x-amz-target", "DynamoDB_20120810.ListTables");
            request.headers_mut().insert("content-length", "2");
            *request.body_mut() = SdkBody::from("{}");
        }
        Ok(())
    }

    fn modify_before_deserialization(
        &self,
        context: &mut BeforeDeserializationInterceptorContextMut<'_>,
        _: &RuntimeComponents,
        bag: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let (status, error) = match bag.load::<Fate>() {
            Some(Fate::TurnedAway) => (400, "ThrottlingException"),
            Some(Fate::Lost) => (500, "InternalServerError"),
            Some(Fate::Spared) | None => return Ok(()),
        };
        let response = context.response_mut();
        *response.status_mut() = u16::try_into(status)?;
        let body = format!(r#"{{"__type":"com.amazonaws.dynamodb.v20120810#{error}"}}"#);
        response.headers_mut().insert("content-length", body.len().to_string());
        *response.body_mut() = SdkBody::from(body);
        Ok(())
    }
}
