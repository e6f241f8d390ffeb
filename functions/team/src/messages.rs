//! What the product's billing system tells by EventBridge. Messages come in any order and more than
//! once; their versions tell which is the newest.

use serde::Deserialize;
use serde_json::{Value, json};
use shared::domain::Error;
use shared::domain::ids::TeamId;
use shared::domain::subscription::SubscriptionRequest;
use shared::lambda::{App, EventBridgeEvent};

use crate::{change_or_open, subscribe, subscription};

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
    let event = EventBridgeEvent::parse(event)?;
    let now = app.clock.now();
    let pool = match event.kind.as_str() {
        "subscription.changed" => {
            let mut request: SubscriptionRequest = event.detail()?;
            let team = request.team.take().ok_or_else(|| Error::invalid("team", "is missing"))?;
            request.version.ok_or_else(|| Error::invalid("version", "is missing"))?;
            subscribe(app, &team, &request).await?
        }
        "subscription.cancelled" => {
            let Ended { team, version } = event.detail()?;
            change_or_open(app, &team, now, |pool| pool.cancel(Some(version), now)).await?
        }
        "account.closed" => {
            let Ended { team, version } = event.detail()?;
            change_or_open(app, &team, now, |pool| Ok(pool.close(Some(version), now))).await?
        }
        _ => return Err(event.unknown_kind()),
    };
    Ok(json!({
        "team": pool.team,
        "account": pool.terms.account,
        "version": pool.terms.version(),
        "subscription": subscription(&pool),
    }))
}
