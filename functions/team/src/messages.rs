//! Events of the product's billing system, from EventBridge. They arrive in any order and more than once.
//! The version of an event orders it.

use serde::Deserialize;
use serde_json::{Value, json};
use shared::domain::Error;
use shared::domain::ids::TeamId;
use shared::domain::subscription::{SubscriptionRequest, check_version};
use shared::http::views::subscription::SubscriptionView;
use shared::lambda::{App, EventBridgeEvent};

use crate::{change_or_open, subscribe};

/// The detail of an event that ends a subscription or an account.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Ended {
    team: TeamId,
    version: u64,
}

/// Applies an event. Returns the team's account, version and subscription.
///
/// # Errors
/// [`Error::Invalid`]; [`Error::AccountClosed`] for an event that is newer than the closing;
/// [`Error::Busy`], [`Error::Internal`].
pub async fn apply_message(app: &App, event: &[u8]) -> Result<Value, Error> {
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
            check_version(Some(version))?;
            change_or_open(app, &team, now, |pool| Ok(pool.close(Some(version), now))).await?
        }
        _ => return Err(event.unknown_kind()),
    };
    Ok(json!({
        "team": pool.team,
        "account": pool.terms.account,
        "version": pool.terms.version(),
        "subscription": SubscriptionView::of(&pool),
    }))
}
