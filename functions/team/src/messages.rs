//! What the product's billing system tells by EventBridge. Messages come in any order and more than
//! once; their versions tell which is the newest.

use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use shared::domain::Error;
use shared::domain::ids::TeamId;
use shared::domain::subscription::SubscriptionRequest;
use shared::http::App;
use shared::http::extract::parse;

use crate::{change_or_open, subscribe, subscription};

/// The parts of an event that matter here. Its source is the rule's affair.
#[derive(Deserialize)]
struct Event {
    #[serde(rename = "detail-type")]
    kind: String,
    detail: Box<RawValue>,
}

/// A message that tells of a team and nothing else.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Ended {
    team: TeamId,
    version: u64,
}

/// Takes in a message. How the team stands after it.
///
/// # Errors
/// Whatever a message cannot be or cannot do: [`Error::Invalid`], [`Error::AccountClosed`],
/// [`Error::Busy`], [`Error::Internal`].
pub async fn take_in(app: &App, event: &[u8]) -> Result<Value, Error> {
    let Event { kind, detail } = parse(event)?;
    let detail = detail.get().as_bytes();
    let now = app.clock.now();
    let pool = match kind.as_str() {
        "subscription.changed" => {
            let mut request: SubscriptionRequest = parse(detail)?;
            let team = request.team.take().ok_or_else(|| Error::invalid("team", "is missing"))?;
            request.version.ok_or_else(|| Error::invalid("version", "is missing"))?;
            subscribe(app, &team, &request).await?
        }
        "subscription.cancelled" => {
            let Ended { team, version } = parse(detail)?;
            change_or_open(app, &team, now, |pool| pool.cancel(Some(version), now)).await?
        }
        "account.closed" => {
            let Ended { team, version } = parse(detail)?;
            change_or_open(app, &team, now, |pool| Ok(pool.close(Some(version), now))).await?
        }
        other => return Err(Error::invalid("detail-type", format!("`{other}` is not known"))),
    };
    Ok(json!({
        "team": pool.team,
        "account": pool.terms.account,
        "version": pool.terms.version(),
        "subscription": subscription(&pool),
    }))
}
