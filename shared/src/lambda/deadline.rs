//! The deadline of an invocation.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use lambda_http::Context;

use crate::aws::retry::with_deadline;

/// The time before the deadline that is reserved for the answer.
const ANSWER_TIME_RESERVED: Duration = Duration::from_millis(500);

/// The time that an invocation has for its work. `None` if its deadline has passed: emulators set a
/// deadline of 0.
#[must_use]
pub fn time_left(context: &Context) -> Option<Duration> {
    let deadline = UNIX_EPOCH.checked_add(Duration::from_millis(context.deadline))?;
    let left = deadline.duration_since(SystemTime::now()).ok()?;
    Some(left.saturating_sub(ANSWER_TIME_RESERVED))
}

/// Runs `work` with the deadline of an invocation, see [`with_deadline`].
pub async fn within_deadline<T>(context: &Context, work: impl Future<Output = T>) -> T {
    with_deadline(time_left(context), work).await
}
