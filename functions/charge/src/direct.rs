//! Charges from callers that IAM authorizes: the pipeline, by direct invocation or through the queue. A
//! charge is a JSON object with its team and its key.

use shared::domain::Error;
use shared::domain::catalogue::price_list::PriceList;
use shared::domain::charge::ChargeRequest;
use shared::domain::ids::CallerKey;
use shared::domain::ledger::entry::Entry;
use shared::domain::time::Time;
use shared::lambda::App;
use shared::lambda::json::parse;
use shared::store::entry::EntryResult;

use crate::Answer;
use crate::priced::{Unpriced, priced};
use crate::refusal::{Asked, log_refusal};

/// Makes one charge. Logs a refusal: the caller of an asynchronous invocation does not receive the answer,
/// and the payload does not show which kind the invocation is.
///
/// # Errors
/// A retryable refusal, so that Lambda retries an asynchronous invocation. Any other refusal is an answer.
pub async fn charge_directly(app: &App, event: &[u8]) -> Result<Answer, Error> {
    let now = app.clock.now();
    let (asked, result) = match addressed(event, app.prices(now), now) {
        Ok(entry) => {
            let team = entry.team.clone();
            (Some(Asked::from(&entry)), app.store.charge(&team, vec![entry], now).await.pop())
        }
        Err(unpriced) => (unpriced.asked(), Some(unpriced.result(app).await)),
    };
    if let Some(EntryResult::Refused(error)) = &result {
        log_refusal(asked.as_ref(), error);
    }
    match result {
        Some(EntryResult::Refused(error)) if error.is_retryable() => Err(error),
        Some(result) => Ok(result.into()),
        None => Err(Error::internal("a charge has no result")),
    }
}

/// The entry of a charge that names its team and its key, at the prices of `list`.
pub(crate) fn addressed(event: &[u8], list: &PriceList, now: Time) -> Result<Entry, Unpriced> {
    let mut request: ChargeRequest =
        parse(event).map_err(|error| Unpriced::unreadable(error, event))?;
    let team = request.team.take().ok_or_else(|| Error::invalid("team", "is missing"))?;
    let key = request.key.take().ok_or_else(|| Error::invalid("key", "is missing"))?;
    let user = request.user.clone();
    let key = CallerKey::of_machine(key);
    priced(request.unpriced(&team, key, user, now), list)
}
